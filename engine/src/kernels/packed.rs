//! Key words in 48 bits: four of them in three stored words, lowest first. An inner product reads a key once, from memory,
//! and is bound by that; unpacking in registers is free beside it.
//!
//! ```text
//! word      0          1          2          3
//!        |--------|-------- |--------|--------|
//! stored |       0     |       1      |     2      |
//! ```

use super::contract::KEY_WORDS;

/// Most bits of a word that may be packed.
pub(crate) const PACKED_BITS: u32 = 48;

/// Stored words that [`KEY_WORDS`] take.
pub(crate) const PACKED_WORDS: usize = KEY_WORDS / 4 * 3;

/// Stored words that [`KEY_WORDS`] take, packed or not.
pub(crate) const fn stored_words(packed: bool) -> usize {
    if packed { PACKED_WORDS } else { KEY_WORDS }
}

/// The low 48 bits.
const MASK: u64 = (1 << PACKED_BITS) - 1;

/// Packs words below 2^48, a multiple of 4, into three quarters as many.
pub(crate) fn pack(words: &[u64], packed: &mut [u64]) {
    require_packed(words.len(), packed.len());
    for (w, p) in words.as_chunks::<4>().0.iter().zip(packed.as_chunks_mut::<3>().0) {
        debug_assert!(w.iter().all(|w| *w <= MASK), "a key word of more than 48 bits");
        *p = [w[0] | w[1] << 48, w[1] >> 16 | w[2] << 32, w[2] >> 32 | w[3] << 16];
    }
}

/// Unpacks what [`pack`] packed.
pub(crate) fn unpack(packed: &[u64], words: &mut [u64]) {
    require_packed(words.len(), packed.len());
    for (w, p) in words.as_chunks_mut::<4>().0.iter_mut().zip(packed.as_chunks::<3>().0) {
        let parts = [p[0], p[0] >> 48 | p[1] << 16, p[1] >> 32 | p[2] << 32, p[2] >> 16];
        *w = parts.map(|part| part & MASK);
    }
}

/// Panics unless so many words are a multiple of 4 and take so many stored ones.
#[inline]
fn require_packed(words: usize, packed: usize) {
    assert!(words.is_multiple_of(4), "{words} words to pack, expected a multiple of 4");
    assert!(packed == words / 4 * 3, "{packed} stored words for {words}, expected 3 for every 4");
}

/// Where a vector of `bytes` packed bytes, number `vector` of a group, is loaded from by a load of `loaded` bytes, and how far
/// behind that it begins: at its own place, but for the last ones of a group, which are loaded with what lies before them, so
/// that nothing behind the group is read.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn packed_load(vector: usize, bytes: usize, loaded: usize) -> (usize, usize) {
    let own = vector * bytes;
    let at = own.min(8 * PACKED_WORDS - loaded);
    (at, own - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_48_bits_come_back() {
        let mut state = 1_u64;
        for round in 0..100 {
            let words: [u64; KEY_WORDS] = std::array::from_fn(|k| {
                state =
                    state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                match round {
                    0 => MASK,
                    1 => MASK * (k as u64 & 1),
                    _ => state >> 16,
                }
            });
            let (mut packed, mut unpacked) = ([0; PACKED_WORDS], [0; KEY_WORDS]);
            pack(&words, &mut packed);
            unpack(&packed, &mut unpacked);
            assert_eq!(unpacked, words);
        }
    }
}
