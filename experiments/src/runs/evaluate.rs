//! A network's accuracy, and the largest inputs of its activations, by its plain forward pass on many images.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result};
use rayon::prelude::*;
use serde::Serialize;
use simulator::network::{LayerKind, Model, OUTPUT, larger, largest};

use crate::inputs::images::Pictures;
use crate::process::cancel;
use crate::process::progress::Progress;
use crate::runs::image_result::ImageResult;
use crate::runs::statistics::argmax;

/// The largest value seen somewhere, beside the bound that the weights give for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peak {
    /// An activation, whose inputs are meant, or [`OUTPUT`].
    pub layer: String,
    /// The largest in absolute value; not a number (null) where one was not.
    pub largest: f64,
    /// Bound in the weights, if any.
    pub bound: Option<f64>,
}

impl Peak {
    /// Whether the bound is not kept to.
    pub fn exceeds(&self) -> bool {
        self.bound.is_some_and(|bound| self.largest.is_nan() || self.largest > bound)
    }
}

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Images evaluated.
    pub images: usize,
    /// Images whose class is right; none without labels.
    pub correct: Option<usize>,
    /// Share of them.
    pub accuracy: Option<f64>,
    /// One for each activation, in order, and one for the results.
    pub peaks: Vec<Peak>,
    /// Whether it was stopped before the last image.
    pub interrupted: bool,
    /// What guessing gives: one class of as many as there are logits.
    pub chance: Option<f64>,
    /// What came out for each image.
    pub per_image: Vec<ImageResult>,
}

impl Evaluation {
    /// By how much the accuracy may be below a recorded one, if it is known.
    pub fn tolerance(&self, recorded: f64) -> f64 {
        tolerance(recorded, self.images)
    }

    /// Whether the accuracy is no better than that of guessing.
    pub fn is_guessing(&self) -> bool {
        let n = self.images as f64;
        self.accuracy.zip(self.chance).is_some_and(|(accuracy, chance)| {
            let deviation = (chance * (1.0 - chance) / n).sqrt();
            self.images >= FEWEST_GUESSES && accuracy < chance + GUESSING_DEVIATIONS * deviation
        })
    }

    /// Whether the accuracy is further below a recorded one than chance explains.
    pub fn falls_short(&self, recorded: f64) -> bool {
        self.accuracy.is_some_and(|a| self.images > 0 && recorded - a > self.tolerance(recorded))
    }
}

/// Deviations of guessing within which an accuracy is no better, and images from which on that says something.
const GUESSING_DEVIATIONS: f64 = 3.0;
const FEWEST_GUESSES: usize = 30;

/// Chance of calling an accuracy too low that is not.
const FALSE_ALARM: f64 = 1e-6;

/// By how much the share of right classes among `images` may fall below `accuracy`, if each is right with that chance:
/// less happens with a chance of at most [`FALSE_ALARM`], by Bernstein's inequality.
fn tolerance(accuracy: f64, images: usize) -> f64 {
    let (n, alarm) = (images as f64, -FALSE_ALARM.ln());
    let variance = accuracy * (1.0 - accuracy);
    (alarm / 3.0 + (alarm * alarm / 9.0 + 2.0 * alarm * variance * n).sqrt()) / n
}

/// What one image, or several, gave.
#[derive(Clone)]
struct Tally {
    images: usize,
    correct: usize,
    peaks: Vec<f64>,
    results: Vec<ImageResult>,
}

/// Runs a model on every image with `threads` threads. Stops between images when cancelled; what was finished counts.
///
/// # Errors
/// Images of another size than the network's input, and threads that cannot be started.
pub fn evaluate(model: &Model, images: &Pictures, threads: usize) -> Result<Evaluation> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .with_context(|| format!("starting {threads} threads"))?;
    let activations: Vec<usize> = (0..model.network.layers.len())
        .filter(|&k| model.network.layers[k].kind == LayerKind::Activation)
        .collect();
    let progress = Progress::new(&format!("{} on {} images", model.network.name, images.len()));
    let done = AtomicUsize::new(0);
    let none = Tally {
        images: 0,
        correct: 0,
        peaks: vec![0.0; activations.len() + 1],
        results: Vec::new(),
    };
    let total: Result<Tally> = pool.install(|| {
        (0..images.len())
            .into_par_iter()
            .map(|k| {
                // Asked first: to make a million images only to pass over them takes minutes.
                if cancel::requested() {
                    return Ok(none.clone());
                }
                let Some(image) = images.image(k) else { return Ok(none.clone()) };
                let tally = one(model, &activations, &image, (k, images.label(k)))?;
                let done = done.fetch_add(1, Relaxed) + 1;
                progress.set(done as f64 / images.len() as f64, &format!("{done} images"));
                Ok(tally)
            })
            .try_reduce(|| none.clone(), |a, b| Ok(a.join(&b)))
    });
    progress.finish();
    let total = total?;
    let correct = images.labelled().then_some(total.correct);
    let names = activations
        .iter()
        .map(|&k| (model.network.layers[k].name.clone(), model.bounds.activations.get(&k).copied()))
        .chain([(OUTPUT.to_owned(), model.bounds.output)]);
    Ok(Evaluation {
        images: total.images,
        correct,
        accuracy: correct.map(|c| c as f64 / total.images.max(1) as f64),
        peaks: names
            .zip(&total.peaks)
            .map(|((layer, bound), largest)| Peak { layer, largest: *largest, bound })
            .collect(),
        interrupted: total.images < images.len(),
        chance: Some(model.network.output().len()).filter(|n| *n > 1).map(|n| 1.0 / n as f64),
        per_image: total.results,
    })
}

fn one(
    model: &Model,
    activations: &[usize],
    image: &[f64],
    (k, label): (usize, Option<usize>),
) -> simulator::Result<Tally> {
    let normalised = model.network.normalise(image)?;
    let mut peaks = Vec::with_capacity(activations.len() + 1);
    let logits = model.forward_observed(&normalised, |k, input| {
        if activations.contains(&k) {
            peaks.push(largest(input));
        }
    })?;
    peaks.push(largest(&logits));
    let correct = usize::from(label == Some(argmax(&logits)));
    let results = vec![ImageResult::new(k, label, &logits, None)];
    Ok(Tally { images: 1, correct, peaks, results })
}

impl Tally {
    fn join(mut self, other: &Self) -> Self {
        self.images += other.images;
        self.correct += other.correct;
        self.results.extend_from_slice(&other.results);
        self.peaks.iter_mut().zip(&other.peaks).for_each(|(a, b)| *a = larger(*a, *b));
        self
    }
}

#[cfg(test)]
mod tests {
    use simulator::network::Network;

    use super::*;

    fn model() -> Model {
        let network = "name = \"n\"\n[input]\nchannels = 1\nheight = 28\nwidth = 28\nmean = 0.5\nstd = 0.25\n\
             [[layer]]\nname = \"conv\"\nkind = \"conv\"\nout = 2\nkernel = 5\nstride = 3\n\
             [[layer]]\nname = \"one\"\nkind = \"activation\"\n\
             [[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 10\n\
             [[layer]]\nname = \"two\"\nkind = \"activation\"\n";
        Model::random(Network::from_toml(network).unwrap(), 5)
    }

    #[test]
    fn counts_and_peaks_are_those_of_the_images_one_by_one() {
        let (mut model, images) = (model(), Pictures::Digits { count: 30, seed: 2 });
        let (mut correct, mut peaks) = (0, [0.0f64; 3]);
        for k in 0..30 {
            let x = model.network.normalise(&images.image(k).unwrap()).unwrap();
            let mut inputs = Vec::new();
            let y = model.forward_observed(&x, |_, input| inputs.push(input.to_vec())).unwrap();
            correct += usize::from(argmax(&y) == k % 10);
            for (peak, values) in peaks.iter_mut().zip([&inputs[1], &inputs[3], &y]) {
                *peak = values.iter().fold(*peak, |m, v| m.max(v.abs()));
            }
        }
        model.bounds.activations.insert(1, peaks[0]);
        model.bounds.output = Some(peaks[2] / 2.0);
        for threads in [1, 3] {
            let found = evaluate(&model, &images, threads).unwrap();
            assert_eq!(
                (found.images, found.correct, found.interrupted),
                (30, Some(correct), false)
            );
            assert_eq!(found.peaks.iter().map(|p| p.largest).collect::<Vec<_>>(), peaks);
            let names: Vec<&str> = found.peaks.iter().map(|p| p.layer.as_str()).collect();
            assert_eq!(names, ["one", "two", "output"]);
            let over: Vec<bool> = found.peaks.iter().map(Peak::exceeds).collect();
            assert_eq!(over, [false, false, true]);
            let numbers: Vec<usize> = found.per_image.iter().map(|r| r.image).collect();
            assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
            let right = found.per_image.iter().filter(|r| Some(r.class) == r.label).count();
            assert_eq!((right, found.per_image[0].logits.len()), (correct, 10));
        }
    }

    #[test]
    fn what_is_no_number_exceeds_every_bound() {
        let peak = |largest, bound| Peak { layer: String::new(), largest, bound };
        assert!(peak(f64::NAN, Some(1.0)).exceeds() && peak(f64::INFINITY, Some(1.0)).exceeds());
        assert!(!peak(f64::NAN, None).exceeds() && !peak(1.0, Some(1.0)).exceeds());
    }

    #[test]
    fn an_accuracy_falls_short_beyond_chance() {
        let found = |correct: usize, images: usize| Evaluation {
            images,
            correct: Some(correct),
            accuracy: Some(correct as f64 / images as f64),
            peaks: Vec::new(),
            interrupted: false,
            chance: Some(0.1),
            per_image: Vec::new(),
        };
        // A tenth of ten classes is guessing, and so is nothing at all; of few images nothing is said.
        assert!(found(1090, 10_000).is_guessing() && found(0, 40).is_guessing());
        assert!(!found(1091, 10_000).is_guessing() && !found(0, 20).is_guessing());
        // 99.43 % of 10,000: a deviation is 7.5 images.
        assert!(
            !found(9943, 10_000).falls_short(0.9943) && !found(9900, 10_000).falls_short(0.9943)
        );
        assert!(found(9880, 10_000).falls_short(0.9943) && found(3200, 10_000).falls_short(0.9943));
        // Of few images, little can be said, even where all should be right.
        assert!(!found(18, 20).falls_short(1.0) && found(6, 20).falls_short(0.99));
        assert!(!found(0, 1).falls_short(0.99) && !found(10_000, 10_000).falls_short(0.5));
        // As the binomial distribution has it: of 100 coins, 22 heads or fewer have a chance below one in a million.
        assert!(!found(23, 100).falls_short(0.5) && found(15, 100).falls_short(0.5));
    }

    #[test]
    fn images_of_another_size_are_refused() {
        let images = Pictures::Clouds { shape: (1, 14, 14), count: 2, seed: 1 };
        assert!(evaluate(&model(), &images, 1).is_err());
    }
}
