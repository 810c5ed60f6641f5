//! Several images in one ciphertext: a program for one image becomes one for many, exactly.
//!
//! A program for ciphertexts of `n / k` slots becomes one for ciphertexts of `n` slots and `k` images by giving slot `s` of
//! image `i` the slot `s * k + i`. Two images of four slots each, and image `a` rotated by one slot:
//!
//! ```text
//!   slot        0   1   2   3   4   5   6   7
//!   holds      a0  b0  a1  b1  a2  b2  a3  b3
//!   by 2 slots a1  b1  a2  b2  a3  b3  a0  b0      each image rotated by one slot, around its own end
//! ```
//!
//! Rotations of `n` slots by multiples of `k` are the only ones that keep images apart, and they do to each what a rotation
//! by a `k`-th of that does to `n / k` slots; sums and products go slot by slot. So nothing is masked, no level is used, and
//! as many keys are needed. A plaintext has each of its values `k` times side by side, for every image once: its period is
//! `k` times as long, and so are its encoding and what is read of it. Images side by side in blocks would keep plaintexts of
//! a short period as they are, but a rotation would carry slots from each image into the next.

use super::{Op, Program};

impl Program {
    /// The program, for one image, as one for `images` images at once: a power of two. Its ciphertexts have as many times the
    /// slots.
    pub(crate) fn interleaved(mut self, images: usize) -> Self {
        debug_assert!(images.is_power_of_two());
        // Below the slots of a ciphertext, which are far below 2^32.
        let apart = |shift: &mut u32| *shift *= images as u32;
        for instruction in &mut self.instructions {
            match &mut instruction.op {
                Op::RotateHoisted { shifts, .. } => shifts.iter_mut().for_each(apart),
                Op::Linear { terms, .. } => terms.iter_mut().for_each(|t| apart(&mut t.shift)),
                Op::SumSquares { .. }
                | Op::Multiply { .. }
                | Op::Add { .. }
                | Op::Sub { .. }
                | Op::AddPlain { .. }
                | Op::Rescale { .. }
                | Op::DropLevel { .. }
                | Op::Conjugate { .. } => {}
            }
        }
        for plaintext in &mut self.plaintexts {
            plaintext.period *= images;
            plaintext.images *= images;
        }
        self.slots *= images;
        self
    }
}
