//! A program with an instruction of every kind.

use engine::params::{self, Parameters, ParametersLiteral};
use simulator::chain::Chain;
use simulator::program::{
    Instruction, Op, PlaintextSpec, Program, SlotValues, Term, ValueId, ValueInfo,
};

/// A small insecure ring of three levels; digits of two limbs.
pub fn parameters() -> Parameters {
    Parameters::new(&ParametersLiteral {
        log_n: 11,
        chain: params::Chain::Bits { first: 46, scale: vec![36; 3], special: vec![44, 44] },
        log_scale: 36.0,
        digit_limbs: 2,
        allow_insecure: true,
    })
    .unwrap()
}

/// Slot values, different for every `seed`, of absolute value at most `1 / 2`.
pub fn slots(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|k| ((k * (2 * seed + 1) + 3 * seed) % 17) as f64 / 16.0 - 0.5).collect()
}

/// The program under construction.
pub struct Ops {
    chain: Chain,
    pub program: Program,
}

impl Ops {
    /// Starts with two inputs at the highest level.
    pub fn new(chain: Chain) -> Self {
        let info = ValueInfo { level: chain.levels(), scale: chain.scale };
        let program = Program {
            slots: chain.slots,
            layers: vec!["first".into(), "second".into()],
            values: vec![info; 2],
            inputs: 2,
            plaintexts: Vec::new(),
            instructions: Vec::new(),
            outputs: Vec::new(),
        };
        Self { chain, program }
    }

    /// A plaintext of the given level and scale.
    pub fn plaintext(&mut self, info: ValueInfo, extended: bool) -> usize {
        let seed = self.program.plaintexts.len() + 5;
        self.plaintext_of(slots(self.chain.slots, seed), info, extended)
    }

    /// The same with slots of one period.
    pub fn plaintext_of(&mut self, period: Vec<f64>, info: ValueInfo, extended: bool) -> usize {
        let id = self.program.plaintexts.len();
        let length = period.len();
        let values = SlotValues::from(period);
        self.program.plaintexts.push(PlaintextSpec {
            values_bytes: values.bytes(),
            period: length,
            images: 1,
            values: Some(values),
            level: info.level,
            scale: info.scale,
            extended,
        });
        id
    }

    /// Adds an instruction with so many results.
    pub fn push(&mut self, layer: usize, op: Op, results: usize) -> Vec<ValueId> {
        let first = self.program.values.len();
        let dsts: Vec<_> = (first..first + results).collect();
        let instruction = Instruction { op, dsts: dsts.clone(), layer };
        let info = self.program.facts(&instruction).result(&self.chain).unwrap();
        self.program.values.extend(vec![info; results]);
        self.program.instructions.push(instruction);
        dsts
    }

    /// Adds an instruction with one result.
    pub fn one(&mut self, layer: usize, op: Op) -> ValueId {
        self.push(layer, op, 1)[0]
    }
}

/// Every operation, with rescales and without.
pub fn every_op(chain: &Chain) -> Program {
    let mut ops = Ops::new(chain.clone());
    let top = chain.levels();
    let rotated = ops.push(0, Op::RotateHoisted { src: 0, shifts: vec![1, 5] }, 2);
    let sum = ops.one(0, Op::Add { a: rotated[0], b: rotated[1] });
    let difference = ops.one(0, Op::Sub { a: sum, b: 1 });
    let conjugate = ops.one(0, Op::Conjugate { src: difference });
    let weights = ValueInfo { level: top, scale: chain.moduli[top] };
    let p: Vec<_> = (0..3).map(|_| ops.plaintext(weights, true)).collect();
    let term = |dst, src, shift, plaintext| Term { dst, src, shift, plaintext };
    let terms = vec![
        term(0, 0, 0, Some(p[0])),
        term(0, 0, 2, Some(p[1])),
        term(0, 1, 7, Some(p[2])),
        term(1, 0, 2, Some(p[2])),
        term(1, 1, 0, Some(p[0])),
    ];
    let linear = Op::Linear { srcs: vec![conjugate, 0], terms, rescale: true };
    let sums = ops.push(0, linear, 2);
    let bias = ops.plaintext(ops.program.values[sums[0]], false);
    let biased = ops.one(0, Op::AddPlain { src: sums[0], plaintext: bias });
    let squares = ops.one(1, Op::SumSquares { srcs: vec![biased, sums[1]], rescale: true });
    let dropped = ops.one(1, Op::DropLevel { src: sums[1], level: 1 });
    let product = ops.one(1, Op::Multiply { a: squares, b: dropped, rescale: false });
    let rescaled = ops.one(1, Op::Rescale { src: product });
    let terms = vec![term(0, 0, 0, None), term(0, 0, 3, None)];
    let last = ops.one(1, Op::Linear { srcs: vec![rescaled], terms, rescale: false });
    ops.program.outputs = vec![last, squares];
    ops.program
}
