//! Masks of keys: AES-128 four blocks a vector, cut into words in registers. See [`crate::kernels::masks`].

use std::arch::x86_64::*;

use super::arith::{V, load, six_bytes, splat, store_block};
use crate::kernels::contract::KEY_WORDS;
use crate::kernels::masks::{BLOCK_BYTES, CIPHER_KEY_BYTES, MaskStream, RoundKeys, stored_bits};
use crate::kernels::packed::PACKED_BITS;
use crate::kernels::shape::require_groups;
use crate::modulus::Modulus;

/// Blocks of a vector.
const LANES: usize = 4;

/// Vectors of a group of words.
const VECTORS: usize = KEY_WORDS / 8;

/// Groups made at once: so many vectors hide the latency of the rounds.
const GROUPS: usize = 2;

/// See [`crate::kernels::Expansion::round_keys`].
#[target_feature(enable = "aes")]
pub(super) fn round_keys(key: &[u8; CIPHER_KEY_BYTES]) -> RoundKeys {
    // SAFETY: both are 16 bytes of no particular meaning.
    let mut words: __m128i = unsafe { std::mem::transmute(*key) };
    let mut keys = RoundKeys::default();
    keys[0] = *key;
    macro_rules! rounds {
        ($($round:literal: $constant:literal),*) => {$(
            // The last word, rotated, substituted and with the round's constant, goes to all four; word i is the sum of those
            // up to i of the round before, and of that.
            let last = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(words));
            words = _mm_xor_si128(words, _mm_slli_si128::<4>(words));
            words = _mm_xor_si128(words, _mm_slli_si128::<8>(words));
            words = _mm_xor_si128(words, last);
            // SAFETY: as above.
            keys[$round] = unsafe { std::mem::transmute::<__m128i, [u8; BLOCK_BYTES]>(words) };
        )*};
    }
    rounds!(1: 0x01, 2: 0x02, 3: 0x04, 4: 0x08, 5: 0x10, 6: 0x20, 7: 0x40, 8: 0x80, 9: 0x1b, 10: 0x36);
    keys
}

/// Makes masks of a chunk group by group, for all digits.
pub(super) struct Maker<'a> {
    stream: &'a MaskStream<'a>,
    /// `[group][digit][KEY_WORDS]`.
    masks: &'a mut [u64],
    /// Groups made.
    made: usize,
    keys: [V; 11],
    /// The bits that are kept.
    kept: V,
    packed: bool,
}

impl<'a> Maker<'a> {
    /// For an even number of groups of as many digits as the stream has; panics if there are others.
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl")]
    pub(super) fn new(stream: &'a MaskStream<'a>, masks: &'a mut [u64], modulus: &Modulus) -> Self {
        let keys = stream.round_keys.map(|key| {
            // SAFETY: both are 16 bytes of no particular meaning.
            _mm512_broadcast_i32x4(unsafe { std::mem::transmute::<[u8; 16], __m128i>(key) })
        });
        require_groups(masks.len(), GROUPS * stream.numbers.len());
        let kept = splat((1 << modulus.bits()) - 1);
        let packed = stored_bits(modulus.bits()) == PACKED_BITS;
        Self { stream, masks, made: 0, keys, kept, packed }
    }

    /// The masks from group `group` on, of which at least that one is made. Groups are asked for in order.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl,aes,vaes")]
    pub(super) fn group(&mut self, group: usize) -> &[u64] {
        let digits = self.stream.numbers.len();
        if self.made <= group {
            match self.packed {
                true => self.make::<3>(group),
                false => self.make::<4>(group),
            }
        }
        &self.masks[group * digits * KEY_WORDS..]
    }

    /// Makes some groups. `CUT` vectors of the cipher make the four vectors of a group.
    #[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl,aes,vaes")]
    fn make<const CUT: usize>(&mut self, group: usize) {
        let (keys, kept) = (self.keys, self.kept);
        let digits = self.stream.numbers.len();
        let masks = &mut self.masks.as_chunks_mut::<KEY_WORDS>().0[group * digits..];
        let counters: [[V; CUT]; GROUPS] = std::array::from_fn(|g| {
            std::array::from_fn(|k| {
                let first = (LANES * (CUT * (group + g) + k)) as i64;
                let counters = _mm512_set_epi64(first + 3, 0, first + 2, 0, first + 1, 0, first, 0);
                _mm512_xor_si512(counters, keys[0])
            })
        });
        for (d, &number) in self.stream.numbers.iter().enumerate() {
            let number = _mm512_maskz_set1_epi64(0b0101_0101, number as i64);
            let mut blocks = counters;
            for block in blocks.as_flattened_mut() {
                *block = _mm512_xor_si512(*block, number);
            }
            for key in &keys[1..10] {
                for block in blocks.as_flattened_mut() {
                    *block = _mm512_aesenc_epi128(*block, *key);
                }
            }
            for (g, blocks) in blocks.iter_mut().enumerate() {
                for block in blocks.iter_mut() {
                    *block = _mm512_aesenclast_epi128(*block, keys[10]);
                }
                let words = masks[g * digits + d].as_chunks_mut::<8>().0;
                for (word, cut) in words.iter_mut().zip(cut(blocks)) {
                    store_block(word, _mm512_and_si512(cut, kept));
                }
            }
        }
        self.made = group + GROUPS;
    }
}

/// The words of a group, with more bits than are kept.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi,avx512dq,avx512vl")]
fn cut<const CUT: usize>(blocks: &[V; CUT]) -> [V; VECTORS] {
    if let Ok(blocks) = <[V; VECTORS]>::try_from(&blocks[..]) {
        return blocks;
    }
    let next = |u: usize| blocks[u.min(CUT - 1)];
    std::array::from_fn(|u| {
        // SAFETY: the array has 64 bytes.
        let bytes = unsafe { load(SIX_BYTES[u].as_ptr().cast()) };
        // Vector u begins at byte 48 u, which is in vector u - 1 of the cipher from the second on.
        _mm512_permutex2var_epi8(next(u.saturating_sub(1)), bytes, next(u.max(1)))
    })
}

/// For each vector of words, where the bytes of each lane are in two adjacent vectors of the cipher: six of a word, and two more
/// that are not kept.
static SIX_BYTES: [[u8; 64]; VECTORS] = [six_bytes(0), six_bytes(48), six_bytes(32), six_bytes(16)];
