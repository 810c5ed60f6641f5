//! As many blocks at a time as a vector has 32-bit lanes: vector `w` holds word `w` of the state of each.

use std::arch::x86_64::*;

use super::BLOCK;
use crate::sampling::Seed;
use crate::vector::instance::Instance;

/// Writes blocks from number `counter` on. The instance is not the portable one.
pub(super) fn fill(
    instance: Instance,
    blocks: &mut [[u8; BLOCK]],
    seed: &Seed,
    stream: u64,
    counter: u64,
) {
    if instance == Instance::Avx512 {
        // SAFETY: an instance names what the processor has.
        unsafe { fill_avx512(blocks, seed, stream, counter) }
    } else {
        // SAFETY: as above; of the two instances that reach this file, it is the other one.
        unsafe { fill_avx2(blocks, seed, stream, counter) }
    }
}

#[target_feature(enable = "avx512f")]
fn fill_avx512(blocks: &mut [[u8; BLOCK]], seed: &Seed, stream: u64, counter: u64) {
    fill_with::<__m512i, 16>(blocks, seed, stream, counter);
}

#[target_feature(enable = "avx2")]
fn fill_avx2(blocks: &mut [[u8; BLOCK]], seed: &Seed, stream: u64, counter: u64) {
    fill_with::<__m256i, 8>(blocks, seed, stream, counter);
}

/// A vector of `LANES` 32-bit words.
///
/// # Safety
/// Values may only be made and used where the processor has the vector's features, within a function compiled for
/// them.
unsafe trait Words<const LANES: usize>: Copy {
    fn load(words: &[u32; LANES]) -> Self;
    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// Rotates every word to the left by 16, 12, 8 or 7 bits.
    fn rotate<const BITS: i32>(self) -> Self;
    /// Writes block `i` from lane `i` of all words.
    fn store(state: [Self; 16], blocks: &mut [[u8; BLOCK]; LANES]);
}

#[inline(always)]
fn fill_with<V: Words<LANES>, const LANES: usize>(
    blocks: &mut [[u8; BLOCK]],
    seed: &Seed,
    stream: u64,
    mut counter: u64,
) {
    let (batches, rest) = blocks.as_chunks_mut::<LANES>();
    for blocks in batches {
        batch::<V, LANES>(blocks, seed, stream, counter);
        counter = counter.wrapping_add(LANES as u64);
    }
    if !rest.is_empty() {
        let mut last = [[0; BLOCK]; LANES];
        batch::<V, LANES>(&mut last, seed, stream, counter);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// As many blocks as there are lanes, from number `counter` on.
#[inline(always)]
fn batch<V: Words<LANES>, const LANES: usize>(
    blocks: &mut [[u8; BLOCK]; LANES],
    seed: &Seed,
    stream: u64,
    counter: u64,
) {
    // "expand 32-byte k", the key, the counter, the stream.
    let mut start = [V::load(&[0x6170_7865; LANES]); 16];
    start[1] = V::load(&[0x3320_646e; LANES]);
    start[2] = V::load(&[0x7962_2d32; LANES]);
    start[3] = V::load(&[0x6b20_6574; LANES]);
    for (word, &bytes) in start[4..].iter_mut().zip(seed.as_chunks::<4>().0) {
        *word = V::load(&[u32::from_le_bytes(bytes); LANES]);
    }
    let (mut low, mut high) = ([0; LANES], [0; LANES]);
    for lane in 0..LANES {
        let counter = counter.wrapping_add(lane as u64);
        (low[lane], high[lane]) = (counter as u32, (counter >> 32) as u32);
    }
    (start[12], start[13]) = (V::load(&low), V::load(&high));
    start[14] = V::load(&[stream as u32; LANES]);
    start[15] = V::load(&[(stream >> 32) as u32; LANES]);
    let mut state = start;
    for _ in 0..10 {
        quarter_rounds(&mut state, [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]);
        quarter_rounds(&mut state, [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]]);
    }
    for (word, start) in state.iter_mut().zip(start) {
        *word = word.add(start);
    }
    V::store(state, blocks);
}

/// Four independent quarter rounds, step by step.
#[inline(always)]
fn quarter_rounds<V: Words<LANES>, const LANES: usize>(x: &mut [V; 16], rounds: [[usize; 4]; 4]) {
    for [a, b, _, d] in rounds {
        x[a] = x[a].add(x[b]);
        x[d] = x[d].xor(x[a]).rotate::<16>();
    }
    for [_, b, c, d] in rounds {
        x[c] = x[c].add(x[d]);
        x[b] = x[b].xor(x[c]).rotate::<12>();
    }
    for [a, b, _, d] in rounds {
        x[a] = x[a].add(x[b]);
        x[d] = x[d].xor(x[a]).rotate::<8>();
    }
    for [_, b, c, d] in rounds {
        x[c] = x[c].add(x[d]);
        x[b] = x[b].xor(x[c]).rotate::<7>();
    }
}

// SAFETY (for every block below): the trait's contract gives the features, and loads and stores go through arrays of
// the right size.

// SAFETY: uses AVX-512F alone.
unsafe impl Words<16> for __m512i {
    #[inline(always)]
    fn load(words: &[u32; 16]) -> Self {
        // SAFETY: see above.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(self, other) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { _mm512_xor_si512(self, other) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        // SAFETY: see above.
        unsafe { _mm512_rol_epi32::<BITS>(self) }
    }

    #[inline(always)]
    fn store(state: [Self; 16], blocks: &mut [[u8; BLOCK]; 16]) {
        // SAFETY: see above.
        unsafe {
            // Of words 4g to 4g + 3: quarter `l` of vector `j` belongs to block 4l + j.
            let mut words = [[state[0]; 4]; 4];
            for (words, v) in words.iter_mut().zip(state.as_chunks::<4>().0) {
                let (a, b) = (_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpacklo_epi32(v[2], v[3]));
                let (c, d) = (_mm512_unpackhi_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[2], v[3]));
                *words = [
                    _mm512_unpacklo_epi64(a, b),
                    _mm512_unpackhi_epi64(a, b),
                    _mm512_unpacklo_epi64(c, d),
                    _mm512_unpackhi_epi64(c, d),
                ];
            }
            for j in 0..4 {
                let t = [words[0][j], words[1][j], words[2][j], words[3][j]];
                let (a, b) = (
                    _mm512_shuffle_i32x4::<0x44>(t[0], t[1]),
                    _mm512_shuffle_i32x4::<0x44>(t[2], t[3]),
                );
                let (c, d) = (
                    _mm512_shuffle_i32x4::<0xEE>(t[0], t[1]),
                    _mm512_shuffle_i32x4::<0xEE>(t[2], t[3]),
                );
                let rows = [
                    _mm512_shuffle_i32x4::<0x88>(a, b),
                    _mm512_shuffle_i32x4::<0xDD>(a, b),
                    _mm512_shuffle_i32x4::<0x88>(c, d),
                    _mm512_shuffle_i32x4::<0xDD>(c, d),
                ];
                for (l, row) in rows.into_iter().enumerate() {
                    _mm512_storeu_si512(blocks[4 * l + j].as_mut_ptr().cast(), row);
                }
            }
        }
    }
}

// SAFETY: uses AVX2 alone.
unsafe impl Words<8> for __m256i {
    #[inline(always)]
    fn load(words: &[u32; 8]) -> Self {
        // SAFETY: see above.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { _mm256_add_epi32(self, other) }
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: see above.
        unsafe { _mm256_xor_si256(self, other) }
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        // SAFETY: see above.
        unsafe {
            match BITS {
                16 => _mm256_shuffle_epi8(
                    self,
                    _mm256_broadcastsi128_si256(_mm_setr_epi8(
                        2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                    )),
                ),
                8 => _mm256_shuffle_epi8(
                    self,
                    _mm256_broadcastsi128_si256(_mm_setr_epi8(
                        3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
                    )),
                ),
                12 => _mm256_or_si256(_mm256_slli_epi32::<12>(self), _mm256_srli_epi32::<20>(self)),
                _ => _mm256_or_si256(_mm256_slli_epi32::<7>(self), _mm256_srli_epi32::<25>(self)),
            }
        }
    }

    #[inline(always)]
    fn store(state: [Self; 16], blocks: &mut [[u8; BLOCK]; 8]) {
        // SAFETY: see above.
        unsafe {
            // Of words 4g to 4g + 3: half `l` of vector `j` belongs to block 4l + j.
            let mut words = [[state[0]; 4]; 4];
            for (words, v) in words.iter_mut().zip(state.as_chunks::<4>().0) {
                let (a, b) = (_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpacklo_epi32(v[2], v[3]));
                let (c, d) = (_mm256_unpackhi_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[2], v[3]));
                *words = [
                    _mm256_unpacklo_epi64(a, b),
                    _mm256_unpackhi_epi64(a, b),
                    _mm256_unpacklo_epi64(c, d),
                    _mm256_unpackhi_epi64(c, d),
                ];
            }
            for j in 0..4 {
                for half in 0..2 {
                    let (a, b) = (words[2 * half][j], words[2 * half + 1][j]);
                    let low = _mm256_permute2x128_si256::<0x20>(a, b);
                    let high = _mm256_permute2x128_si256::<0x31>(a, b);
                    _mm256_storeu_si256(blocks[j][32 * half..][..32].as_mut_ptr().cast(), low);
                    _mm256_storeu_si256(blocks[4 + j][32 * half..][..32].as_mut_ptr().cast(), high);
                }
            }
        }
    }
}
