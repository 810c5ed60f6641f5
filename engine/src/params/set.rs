//! The checked, immutable parameter set and the constants derived from it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::literal::{Chain, ParametersLiteral};
use super::{limits, max_log_qp};
use crate::modulus::{Modulus, primes};
use crate::ntt::{NttTable, Roots};
use crate::rns::RnsTables;
use crate::{Error, Result};

/// Stable identity of a parameter set: SHA-256 over N, the primes, the scale and the digit size.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Checks that `what`, made under these parameters, belongs to those of `expected`.
    ///
    /// # Errors
    /// [`Error::ForeignParameters`] naming both.
    pub fn check(self, expected: Self, what: &'static str) -> Result<()> {
        if self == expected {
            return Ok(());
        }
        let (found, expected) = (self.to_string(), expected.to_string());
        Err(Error::ForeignParameters { what, found, expected })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A range of limbs that one key-switching digit covers.
pub type Digit = Range<usize>;

/// Checked parameters. Cloning is cheap: the contents are shared.
#[derive(Clone)]
pub struct Parameters {
    inner: Arc<Inner>,
}

struct Inner {
    literal: ParametersLiteral,
    levels: usize,
    /// Transforms of q_0..q_L, then of the special primes.
    transforms: Vec<Transform>,
    scale: f64,
    fingerprint: Fingerprint,
    rns: RnsTables,
}

/// A transform whose table is made when it is first asked for: parameters from a file, a few hundred bytes, may ask for tables
/// of hundreds of megabytes that nobody then reads.
struct Transform {
    roots: Roots,
    table: OnceLock<NttTable>,
}

impl Parameters {
    /// Checks a literal and derives everything from it.
    ///
    /// # Errors
    /// [`Error::Parameters`] for sizes out of range, primes that do not fit or too few special bits;
    /// [`Error::Insecure`] beyond the 128-bit table unless `allow_insecure` is set.
    pub fn new(literal: &ParametersLiteral) -> Result<Self> {
        let log_n = literal.log_n;
        limits::check_log_n(log_n)?;
        let (q, p) = resolve(literal)?;
        check(literal, &q, &p)?;
        let moduli = q.iter().chain(&p).map(|&m| Modulus::new(m)).collect::<Result<Vec<_>>>()?;
        let transform = |&m| Ok(Transform { roots: Roots::new(m, log_n)?, table: OnceLock::new() });
        let transforms = moduli.iter().map(transform).collect::<Result<Vec<_>>>()?;
        let rns = RnsTables::new(&moduli, q.len(), literal.digit_limbs)?;
        let fingerprint = fingerprint(literal, &q, &p);
        let inner = Inner {
            literal: literal.clone(),
            levels: q.len(),
            transforms,
            scale: literal.log_scale.exp2(),
            fingerprint,
            rns,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The literal these parameters were made from.
    pub fn literal(&self) -> &ParametersLiteral {
        &self.inner.literal
    }

    /// Base-2 logarithm of the ring degree.
    pub fn log_n(&self) -> u32 {
        self.inner.literal.log_n
    }

    /// Ring degree.
    pub fn n(&self) -> usize {
        1 << self.log_n()
    }

    /// Slots of a ciphertext, N/2.
    pub fn slots(&self) -> usize {
        self.n() / 2
    }

    /// The highest level L; a ciphertext there has L + 1 limbs.
    pub fn max_level(&self) -> usize {
        self.inner.levels - 1
    }

    /// Number of special primes.
    pub fn special_count(&self) -> usize {
        self.inner.transforms.len() - self.inner.levels
    }

    /// The nominal scale.
    pub fn scale(&self) -> f64 {
        self.inner.scale
    }

    /// NTT table of q_i for `i <= max_level`, then of the special primes; made at the first call.
    pub fn table(&self, limb: usize) -> &NttTable {
        let Transform { roots, table } = &self.inner.transforms[limb];
        table.get_or_init(|| roots.table())
    }

    /// Modulus of a limb: q_i for `i <= max_level`, then the special primes.
    pub fn modulus(&self, limb: usize) -> &Modulus {
        self.inner.transforms[limb].roots.modulus()
    }

    /// Index (for [`Self::table`]) of the limb stored at position `position` of a value at `level`:
    /// positions beyond `level` are the special primes.
    pub fn limb_index(&self, level: usize, position: usize) -> usize {
        if position <= level { position } else { position - level + self.max_level() }
    }

    /// The primes q_0..q_L.
    pub fn q(&self) -> Vec<u64> {
        (0..self.inner.levels).map(|i| self.modulus(i).value()).collect()
    }

    /// The special primes.
    pub fn p(&self) -> Vec<u64> {
        (self.inner.levels..self.inner.transforms.len()).map(|i| self.modulus(i).value()).collect()
    }

    /// Limbs per key-switching digit.
    pub fn digit_limbs(&self) -> usize {
        self.inner.literal.digit_limbs
    }

    /// The digits of a value at `level`, as ranges of limbs; the last may be shorter.
    pub fn digits(&self, level: usize) -> Vec<Digit> {
        let alpha = self.digit_limbs();
        (0..=level).step_by(alpha).map(|start| start..(start + alpha).min(level + 1)).collect()
    }

    /// Bits of the modulus at `level`: of the product of `q_0` to `q_level`.
    pub fn log_q(&self, level: usize) -> f64 {
        (0..=level).map(|i| (self.modulus(i).value() as f64).log2()).sum()
    }

    /// Bits of all primes, special ones included.
    pub fn log_qp(&self) -> f64 {
        log2_product(&self.q()) + log2_product(&self.p())
    }

    /// Whether the 128-bit table allows this set.
    pub fn is_secure(&self) -> bool {
        max_log_qp(self.log_n()).is_some_and(|limit| self.log_qp() <= f64::from(limit))
    }

    /// Stable identity of this set.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Constants of the basis conversions.
    pub(crate) fn rns(&self) -> &RnsTables {
        &self.inner.rns
    }
}

impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.inner.fingerprint == other.inner.fingerprint
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("log_n", &self.log_n())
            .field("q", &self.q())
            .field("p", &self.p())
            .field("log_scale", &self.inner.literal.log_scale)
            .field("digit_limbs", &self.digit_limbs())
            .finish()
    }
}

fn log2_product(primes: &[u64]) -> f64 {
    primes.iter().map(|&p| (p as f64).log2()).sum()
}

/// The primes a literal asks for.
fn resolve(literal: &ParametersLiteral) -> Result<(Vec<u64>, Vec<u64>)> {
    match &literal.chain {
        Chain::Explicit { q, p } => {
            let Some(levels) = q.len().checked_sub(1) else {
                return Err(Error::Parameters("no prime q_0, expected at least that one".into()));
            };
            limits::check_counts(levels, p.len())?;
            Ok((q.clone(), p.clone()))
        }
        Chain::Bits { first, scale, special } => {
            limits::check_counts(scale.len(), special.len())?;
            let mut used = Vec::new();
            let mut take = |bits: u32| -> Result<u64> {
                let prime = primes::ntt_primes(bits, literal.log_n, 1, &used)?[0];
                used.push(prime);
                Ok(prime)
            };
            // The scale primes come first: they are to lie nearest to the scale.
            let scale = scale.iter().map(|&b| take(b)).collect::<Result<Vec<_>>>()?;
            let mut q = vec![take(*first)?];
            q.extend(scale);
            let p = special.iter().map(|&b| take(b)).collect::<Result<Vec<_>>>()?;
            Ok((q, p))
        }
    }
}

fn check(literal: &ParametersLiteral, q: &[u64], p: &[u64]) -> Result<()> {
    let fail = |message: String| Err(Error::Parameters(message));
    let mut all: Vec<u64> = q.iter().chain(p).copied().collect();
    all.sort_unstable();
    if let Some(pair) = all.windows(2).find(|w| w[0] == w[1]) {
        return fail(format!("prime {} occurs twice, expected distinct primes", pair[0]));
    }
    let most = limits::MAX_PRIME_BITS;
    if let Some(bad) = all.iter().find(|&&m| m < 2 || m >> most != 0) {
        return fail(format!("prime {bad}, expected one of 2 to {most} bits"));
    }
    limits::check_log_scale(literal.log_scale)?;
    limits::check_digit_limbs(literal.digit_limbs, q.len() - 1)?;
    let digit = q.chunks(literal.digit_limbs).map(log2_product).fold(0.0, f64::max);
    let special = log2_product(p);
    // Key-switching noise is (digit / P) times a large factor: it drowns a message at the usual scales where P is much smaller.
    if special < digit - limits::MAX_SPECIAL_LACK_BITS {
        return fail(format!(
            "special primes have {special:.1} bits, the largest digit {digit:.1}: \
             add special primes or use fewer limbs a digit"
        ));
    }
    let log_qp = log2_product(q) + special;
    if !literal.allow_insecure {
        match max_log_qp(literal.log_n) {
            Some(limit) if log_qp <= f64::from(limit) => {}
            Some(limit) => return Err(Error::Insecure { log_qp, log_n: literal.log_n, limit }),
            None => return fail(format!("no security bound known for N = 2^{}", literal.log_n)),
        }
    }
    Ok(())
}

fn fingerprint(literal: &ParametersLiteral, q: &[u64], p: &[u64]) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(b"spencnn parameters 1");
    hash.update(literal.log_n.to_le_bytes());
    hash.update((literal.digit_limbs as u64).to_le_bytes());
    hash.update(literal.log_scale.to_bits().to_le_bytes());
    for list in [q, p] {
        hash.update((list.len() as u64).to_le_bytes());
        list.iter().for_each(|m| hash.update(m.to_le_bytes()));
    }
    Fingerprint(hash.finalize().into())
}
