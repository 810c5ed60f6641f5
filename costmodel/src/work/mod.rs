//! Work of an operation, counted from the engine's algorithms.
//!
//! Notation: `N` ring degree, `l1 = level + 1` limbs, `k` special primes, `beta = ceil(l1 / alpha)` digits, `T` threads.
//! Arithmetic is counted along the critical path: a stage of `n` equal tasks takes `ceil(n / T)` of them, so its
//! work counts `ceil(n / T) / n` times. Bytes that threads share a bandwidth for are counted in total. With one thread
//! both are plain totals.
//!
//! The formulas follow the engine function by function:
//!
//! | module | engine |
//! | --- | --- |
//! | `switching` | decomposition, digits of a limb, division by primes |
//! | `linear` | the fused linear operation, rotations and conjugation |
//! | `tensor` | products and squares |
//! | `basic` | additions, rescale, drop level; encoding, encryption, decryption |
//! | `unit` | single kernels |

mod basic;
mod feature;
mod linear;
mod switching;
mod tensor;
mod unit;

pub use feature::{Class, Feature};

use engine::eval::SwitchShape;
use engine::kernels::SumTerms;

use crate::machine::Caches;
use crate::operation::{Client, Operation, Residency};
use crate::primitive::{KeyStorage, Primitive, Setting};

/// Bytes of a residue.
const WORD: f64 = 8.0;

/// Words of a chunk of the engine's inner loops.
const CHUNK: f64 = engine::poly::CHUNK_WORDS as f64;

/// Words of a task within a limb.
const TASK: f64 = CHUNK * engine::eval::CHUNKS_PER_TASK as f64;

/// Amount of every sort of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work([f64; Feature::COUNT]);

impl Work {
    /// Work of an operation on a machine with the given caches.
    ///
    /// With [`Residency::Warm`], keys and plaintexts are read from the last-level cache as far as they fit there.
    pub fn count(
        operation: &Operation,
        setting: &Setting,
        caches: &Caches,
        residency: Residency,
    ) -> Self {
        let mut counter = Counter::new(setting, caches);
        match operation {
            Operation::Primitive(primitive) => match *primitive {
                Primitive::RotateHoisted { rotations } => counter.automorphisms(rotations),
                Primitive::Conjugate => counter.automorphisms(1),
                Primitive::Linear(shape) => counter.linear(&shape),
                Primitive::SumSquares { terms, rescale } => {
                    // Three products a word: a^2, a b, b^2; two components of each source.
                    let terms = terms as f64;
                    counter.product(3.0 * terms, terms, 2.0 * terms, rescale);
                }
                Primitive::Multiply { rescale } => counter.product(4.0, 1.0, 4.0, rescale),
                Primitive::Add => counter.add(),
                Primitive::AddPlain => counter.add_plain(),
                Primitive::Rescale => counter.rescale(),
                Primitive::DropLevel { to } => counter.drop_level(to),
            },
            Operation::Client(client) => match *client {
                Client::Encode { extended } => counter.encode(extended),
                Client::Encrypt => counter.encrypt(),
                Client::Decrypt => counter.decrypt(),
                Client::Decode => counter.decode(),
            },
            Operation::Unit(unit) => counter.unit(*unit),
        }
        counter.place(residency);
        Self(counter.amounts)
    }

    /// Amount of one sort.
    pub fn get(&self, feature: Feature) -> f64 {
        self.0[feature.index()]
    }

    /// All amounts, in the order of [`Feature::ALL`].
    pub fn amounts(&self) -> &[f64; Feature::COUNT] {
        &self.0
    }
}

/// How often a sum of so many terms is reduced that holds so many before: at its end, and whenever it is full.
fn reductions(terms: f64, held: usize) -> f64 {
    (terms / held.max(1) as f64).ceil().max(1.0)
}

/// Adds up work.
struct Counter {
    amounts: [f64; Feature::COUNT],
    /// `N`.
    n: f64,
    log_n: f64,
    /// `l1`.
    limbs: f64,
    /// `k`.
    special: f64,
    /// A key switch of an operand.
    switch: SwitchShape,
    threads: f64,
    /// Whether transforms correct between stages.
    wide: bool,
    /// What sums hold before they are reduced.
    sum_terms: SumTerms,
    /// What keys take in memory.
    keys: KeyStorage,
    caches: Caches,
    /// Bytes of the constants of transforms, of all primes and both directions.
    constants: f64,
    /// Bytes of whole polynomials: operands, intermediate and results.
    polynomials: f64,
    /// Bytes of them that are read or written, some more than once.
    traffic: f64,
    /// Bytes of them that are read a chunk here and a chunk there.
    pieces: f64,
}

impl Counter {
    fn new(setting: &Setting, caches: &Caches) -> Self {
        let mut counter = Self {
            amounts: [0.0; Feature::COUNT],
            n: f64::from(setting.log_n).exp2(),
            log_n: f64::from(setting.log_n),
            limbs: setting.level as f64 + 1.0,
            special: setting.special as f64,
            switch: setting.switch(),
            threads: setting.threads.max(1) as f64,
            wide: setting.wide,
            sum_terms: setting.sum_terms,
            keys: setting.keys,
            caches: *caches,
            constants: 0.0,
            polynomials: 0.0,
            traffic: 0.0,
            pieces: 0.0,
        };
        counter.constants = 2.0 * (counter.limbs + counter.special) * counter.constant_bytes();
        counter
    }

    /// Bytes of the constants of one prime and direction.
    fn constant_bytes(&self) -> f64 {
        engine::ntt::constant_bytes(self.n as usize) as f64
    }

    /// `beta`.
    fn digits(&self) -> f64 {
        self.switch.digits() as f64
    }

    /// Bytes of one limb.
    fn limb_bytes(&self) -> f64 {
        WORD * self.n
    }

    /// Adds an amount as it is.
    fn add_up(&mut self, feature: Feature, amount: f64) {
        self.amounts[feature.index()] += amount;
    }

    /// Work of one thread while the others wait.
    fn serial(&mut self, amounts: &[(Feature, f64)]) {
        for &(feature, amount) in amounts {
            self.add_up(feature, amount);
        }
    }

    /// A stage of equal tasks: totals over all of them.
    fn parallel(&mut self, tasks: f64, totals: &[(Feature, f64)]) {
        if tasks < 1.0 {
            return;
        }
        let rounds = (tasks / self.threads).ceil();
        for &(feature, total) in totals {
            match feature.class() {
                Class::Compute => self.add_up(feature, total * rounds / tasks),
                Class::Bandwidth => self.add_up(feature, total),
            }
        }
        self.add_up(Feature::Tasks, rounds);
    }

    /// A point where all threads meet.
    fn phase(&mut self) {
        self.add_up(Feature::Phases, 1.0);
    }

    /// Butterflies of `count` NTTs in one direction, as totals of a stage.
    ///
    /// Every prime has its own constants in either direction. An operation goes through all of them again and again: as far as they are too many for a cache, every transform reads them from the next.
    fn ntts(&self, direction: Feature, count: f64) -> [(Feature, f64); 4] {
        let butterflies = count * self.n / 2.0 * self.log_n;
        let constants = count * self.constant_bytes();
        let (near, far) = (self.overflow(self.constants), self.spill(self.constants));
        let wide = if self.wide { butterflies } else { 0.0 };
        [
            (direction, butterflies),
            (Feature::ConstantBytes, constants * (near - far).max(0.0)),
            (Feature::SpilledBytes, constants * far),
            (Feature::WideButterflies, wide),
        ]
    }

    /// The share of a working set's accesses that go beyond the last-level cache, of which part is always taken by something
    /// else.
    fn spill(&self, bytes: f64) -> f64 {
        let size = self.caches.l3_bytes as f64;
        ramp(bytes, size / 4.0, size)
    }

    /// The share, 0 to 1, of a working set's accesses that go beyond the second-level cache: none up to half of
    /// its size, all from its size on, so that predictions have no steps.
    fn overflow(&self, bytes: f64) -> f64 {
        ramp(bytes, self.caches.l2_bytes as f64 / 2.0, self.caches.l2_bytes as f64)
    }

    /// So many bytes of accesses to rows of `window` bytes in all that are read side by side, over and over: from the second level as
    /// far as they are too many for the first, and from the last one as far as they are too many for the second.
    fn rows(&self, bytes: f64, window: f64) -> [(Feature, f64); 2] {
        let size = self.caches.l1_bytes as f64;
        let (first, second) = (ramp(window, size / 2.0, size), self.overflow(window));
        [
            (Feature::RowBytes, bytes * (first - second).max(0.0)),
            (Feature::CachedBytes, bytes * second),
        ]
    }

    /// Polynomials of so many limbs in all, each read or written `passes` times.
    fn polynomials(&mut self, limbs: f64, passes: f64) {
        let bytes = limbs * self.limb_bytes();
        self.polynomials += bytes;
        self.traffic += passes * bytes;
    }

    /// Operands of so many limbs in all, read chunk by chunk.
    fn pieces(&mut self, limbs: f64) {
        self.polynomials(limbs, 0.0);
        self.pieces += limbs * self.limb_bytes();
    }

    /// Says where the bytes counted come from: polynomials from the last-level cache as far as they fit there; keys and
    /// plaintexts from memory, or from that cache too if they are there already and all fits together.
    fn place(&mut self, residency: Residency) {
        let spilled = self.spill(self.polynomials);
        self.add_up(Feature::CiphertextBytes, self.traffic * (1.0 - spilled) / self.threads);
        self.add_up(Feature::CachedBytes, self.pieces * (1.0 - spilled) / self.threads);
        self.add_up(Feature::SpilledBytes, (self.traffic + self.pieces) * spilled);
        let streams = [Feature::KeyBytes, Feature::PlaintextBytes];
        let streamed: f64 = streams.iter().map(|f| self.amounts[f.index()]).sum();
        if residency == Residency::Warm {
            let missed = self.spill(streamed + self.polynomials);
            streams.iter().for_each(|f| self.amounts[f.index()] *= missed);
            self.add_up(Feature::CachedBytes, streamed * (1.0 - missed) / self.threads);
        }
    }
}

/// 0 up to `low`, 1 from `high` on, linear between.
fn ramp(value: f64, low: f64, high: f64) -> f64 {
    if high > low {
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    } else {
        f64::from(u8::from(value > low))
    }
}

#[cfg(test)]
mod tests;
