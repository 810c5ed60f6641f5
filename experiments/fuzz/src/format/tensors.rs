//! Safetensors files: the length of a header, the header in JSON, and the data.

use std::ops::Range;

use rand::Rng as _;

use super::bytes::{change, few};
use super::tree::Tree;
use super::{Format, MOST_BYTES, Rng};

/// A safetensors file.
#[derive(Debug, Clone, Copy)]
pub struct Tensors;

/// Header and data of a file.
fn parts(input: &[u8]) -> Option<(Tree, &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|n| *n <= rest.len())?;
    let (header, data) = rest.split_at(length);
    Some((Tree::from_json(std::str::from_utf8(header).ok()?)?, data))
}

/// Bytes of a tensor as its type and its extents say, at most [`MOST_BYTES`].
fn size(tensor: &Tree) -> Option<usize> {
    let Tree::Text(kind) = tensor.get("dtype")? else { return None };
    let Tree::List(shape) = tensor.get("shape")? else { return None };
    let each = match kind.as_str() {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        _ => 1,
    };
    shape.iter().try_fold(each, |product: usize, extent| match extent {
        Tree::Whole(n) => {
            let product = product.checked_mul(usize::try_from(*n).ok()?)?;
            Some(product).filter(|n| *n <= MOST_BYTES)
        }
        _ => None,
    })
}

/// Where a tensor says that its data is.
fn place(tensor: &Tree) -> Option<Range<usize>> {
    match tensor.get("data_offsets")? {
        Tree::List(ends) => match ends[..] {
            [Tree::Whole(start), Tree::Whole(end)] => {
                Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Gives every tensor data of the size that it says, one after the other.
fn lay_out(header: &mut Tree, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let Tree::Table(tensors) = header else { return data.to_vec() };
    for (_, tensor) in tensors.iter_mut() {
        let Some(size) = size(tensor) else { continue };
        let old = place(tensor).and_then(|range| data.get(range)).unwrap_or_default();
        let start = out.len();
        if start + size > MOST_BYTES {
            continue;
        }
        out.extend(old.iter().copied().chain(std::iter::repeat(0)).take(size));
        let ends = [start, start + size].map(|end| Tree::Whole(end as i64)).to_vec();
        tensor.set("data_offsets", Tree::List(ends));
    }
    out
}

impl Format for Tensors {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let Some((mut header, data)) = parts(input).filter(|_| rng.random_range(0..16) > 0) else {
            let mut bytes = input.to_vec();
            change(&mut bytes, other, rng);
            return bytes;
        };
        let mut data = data.to_vec();
        if rng.random_range(0..3) > 0 {
            let other = parts(other).map_or(Tree::Empty, |(header, _)| header);
            (0..few(rng)).for_each(|_| header.change(&other, rng));
            if rng.random_range(0..8) > 0 {
                data = lay_out(&mut header, &data);
            }
        } else {
            let length = data.len();
            (0..few(rng)).for_each(|_| change(&mut data, other, rng));
            if rng.random_range(0..8) > 0 {
                data.resize(length, 0);
            }
        }
        let header = header.to_json();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }
}
