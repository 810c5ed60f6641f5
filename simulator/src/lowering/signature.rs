//! Identity of a plaintext without its slot values.

/// A 128-bit sum over the entries of a plaintext. Sums do not depend on the order, and two plaintexts made
/// of the same entries have the same one. Used to find equal plaintexts, with and without values alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Signature(u64, u64);

impl Signature {
    /// Adds an entry: a weight at every slot of position set `set`, moved by `base`.
    pub fn add(&mut self, base: usize, set: usize, weight: f64) {
        let place = (base as u64) | (set as u64) << 32;
        let first = mix(weight.to_bits() ^ mix(place ^ 0x9e37_79b9_7f4a_7c15));
        self.0 = self.0.wrapping_add(first);
        self.1 = self.1.wrapping_add(mix(first ^ 0xd1b5_4a32_d192_ed03).wrapping_mul(place | 1));
    }
}

/// A bijective mixing of 64 bits (the finaliser of splitmix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
