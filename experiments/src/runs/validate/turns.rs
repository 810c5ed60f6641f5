//! How often each configuration is run, and in which rounds.
//!
//! A few times of a short inference are all of one second, in which the machine may be slow. Short ones are run more often, and
//! all of them throughout:
//!
//! ```text
//! round     0  1  2  3  4  5  6  7
//! 8 runs    x  x  x  x  x  x  x  x
//! 3 runs          x        x     x
//! ```

/// Most runs for each image.
const MOST_RUNS_OF_AN_IMAGE: usize = 16;

/// How often a configuration is run that is predicted to take `predicted_ms`: once for each image, and so often that it takes
/// `least_ms` in all, but not without end.
pub(super) fn runs(images: usize, predicted_ms: f64, least_ms: f64) -> usize {
    // Beyond what an integer holds, the cast gives the largest.
    let long_enough = (least_ms / predicted_ms).ceil() as usize;
    long_enough.clamp(images, MOST_RUNS_OF_AN_IMAGE * images)
}

/// The rounds that a number of runs is spread over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    /// Runs in all.
    pub runs: usize,
}

impl Turns {
    /// How many of them there are before a round of so many, as many as runs or more.
    pub fn before(self, round: usize, rounds: usize) -> usize {
        self.runs * round / rounds
    }

    /// Whether there is one in a round.
    pub fn has(self, round: usize, rounds: usize) -> bool {
        self.before(round + 1, rounds) > self.before(round, rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ones_are_run_more_often() {
        assert_eq!(runs(5, 4000.0, 3000.0), 5);
        assert_eq!(runs(5, 100.0, 3000.0), 30);
        assert_eq!(runs(5, 1.0, 3000.0), 80);
        assert_eq!(runs(5, 0.0, 3000.0), 80);
        assert_eq!(runs(2, 1.0, 0.0), 2);
    }

    #[test]
    fn every_run_has_a_round() {
        for rounds in 1..40 {
            for runs in 0..=rounds {
                let turns = Turns { runs };
                let taken: Vec<usize> = (0..rounds).filter(|&r| turns.has(r, rounds)).collect();
                assert_eq!(taken.len(), runs);
                for round in 0..rounds {
                    let before = taken.iter().filter(|&&r| r < round).count();
                    assert_eq!(turns.before(round, rounds), before, "{runs} {round} {rounds}");
                }
                let gaps = taken.windows(2).map(|pair| pair[1] - pair[0]);
                let even = rounds / runs.max(1);
                assert!(gaps.clone().all(|gap| (even..=even + 1).contains(&gap)), "{taken:?}");
            }
        }
    }
}
