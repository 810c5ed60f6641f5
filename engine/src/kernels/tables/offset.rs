//! Value ranges of transforms with 52-bit multiply-adds that do not correct between stages.

use crate::modulus::RADIX_BITS;

/// The multiple `K` of q that lets the forward transform run without any correction between stages,
/// or `None` if q is too large for that (above about 2^46.3 at N = 2^14, 2^46.05 at N = 2^17).
///
/// Words may grow up to 2^52. `K` is added to the words that the first stage does not multiply; then
/// a stage maps `(x, y)` to `(x + r, x - r)` with `r = y w - floor(y w' / 2^52) q`. Shoup's bound on
/// that is `0 <= r < q (1 + y / 2^52)`. So while words are in `[low, high)`, both stay within
/// `[low - d, high + d)` with `d = q (1 + high / 2^52)`, and the transform is sound if `low` never
/// drops below 0 nor `high` rises above 2^52.
///
/// The inverse transform runs without corrections under the same condition; it needs `32 q <= 2^52`.
pub(in crate::kernels) fn forward_offset(q: u64, log_n: u32) -> Option<u64> {
    let limit = 1_u64 << RADIX_BITS;
    if q > limit / 32 {
        return None;
    }
    (1..=4 * u64::from(log_n)).map(|k| k * q).find(|&offset| {
        let mut low = offset;
        let mut high = offset + 2 * q;
        for _ in 0..log_n {
            // Rounded up; `high <= 2^52`, so this stays far below 2^64.
            let growth = q + ((u128::from(q) * u128::from(high)) >> RADIX_BITS) as u64 + 1;
            if growth > low || high + growth > limit {
                return false;
            }
            low -= growth;
            high += growth;
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_near_46_bits_need_no_correction() {
        for log_n in 5..=17 {
            let q = (1 << 46) + (1 << 30);
            let offset = forward_offset(q, log_n).unwrap();
            assert_eq!(offset % q, 0);
            assert!(offset >= u64::from(log_n) * q);
            assert_eq!(forward_offset((1 << 50) - 27, log_n), None);
        }
    }
}
