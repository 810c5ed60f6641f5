//! Primes that allow a negacyclic NTT, and their roots of unity.

use super::{MAX_BITS, Modulus};
use crate::{Error, Result};

/// Witnesses with which the Miller-Rabin test is exact for every 64-bit number
/// (Sorenson, Webster, "Strong pseudoprimes to twelve prime bases", 2017).
const WITNESSES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Largest `log2 N` of the ring degrees that there are primes, roots and transforms for.
pub const MAX_LOG_N: u32 = 17;

/// Most primes that are searched for at once.
const MAX_COUNT: usize = 4096;

/// Whether `n` is prime; exact for all 64-bit numbers.
pub fn is_prime(n: u64) -> bool {
    if n < 2 {
        return false;
    }
    for p in WITNESSES {
        if n.is_multiple_of(p) {
            return n == p;
        }
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    WITNESSES.iter().all(|&witness| {
        let mut x = pow_mod(witness, odd, n);
        if x == 1 || x == n - 1 {
            return true;
        }
        for _ in 1..twos {
            x = mul_mod(x, x, n);
            if x == n - 1 {
                return true;
            }
        }
        false
    })
}

/// `a * b mod n` for any 64-bit `n`, which [`Modulus`] does not cover.
fn mul_mod(a: u64, b: u64, n: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(n)) as u64
}

/// `base^exponent mod n`.
fn pow_mod(mut base: u64, mut exponent: u64, n: u64) -> u64 {
    let mut power = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = mul_mod(power, base, n);
        }
        base = mul_mod(base, base, n);
        exponent >>= 1;
    }
    power
}

/// The `count` largest primes `q = 1 mod 2N` below `2^bits`, largest first, none of them in `exclude`, `N = 2^log_n`. Should
/// there be too few above `2^(bits - 1)`, those above `2^bits` follow, smallest first, all below 2^50 and `2^(bits + 1)`.
///
/// Below, because residues are then what `bits` random bits are but seldom: see [`crate::sampling`].
/// The sequence is deterministic: for given `bits` and `log_n` the same primes come in the same order.
///
/// # Errors
/// [`Error::Parameters`] if there are not so many primes, or if `bits` leaves no room for `2N`; for `log_n` above 17 and
/// counts above 4096.
pub fn ntt_primes(bits: u32, log_n: u32, count: usize, exclude: &[u64]) -> Result<Vec<u64>> {
    if log_n > MAX_LOG_N || count > MAX_COUNT {
        return Err(Error::Parameters(format!(
            "{count} primes for N = 2^{log_n}, expected at most {MAX_COUNT} and N up to 2^{MAX_LOG_N}"
        )));
    }
    if bits > MAX_BITS || bits < log_n + 2 {
        return Err(Error::Parameters(format!(
            "no {bits}-bit primes for N = 2^{log_n}: prime sizes go from log2(N) + 2 to {MAX_BITS} bits"
        )));
    }
    let centre = 1_u64 << bits;
    let step = 2_u64 << log_n;
    let upper = (2 * centre).min(1 << MAX_BITS);
    let mut primes = Vec::with_capacity(count);
    let below = (1..=(centre / 2) / step).map(|k| centre + 1 - k * step);
    let above = (0..=(centre / step)).map(|k| centre + 1 + k * step);
    for q in below.chain(above) {
        if primes.len() == count {
            break;
        }
        if q < upper && !exclude.contains(&q) && is_prime(q) {
            primes.push(q);
        }
    }
    if primes.len() < count {
        return Err(Error::Parameters(format!(
            "found only {} of {count} primes of {bits} bits for N = 2^{log_n}: ask for fewer or larger primes",
            primes.len()
        )));
    }
    Ok(primes)
}

/// The smallest primitive `2N`-th root of unity modulo the prime `q = 1 mod 2N`, `N = 2^log_n`.
///
/// # Errors
/// [`Error::Argument`] if `q` is not such a prime below 2^50, or `log_n` above 17.
pub fn primitive_root_2n(q: u64, log_n: u32) -> Result<u64> {
    if log_n > MAX_LOG_N {
        return Err(Error::argument(
            "log2 of the ring degree",
            log_n,
            format!("at most {MAX_LOG_N}"),
        ));
    }
    let order = 2_u64 << log_n;
    if q % order != 1 || !is_prime(q) {
        return Err(Error::argument(
            "NTT prime",
            q,
            format!("a prime that is 1 mod 2^{}", log_n + 1),
        ));
    }
    let modulus = Modulus::new(q)?;
    // x^((q-1)/2N) is a primitive root exactly when x is a non-residue: half of all x are.
    let root = (2..q)
        .map(|x| modulus.pow(x, (q - 1) / order))
        .find(|&root| modulus.pow(root, order / 2) == q - 1)
        .ok_or_else(|| Error::argument("NTT prime", q, "a prime with a non-residue"))?;
    // The primitive roots are the odd powers of any one of them.
    let square = modulus.shoup(modulus.mul(root, root));
    let mut power = root;
    let mut smallest = root;
    for _ in 1..order / 2 {
        power = modulus.mul_shoup(power, square);
        smallest = smallest.min(power);
    }
    Ok(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primality_agrees_with_a_sieve() {
        const LIMIT: usize = 20_000;
        let mut composite = vec![false; LIMIT];
        for i in 2..LIMIT {
            assert_eq!(is_prime(i as u64), !composite[i], "{i}");
            (i * i..LIMIT).step_by(i).for_each(|j| composite[j] = true);
        }
        assert!(!is_prime(0) && !is_prime(1));
    }

    #[test]
    fn primality_of_hard_cases() {
        // Strong pseudoprimes to the bases 2, 3, 5, 7 and to the first nine primes.
        for n in [3_215_031_751, 3_825_123_056_546_413_051, u64::MAX] {
            assert!(!is_prime(n));
        }
        for p in [(1 << 50) - 27, (1 << 61) - 1, u64::MAX - 58] {
            assert!(is_prime(p));
        }
    }

    #[test]
    fn primes_are_the_largest_below_a_power_of_two() {
        for (bits, log_n, count) in [(46, 14, 20), (50, 16, 12), (30, 13, 4), (20, 10, 3)] {
            let primes = ntt_primes(bits, log_n, count, &[]).unwrap();
            assert!(primes.is_sorted_by(|a, b| a > b));
            let (first, last) = ((1 << bits) + 1 - (2 << log_n), primes[count - 1]);
            assert!(last > 1 << (bits - 1));
            // None was left out.
            for candidate in (last..=first).step_by(2 << log_n) {
                assert_eq!(primes.contains(&candidate), is_prime(candidate), "{candidate}");
            }
        }
    }

    #[test]
    fn where_there_are_too_few_those_above_follow() {
        // All that there are between 2^13 and 2^15.
        let all = ntt_primes(14, 9, 6, &[]).unwrap();
        assert_eq!(all, [15_361, 13_313, 12_289, 18_433, 19_457, 25_601]);
        assert!(ntt_primes(14, 9, 7, &[]).is_err());
    }

    #[test]
    fn exclusion_continues_the_sequence() {
        let all = ntt_primes(46, 13, 8, &[]).unwrap();
        assert_eq!(ntt_primes(46, 13, 5, &all[..3]).unwrap(), all[3..]);
    }

    #[test]
    fn impossible_requests_are_errors() {
        assert!(ntt_primes(51, 13, 1, &[]).is_err());
        assert!(ntt_primes(14, 13, 1, &[]).is_err());
        assert!(ntt_primes(18, 13, 100, &[]).is_err());
        assert!(ntt_primes(50, 5, usize::MAX, &[]).is_err());
        assert!(ntt_primes(50, u32::MAX, 1, &[]).is_err());
        assert!(primitive_root_2n(65_537, 16).is_err());
        assert!(primitive_root_2n(65_537, 63).is_err());
        assert!(primitive_root_2n(65_537, u32::MAX).is_err());
        assert!(primitive_root_2n((1 << 15) + 1, 10).is_err());
    }

    #[test]
    fn roots_are_primitive_and_smallest() {
        assert_eq!(primitive_root_2n(17, 3).unwrap(), 3);
        for (bits, log_n) in [(20, 5), (46, 12), (50, 14)] {
            let q = ntt_primes(bits, log_n, 1, &[]).unwrap()[0];
            let modulus = Modulus::new(q).unwrap();
            let root = primitive_root_2n(q, log_n).unwrap();
            assert_eq!(modulus.pow(root, 1 << log_n), q - 1);
            assert!(root <= modulus.pow(root, 3) && root <= modulus.inv(root).unwrap());
        }
    }
}
