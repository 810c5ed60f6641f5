//! Encoding of vectors of a short period.
//!
//! Slots of period T are those of a polynomial in `Y = X^(N/2T)`, whose value at `zeta^(5^j)` only depends on `j` modulo T:
//! embedding and transform of degree 2T give it.

use super::fft::SpecialFft;
use crate::ntt::{MIN_LOG_N, NttTable};
use crate::params::Parameters;
use crate::poly::SubringPoly;

/// Tables of the subring of one degree.
pub(super) struct Subring {
    /// The embedding, perhaps of several periods.
    pub(super) fft: SpecialFft,
    /// Per prime of the parameters, the transform.
    pub(super) tables: Vec<NttTable>,
}

/// The index among all subrings of that whose degree is twice the period of so many slots, or the least there is a transform
/// for; none if its runs were shorter than [`SubringPoly::MIN_RUN`]. The period is a power of two.
pub(super) fn index(params: &Parameters, period: usize) -> Option<usize> {
    let degree = SubringPoly::degree_of(params.n(), period)?;
    Some((degree.ilog2() - MIN_LOG_N) as usize)
}

/// Number of subrings.
pub(super) fn count(params: &Parameters) -> usize {
    let log_most = (params.n() / SubringPoly::MIN_RUN).ilog2();
    (log_most + 1 - MIN_LOG_N) as usize
}

impl Subring {
    /// Tables of the subring at `index`.
    pub(super) fn new(params: &Parameters, index: usize) -> Self {
        let log_degree = MIN_LOG_N + index as u32;
        // The embedding merges pairs of stages from the longest down. Those of all N/2 slots are the same pairs if both
        // numbers of stages are even or both odd; then what is encoded is the same, word for word.
        let mut slots = (1 << (log_degree - 1)).max(SpecialFft::MIN_SLOTS);
        if slots.ilog2() % 2 != params.slots().ilog2() % 2 {
            slots *= 2;
        }
        let tables = (0..=params.max_level() + params.special_count())
            .map(|limb| params.table(limb).subring(log_degree))
            .collect();
        Self { fft: SpecialFft::new(slots), tables }
    }

    /// Degree.
    pub(super) fn degree(&self) -> usize {
        self.tables[0].n()
    }
}
