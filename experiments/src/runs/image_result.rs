//! What a network said of an image.

use serde::Serialize;

use super::statistics::{argmax, largest_difference};

/// Results of one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageResult {
    /// Number of the image, from 1.
    pub image: usize,
    /// Its label, if it is known.
    pub label: Option<usize>,
    /// Class: that of the largest logit.
    pub class: usize,
    /// The largest logit less the next; none with a single one.
    pub margin: Option<f64>,
    /// Of encrypted results: the largest difference of a logit from the unencrypted network's.
    pub error: Option<f64>,
    /// All of them.
    pub logits: Vec<f64>,
}

impl ImageResult {
    /// Of image number `k`, from 0; `exact` are the unencrypted network's logits, where others are meant.
    pub fn new(k: usize, label: Option<usize>, logits: &[f64], exact: Option<&[f64]>) -> Self {
        let class = argmax(logits);
        let others = logits.iter().enumerate().filter(|(other, _)| *other != class);
        let next =
            others.map(|(_, v)| *v).fold(None, |m: Option<f64>, v| Some(m.map_or(v, |m| m.max(v))));
        Self {
            image: k + 1,
            label,
            class,
            margin: next.zip(logits.get(class)).map(|(next, most)| most - next),
            error: exact.map(|exact| largest_difference(logits, exact)),
            logits: logits.to_vec(),
        }
    }
}
