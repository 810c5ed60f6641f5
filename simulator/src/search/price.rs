//! Prices of instructions.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use costmodel::{CostModel, Primitive, Setting};

use crate::chain::Chain;
use crate::program::Program;

/// Says what an instruction costs.
pub trait Pricer: Sync {
    /// Time of one instruction, in milliseconds; `setting.level` is that of its operands.
    fn price_ms(&self, primitive: &Primitive, setting: &Setting) -> f64;
}

impl Pricer for CostModel {
    fn price_ms(&self, primitive: &Primitive, setting: &Setting) -> f64 {
        self.predict(primitive, setting).median_ms
    }
}

/// A rough count of work for tests and for uncalibrated machines: limb transforms at `N log N` and limb
/// products at `N`, with one unit cost each.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkPricer;

/// Nanoseconds of a butterfly and of a coefficient-wise product, of order of magnitude only.
const BUTTERFLY_NS: f64 = 0.3;
const PRODUCT_NS: f64 = 0.4;

impl Pricer for WorkPricer {
    fn price_ms(&self, primitive: &Primitive, s: &Setting) -> f64 {
        let n = f64::from(s.log_n).exp2();
        let transform = n / 2.0 * f64::from(s.log_n) * BUTTERFLY_NS;
        let product = n * PRODUCT_NS;
        let l = (s.level + 1) as f64;
        let w = l + s.special as f64;
        let digits = s.switch().digits() as f64;
        let decompose = l * transform + digits * w * (transform + product);
        let inner = 2.0 * digits * w * product;
        let down = 2.0 * (w * transform + l * product);
        let rescale = 2.0 * l * transform;
        let merged = |flag: bool| if flag { transform } else { 0.0 };
        let ns = match *primitive {
            Primitive::RotateHoisted { rotations } => decompose + rotations as f64 * (inner + down),
            Primitive::Linear(shape) => {
                let extended = shape.decomposed > 0;
                let limbs = if extended { w } else { l };
                let out = if extended {
                    down + merged(shape.rescale)
                } else if shape.rescale {
                    rescale
                } else {
                    0.0
                };
                shape.decomposed as f64 * decompose
                    + shape.rotations as f64 * inner
                    + shape.terms as f64 * 2.0 * limbs * product
                    + shape.plaintexts as f64 * shape.plaintext_share(n) * 0.5 * limbs * product
                    + shape.outputs as f64 * out
            }
            Primitive::SumSquares { terms, rescale } => {
                terms as f64 * 3.0 * l * product + decompose + inner + down + merged(rescale)
            }
            Primitive::Multiply { rescale } => {
                4.0 * l * product + decompose + inner + down + merged(rescale)
            }
            Primitive::Add => 2.0 * l * product,
            Primitive::AddPlain => l * product,
            Primitive::Rescale => rescale,
            Primitive::DropLevel { to } => (to + 1) as f64 * 0.5 * product,
            Primitive::Conjugate => decompose + inner + down,
        };
        ns * 1e-6
    }
}

/// Time of every layer of a program, in milliseconds.
pub fn price_program(
    program: &Program,
    chain: &Chain,
    threads: usize,
    pricer: &dyn Pricer,
) -> Vec<f64> {
    let mut layers = vec![0.0; program.layers.len()];
    for (layer, primitive, level) in program.primitives() {
        let setting = chain.setting(level, threads);
        layers[layer] += pricer.price_ms(&primitive, &setting);
    }
    layers
}

/// A pricer that remembers its answers.
pub(crate) struct Memo<'a> {
    pricer: &'a dyn Pricer,
    known: RwLock<HashMap<(Primitive, Setting), f64>>,
}

impl<'a> Memo<'a> {
    pub(crate) fn new(pricer: &'a dyn Pricer) -> Self {
        Self { pricer, known: RwLock::new(HashMap::new()) }
    }

    pub(crate) fn price_ms(&self, primitive: &Primitive, setting: &Setting) -> f64 {
        let key = (*primitive, *setting);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        known.unwrap_or_else(|| {
            let price = self.pricer.price_ms(primitive, setting);
            self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key, price);
            price
        })
    }
}
