//! The engine at work, counted, and what the cost model's work is to be by these counts.

use std::sync::Arc;

use costmodel::work::{Feature, Work};
use costmodel::{Caches, KeyStorage, LinearShape, Operation, Primitive, Residency, Setting};
use engine::cipher::{Ciphertext, Plaintext};
use engine::count::{Call, Counts, Kernel, count};
use engine::encoding::Encoder;
use engine::eval::{Evaluator, LinearPlan, groups_of};
use engine::kernels::sum_terms;
use engine::keys::{EvaluationKeys, KeyForm, KeySpec, PublicKey, SecretKey};
use engine::ntt::corrects;
use engine::params::{Parameters, ParametersLiteral};
use engine::poly::CHUNK_WORDS;

/// Parameters with one size of primes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Set {
    pub log_n: u32,
    pub depth: usize,
    pub special: usize,
    pub alpha: usize,
    pub prime_bits: u32,
}

/// Keys and operands.
pub struct Bench {
    pub set: Set,
    pub params: Parameters,
    pub evaluator: Evaluator,
    pub secret: SecretKey,
    pub public: PublicKey,
    pub encoder: Encoder,
    ciphertext: Ciphertext,
}

impl Bench {
    /// With keys of so many rotations, by 1 and so on.
    pub fn new(set: Set, rotations: usize) -> Self {
        let Set { log_n, depth, special, alpha, prime_bits } = set;
        let special = (special, prime_bits);
        let mut literal =
            ParametersLiteral::uniform(log_n, prime_bits, prime_bits, depth, special, alpha)
                .unwrap();
        literal.allow_insecure = true;
        let params = Parameters::new(&literal).unwrap();
        let secret = SecretKey::from_seed(&params, [7; 32]);
        let spec = KeySpec {
            relinearisation: Some(depth),
            conjugation: Some(depth),
            rotations: (1..=rotations).map(|shift| (shift, depth)).collect(),
        };
        let keys = Arc::new(EvaluationKeys::generate(&secret, &spec).unwrap());
        let encoder = Encoder::new(&params);
        let plaintext = encoder.encode(&[0.5, -0.25], depth, params.scale(), false).unwrap();
        Self {
            set,
            evaluator: Evaluator::new(&params, keys).unwrap(),
            ciphertext: secret.encrypt(&plaintext).unwrap(),
            public: PublicKey::generate(&secret),
            secret,
            encoder,
            params,
        }
    }

    /// Where an operation at a level runs, on one thread: then work is counted in total.
    pub fn setting(&self, level: usize) -> Setting {
        let Set { log_n, special, alpha, prime_bits, .. } = self.set;
        let prime = f64::from(prime_bits).exp2();
        Setting {
            log_n,
            level,
            special,
            alpha,
            threads: 1,
            wide: corrects(prime, log_n),
            sum_terms: sum_terms(prime),
            keys: KeyStorage::of_primes([prime]),
        }
    }

    pub fn ciphertext(&self, level: usize) -> Ciphertext {
        self.evaluator.drop_level(&self.ciphertext, level).unwrap()
    }

    /// Plaintexts of slots of a period, each in memory of its own.
    pub fn plaintexts(&self, count: usize, level: usize, period: usize) -> Vec<Plaintext> {
        let values: Vec<f64> = (0..period).map(|i| (i as f64).cos()).collect();
        let scale = self.params.scale();
        let plaintext = self.encoder.encode_periodic(&values, level, scale, true).unwrap();
        vec![plaintext; count]
    }

    /// What a linear operation does.
    pub fn linear(&self, plan: &LinearPlan, level: usize, plaintexts: &[Plaintext]) -> Counts {
        let sources = vec![self.ciphertext(level); plan.shape().sources];
        let sources: Vec<&Ciphertext> = sources.iter().collect();
        let factors: Vec<&Plaintext> = plaintexts.iter().take(plan.plaintexts()).collect();
        counted(|| self.evaluator.linear(plan, &sources, &factors).unwrap())
    }

    /// What another instruction does.
    pub fn primitive(&self, primitive: Primitive, level: usize) -> Counts {
        let (ct, evaluator) = (self.ciphertext(level), &self.evaluator);
        match primitive {
            Primitive::RotateHoisted { rotations } => {
                let shifts: Vec<usize> = (1..=rotations).collect();
                counted(|| evaluator.rotate_hoisted(&ct, &shifts).unwrap())
            }
            Primitive::Linear(_) => unreachable!("a linear operation has a plan"),
            Primitive::SumSquares { terms, rescale } => {
                let sources = vec![&ct; terms];
                counted(|| evaluator.sum_squares(&sources, rescale).unwrap())
            }
            Primitive::Multiply { rescale } => {
                counted(|| evaluator.multiply(&ct, &ct, rescale).unwrap())
            }
            Primitive::Add => counted(|| evaluator.add(&ct, &ct).unwrap()),
            Primitive::AddPlain => {
                let plaintexts = self.plaintexts(1, level, self.params.slots());
                counted(|| evaluator.add_plain(&ct, &plaintexts[0]).unwrap())
            }
            Primitive::Rescale => counted(|| evaluator.rescale(&ct).unwrap()),
            Primitive::DropLevel { to } => counted(|| evaluator.drop_level(&ct, to).unwrap()),
            Primitive::Conjugate => counted(|| evaluator.conjugate(&ct).unwrap()),
        }
    }
}

/// What kernels do in a closure, on two threads.
pub fn counted<T: Send>(work: impl FnOnce() -> T + Send) -> Counts {
    count(2, || drop(work())).unwrap().1
}

/// The sorts of work that kernels do. Of the others, bytes of polynomials are weighed by the caches; the rest is not done by
/// kernels: tasks, phases, copies by one thread, fresh memory, Fourier transforms and randomness.
const COUNTED: [Feature; 15] = [
    Feature::ForwardButterflies,
    Feature::InverseButterflies,
    Feature::WideButterflies,
    Feature::KeyProducts,
    Feature::PackedWords,
    Feature::DotProducts,
    Feature::Conversions,
    Feature::Reductions,
    Feature::ElementwiseWords,
    Feature::ConstantBytes,
    Feature::DigitBytes,
    Feature::KeyBytes,
    Feature::MaskWords,
    Feature::PlaintextBytes,
    Feature::RoundedWords,
];

/// No second level and an endless last one: all constants and digits are read from there, and nothing from memory but keys and
/// plaintexts.
const CACHES: Caches = Caches { l1_bytes: 0, l2_bytes: 0, l3_bytes: u64::MAX };

/// What an operation does that is not to be read off the calls of kernels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Apart {
    /// Words that are copied, cleared, or made of small coefficients within parallel loops, which no kernel does.
    pub moved_words: usize,
    /// Bytes of factors that are zero: of no plaintext.
    pub zero_bytes: usize,
    /// Bytes of a plaintext that is added.
    pub added_bytes: usize,
    /// Words put together from residues: the scalings that this takes are part of it.
    pub rounded_words: usize,
}

/// The amount of a sort of work by the engine's counts, all on one thread.
fn amount(feature: Feature, counts: &Counts, apart: &Apart) -> u64 {
    use Kernel::*;
    let of = |kernels: &[Kernel]| counts.total(|call: &Call| kernels.contains(&call.kernel));
    let pairs = [DotPairs, SquareSum, Tensor, MulAdd, MulSub];
    match feature {
        Feature::ForwardButterflies => of(&[NttForward]).products,
        Feature::InverseButterflies => of(&[NttInverse]).products,
        Feature::WideButterflies => counts.total(|call| call.corrected).products,
        Feature::KeyProducts => of(&[KeyProduct]).products,
        Feature::PackedWords => {
            let packed = |call: &Call| call.kernel == KeyProduct && call.packed;
            counts.total(packed).key_bytes * 8 / u64::from(KeyForm::PACKED_BITS)
        }
        Feature::DotProducts => of(&pairs).products,
        // As much as one product more whenever a sum is reduced.
        Feature::Conversions => {
            let sums = of(&[DotConst, DotConvert]);
            sums.products + sums.reduced_words + of(&[Quotient]).products
        }
        Feature::Reductions => of(&pairs).reduced_words + of(&[KeyProduct]).reduced_words,
        Feature::ElementwiseWords => {
            let words = of(&[Add, Sub, MulScalar, MulScalarAdd, SubFromMulScalar, Lift]).words;
            let together = of(&[SubFromMulScalar]).words * u64::from(apart.rounded_words > 0);
            words - together + of(&[KeyProduct]).permuted_words + apart.moved_words as u64
        }
        Feature::ConstantBytes => of(&[NttForward, NttInverse]).constant_bytes,
        Feature::DigitBytes => of(&[KeyProduct]).digit_bytes,
        // Each key once, whatever rotates by it.
        Feature::KeyBytes => counts.distinct_key_bytes(),
        Feature::MaskWords => of(&[KeyProduct]).mask_words,
        // Each plaintext once: then it is in the caches.
        Feature::PlaintextBytes => {
            counts.distinct_factor_bytes() - apart.zero_bytes as u64 + apart.added_bytes as u64
        }
        Feature::RoundedWords => match apart.rounded_words {
            0 => of(&[Reduce]).words,
            words => words as u64,
        },
        _ => unreachable!("{feature:?} is not the work of kernels"),
    }
}

/// Words of sums that may be reduced once more or once less than the model says, which takes those of an instruction to have
/// equally many terms: none where sums hold whatever they may have.
fn uneven_words(operation: &Operation, setting: &Setting) -> usize {
    let Operation::Primitive(Primitive::Linear(shape)) = operation else { return 0 };
    let detail = shape.detail.unwrap();
    if detail.products <= setting.sum_terms.pairs {
        return 0;
    }
    (2 * detail.sums * (setting.level + 1 + setting.special)) << setting.log_n
}

/// Asserts that the model counts what the engine does.
pub fn assert_counted(operation: Operation, setting: &Setting, counts: &Counts, apart: Apart) {
    let work = Work::count(&operation, setting, &CACHES, Residency::Cold);
    for feature in COUNTED {
        // Operands of a kernel that is timed alone are in the nearest caches.
        let streamed = [Feature::DigitBytes, Feature::KeyBytes, Feature::PlaintextBytes];
        let near = matches!(operation, Operation::Unit(_)) && streamed.contains(&feature);
        let expected = if near { 0.0 } else { amount(feature, counts, &apart) as f64 };
        // Both are sums of the same kernel.
        let periodic =
            if feature == Feature::DotProducts { work.get(Feature::PeriodicProducts) } else { 0.0 };
        let found = work.get(feature) + periodic;
        let slack =
            if feature == Feature::Reductions { uneven_words(&operation, setting) } else { 0 };
        let agree = (found - expected).abs() <= 1e-12 * expected + slack as f64;
        assert!(
            agree,
            "{feature:?} of {operation:?}, {setting:?}: {found}, but the engine does {expected}"
        );
    }
}

/// What a linear operation does apart; `turned` destinations have summands that are rotated.
pub fn apart_from_linear(bench: &Bench, shape: &LinearShape, level: usize, turned: usize) -> Apart {
    let (n, limbs) = (bench.params.n(), level + 1);
    let special = if shape.decomposed > 0 { bench.set.special } else { 0 };
    let detail = shape.detail.unwrap();
    let groups = groups_of(shape.rotations + shape.unrotated);
    // What a destination begins with: its first summand, or zero where several groups add to it.
    let begun = match (shape.plaintexts, detail.products) {
        (0, 0) => 0,
        (0, _) => 2 * (shape.outputs * limbs + turned * special),
        _ if groups > 1 => 2 * shape.outputs * (limbs + special),
        _ => 0,
    };
    let words = if shape.plaintext_words > 0 { shape.plaintext_words } else { n };
    // Others are read where they are.
    let copied = if shape.decomposed > 0 { 2 * shape.unrotated } else { 0 };
    Apart {
        moved_words: ((shape.decomposed + copied) * limbs + begun) * n,
        // Of a chunk, whatever is summed.
        zero_bytes: match shape.plaintexts > 0 && detail.products > shape.terms {
            true => 8 * (CHUNK_WORDS * words / n).max(1),
            false => 0,
        },
        ..Apart::default()
    }
}

/// What another instruction does apart.
pub fn apart_from(bench: &Bench, primitive: Primitive, level: usize) -> Apart {
    let (n, limbs) = (bench.params.n(), level + 1);
    let moved = match primitive {
        // What is decomposed.
        Primitive::RotateHoisted { .. }
        | Primitive::SumSquares { .. }
        | Primitive::Multiply { .. }
        | Primitive::Conjugate => limbs,
        // The first operand.
        Primitive::Add => 2 * limbs,
        _ => 0,
    };
    let added = if primitive == Primitive::AddPlain { limbs } else { 0 };
    Apart { moved_words: moved * n, added_bytes: 8 * added * n, ..Apart::default() }
}
