//! Named weight tensors, read from and written to safetensors files.
//!
//! Beside plain floating-point tensors of 16, 32 or 64 bits, a file may hold three smaller forms of a tensor `X`:
//! - rounded: `X` of type I8 with `X.step`, one step for each first index; a value is the integer times its step;
//! - sparse: `X.shape` (I64, the extents), `X.kept` (U8, one bit for each value of the dense tensor in reading order,
//!   least significant bit first, in as few bytes as hold them, spare bits zero) and `X.values` (the values whose bit
//!   is set, in reading order, floating-point or I8 with `X.step`). All others are zero;
//! - cyclic: `X.shape` (two extents, rows and columns), `X.cyclic` (I64: shift, stride) and `X.values`, the same number in
//!   each row: the `k`-th value of row `o` is in column `(shift * o + stride * k) mod columns`. All others are zero.
//!
//! All are read as the dense tensor `X` that they stand for.

mod cyclic;
mod read;
mod small;

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::{Error, Result};

/// A dense tensor, last index fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Extents.
    pub shape: Vec<usize>,
    /// Values.
    pub data: Vec<f64>,
}

/// Weight tensors by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    /// Shapes of tensors of the file that were not read.
    passed_over: BTreeMap<String, Vec<usize>>,
}

/// Most names in a message, and most characters of each.
const MOST_NAMES: usize = 8;
const MOST_CHARACTERS: usize = 60;

impl Weights {
    /// Writes all tensors as 64-bit floats.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes: Vec<Vec<u8>> = self
            .tensors
            .values()
            .map(|t| t.data.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let bad = |e: safetensors::SafeTensorError| Error::Tensor {
            name: "(whole file)".into(),
            found: e.to_string(),
            expected: "tensors that safetensors accepts".into(),
        };
        let mut views = Vec::new();
        for ((name, tensor), raw) in self.tensors.iter().zip(&bytes) {
            let view = TensorView::new(Dtype::F64, tensor.shape.clone(), raw).map_err(bad)?;
            views.push((name.clone(), view));
        }
        let file = safetensors::serialize(views, None).map_err(bad)?;
        std::fs::write(path, file).map_err(|source| Error::Io { path: path.to_owned(), source })
    }

    /// Adds a tensor; its data must have as many values as its shape says.
    pub fn insert(&mut self, name: &str, shape: &[usize], data: Vec<f64>) -> Result<()> {
        let len = shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b));
        if len != Some(data.len()) {
            return Err(Error::Tensor {
                name: name.to_owned(),
                found: format!("{} values", data.len()),
                expected: format!("a shape {shape:?} full of them"),
            });
        }
        self.tensors.insert(name.to_owned(), Tensor { shape: shape.to_vec(), data });
        Ok(())
    }

    /// The tensor of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Notes a tensor that was not read.
    fn pass_over(&mut self, name: &str, shape: Vec<usize>) {
        self.passed_over.insert(name.to_owned(), shape);
    }

    /// The data of a tensor of exactly this shape.
    ///
    /// # Errors
    /// [`Error::Tensor`] where there is none; it tells which names there are, the most alike first.
    pub fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<&[f64]> {
        let fault = |found: String| Error::Tensor {
            name: name.to_owned(),
            found,
            expected: format!("shape {shape:?}"),
        };
        match (self.get(name), self.passed_over.get(name)) {
            (Some(tensor), _) if tensor.shape == shape => Ok(&tensor.data),
            (Some(Tensor { shape, .. }), _) | (None, Some(shape)) => {
                Err(fault(format!("shape {shape:?}")))
            }
            (None, None) => Err(fault(format!("no such tensor; {}", self.names_like(name)))),
        }
    }

    /// The data of a tensor of exactly this shape, which is no longer here then.
    ///
    /// # Errors
    /// Those of [`Self::expect_shape`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        self.expect_shape(name, shape)?;
        Ok(self.tensors.remove(name).map(|tensor| tensor.data).unwrap_or_default())
    }

    /// What tensors there are, the names most like `name` first.
    fn names_like(&self, name: &str) -> String {
        let mut names: Vec<&String> = self.tensors.keys().chain(self.passed_over.keys()).collect();
        let likeness = |other: &str| {
            // Long ones only cost time.
            let cut: String = other.chars().take(4 * MOST_CHARACTERS).collect();
            strsim::jaro_winkler(name, &cut)
        };
        names.sort_by_cached_key(|other| std::cmp::Reverse((likeness(other) * 1e9) as u64));
        let shown: Vec<String> = names
            .iter()
            .take(MOST_NAMES)
            .map(|name| match name.char_indices().nth(MOST_CHARACTERS) {
                Some((end, _)) => format!("{:?}...", &name[..end]),
                None => format!("{name:?}"),
            })
            .collect();
        match names.len() {
            0 => "the file has none".into(),
            n if n <= MOST_NAMES => format!("the file has {}", shown.join(", ")),
            n => format!("the file has {} and {} more", shown.join(", "), n - MOST_NAMES),
        }
    }
}
