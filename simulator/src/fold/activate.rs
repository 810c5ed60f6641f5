//! Activations as stages: squares or quadratics, whose inputs are the channels of a stage with nothing left to be done.

use super::affine::{Affine, Sum, Value};
use super::bound::{largest_result, largest_root};
use super::build::Builder;
use super::complete::Squares;
use super::parts::pointwise;
use super::{Origin, Quadratic, StageKind};
use crate::network::Shape;

impl Builder<'_> {
    /// A value as the channels of a stage that nothing else reads, without factors or constants left over.
    pub(super) fn plain(&mut self, name: &str, value: Value, shape: Shape) -> Origin {
        let (origin, affine) = match value {
            Value::Sum(sum) => return self.stage(sum),
            Value::Pooled { kernel, stride, name } => {
                let sum = self.window_sum(name, (kernel, stride), shape);
                return self.stage(sum);
            }
            Value::Affine(origin, affine) => (origin, affine),
        };
        if self.is_alone(origin) && (affine.is_identity() || self.absorb(origin, &affine)) {
            return origin;
        }
        let shape = Shape { channels: affine.terms.len(), ..shape };
        let (part, bias) = affine.before(pointwise(shape));
        self.stage(Sum { name: format!("{name}.affine"), parts: vec![(origin, part)], bias })
    }

    /// Puts factors and constants into the linear stage before, if only pools lie between and nothing else reads any of
    /// them. Tells whether it did.
    fn absorb(&mut self, origin: Origin, affine: &Affine) -> bool {
        let Some(factors) = affine.diagonal() else { return false };
        let (mut at, mut windows) = (origin, 1.0);
        loop {
            let Origin::Stage(k) = at else { return false };
            if !self.is_alone(at) {
                return false;
            }
            match &mut self.stages[k].kind {
                StageKind::SumPool { kernel, .. } => {
                    windows *= (kernel.0 * kernel.1) as f64;
                    at = self.stages[k].sources[0];
                }
                StageKind::Linear(stage) => {
                    let area = stage.geometry.output.area();
                    stage.parts_mut().for_each(|part| part.scale_outputs(&factors));
                    for (k, b) in stage.bias.iter_mut().enumerate() {
                        let channel = k / area;
                        *b = *b * factors[channel] + affine.shift[channel] / windows;
                    }
                    return true;
                }
                StageKind::Square { .. } | StageKind::Quadratic(_) => return false,
            }
        }
    }

    pub(super) fn square(
        &mut self,
        name: &str,
        read: usize,
        q: &Quadratic,
        bound: Option<f64>,
        range: f64,
        rescale: bool,
    ) -> Value {
        let shape = self.known[read].shape;
        if q.a.iter().all(|v| *v == 0.0) {
            let rows: Vec<_> = q.b.iter().copied().enumerate().collect();
            return self.scaled(name, read, &rows, &q.c);
        }
        let squares = Squares::new(q, &vec![range; shape.channels]);
        let value = self.scaled(name, read, &squares.rows, &squares.shift);
        let origin = self.plain(name, value, shape);
        let bound = bound.map(|r| largest_root(&squares.rows, &squares.shift, r));
        self.limit(origin, bound);
        let held = Shape { channels: squares.rows.len(), ..shape };
        let square = self.push(name, StageKind::Square { rescale }, vec![origin], held);
        self.limit(square, bound.map(|v| v * v));
        let affine =
            Affine { terms: squares.terms, shift: squares.constants, from: squares.rows.len() };
        Value::Affine(square, affine)
    }

    pub(super) fn quadratic(
        &mut self,
        name: &str,
        read: usize,
        q: Quadratic,
        bound: Option<f64>,
    ) -> Value {
        let (value, shape) = (self.take(read), self.known[read].shape);
        let origin = self.plain(name, value, shape);
        self.limit(origin, bound);
        let result = bound.map(|r| largest_result(&q, r));
        let stage = self.push(name, StageKind::Quadratic(q), vec![origin], shape);
        self.limit(stage, result);
        Value::Affine(stage, Affine::identity(shape.channels))
    }
}
