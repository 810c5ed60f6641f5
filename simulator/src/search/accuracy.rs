//! What a pattern is expected to cost in accuracy, from the importance of what it removes.
//!
//! A network's drop is the sum of its layers', each from two shares of the layer's importance (of its Taylor scores, or of its
//! squared weights): that which groups keep, and that which the kept units have of it. It is in units of the square root of the
//! dense network's error: a network that errs more also loses more. The coefficients are fitted to trained networks; by how
//! much each network's drops are missed when it is left out says how wide the interval is.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Least share of importance that is told from none.
const LEAST_KEPT: f64 = 1e-6;
/// Exponents of the importance that units lose, of which the best is taken.
const POWERS: [f64; 4] = [1.0, 1.5, 2.0, 3.0];
/// Share of trained patterns, of networks left out, whose drop is not above the upper end of its interval.
const COVERED: f64 = 0.9;

/// What a drop is in units of, in points, for a dense error in percent.
fn scale(dense_error: f64) -> f64 {
    dense_error.max(0.0).sqrt()
}

/// Shares of a layer's importance that a pattern keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KeptImportance {
    /// Of the dense layer's, that within the groups; 0 to 1.
    pub groups: f64,
    /// Of that within the groups, that of the kept units; 0 to 1.
    pub units: f64,
}

impl KeptImportance {
    /// Everything.
    pub const ALL: Self = Self { groups: 1.0, units: 1.0 };

    /// How much goes, each as the logarithm of a factor.
    fn lost(self) -> (f64, f64) {
        let log = |kept: f64| -kept.clamp(LEAST_KEPT, 1.0).ln();
        (log(self.groups), log(self.units))
    }
}

/// A trained network with a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedPattern {
    /// The network.
    pub network: String,
    /// The variant.
    pub variant: String,
    /// Error of the network's dense variant, in percent.
    pub dense_error: f64,
    /// Accuracy lost against that, in points.
    pub drop: f64,
    /// Whether it was trained for too short a time to be compared.
    pub short: bool,
    /// What each layer that may have a pattern keeps.
    pub layers: Vec<KeptImportance>,
}

/// The expected drop of accuracy of a network, after training, in points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyModel {
    /// Points for importance lost to groups, for each e-fold, in all layers.
    pub groups: f64,
    /// Points for importance lost to units, for each e-fold to `power`, in all layers.
    pub units: f64,
    /// Exponent of the latter.
    pub power: f64,
    /// By how many points an expected drop may be too small: the end of its interval.
    pub margin: f64,
}

/// A trained pattern beside what is expected of it when its network is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOutPattern {
    /// The network.
    pub network: String,
    /// The variant.
    pub variant: String,
    /// Drop, in points.
    pub measured: f64,
    /// Expected drop, in points.
    pub expected: f64,
}

/// A model of accuracy, and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyFit {
    /// For a dense error of one percent.
    pub model: AccuracyModel,
    /// Each pattern, with coefficients and exponent found without its network.
    pub left_out: Vec<LeftOutPattern>,
    /// Median size of these errors, in points.
    pub median_error: f64,
    /// The largest, in points.
    pub worst_error: f64,
    /// Patterns trained for too short a time, which nothing was fitted to.
    pub short: Vec<LeftOutPattern>,
}

impl AccuracyModel {
    /// The part of one of so many layers in the drop, in points.
    pub fn layer(&self, kept: KeptImportance, layers: usize) -> f64 {
        let (groups, units) = kept.lost();
        (self.groups * groups + self.units * units.powf(self.power)) / layers.max(1) as f64
    }

    /// The expected drop of a network, in points, from what each layer that may have a pattern keeps.
    pub fn drop(&self, layers: &[KeptImportance]) -> f64 {
        layers.iter().map(|kept| self.layer(*kept, layers.len())).sum()
    }

    /// The upper end of the interval of an expected drop: nothing where nothing is removed.
    pub fn upper(&self, expected: f64) -> f64 {
        if expected == 0.0 { 0.0 } else { expected + self.margin }
    }

    /// The same for a network of another dense error, in percent.
    #[must_use]
    pub fn scaled(&self, dense_error: f64) -> Self {
        let scale = scale(dense_error);
        let (groups, units, margin) = (self.groups, self.units, self.margin);
        Self {
            groups: groups * scale,
            units: units * scale,
            margin: margin * scale,
            power: self.power,
        }
    }

    /// The drop that is expected of a trained pattern.
    fn of(&self, row: &TrainedPattern) -> f64 {
        self.scaled(row.dense_error).drop(&row.layers)
    }

    /// The non-negative coefficients of least squares under an exponent; each network counts as one.
    fn least_squares(rows: &[&TrainedPattern], power: f64) -> Self {
        let with = |groups, units| Self { groups, units, power, margin: 0.0 };
        let mut sums = [[0.0; 3]; 2];
        for row in rows {
            let weight = 1.0 / rows.iter().filter(|r| r.network == row.network).count() as f64;
            let x = [with(1.0, 0.0).of(row), with(0.0, 1.0).of(row)];
            for (sums, a) in sums.iter_mut().zip(x) {
                for (sum, b) in sums.iter_mut().zip([x[0], x[1], row.drop]) {
                    *sum += weight * a * b;
                }
            }
        }
        let [[aa, ab, ay], [_, bb, by]] = sums;
        let one = |xy: f64, xx: f64| if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
        let determinant = aa * bb - ab * ab;
        let (a, b) = ((ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant);
        if determinant > 1e-9 * aa * bb && a >= 0.0 && b >= 0.0 {
            return with(a, b);
        }
        // The better one alone.
        let (first, second) = (with(one(ay, aa), 0.0), with(0.0, one(by, bb)));
        let loss = |m: &Self| rows.iter().map(|r| (m.of(r) - r.drop).powi(2)).sum::<f64>();
        if loss(&first) <= loss(&second) { first } else { second }
    }

    /// What is expected of each row by what the other networks tell, under an exponent.
    fn leaving_out(rows: &[&TrainedPattern], power: f64) -> Vec<f64> {
        let expected = |row: &&TrainedPattern| {
            let others: Vec<_> =
                rows.iter().copied().filter(|r| r.network != row.network).collect();
            Self::least_squares(&others, power).of(row)
        };
        rows.iter().map(expected).collect()
    }

    /// The exponent under which left-out networks are missed least.
    fn best_power(rows: &[&TrainedPattern]) -> f64 {
        let loss = |power: f64| {
            let expected = Self::leaving_out(rows, power);
            let errors = rows.iter().zip(expected).map(|(row, e)| {
                let weight = rows.iter().filter(|r| r.network == row.network).count() as f64;
                (e - row.drop).abs() / weight
            });
            errors.sum::<f64>()
        };
        let losses = POWERS.map(|power| (loss(power), power));
        losses.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(POWERS[0], |best| best.1)
    }

    /// Fits to trained patterns of several networks.
    ///
    /// # Errors
    /// [`Error::Argument`] for fewer than three networks that were trained long enough.
    pub fn fit(rows: &[TrainedPattern]) -> Result<AccuracyFit> {
        let (short, long): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.short);
        let mut networks: Vec<&str> = long.iter().map(|row| row.network.as_str()).collect();
        networks.sort_unstable();
        networks.dedup();
        if networks.len() < 3 {
            let found = networks.len();
            return Err(Error::argument("networks with trained patterns", found, "at least 3"));
        }
        let mut left_out = Vec::new();
        for network in networks {
            // Neither its coefficients nor its exponent know the network.
            let others: Vec<_> = long.iter().copied().filter(|r| r.network != network).collect();
            let model = Self::least_squares(&others, Self::best_power(&others));
            let own = long.iter().filter(|row| row.network == network);
            left_out.extend(own.map(|row| beside(row, &model)));
        }
        let mut model = Self::least_squares(&long, Self::best_power(&long));
        let sorted = |mut all: Vec<f64>| {
            all.sort_by(f64::total_cmp);
            all
        };
        let error = |row: &LeftOutPattern| row.measured - row.expected;
        let sizes = sorted(left_out.iter().map(|row| error(row).abs()).collect());
        // Intervals are in the same units as drops.
        let units = |row: &LeftOutPattern| {
            let own = long.iter().find(|r| r.network == row.network);
            own.map_or(1.0, |r| scale(r.dense_error))
        };
        let below = sorted(left_out.iter().map(|row| error(row) / units(row)).collect());
        let at = |all: &[f64], share: f64| all[((all.len() - 1) as f64 * share).ceil() as usize];
        model.margin = at(&below, COVERED).max(0.0);
        Ok(AccuracyFit {
            median_error: at(&sizes, 0.5),
            worst_error: at(&sizes, 1.0),
            short: short.into_iter().map(|row| beside(row, &model)).collect(),
            left_out,
            model,
        })
    }
}

fn beside(row: &TrainedPattern, model: &AccuracyModel) -> LeftOutPattern {
    let (network, variant) = (row.network.clone(), row.variant.clone());
    LeftOutPattern { network, variant, measured: row.drop, expected: model.of(row) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: impl Fn(f64, f64, f64) -> f64) -> Vec<TrainedPattern> {
        let mut rows = Vec::new();
        for (network, dense_error) in [("a", 1.0), ("b", 9.0), ("c", 16.0), ("d", 25.0)] {
            for (groups, units) in [(0.5, 1.0), (0.25, 0.8), (1.0, 0.5), (0.5, 0.6)] {
                let layers = vec![KeptImportance { groups, units }, KeptImportance::ALL];
                let (network, variant) = (network.to_owned(), format!("{groups}-{units}"));
                let drop = of(dense_error, groups, units);
                let short = false;
                rows.push(TrainedPattern { network, variant, dense_error, drop, short, layers });
            }
        }
        rows
    }

    #[test]
    fn a_law_of_its_form_is_found() {
        let law = |error: f64, groups: f64, units: f64| {
            error.sqrt() * (0.1 * -groups.ln() + 0.6 * (-units.ln()).powf(2.0)) / 2.0
        };
        let fit = AccuracyModel::fit(&rows(law)).unwrap();
        let model = fit.model;
        assert!((model.groups - 0.1).abs() < 1e-6 && (model.units - 0.6).abs() < 1e-6, "{model:?}");
        assert!(model.power == 2.0 && fit.worst_error < 1e-6, "{fit:?}");
        assert_eq!(model.drop(&[KeptImportance::ALL; 2]), 0.0);
        assert_eq!(model.upper(0.0), 0.0);
    }

    #[test]
    fn a_network_of_another_kind_widens_the_interval() {
        let mut rows = rows(|error, groups, _| -error.sqrt() * groups.ln());
        // In points, for the network of another kind.
        let margin =
            |rows: &[TrainedPattern]| AccuracyModel::fit(rows).unwrap().model.scaled(25.0).margin;
        let known = margin(&rows);
        rows.iter_mut().filter(|row| row.network == "d").for_each(|row| row.drop += 5.0);
        let wider = margin(&rows);
        assert!(wider > known + 2.0, "{wider} {known}");
        assert!(AccuracyModel::fit(&rows[..8]).is_err());
    }
}
