//! Counting the diagonals and plaintexts of a large layer without looking at each weight.
//!
//! Channels whose blocks lie equally far apart have their weights on the same diagonals. The weights of all of them at a
//! kernel position stand or fall together: the first that is not zero, with a stand-in for the others, tells which
//! diagonals there are and which have the same contents. Kernel positions whose weights are all equal (those of a pool
//! that was merged into the layer) share a stand-in. Two diagonals whose stand-ins differ could still hold equal numbers,
//! by chance; a count of plaintexts may then be too large. In a layer of few weights that matters, so that it has an outline
//! only if hardly two of them are equal. Where no weight is zero, ciphertexts that are alike are looked at once
//! ([`super::alike`]).

use super::signature::{Signature, mix};
use crate::fold::LinearStage;

/// Weights of a layer for which equal ones are not looked for: whole diagonals of it are not equal by chance.
const MANY_WEIGHTS: usize = 1 << 14;
/// In a layer of fewer, one weight of so many may be equal to another: as many are in single precision by chance.
const SELDOM: usize = 100;

/// Which kernel positions of a layer have equal weights.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    /// One number for each kernel position, equal where all weights are.
    classes: Vec<u64>,
    /// Whether no weight is zero.
    full: bool,
}

impl Outline {
    /// The outline of a stage; none if it has only equal weights, or few, and equal ones among them.
    pub(crate) fn new(stage: &LinearStage) -> Option<Self> {
        let weights = &stage.weights;
        if weights.iter().all(|w| *w == weights[0]) {
            return None;
        }
        let area = stage.geometry.kernel.0 * stage.geometry.kernel.1;
        let mut sums = vec![Signature::default(); area];
        for (pair, list) in weights.chunks_exact(area).enumerate() {
            sums.iter_mut().zip(list).for_each(|(sum, w)| sum.add(pair, 0, *w));
        }
        let full = weights.iter().all(|w| *w != 0.0);
        let outline = Self { classes: sums.into_iter().map(Signature::digest).collect(), full };
        (weights.len() >= MANY_WEIGHTS || outline.tells_apart(weights)).then_some(outline)
    }

    /// Whether weights that are not zero differ, but for those of kernel positions of one class.
    fn tells_apart(&self, weights: &[f64]) -> bool {
        let first = |at: usize| self.classes.iter().position(|class| *class == self.classes[at]);
        let positions: Vec<usize> =
            (0..self.classes.len()).filter(|at| first(*at) == Some(*at)).collect();
        let of_pair = |pair: &[f64]| positions.iter().map(|at| pair[*at].to_bits()).collect();
        let pairs = weights.chunks_exact(self.classes.len());
        let mut all: Vec<u64> = pairs.flat_map(|pair| -> Vec<u64> { of_pair(pair) }).collect();
        all.retain(|bits| f64::from_bits(*bits) != 0.0);
        let many = all.len();
        all.sort_unstable();
        all.dedup();
        SELDOM * (many - all.len()) <= many
    }

    /// Whether no weight of the layer is zero.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// What stands for the weights, at a kernel position, of all channel pairs of an output and an input ciphertext that
    /// lie equally far apart, at output positions of one gain.
    pub(super) fn stand_in(
        &self,
        (to, from, apart): (usize, usize, usize),
        at: usize,
        gain: f64,
    ) -> f64 {
        // Below 2^16 ciphertexts and 2^32 slots.
        let pair = (to as u64) << 48 ^ (from as u64) << 32 ^ apart as u64;
        f64::from_bits(mix(self.classes[at] ^ mix(pair) ^ mix(gain.to_bits())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BlockSplit, Schedule};
    use crate::fold::{ActivationMethod, Folded, StageKind, merge_pool};
    use crate::layout::{ChannelOrder, Layout, LayoutSpec};
    use crate::lowering::{Counter, Diagonals};
    use crate::network::{Model, Network};

    /// A convolution and a fully connected layer, as it is and with the pool before it, each large enough. Of the
    /// weights, those that `zero` takes by number are zero.
    fn stages(groups: usize, zero: fn(usize) -> bool) -> Vec<LinearStage> {
        let network = Network::from_toml(&format!(
            "name = \"n\"\n[input]\nchannels = 64\nheight = 8\nwidth = 8\n\
             [[layer]]\nname = \"conv\"\nkind = \"conv\"\nout = 64\nkernel = 3\npadding = 1\ngroups = {groups}\n\
             [[layer]]\nname = \"pool\"\nkind = \"avgpool\"\nkernel = 2\n\
             [[layer]]\nname = \"fc\"\nkind = \"fc\"\nout = 24\n"
        ));
        let model = Model::random(network.unwrap(), 3);
        let mut folded = Folded::new(&model, ActivationMethod::Square).unwrap();
        for stage in &mut folded.stages {
            if let StageKind::Linear(linear) = &mut stage.kind {
                let list = linear.weights.iter_mut().enumerate();
                list.filter(|(k, _)| zero(*k)).for_each(|(_, w)| *w = 0.0);
            }
        }
        let merged = merge_pool(&folded.stages[1], &folded.stages[2]).unwrap();
        let kinds = [folded.stages[0].kind.clone(), folded.stages[2].kind.clone(), merged.kind];
        kinds
            .into_iter()
            .map(|k| match k {
                StageKind::Linear(l) => l,
                other => unreachable!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn counts_are_those_of_looking_at_each_weight() {
        let mut compared = 0;
        let none: fn(usize) -> bool = |_| false;
        // Single weights here and there, and all of a row of the kernel (of a convolution) or of some channels.
        let some: fn(usize) -> bool = |k| k % 7 == 3 || k % 9 < 3 || k / 512 % 4 == 1;
        for (groups, zero) in [(1, none), (2, none), (1, some), (2, some)] {
            let [conv, fc, merged] = &stages(groups, zero)[..] else { unreachable!() };
            // As if windows at the border had fewer values.
            let mut uneven = conv.clone();
            let border = |at: usize| [1.0, 1.5][usize::from(at == 0 || at == 7)];
            uneven.main.gains = (0..64).map(|k| border(k / 8) * border(k % 8)).collect();
            let map = |phases, row, tile, blocks, order| LayoutSpec {
                order,
                phases,
                row,
                col: 1,
                tile,
                blocks,
            };
            let orders = [ChannelOrder::Sequential, ChannelOrder::Interleaved { groups: 2 }];
            let mut cases: Vec<(&LinearStage, LayoutSpec, LayoutSpec, usize)> = Vec::new();
            for order in orders {
                for blocks in [4, 16] {
                    let wide = map(1, 8, 64, blocks, order);
                    cases.push((conv, wide, wide, 0));
                    cases.push((&uneven, wide, wide, 0));
                    cases.push((&uneven, map(2, 4, 16, blocks, order), map(2, 4, 32, 8, order), 0));
                    cases.push((conv, wide, map(1, 8, 64, 2 * blocks, orders[0]), 0));
                    cases.push((conv, map(2, 4, 16, blocks, order), map(2, 4, 16, 16, order), 0));
                    cases.push((conv, map(2, 4, 16, blocks, order), map(2, 4, 32, 8, order), 0));
                    for mask in [0, 0x0f, 0x3f] {
                        cases.push((
                            fc,
                            map(1, 4, 16, blocks, order),
                            LayoutSpec::units(64, 16),
                            mask,
                        ));
                        cases.push((merged, wide, LayoutSpec::units(64, 16), mask));
                        cases.push((
                            merged,
                            map(2, 4, 16, blocks, order),
                            LayoutSpec::units(64, 8),
                            mask,
                        ));
                    }
                }
            }
            for (stage, from, to, mask) in cases {
                let layout = |spec: LayoutSpec, shape| -> Layout {
                    spec.layout(2048, shape, Default::default()).unwrap()
                };
                let (input, output) =
                    (layout(from, stage.geometry.input), layout(to, stage.geometry.output));
                let Ok(exact) = Diagonals::new("n", stage, &[&input], &output, mask, false) else {
                    continue;
                };
                let outline = Outline::new(stage).unwrap();
                let counted = |most| {
                    let layouts = (&[&input][..], &output);
                    Diagonals::counted("n", stage, Some(&outline), layouts, mask, most).unwrap()
                };
                let quick = counted(usize::MAX);
                let many = quick.total();
                let some = counted(many / 2).total();
                assert!(many / 2 < some && some <= many, "{some} of {many}");
                let (mut by_weights, mut by_outline) =
                    (Counter::new(&exact, 1), Counter::new(&quick, 1));
                for block in [BlockSplit::None, BlockSplit::All, BlockSplit::Baby(4)] {
                    for (row, col) in [(false, false), (true, false), (true, true)] {
                        let schedule = Schedule { block, row, col, double_hoisting: true };
                        assert_eq!(
                            by_weights.count(&schedule, mask != 0),
                            by_outline.count(&schedule, mask != 0),
                            "{from:?} {to:?} {mask} {schedule:?}"
                        );
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 600, "{compared}");
    }

    #[test]
    fn some_stages_have_no_outline() {
        let mut stage = stages(1, |_| false).swap_remove(0);
        assert!(Outline::new(&stage).unwrap().is_full());
        stage.weights[77] = 0.0;
        assert!(!Outline::new(&stage).unwrap().is_full());
        stage.weights.fill(1.0);
        assert!(Outline::new(&stage).is_none());
        // Of few weights some are equal, and of many.
        let mut few = stages(1, |_| false).swap_remove(0);
        few.weights.truncate(9 * 64);
        assert!(Outline::new(&few).unwrap().is_full());
        let mut equal = few.clone();
        equal.weights.iter_mut().for_each(|w| *w = (64.0 * *w).round() / 64.0 + 0.01);
        assert!(Outline::new(&equal).is_none());
        equal.weights = equal.weights.repeat(64);
        assert!(Outline::new(&equal).is_some());
    }
}
