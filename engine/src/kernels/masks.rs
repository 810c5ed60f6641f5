//! Masks, that is, the uniform halves of keys, made from their seed while the other half is read: memory gives two cores less
//! than they can make.
//!
//! A mask of a chunk is what AES-128 in counter mode gives under the seed: block `i` is the encryption of a number that
//! belongs to digit, limb and chunk, in the low eight bytes, and of `i` in the high ones (both little-endian). Blocks, one after
//! the other, are cut into words of as many bits as stored ones take (see [`stored_bits`]), of which those of the prime
//! are kept. All of them are below the prime: numbers that give others are passed over when the key is made.

use super::contract::KeyProduct;
use super::packed::PACKED_BITS;
use crate::modulus::Modulus;

/// Bytes of a block of the cipher.
pub(crate) const BLOCK_BYTES: usize = 16;

/// Bytes of the cipher's key.
pub(crate) const CIPHER_KEY_BYTES: usize = 16;

/// The keys of the cipher's rounds, the first of which is added before them.
pub(crate) type RoundKeys = [[u8; BLOCK_BYTES]; 11];

/// How to make masks.
#[allow(clippy::type_complexity, reason = "the field comments name the arguments")]
pub(crate) struct Expansion {
    /// The round keys of a key.
    pub round_keys: fn(&[u8; CIPHER_KEY_BYTES]) -> RoundKeys,
    /// As [`super::Kernels::key_product`], with masks that are made for it, a little ahead of their use, and left for
    /// further products in the order of [`KeyProduct::masks`]; the product has none. Arguments: out0, out1, product, stream,
    /// masks, modulus.
    pub key_product:
        fn(&mut [u64], &mut [u64], &KeyProduct<'_>, &MaskStream<'_>, &mut [u64], &Modulus),
}

/// What the masks of a chunk are made from.
#[derive(Clone, Copy)]
pub(crate) struct MaskStream<'a> {
    pub round_keys: &'a RoundKeys,
    /// The number of each digit of the product.
    pub numbers: &'a [u64],
}

/// Bits that a word takes in memory, as part of a key, for a prime of so many bits: 48 or 64. Masks are cut by them too.
pub(crate) fn stored_bits(prime_bits: u32) -> u32 {
    if is_packed(prime_bits) { PACKED_BITS } else { u64::BITS }
}

/// Whether words of keys are packed, for a prime of so many bits.
pub(crate) fn is_packed(prime_bits: u32) -> bool {
    prime_bits <= PACKED_BITS
}
