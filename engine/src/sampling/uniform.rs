//! Uniform residues, expanded from public seeds.
//!
//! A stream of random bits is cut into candidates of `K` bits. A candidate below the largest multiple of q is
//! accepted, and its residue is uniform; `K` is chosen so that the stream lasts longest. The stream of a group of 128
//! candidates is cut lane by lane: `K / 4` rows of eight 64-bit words make 16 rows of eight candidates, whose lane `i`
//! has the bits of lane `i` of the words, lowest first. So cutting needs no movement between lanes. A residue whose
//! candidate was rejected is replaced by the next of the spare ones: those accepted of a further group.

use super::Seed;
use super::chacha::KeyStream;
use crate::kernels::kernels;
use crate::modulus::{Modulus, RADIX_BITS};
use crate::vector::instance::{Instance, instances};

/// Candidates cut at a time.
const GROUP: usize = 128;
/// Groups whose random bits are drawn at a time.
const GROUPS: usize = 16;

/// Writes uniform residues in `[0, q)`, from stream number `stream` of `seed`. The length is a multiple of 8.
pub(crate) fn uniform(out: &mut [u64], seed: &Seed, stream: u64, modulus: &Modulus) {
    Uniform::new(seed, stream, modulus).fill(out);
}

/// Uniform residues in `[0, q)`, a stream of them.
struct Uniform<'a> {
    keys: KeyStream,
    instance: Instance,
    modulus: &'a Modulus,
    /// Bits of a candidate, a multiple of 4.
    bits: u32,
    /// Candidates below are accepted: a multiple of q, at most `2^bits`.
    limit: u64,
    /// Random words in rows of eight lanes, of as many groups as are drawn at a time, and an empty row.
    rows: Vec<Row>,
    /// Rows used up.
    used: usize,
    /// Residues to replace rejected ones, the next of them last.
    spares: Vec<u64>,
}

/// Eight words, little-endian.
type Row = [[u8; 8]; 8];

impl<'a> Uniform<'a> {
    /// Stream number `stream` of `seed`.
    fn new(seed: &Seed, stream: u64, modulus: &'a Modulus) -> Self {
        Self::with_instance(Instance::chosen(), seed, stream, modulus)
    }

    fn with_instance(instance: Instance, seed: &Seed, stream: u64, modulus: &'a Modulus) -> Self {
        let (bits, limit) = candidate_bits(modulus);
        let rows = vec![Row::default(); GROUPS * group_rows(bits) + 1];
        let used = rows.len() - 1;
        let keys = KeyStream::new(instance, seed, stream);
        Self { keys, instance, modulus, bits, limit, rows, used, spares: Vec::new() }
    }

    /// Writes the next residues, a multiple of 8. What is written in several calls is the same as in one if all of
    /// them but the last write a multiple of 128.
    fn fill(&mut self, out: &mut [u64]) {
        let mut words = [0; GROUP];
        for out in out.chunks_mut(GROUP) {
            self.draw(&mut words);
            let words = &words[..out.len()];
            (kernels().reduce)(out, words, self.modulus);
            for (out, words) in out.as_chunks_mut::<8>().0.iter_mut().zip(words.as_chunks::<8>().0)
            {
                // Seldom, so that it pays to ask for all together.
                if words.iter().fold(false, |any, &word| any | (word >= self.limit)) {
                    for (out, &word) in out.iter_mut().zip(words) {
                        if word >= self.limit {
                            *out = self.spare();
                        }
                    }
                }
            }
        }
    }

    /// A residue to replace a rejected one.
    fn spare(&mut self) -> u64 {
        loop {
            if let Some(residue) = self.spares.pop() {
                return residue;
            }
            let mut words = [0; GROUP];
            self.draw(&mut words);
            let (limit, q) = (self.limit, self.modulus.value());
            self.spares.extend(words.iter().rev().filter(|&&w| w < limit).map(|w| w % q));
        }
    }

    /// The next group of candidates.
    fn draw(&mut self, words: &mut [u64; GROUP]) {
        let drawn = self.rows.len() - 1;
        if self.used == drawn {
            // A row is a block, and the rows drawn are a multiple of 16.
            let bytes = self.rows[..drawn].as_flattened_mut().as_flattened_mut();
            self.keys.fill(bytes.as_chunks_mut().0);
            self.used = 0;
        }
        let end = self.used + group_rows(self.bits);
        cut(self.instance, words, &self.rows[self.used..=end], self.bits);
        self.used = end;
    }
}

/// Rows of random words that a group takes.
fn group_rows(bits: u32) -> usize {
    bits as usize / 4
}

/// Bits of a candidate, a multiple of 4 and at most 52, such that a residue takes fewest on average; and the largest
/// multiple of q that is at most 2 to this power.
fn candidate_bits(modulus: &Modulus) -> (u32, u64) {
    let q = modulus.value();
    let choices = (modulus.bits().next_multiple_of(4)..=RADIX_BITS).step_by(4);
    // A residue takes `bits 2^bits / limit`. Exact numbers, because files hold seeds: all machines must agree.
    let cross = |a: (u32, u64), b: (u32, u64)| (u128::from(a.0) << a.0) * u128::from(b.1);
    choices
        .map(|bits| (bits, (1 << bits) - (1 << bits) % q))
        .min_by(|&a, &b| cross(a, b).cmp(&cross(b, a)))
        .unwrap_or((RADIX_BITS, q))
}

instances! {
/// Cuts rows of words, and one row more whose contents do not matter, into candidates.
fn cut<V>(out: &mut [u64; GROUP], rows: &[Row], bits: u32) {
    let mask = (1 << bits) - 1;
    for (j, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let start = j * bits as usize;
        let (row, shift) = (start / 64, start % 64);
        for lane in 0..8 {
            let low = u64::from_le_bytes(rows[row][lane]) >> shift;
            let high = u64::from_le_bytes(rows[row + 1][lane]) << 1 << (63 - shift);
            out[lane] = (low | high) & mask;
        }
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngCore, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    fn sample(n: usize, seed: u8, stream: u64, q: u64) -> Vec<u64> {
        let mut out = vec![u64::MAX; n];
        uniform(&mut out, &[seed; 32], stream, &Modulus::new(q).unwrap());
        out
    }

    #[test]
    fn repeats_for_a_stream_and_stays_below_q() {
        for q in [3, 1_048_583, 70_368_743_587_841, 70_368_744_570_881, (1 << 50) - 27] {
            let found = sample(4096, 3, 5, q);
            assert!(found.iter().all(|&x| x < q));
            assert_eq!(found, sample(4096, 3, 5, q));
            assert_ne!(found, sample(4096, 3, 6, q));
            assert_ne!(found, sample(4096, 4, 5, q));
        }
        // A short one begins as a long one does.
        assert_eq!(sample(32, 3, 5, 97), sample(4096, 3, 5, 97)[..32]);
    }

    /// The definition, word by word.
    #[test]
    fn follows_its_definition() {
        for q in [1_048_583, 70_368_743_587_841, 70_368_744_570_881, 562_949_953_421_477] {
            let modulus = Modulus::new(q).unwrap();
            let (bits, limit) = candidate_bits(&modulus);
            let mut rng = ChaCha20Rng::from_seed([9; 32]);
            rng.set_stream(1 << 40);
            let mut group = || -> Vec<u64> {
                let rows = group_rows(bits);
                let words: Vec<u64> = (0..8 * rows).map(|_| rng.next_u64()).collect();
                let bit = |j: usize, lane: usize, b: usize| {
                    let place = j * bits as usize + b;
                    words[8 * (place / 64) + lane] >> (place % 64) & 1
                };
                let places = (0..16).flat_map(|j| (0..8).map(move |lane| (j, lane)));
                places
                    .map(|(j, lane)| (0..bits as usize).map(|b| bit(j, lane, b) << b).sum())
                    .collect()
            };
            let mut spares = Vec::new().into_iter();
            let mut expected = Vec::new();
            while expected.len() < 5 * 1024 {
                for word in group() {
                    expected.push(if word < limit {
                        word % q
                    } else {
                        loop {
                            if let Some(spare) = spares.next() {
                                break spare;
                            }
                            let accepted = group().into_iter().filter(|&w| w < limit);
                            spares = accepted.map(|w| w % q).collect::<Vec<_>>().into_iter();
                        }
                    });
                }
            }
            assert_eq!(sample(5 * 1024, 9, 1 << 40, q), expected, "{q}");
        }
    }

    #[test]
    fn residues_are_the_same_everywhere() {
        for q in [1_048_583, 70_368_744_570_881, 562_949_953_421_477] {
            let modulus = Modulus::new(q).unwrap();
            for instance in Instance::available() {
                let mut out = vec![u64::MAX; 4096];
                let mut uniform = Uniform::with_instance(instance, &[8; 32], 2, &modulus);
                // In pieces, too.
                let (first, second) = out.split_at_mut(3 * GROUP);
                uniform.fill(first);
                uniform.fill(second);
                assert_eq!(out, sample(4096, 8, 2, q), "{instance:?}");
            }
        }
    }

    #[test]
    fn cutting_is_the_same_everywhere() {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        for bits in (4..=52).step_by(4) {
            let mut rows = vec![Row::default(); group_rows(bits) + 1];
            rng.fill_bytes(rows.as_flattened_mut().as_flattened_mut());
            let mut expected = [0; GROUP];
            cut(Instance::Portable, &mut expected, &rows, bits);
            for instance in Instance::available() {
                let mut out = [u64::MAX; GROUP];
                cut(instance, &mut out, &rows, bits);
                assert_eq!(out, expected, "{instance:?} {bits}");
            }
        }
    }

    #[test]
    fn candidates_waste_few_bits() {
        for (q, expected) in [
            // One in 16 rejected; 4 multiples of q miss 2^48 by little; 63 of almost 64 and 7 of almost 8 fit into 2^52.
            (1_048_583, 24),
            (70_368_743_587_841, 48),
            (70_368_744_570_881, 52),
            (562_949_953_421_477, 52),
            ((1 << 50) - 27, 52),
        ] {
            let (bits, limit) = candidate_bits(&Modulus::new(q).unwrap());
            assert_eq!(bits, expected);
            assert!(limit.is_multiple_of(q) && limit <= 1 << bits && limit + q > 1 << bits);
        }
    }

    /// Frequencies in equal intervals, the last of which ends at q, and in residue classes, where q is not a multiple of
    /// the number of bins by so little that it does not matter.
    #[test]
    fn uniform_up_to_q() {
        const BINS: usize = 64;
        for q in [70_368_743_587_841_u64, 70_368_744_570_881, 562_949_953_421_477] {
            let n = 1 << 18;
            let found = sample(n, 11, 0, q);
            let interval = |x: u64| (u128::from(x) * BINS as u128 / u128::from(q)) as usize;
            let class = |x: u64| (x % BINS as u64) as usize;
            for bin in [&interval as &dyn Fn(u64) -> usize, &class] {
                let mut counts = [0_u32; BINS];
                found.iter().for_each(|&x| counts[bin(x)] += 1);
                let expected = n as f64 / BINS as f64;
                let chi_square: f64 =
                    counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
                // 63 degrees of freedom. By the tail bound of Laurent and Massart, chi-square exceeds
                // 63 + 2 sqrt(63 x) + 2 x with probability below exp(-x); x = 20.
                assert!(chi_square < 63.0 + 2.0 * (63.0_f64 * 20.0).sqrt() + 40.0, "{chi_square}");
            }
        }
    }

    /// Every residue of a small prime, the largest and zero included, is as frequent as another.
    #[test]
    fn every_residue_is_equally_frequent() {
        let n = 97 * 2048;
        let mut counts = [0_u32; 97];
        sample(n, 12, 0, 97).iter().for_each(|&x| counts[x as usize] += 1);
        let expected = (n / 97) as f64;
        let chi_square: f64 =
            counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        // As above, with 96 degrees of freedom.
        assert!(chi_square < 96.0 + 2.0 * (96.0_f64 * 20.0).sqrt() + 40.0, "{chi_square}");
    }
}
