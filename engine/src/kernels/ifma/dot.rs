//! The dot products of key switching. Ranges are those of [`crate::kernels::Kernels`].
//!
//! Four vectors per output are summed at once: 16 running words in registers, and enough independent
//! multiply-adds to hide their latency.

use std::arch::x86_64::*;

use super::arith::{Factor, Sum, SumReducer, V, blocks_mut, is_wide, load, six_bytes, store_block};
use super::expand::Maker;
use super::pointwise::store_permuted;
use crate::kernels::contract::{KEY_WORDS, KeyProduct};
use crate::kernels::masks::MaskStream;
use crate::kernels::packed::{packed_load, stored_words};
use crate::kernels::shape::require_key_product;
use crate::modulus::Modulus;

/// Where the second components of a key come from.
enum Seconds<'a, 'm> {
    /// They are among its words.
    Stored,
    /// They are there, as [`KeyProduct::masks`] orders them.
    Made(&'a [u64]),
    /// They are made.
    Make(&'a mut Maker<'m>),
}

/// See [`crate::kernels::Kernels::key_product`].
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl,aes,vaes")]
pub(super) fn key_product(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    modulus: &Modulus,
) {
    require_key_product(product, out0.len(), out1.len());
    let seconds = product.masks.map_or(Seconds::Stored, Seconds::Made);
    key_product_from(out0, out1, product, seconds, modulus);
}

/// See [`crate::kernels::Expansion::key_product`].
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl,aes,vaes")]
pub(super) fn key_product_with_masks(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    stream: &MaskStream<'_>,
    masks: &mut [u64],
    modulus: &Modulus,
) {
    require_key_product(&KeyProduct { masks: Some(masks), ..*product }, out0.len(), out1.len());
    let numbers = stream.numbers.len();
    assert!(numbers == product.digits.len(), "streams for {numbers} digits");
    let mut maker = Maker::new(stream, masks, modulus);
    key_product_from(out0, out1, product, Seconds::Make(&mut maker), modulus);
}

/// A checked product.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl,aes,vaes")]
fn key_product_from(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    seconds: Seconds<'_, '_>,
    modulus: &Modulus,
) {
    // A digit below 2q times a key word below q; add0 is one more term, and smaller.
    let wide = is_wide(product.digits.len() + 1, 2 * modulus.bits() + 1);
    let apart = !matches!(seconds, Seconds::Stored);
    let compiled = match (wide, product.key.packed, apart) {
        (true, true, true) => key_product_as::<true, true, true>,
        (true, true, false) => key_product_as::<true, true, false>,
        (true, false, true) => key_product_as::<true, false, true>,
        (true, false, false) => key_product_as::<true, false, false>,
        (false, true, true) => key_product_as::<false, true, true>,
        (false, true, false) => key_product_as::<false, true, false>,
        (false, false, true) => key_product_as::<false, false, true>,
        (false, false, false) => key_product_as::<false, false, false>,
    };
    compiled(out0, out1, product, seconds, modulus);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl,aes,vaes")]
fn key_product_as<const WIDE: bool, const PACKED: bool, const APART: bool>(
    out0: &mut [u64],
    out1: &mut [u64],
    product: &KeyProduct<'_>,
    mut seconds: Seconds<'_, '_>,
    modulus: &Modulus,
) {
    let reducer = SumReducer::new(modulus);
    let len = out0.len();
    let (out0, out1) = (blocks_mut(out0), blocks_mut(out1));
    for start in (0..len).step_by(KEY_WORDS) {
        let masks: &[u64] = match &mut seconds {
            Seconds::Stored => &[],
            Seconds::Made(masks) => &masks[start * product.digits.len()..],
            Seconds::Make(maker) => maker.group(start / KEY_WORDS),
        };
        // SAFETY: all slices have the lengths that `require_key_product` checks, start + KEY_WORDS <= len.
        let words =
            unsafe { key_words::<WIDE, PACKED, APART>(product, masks, len, start, &reducer) };
        put(out0, out1, product, start / 8, &words);
    }
}

/// Vectors of a group of [`KEY_WORDS`].
const VECTORS: usize = KEY_WORDS / 8;

/// Vector `u` of the words of one digit and component at `group`.
///
/// # Safety
/// `group` must be readable for its stored words.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl")]
unsafe fn key_vector<const PACKED: bool>(group: *const u64, u: usize) -> V {
    if !PACKED {
        // SAFETY: promised by the caller.
        return unsafe { load(group.add(8 * u)) };
    }
    let (at, behind) = packed_load(u, 48, 64);
    // SAFETY: promised by the caller; the 64 bytes from `at` on are within the group.
    let loaded = unsafe { load(group.byte_add(at)) };
    let bytes = if behind == 0 { &SIX_BYTES[0] } else { &SIX_BYTES[1] };
    // SAFETY: the array has 64 bytes.
    let bytes = unsafe { load(bytes.as_ptr().cast()) };
    _mm512_maskz_permutexvar_epi8(0x3f3f_3f3f_3f3f_3f3f, bytes, loaded)
}

/// The bytes of each lane: the six from `6 i` on for lane `i`, and two that are masked; then the same 16 bytes further on.
static SIX_BYTES: [[u8; 64]; 2] = [six_bytes(0), six_bytes(16)];

/// The reduced words of both outputs at `start`, before the permutation.
///
/// # Safety
/// All slices of the product must have `len` words, at least `start + KEY_WORDS`, and the key those of a chunk of `len`; if
/// `APART`, masks must begin with those of all digits for that group.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl")]
unsafe fn key_words<const WIDE: bool, const PACKED: bool, const APART: bool>(
    product: &KeyProduct<'_>,
    masks: &[u64],
    len: usize,
    start: usize,
    reducer: &SumReducer,
) -> [[V; 2]; VECTORS] {
    let mut sums = [[Sum::zero(); 2]; VECTORS];
    if let Some((words, scalar)) = product.add0 {
        let factor = Factor::new(scalar);
        for (u, [sum, _]) in sums.iter_mut().enumerate() {
            // SAFETY: promised by the caller.
            sum.add(unsafe { load(words.as_ptr().add(start + 8 * u)) }, factor.value);
        }
    }
    let stored = stored_words(PACKED);
    // Where the next component is, and the next digit.
    let component = product.key.stored_chunk(len);
    let digit_words = if APART { component } else { 2 * component };
    let lines = stored / 8;
    let mut key = product.key.at_group(start);
    let mut mask = masks.as_ptr();
    // Without a next key, what is used anyway is asked for: that costs little.
    let mut next = product.next_key.map_or(key, |next| next.at_group(start));
    for digit in product.digits {
        for (u, [sum0, sum1]) in sums.iter_mut().enumerate() {
            if u < lines {
                _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(8 * u).cast());
                if !APART {
                    _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(component + 8 * u).cast());
                }
            }
            // SAFETY: promised by the caller.
            let (digit, key0, key1) = unsafe {
                (
                    load(digit.as_ptr().add(start + 8 * u)),
                    key_vector::<PACKED>(key, u),
                    if APART {
                        load(mask.add(8 * u))
                    } else {
                        key_vector::<PACKED>(key.add(component), u)
                    },
                )
            };
            sum0.add(digit, key0);
            sum1.add(digit, key1);
        }
        key = key.wrapping_add(digit_words);
        next = next.wrapping_add(digit_words);
        mask = mask.wrapping_add(KEY_WORDS);
    }
    let mut words = [[_mm512_setzero_si512(); 2]; VECTORS];
    for (pair, &[sum0, sum1]) in words.iter_mut().zip(&sums) {
        *pair = [reducer.reduce::<WIDE>(sum0), reducer.reduce::<WIDE>(sum1)];
    }
    words
}

/// Stores blocks of both outputs, permuted if so asked.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl")]
fn put(
    out0: &mut [[u64; 8]],
    out1: &mut [[u64; 8]],
    product: &KeyProduct<'_>,
    first: usize,
    words: &[[V; 2]; VECTORS],
) {
    for (u, &[word0, word1]) in words.iter().enumerate() {
        match &product.permutation {
            None => {
                store_block(&mut out0[first + u], word0);
                store_block(&mut out1[first + u], word1);
            }
            Some(permutation) => {
                let target = permutation.target[first + u];
                store_permuted(out0, word0, target, permutation.tables);
                store_permuted(out1, word1, target, permutation.tables);
            }
        }
    }
}
