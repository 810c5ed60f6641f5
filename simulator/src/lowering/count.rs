//! Counting the instructions of a fused linear stage without making them.

use costmodel::{LinearShape, Primitive};

use super::diagonals::Diagonals;
use super::schedule::Cut;
use super::signature::Signature;
use crate::config::Schedule;

/// A product: its key (output, giant, input, shift) and the identity of its plaintext's part.
type Product = (u64, Signature);

/// Shapes of the one or two linear instructions that a fused stage consists of before any fold and bias: the
/// products, and the rotations of partial sums if there are any. The last one rescales unless a fold follows. They
/// equal what lowering makes.
pub(crate) fn count(
    diagonals: &Diagonals,
    schedule: &Schedule,
    folds: bool,
) -> (Primitive, Option<Primitive>) {
    let cut = Cut::new(diagonals, schedule);
    let mut products: Vec<Product> = diagonals
        .diagonals
        .iter()
        .map(|(d, contents)| {
            let (giant, shift) = cut.apply(d);
            let key =
                [d.output, giant, d.input, shift].iter().fold(0u64, |k, v| k << 16 | *v as u64);
            let mut signature = Signature::default();
            let first = (contents.first + giant) & (diagonals.period - 1);
            signature.add_moved(contents.signature, first);
            (key, signature)
        })
        .collect();
    products.sort_unstable();
    // Parts of one product make one plaintext.
    products.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1.join(later.1);
        }
        same
    });
    let mut rotated: Vec<u64> = products.iter().map(|p| p.0 & 0xffff_ffff).collect();
    let mut partials: Vec<u64> = products.iter().map(|p| p.0 >> 32).collect();
    let mut plaintexts: Vec<Signature> = products.iter().map(|p| p.1).collect();
    let mut terms = products.len();
    partials.dedup();
    // An output that no weight reaches is a product of the first input with zero.
    let mut reached: Vec<u64> = partials.iter().map(|p| p >> 16).collect();
    reached.dedup();
    for output in 0..diagonals.outputs as u64 {
        if reached.binary_search(&output).is_err() {
            partials.push(output << 16);
            rotated.push(0);
            plaintexts.push(Signature::default());
            terms += 1;
        }
    }
    rotated.sort_unstable();
    rotated.dedup();
    plaintexts.sort_unstable();
    plaintexts.dedup();
    partials.sort_unstable();
    let distinct = |list: &mut dyn Iterator<Item = u64>| {
        let mut list: Vec<u64> = list.collect();
        list.dedup();
        list.len()
    };
    let first = LinearShape {
        sources: distinct(&mut rotated.iter().map(|r| r >> 16)),
        decomposed: distinct(&mut rotated.iter().filter(|r| **r & 0xffff != 0).map(|r| r >> 16)),
        rotations: rotated.iter().filter(|r| **r & 0xffff != 0).count(),
        unrotated: rotated.iter().filter(|r| **r & 0xffff == 0).count(),
        terms,
        plaintexts: plaintexts.len(),
        outputs: partials.len(),
        rescale: !folds,
    };
    let sums = partials.len();
    let turned = partials.iter().filter(|p| **p & 0xffff != 0).count();
    if diagonals.summed(sums, turned) {
        return (Primitive::Linear(first), None);
    }
    let first = LinearShape { rescale: false, ..first };
    let second = Some(Primitive::Linear(LinearShape {
        sources: sums,
        decomposed: turned,
        rotations: turned,
        unrotated: sums - turned,
        terms: sums,
        plaintexts: 0,
        outputs: diagonals.outputs,
        rescale: !folds,
    }));
    (Primitive::Linear(first), second)
}
