//! Writing safetensors files whose bytes only depend on what is in them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, ensure};
use safetensors::tensor::View;
use serde_json::Value;

/// Bytes of the length that a file begins with.
const LENGTH: usize = 8;

/// A safetensors file of these tensors. The library writes the entries of the metadata in an order that differs from call to call
/// (0.6 and 0.8); here they are sorted, and so are the tensors of the header.
///
/// # Errors
/// What the library refuses.
pub fn serialize<S: AsRef<str> + Ord + std::fmt::Display, V: View>(
    tensors: impl IntoIterator<Item = (S, V)>,
    metadata: BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let unordered: HashMap<_, _> = metadata.clone().into_iter().collect();
    let unordered = (!unordered.is_empty()).then_some(unordered);
    let mut file = safetensors::serialize(tensors, unordered)?;
    let (length, rest) = file.split_first_chunk_mut::<LENGTH>().context("a file without length")?;
    let length = usize::try_from(u64::from_le_bytes(*length))?;
    let header = rest.get_mut(..length).context("a header that is cut off")?;
    let mut entries: BTreeMap<String, Value> = serde_json::from_slice(header)?;
    if let Some(found) = entries.get_mut("__metadata__") {
        *found = serde_json::to_value(metadata)?;
    }
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
        let metadata: BTreeMap<_, _> =
            (0..12).map(|k| (format!("key {k}"), format!("\"{k}\"\n"))).collect();
        let data: [&[u8]; 4] = [&[], &[1; 4], &[2; 8], &[3; 12]];
        let views = || {
            let view = |(k, data): (u8, &'static [u8])| {
                let shape = vec![usize::from(k)];
                (format!("tensor {k}"), TensorView::new(Dtype::F32, shape, data).unwrap())
            };
            (0u8..).zip(data).map(view).collect::<Vec<_>>()
        };
        let first = serialize(views(), metadata.clone()).unwrap();
        for _ in 0..8 {
            assert_eq!(serialize(views(), metadata.clone()).unwrap(), first);
        }
        let read = SafeTensors::deserialize(&first).unwrap();
        for (k, data) in data.into_iter().enumerate() {
            assert_eq!(read.tensor(&format!("tensor {k}")).unwrap().data(), data);
        }
        let (_, header) = SafeTensors::read_metadata(&first).unwrap();
        let found: BTreeMap<_, _> = header.metadata().clone().unwrap().into_iter().collect();
        assert_eq!(found, metadata);
    }
}
