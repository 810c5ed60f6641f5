//! Galois automorphisms `X -> X^g` in NTT form, as block permutations.
//!
//! Position `i` of the NTT holds the value at `psi^e` with `e = 2 brv(i) + 1`, so the automorphism sends the value
//! at exponent `e g` to position `i`. An aligned block of `2^j` positions shares the low bits of `brv`, hence the
//! residue of `e` modulo `2N / 2^j`; multiplication by the odd `g` maps such classes to such classes. Blocks of 8
//! words therefore go to blocks of 8 words, and within a block one of eight lane permutations applies, which
//! depends on `g` and on the carry out of the block's own exponent.

use crate::kernels::BlockPermutation;

/// Words of a chunk: inner products, automorphisms and accumulations are fused over chunks of this size, so
/// that what they share stays in the first-level caches.
pub const CHUNK_WORDS: usize = 512;

/// Words of a permuted block.
const BLOCK: usize = 8;

/// An automorphism prepared for one ring degree.
#[derive(Debug, Clone)]
pub struct Automorphism {
    galois: usize,
    /// For each destination chunk, the chunk its values come from.
    source_chunk: Vec<u32>,
    /// For each source block, `destination block within its chunk << 3 | lane table`.
    target: Vec<u32>,
    tables: [[u64; 8]; 8],
}

impl Automorphism {
    /// The automorphism `X -> X^galois` for ring degree `2^log_n`, `log_n >= 9`; `galois` is odd.
    pub fn new(log_n: u32, galois: usize) -> Self {
        let n = 1usize << log_n;
        let mask = 2 * n - 1;
        let brv = |i: usize| i.reverse_bits() >> (usize::BITS - log_n);
        let position = |e: usize| brv((e & mask) >> 1);
        let mut source_chunk = vec![0u32; n / CHUNK_WORDS];
        let mut target = vec![0u32; n / BLOCK];
        let mut tables = [[0u64; 8]; 8];
        for block in 0..n / BLOCK {
            let base = block * BLOCK;
            let sources: [usize; 8] =
                std::array::from_fn(|t| position((2 * brv(base + t) + 1) * galois));
            let lanes = sources.map(|s| (s % BLOCK) as u64);
            // The lane table is known by where lane 0 comes from: the permutations for one automorphism differ
            // only by the carry, which shifts the top bits of the exponent.
            let index = lanes[0] as usize;
            tables[index] = lanes;
            let source_block = sources[0] / BLOCK;
            let within = block % (CHUNK_WORDS / BLOCK);
            target[source_block] = ((within << 3) | index) as u32;
            source_chunk[base / CHUNK_WORDS] = (sources[0] / CHUNK_WORDS) as u32;
        }
        Self { galois, source_chunk, target, tables }
    }

    /// The Galois element of a left rotation by `shift` slots: `5^shift` modulo `2N`.
    pub fn galois_of_rotation(log_n: u32, shift: usize) -> usize {
        let mask = (1usize << (log_n + 1)) - 1;
        let (mut result, mut base, mut exponent) = (1usize, 5usize, shift & (mask >> 2));
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = (result * base) & mask;
            }
            base = (base * base) & mask;
            exponent >>= 1;
        }
        result
    }

    /// Rotations by numbers of slots that differ by a multiple of this move chunks alike, and so read the same chunks of a limb
    /// at a time: the chunk of position `i` is that of the low bits of `e`, and `5^(2^k)` is 1 modulo `2^(k + 2)`.
    pub fn slots_alike(log_n: u32) -> usize {
        ((1 << log_n) / (2 * CHUNK_WORDS)).max(1)
    }

    /// The Galois element of complex conjugation, `2N - 1`.
    pub fn galois_of_conjugation(log_n: u32) -> usize {
        (1 << (log_n + 1)) - 1
    }

    /// The inverse of an odd Galois element modulo `2N`.
    pub fn galois_inverse(log_n: u32, galois: usize) -> usize {
        let mask = (1usize << (log_n + 1)) - 1;
        // Newton iteration: each step doubles the number of correct low bits, and g is its own inverse modulo 8.
        (0..5)
            .fold(galois, |x, _| x.wrapping_mul(2usize.wrapping_sub(galois.wrapping_mul(x))) & mask)
    }

    /// The Galois element.
    pub fn galois(&self) -> usize {
        self.galois
    }

    /// The source chunk of destination chunk `chunk`, if there is one of that number.
    pub fn source_chunk(&self, chunk: usize) -> Option<usize> {
        self.source_chunk.get(chunk).map(|&source| source as usize)
    }

    /// The permutation of the values of source chunk `source` into their destination chunk.
    pub(crate) fn permutation(&self, source: usize) -> BlockPermutation<'_> {
        let blocks = CHUNK_WORDS / BLOCK;
        BlockPermutation {
            target: &self.target[source * blocks..(source + 1) * blocks],
            tables: &self.tables,
        }
    }

    /// Applies the automorphism to a whole limb in NTT form.
    pub fn apply(&self, out: &mut [u64], input: &[u64]) {
        for (&source, out) in self.source_chunk.iter().zip(out.chunks_exact_mut(CHUNK_WORDS)) {
            let source = source as usize;
            let input = &input[source * CHUNK_WORDS..(source + 1) * CHUNK_WORDS];
            (crate::kernels::kernels().permute)(out, input, self.permutation(source));
        }
    }

    /// Memory that one for ring degree `2^log_n` holds, in bytes.
    pub fn bytes_of(log_n: u32) -> usize {
        let n = 1usize << log_n;
        (n / CHUNK_WORDS + n / BLOCK) * size_of::<u32>() + size_of::<[[u64; 8]; 8]>()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.target.len().ilog2() + BLOCK.ilog2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_alike_move_chunks_alike() {
        for log_n in [9, 10, 12] {
            let alike = Automorphism::slots_alike(log_n);
            let chunks = |shift: usize| {
                Automorphism::new(log_n, Automorphism::galois_of_rotation(log_n, shift))
                    .source_chunk
            };
            let same: Vec<_> = (0..alike).map(chunks).collect();
            assert!(same[0].iter().copied().eq(0..1 << (log_n - 9)));
            for (k, one) in same.iter().enumerate() {
                assert!(same[..k].iter().all(|other| other != one), "{log_n}: {k}");
            }
            for shift in [1, 2, 5, 7, 100].map(|rows| rows * alike + 3 % alike) {
                assert_eq!(chunks(shift), same[3 % alike], "{log_n}: {shift}");
            }
        }
    }
}
