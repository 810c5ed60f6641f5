//! Writing safetensors files whose bytes only depend on what is in them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, ensure};
use safetensors::tensor::View;
use serde_json::Value;

/// Bytes of the length that a file begins with.
const LENGTH: usize = 8;

/// A safetensors file of these tensors, as the library makes it, but for the order of its header: the library writes the entries of
/// the metadata in one that differs from call to call (0.6 and 0.8), here all is sorted.
///
/// # Errors
/// What the library refuses.
pub fn serialize<S: AsRef<str> + Ord + std::fmt::Display, V: View>(
    tensors: impl IntoIterator<Item = (S, V)>,
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    let mut file = safetensors::serialize(tensors, metadata)?;
    let (length, rest) = file.split_first_chunk_mut::<LENGTH>().context("a file without length")?;
    let length = usize::try_from(u64::from_le_bytes(*length))?;
    let header = rest.get_mut(..length).context("a header that is cut off")?;
    // Of the metadata, and of each tensor, what is told by name.
    let entries: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(header)?;
    let mut ordered = serde_json::to_vec(&entries)?;
    ensure!(
        ordered.len() <= length,
        "an ordered header of {} bytes, {length} before",
        ordered.len()
    );
    // Padded as the library does.
    ordered.resize(length, b' ');
    header.copy_from_slice(&ordered);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    #[test]
    fn files_of_the_same_content_are_the_same() {
        // Made anew each time: clones have the order of what they are clones of.
        let metadata = || -> HashMap<_, _> {
            (0..12).map(|k| (format!("key {k}"), format!("\"{k}\"\n"))).collect()
        };
        let data: [&[u8]; 4] = [&[], &[1; 4], &[2; 8], &[3; 12]];
        let views = || {
            let view = |(k, data): (u8, &'static [u8])| {
                let shape = vec![usize::from(k)];
                (format!("tensor {k}"), TensorView::new(Dtype::F32, shape, data).unwrap())
            };
            (0u8..).zip(data).map(view).collect::<Vec<_>>()
        };
        let first = serialize(views(), Some(metadata())).unwrap();
        for _ in 0..8 {
            assert_eq!(serialize(views(), Some(metadata())).unwrap(), first);
        }
        let read = SafeTensors::deserialize(&first).unwrap();
        for (k, data) in data.into_iter().enumerate() {
            assert_eq!(read.tensor(&format!("tensor {k}")).unwrap().data(), data);
        }
        let (_, header) = SafeTensors::read_metadata(&first).unwrap();
        assert_eq!(header.metadata().as_ref(), Some(&metadata()));
    }
}
