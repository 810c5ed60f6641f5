//! Completing the square of a quadratic activation, channel by channel.
//!
//! With `r` the largest input in absolute value, `a x^2 + b x` is at most `|a| r^2 + |b| r`. The completed square
//! `a (x + b/2a)^2 - b^2/4a` is a difference of numbers of up to `|a| (r + |b/2a|)^2`: where `|b/2a|` is many times `r`, of
//! numbers many times as large, whose errors stay. There, and where `a` is zero, the channel becomes two:
//!
//! ```text
//!   a x^2 + b x = alpha (x + r)^2 + beta (x - r)^2 - a r^2,   alpha + beta = a,   alpha - beta = b / 2r
//! ```
//!
//! with squares of at most `|alpha| 4 r^2`, about `2 (|a| r^2 + |b| r)`. It takes no level more, and the linear stage after
//! takes the two together again.

use super::Quadratic;

/// How many times its largest input the centre of a channel's square may lie away. The squares are then at most half as many
/// times as large as the results, and a little: two bits of precision.
const FARTHEST_CENTRE: f64 = 8.0;

/// A quadratic activation as squares: the inputs of the squares, and what is made of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Squares {
    /// For each square, (channel, factor of the channel).
    pub(super) rows: Vec<(usize, f64)>,
    /// For each square, what is added before squaring.
    pub(super) shift: Vec<f64>,
    /// For each channel, (square, sign).
    pub(super) terms: Vec<Vec<(usize, f64)>>,
    /// For each channel, the constant.
    pub(super) constants: Vec<f64>,
}

impl Squares {
    /// Squares for inputs of at most `r[k]` in channel `k`; `r` is positive. Square number `k` is of channel `k`, and second
    /// ones come behind all of them.
    pub(super) fn new(q: &Quadratic, r: &[f64]) -> Self {
        let channels = q.a.len();
        let mut all = Self {
            rows: Vec::with_capacity(channels),
            shift: Vec::with_capacity(channels),
            terms: Vec::with_capacity(channels),
            constants: Vec::with_capacity(channels),
        };
        let mut second = Vec::new();
        for (k, r) in r.iter().enumerate() {
            let (a, b, c) = (q.a[k], q.b[k], q.c[k]);
            if !far(a, b, *r) {
                let centre = if a == 0.0 { 0.0 } else { b / (2.0 * a) };
                all.push(k, a, centre);
                all.constants.push(c - a * centre * centre);
                continue;
            }
            let (alpha, beta) = ((a + b / (2.0 * r)) / 2.0, (a - b / (2.0 * r)) / 2.0);
            all.push(k, alpha, *r);
            all.constants.push(c - a * r * r);
            second.push((k, beta, -r));
        }
        for (k, beta, centre) in second {
            let square = all.rows.len();
            let root = beta.abs().sqrt();
            all.rows.push((k, root));
            all.shift.push(root * centre);
            all.terms[k].push((square, beta.signum()));
        }
        all
    }

    /// The first square of channel `k`, `factor (x + centre)^2`.
    fn push(&mut self, k: usize, factor: f64, centre: f64) {
        let root = factor.abs().sqrt();
        self.rows.push((k, root));
        self.shift.push(root * centre);
        self.terms.push(vec![(k, factor.signum())]);
    }
}

/// Whether the centre of the completed square lies too far away.
fn far(a: f64, b: f64, r: f64) -> bool {
    b.abs() > 2.0 * a.abs() * r * FARTHEST_CENTRE
}

/// Whether any channel may be one whose centre is too far away if inputs are small: only then is it worth knowing how large
/// they are.
pub(super) fn depends_on_range(q: &Quadratic) -> bool {
    q.a.iter().zip(&q.b).any(|(a, b)| *b != 0.0 && b.abs() > a.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_give_the_quadratic_and_are_not_much_larger() {
        for exponent in -12..=3 {
            for (b, c, r) in [(1.0, 0.3, 4.0), (-0.7, -2.0, 0.5), (0.0, 1.0, 3.0), (2.0, 0.0, 30.0)]
            {
                for a in [10f64.powi(exponent), -(10f64.powi(exponent)), 0.0] {
                    let q = Quadratic { a: vec![1.0, a], b: vec![0.0, b], c: vec![0.0, c] };
                    let s = Squares::new(&q, &[r, r]);
                    let largest = a.abs() * r * r + b.abs() * r;
                    for step in -8..=8 {
                        let x = r * f64::from(step) / 8.0;
                        let square = |k: usize| (s.rows[k].1 * x + s.shift[k]).powi(2);
                        let mut sum = s.constants[1];
                        for &(k, sign) in &s.terms[1] {
                            // A quarter of the farthest centre, or twice the largest result: see above.
                            let most = largest * FARTHEST_CENTRE;
                            assert!(square(k) <= most * (1.0 + 1e-12), "{a} {b} {r}");
                            sum += sign * square(k);
                        }
                        let exact = a * x * x + b * x + c;
                        let scale = largest * FARTHEST_CENTRE + c.abs();
                        assert!((sum - exact).abs() <= 1e-14 * scale, "{a} {b} {x}: {sum} {exact}");
                    }
                }
            }
        }
    }
}
