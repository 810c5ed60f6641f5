//! Fused linear operations against their parts.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Setup, Stock, message, plus, rotated, times};
use engine::cipher::{Ciphertext, Plaintext};
use engine::encoding::Complex;
use engine::eval::{Evaluator, LinearPlan, LinearTerm, groups_of};
use engine::keys::{EvaluationKeys, KeySpec};
use proptest::prelude::*;

/// A linear operation on messages, with everything that it needs.
struct Case<'a> {
    setup: &'a Setup,
    level: usize,
    rescale: bool,
    outputs: usize,
    terms: Vec<LinearTerm>,
    messages: Vec<Vec<Complex>>,
    factors: Vec<Vec<Complex>>,
}

impl Case<'_> {
    fn rotates(&self) -> bool {
        self.terms.iter().any(|t| t.shift % self.setup.params.slots() != 0)
    }

    /// The scale of the plaintexts: what a rescale divides by.
    fn factor_scale(&self) -> f64 {
        self.setup.prime(self.level)
    }

    fn sources(&self) -> Vec<Ciphertext> {
        self.messages.iter().map(|m| self.setup.encrypt(m, self.level)).collect()
    }

    fn plaintexts(&self, extended: bool) -> Vec<Plaintext> {
        let encode =
            |f: &Vec<Complex>| self.setup.encode(f, self.level, self.factor_scale(), extended);
        self.factors.iter().map(encode).collect()
    }

    fn expected(&self, output: usize) -> Vec<Complex> {
        let slots = self.setup.params.slots();
        let mut sum = vec![Complex::default(); slots];
        for term in self.terms.iter().filter(|t| t.dst == output) {
            let rotated = rotated(&self.messages[term.src], term.shift);
            sum = match term.plaintext {
                Some(p) => plus(&sum, &times(&rotated, &self.factors[p])),
                None => plus(&sum, &rotated),
            };
        }
        sum
    }

    /// Bound for an output. Each term has the noise of its source, of its key switch if it is rotated, both times the
    /// plaintext, and of the plaintext's encoding; the sum is divided and rounded once.
    fn bound(&self, output: usize) -> f64 {
        let (noise, scale) = (&self.setup.noise, self.setup.params.scale());
        let mut sum = 0.0;
        for term in self.terms.iter().filter(|t| t.dst == output) {
            let switching = if term.shift == 0 { 0.0 } else { noise.switching(self.level) };
            let error = noise.fresh() + switching;
            sum += match term.plaintext {
                Some(_) => noise.product([scale, self.factor_scale()], [error, noise.encoding()]),
                None => error,
            };
        }
        let divided = if self.rescale { sum / self.factor_scale() } else { sum };
        let rounded = self.rescale || self.rotates();
        divided + if rounded { noise.rounding() } else { 0.0 }
    }

    fn fused(&self, sources: &[Ciphertext]) -> Vec<Ciphertext> {
        let plan = LinearPlan::new(
            &self.setup.params,
            sources.len(),
            self.outputs,
            &self.terms,
            self.rescale,
        )
        .unwrap();
        assert_eq!(plan.is_extended(), self.rotates());
        let plaintexts = self.plaintexts(self.rotates());
        let sources: Vec<&Ciphertext> = sources.iter().collect();
        let all: Vec<&Plaintext> = plaintexts.iter().collect();
        let whole = self.setup.evaluator.linear(&plan, &sources, &all).unwrap();
        for most in [1, 2, plaintexts.len().max(1)] {
            let mut stock = Stock::of(&all);
            let parts = self.setup.evaluator.linear_in_batches(&plan, &sources, most, &mut stock);
            assert!(stock.most <= most, "{} {most}", stock.most);
            // Sums modulo primes are exact, however they are parted.
            for (a, b) in whole.iter().zip(parts.unwrap()) {
                assert_eq!(
                    (a.scale, a.c0.words(), a.c1.words()),
                    (b.scale, b.c0.words(), b.c1.words())
                );
            }
        }
        whole
    }

    /// The same by single operations.
    fn composed(&self, sources: &[Ciphertext], output: usize) -> Ciphertext {
        let (ev, plaintexts) = (&self.setup.evaluator, self.plaintexts(false));
        let mut sum: Option<Ciphertext> = None;
        for term in self.terms.iter().filter(|t| t.dst == output) {
            let rotated = ev.rotate(&sources[term.src], term.shift).unwrap();
            let product = match term.plaintext {
                Some(p) => ev.mul_plain(&rotated, &plaintexts[p]).unwrap(),
                None => rotated,
            };
            sum = Some(match sum {
                Some(sum) => ev.add(&sum, &product).unwrap(),
                None => product,
            });
        }
        let sum = sum.unwrap();
        if self.rescale { ev.rescale(&sum).unwrap() } else { sum }
    }

    fn check(&self) {
        let sources = self.sources();
        let fused = self.fused(&sources);
        assert_eq!(fused.len(), self.outputs);
        for (output, fused) in fused.iter().enumerate() {
            let expected = self.expected(output);
            let bound = self.bound(output);
            self.setup.assert_close("linear", fused, &expected, bound);
            let composed = self.composed(&sources, output);
            assert_eq!(fused.level(), composed.level());
            assert!((fused.scale / composed.scale - 1.0).abs() < 1e-12);
            if !self.rotates() {
                // Without rotations both are sums of the same products, exactly, and the rescale is the same.
                assert_eq!(fused.c0.words(), composed.c0.words());
                assert_eq!(fused.c1.words(), composed.c1.words());
                continue;
            }
            // Each rotation rounds on its own; its rounding meets the plaintext, of magnitude below its scale.
            let rotated = self.terms.iter().filter(|t| t.dst == output && t.shift != 0);
            let amplified =
                if self.factors.is_empty() || self.rescale { 1.0 } else { self.factor_scale() };
            let more = rotated.count() as f64 * amplified * 1.01 * self.setup.noise.rounding();
            self.setup.assert_close("the composition", &composed, &expected, bound + more);
        }
    }
}

fn term(dst: usize, src: usize, shift: usize, plaintext: Option<usize>) -> LinearTerm {
    LinearTerm { dst, src, shift, plaintext }
}

/// Factors whose sum over `terms` stays below 1, so that the result fits even the smallest modulus.
fn factors(slots: usize, count: usize, terms: usize) -> Vec<Vec<Complex>> {
    let shrink = |c: &Complex| Complex::new(c.re / terms as f64, c.im / terms as f64);
    (0..count).map(|i| message(slots, 50 + i as u64).iter().map(shrink).collect()).collect()
}

#[test]
fn every_shape() {
    for setup in Setup::all() {
        let slots = setup.params.slots();
        let highest = setup.params.max_level();
        let shapes: [(usize, usize, Vec<LinearTerm>); 6] = [
            // No rotation.
            (2, 1, vec![term(0, 0, 0, Some(0)), term(0, 1, 0, Some(1))]),
            // Rotations of one source.
            (
                1,
                1,
                vec![
                    term(0, 0, 1, Some(0)),
                    term(0, 0, 2, Some(1)),
                    term(0, 0, slots - 1, Some(2)),
                ],
            ),
            // Rotated and not, of several sources, into several outputs that share rotations.
            (
                2,
                2,
                vec![
                    term(0, 0, 0, Some(0)),
                    term(0, 1, 5, Some(1)),
                    term(1, 0, 5, Some(2)),
                    term(1, 1, 5, Some(3)),
                    term(1, 1, 0, Some(0)),
                ],
            ),
            // The same rotation twice, and one source not rotated at all.
            (2, 1, vec![term(0, 0, 17, Some(0)), term(0, 0, 17, Some(1)), term(0, 1, 0, Some(1))]),
            // One output rotates, the other does not.
            (1, 2, vec![term(0, 0, 64, Some(0)), term(1, 0, 0, Some(1))]),
            // A shift of all slots is none.
            (1, 1, vec![term(0, 0, slots, Some(0))]),
        ];
        for (sources, outputs, terms) in shapes {
            for level in [1, highest - 1, highest] {
                for rescale in [false, true] {
                    let count = terms.iter().filter_map(|t| t.plaintext).max().unwrap() + 1;
                    let case = Case {
                        setup: &setup,
                        level,
                        rescale,
                        outputs,
                        factors: factors(slots, count, terms.len()),
                        messages: (0..sources).map(|i| setup.message(i as u64)).collect(),
                        terms: terms.clone(),
                    };
                    case.check();
                }
            }
        }
    }
}

#[test]
fn sums_without_plaintexts() {
    for setup in Setup::all() {
        for level in [0, setup.params.max_level()] {
            for shifts in [[0, 0], [1, 0], [5, 2]] {
                let case = Case {
                    setup: &setup,
                    level,
                    rescale: false,
                    outputs: 1,
                    terms: vec![term(0, 0, shifts[0], None), term(0, 1, shifts[1], None)],
                    messages: vec![setup.message(1), setup.message(2)],
                    factors: Vec::new(),
                };
                case.check();
            }
        }
    }
}

/// More rotated sources than a task keeps of a chunk, so that they are made and summed in several groups: destinations that
/// use all of them, only the last ones, and only unrotated ones, which are absent modulo the special primes.
#[test]
fn rotated_sources_in_groups() {
    let (name, literal) = common::literals().into_iter().next().unwrap();
    let setup = Setup::new(name, &literal);
    let slots = setup.params.slots();
    let shifts = [0, 1, 2, 5, slots - 1];
    let sources = 60;
    let pairs = || (0..sources).flat_map(|src| shifts.map(|shift| (src, shift)));
    for plaintexts in [7, 0] {
        let mut numbers = (0..).map(|i| (plaintexts > 0).then(|| i % plaintexts));
        let mut terms: Vec<LinearTerm> = Vec::new();
        for (dst, used) in [
            (0, pairs().collect::<Vec<_>>()),
            (1, pairs().filter(|&(src, shift)| src > 50 && shift == slots - 1).collect()),
            (2, pairs().filter(|&(_, shift)| shift == 0).collect()),
        ] {
            let of = |((src, shift), p)| term(dst, src, shift, p);
            terms.extend(used.into_iter().zip(&mut numbers).map(of));
        }
        let case = Case {
            setup: &setup,
            level: setup.params.max_level(),
            rescale: plaintexts > 0,
            outputs: 3,
            factors: factors(slots, plaintexts, terms.len()),
            messages: (0..sources).map(|i| setup.message(i as u64)).collect(),
            terms,
        };
        let plan = LinearPlan::new(&setup.params, sources, 3, &case.terms, case.rescale).unwrap();
        let shape = plan.shape();
        assert!(groups_of(shape.rotations + shape.unrotated) > 2, "{shape:?}");
        case.check();
    }
}

#[test]
fn keys_of_several_levels() {
    for (name, literal) in common::literals() {
        let mut setup = Setup::new(name, &literal);
        let (highest, level) = (setup.params.max_level(), 1);
        // Those for higher levels have more digits than the value, which uses the first of them.
        let rotations = [(1, level), (2, highest), (5, level), (17, highest - 1)];
        let spec =
            KeySpec { relinearisation: None, conjugation: None, rotations: rotations.into() };
        let keys = EvaluationKeys::generate(&setup.secret, &spec).unwrap();
        setup.evaluator = Evaluator::new(&setup.params, Arc::new(keys)).unwrap();
        let slots = setup.params.slots();
        let terms = rotations.iter().map(|&(shift, _)| term(0, 0, shift, None)).collect();
        let (messages, factors) = (vec![message(slots, 1)], Vec::new());
        let case =
            Case { setup: &setup, level, rescale: false, outputs: 1, terms, messages, factors };
        case.check();
    }
}

#[test]
fn a_matrix_by_diagonals() {
    // y_i = sum_j m_ij x_j over blocks of 4 slots: the diagonals times the rotations, within each block.
    let (name, literal) = common::literals().swap_remove(3);
    let setup = Setup::new(name, &literal);
    let slots = setup.params.slots();
    let matrix = |i: usize, j: usize| ((i * 4 + j) as f64 * 0.37).sin() / 4.0;
    let x: Vec<Complex> = setup
        .message(1)
        .iter()
        .enumerate()
        .map(|(i, &c)| {
            // Repeated blocks, so that rotations wrap around within them.
            if i < 4 { c } else { Complex::default() }
        })
        .collect();
    let x: Vec<Complex> = (0..slots).map(|i| x[i % 4]).collect();
    let diagonals: Vec<Vec<Complex>> = (0..3)
        .map(|d| (0..slots).map(|i| Complex::new(matrix(i % 4, (i + d) % 4), 0.0)).collect())
        .collect();
    let case = Case {
        setup: &setup,
        level: setup.params.max_level(),
        rescale: true,
        outputs: 1,
        terms: (0..3).map(|d| term(0, 0, d, Some(d))).collect(),
        messages: vec![x.clone()],
        factors: diagonals,
    };
    case.check();
    let result = setup.decrypt(&case.fused(&case.sources())[0]);
    for (i, found) in result.iter().enumerate() {
        let real: f64 = (0..3).map(|d| matrix(i % 4, (i + d) % 4) * x[(i + d) % 4].re).sum();
        assert!((found.re - real).abs() < 1e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn anything(
        set in 0_usize..3, sources in 1_usize..4, outputs in 1_usize..4, rescale: bool,
        picks in prop::collection::vec((0_usize..4, 0_usize..4, 0_usize..7, 0_usize..5), 1..12),
    ) {
        let (name, literal) = common::literals().swap_remove(set);
        let setup = Setup::new(name, &literal);
        let slots = setup.params.slots();
        let shifts = [0, 1, 2, 5, 17, 64, slots - 1];
        let mut terms: Vec<LinearTerm> = picks
            .iter()
            .map(|&(dst, src, shift, p)| term(dst % outputs, src % sources, shifts[shift], Some(p)))
            .collect();
        // Every output has a term.
        terms.extend((0..outputs).map(|dst| term(dst, dst % sources, shifts[dst + 1], Some(0))));
        let case = Case {
            setup: &setup,
            level: setup.params.max_level(),
            rescale,
            outputs,
            factors: factors(slots, 5, terms.len()),
            messages: (0..sources).map(|i| setup.message(i as u64)).collect(),
            terms,
        };
        case.check();
    }
}
