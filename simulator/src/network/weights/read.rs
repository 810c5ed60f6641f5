//! Reading a weight file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Weights, small};
use crate::network::{MOST_NUMBERS, Network, OUTPUT};
use crate::{Error, Result};

/// The tensors of a file.
pub(super) type Views<'a> = BTreeMap<String, TensorView<'a>>;

impl Weights {
    /// Reads a safetensors file, as [`Self::from_bytes`] does.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Self::from_bytes`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_bytes(&bytes(path)?)
    }

    /// Reads of a safetensors file what may be a network's: tensors that are named for one of its layers and have no more
    /// values than all the numbers of that layer. Of others, whatever they hold, only name and shape are kept, so that
    /// reading takes no more memory than the file and the network.
    ///
    /// # Errors
    /// [`Error::Io`], and those of [`Self::from_bytes`].
    pub fn read_for(network: &Network, path: &Path) -> Result<Self> {
        let most: BTreeMap<&str, usize> = network
            .layers
            .iter()
            .map(|l| (l.name.as_str(), l.numbers().unwrap_or(0).max(1)))
            .chain([(OUTPUT, 1)])
            .collect();
        let of_name = |name: &str| {
            name.rsplit_once('.').and_then(|(layer, _)| most.get(layer)).copied().unwrap_or(0)
        };
        Self::parse(&bytes(path)?, &of_name)
    }

    /// Reads safetensors bytes: floating-point, rounded and sparse tensors. Other integer tensors (batch counters) are
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Tensor`] for bytes that are no safetensors file, a type not read, a value that is not finite, and a
    /// rounded or sparse tensor whose parts are missing or do not fit together.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes, &|_| MOST_NUMBERS)
    }

    /// Reads the tensors that have at most as many values as `most` says for their names.
    fn parse(bytes: &[u8], most: &dyn Fn(&str) -> usize) -> Result<Self> {
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
            match small::sparse(name, &views, most(name))? {
                (shape, Some(data)) => weights.insert(name, &shape, data)?,
                (shape, None) => weights.pass_over(name, shape),
            }
        }
        for (name, view) in &views {
            if small::sparse_part(name).is_some() {
                continue;
            }
            if let Some(owner) = name.strip_suffix(small::STEP) {
                small::check_owner(owner, &views)?;
                continue;
            }
            if view.shape().iter().product::<usize>() > most(name) {
                weights.pass_over(name, view.shape().to_vec());
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

/// The bytes of a weight file.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    const MOST: u64 = (MOST_NUMBERS * size_of::<f64>()) as u64;
    let io = |source| Error::Io { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > MOST {
        return Err(fault("(whole file)", format!("{length} bytes"), format!("at most {MOST}")));
    }
    std::fs::read(path).map_err(io)
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
