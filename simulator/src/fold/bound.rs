//! How large the values of a folded activation can be, from the size of its inputs.

use super::Quadratic;

/// The most that `factor_k x + shift_k` is in absolute value, over all `k` and all `x` from `-r` to `r`. Factors are not
/// negative.
pub(super) fn largest_root(rows: &[(usize, f64)], shift: &[f64], r: f64) -> f64 {
    rows.iter().zip(shift).map(|(row, shift)| row.1 * r + shift.abs()).fold(0.0, f64::max)
}

/// The most that `a x^2 + b x + c` is in absolute value, over all channels and all `x` from `-r` to `r`: at an end, or at
/// the vertex if it lies between.
pub(super) fn largest_result(q: &Quadratic, r: f64) -> f64 {
    (0..q.a.len())
        .flat_map(|k| {
            let vertex = -q.b[k] / (2.0 * q.a[k]);
            let at = |x: f64| (q.a[k] * x * x + q.b[k] * x + q.c[k]).abs();
            let inside = vertex.abs() <= r;
            [at(-r), at(r), if inside { at(vertex) } else { 0.0 }]
        })
        .fold(0.0, f64::max)
}
