//! Uniform residues that mask key-switching keys, expanded from public seeds so fast that they need not be stored.
//!
//! Where a prime is just below a power of two, as those are that parameters choose, a word of as many random bits is a residue
//! but seldom not. A chunk's stream (see [`crate::kernels::MaskStream`]) is drawn again under another number until all its words
//! are residues, which leaves them uniform; the numbers are kept, so that making a mask again takes no comparison.
//! AES-128 with a public seed as its key makes public randomness here as in FrodoKEM's `A`; secrets never come from it.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::Seed;
use crate::kernels::{BLOCK_BYTES, CIPHER_KEY_BYTES, stored_bits};
use crate::modulus::Modulus;
use crate::poly::CHUNK_WORDS;

/// Most draws of a chunk that are expected, on average.
const MOST_DRAWS: f64 = 8.0;

/// Blocks encrypted at a time.
const BLOCKS: usize = 8;

/// Where a chunk of a mask is in a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskPlace {
    /// Digit, below 2^8.
    pub digit: usize,
    /// Number of the limb among those of the parameters, below 2^12.
    pub limb: usize,
    /// Chunk, below 2^12.
    pub chunk: usize,
}

impl MaskPlace {
    /// The number under which its stream is drawn at first; the draws that follow count up in the upper half.
    fn number(self) -> u64 {
        let Self { digit, limb, chunk } = self;
        assert!(digit < 1 << 8 && limb < 1 << 12 && chunk < 1 << 12, "no number for {self:?}");
        (chunk << 20 | limb << 8 | digit) as u64
    }
}

/// Whether masks for a prime can be drawn chunk by chunk: whether so few words are not residues that a chunk is drawn
/// [`MOST_DRAWS`] times at most, on average.
pub(crate) fn drawn_by_chunk(modulus: &Modulus) -> bool {
    size_drawn_by_chunk(modulus.value() as f64)
}

/// The same of a prime of about this size, the power of two above which it lies below.
pub(crate) fn size_drawn_by_chunk(size: f64) -> bool {
    let missed = 1.0 - size / size.log2().ceil().exp2();
    // The logarithm of the chance of a chunk without such a word.
    let chance = CHUNK_WORDS as f64 * (-missed).ln_1p();
    chance >= -MOST_DRAWS.ln()
}

/// Makes the masks of a key.
pub(crate) struct Masks(Aes128Enc);

impl Masks {
    /// Of the key with this seed.
    pub(crate) fn new(seed: &Seed) -> Self {
        Self(Aes128Enc::new(&cipher_key(seed).into()))
    }

    /// Writes the mask of a chunk, in `[0, q)`; returns the number that its stream has been drawn under.
    pub(crate) fn draw(
        &self,
        mask: &mut [u64; CHUNK_WORDS],
        place: MaskPlace,
        modulus: &Modulus,
    ) -> u64 {
        let mut number = place.number();
        loop {
            self.fill(mask, number, modulus.bits());
            if mask.iter().all(|&word| word < modulus.value()) {
                return number;
            }
            number += 1 << 32;
        }
    }

    /// The words of a stream, of `bits` bits.
    fn fill(&self, mask: &mut [u64; CHUNK_WORDS], number: u64, bits: u32) {
        let bytes = stored_bits(bits) as usize / 8;
        // So many blocks are a whole number of words of either size.
        let mut stream = [[0; BLOCK_BYTES]; CHUNK_WORDS * 8 / BLOCK_BYTES];
        let stream = &mut stream[..CHUNK_WORDS * bytes / BLOCK_BYTES];
        for (first, blocks) in (0..).step_by(BLOCKS).zip(stream.chunks_mut(BLOCKS)) {
            let mut ciphers = [aes::Block::default(); BLOCKS];
            for (counter, cipher) in (first..).zip(&mut ciphers) {
                cipher[..8].copy_from_slice(&number.to_le_bytes());
                cipher[8..].copy_from_slice(&u64::to_le_bytes(counter));
            }
            self.0.encrypt_blocks(&mut ciphers);
            blocks.iter_mut().zip(ciphers).for_each(|(block, cipher)| *block = cipher.into());
        }
        let kept = (1 << bits) - 1;
        for (word, cut) in mask.iter_mut().zip(stream.as_flattened().chunks_exact(bytes)) {
            let mut whole = [0; 8];
            whole[..bytes].copy_from_slice(cut);
            *word = u64::from_le_bytes(whole) & kept;
        }
    }
}

/// The key of the cipher.
pub(crate) fn cipher_key(seed: &Seed) -> [u8; CIPHER_KEY_BYTES] {
    std::array::from_fn(|i| seed[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::for_each_isa;
    use crate::kernels::{
        KEY_WORDS, Kernels, KeyProduct, KeyWords, MaskStream, PACKED_BITS, stored_words,
    };
    use crate::modulus::primes::ntt_primes;

    const SEED: Seed = [7; 32];

    fn modulus(bits: u32) -> Modulus {
        Modulus::new(ntt_primes(bits, 13, 1, &[]).unwrap()[0]).unwrap()
    }

    for_each_isa!(kernels_make_the_same_masks);

    fn kernels_make_the_same_masks(kernels: &Kernels) {
        let Some(expansion) = &kernels.expansion else { return };
        let round_keys = (expansion.round_keys)(&cipher_key(&SEED));
        for bits in [30, 36, 46, 47, 48, 49, 50] {
            let modulus = modulus(bits);
            for digits in [1, 2, 5] {
                let mut expected = vec![[0; CHUNK_WORDS]; digits];
                let draw = |(digit, mask): (usize, &mut [u64; CHUNK_WORDS])| {
                    let place = MaskPlace { digit, limb: 3, chunk: 17 };
                    Masks::new(&SEED).draw(mask, place, &modulus)
                };
                let numbers: Vec<u64> = expected.iter_mut().enumerate().map(draw).collect();
                let mut found = vec![u64::MAX; digits * CHUNK_WORDS];
                let stream = MaskStream { round_keys: &round_keys, numbers: &numbers };
                let packed = stored_bits(bits) == PACKED_BITS;
                let words = vec![1; digits * CHUNK_WORDS];
                let zeros = vec![0; digits * CHUNK_WORDS];
                let stored = &zeros[..zeros.len() / KEY_WORDS * stored_words(packed)];
                let product = KeyProduct {
                    digits: &words.chunks(CHUNK_WORDS).collect::<Vec<_>>(),
                    key: KeyWords { words: stored, digits, components: 1, packed },
                    masks: None,
                    next_key: None,
                    add0: None,
                    permutation: None,
                };
                let [mut out0, mut out1] = [[u64::MAX; CHUNK_WORDS]; 2];
                (expansion.key_product)(
                    &mut out0, &mut out1, &product, &stream, &mut found, &modulus,
                );
                for (i, group) in found.chunks(KEY_WORDS).enumerate() {
                    let start = i / digits * KEY_WORDS;
                    assert_eq!(group, &expected[i % digits][start..start + KEY_WORDS], "{bits}");
                }
                // With keys of zero and digits of one, the product is the sum of the masks.
                assert_eq!(out0, [0; CHUNK_WORDS]);
                for (t, &word) in out1.iter().enumerate() {
                    let sum = expected.iter().map(|mask| mask[t]).sum::<u64>();
                    assert_eq!(word, sum % modulus.value());
                }
            }
        }
    }

    /// FIPS 197, appendix A.1: the last of the words that a key expands to, and appendix B: a block under it.
    #[test]
    fn cipher_is_the_published_one() {
        let key = [
            0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf,
            0x4f, 0x3c,
        ];
        let mut block = aes::Block::from([
            0x32, 0x43, 0xf6, 0xa8, 0x88, 0x5a, 0x30, 0x8d, 0x31, 0x31, 0x98, 0xa2, 0xe0, 0x37,
            0x07, 0x34,
        ]);
        Aes128Enc::new(&key.into()).encrypt_block(&mut block);
        assert_eq!(block[..4], [0x39, 0x25, 0x84, 0x1d]);
        for kernels in crate::kernels::available() {
            if let Some(expansion) = &kernels.expansion {
                let keys = (expansion.round_keys)(&key);
                assert_eq!(keys[10][12..], [0xb6, 0x63, 0x0c, 0xa6]);
            }
        }
    }

    #[test]
    fn words_that_are_no_residues_are_drawn_again() {
        // One word in 256 is none: of a chunk, 0.87 on average one at least.
        let q = (1 << 30) - (1 << 22) + 1;
        let modulus = Modulus::new(q).unwrap();
        assert!(drawn_by_chunk(&modulus));
        let masks = Masks::new(&SEED);
        let (mut again, mut words) = (0, [0; CHUNK_WORDS]);
        for chunk in 0..64 {
            let number = masks.draw(&mut words, MaskPlace { digit: 1, limb: 2, chunk }, &modulus);
            assert!(words.iter().all(|&word| word < q));
            assert_eq!(number & 0xffff_ffff, (chunk << 20 | 2 << 8 | 1) as u64);
            again += number >> 32;
        }
        // A chunk is drawn 7.4 times, 6.4 of them again; the deviation of 64 is 8 sqrt(7.4 6.4) = 55.
        assert!((410 - 5 * 55..410 + 5 * 55).contains(&again), "{again}");
        // The powers of two themselves stand for primes just below.
        assert!(size_drawn_by_chunk(f64::from(33).exp2()));
        // Nothing like it: 3 of 4, and of primes just above a power of two one in two.
        assert!(!drawn_by_chunk(&Modulus::new(786_433).unwrap()));
        assert!(!drawn_by_chunk(&Modulus::new((1 << 46) + (1 << 14) * 39 + 1).unwrap()));
    }

    #[test]
    fn primes_of_parameters_are_drawn_by_chunk() {
        for (bits, log_n) in [(30, 12), (33, 13), (36, 14), (40, 15), (46, 16), (50, 17)] {
            for q in ntt_primes(bits, log_n, 24, &[]).unwrap() {
                assert!(drawn_by_chunk(&Modulus::new(q).unwrap()), "{bits} {log_n}");
            }
        }
    }

    #[test]
    fn streams_differ() {
        let masks = Masks::new(&SEED);
        let modulus = modulus(46);
        let place = MaskPlace { digit: 1, limb: 2, chunk: 3 };
        let words = |masks: &Masks, place| {
            let mut words = [0; CHUNK_WORDS];
            masks.draw(&mut words, place, &modulus);
            words
        };
        let first = words(&masks, place);
        assert_eq!(first, words(&masks, place));
        assert_ne!(first, words(&masks, MaskPlace { digit: 2, ..place }));
        assert_ne!(first, words(&masks, MaskPlace { limb: 1, ..place }));
        assert_ne!(first, words(&masks, MaskPlace { chunk: 4, ..place }));
        assert_ne!(first, words(&Masks::new(&[8; 32]), place));
        // Uniform: 64 classes by the upper bits, as in the tests of the other masks.
        let mut counts = [0_u32; 64];
        for chunk in 0..256 {
            words(&masks, MaskPlace { chunk, ..place })
                .iter()
                .for_each(|w| counts[(w >> 40) as usize] += 1);
        }
        let expected = 256.0 * CHUNK_WORDS as f64 / 64.0;
        let chi_square: f64 =
            counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!(chi_square < 63.0 + 2.0 * (63.0_f64 * 20.0).sqrt() + 40.0, "{chi_square}");
    }
}
