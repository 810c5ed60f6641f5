//! Named weight tensors, read from and written to safetensors files.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

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
}

impl Weights {
    /// Reads a safetensors file; floating-point tensors of 32 or 64 bits are kept, integer ones (batch counters) skipped.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }

    /// Reads safetensors bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| Error::Tensor {
            name: "(whole file)".into(),
            found: e.to_string(),
            expected: "a safetensors file".into(),
        })?;
        let mut weights = Self::default();
        for (name, view) in file.tensors() {
            let bytes = view.data();
            let data: Vec<f64> = match view.dtype() {
                Dtype::F32 => bytes
                    .chunks_exact(4)
                    .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                    .collect(),
                Dtype::F64 => bytes
                    .chunks_exact(8)
                    .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                    .collect(),
                Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
                other => {
                    return Err(Error::Tensor {
                        name,
                        found: format!("type {other:?}"),
                        expected: "F32 or F64; convert the file".into(),
                    });
                }
            };
            if let Some(bad) = data.iter().find(|v| !v.is_finite()) {
                return Err(Error::Tensor {
                    name,
                    found: format!("a value {bad}"),
                    expected: "finite numbers".into(),
                });
            }
            weights.insert(&name, view.shape(), data)?;
        }
        Ok(weights)
    }

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

    /// The data of a tensor of exactly this shape.
    pub fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<&[f64]> {
        let missing = |found: String| Error::Tensor {
            name: name.to_owned(),
            found,
            expected: format!("shape {shape:?}"),
        };
        let tensor = self.get(name).ok_or_else(|| missing("no such tensor".into()))?;
        if tensor.shape != shape {
            return Err(missing(format!("shape {:?}", tensor.shape)));
        }
        Ok(&tensor.data)
    }
}
