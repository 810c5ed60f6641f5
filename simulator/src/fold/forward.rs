//! Plain forward pass of a folded network.

use super::{Folded, Origin, Stage, StageKind};
use crate::network::sum_pool;
use crate::{Error, Result};

impl Folded {
    /// The plain result for a normalised image (`[channel][row][column]`).
    pub fn forward(&self, image: &[f64]) -> Result<Vec<f64>> {
        Ok(self.forward_all(image)?.pop().unwrap_or_else(|| image.to_vec()))
    }

    /// The result of every stage.
    pub fn forward_all(&self, image: &[f64]) -> Result<Vec<Vec<f64>>> {
        if image.len() != self.input.len() {
            return Err(Error::argument("length of an image", image.len(), self.input.len()));
        }
        let mut results: Vec<Vec<f64>> = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            results.push(stage.apply(image, &results));
        }
        Ok(results)
    }
}

impl Stage {
    /// Its result, from the image and those of the stages before.
    pub(super) fn apply(&self, image: &[f64], results: &[Vec<f64>]) -> Vec<f64> {
        let read = |source: &Origin| match source {
            Origin::Image => image,
            Origin::Stage(k) => results[*k].as_slice(),
        };
        let maps: Vec<&[f64]> = self.sources.iter().map(read).collect();
        let x = maps[0];
        match &self.kind {
            StageKind::Linear(linear) => linear.apply(&maps),
            StageKind::Square { .. } => x.iter().map(|v| v * v).collect(),
            StageKind::Quadratic(q) => x
                .iter()
                .enumerate()
                .map(|(k, v)| {
                    let c = k / self.input.area();
                    q.a[c] * v * v + q.b[c] * v + q.c[c]
                })
                .collect(),
            StageKind::SumPool { kernel, stride } => {
                sum_pool(self.input, self.output, (*kernel, *stride), x)
            }
        }
    }
}
