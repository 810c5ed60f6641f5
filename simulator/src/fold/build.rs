//! Folding a model into stages.

use super::affine::{Affine, Sum, Value};
use super::complete::depends_on_range;
use super::flat::{ByValue, by_channel, differ_within};
use super::linear::{LinearPart, LinearStage};
use super::parts::{averaging, pointwise, subsample, whole};
use super::transform::merge_window;
use super::{ActivationMethod, Activations, Folded, Origin, Quadratic, Stage, StageKind};
use crate::network::{ConvGeometry, LayerKind, LayerParameters, Model, OUTPUT, Shape, Source};
use crate::{Error, Result};

/// What a layer gives, and the shape of it; a flatten leaves the map that it flattens.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) value: Value,
    pub(super) shape: Shape,
    /// What is still to be done with the flattened map.
    pub(super) by_value: Option<ByValue>,
    /// Whether several layers read it: then it is not to be changed any more.
    pub(super) shared: bool,
}

pub(super) struct Builder<'a> {
    model: &'a Model,
    pub(super) stages: Vec<Stage>,
    /// For each stage, whether more than one layer reads what it gives.
    pub(super) shared: Vec<bool>,
    /// What the image is, then each layer so far.
    pub(super) known: Vec<Known>,
    /// How many layers read the image, and each layer.
    readers: Vec<usize>,
}

/// Number of what a layer reads, in [`Builder::known`].
fn index(source: Source) -> usize {
    match source {
        Source::Input => 0,
        Source::Layer(n) => n + 1,
    }
}

impl Folded {
    /// Folds a model, each activation by its method.
    ///
    /// # Errors
    /// [`Error::Configuration`] for an exception that names no activation; [`Error::Layer`] for a layer by channel after a flatten, or parameters of another kind of layer.
    pub fn new(model: &Model, activations: impl Into<Activations>) -> Result<Self> {
        let (network, activations) = (&model.network, activations.into());
        activations.check(network)?;
        let mut readers = vec![0; network.layers.len() + 1];
        let sources = network.layers.iter().flat_map(|layer| &layer.sources);
        sources.for_each(|source| readers[index(*source)] += 1);
        let mut b =
            Builder { model, stages: Vec::new(), shared: Vec::new(), known: Vec::new(), readers };
        let image = Value::Affine(Origin::Image, Affine::identity(network.input.channels));
        b.learn(image, network.input, None);
        let mut ranges = None;
        for (k, (layer, parameters)) in network.layers.iter().zip(&model.parameters).enumerate() {
            let read = index(layer.sources[0]);
            let shape = b.known[read].shape;
            let mut by_value = None;
            let (value, shape) = match (&layer.kind, parameters) {
                (LayerKind::Conv { .. }, LayerParameters::Linear { weight, bias })
                | (LayerKind::Fc { .. }, LayerParameters::Linear { weight, bias }) => {
                    // The map that was flattened, if one was, is still the shape here.
                    let geometry = match layer.convolution() {
                        Some(own) => b.check_map(layer, read).map(|()| own)?,
                        None => whole(shape, layer.output),
                    };
                    let mut part = LinearPart::new(geometry, weight.clone());
                    let mut bias = bias.clone();
                    if let Some(by_value) = b.known[read].by_value.clone() {
                        by_value.into_layer(&mut part, &mut bias);
                    }
                    (b.convolve(&layer.name, read, part, &bias), geometry.output)
                }
                (LayerKind::AvgPool { window, count_include_pad }, _) => {
                    b.check_map(layer, read)?;
                    let part = averaging(shape, layer.output, window, *count_include_pad);
                    (b.pool(&layer.name, read, part), layer.output)
                }
                (LayerKind::Activation, LayerParameters::Activation { a, b: linear, c }) => {
                    b.check_done(&layer.name, read)?;
                    let each =
                        |numbers| by_channel(numbers, shape).ok_or_else(|| differ_within(layer));
                    let q = Quadratic { a: each(a)?, b: each(linear)?, c: each(c)? };
                    let bound = model.bounds.activations.get(&k).copied();
                    let method = activations.of(&layer.name);
                    let value = match method {
                        ActivationMethod::Quadratic => b.quadratic(&layer.name, read, q, bound),
                        ActivationMethod::Square | ActivationMethod::PairedSquare => {
                            let range = match bound {
                                None if depends_on_range(&q) => {
                                    let ranges = match &mut ranges {
                                        Some(known) => known,
                                        none => none.insert(model.ranges()?),
                                    };
                                    ranges[k]
                                }
                                known => known.unwrap_or(1.0),
                            };
                            let rescale = method == ActivationMethod::Square;
                            b.square(&layer.name, read, &q, bound, range, rescale)
                        }
                    };
                    (value, shape)
                }
                (LayerKind::BatchNorm { .. }, LayerParameters::Affine { scale, shift }) => {
                    let before = b.known[read].by_value.clone();
                    match (by_channel(scale, shape), by_channel(shift, shape), before) {
                        (Some(scale), Some(shift), None) => {
                            let rows: Vec<_> = scale.into_iter().enumerate().collect();
                            (b.scaled(&layer.name, read, &rows, &shift), shape)
                        }
                        (_, _, before) => {
                            by_value = Some(ByValue::new(scale, shift, before.as_ref()));
                            (b.take(read), shape)
                        }
                    }
                }
                (LayerKind::Flatten, _) => {
                    by_value = b.known[read].by_value.clone();
                    (b.take(read), shape)
                }
                (LayerKind::Shortcut { stride, .. }, _) => {
                    b.check_map(layer, read)?;
                    let part = subsample(shape, layer.output, *stride);
                    let bias = vec![0.0; layer.output.channels];
                    (b.convolve(&layer.name, read, part, &bias), layer.output)
                }
                (LayerKind::Add, _) => {
                    let other = index(layer.sources[1]);
                    [read, other].iter().try_for_each(|n| b.check_done(&layer.name, *n))?;
                    let second = b.known[other].shape;
                    if second != shape {
                        let expected = format!("{shape}: flatten behind the sum, or both alike");
                        return Err(Error::layer(&layer.name, "second map", second, expected));
                    }
                    (b.add(&layer.name, read, other), shape)
                }
                _ => {
                    return Err(Error::layer(
                        &layer.name,
                        "parameters",
                        "of another kind of layer",
                        "those of its own kind; build the model with Model::new",
                    ));
                }
            };
            b.learn(value, shape, by_value);
        }
        b.finish(activations)
    }
}

impl Builder<'_> {
    /// Notes what the next layer gives.
    fn learn(&mut self, value: Value, shape: Shape, by_value: Option<ByValue>) {
        let number = self.known.len();
        let shared = self.readers[number] > 1;
        self.known.push(Known { value, shape, by_value, shared });
        if shared {
            // It is computed once.
            self.settle(number);
        }
    }

    /// Adds a stage that reads `sources`.
    pub(super) fn push(
        &mut self,
        name: &str,
        kind: StageKind,
        sources: Vec<Origin>,
        output: Shape,
    ) -> Origin {
        let input = self.shape(sources[0]);
        // A window's sum is at most as many times what it sums.
        let bound = match kind {
            StageKind::SumPool { kernel, .. } => {
                self.bound(sources[0]).map(|b| b * (kernel.0 * kernel.1) as f64)
            }
            _ => None,
        };
        self.stages.push(Stage { name: name.to_owned(), kind, sources, input, output, bound });
        self.shared.push(false);
        Origin::Stage(self.stages.len() - 1)
    }

    pub(super) fn shape(&self, origin: Origin) -> Shape {
        match origin {
            Origin::Image => self.model.network.input,
            Origin::Stage(k) => self.stages[k].output,
        }
    }

    /// Bound of what a stage gives. Of the image itself there is none to note.
    fn bound(&self, origin: Origin) -> Option<f64> {
        match origin {
            Origin::Image => None,
            Origin::Stage(k) => self.stages[k].bound,
        }
    }

    /// Notes a bound of what a stage gives.
    pub(super) fn limit(&mut self, origin: Origin, bound: Option<f64>) {
        if let Origin::Stage(k) = origin {
            self.stages[k].bound = bound.or(self.stages[k].bound);
        }
    }

    /// Makes sure that what number `read` gives is a combination of channels of a stage.
    fn settle(&mut self, read: usize) -> (Origin, Affine) {
        let (origin, affine) = match &self.known[read].value {
            Value::Affine(origin, affine) => (*origin, affine.clone()),
            Value::Sum(Sum { name, .. }) | Value::Pooled { name, .. } => {
                let name = name.clone();
                let sum = self.sum(&name, read);
                let affine = Affine::identity(sum.output().channels);
                let origin = self.stage(sum);
                self.known[read].value = Value::Affine(origin, affine.clone());
                (origin, affine)
            }
        };
        if self.known[read].shared {
            self.share(origin);
        }
        (origin, affine)
    }

    /// Whether it is a stage that one layer reads.
    pub(super) fn is_alone(&self, origin: Origin) -> bool {
        matches!(origin, Origin::Stage(k) if !self.shared[k])
    }

    fn share(&mut self, origin: Origin) {
        if let Origin::Stage(k) = origin {
            self.shared[k] = true;
        }
    }

    /// A sum as a stage.
    pub(super) fn stage(&mut self, sum: Sum) -> Origin {
        let output = sum.output();
        let (sources, mut parts): (Vec<_>, Vec<_>) = sum.parts.into_iter().unzip();
        let shortcuts = parts.split_off(1);
        let main = parts.remove(0);
        let linear = LinearStage { main, shortcuts, bias: sum.bias };
        self.push(&sum.name, StageKind::Linear(linear), sources, output)
    }

    /// Averages over windows of the image as a convolution.
    pub(super) fn window_sum(
        &self,
        name: String,
        (kernel, stride): ((usize, usize), (usize, usize)),
        output: Shape,
    ) -> Sum {
        let input = self.model.network.input;
        let geometry =
            ConvGeometry { input, output, kernel, stride, padding: (0, 0), groups: input.channels };
        let weights = vec![1.0 / (kernel.0 * kernel.1) as f64; geometry.weights()];
        let parts = vec![(Origin::Image, LinearPart::new(geometry, weights))];
        Sum { name, parts, bias: vec![0.0; output.len()] }
    }

    /// What number `read` gives, for the one layer that reads it.
    pub(super) fn take(&mut self, read: usize) -> Value {
        let known = &mut self.known[read];
        // What several read has been settled. A sum may have a hundred million weights, and is not kept twice.
        if matches!(known.value, Value::Sum(_)) {
            let taken = Value::Affine(Origin::Image, Affine::identity(0));
            return std::mem::replace(&mut known.value, taken);
        }
        known.value.clone()
    }

    /// What number `read` gives as a sum, under a name of its own where it has none yet.
    fn sum(&mut self, name: &str, read: usize) -> Sum {
        let shape = self.known[read].shape;
        match self.take(read) {
            Value::Sum(sum) => sum,
            Value::Pooled { kernel, stride, name } => {
                self.window_sum(name, (kernel, stride), shape)
            }
            Value::Affine(origin, affine) => {
                let (part, bias) = affine.before(pointwise(shape));
                Sum { name: name.to_owned(), parts: vec![(origin, part)], bias }
            }
        }
    }

    fn convolve(&mut self, name: &str, read: usize, part: LinearPart, bias: &[f64]) -> Value {
        let area = part.geometry.output.area();
        let (origin, (part, mut map)) = match &self.known[read].value {
            // The convolution does the pool before it as well, if it can.
            Value::Pooled { kernel, stride, .. } => {
                let input = self.model.network.input;
                let factor = 1.0 / (kernel.0 * kernel.1) as f64;
                match merge_window((*kernel, *stride), input, &part) {
                    Ok(mut merged) => {
                        merged.weights.iter_mut().for_each(|w| *w *= factor);
                        let bias = vec![0.0; part.geometry.output.len()];
                        (Origin::Image, (merged, bias))
                    }
                    Err(_) => self.behind(read, part),
                }
            }
            _ => self.behind(read, part),
        };
        map.iter_mut().enumerate().for_each(|(k, y)| *y += bias[k / area]);
        Value::Sum(Sum { name: name.to_owned(), parts: vec![(origin, part)], bias: map })
    }

    /// A convolution of what number `read` gives as one of a stage, and the bias map that comes of its constants.
    fn behind(&mut self, read: usize, part: LinearPart) -> (Origin, (LinearPart, Vec<f64>)) {
        let (origin, affine) = self.settle(read);
        (origin, affine.before(part))
    }

    /// Averages over windows: a convolution where a window reaches into the padding, where the image is scaled, and where
    /// another stage reads the same.
    fn pool(&mut self, name: &str, read: usize, part: LinearPart) -> Value {
        let ConvGeometry { kernel, stride, output, .. } = part.geometry;
        let unread = Value::Affine(Origin::Image, Affine::identity(output.channels));
        let known = &self.known[read].value;
        let is_sum = match known {
            Value::Affine(origin, _) => *known == unread || self.is_alone(*origin),
            Value::Sum(_) | Value::Pooled { .. } => true,
        };
        if part.geometry.is_padded() || !is_sum {
            return self.convolve(name, read, part, &vec![0.0; output.channels]);
        }
        if *known == unread {
            return Value::Pooled { kernel, stride, name: name.to_owned() };
        }
        let (origin, affine) = self.settle(read);
        let held = Shape { channels: self.shape(origin).channels, ..output };
        let pooled = self.push(name, StageKind::SumPool { kernel, stride }, vec![origin], held);
        let factor = 1.0 / (kernel.0 * kernel.1) as f64;
        let rows: Vec<_> = (0..output.channels).map(|k| (k, factor)).collect();
        // The constants are not summed: they are averaged.
        let shift: Vec<f64> = affine.shift.iter().map(|s| s - s * factor).collect();
        Value::Affine(pooled, affine.then(&rows, &shift))
    }

    /// Channel `k` is channel `rows[k].0` of number `read` times `rows[k].1`, plus `shift[k]`.
    pub(super) fn scaled(
        &mut self,
        name: &str,
        read: usize,
        rows: &[(usize, f64)],
        shift: &[f64],
    ) -> Value {
        if let Value::Affine(origin, affine) = &self.known[read].value {
            return Value::Affine(*origin, affine.then(rows, shift));
        }
        let mut sum = self.sum(name, read);
        sum.then(rows, shift);
        Value::Sum(sum)
    }

    fn add(&mut self, name: &str, read: usize, other: usize) -> Value {
        let (mut a, mut b) = (self.sum(name, read), self.sum(name, other));
        // The part that reads what was computed last is the main one.
        if b.parts[0].0 > a.parts[0].0 {
            std::mem::swap(&mut a, &mut b);
        }
        a.parts.append(&mut b.parts);
        a.bias.iter_mut().zip(&b.bias).for_each(|(y, v)| *y += v);
        Value::Sum(a)
    }

    fn finish(mut self, activations: Activations) -> Result<Folded> {
        let last = self.known.len() - 1;
        self.check_done(OUTPUT, last)?;
        let (value, shape) = (self.take(last), self.known[last].shape);
        let origin = match value {
            Value::Affine(origin @ Origin::Stage(_), affine) if affine.is_identity() => origin,
            value => self.plain("output", value, shape),
        };
        self.limit(origin, self.model.bounds.output);
        // Layers that nothing reads, behind the last stage, are no part of the network.
        if let Origin::Stage(k) = origin {
            self.stages.truncate(k + 1);
        }
        let network = &self.model.network;
        let (name, input) = (network.name.clone(), network.input);
        Ok(Folded { name, input, activations, stages: self.stages })
    }
}
