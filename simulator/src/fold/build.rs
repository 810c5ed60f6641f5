//! Folding a model into stages.

use super::bound::{largest_result, largest_root};
use super::{
    ActivationMethod, Folded, LinearStage, Quadratic, Stage, StageKind, depthwise_identity,
};
use crate::network::{ConvGeometry, LayerKind, LayerParameters, Model, Shape, Source};
use crate::{Error, Result};

/// Per-channel affine map still to be applied: the true value is `scale * v + shift`.
struct Pending {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Pending {
    fn none(channels: usize) -> Self {
        Self { scale: vec![1.0; channels], shift: vec![0.0; channels] }
    }

    fn is_none(&self) -> bool {
        self.scale.iter().all(|s| *s == 1.0) && self.shift.iter().all(|s| *s == 0.0)
    }

    /// Composes with a later `scale * x + shift`.
    fn then(&mut self, scale: &[f64], shift: &[f64]) {
        for k in 0..self.scale.len() {
            self.scale[k] *= scale[k];
            self.shift[k] = self.shift[k] * scale[k] + shift[k];
        }
    }
}

struct Builder {
    stages: Vec<Stage>,
    shape: Shape,
    pending: Pending,
}

impl Folded {
    /// Folds a model. Additions are refused: a folded network is a chain.
    pub fn new(model: &Model, activations: ActivationMethod) -> Result<Self> {
        let network = &model.network;
        let mut b = Builder {
            stages: Vec::new(),
            shape: network.input,
            pending: Pending::none(network.input.channels),
        };
        for (k, (layer, parameters)) in network.layers.iter().zip(&model.parameters).enumerate() {
            let previous = if k == 0 { Source::Input } else { Source::Layer(k - 1) };
            if layer.sources != [previous] {
                return Err(Error::unsupported(
                    &layer.name,
                    "it does not read the layer before it alone; only chains of layers can be lowered so far",
                ));
            }
            if let (Some(geometry), LayerParameters::Linear { weight, bias }) =
                (layer.convolution(), parameters)
            {
                b.linear(&layer.name, geometry, weight, bias);
                continue;
            }
            match (&layer.kind, parameters) {
                (LayerKind::Fc { out, .. }, LayerParameters::Linear { weight, bias }) => {
                    // The map that was flattened, if one was, is still the shape here.
                    let geometry = ConvGeometry {
                        input: b.shape,
                        output: Shape::new(*out, 1, 1),
                        kernel: (b.shape.height, b.shape.width),
                        stride: 1,
                        padding: 0,
                        groups: 1,
                    };
                    b.linear(&layer.name, geometry, weight, bias);
                }
                (LayerKind::AvgPool { kernel, stride }, _) => {
                    let output =
                        Shape::new(b.shape.channels, layer.output.height, layer.output.width);
                    let kind = StageKind::SumPool { kernel: *kernel, stride: *stride };
                    b.push(&layer.name, kind, output);
                    let area = (kernel * kernel) as f64;
                    b.pending.scale.iter_mut().for_each(|s| *s /= area);
                }
                (LayerKind::Activation, LayerParameters::Activation { a, b: lin, c }) => {
                    b.check_unflattened(layer.input, &layer.name)?;
                    let q = Quadratic { a: a.clone(), b: lin.clone(), c: c.clone() };
                    let bound = model.bounds.activations.get(&k).copied();
                    match activations {
                        ActivationMethod::Square => b.square(&layer.name, &q, bound, true)?,
                        ActivationMethod::PairedSquare => {
                            b.square(&layer.name, &q, bound, false)?
                        }
                        ActivationMethod::Quadratic => b.quadratic(&layer.name, q, bound),
                    }
                }
                (LayerKind::BatchNorm { .. }, LayerParameters::Affine { scale, shift }) => {
                    b.check_unflattened(layer.input, &layer.name)?;
                    b.pending.then(scale, shift);
                }
                (LayerKind::Flatten, _) => {}
                (LayerKind::Add | LayerKind::Shortcut { .. }, _) => {
                    return Err(Error::unsupported(
                        &layer.name,
                        "additions and shortcuts cannot be lowered so far",
                    ));
                }
                _ => {
                    return Err(Error::layer(
                        &layer.name,
                        "parameters",
                        "of another kind of layer",
                        "those of its own kind; build the model with Model::new",
                    ));
                }
            }
        }
        b.flush("output");
        b.limit(model.bounds.output);
        Ok(Self { name: network.name.clone(), input: network.input, stages: b.stages })
    }
}

impl Builder {
    fn push(&mut self, name: &str, kind: StageKind, output: Shape) {
        // A window's sum is at most as many times what it sums.
        let bound = match kind {
            StageKind::SumPool { kernel, .. } => self.bound().map(|b| b * (kernel * kernel) as f64),
            _ => None,
        };
        self.stages.push(Stage { name: name.to_owned(), kind, input: self.shape, output, bound });
        self.shape = output;
    }

    /// Per-channel layers after a flatten have one channel per value, which the chain here does not.
    fn check_unflattened(&self, input: Shape, name: &str) -> Result<()> {
        if input.channels != self.shape.channels {
            return Err(Error::layer(
                name,
                "position",
                "after a flatten",
                "before it: flatten just before the fully connected layer",
            ));
        }
        Ok(())
    }

    /// Appends a linear stage that absorbs what is pending.
    fn linear(&mut self, name: &str, geometry: ConvGeometry, weights: &[f64], bias: &[f64]) {
        let area = geometry.output.area();
        let mut stage = LinearStage {
            geometry,
            weights: weights.to_vec(),
            bias: bias.iter().flat_map(|b| std::iter::repeat_n(*b, area)).collect(),
        };
        absorb_before(&mut stage, &self.pending);
        self.push(name, StageKind::Linear(stage), geometry.output);
        self.pending = Pending::none(geometry.output.channels);
    }

    /// Applies what is pending, to the linear stage before if only pools lie between, else by an identity stage.
    fn flush(&mut self, name: &str) {
        if self.pending.is_none() {
            return;
        }
        let last = self.stages.iter().rposition(|s| !matches!(s.kind, StageKind::SumPool { .. }));
        let windows: f64 = self.stages[last.map_or(0, |k| k + 1)..]
            .iter()
            .map(|s| match s.kind {
                StageKind::SumPool { kernel, .. } => (kernel * kernel) as f64,
                _ => 1.0,
            })
            .product();
        let channels = self.shape.channels;
        if let Some(StageKind::Linear(stage)) = last.map(|k| &mut self.stages[k].kind) {
            let (area, fan_in) = (stage.geometry.output.area(), stage.geometry.fan_in());
            for o in 0..channels {
                let (scale, shift) = (self.pending.scale[o], self.pending.shift[o] / windows);
                stage.weights[o * fan_in..][..fan_in].iter_mut().for_each(|w| *w *= scale);
                stage.bias[o * area..][..area].iter_mut().for_each(|b| *b = *b * scale + shift);
            }
            self.pending = Pending::none(channels);
        } else {
            let identity = depthwise_identity(self.shape);
            let bias = vec![0.0; channels];
            self.linear(&format!("{name}.affine"), identity.geometry, &identity.weights, &bias);
        }
    }

    fn square(
        &mut self,
        name: &str,
        Quadratic { a, b, c }: &Quadratic,
        bound: Option<f64>,
        rescale: bool,
    ) -> Result<()> {
        if a.iter().all(|v| *v == 0.0) {
            self.pending.then(b, c);
            return Ok(());
        }
        if let Some(k) = a.iter().position(|v| *v == 0.0) {
            return Err(Error::unsupported(
                name,
                format!(
                    "the quadratic coefficient of channel {k} is zero, so it is no square; use the quadratic method"
                ),
            ));
        }
        let root: Vec<f64> = a.iter().map(|v| v.abs().sqrt()).collect();
        let shift: Vec<f64> = (0..a.len()).map(|k| root[k] * b[k] / (2.0 * a[k])).collect();
        self.pending.then(&root, &shift);
        self.flush(name);
        let bound = bound.map(|r| largest_root(&root, &shift, r));
        self.limit(bound);
        let shape = self.shape;
        self.push(name, StageKind::Square { rescale }, shape);
        self.limit(bound.map(|v| v * v));
        self.pending = Pending {
            scale: a.iter().map(|v| v.signum()).collect(),
            shift: (0..a.len()).map(|k| c[k] - b[k] * b[k] / (4.0 * a[k])).collect(),
        };
        Ok(())
    }

    fn quadratic(&mut self, name: &str, q: Quadratic, bound: Option<f64>) {
        self.flush(name);
        self.limit(bound);
        let (shape, result) = (self.shape, bound.map(|r| largest_result(&q, r)));
        self.push(name, StageKind::Quadratic(q), shape);
        self.limit(result);
    }

    /// Bound of what the stages so far give.
    fn bound(&self) -> Option<f64> {
        self.stages.last().and_then(|s| s.bound)
    }

    /// Notes a bound of what the stages so far give. Of the image itself there is none to note.
    fn limit(&mut self, bound: Option<f64>) {
        if let Some(last) = self.stages.last_mut() {
            last.bound = bound.or(last.bound);
        }
    }
}

/// Makes `stage(scale v + shift)` out of `stage(v)`; the shift does not reach the zero padding.
fn absorb_before(stage: &mut LinearStage, pending: &Pending) {
    if pending.is_none() {
        return;
    }
    let g = stage.geometry;
    let (kh, kw) = g.kernel;
    let per_out = g.input.channels / g.groups;
    for o in 0..g.output.channels {
        let mut constant = vec![0.0; kh * kw];
        for k in 0..per_out {
            let i = g.input_channel(o, k);
            for (w, sum) in stage.weights[(o * per_out + k) * kh * kw..][..kh * kw]
                .iter_mut()
                .zip(&mut constant)
            {
                *sum += *w * pending.shift[i];
                *w *= pending.scale[i];
            }
        }
        for y in 0..g.output.height {
            for x in 0..g.output.width {
                let mut sum = 0.0;
                for ky in 0..kh {
                    for kx in 0..kw {
                        let (iy, ix) = (g.input_coordinate(y, ky), g.input_coordinate(x, kx));
                        let inside = (0..g.input.height as isize).contains(&iy)
                            && (0..g.input.width as isize).contains(&ix);
                        if inside {
                            sum += constant[ky * kw + kx];
                        }
                    }
                }
                stage.bias[o * g.output.area() + y * g.output.width + x] += sum;
            }
        }
    }
}
