//! Identity of a plaintext without its slot values.

/// A 128-bit sum over the parts of a plaintext. Sums do not depend on the order, and two plaintexts made
/// of the same parts have the same one. Used to find equal plaintexts, with and without values alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Signature(u64, u64);

impl Signature {
    /// Adds an entry: a weight at every slot of position set `set`, moved by `base`.
    pub fn add(&mut self, base: usize, set: usize, weight: f64) {
        let place = (base as u64) | (set as u64) << 32;
        self.mix_in(weight.to_bits(), place);
    }

    /// Adds everything that `part` stands for, moved by `base`.
    pub fn add_moved(&mut self, part: Self, base: usize) {
        self.mix_in(part.0 ^ mix(part.1), base as u64);
        self.1 = self.1.wrapping_add(mix(part.1 ^ mix(base as u64 + 1)));
    }

    /// Adds the parts of another one, unmoved.
    pub fn join(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
        self.1 = self.1.wrapping_add(other.1);
    }

    /// Both parts as one number.
    pub(crate) fn digest(self) -> u64 {
        mix(self.0 ^ mix(self.1))
    }

    fn mix_in(&mut self, what: u64, place: u64) {
        let first = mix(what ^ mix(place ^ 0x9e37_79b9_7f4a_7c15));
        self.0 = self.0.wrapping_add(first);
        self.1 = self.1.wrapping_add(mix(first ^ 0xd1b5_4a32_d192_ed03).wrapping_mul(place | 1));
    }
}

/// A bijective mixing of 64 bits (the finaliser of splitmix64).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}
