//! The cyclic form of a matrix: as many values in each row, a stride apart, each row's further on by a shift.

use safetensors::tensor::Dtype;

use super::read::{Views, fault, words};
use super::small::{KEPT, SHAPE, VALUES, part, placed, values};
use crate::Result;

/// Ending of the name of a cyclic tensor's shift and stride.
pub(super) const CYCLIC: &str = ".cyclic";

/// Where the values of a cyclic matrix are.
#[derive(Clone, Copy)]
struct Pattern {
    shift: usize,
    stride: usize,
    /// Values in each row.
    count: usize,
    columns: usize,
}

impl Pattern {
    /// Columns of the values of a row, in order.
    fn row(self, row: usize) -> impl Iterator<Item = usize> {
        // Shift times row is less than the values of the dense matrix.
        let first = self.shift * row % self.columns;
        let next = move |column: &usize| Some((column + self.stride) % self.columns);
        std::iter::successors(Some(first), next).take(self.count)
    }

    /// Whether no two values of a row are in one column.
    fn apart(self) -> bool {
        let (mut a, mut b) = (self.columns, self.stride);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        self.count <= self.columns / a
    }
}

/// The values of the matrix of this shape that a cyclic tensor stands for; none if there are over `most`.
pub(super) fn dense(
    name: &str,
    shape: &[usize],
    views: &Views<'_>,
    most: usize,
) -> Result<Option<Vec<f64>>> {
    if views.contains_key(&format!("{name}{KEPT}")) {
        return Err(fault(&format!("{name}{CYCLIC}"), "also a bitmap", "one of them"));
    }
    let [rows, columns] = shape[..] else {
        return Err(fault(&format!("{name}{SHAPE}"), format!("{shape:?}"), "rows and columns"));
    };
    let pattern_name = format!("{name}{CYCLIC}");
    let numbers: Vec<i64> =
        words(part(name, CYCLIC, views, &[Dtype::I64])?.data()).map(i64::from_le_bytes).collect();
    let below = |number: &i64| usize::try_from(*number).ok().filter(|n| *n < columns);
    let (Some(shift), Some(stride), 2) =
        (numbers.first().and_then(below), numbers.get(1).and_then(below), numbers.len())
    else {
        let expected = format!("shift and stride, both from 0 to below {columns}, the columns");
        return Err(fault(&pattern_name, format!("{numbers:?}"), expected));
    };
    let found = values(name, views)?.shape()[0];
    let count = found.checked_div(rows).unwrap_or(0);
    if count * rows != found {
        let expected = format!("as many in each of {rows} rows");
        return Err(fault(&format!("{name}{VALUES}"), format!("{found} values"), expected));
    }
    let pattern = Pattern { shift, stride, count, columns };
    if !pattern.apart() {
        let expected = format!("a stride with which {count} values of a row have columns apart");
        return Err(fault(&pattern_name, format!("stride {stride}"), expected));
    }
    let Some(length) = rows.checked_mul(columns).filter(|length| *length <= most) else {
        return Ok(None);
    };
    let places =
        (0..rows).flat_map(|row| pattern.row(row).map(move |column| row * columns + column));
    placed(name, shape, length, places, views).map(Some)
}
