//! What a kernel is called with, and the ranges that it keeps to: one signature for all instruction sets.

use serde::{Deserialize, Serialize};

use super::masks::Expansion;
use super::packed::stored_words;
use super::tables::transform::TransformTable;
use crate::modulus::{Modulus, ShoupScalar};

/// Words that an inner product sums in registers at once, and that are packed together. Chunks of a key product are multiples
/// of it.
pub(crate) const KEY_WORDS: usize = 32;

/// A chunk of a key-switching key: `[digit][component][chunk length]`, so that a value of fewer digits reads the first of them.
#[derive(Clone, Copy)]
pub(crate) struct KeyWords<'a> {
    /// The words, as they are stored.
    pub words: &'a [u64],
    /// Digits of the key.
    pub digits: usize,
    /// Components that are stored: both, or only the first.
    pub components: usize,
    /// Whether each [`KEY_WORDS`] are packed, see [`super::packed`].
    pub packed: bool,
}

impl KeyWords<'_> {
    /// Stored words of [`KEY_WORDS`].
    pub(super) fn stored(&self) -> usize {
        stored_words(self.packed)
    }

    /// Stored words of one component of a digit, for a chunk of so many words.
    pub(super) fn stored_chunk(&self, words: usize) -> usize {
        words / KEY_WORDS * self.stored()
    }

    /// Where the words of the first digit for the group at `start` are, if there are any: of a key to be asked for, nobody
    /// checks that.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn at_group(&self, start: usize) -> *const u64 {
        self.words.as_ptr().wrapping_add(self.stored_chunk(start))
    }
}

/// Arguments of [`Kernels::key_product`].
#[derive(Clone, Copy)]
pub(crate) struct KeyProduct<'a> {
    /// Digit limbs, one slice per digit, words in `[0, 2q)`, all over the same source chunk.
    pub digits: &'a [&'a [u64]],
    /// The key for the same chunk, words in `[0, q)`; it has at least as many digits.
    pub key: KeyWords<'a>,
    /// The key's second components where it holds only the first: `[chunk length / KEY_WORDS][digit][KEY_WORDS]` for the
    /// digits above, in `[0, q)`.
    pub masks: Option<&'a [u64]>,
    /// The key that the next call will read: it is asked from memory meanwhile.
    pub next_key: Option<KeyWords<'a>>,
    /// A further summand of output 0: words in `[0, q)`, times a scalar.
    pub add0: Option<(&'a [u64], ShoupScalar)>,
    /// Permutation of the chunk applied to the outputs, if any.
    pub permutation: Option<BlockPermutation<'a>>,
}

/// Most outputs of [`Kernels::dot_pairs`]. Four read more streams of plaintexts than the hardware follows: layers with full ones
/// take a tenth to a fifth longer then, and with those of a subring no less.
pub(crate) const MAX_OUTPUTS: usize = 3;

/// Arguments of [`Kernels::dot_pairs`]: pairs of words, and what each is multiplied by for every output.
pub(crate) struct PairProducts<'a> {
    /// First components, a slice per term, words in `[0, q)`.
    pub x0: &'a [&'a [u64]],
    /// Second components, as many.
    pub x1: &'a [&'a [u64]],
    /// Factors, words in `[0, q)`: `factors[outputs * k + j]` is that of term `k` for output `j`. Its word `i` is the factor
    /// of words `run * i..run * (i + 1)`.
    pub factors: &'a [&'a [u64]],
    /// Adjacent words that have one factor: 1, or a power of two of at least 8. More than a slice has are as good.
    pub run: usize,
    /// Whether the sums are added to what the outputs hold, words in `[0, q)`.
    pub add: bool,
}

/// A permutation of a chunk that maps aligned blocks of 8 words to aligned blocks of 8 words, as
/// every Galois automorphism does in bit-reversed NTT order:
/// `out[8 * (target[b] >> 3) + t] = in[8 * b + tables[target[b] & 7][t]]`.
#[derive(Clone, Copy)]
pub(crate) struct BlockPermutation<'a> {
    /// For each source block: `destination_block << 3 | table_index`, destinations within the chunk.
    pub target: &'a [u32],
    /// The eight lane permutations that occur for this automorphism.
    pub tables: &'a [[u64; 8]; 8],
}

/// What sums of products modulo one prime hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SumTerms {
    /// Products of residues, of pairs with factors and of ciphertexts: a sum of more is reduced each time that it holds so many.
    pub pairs: usize,
    /// Products of digits with keys.
    pub keys: usize,
    /// Products of a basis conversion.
    pub conversions: usize,
    /// Sums of pairs with factors that registers hold, 1 to [`MAX_OUTPUTS`]: more of them read the pairs once more. Who does not say
    /// has as many as any.
    #[serde(default = "most_outputs")]
    pub outputs: usize,
}

fn most_outputs() -> usize {
    MAX_OUTPUTS
}

impl SumTerms {
    /// As many as any sum has.
    pub const ANY: Self =
        Self { pairs: 1 << 24, keys: 1 << 24, conversions: 1 << 24, outputs: MAX_OUTPUTS };
}

impl Default for SumTerms {
    fn default() -> Self {
        Self::ANY
    }
}

/// One implementation of every inner loop.
#[allow(clippy::type_complexity, reason = "the field comments name the arguments")]
pub(crate) struct Kernels {
    /// Name of the instruction set: `scalar`, `avx2`, `avx512`, `avx512ifma`.
    pub name: &'static str,
    /// Whether transforms of `2^k` words modulo a prime, in either direction, correct words between stages that those modulo
    /// smaller primes do not. Arguments: prime, k.
    pub corrects: fn(u64, u32) -> bool,
    /// How many products sums modulo a prime hold.
    pub sum_terms: fn(u64) -> SumTerms,
    /// Outputs of `dot_pairs`, 1 to [`MAX_OUTPUTS`], whose sums the registers hold: more of them read the pairs once more.
    pub outputs: usize,
    /// Bits that the reduction of `dot_convert` divides by: 52 where it is Montgomery's, else 0.
    pub convert_radix_bits: u32,
    /// How to make masks of keys, if that takes less time than reading them.
    pub expansion: Option<Expansion>,
    /// Forward negacyclic NTT in place: natural order in, bit-reversed out. `[0, 2q) -> [0, q)`.
    pub ntt_forward: fn(&TransformTable, &mut [u64]),
    /// Inverse of `ntt_forward`, with the factor 1/N: bit-reversed in, natural out. `[0, 2q) -> [0, q)`.
    pub ntt_inverse: fn(&TransformTable, &mut [u64]),
    /// `a += b`, all in `[0, q)`.
    pub add: fn(&mut [u64], &[u64], &Modulus),
    /// `a -= b`, all in `[0, q)`.
    pub sub: fn(&mut [u64], &[u64], &Modulus),
    /// `out = a * b`, `[0, 2q) x [0, q) -> [0, q)`.
    pub mul: fn(&mut [u64], &[u64], &[u64], &Modulus),
    /// `out = a * b + c`, `[0, 2q) x [0, q) + [0, q) -> [0, q)`. Arguments: out, a, b, c.
    pub mul_add: fn(&mut [u64], &[u64], &[u64], &[u64], &Modulus),
    /// `out += c - a * b` or, without `c`, `out -= a * b`: `a` in `[0, 2q)`, all others in `[0, q)`. Arguments:
    /// out, a, b, c.
    pub mul_sub: fn(&mut [u64], &[u64], &[u64], Option<&[u64]>, &Modulus),
    /// `a = a * s`, `[0, 2^52) -> [0, q)`.
    pub mul_scalar: fn(&mut [u64], ShoupScalar, &Modulus),
    /// `a += b * s`, `[0, q) + [0, 2^52) * s -> [0, q)`.
    pub mul_scalar_add: fn(&mut [u64], &[u64], ShoupScalar, &Modulus),
    /// `b = (a - b) * s`, `b` in `[0, 2q)`, `a` in `[0, q)` -> `[0, q)`: the end of a mod-down.
    pub sub_from_mul_scalar: fn(&mut [u64], &[u64], ShoupScalar, &Modulus),
    /// `out = a mod q` for any `a < 2^52`, into `[0, q)`.
    pub reduce: fn(&mut [u64], &[u64], &Modulus),
    /// `out = x` taken as the number of least size modulo the odd `p`, modulo q: `x` in `[0, p)`, `p < 2^51`, `q < 2^51` -> `[0, q)`.
    /// A basis conversion from a single prime is one such call per target prime.
    pub lift: fn(&mut [u64], &[u64], u64, &Modulus),
    /// `out[t] = sum_i xs[i][t] * consts[i] mod q`, `xs < 2^52`, `consts` in `[0, q)`; at most 64
    /// sources; output `[0, q)`. A basis conversion is one such call per target prime.
    pub dot_const: fn(&mut [u64], &[&[u64]], &[u64], &Modulus),
    /// `out_j[t] = 2^-b sum_i xs[i][t] * consts_j[i] mod q_j` for one or two targets `j`, where `b` is `convert_radix_bits`;
    /// `consts_j` in `[0, q_j)`; the sums over `i` of the largest `xs[i][t]` must be below 2^52; output `[0, 2q)`, the one
    /// output that may differ between instruction sets. Arguments: outs, xs, consts, moduli.
    pub dot_convert: fn(&mut [&mut [u64]], &[&[u64]], &[&[u64]], &[&Modulus]),
    /// `out[t] = floor(1/2 + sum_i xs[i][t] * inverses[i])` in double precision, where `xs[i] < q_i`
    /// and `inverses[i] = 1/q_i`: how many times the product of the `q_i` is to be subtracted to get
    /// the centred representative (Halevi, Polyakov, Shoup, ePrint 2018/117).
    pub quotient: fn(&mut [u64], &[&[u64]], &[f64]),
    /// `out0 = sum_d digits_d key0_d + add0`, `out1 = sum_d digits_d key1_d`, both in `[0, q)` and then
    /// permuted; at most 64 digits.
    pub key_product: fn(&mut [u64], &mut [u64], &KeyProduct<'_>, &Modulus),
    /// `out_j0 = sum_k x0_k p_kj`, `out_j1 = sum_k x1_k p_kj` for one to [`MAX_OUTPUTS`] outputs `j`, each word of the
    /// terms being loaded once for all: any number of terms, inputs `[0, q)`, outputs `[0, q)`.
    pub dot_pairs: fn(&mut [[&mut [u64]; 2]], &PairProducts<'_>, &Modulus),
    /// Sum of tensor squares: `out0 = sum a_k^2`, `out1 = sum 2 a_k b_k`, `out2 = sum b_k^2`; inputs and
    /// outputs `[0, q)`; arguments out0, out1, out2, a, b.
    pub square_sum: fn(&mut [u64], &mut [u64], &mut [u64], &[&[u64]], &[&[u64]], &Modulus),
    /// Tensor product of `(a0, a1)` and `(b0, b1)`: `out0 = a0 b0`, `out1 = a0 b1 + a1 b0`, `out2 = a1 b1`;
    /// inputs and outputs `[0, q)`. Arguments: `[out0, out1, out2]`, `[a0, a1, b0, b1]`.
    pub tensor: fn([&mut [u64]; 3], [&[u64]; 4], &Modulus),
    /// `out = permutation(in)` for words of any value.
    pub permute: fn(&mut [u64], &[u64], BlockPermutation<'_>),
}
