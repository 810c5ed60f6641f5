//! The shape of the transforms in doubles.
//!
//! A pass does up to three stages over `2^R` columns of a block of words; the tail does all remaining
//! stages of `8 * WORDS` words at a time: three between its eight vectors, the others after these have been
//! transposed, so that a lane holds a group of `WORDS` words.

/// Stages of the tail.
pub(in crate::kernels) const fn tail_stages(words: usize) -> u32 {
    3 + words.ilog2()
}

/// Stages of every pass of a transform of `2^log_n` words, at least those of the tail, which comes last.
pub(in crate::kernels) fn all_passes(log_n: u32, words: usize) -> impl Iterator<Item = u32> {
    let tail = tail_stages(words);
    plan(log_n - tail).iter().copied().chain([tail])
}

/// Stages of each column pass: as few passes as possible, the shorter ones first.
pub(in crate::kernels) fn plan(stages: u32) -> &'static [u32] {
    match stages {
        0 => &[],
        1 => &[1],
        2 => &[2],
        3 => &[3],
        4 => &[2, 2],
        5 => &[2, 3],
        6 => &[3, 3],
        7 => &[2, 2, 3],
        8 => &[2, 3, 3],
        9 => &[3, 3, 3],
        10 => &[2, 2, 3, 3],
        11 => &[2, 3, 3, 3],
        _ => &[3, 3, 3, 3],
    }
}
