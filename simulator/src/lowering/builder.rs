//! Building a program instruction by instruction, with its static levels and scales.

use crate::chain::Chain;
use crate::program::{
    Instruction, Op, PlaintextId, PlaintextSpec, Program, SlotValues, Term, ValueId, ValueInfo,
};
use crate::{Error, Result};

/// A program under construction.
pub(crate) struct Builder<'a> {
    pub(crate) chain: &'a Chain,
    /// Whether plaintexts get their slot values.
    pub(crate) values: bool,
    pub(crate) program: Program,
    layer: usize,
}

/// Source, shift and plaintext of a product within one destination.
pub(crate) type Product = (u32, u32, Option<PlaintextId>);

impl<'a> Builder<'a> {
    /// Starts a program for one image, which has `slots` slots of a ciphertext, with `inputs` fresh ciphertexts of the given
    /// level and scale.
    pub(crate) fn new(
        chain: &'a Chain,
        slots: usize,
        values: bool,
        inputs: usize,
        info: ValueInfo,
    ) -> Self {
        let program = Program {
            slots,
            layers: Vec::new(),
            values: vec![info; inputs],
            inputs,
            plaintexts: Vec::new(),
            instructions: Vec::new(),
            outputs: (0..inputs).collect(),
        };
        Self { chain, values, program, layer: 0 }
    }

    /// Begins a layer; instructions from here on belong to it.
    pub(crate) fn layer(&mut self, name: &str) {
        self.program.layers.push(name.to_owned());
        self.layer = self.program.layers.len() - 1;
    }

    pub(crate) fn info(&self, value: ValueId) -> ValueInfo {
        self.program.values[value]
    }

    fn define(&mut self, info: ValueInfo) -> ValueId {
        self.program.values.push(info);
        self.program.values.len() - 1
    }

    fn emit(&mut self, op: Op, dsts: Vec<ValueId>) {
        self.program.instructions.push(Instruction { op, dsts, layer: self.layer });
    }

    /// Level and scale after a rescale.
    fn rescaled(&self, info: ValueInfo) -> Result<ValueInfo> {
        if info.level == 0 {
            return Err(Error::Depth {
                layer: self.program.layers.last().cloned().unwrap_or_default(),
                needed: 1,
                available: 0,
                missing: 1,
            });
        }
        Ok(ValueInfo { level: info.level - 1, scale: info.scale / self.chain.moduli[info.level] })
    }

    /// Registers a plaintext; `make` gives its slot values if they are wanted.
    pub(crate) fn plaintext(
        &mut self,
        level: usize,
        scale: f64,
        extended: bool,
        make: impl FnOnce() -> Vec<f64>,
    ) -> PlaintextId {
        let period = self.program.slots;
        let values_bytes = (size_of::<f64>() * period) as u64;
        let values = self.values.then(|| SlotValues::from(make()));
        self.add_plaintext(PlaintextSpec {
            values,
            values_bytes,
            period,
            images: 1,
            level,
            scale,
            extended,
        })
    }

    /// Registers a plaintext.
    pub(crate) fn add_plaintext(&mut self, spec: PlaintextSpec) -> PlaintextId {
        self.program.plaintexts.push(spec);
        self.program.plaintexts.len() - 1
    }

    /// One linear instruction; `products[d]` are those of destination `d`.
    pub(crate) fn linear(
        &mut self,
        srcs: Vec<ValueId>,
        products: &[Vec<Product>],
        rescale: bool,
    ) -> Result<Vec<ValueId>> {
        let Some(&first) = srcs.first() else { return Ok(Vec::new()) };
        let mut info = self.info(first);
        // All products have one scale, whatever those of their factors.
        let product = products.iter().flatten().find_map(|p| Some((p.0, p.2?)));
        if let Some((src, plaintext)) = product {
            info.scale =
                self.info(srcs[src as usize]).scale * self.program.plaintexts[plaintext].scale;
        }
        if rescale {
            info = self.rescaled(info)?;
        }
        let mut terms = Vec::with_capacity(products.iter().map(Vec::len).sum());
        for (dst, list) in products.iter().enumerate() {
            for &(src, shift, plaintext) in list {
                terms.push(Term { dst: dst as u32, src, shift, plaintext });
            }
        }
        terms.sort_by_key(|t| (t.dst, t.src, t.shift));
        let dsts: Vec<_> = products.iter().map(|_| self.define(info)).collect();
        self.emit(Op::Linear { srcs, terms, rescale }, dsts.clone());
        Ok(dsts)
    }

    /// `dst_d = sum over shifts of Rot(src_d, shift)`, for several sources in one instruction.
    pub(crate) fn sum_rotations(
        &mut self,
        srcs: &[ValueId],
        shifts: &[usize],
        rescale: bool,
    ) -> Result<Vec<ValueId>> {
        let products: Vec<Vec<Product>> = (0..srcs.len())
            .map(|d| shifts.iter().map(|s| (d as u32, *s as u32, None)).collect())
            .collect();
        self.linear(srcs.to_vec(), &products, rescale)
    }

    pub(crate) fn rotate_hoisted(&mut self, src: ValueId, shifts: Vec<u32>) -> Vec<ValueId> {
        let info = self.info(src);
        let dsts: Vec<_> = shifts.iter().map(|_| self.define(info)).collect();
        self.emit(Op::RotateHoisted { src, shifts }, dsts.clone());
        dsts
    }

    pub(crate) fn sum_squares(&mut self, srcs: Vec<ValueId>, rescale: bool) -> Result<ValueId> {
        let info = self.info(srcs[0]);
        let squared = ValueInfo { level: info.level, scale: info.scale * info.scale };
        let info = if rescale { self.rescaled(squared)? } else { squared };
        let dst = self.define(info);
        self.emit(Op::SumSquares { srcs, rescale }, vec![dst]);
        Ok(dst)
    }

    pub(crate) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let info = self.info(a);
        let dst = self.define(info);
        self.emit(Op::Add { a, b }, vec![dst]);
        dst
    }

    pub(crate) fn add_plain(&mut self, src: ValueId, plaintext: PlaintextId) -> ValueId {
        let info = self.info(src);
        let dst = self.define(info);
        self.emit(Op::AddPlain { src, plaintext }, vec![dst]);
        dst
    }

    pub(crate) fn rescale(&mut self, src: ValueId) -> Result<ValueId> {
        let info = self.rescaled(self.info(src))?;
        let dst = self.define(info);
        self.emit(Op::Rescale { src }, vec![dst]);
        Ok(dst)
    }

    /// A value at a level: itself if that is its own.
    pub(crate) fn at_level(&mut self, src: ValueId, level: usize) -> ValueId {
        if self.info(src).level == level { src } else { self.drop_level(src, level) }
    }

    pub(crate) fn drop_level(&mut self, src: ValueId, level: usize) -> ValueId {
        let info = ValueInfo { level, ..self.info(src) };
        let dst = self.define(info);
        self.emit(Op::DropLevel { src, level }, vec![dst]);
        dst
    }
}
