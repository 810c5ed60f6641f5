//! Reading a weight file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Weights, small};
use crate::{Error, Result};

/// The tensors of a file.
pub(super) type Views<'a> = BTreeMap<String, TensorView<'a>>;

impl Weights {
    /// Reads a safetensors file, as [`Self::from_bytes`] does.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Self::from_bytes`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }

    /// Reads safetensors bytes: floating-point, rounded and sparse tensors. Other integer tensors (batch counters) are
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Tensor`] for bytes that are no safetensors file, a type not read, a value that is not finite, and a
    /// rounded or sparse tensor whose parts are missing or do not fit together.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| Error::Tensor {
            name: "(whole file)".into(),
            found: e.to_string(),
            expected: "a safetensors file".into(),
        })?;
        let views: Views<'_> = file.tensors().into_iter().collect();
        let sparse: BTreeSet<&str> =
            views.keys().filter_map(|name| small::sparse_part(name)).collect();
        let mut weights = Self::default();
        for name in sparse {
            let (shape, data) = small::sparse(name, &views)?;
            weights.insert(name, &shape, data)?;
        }
        for (name, view) in &views {
            if small::sparse_part(name).is_some() {
                continue;
            }
            if let Some(owner) = name.strip_suffix(small::STEP) {
                small::check_owner(owner, &views)?;
                continue;
            }
            let data = match view.dtype() {
                Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
                Dtype::I8 => small::rounded(name, view, &views)?,
                _ => numbers(name, view)?,
            };
            weights.insert(name, view.shape(), data)?;
        }
        Ok(weights)
    }
}

/// The values of a floating-point tensor, which must be finite.
pub(super) fn numbers(name: &str, view: &TensorView<'_>) -> Result<Vec<f64>> {
    let bytes = view.data();
    let values: Vec<f64> = match view.dtype() {
        Dtype::F16 => words(bytes).map(|b| f64::from(f16::from_le_bytes(b))).collect(),
        Dtype::BF16 => words(bytes).map(|b| f64::from(bf16::from_le_bytes(b))).collect(),
        Dtype::F32 => words(bytes).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
        Dtype::F64 => words(bytes).map(f64::from_le_bytes).collect(),
        other => {
            return Err(fault(
                name,
                format!("type {other:?}"),
                "F16, BF16, F32, F64, or I8 with a step; convert the file",
            ));
        }
    };
    match values.iter().find(|v| !v.is_finite()) {
        Some(bad) => Err(fault(name, format!("a value {bad}"), "finite numbers")),
        None => Ok(values),
    }
}

/// Bytes in words of `N`; safetensors has checked that there are whole ones.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

pub(super) fn fault(name: &str, found: impl ToString, expected: impl ToString) -> Error {
    Error::Tensor {
        name: name.to_owned(),
        found: found.to_string(),
        expected: expected.to_string(),
    }
}
