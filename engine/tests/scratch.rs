//! Scratch of fused operations: about as much as is said, and none anew after a few times.
//!
//! The only test of its process, as the pool of scratch is the process's.

#![allow(clippy::unwrap_used)]

mod common;

use common::Setup;
use engine::buffer::AlignedBuf;
use engine::cipher::{Ciphertext, Plaintext};
use engine::eval::{LinearPlan, LinearTerm};

/// Every source times every rotation into every output.
fn terms(outputs: usize, sources: usize, shifts: &[usize], plain: bool) -> Vec<LinearTerm> {
    let mut terms = Vec::new();
    for dst in 0..outputs {
        for src in 0..sources {
            for &shift in shifts {
                let plaintext = (!plain).then_some(terms.len());
                terms.push(LinearTerm { dst, src, shift, plaintext });
            }
        }
    }
    terms
}

#[test]
fn plans_tell_their_scratch() {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for setup in Setup::all() {
        for level in [1, setup.params.max_level()] {
            let sources: Vec<_> = (0..3).map(|i| setup.encrypt(&setup.message(i), level)).collect();
            for (outputs, count, shifts, rescale, plain) in [
                (1, 1, &[1][..], false, true),
                (1, 1, &[1, 2, 5], true, false),
                (2, 3, &[0, 1], true, false),
                (4, 2, &[0], true, false),
                (3, 2, &[0], false, false),
            ] {
                let terms = terms(outputs, count, shifts, plain);
                let plan = LinearPlan::new(&setup.params, count, outputs, &terms, rescale).unwrap();
                let extended = plan.is_extended();
                let encode = |i: usize| {
                    setup.encode(&setup.message(i as u64), level, setup.prime(level), extended)
                };
                let plaintexts: Vec<_> = (0..plan.plaintexts()).map(encode).collect();
                let plaintexts: Vec<&Plaintext> = plaintexts.iter().collect();
                let sources: Vec<&Ciphertext> = sources.iter().take(count).collect();
                let run = || {
                    let linear = || setup.evaluator.linear(&plan, &sources, &plaintexts);
                    let results = one.install(linear).unwrap();
                    let polys = results.iter().flat_map(|ct| [&ct.c0, &ct.c1]);
                    polys.map(|poly| poly.bytes()).sum::<usize>()
                };
                AlignedBuf::release_pool();
                // What is free between operands would serve, too.
                let mut fillers = Vec::new();
                while AlignedBuf::pool_bytes() > 0 {
                    fillers.push(AlignedBuf::scratch(1));
                }
                let results = run();
                let used = AlignedBuf::pool_bytes() - results;
                let told = plan.scratch_bytes(&setup.params, level);
                // Gaps between pieces, and free ranges that were too small for the next piece: a quarter.
                let most = (told + results) * 5 / 4 - results;
                assert!(used <= most, "{}: {used} bytes, {told} were told", setup.name);
                // A row of a group that there was none of, and one row in place of another, at most.
                assert!(told <= 2 * used, "{}: {used} bytes, {told} were told", setup.name);
                // Its pieces lie otherwise the second time, but soon there is room for all of them.
                (0..3).for_each(|_| _ = run());
                let settled = AlignedBuf::pool_bytes();
                assert!(settled <= (used + results) * 5 / 4, "{}: {settled} bytes", setup.name);
                run();
                assert_eq!(AlignedBuf::pool_bytes(), settled, "{}", setup.name);
            }
        }
    }
}
