//! Linear operations to measure, and their terms.

use engine::eval::LinearTerm;

/// Where the plaintexts of a linear operation come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factors {
    /// No plaintexts: plain sums.
    None,
    /// A plaintext for each term.
    Distinct,
    /// So many plaintexts, used in turn.
    Shared(usize),
}

/// A linear operation with a regular pattern of terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearSpec {
    /// Source ciphertexts.
    pub sources: usize,
    /// Non-zero shifts of each source.
    pub shifts: usize,
    /// Whether all sources have the same shifts; otherwise source `i` has the `i`-th group of shifts.
    pub same_shifts: bool,
    /// Whether each source is used unrotated as well.
    pub unrotated: bool,
    /// Destinations.
    pub outputs: usize,
    /// Terms of each destination.
    pub terms: usize,
    /// Plaintexts.
    pub factors: Factors,
    /// Whether a rescale is merged.
    pub rescale: bool,
}

impl LinearSpec {
    /// Number of distinct shifts, hence of keys, numbered from 1.
    pub fn distinct_shifts(&self) -> usize {
        if self.same_shifts { self.shifts } else { self.shifts * self.sources }
    }

    /// Pairs of a source and a shift.
    fn pairs(&self) -> usize {
        self.sources * self.pairs_of(0).count()
    }

    /// The same pattern with at most so many distinct shifts (at least one): fewer shifts, or fewer sources where
    /// each has its own. A destination has no pair more often for it.
    pub fn limited(self, distinct: usize) -> Self {
        let fewer = if self.same_shifts {
            Self { shifts: self.shifts.min(distinct.max(1)), ..self }
        } else {
            let sources = self.sources.min((distinct / self.shifts.max(1)).max(1));
            Self { sources, ..self }
        };
        let often = self.terms.div_ceil(self.pairs());
        Self { terms: self.terms.min(often * fewer.pairs()), ..fewer }
    }

    /// The same pattern where there are at most so many plaintexts (one at least), and each term has its own: fewer destinations,
    /// and if one alone has too many terms, fewer sources or shifts. Of plaintexts that are used again, a cache would hold some.
    pub fn with_plaintexts(self, count: usize) -> Self {
        if self.factors != Factors::Distinct {
            return self;
        }
        let shifts = self.shifts.min(count.saturating_sub(usize::from(self.unrotated)));
        let fewer = Self { shifts, ..self };
        let sources = self.sources.min((count / fewer.pairs_of(0).count()).max(1));
        let fewer = Self { sources, ..fewer };
        let terms = self.terms.min(fewer.pairs());
        Self { terms, outputs: self.outputs.min((count / terms).max(1)), ..fewer }
    }

    /// The terms, at most `plaintexts` of them with plaintexts of their own. Destinations go on through the pairs of
    /// source and shift where the one before stopped, so that all pairs are used if there are enough terms.
    pub fn build(&self, plaintexts: usize) -> Vec<LinearTerm> {
        let pairs: Vec<(usize, usize)> =
            (0..self.sources).flat_map(|src| self.pairs_of(src)).collect();
        let pool = match self.factors {
            Factors::None => None,
            Factors::Distinct => Some(plaintexts),
            Factors::Shared(count) => Some(count.min(plaintexts)),
        };
        (0..self.outputs * self.terms)
            .filter_map(|i| {
                let &(src, shift) = pairs.get(i % pairs.len().max(1))?;
                Some(LinearTerm {
                    dst: i / self.terms,
                    src,
                    shift,
                    plaintext: pool.map(|p| i % p.max(1)),
                })
            })
            .collect()
    }

    fn pairs_of(&self, src: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let first = if self.same_shifts { 1 } else { 1 + src * self.shifts };
        let zero = (self.unrotated || self.shifts == 0).then_some((src, 0));
        zero.into_iter().chain((first..first + self.shifts).map(move |shift| (src, shift)))
    }
}

/// Linear operations like those of networks, smallest first.
pub fn catalogue() -> Vec<LinearSpec> {
    let conv = |sources, shifts, outputs, terms, factors| LinearSpec {
        sources,
        shifts,
        same_shifts: true,
        unrotated: true,
        outputs,
        terms,
        factors,
        rescale: true,
    };
    let plain = |sources, outputs, terms, factors| LinearSpec {
        shifts: 0,
        ..conv(sources, 0, outputs, terms, factors)
    };
    vec![
        // Folding: a ciphertext and its rotation.
        LinearSpec { rescale: false, ..conv(1, 1, 1, 2, Factors::None) },
        // Partial sums, each rotated into place.
        LinearSpec {
            same_shifts: false,
            unrotated: false,
            rescale: false,
            ..conv(4, 1, 1, 4, Factors::None)
        },
        LinearSpec {
            same_shifts: false,
            unrotated: false,
            rescale: false,
            ..conv(16, 1, 2, 16, Factors::None)
        },
        // Convolutions: one source.
        conv(1, 4, 1, 5, Factors::Distinct),
        conv(1, 8, 1, 9, Factors::Distinct),
        LinearSpec { rescale: false, ..conv(1, 8, 4, 9, Factors::Distinct) },
        conv(1, 24, 1, 25, Factors::Distinct),
        conv(1, 24, 4, 25, Factors::Shared(25)),
        conv(1, 47, 8, 48, Factors::Distinct),
        // Convolutions: several sources, sharing keys.
        conv(2, 8, 4, 18, Factors::Distinct),
        conv(4, 8, 1, 36, Factors::Distinct),
        conv(4, 8, 16, 36, Factors::Shared(72)),
        conv(8, 8, 4, 72, Factors::Distinct),
        conv(8, 8, 32, 25, Factors::Shared(100)),
        // More rotated sources than are kept at a time.
        conv(16, 8, 4, 144, Factors::Shared(72)),
        // Fully connected.
        LinearSpec { unrotated: false, ..conv(1, 32, 1, 32, Factors::Distinct) },
        LinearSpec { unrotated: false, ..conv(1, 16, 1, 16, Factors::Distinct) },
        // Sums without rotation.
        plain(1, 1, 1, Factors::Distinct),
        plain(9, 1, 9, Factors::Distinct),
        plain(25, 8, 25, Factors::Distinct),
        LinearSpec { rescale: false, ..plain(25, 16, 25, Factors::Distinct) },
        LinearSpec { rescale: false, ..plain(16, 8, 48, Factors::Shared(16)) },
        LinearSpec { rescale: false, ..plain(8, 1, 8, Factors::None) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn terms_follow_the_pattern() {
        let spec = LinearSpec {
            sources: 2,
            shifts: 3,
            same_shifts: true,
            unrotated: true,
            outputs: 2,
            terms: 8,
            factors: Factors::Shared(5),
            rescale: true,
        };
        let terms = spec.build(100);
        assert_eq!(terms.len(), 16);
        let pairs: BTreeSet<_> = terms.iter().map(|t| (t.src, t.shift)).collect();
        assert_eq!(pairs.len(), 8);
        assert_eq!(terms.iter().filter_map(|t| t.plaintext).collect::<BTreeSet<_>>().len(), 5);
        assert!(spec.build(2).iter().all(|t| t.plaintext < Some(2)));
        assert_eq!(spec.distinct_shifts(), 3);
        assert_eq!(LinearSpec { same_shifts: false, ..spec }.distinct_shifts(), 6);
        assert_eq!((spec.limited(2).shifts, spec.limited(2).terms), (2, 6));
        let own = LinearSpec { same_shifts: false, ..spec };
        assert_eq!((own.limited(4).sources, own.limited(4).distinct_shifts()), (1, 3));
    }

    #[test]
    fn each_term_keeps_a_plaintext_of_its_own() {
        for spec in catalogue() {
            for plaintexts in [1, 24, 60, 1000] {
                let fewer = spec.limited(9).with_plaintexts(plaintexts);
                let terms = fewer.build(plaintexts);
                let used: BTreeSet<_> = terms.iter().filter_map(|t| t.plaintext).collect();
                match spec.factors {
                    Factors::None => assert!(used.is_empty()),
                    Factors::Distinct => assert_eq!(used.len(), terms.len(), "{fewer:?}"),
                    Factors::Shared(count) => assert_eq!(used.len(), count.min(plaintexts)),
                }
                let sources: BTreeSet<_> = terms.iter().map(|t| t.src).collect();
                assert_eq!(sources.len(), fewer.sources, "{fewer:?}");
                assert_eq!(terms.len(), fewer.outputs * fewer.terms);
            }
            let kept = spec.with_plaintexts(spec.outputs * spec.terms);
            assert_eq!(kept, spec);
        }
    }

    #[test]
    fn the_catalogue_is_consistent() {
        for spec in catalogue() {
            let terms = spec.build(1000);
            assert_eq!(terms.len(), spec.outputs * spec.terms, "{spec:?}");
            let sources: BTreeSet<_> = terms.iter().map(|t| t.src).collect();
            assert_eq!(sources.len(), spec.sources, "{spec:?}");
            let shifts: BTreeSet<_> = terms.iter().map(|t| t.shift).filter(|&s| s != 0).collect();
            assert_eq!(shifts.len(), spec.distinct_shifts(), "{spec:?}");
        }
    }
}
