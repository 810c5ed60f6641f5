//! Counting the instructions of a fused linear stage without making them.

use costmodel::{LinearShape, Primitive};

use super::diagonals::Diagonals;
use super::schedule::Cut;
use super::signature::Signature;
use crate::config::Schedule;

/// A product: its key (output, giant, input, shift) and the identity of its plaintext's part.
type Product = (u64, Signature);

/// The output or input ciphertext in the upper half of half a key.
fn ciphertext(half: u64) -> usize {
    (half >> 16) as usize
}

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
    let [outs, ins] = &diagonals.copies;
    let mut rotated: Vec<u64> = products.iter().map(|p| p.0 & 0xffff_ffff).collect();
    let mut partials: Vec<u64> = products.iter().map(|p| p.0 >> 32).collect();
    // Those of different outputs or inputs that are alike have other weights each.
    let copies = |key: u64| outs[ciphertext(key >> 32)] * ins[ciphertext(key & 0xffff_ffff)];
    let mut plaintexts: Vec<(Signature, usize)> =
        products.iter().map(|p| (p.1, copies(p.0))).collect();
    let mut terms: usize = plaintexts.iter().map(|p| p.1).sum();
    partials.dedup();
    // An output that no weight reaches is a product of the first input with zero.
    let mut reached: Vec<usize> = partials.iter().map(|p| ciphertext(*p)).collect();
    reached.dedup();
    let mut idle = 0;
    for output in (0..diagonals.outputs).filter(|k| outs[*k] > 0) {
        if reached.binary_search(&output).is_err() {
            partials.push((output as u64) << 16);
            idle += outs[output];
        }
    }
    if idle > 0 {
        terms += idle;
        plaintexts.push((Signature::default(), 1));
    }
    rotated.sort_unstable();
    rotated.dedup();
    plaintexts.sort_unstable();
    plaintexts.dedup_by_key(|p| p.0);
    let is_turned = |half: &u64| *half & 0xffff != 0;
    let rotations = |turned: bool| -> usize {
        rotated.iter().filter(|r| is_turned(r) == turned).map(|r| ins[ciphertext(*r)]).sum()
    };
    let distinct = |list: &mut dyn Iterator<Item = u64>| -> usize {
        let mut list: Vec<usize> = list.map(ciphertext).collect();
        list.dedup();
        list.into_iter().map(|input| ins[input]).sum()
    };
    // Idle outputs take the first input alone, not all that it stands for.
    let first = usize::from(idle > 0 && rotated.first() != Some(&0));
    let new = usize::from(first > 0 && rotated.first().is_none_or(|r| ciphertext(*r) != 0));
    let outputs = |turned: bool| -> usize {
        partials.iter().filter(|p| is_turned(p) == turned).map(|p| outs[ciphertext(*p)]).sum()
    };
    let (turned, still) = (outputs(true), outputs(false));
    let sums = turned + still;
    let first = LinearShape {
        sources: distinct(&mut rotated.iter().copied()) + new,
        decomposed: distinct(&mut rotated.iter().copied().filter(is_turned)),
        rotations: rotations(true),
        unrotated: rotations(false) + first,
        terms,
        plaintexts: plaintexts.iter().map(|p| p.1).sum(),
        outputs: sums,
        rescale: !folds,
    };
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
