//! Single kernels on words in the caches, to be timed: what a cost model builds on.

use serde::{Deserialize, Serialize};

use crate::buffer::AlignedBuf;
use crate::encoding::Zeros;
use crate::kernels::{
    KEY_WORDS, KeyProduct, KeyWords, MAX_OUTPUTS, MaskStream, PairProducts, RoundKeys, kernels,
    pack, stored_words,
};
use crate::keys::Form;
use crate::modulus::primes::ntt_primes;
use crate::modulus::{Modulus, RADIX_BITS, ShoupScalar};
use crate::ntt::NttTable;
use crate::poly::{Automorphism, CHUNK_WORDS};
use crate::{Error, Result};

/// Words before the results: without them they would lie at the same place of a page as the operands, and processors that
/// compare only that part of an address would take every load for one that waits for a store.
const GAP: usize = 72;

/// Most terms or digits of a sum.
const MAX_TERMS: usize = 64;

/// A kernel, and how much it sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kernel")]
pub enum Unit {
    /// A forward transform of a limb.
    ForwardNtt,
    /// An inverse transform of a limb.
    InverseNtt,
    /// A key product of so many digits with its permutation, both components of a chunk; masks are made if keys have none.
    KeyProduct {
        /// Digits, 1 to 64.
        digits: usize,
    },
    /// The same where the masks are there, as for every source but the first that is rotated by one key.
    KeyProductHeld {
        /// Digits, 1 to 64.
        digits: usize,
    },
    /// A sum of pairs times plaintexts, both components of a quarter of a chunk of each output.
    PairSum {
        /// Terms, 1 to 64.
        terms: usize,
        /// Outputs, 1 to 3.
        outputs: usize,
    },
    /// The same with plaintexts of a subring, of which one word is the factor of all these adjacent ones.
    PeriodicPairSum {
        /// Terms, 1 to 64.
        terms: usize,
        /// Outputs, 1 to 3.
        outputs: usize,
    },
    /// A basis conversion of a chunk from so many rows, of which the last is the quotient, to one prime.
    Conversion {
        /// Rows, 2 to 64.
        rows: usize,
    },
    /// A basis conversion of a chunk from a single prime.
    Lift,
    /// A chunk times a scalar.
    Scale,
    /// The sum of two chunks.
    Add,
    /// A Fourier transform of an encoding.
    Fourier,
}

impl Unit {
    /// Words of the result, per component and output, for ring degree `n`.
    pub fn words(self, n: usize) -> usize {
        match self {
            Self::ForwardNtt | Self::InverseNtt | Self::Fourier => n,
            // As many as leave all operands in the nearest cache.
            Self::PairSum { .. } | Self::PeriodicPairSum { .. } => CHUNK_WORDS / 4,
            _ => CHUNK_WORDS,
        }
    }

    fn check(self) -> Result<()> {
        let within = |what: &'static str, count: usize, least: usize, most: usize| {
            let ok = (least..=most).contains(&count);
            ok.then_some(())
                .ok_or_else(|| Error::argument(what, count, format!("{least} to {most}")))
        };
        match self {
            Self::KeyProduct { digits } | Self::KeyProductHeld { digits } => {
                within("digits of a kernel", digits, 1, MAX_TERMS)
            }
            Self::PairSum { terms, outputs } | Self::PeriodicPairSum { terms, outputs } => within(
                "terms of a kernel",
                terms,
                1,
                MAX_TERMS,
            )
            .and(within("outputs of a kernel", outputs, 1, MAX_OUTPUTS)),
            Self::Conversion { rows } => within("rows of a kernel", rows, 2, MAX_TERMS),
            _ => Ok(()),
        }
    }
}

/// A kernel with its operands, which stay the same however often it runs.
pub struct UnitBench {
    unit: Unit,
    table: NttTable,
    automorphism: Automorphism,
    scalar: ShoupScalar,
    /// Words below the prime, one after the other as many slices as any operand has.
    operands: AlignedBuf,
    /// Two components of as many results as any unit has, of its words each.
    results: AlignedBuf,
    round_keys: Option<RoundKeys>,
    masks: AlignedBuf,
    numbers: Vec<u64>,
    fourier: Option<Zeros>,
}

impl UnitBench {
    /// A kernel for ring degree `2^log_n`, at least 2^9, and a prime of so many bits.
    ///
    /// # Errors
    /// [`Error::Argument`] for counts that no sum has or a ring degree out of range; [`Error::Parameters`] if there is no
    /// such prime.
    pub fn new(unit: Unit, log_n: u32, prime_bits: u32) -> Result<Self> {
        unit.check()?;
        if log_n < CHUNK_WORDS.ilog2() {
            let expected = format!("at least {}", CHUNK_WORDS.ilog2());
            return Err(Error::argument("log2 of the ring degree", log_n, expected));
        }
        let modulus = Modulus::new(ntt_primes(prime_bits, log_n, 1, &[])?[0])?;
        let table = NttTable::new(modulus, log_n)?;
        // The range that the kernel asks for.
        if let Unit::Conversion { rows } = unit
            && rows as u64 > (1 << RADIX_BITS) / modulus.value()
        {
            let expected = format!("at most 2^{RADIX_BITS} divided by the prime");
            return Err(Error::argument("rows of a kernel", rows, expected));
        }
        let words = unit.words(table.n());
        let slices = match unit {
            Unit::ForwardNtt | Unit::InverseNtt | Unit::Fourier => 0,
            Unit::KeyProduct { digits } | Unit::KeyProductHeld { digits } => 3 * digits,
            Unit::PairSum { terms, outputs } | Unit::PeriodicPairSum { terms, outputs } => {
                (2 + outputs) * terms
            }
            Unit::Conversion { rows } => rows,
            Unit::Lift | Unit::Scale | Unit::Add => 1,
        };
        let mut operands = AlignedBuf::zeroed(words * slices);
        let mut results = AlignedBuf::zeroed(words * 2 * MAX_OUTPUTS + GAP);
        let mut state = 1_u64;
        for word in operands.iter_mut().chain(&mut results[..]) {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *word = (state >> 12) % modulus.value();
        }
        let digits = match unit {
            Unit::KeyProduct { digits } | Unit::KeyProductHeld { digits } => digits,
            _ => 0,
        };
        if Form::of(&modulus).packed {
            let mut packed = vec![0; 2 * digits * stored_words(true) * CHUNK_WORDS / KEY_WORDS];
            pack(&operands[digits * CHUNK_WORDS..][..2 * digits * CHUNK_WORDS], &mut packed);
            operands[digits * CHUNK_WORDS..][..packed.len()].copy_from_slice(&packed);
        }
        let expansion = kernels().expansion.as_ref();
        Ok(Self {
            unit,
            automorphism: Automorphism::new(log_n, Automorphism::galois_of_rotation(log_n, 1)),
            scalar: modulus.shoup(modulus.value() / 3),
            table,
            operands,
            results,
            round_keys: expansion
                .filter(|_| Form::of(&modulus).components == 1)
                .map(|expansion| (expansion.round_keys)(&[7; 16])),
            masks: AlignedBuf::zeroed(digits * CHUNK_WORDS),
            numbers: (0..digits as u64).collect(),
            fourier: (unit == Unit::Fourier).then(|| Zeros::new(log_n)),
        })
    }

    /// Runs the kernel so many times.
    pub fn run(&mut self, times: usize) {
        if let Some(fourier) = &self.fourier {
            return (0..times).for_each(|_| fourier.transform());
        }
        let (table, modulus, kernels) = (&self.table, self.table.modulus(), kernels());
        if let Unit::ForwardNtt | Unit::InverseNtt = self.unit {
            let limb = &mut self.results[GAP..][..table.n()];
            return match self.unit {
                Unit::ForwardNtt => (0..times).for_each(|_| table.forward(limb)),
                _ => (0..times).for_each(|_| table.inverse(limb)),
            };
        }
        let words = self.unit.words(table.n());
        let operands: Vec<&[u64]> = self.operands.chunks_exact(words).collect();
        let mut results = self.results[GAP..].chunks_exact_mut(words);
        let mut next = || results.next().unwrap_or_default();
        match self.unit {
            Unit::KeyProduct { digits } | Unit::KeyProductHeld { digits } => {
                let form = Form::of(modulus);
                let Form { packed, components } = form;
                let length = form.words(CHUNK_WORDS, digits);
                let words = &self.operands[digits * CHUNK_WORDS..][..length];
                let chunk = self.automorphism.source_chunk(0).unwrap_or_default();
                let mut product = KeyProduct {
                    digits: &operands[..digits],
                    key: KeyWords { words, digits, components, packed },
                    masks: None,
                    next_key: None,
                    add0: Some((operands[0], self.scalar)),
                    permutation: Some(self.automorphism.permutation(chunk)),
                };
                let (out0, out1) = (next(), next());
                match (&kernels.expansion, &self.round_keys, self.unit) {
                    (Some(expansion), Some(round_keys), Unit::KeyProduct { .. }) => {
                        let stream = MaskStream { round_keys, numbers: &self.numbers };
                        let masks = &mut self.masks;
                        for _ in 0..times {
                            (expansion.key_product)(out0, out1, &product, &stream, masks, modulus);
                        }
                    }
                    (_, round_keys, _) => {
                        product.masks = round_keys.is_some().then_some(&self.masks);
                        for _ in 0..times {
                            (kernels.key_product)(out0, out1, &product, modulus);
                        }
                    }
                }
            }
            Unit::PairSum { terms, outputs } | Unit::PeriodicPairSum { terms, outputs } => {
                let mut outs: Vec<[&mut [u64]; 2]> =
                    (0..outputs).map(|_| [next(), next()]).collect();
                let (x0, rest) = operands.split_at(terms);
                let (x1, factors) = rest.split_at(terms);
                let run = if let Unit::PairSum { .. } = self.unit { 1 } else { words };
                let firsts: Vec<&[u64]> = factors.iter().map(|f| &f[..words / run]).collect();
                let products = PairProducts { x0, x1, factors: &firsts, run, add: false };
                for _ in 0..times {
                    (kernels.dot_pairs)(&mut outs, &products, modulus);
                }
            }
            Unit::Conversion { rows } => {
                let consts = vec![self.scalar.value / MAX_TERMS as u64; rows];
                let out = next();
                for _ in 0..times {
                    (kernels.dot_convert)(&mut [&mut *out], &operands, &[&consts], &[modulus]);
                }
            }
            unit => {
                let (out, x) = (next(), operands[0]);
                for _ in 0..times {
                    match unit {
                        Unit::Lift => (kernels.lift)(out, x, modulus.value(), modulus),
                        Unit::Scale => (kernels.mul_scalar)(out, self.scalar, modulus),
                        _ => (kernels.add)(out, x, modulus),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernels assert the lengths of their operands, so that running each is the test.
    #[test]
    fn every_kernel_runs() {
        for unit in [
            Unit::ForwardNtt,
            Unit::InverseNtt,
            Unit::KeyProduct { digits: 1 },
            Unit::KeyProduct { digits: 9 },
            Unit::KeyProductHeld { digits: 9 },
            Unit::PairSum { terms: 5, outputs: 1 },
            Unit::PeriodicPairSum { terms: 9, outputs: 3 },
            Unit::PairSum { terms: 64, outputs: 3 },
            Unit::Conversion { rows: 3 },
            Unit::Lift,
            Unit::Scale,
            Unit::Add,
        ] {
            for bits in [46, 50] {
                let mut bench = UnitBench::new(unit, 12, bits).unwrap();
                let before = bench.results.to_vec();
                bench.run(1);
                assert_ne!(bench.results[..], before[..], "{unit:?} wrote nothing");
                let q = bench.table.modulus().value();
                // Conversions leave words below 2q.
                assert!(bench.results.iter().all(|&word| word < 2 * q), "{unit:?}");
            }
        }
    }

    /// It has memory of its own, whose lengths it checks.
    #[test]
    fn the_fourier_transform_runs() {
        for log_n in [9, 12, 16] {
            UnitBench::new(Unit::Fourier, log_n, 46).unwrap().run(2);
        }
    }

    #[test]
    fn impossible_units_are_errors() {
        for (unit, log_n) in [
            (Unit::KeyProduct { digits: 0 }, 12),
            (Unit::KeyProduct { digits: 65 }, 12),
            (Unit::PairSum { terms: 1, outputs: 4 }, 12),
            (Unit::Conversion { rows: 1 }, 12),
            (Unit::Add, 8),
            (Unit::ForwardNtt, 18),
        ] {
            assert!(UnitBench::new(unit, log_n, 46).is_err(), "{unit:?} {log_n}");
        }
    }
}
