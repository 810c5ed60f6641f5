//! Patches that phases have in common: they are sent once.
//!
//! Each phase of a layer's output reads patches of its own, but mostly of the same pixels. A kernel of three rows, without
//! padding, and an output of two phases:
//!
//! ```text
//!   row of the kernel      0         1         2
//!   output rows 0 2 4   0 2 4     1 3 5     2 4 6     rows of the image
//!   output rows 1 3 5   1 3 5     2 4 6     3 5 7
//! ```
//!
//! Of these six only four differ: rows 0 2 4, 1 3 5, 2 4 6 and 3 5 7. With columns that makes 16 ciphertexts for each
//! channel in place of 36.

use std::collections::HashMap;

use super::Layout;
use crate::network::ConvGeometry;

impl Layout {
    /// This layout, of patches of a convolution, with one ciphertext in place of all that hold the same whatever the image.
    /// The convolution's output has the height and the width of the map.
    #[must_use]
    pub fn of_patches(self, g: &ConvGeometry) -> Self {
        assert_eq!(g.over_patches().input, self.shape, "a layout of the convolution's patches");
        assert!(self.unread.is_empty(), "patches are all read");
        let unshared = Self { shared: Vec::new(), ..self };
        let (kh, kw) = g.kernel;
        // Slots and pixels.
        let mut held: Vec<Vec<[u32; 2]>> = vec![Vec::new(); unshared.ciphertexts()];
        for channel in 0..unshared.shape.channels {
            let (c, ky, kx) = (channel / (kh * kw), channel / kw % kh, channel % kw);
            for y in 0..unshared.shape.height {
                for x in 0..unshared.shape.width {
                    let (iy, ix) = (g.input_row(y, ky), g.input_col(x, kx));
                    let within =
                        |at: isize, extent| usize::try_from(at).ok().filter(|at| *at < extent);
                    let pixel = within(iy, g.input.height).zip(within(ix, g.input.width));
                    if let Some((iy, ix)) = pixel {
                        let (ct, slot) = unshared.locate(channel, y, x);
                        let pixel = (c * g.input.height + iy) * g.input.width + ix;
                        held[ct].push([slot as u32, pixel as u32]);
                    }
                }
            }
        }
        let (mut numbers, mut next) = (HashMap::new(), 0);
        let mut shared = Vec::with_capacity(held.len());
        for mut content in held {
            content.sort_unstable();
            // Ciphertexts of nothing but padding stay apart: no two of those that a phase reads are one.
            let same = if content.is_empty() { None } else { numbers.get(&content).copied() };
            shared.push(same.unwrap_or(next));
            if same.is_none() {
                numbers.insert(content, next);
                next += 1;
            }
        }
        if next == shared.len() {
            return unshared;
        }
        Self { shared, ..unshared }
    }

    /// The number of the ciphertext that holds what number `unshared` would, each phase having its own.
    pub(crate) fn sent(&self, unshared: usize) -> usize {
        if self.shared.is_empty() { unshared } else { self.shared[unshared] }
    }
}

#[cfg(test)]
mod tests {
    use crate::layout::{ChannelOrder, LayoutSpec};
    use crate::network::{ConvGeometry, Shape};

    /// Ciphertexts of the patches of a padded convolution with a kernel of `kernel` rows and columns, each over a tile.
    fn sent(side: usize, kernel: usize, stride: usize, phases: usize) -> usize {
        let padding = kernel / 2;
        let out = (side + 2 * padding - kernel) / stride + 1;
        let g = ConvGeometry {
            input: Shape::new(2, side, side),
            output: Shape::new(3, out, out),
            kernel: (kernel, kernel),
            stride: (stride, stride),
            padding: (padding, padding),
            groups: 1,
        };
        let (slots, positions) = (4096, (out.div_ceil(phases)).pow(2).next_power_of_two());
        let (col, order) = (slots / positions, ChannelOrder::Spread);
        let row = out.div_ceil(phases) * col;
        let spec = LayoutSpec { order, phases, row, col, tile: col, blocks: positions };
        let layout = spec.packed(slots, g.over_patches().input, Default::default()).unwrap();
        let all = layout.ciphertexts();
        assert_eq!(all, 2 * (kernel * phases).pow(2));
        let shared = layout.of_patches(&g);
        // Whatever a value's number, it is where it was.
        for channel in 0..shared.shape.channels {
            let of = |layout: &super::Layout| layout.locate(channel, out / 2, out / 3).1;
            assert_eq!(
                of(&shared),
                of(&spec.packed(slots, shared.shape, Default::default()).unwrap())
            );
        }
        shared.ciphertexts()
    }

    #[test]
    fn patches_of_several_phases_are_sent_once() {
        assert_eq!(sent(16, 5, 1, 1), 2 * 25);
        assert_eq!(sent(16, 5, 1, 2), 2 * 36);
        assert_eq!(sent(16, 3, 1, 4), 2 * 36);
        // A step of two rows: phases begin two rows apart, so that of 3 + 3 rows five differ.
        assert_eq!(sent(16, 3, 2, 2), 2 * 25);
        // An odd number of rows: the second phase has one less. Patches of the first are the same where their last is padding: 0 2 4
        // and so on to 14 is no patch of the second, 1 3 5 to 13 is one of both.
        assert_eq!(sent(15, 3, 1, 2), 2 * 25);
    }
}
