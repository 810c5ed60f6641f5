//! What comes in: networks and their weights, images, units of weights.

pub mod data;
pub mod images;
pub mod networks;
pub mod onnx;
pub mod sample;
pub mod units;
