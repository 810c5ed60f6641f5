//! Images and labels in a safetensors file.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::array::{Array, Kind, pick};
use super::{DataError, Images, array};

pub(super) fn load(
    path: &Path,
    shape: (usize, usize, usize),
    limit: Option<usize>,
) -> Result<Images, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::read(path, &e))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| DataError::format(path, "its contents", e, "a safetensors file"))?;
    let names: Vec<String> = file.names().into_iter().map(|name| name.to_string()).collect();
    let (images, labels) = pick(path, &names)?;
    let read = |name: &str, limit: Option<usize>| {
        let view = file
            .tensor(name)
            .map_err(|e| DataError::format(path, "its contents", e, "a tensor of that name"))?;
        let kind = match view.dtype() {
            Dtype::U8 | Dtype::BOOL => Kind::Unsigned(1),
            Dtype::I8 => Kind::Signed(1),
            Dtype::U16 => Kind::Unsigned(2),
            Dtype::I16 => Kind::Signed(2),
            Dtype::U32 => Kind::Unsigned(4),
            Dtype::I32 => Kind::Signed(4),
            Dtype::U64 => Kind::Unsigned(8),
            Dtype::I64 => Kind::Signed(8),
            Dtype::F16 => Kind::F16,
            Dtype::F32 => Kind::F32,
            Dtype::F64 => Kind::F64,
            other => {
                let expected = "whole numbers, F16, F32 or F64";
                return Err(DataError::format(
                    path,
                    "a type",
                    format!("{name}: {other:?}"),
                    expected,
                ));
            }
        };
        let shape = view.shape().to_vec();
        let count = shape.first().copied().unwrap_or(0);
        let record = view.data().len().checked_div(count).unwrap_or(0);
        let kept = limit.unwrap_or(count).min(count);
        let bytes = view.data()[..kept * record].to_vec();
        Ok(Array { name: name.to_owned(), shape, numbers: kind.numbers(bytes, false) })
    };
    let labels = labels.map(|name| read(&name, None)).transpose()?;
    array::images(path, read(&images, limit)?, labels, shape, limit)
}
