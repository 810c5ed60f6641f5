//! Roots of unity, and the order in which the embedding takes them.

use std::f64::consts::TAU;

/// `exp(2 pi i k / m)` with `m` a multiple of 8, each part correct to one unit in the last place.
pub(super) fn root(k: usize, m: usize) -> (f64, f64) {
    let k = k % m;
    let octant = k / (m / 8);
    // Odd octants are mirrored, so that the angle is at most pi/4.
    let rest = k % (m / 8);
    let rest = if octant % 2 == 1 { m / 8 - rest } else { rest };
    let (s, c) = (TAU * (rest as f64 / m as f64)).sin_cos();
    match octant {
        0 => (c, s),
        1 => (s, c),
        2 => (-s, c),
        3 => (-c, s),
        4 => (-c, -s),
        5 => (-s, -c),
        6 => (s, -c),
        _ => (c, -s),
    }
}

/// `5^j mod 4 len` for `j < count`.
pub(super) fn powers_of_five(count: usize, len: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), move |&g| Some(g * 5 % (4 * len))).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_lie_on_the_circle() {
        for (k, expected) in [(0, (1.0, 0.0)), (4, (0.0, 1.0)), (8, (-1.0, 0.0)), (12, (0.0, -1.0))]
        {
            assert_eq!(root(k, 16), expected);
        }
        for k in 0..64 {
            let (c, s) = root(k, 64);
            let angle = TAU * k as f64 / 64.0;
            assert!((c - angle.cos()).abs() < 1e-15 && (s - angle.sin()).abs() < 1e-15);
        }
    }
}
