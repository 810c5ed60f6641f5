//! Residues packed to the bits of their prime.
//!
//! ```text
//! words of 3 bits   a = 101   b = 011   c = 110        bits from the lowest
//! bytes             [ c1 c0 b2 b1 b0 a2 a1 a0 ] [ 0 0 0 0 0 0 0 c2 ]
//! ```

/// Bits that a number below `limit` takes.
pub(super) fn bits_below(limit: u64) -> u32 {
    u64::BITS - (limit - 1).leading_zeros()
}

/// Bytes that `count` numbers below `limit` take when packed.
pub(super) fn packed_bytes(count: usize, limit: u64) -> u64 {
    (count as u64 * u64::from(bits_below(limit))).div_ceil(8)
}

/// Packs words of `bits` bits each, at most 50, lowest bits first.
pub(super) fn pack(out: &mut [u8], words: &[u64], bits: u32) {
    let (mut pending, mut filled, mut start) = (0_u64, 0, 0);
    for &word in words {
        pending |= word << filled;
        filled += bits;
        if filled >= u64::BITS {
            out[start..start + 8].copy_from_slice(&pending.to_le_bytes());
            start += 8;
            filled -= u64::BITS;
            // What did not fit; nothing at all when the word just did.
            pending = word >> (bits - filled);
        }
    }
    let rest = &mut out[start..];
    rest.copy_from_slice(&pending.to_le_bytes()[..rest.len()]);
}

/// The words that [`pack`] packed, from bytes that at least eight others follow.
pub(super) fn unpack(words: &mut [u64], padded: &[u8], bits: u32) {
    let mask = u64::MAX >> (u64::BITS - bits);
    let mut place = 0;
    for word in words {
        // Begins in the first of these bytes and has at most 50 bits, so it ends in the last or before.
        let bytes = padded[place / 8..].first_chunk().copied().unwrap_or_default();
        *word = (u64::from_le_bytes(bytes) >> (place % 8)) & mask;
        place += bits as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_size_keep_their_bits() {
        for bits in 1..=50 {
            for count in [1, 2, 7, 8, 65, 200] {
                let mask = (1_u64 << bits) - 1;
                let words: Vec<u64> = (0..count)
                    .map(|i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7 & mask)
                    .chain([0, mask])
                    .collect();
                let bytes = packed_bytes(words.len(), 1 << bits) as usize;
                let mut packed = vec![0xff; bytes];
                pack(&mut packed, &words, bits);
                // Bit by bit, as the format has it.
                for place in 0..8 * bytes {
                    let word = words.get(place / bits as usize).copied().unwrap_or(0);
                    let expected = word >> (place % bits as usize) & 1;
                    assert_eq!(u64::from(packed[place / 8] >> (place % 8) & 1), expected);
                }
                packed.resize(bytes + 8, 0);
                let mut found = vec![u64::MAX; words.len()];
                unpack(&mut found, &packed, bits);
                assert_eq!(found, words);
            }
        }
    }
}
