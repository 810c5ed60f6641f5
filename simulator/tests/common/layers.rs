//! Descriptions of small networks, layer by layer.
#![allow(dead_code, clippy::unwrap_used)]

use simulator::network::{Model, Network};

/// `name = ..., kind = ...` and further fields as TOML lines, separated by `|`.
pub fn network(shape: (usize, usize, usize), layers: &[&str]) -> Network {
    let (channels, height, width) = shape;
    let head = format!(
        "name = \"n\"\n[input]\nchannels = {channels}\nheight = {height}\nwidth = {width}\n"
    );
    let layer = |text: &&str| format!("[[layer]]\n{}\n", text.replace('|', "\n"));
    Network::from_toml(&(head + &layers.iter().map(layer).collect::<String>())).unwrap()
}

pub fn conv(name: &str, out: usize, kernel: usize, more: &str) -> String {
    format!("name = \"{name}\"|kind = \"conv\"|out = {out}|kernel = {kernel}|{more}")
}

pub fn fc(name: &str, out: usize) -> String {
    format!("name = \"{name}\"|kind = \"fc\"|out = {out}")
}

pub fn act(name: &str) -> String {
    format!("name = \"{name}\"|kind = \"activation\"")
}

pub fn pool(name: &str, kernel: usize, stride: usize) -> String {
    format!("name = \"{name}\"|kind = \"avgpool\"|kernel = {kernel}|stride = {stride}")
}

pub fn norm(name: &str) -> String {
    format!("name = \"{name}\"|kind = \"batchnorm\"")
}

pub fn add(name: &str, a: &str, b: &str) -> String {
    format!("name = \"{name}\"|kind = \"add\"|input = [\"{a}\", \"{b}\"]")
}

/// The network with random weights.
pub fn random(shape: (usize, usize, usize), layers: &[String], seed: u64) -> Model {
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    Model::random(network(shape, &layers), seed)
}
