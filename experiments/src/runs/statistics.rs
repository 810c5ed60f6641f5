//! Small statistics of reports.

/// Quantile `share` (0 to 1) with linear interpolation; not a number without values.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = share * (sorted.len().max(1) - 1) as f64;
    match (sorted.get(at.floor() as usize), sorted.get(at.ceil() as usize)) {
        (Some(low), Some(high)) => low + (high - low) * at.fract(),
        _ => f64::NAN,
    }
}

/// Median; not a number without values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Index of the largest value, the first of equal ones; zero without values.
pub fn argmax(values: &[f64]) -> usize {
    values
        .iter()
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (k, v)| if *v > best.1 { (k, *v) } else { best })
        .0
}

/// Largest absolute difference of two vectors; infinite when their lengths differ or a value is not a number.
pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) })
}

/// How many standard deviations of the noise of one logit a tie may be wide. The difference of two has 1.4 times that
/// deviation, so that four and a little of its own are meant.
const TIE_DEVIATIONS: f64 = 6.0;

/// Classes of a network's results beside those of the exact ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes {
    /// Images whose class is the exact one.
    pub agreeing: usize,
    /// Images whose class is another, but whose exact logits of both classes lie closer than the noise of all results: their
    /// root mean square error.
    pub ties: usize,
}

impl Classes {
    /// Compares results with exact ones.
    pub fn of(results: &[&[f64]], exact: &[Vec<f64>]) -> Self {
        let errors = || results.iter().zip(exact).flat_map(|(r, e)| r.iter().zip(e));
        let square: f64 = errors().map(|(a, b)| (a - b) * (a - b)).sum();
        let noise = (square / errors().count().max(1) as f64).sqrt();
        let mut classes = Self { agreeing: 0, ties: 0 };
        for (results, exact) in results.iter().zip(exact) {
            let (class, right) = (argmax(results), argmax(exact));
            if class == right {
                classes.agreeing += 1;
            } else if exact[right] - exact[class] <= TIE_DEVIATIONS * noise {
                classes.ties += 1;
            }
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_no_closer_than_the_noise() {
        let exact = vec![vec![1.0, 1.0, 0.0], vec![2.0, 1.0, 0.0], vec![0.0, 3.0, 2.99]];
        let of = |results: [[f64; 3]; 3]| Classes::of(&results.each_ref().map(|r| &r[..]), &exact);
        // Two equal logits in another order, by noise of about 0.01; 3 and 2.99 are as good as equal.
        let noisy = of([[0.99, 1.01, 0.01], [2.01, 0.99, 0.01], [0.0, 2.99, 3.0]]);
        assert_eq!(noisy, Classes { agreeing: 1, ties: 2 });
        // The second image is wrong by as much as its logits differ, and the noise elsewhere is far smaller.
        let mut many = vec![vec![1.0, 0.0]; 200];
        many[7] = vec![1.0, 0.0];
        let mut results: Vec<Vec<f64>> = vec![vec![1.0, 0.0]; 200];
        results[7] = vec![0.0, 1.0];
        let results: Vec<&[f64]> = results.iter().map(Vec::as_slice).collect();
        assert_eq!(Classes::of(&results, &many), Classes { agreeing: 199, ties: 0 });
    }

    #[test]
    fn known_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(quantile(&[0.0, 10.0], 0.25), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(argmax(&[1.0, 5.0, 5.0]), 1);
        assert_eq!(largest_difference(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
        assert_eq!(largest_difference(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(largest_difference(&[f64::NAN], &[1.0]), f64::INFINITY);
    }
}
