//! The smaller forms of a tensor: rounded to 8 bits, and those that leave zeros out.

use safetensors::tensor::{Dtype, TensorView};

use super::cyclic;
use super::read::{Views, fault, numbers, words};
use crate::Result;

/// Ending of the name of a rounded tensor's steps.
pub(super) const STEP: &str = ".step";
pub(super) const SHAPE: &str = ".shape";
pub(super) const KEPT: &str = ".kept";
pub(super) const VALUES: &str = ".values";

/// The sparse tensor that a tensor of this name is a part of.
pub(super) fn sparse_part(name: &str) -> Option<&str> {
    [SHAPE, KEPT, cyclic::CYCLIC, VALUES].iter().find_map(|ending| name.strip_suffix(ending))
}

/// Checks that steps belong to a tensor of integers.
pub(super) fn check_owner(owner: &str, views: &Views<'_>) -> Result<()> {
    let values = views.get(owner).or_else(|| views.get(&format!("{owner}{VALUES}")));
    match values.map(TensorView::dtype) {
        Some(Dtype::I8) => Ok(()),
        other => {
            let found = other.map_or("none".into(), |t| format!("one of type {t:?}"));
            let expected = format!("a tensor {owner} or {owner}{VALUES} of type I8");
            Err(fault(&format!("{owner}{STEP}"), found, expected))
        }
    }
}

/// The values of a rounded tensor.
pub(super) fn rounded(name: &str, view: &TensorView<'_>, views: &Views<'_>) -> Result<Vec<f64>> {
    let steps = Steps::new(name, view.shape(), view.data().len(), views)?;
    let integers = view.data().iter().map(|b| b.cast_signed());
    Ok(integers.enumerate().map(|(k, q)| steps.value(k, q)).collect())
}

/// Shape and values of the dense tensor that a sparse one stands for; no values if there are over `most`.
pub(super) fn sparse(
    name: &str,
    views: &Views<'_>,
    most: usize,
) -> Result<(Vec<usize>, Option<Vec<f64>>)> {
    if views.contains_key(name) {
        return Err(fault(name, "the tensor and also its sparse form", "one of them"));
    }
    let shape = shape(name, views)?;
    if views.contains_key(&format!("{name}{}", cyclic::CYCLIC)) {
        let data = cyclic::dense(name, &shape, views, most)?;
        return Ok((shape, data));
    }
    let bits = part(name, KEPT, views, &[Dtype::U8])?.data();
    let kept_name = format!("{name}{KEPT}");
    let length = shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
    // The bits are there, so that a length that fits them is no larger than the file allows.
    let Some(length) = length.filter(|n| n.div_ceil(8) == bits.len()) else {
        let needed = length.map_or("more than can be".into(), |n| n.div_ceil(8).to_string());
        return Err(fault(
            &kept_name,
            format!("{} bytes", bits.len()),
            format!("{needed}, a bit for each value of shape {shape:?}"),
        ));
    };
    if let Some(last) = bits.last().filter(|_| !length.is_multiple_of(8))
        && last >> (length % 8) != 0
    {
        return Err(fault(&kept_name, "spare bits that are set", "zeros after the last value"));
    }
    let values = values(name, views)?;
    let count: usize = bits.iter().map(|b| b.count_ones() as usize).sum();
    if values.shape()[0] != count {
        let found = format!("{} values", values.shape()[0]);
        return Err(fault(
            &format!("{name}{VALUES}"),
            found,
            format!("{count}, one for each bit that is set"),
        ));
    }
    if length > most {
        return Ok((shape, None));
    }
    let places = (0..length).filter(|k| bits[k / 8] >> (k % 8) & 1 == 1);
    let dense = placed(name, &shape, length, places, views)?;
    Ok((shape, Some(dense)))
}

/// The values that a sparse tensor has.
pub(super) fn values<'a, 'b>(name: &str, views: &'b Views<'a>) -> Result<&'b TensorView<'a>> {
    part(name, VALUES, views, &[Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64, Dtype::I8])
}

/// The dense tensor of this shape and `length` with the values of a sparse one in `places`, zeros elsewhere.
pub(super) fn placed(
    name: &str,
    shape: &[usize],
    length: usize,
    places: impl Iterator<Item = usize>,
    views: &Views<'_>,
) -> Result<Vec<f64>> {
    let values = values(name, views)?;
    let mut dense = vec![0.0; length];
    if values.dtype() == Dtype::I8 {
        let steps = Steps::new(name, shape, length, views)?;
        for (place, byte) in places.zip(values.data()) {
            dense[place] = steps.value(place, byte.cast_signed());
        }
    } else {
        for (place, value) in places.zip(numbers(&format!("{name}{VALUES}"), values)?) {
            dense[place] = value;
        }
    }
    Ok(dense)
}

/// A part of a sparse tensor: a list of one of these types.
pub(super) fn part<'a, 'b>(
    name: &str,
    ending: &str,
    views: &'b Views<'a>,
    types: &[Dtype],
) -> Result<&'b TensorView<'a>> {
    let name = format!("{name}{ending}");
    let view = views.get(&name).ok_or_else(|| {
        fault(
            &name,
            "no such tensor",
            "all three parts of a sparse one: shape, kept (or cyclic), values",
        )
    })?;
    if !types.contains(&view.dtype()) {
        let expected = types.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(", ");
        return Err(fault(&name, format!("type {:?}", view.dtype()), expected));
    }
    list(&name, view)?;
    Ok(view)
}

fn list(name: &str, view: &TensorView<'_>) -> Result<()> {
    match view.shape() {
        [_] => Ok(()),
        other => Err(fault(name, format!("shape {other:?}"), "a list, of one dimension")),
    }
}

/// Extents of a sparse tensor.
fn shape(name: &str, views: &Views<'_>) -> Result<Vec<usize>> {
    words(part(name, SHAPE, views, &[Dtype::I64])?.data())
        .map(i64::from_le_bytes)
        .map(|extent| {
            usize::try_from(extent).map_err(|_| {
                fault(&format!("{name}{SHAPE}"), format!("an extent {extent}"), "at least 0")
            })
        })
        .collect()
}

/// One step for each first index.
struct Steps {
    steps: Vec<f64>,
    /// Values that share a step.
    each: usize,
}

impl Steps {
    /// The steps of a tensor of this shape with `length` values.
    fn new(owner: &str, shape: &[usize], length: usize, views: &Views<'_>) -> Result<Self> {
        let name = format!("{owner}{STEP}");
        let view = views.get(&name).ok_or_else(|| {
            fault(&name, "no such tensor", format!("steps of {owner}, which has type I8"))
        })?;
        list(&name, view)?;
        let Some(first) = shape.first() else {
            return Err(fault(owner, "a tensor without dimensions", "one index at least"));
        };
        if view.shape() != [*first] {
            return Err(fault(
                &name,
                format!("shape {:?}", view.shape()),
                format!("[{first}], one for each first index of {owner}"),
            ));
        }
        let steps = numbers(&name, view)?;
        if let Some(bad) = steps.iter().find(|s| **s < 0.0) {
            return Err(fault(&name, format!("a step {bad}"), "steps of at least 0"));
        }
        Ok(Self { steps, each: (length / (*first).max(1)).max(1) })
    }

    /// Value of the integer at index `at` of the dense tensor.
    fn value(&self, at: usize, integer: i8) -> f64 {
        f64::from(integer) * self.steps[at / self.each]
    }
}
