//! Constants of a model: tensors of numbers, with the values that are known.

use std::rc::Rc;

use super::error::{Result, tensor};

/// Numbers of a constant that the graph may make of fewer.
pub(super) const MOST_REPEATED: usize = 1 << 18;

/// Numbers of a constant.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Floating-point ones.
    Floats(Rc<Vec<f64>>),
    /// Whole ones, and truth values.
    Integers(Rc<Vec<i64>>),
    /// Those of a weight, which are looked at only when the network is known.
    Later,
}

/// A constant, last index fastest.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) data: Data,
}

impl Constant {
    pub(super) fn floats(shape: Vec<usize>, data: Vec<f64>) -> Self {
        Self { shape, data: Data::Floats(Rc::new(data)) }
    }

    pub(super) fn integers(shape: Vec<usize>, data: Vec<i64>) -> Self {
        Self { shape, data: Data::Integers(Rc::new(data)) }
    }

    /// Whole numbers as a list.
    pub(super) fn list(data: Vec<i64>) -> Self {
        Self::integers(vec![data.len()], data)
    }

    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether its numbers are not looked at yet.
    pub(super) fn is_later(&self) -> bool {
        matches!(self.data, Data::Later)
    }

    /// Its numbers, whole ones too; none if they are not known yet.
    pub(super) fn numbers(&self) -> Option<Rc<Vec<f64>>> {
        match &self.data {
            Data::Floats(data) => Some(Rc::clone(data)),
            Data::Integers(data) => Some(Rc::new(data.iter().map(|v| *v as f64).collect())),
            Data::Later => None,
        }
    }

    /// Its whole numbers.
    pub(super) fn whole(&self, name: &str) -> Result<Rc<Vec<i64>>> {
        match &self.data {
            Data::Integers(data) => Ok(Rc::clone(data)),
            Data::Floats(_) => Err(tensor(name, "type", "floating-point", "whole numbers")),
            Data::Later => Err(tensor(name, "type", "a large weight", "a few whole numbers")),
        }
    }

    /// The same numbers in another shape of as many.
    pub(super) fn reshaped(&self, shape: Vec<usize>) -> Self {
        Self { shape, data: self.data.clone() }
    }

    /// Its numbers, each from where `from` says, in another shape.
    pub(super) fn gathered(&self, shape: Vec<usize>, from: &[usize]) -> Self {
        let data = match &self.data {
            Data::Floats(data) => Data::Floats(Rc::new(from.iter().map(|k| data[*k]).collect())),
            Data::Integers(data) => {
                Data::Integers(Rc::new(from.iter().map(|k| data[*k]).collect()))
            }
            Data::Later => Data::Later,
        };
        Self { shape, data }
    }

    /// Its axes in another order: axis `k` is axis `order[k]` of this one.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        let shape: Vec<usize> = order.iter().map(|k| self.shape[*k]).collect();
        if self.is_later() {
            return Self { shape, data: Data::Later };
        }
        let own = strides(&self.shape);
        let steps: Vec<usize> = order.iter().map(|k| own[*k]).collect();
        let from = places(&shape, &steps);
        self.gathered(shape, &from)
    }

    /// Whether its numbers are also those of another constant.
    pub(super) fn is_shared(&self) -> bool {
        match &self.data {
            Data::Floats(data) => Rc::strong_count(data) > 1,
            Data::Integers(data) => Rc::strong_count(data) > 1,
            Data::Later => true,
        }
    }

    /// Its numbers repeated to a shape of at most `most` numbers, as ONNX broadcasts; none if it does not fit.
    pub(super) fn broadcast(&self, shape: &[usize], most: usize) -> Option<Self> {
        if self.shape == shape {
            return Some(self.clone());
        }
        let missing = shape.len().checked_sub(self.shape.len())?;
        let own = strides(&self.shape);
        let mut steps = vec![0; shape.len()];
        for (k, extent) in self.shape.iter().enumerate() {
            match *extent == shape[missing + k] {
                true => steps[missing + k] = own[k],
                false if *extent == 1 => {}
                false => return None,
            }
        }
        let count = shape.iter().try_fold(1usize, |n, e| n.checked_mul(*e))?;
        if count > most {
            return None;
        }
        if self.is_later() {
            return Some(Self { shape: shape.to_vec(), data: Data::Later });
        }
        Some(self.gathered(shape.to_vec(), &places(shape, &steps)))
    }
}

/// Numbers from one index to the next, for each axis.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k];
    }
    strides
}

/// For each index of a shape, in order, where it is if its axes are `steps` apart.
pub(super) fn places(shape: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut all = vec![0];
    for (extent, step) in shape.iter().zip(steps) {
        all = all.iter().flat_map(|at| (0..*extent).map(move |k| at + k * step)).collect();
    }
    all
}

/// The shape that two are broadcast to; none if they do not fit.
pub(super) fn common(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at =
        |shape: &[usize], k: usize| (k + shape.len()).checked_sub(rank).map_or(1, |k| shape[k]);
    (0..rank)
        .map(|k| match (at(a, k), at(b, k)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}
