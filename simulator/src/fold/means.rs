//! Biases that make up for removed weights, as far as a constant can.

use super::{Folded, StageKind};
use crate::{Error, Result};

impl Folded {
    /// The network with biases for which the result of every linear stage has, in each channel, the mean over `images` that it
    /// has in `whole`, of which this one is a part. Without the rest of the weights, values would lie elsewhere than the
    /// activations are made for, and a network of squares grows without bound from there; training mends that first.
    ///
    /// # Errors
    /// [`Error::Argument`] for networks of different stages, and for an image of a wrong size.
    pub fn with_means_of(mut self, whole: &Self, images: &[Vec<f64>]) -> Result<Self> {
        let shapes = |of: &Self| of.stages.iter().map(|s| s.output).collect::<Vec<_>>();
        if shapes(&self) != shapes(whole) {
            let found = self.stages.len();
            return Err(Error::argument(
                "stages of a part of a network",
                found,
                "those of the whole",
            ));
        }
        let wanted = images.iter().map(|image| whole.forward_all(image));
        let wanted = wanted.collect::<Result<Vec<_>>>()?;
        let mut results: Vec<Vec<Vec<f64>>> = vec![Vec::new(); images.len()];
        for (k, stage) in self.stages.iter_mut().enumerate() {
            for (image, results) in images.iter().zip(&mut results) {
                results.push(stage.apply(image, results));
            }
            let StageKind::Linear(linear) = &mut stage.kind else { continue };
            let area = stage.output.area();
            let mut missing = vec![0.0; stage.output.channels];
            for (wanted, results) in wanted.iter().zip(&results) {
                for (n, (wanted, found)) in wanted[k].iter().zip(&results[k]).enumerate() {
                    missing[n / area] += (wanted - found) / (area * images.len()) as f64;
                }
            }
            let maps = std::iter::once(&mut linear.bias);
            for map in maps.chain(results.iter_mut().map(|results| &mut results[k])) {
                map.iter_mut().enumerate().for_each(|(n, value)| *value += missing[n / area]);
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::ActivationMethod;
    use crate::network::{Model, Network};

    #[test]
    fn means_are_those_of_the_whole() {
        let text = "name = \"n\"\n[input]\nchannels = 2\nheight = 4\nwidth = 4\n\
                    [[layer]]\nname = \"c\"\nkind = \"conv\"\nout = 4\nkernel = 3\npadding = 1\n\
                    [[layer]]\nname = \"a\"\nkind = \"activation\"\n\
                    [[layer]]\nname = \"f\"\nkind = \"fc\"\nout = 3\n";
        let model = Model::random(Network::from_toml(text).unwrap(), 3);
        let whole = Folded::new(&model, ActivationMethod::PairedSquare).unwrap();
        let images: Vec<Vec<f64>> =
            (0..3).map(|k| (0..32).map(|n| f64::from(n * k % 7) - 3.0).collect()).collect();
        assert_eq!(whole.clone().with_means_of(&whole, &images).unwrap(), whole);
        let mut part = whole.clone();
        for stage in &mut part.stages {
            if let StageKind::Linear(linear) = &mut stage.kind {
                linear.main.weights.iter_mut().step_by(2).for_each(|w| *w = 0.0);
            }
        }
        let mended = part.clone().with_means_of(&whole, &images).unwrap();
        let mean = |of: &Folded| {
            let logits = images.iter().map(|image| of.forward(image).unwrap()[0]);
            logits.sum::<f64>() / images.len() as f64
        };
        assert!((mean(&mended) - mean(&whole)).abs() < 1e-9);
        assert!((mean(&part) - mean(&whole)).abs() > 1e-3);
        assert!(part.with_means_of(&whole, &[vec![0.0; 5]]).is_err());
    }
}
