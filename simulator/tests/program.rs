//! What programs tell of themselves, and which are refused.

#![allow(clippy::unwrap_used)]

mod common;

use common::ops::{every_op, parameters};
use engine::keys::KeySpec;
use simulator::chain::Chain;
use simulator::program::{LayerCounts, Op, Program};

#[test]
fn counts_and_keys_of_every_operation() {
    let chain = Chain::from(&parameters());
    let program = every_op(&chain);
    program.check(&chain).unwrap();
    let first = LayerCounts {
        rotations: 2 + 2,
        products: 5,
        plaintexts: 4,
        rescales: 2,
        instructions: 6,
        level: 3,
        ..LayerCounts::default()
    };
    let second = LayerCounts {
        rotations: 1,
        ciphertext_products: 3,
        relinearisations: 2,
        rescales: 2,
        instructions: 5,
        level: 2,
        ..LayerCounts::default()
    };
    assert_eq!(program.counts(), [first, second]);
    let keys = KeySpec {
        relinearisation: Some(2),
        conjugation: Some(3),
        rotations: [(1, 3), (2, 3), (3, 0), (5, 3), (7, 3)].into(),
    };
    assert_eq!(program.keys(), keys);
    let dying = program.dying();
    // Both inputs, every intermediate value once, never an output.
    let mut all: Vec<usize> = dying.into_iter().flatten().collect();
    all.sort_unstable();
    let kept: Vec<usize> =
        (0..program.values.len()).filter(|v| !program.outputs.contains(v)).collect();
    assert_eq!(all, kept);
}

/// Each is refused with the number of its instruction; none ends in a panic.
#[test]
fn ill_formed_programs_are_refused() {
    let chain = Chain::from(&parameters());
    let refused = |what: &str, spoil: &dyn Fn(&mut Program)| {
        let mut program = every_op(&chain);
        spoil(&mut program);
        let error = program.check(&chain).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    refused("instruction 1 (reads", &|p| p.instructions[1].op = Op::Add { a: 2, b: 999 });
    refused("instruction 2 (belongs to a layer", &|p| p.instructions[2].layer = 2);
    refused("instruction 3 (has more or fewer", &|p| p.instructions[3].dsts = vec![6, 7]);
    refused("instruction 4 (has terms", &|p| {
        let Op::Linear { terms, .. } = &mut p.instructions[4].op else { unreachable!() };
        terms[0].plaintext = Some(99);
    });
    refused("instruction 4 (has terms", &|p| p.plaintexts[1].scale *= 1.5);
    refused("instruction 5 (has a plaintext", &|p| {
        p.instructions[5].op = Op::AddPlain { src: 7, plaintext: 99 };
    });
    refused("instruction 6 (defines value", &|p| p.values[10].scale *= 1.001);
    refused("instruction 6 (defines value", &|p| p.instructions[6].dsts = vec![999]);
    refused("instruction 7 (has no such level", &|p| {
        p.instructions[7].op = Op::DropLevel { src: 8, level: 3 };
    });
    refused("instruction 8 (defines value", &|p| {
        p.instructions[8].op = Op::Multiply { a: 10, b: 11, rescale: true };
    });
    refused("an output", &|p| p.outputs.push(999));
    refused("number of inputs", &|p| p.inputs = 999);
    refused("slots", &|p| p.slots /= 2);
}
