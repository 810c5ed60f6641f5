//! Schedules: which part of each rotation of a linear layer is done to its inputs, and which to partial sums.

use serde::{Deserialize, Serialize};

/// How rotations across channel blocks are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockSplit {
    /// All on the inputs.
    None,
    /// All on the partial sums.
    All,
    /// Baby-step giant-step: block number `n` is `n % baby` on the input and the rest on the partial sum.
    Baby(usize),
}

/// Where rotations are done. "Giant" is on partial sums, after the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Block part.
    pub block: BlockSplit,
    /// Whether the row part is giant.
    pub row: bool,
    /// Whether the column part is giant.
    pub col: bool,
    /// Whether products with rotated inputs are fused and brought down once (else: rotations of their own).
    pub double_hoisting: bool,
}

impl Schedule {
    /// Everything on the inputs.
    pub const DIRECT: Self =
        Self { block: BlockSplit::None, row: false, col: false, double_hoisting: true };
    /// Kernel rotations on the inputs, block rotations on partial sums (HEAR's "baby").
    pub const KERNEL_FIRST: Self =
        Self { block: BlockSplit::All, row: false, col: false, double_hoisting: true };
    /// Block rotations on the inputs, kernel rotations on partial sums (HEAR's "giant").
    pub const CHANNEL_FIRST: Self =
        Self { block: BlockSplit::None, row: true, col: true, double_hoisting: true };

    /// This schedule with separate rotations, products and rescales.
    pub fn unfused(self) -> Self {
        Self { double_hoisting: false, ..self }
    }
}
