//! Non-negative least squares.

use crate::error::{Error, Result};

/// A dense matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl Matrix {
    /// A matrix from its rows, all of one length.
    ///
    /// # Errors
    /// [`Error::Fit`] when the rows differ in length or a value is not finite.
    pub fn from_rows(rows: &[Vec<f64>]) -> Result<Self> {
        let columns = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != columns) {
            return Err(Error::Fit("rows of a matrix differ in length".into()));
        }
        let data: Vec<f64> = rows.iter().flatten().copied().collect();
        if data.iter().any(|x| !x.is_finite()) {
            return Err(Error::Fit("a value of the matrix is not finite".into()));
        }
        Ok(Self { rows: rows.len(), columns, data })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }

    /// `self * x`.
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        (0..self.rows).map(|r| dot(self.row(r), x)).collect()
    }

    fn column(&self, column: usize) -> Vec<f64> {
        (0..self.rows).map(|r| self.data[r * self.columns + column]).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The `x >= 0` that minimises `|a x - b|` (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23).
///
/// Columns are scaled to unit length first, so that they may be of any magnitude; columns of zeros, and columns
/// that depend on those already chosen, get zero.
///
/// # Errors
/// [`Error::Fit`] when the lengths disagree, `b` is not finite, or the iteration does not settle.
pub fn nnls(a: &Matrix, b: &[f64]) -> Result<Vec<f64>> {
    if b.len() != a.rows() || b.iter().any(|x| !x.is_finite()) {
        return Err(Error::Fit(format!(
            "{} rows and {} finite values expected",
            a.rows(),
            b.len()
        )));
    }
    let mut columns: Vec<Vec<f64>> = (0..a.columns()).map(|c| a.column(c)).collect();
    let norms: Vec<f64> = columns.iter().map(|c| dot(c, c).sqrt()).collect();
    for (column, &norm) in columns.iter_mut().zip(&norms) {
        if norm > 0.0 {
            column.iter_mut().for_each(|x| *x /= norm);
        }
    }
    let x = active_set(&columns, b)?;
    Ok(x.iter().zip(&norms).map(|(x, &norm)| if norm > 0.0 { x / norm } else { 0.0 }).collect())
}

/// The method itself, on unit columns.
fn active_set(columns: &[Vec<f64>], b: &[f64]) -> Result<Vec<f64>> {
    let tolerance = 1e-12 * dot(b, b).sqrt().max(f64::MIN_POSITIVE);
    let mut x = vec![0.0; columns.len()];
    let mut passive: Vec<usize> = Vec::new();
    let mut refused = vec![false; columns.len()];
    for _ in 0..30 * columns.len() + 30 {
        let residual = residual(columns, b, &x);
        let entering = (0..columns.len())
            .filter(|c| !passive.contains(c) && !refused[*c])
            .map(|c| (c, dot(&columns[c], &residual)))
            .filter(|&(_, gradient)| gradient > tolerance)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((entering, _)) = entering else { return Ok(x) };
        passive.push(entering);
        match least_squares(columns, &passive, b) {
            // A column that does not raise its own coefficient depends on the others, up to rounding.
            Some(z) if z[passive.len() - 1] > 0.0 => {
                refused.iter_mut().for_each(|r| *r = false);
                settle(columns, b, &mut x, &mut passive, z);
            }
            _ => {
                passive.pop();
                refused[entering] = true;
            }
        }
    }
    Err(Error::Fit("non-negative least squares did not settle".into()))
}

/// Moves `x` towards the unconstrained solution `z` on the passive columns, dropping those that reach zero.
fn settle(
    columns: &[Vec<f64>],
    b: &[f64],
    x: &mut [f64],
    passive: &mut Vec<usize>,
    mut z: Vec<f64>,
) {
    loop {
        let step = passive
            .iter()
            .zip(&z)
            .filter(|&(_, &z)| z <= 0.0)
            .map(|(&c, &z)| if x[c] - z > 0.0 { x[c] / (x[c] - z) } else { 0.0 })
            .min_by(f64::total_cmp);
        let Some(step) = step else {
            passive.iter().zip(&z).for_each(|(&c, &z)| x[c] = z);
            return;
        };
        passive.iter().zip(&z).for_each(|(&c, &z)| x[c] += step * (z - x[c]));
        // At least the column that limited the step leaves, so this ends.
        let limiting = passive
            .iter()
            .zip(&z)
            .filter(|&(_, &z)| z <= 0.0)
            .min_by(|a, b| x[*a.0].total_cmp(&x[*b.0]))
            .map(|(&c, _)| c);
        passive.retain(|&c| x[c] > 1e-15 && Some(c) != limiting);
        (0..x.len()).filter(|c| !passive.contains(c)).for_each(|c| x[c] = 0.0);
        match least_squares(columns, passive, b) {
            Some(next) => z = next,
            None => return,
        }
    }
}

fn residual(columns: &[Vec<f64>], b: &[f64], x: &[f64]) -> Vec<f64> {
    let mut r = b.to_vec();
    for (column, &x) in columns.iter().zip(x).filter(|(_, x)| **x != 0.0) {
        r.iter_mut().zip(column).for_each(|(r, c)| *r -= x * c);
    }
    r
}

/// Unconstrained least squares on the chosen columns by modified Gram-Schmidt, each column orthogonalised twice;
/// none when a column depends on those before it.
fn least_squares(columns: &[Vec<f64>], chosen: &[usize], b: &[f64]) -> Option<Vec<f64>> {
    let k = chosen.len();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(k);
    let mut upper = vec![vec![0.0; k]; k];
    for (j, &c) in chosen.iter().enumerate() {
        let mut v = columns[c].clone();
        for _ in 0..2 {
            for (i, q) in basis.iter().enumerate() {
                let projection = dot(q, &v);
                upper[i][j] += projection;
                v.iter_mut().zip(q).for_each(|(v, q)| *v -= projection * q);
            }
        }
        let norm = dot(&v, &v).sqrt();
        if norm < 1e-9 {
            return None;
        }
        upper[j][j] = norm;
        v.iter_mut().for_each(|v| *v /= norm);
        basis.push(v);
    }
    let mut rest = b.to_vec();
    let mut z = vec![0.0; k];
    for (z, q) in z.iter_mut().zip(&basis) {
        *z = dot(q, &rest);
        rest.iter_mut().zip(q).for_each(|(r, q)| *r -= *z * q);
    }
    for j in (0..k).rev() {
        z[j] /= upper[j][j];
        let (above, below) = z.split_at_mut(j);
        for (i, value) in above.iter_mut().enumerate() {
            *value -= upper[i][j] * below[0];
        }
    }
    Some(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        Matrix::from_rows(&rows.iter().map(|r| r.to_vec()).collect::<Vec<_>>()).unwrap()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= 1e-9 * (1.0 + e.abs()), "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn positive_solution_is_the_ordinary_one() {
        let a = matrix(&[&[1.0, 1.0], &[1.0, 2.0], &[1.0, 3.0]]);
        close(&nnls(&a, &[3.0, 5.0, 7.0]).unwrap(), &[1.0, 2.0]);
    }

    #[test]
    fn negative_coefficients_become_zero() {
        // Unconstrained: (2, -1). With x >= 0, by hand: x = (a1 . b) / (a1 . a1) on the first column alone.
        let a = matrix(&[&[1.0, 1.0], &[1.0, 2.0], &[1.0, 0.0]]);
        let b = [1.0, 0.0, 2.0];
        close(&nnls(&a, &b).unwrap(), &[1.0, 0.0]);
        // All gradients negative: zero.
        close(&nnls(&a, &[-1.0, -1.0, -1.0]).unwrap(), &[0.0, 0.0]);
    }

    // 0.7071 is part of the example.
    #[allow(clippy::approx_constant)]
    #[test]
    fn textbook_example() {
        // A solution with one variable at its bound: min |Ax - b|, x >= 0, checked against the KKT conditions.
        let a =
            matrix(&[&[0.0372, 0.2869], &[0.6861, 0.7071], &[0.6233, 0.6245], &[0.6344, 0.6170]]);
        let x = nnls(&a, &[0.8587, 0.1781, 0.0747, 0.8405]).unwrap();
        assert_eq!(x[0], 0.0);
        assert!((x[1] - 0.692_934_4).abs() < 1e-6, "{x:?}");
    }

    #[test]
    fn any_magnitude_of_columns() {
        let a = matrix(&[
            &[1e12, 1e-3, 0.0],
            &[2e12, 5e-3, 0.0],
            &[1e12, 9e-3, 0.0],
            &[3e12, 1e-3, 0.0],
        ]);
        let truth = [3e-12, 70.0, 0.0];
        close(&nnls(&a, &a.times(&truth)).unwrap(), &truth);
    }

    #[test]
    fn dependent_columns_are_shared_by_one() {
        let a = matrix(&[&[1.0, 2.0, 1.0], &[2.0, 4.0, 0.0], &[3.0, 6.0, 1.0]]);
        let truth = [2.0, 0.0, 1.0];
        let x = nnls(&a, &a.times(&truth)).unwrap();
        close(&a.times(&x), &a.times(&truth));
        assert!(x.iter().all(|&x| x >= 0.0));
    }

    #[test]
    fn wrong_input_is_refused() {
        assert!(Matrix::from_rows(&[vec![1.0], vec![1.0, 2.0]]).is_err());
        assert!(Matrix::from_rows(&[vec![f64::NAN]]).is_err());
        let a = matrix(&[&[1.0]]);
        assert!(nnls(&a, &[1.0, 2.0]).is_err());
        assert!(nnls(&a, &[f64::INFINITY]).is_err());
    }

    mod random {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            /// Any result satisfies the Karush-Kuhn-Tucker conditions, which are sufficient here.
            #[test]
            fn optimality(
                rows in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 5), 5..20),
                seed in prop::collection::vec(-1.0..1.0f64, 20),
            ) {
                let a = Matrix::from_rows(&rows).unwrap();
                let b = &seed[..rows.len()];
                let x = nnls(&a, b).unwrap();
                let residual: Vec<f64> = a.times(&x).iter().zip(b).map(|(p, b)| b - p).collect();
                for (c, &x) in x.iter().enumerate() {
                    let gradient = dot(&a.column(c), &residual);
                    prop_assert!(x >= 0.0);
                    prop_assert!(gradient < 1e-7, "column {} wants to grow: {}", c, gradient);
                    prop_assert!(x == 0.0 || gradient.abs() < 1e-7, "column {}: {}", c, gradient);
                }
            }

            /// Coefficients that generated the values are found again.
            #[test]
            fn recovery(
                rows in prop::collection::vec(prop::collection::vec(0.0..1.0f64, 4), 12..30),
                truth in prop::collection::vec(prop_oneof![Just(0.0), 0.1..10.0f64], 4),
            ) {
                let a = Matrix::from_rows(&rows).unwrap();
                let x = nnls(&a, &a.times(&truth)).unwrap();
                for (x, t) in x.iter().zip(&truth) {
                    prop_assert!((x - t).abs() < 1e-6);
                }
            }
        }
    }
}
