//! Windows of convolutions and pools: kernel, stride, padding and dilation, each along rows and columns.

use super::Shape;
use crate::{Error, Result};

/// Largest extent, channel count, kernel, stride, dilation or padding accepted.
pub(super) const MAX_EXTENT: usize = 1 << 16;

/// Zeros around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Columns to the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// As many zeros on every side.
    pub fn all(padding: usize) -> Self {
        Self { top: padding, left: padding, bottom: padding, right: padding }
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The sides in the order of their names here, with these.
    fn sides(&self) -> [(&'static str, usize); 4] {
        [("top", self.top), ("left", self.left), ("bottom", self.bottom), ("right", self.right)]
    }
}

/// What a convolution or a pool sees of a map at once, and how it moves on. Pairs are rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Values of the map that it takes.
    pub kernel: (usize, usize),
    /// Steps between windows.
    pub stride: (usize, usize),
    /// Zeros around the map.
    pub padding: Padding,
    /// Steps between the values of a window: 1 if they are neighbours.
    pub dilation: (usize, usize),
}

impl Window {
    /// A square one, as wide as high, with the same stride both ways and the same padding on every side.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        let (kernel, stride) = ((kernel, kernel), (stride, stride));
        Self { kernel, stride, padding: Padding::all(padding), dilation: (1, 1) }
    }

    /// Rows and columns from the first to the last value of a window.
    pub fn extent(&self) -> (usize, usize) {
        let side = |kernel: usize, dilation: usize| (kernel - 1) * dilation + 1;
        (side(self.kernel.0, self.dilation.0), side(self.kernel.1, self.dilation.1))
    }

    /// Values of a window.
    pub fn area(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// Rows and columns of zeros before the map.
    pub fn before(&self) -> (usize, usize) {
        (self.padding.top, self.padding.left)
    }

    /// Checks that every number is within its range.
    pub(super) fn check(&self, layer: &str) -> Result<()> {
        for (what, pair) in
            [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)]
        {
            for value in [pair.0, pair.1] {
                check_extent(layer, what, value)?;
            }
        }
        for (side, value) in self.padding.sides() {
            if value > MAX_EXTENT {
                let expected = format!("0 to {MAX_EXTENT} ({side})");
                return Err(Error::layer(layer, "padding", value, expected));
            }
        }
        Ok(())
    }

    /// Rows and columns of windows over a map. The window must have been checked.
    pub(super) fn places(&self, layer: &str, map: Shape) -> Result<(usize, usize)> {
        let (rows, cols) = self.extent();
        let Padding { top, left, bottom, right } = self.padding;
        let side = |map: usize, extent: usize, stride: usize| {
            if extent > map {
                let expected = format!("at most the padded extent, {map}");
                return Err(Error::layer(layer, "kernel", extent, expected));
            }
            Ok((map - extent) / stride + 1)
        };
        Ok((
            side(map.height + top + bottom, rows, self.stride.0)?,
            side(map.width + left + right, cols, self.stride.1)?,
        ))
    }
}

/// An error if a value is none from 1 to [`MAX_EXTENT`].
pub(super) fn check_extent(layer: &str, what: &'static str, value: usize) -> Result<()> {
    if (1..=MAX_EXTENT).contains(&value) {
        return Ok(());
    }
    Err(Error::layer(layer, what, value, format!("1 to {MAX_EXTENT}")))
}
