//! The 128-bit table that parameters are checked against.

/// Largest log2(QP) for 128-bit security with a uniform ternary secret and error deviation 3.19, from
/// Bossuat et al., "Security Guidelines for Implementing Homomorphic Encryption", ePrint 2024/463,
/// Table 5.2; none for a ring degree it does not list.
///
/// The row for `2^11` is that table's as well; there it leaves room for one small level only.
pub fn max_log_qp(log_n: u32) -> Option<u32> {
    match log_n {
        11 => Some(53),
        12 => Some(106),
        13 => Some(214),
        14 => Some(430),
        15 => Some(868),
        16 => Some(1747),
        17 => Some(3523),
        _ => None,
    }
}
