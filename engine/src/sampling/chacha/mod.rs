//! The ChaCha20 key stream that masks and errors expand from.
//!
//! With 256-bit key, 64-bit block counter and 64-bit stream number, as the crate `rand_chacha` has it, whose words these
//! are. That crate makes four blocks at a time, and masks took longer than their transforms; here it is as many as a
//! vector has lanes. Other processors use the crate itself.

#[cfg(target_arch = "x86_64")]
mod x86;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroize;

use super::Seed;
use crate::vector::instance::Instance;

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// A stream of blocks.
pub(super) struct KeyStream {
    seed: Seed,
    stream: u64,
    /// Number of the next block.
    counter: u64,
    instance: Instance,
}

impl KeyStream {
    /// Stream number `stream` of `seed`, from its first block.
    pub(super) fn new(instance: Instance, seed: &Seed, stream: u64) -> Self {
        Self { seed: *seed, stream, counter: 0, instance }
    }

    /// Writes the next blocks.
    pub(super) fn fill(&mut self, blocks: &mut [[u8; BLOCK]]) {
        match self.instance {
            Instance::Portable => {
                let mut rng = ChaCha20Rng::from_seed(self.seed);
                rng.set_stream(self.stream);
                rng.set_word_pos(u128::from(self.counter) * (BLOCK / 4) as u128);
                rng.fill_bytes(blocks.as_flattened_mut());
            }
            #[cfg(target_arch = "x86_64")]
            Instance::Avx2 | Instance::Avx512 => {
                x86::fill(self.instance, blocks, &self.seed, self.stream, self.counter);
            }
        }
        self.counter = self.counter.wrapping_add(blocks.len() as u64);
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The block for a 96-bit nonce and a 32-bit counter, as RFC 8439 writes them: the same words of the state.
    fn rfc_block(instance: Instance, key: &Seed, nonce: [u8; 12], counter: u32) -> [u8; BLOCK] {
        let word = |i: usize| u32::from_le_bytes(nonce[4 * i..][..4].try_into().unwrap());
        let stream = u64::from(word(2)) << 32 | u64::from(word(1));
        let mut keys = KeyStream::new(instance, key, stream);
        keys.counter = u64::from(word(0)) << 32 | u64::from(counter);
        let mut blocks = [[0; BLOCK]];
        keys.fill(&mut blocks);
        blocks[0]
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// RFC 8439, section 2.3.2 and appendix A.1.
    #[test]
    fn published_vectors() {
        let ascending: Seed = std::array::from_fn(|i| i as u8);
        let mut last_bit = [0; 32];
        last_bit[31] = 1;
        let mut second_byte = [0; 32];
        second_byte[1] = 0xff;
        let nonce = |text: &str| -> [u8; 12] { hex(text).try_into().unwrap() };
        let zero = [0; 12];
        let vectors = [
            (
                ascending,
                nonce("000000090000004a00000000"),
                1,
                "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e\
                 d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
            ),
            (
                [0; 32],
                zero,
                0,
                "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
                 da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
            ),
            (
                [0; 32],
                zero,
                1,
                "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
                 29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
            ),
            (
                last_bit,
                zero,
                1,
                "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a\
                 8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
            ),
            (
                second_byte,
                zero,
                2,
                "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca\
                 13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
            ),
            (
                [0; 32],
                nonce("000000000000000000000002"),
                0,
                "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7\
                 8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
            ),
        ];
        for instance in Instance::available() {
            for (key, nonce, counter, expected) in vectors {
                assert_eq!(rfc_block(instance, &key, nonce, counter)[..], hex(expected)[..]);
            }
        }
    }

    #[test]
    fn same_words_as_the_crate() {
        // Counters that carry within a batch of blocks, into the upper word and out of it.
        for counter in [0, 5, (1 << 32) - 9, 7 << 32, u64::MAX - 40] {
            for (seed, stream) in [(1, 0), (2, 1 << 40 | 3), (3, u64::MAX)] {
                let mut rng = ChaCha20Rng::from_seed([seed; 32]);
                rng.set_stream(stream);
                rng.set_word_pos(u128::from(counter) * 16);
                let mut expected = [[0; BLOCK]; 40];
                rng.fill_bytes(expected.as_flattened_mut());
                for instance in Instance::available() {
                    let mut keys = KeyStream::new(instance, &[seed; 32], stream);
                    keys.counter = counter;
                    let mut found = [[0; BLOCK]; 40];
                    // In pieces of whole batches and others, in turn.
                    let (first, rest) = found.split_at_mut(1);
                    let (second, rest) = rest.split_at_mut(16);
                    let (third, fourth) = rest.split_at_mut(19);
                    for blocks in [first, second, third, fourth] {
                        keys.fill(blocks);
                    }
                    assert!(found == expected, "{instance:?} {counter} {stream}");
                }
            }
        }
    }
}
