//! What comes in: networks and their weights, images, units of weights, files of tensors.

pub mod data;
pub mod images;
pub mod networks;
pub mod onnx;
pub mod sample;
pub mod tensors;
pub mod units;
