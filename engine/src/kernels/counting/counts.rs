//! What was counted.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// A kernel, by the name of its field in the table of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Forward transform.
    NttForward,
    /// Inverse transform.
    NttInverse,
    /// `a += b`.
    Add,
    /// `a -= b`.
    Sub,
    /// `a b`.
    Mul,
    /// `a b + c`.
    MulAdd,
    /// `out + c - a b`, or without `c`.
    MulSub,
    /// `a s` with a scalar.
    MulScalar,
    /// `a + b s` with a scalar.
    MulScalarAdd,
    /// `(a - b) s` with a scalar.
    SubFromMulScalar,
    /// `a mod q`.
    Reduce,
    /// A basis conversion from a single prime.
    Lift,
    /// A basis conversion to one prime, whatever the primes.
    DotConst,
    /// A basis conversion to one or two primes, from such as are small enough together.
    DotConvert,
    /// The quotient that a basis conversion from several primes needs.
    Quotient,
    /// Digits times a key, both components.
    KeyProduct,
    /// Pairs times factors.
    DotPairs,
    /// Sums of squares of pairs.
    SquareSum,
    /// A product of two pairs.
    Tensor,
    /// A permutation.
    Permute,
}

/// Calls of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The kernel.
    pub kernel: Kernel,
    /// Words of its slices: of a transform the ring degree.
    pub length: usize,
    /// Whether the primes are small enough for words of keys to be packed, see [`crate::keys::KeyForm`]; of a kernel that is
    /// told no prime it is false.
    pub packed: bool,
    /// Whether it is a transform modulo a prime that [`crate::ntt::corrects`].
    pub corrected: bool,
}

/// How much was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Calls.
    pub calls: u64,
    /// Words of results.
    pub words: u64,
    /// Multiplications: butterflies of transforms, terms of sums of products, scalings. Reductions are none.
    pub products: u64,
    /// Words of sums of products that were reduced: of those that hold fewer products than they have, more than once.
    pub reduced_words: u64,
    /// Words of results that were permuted.
    pub permuted_words: u64,
    /// Words of keys that were made from their seeds.
    pub mask_words: u64,
    /// Bytes of polynomials read, each operand once a call; but for digits.
    pub read_bytes: u64,
    /// Bytes of digits that key products read.
    pub digit_bytes: u64,
    /// Bytes of keys read, as they are stored.
    pub key_bytes: u64,
    /// Bytes of factors of pairs read: of plaintexts, as far as these are kept.
    pub factor_bytes: u64,
    /// Bytes of constants: those of transforms with their quotients, of which kernels may read fewer, and those that conversions
    /// read.
    pub constant_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.words += other.words;
        self.products += other.products;
        self.reduced_words += other.reduced_words;
        self.permuted_words += other.permuted_words;
        self.mask_words += other.mask_words;
        self.read_bytes += other.read_bytes;
        self.digit_bytes += other.digit_bytes;
        self.key_bytes += other.key_bytes;
        self.factor_bytes += other.factor_bytes;
        self.constant_bytes += other.constant_bytes;
        self.written_bytes += other.written_bytes;
    }
}

/// Calls of all kernels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    calls: BTreeMap<Call, Amount>,
    /// Bytes read of keys, by where they are.
    keys: BTreeMap<usize, u64>,
    /// Bytes read of factors, by where they are.
    factors: BTreeMap<usize, u64>,
}

impl Counts {
    /// All sorts of calls, and how much each did.
    pub fn calls(&self) -> &BTreeMap<Call, Amount> {
        &self.calls
    }

    /// What all calls of some sorts did together.
    pub fn total(&self, which: impl Fn(&Call) -> bool) -> Amount {
        let mut total = Amount::default();
        let amounts = self.calls.iter().filter(|(call, _)| which(call));
        amounts.for_each(|(_, amount)| total += *amount);
        total
    }

    /// What all calls of a kernel did together.
    pub fn of(&self, kernel: Kernel) -> Amount {
        self.total(|call| call.kernel == kernel)
    }

    /// Bytes of keys read, those that were read several times counted once.
    pub fn distinct_key_bytes(&self) -> u64 {
        self.keys.values().sum()
    }

    /// Bytes of factors of pairs read, those that were read several times counted once. Factors that are zero, of what a sum
    /// does not use, are read as well, one slice of them over and over.
    pub fn distinct_factor_bytes(&self) -> u64 {
        self.factors.values().sum()
    }

    /// These and others.
    pub(crate) fn merge(&mut self, other: Self) {
        other.calls.into_iter().for_each(|(call, amount)| self.add(call, amount));
        for (mine, others) in [(&mut self.keys, other.keys), (&mut self.factors, other.factors)] {
            others.into_iter().for_each(|(place, bytes)| longest(mine, place, bytes));
        }
    }

    pub(super) fn add(&mut self, call: Call, amount: Amount) {
        *self.calls.entry(call).or_default() += amount;
    }

    /// So many bytes from the start of a key's words.
    pub(super) fn read_key(&mut self, words: &[u64], bytes: u64) {
        longest(&mut self.keys, words.as_ptr().addr(), bytes);
    }

    pub(super) fn read_factor(&mut self, words: &[u64]) {
        longest(&mut self.factors, words.as_ptr().addr(), super::bytes(words.len()));
    }
}

/// Notes what was read from a place on: the most that ever was.
fn longest(places: &mut BTreeMap<usize, u64>, place: usize, bytes: u64) {
    let known = places.entry(place).or_default();
    *known = bytes.max(*known);
}
