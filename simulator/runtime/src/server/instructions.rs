//! Instructions in a file.

use std::io::{Read, Write};

use engine::Result;
use engine::serial::{Sink, Source};
use simulator::program::{Instruction, Op, Term};

use crate::wire::{
    get, get_flag, get_level, get_numbers, get_records, put, put_level, put_numbers, put_records,
};

/// A term without a plaintext.
const NO_PLAINTEXT: u32 = u32::MAX;

/// Numbers of operations.
mod code {
    pub const ROTATE_HOISTED: u8 = 0;
    pub const LINEAR: u8 = 1;
    pub const SUM_SQUARES: u8 = 2;
    pub const MULTIPLY: u8 = 3;
    pub const ADD: u8 = 4;
    pub const SUB: u8 = 5;
    pub const ADD_PLAIN: u8 = 6;
    pub const RESCALE: u8 = 7;
    pub const DROP_LEVEL: u8 = 8;
    pub const CONJUGATE: u8 = 9;
}

/// Writes an instruction: its operation, its results, its layer.
pub(super) fn put_instruction(
    sink: &mut Sink<impl Write>,
    instruction: &Instruction,
) -> Result<()> {
    put_op(sink, &instruction.op)?;
    put_numbers(sink, "result", instruction.dsts.iter().copied())?;
    put(sink, "layer", instruction.layer)
}

/// Reads an instruction, which is not checked.
pub(super) fn get_instruction(source: &mut Source<impl Read>) -> Result<Instruction> {
    Ok(Instruction { op: get_op(source)?, dsts: get_numbers(source)?, layer: get(source)? })
}

fn put_op(sink: &mut Sink<impl Write>, op: &Op) -> Result<()> {
    let mut begin = |code: u8, operands: &[usize]| {
        sink.u8(code)?;
        operands.iter().try_for_each(|v| put(sink, "operand", *v))
    };
    match op {
        Op::RotateHoisted { src, shifts } => {
            begin(code::ROTATE_HOISTED, &[*src])?;
            put_numbers(sink, "rotation", shifts.iter().map(|s| *s as usize))
        }
        Op::Linear { srcs, terms, rescale } => {
            begin(code::LINEAR, &[])?;
            put_numbers(sink, "operand", srcs.iter().copied())?;
            sink.u8(u8::from(*rescale))?;
            put(sink, "terms", terms.len())?;
            put_terms(sink, terms)
        }
        Op::SumSquares { srcs, rescale } => {
            begin(code::SUM_SQUARES, &[])?;
            put_numbers(sink, "operand", srcs.iter().copied())?;
            sink.u8(u8::from(*rescale))
        }
        Op::Multiply { a, b, rescale } => {
            begin(code::MULTIPLY, &[*a, *b])?;
            sink.u8(u8::from(*rescale))
        }
        Op::Add { a, b } => begin(code::ADD, &[*a, *b]),
        Op::Sub { a, b } => begin(code::SUB, &[*a, *b]),
        Op::AddPlain { src, plaintext } => begin(code::ADD_PLAIN, &[*src, *plaintext]),
        Op::Rescale { src } => begin(code::RESCALE, &[*src]),
        Op::DropLevel { src, level } => {
            begin(code::DROP_LEVEL, &[*src])?;
            put_level(sink, *level)
        }
        Op::Conjugate { src } => begin(code::CONJUGATE, &[*src]),
    }
}

fn get_op<R: Read>(source: &mut Source<R>) -> Result<Op> {
    let rescale = |source: &mut Source<R>| get_flag(source, "whether to rescale");
    Ok(match source.u8()? {
        code::ROTATE_HOISTED => {
            let (src, count) = (get(source)?, get(source)?);
            Op::RotateHoisted {
                src,
                shifts: get_records(source, count, |bytes| u32::from_le_bytes(*bytes))?,
            }
        }
        code::LINEAR => {
            let srcs = get_numbers(source)?;
            let rescale = rescale(source)?;
            Op::Linear { srcs, rescale, terms: get_terms(source)? }
        }
        code::SUM_SQUARES => {
            Op::SumSquares { srcs: get_numbers(source)?, rescale: rescale(source)? }
        }
        code::MULTIPLY => {
            Op::Multiply { a: get(source)?, b: get(source)?, rescale: rescale(source)? }
        }
        code::ADD => Op::Add { a: get(source)?, b: get(source)? },
        code::SUB => Op::Sub { a: get(source)?, b: get(source)? },
        code::ADD_PLAIN => Op::AddPlain { src: get(source)?, plaintext: get(source)? },
        code::RESCALE => Op::Rescale { src: get(source)? },
        code::DROP_LEVEL => Op::DropLevel { src: get(source)?, level: get_level(source)? },
        code::CONJUGATE => Op::Conjugate { src: get(source)? },
        other => return Err(source.error(format!("operation {other} is not known"))),
    })
}

fn put_terms(sink: &mut Sink<impl Write>, terms: &[Term]) -> Result<()> {
    let most = terms.iter().filter_map(|t| t.plaintext).max().unwrap_or(0);
    if most >= NO_PLAINTEXT as usize {
        return Err(engine::Error::argument("plaintext", most, "below 2^32 - 1"));
    }
    put_records(sink, terms, |t| {
        let plaintext = t.plaintext.map_or(NO_PLAINTEXT, |p| p as u32);
        let mut bytes = [0; 16];
        let words = bytes.as_chunks_mut::<4>().0.iter_mut();
        words.zip([t.dst, t.src, t.shift, plaintext]).for_each(|(b, v)| *b = v.to_le_bytes());
        bytes
    })
}

fn get_terms(source: &mut Source<impl Read>) -> Result<Vec<Term>> {
    let count = get(source)?;
    get_records(source, count, |bytes: &[u8; 16]| {
        let word = |k: usize| u32::from_le_bytes(bytes.as_chunks::<4>().0[k]);
        let plaintext = Some(word(3)).filter(|p| *p != NO_PLAINTEXT).map(|p| p as usize);
        Term { dst: word(0), src: word(1), shift: word(2), plaintext }
    })
}
