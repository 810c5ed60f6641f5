//! The wire format of protocol buffers: fields of messages, read from a file as they are asked for.
//!
//! A length is checked against the message that it is in before anything is done with it, and what a file holds is not
//! read until it is wanted: of a weight, only its place is noted. The number of messages and texts is limited, as each takes more
//! memory than the two bytes that it may have in the file.

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

use super::error::{OnnxError, Result};

/// Most messages and texts of a model: nodes, attributes, tensors, shapes, their dimensions, and all names.
const MOST_PARTS: usize = 1 << 20;
/// Longest name or text, in bytes.
const MOST_TEXT: u64 = 1 << 16;

/// Value of a field.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A whole number of any kind.
    Varint(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Eight bytes.
    Fixed64(u64),
    /// Where a message, a text, bytes or a packed list are in the file.
    Bytes(Range<u64>),
}

/// A file of messages.
pub(super) struct Reader<R> {
    file: BufReader<R>,
    at: u64,
    length: u64,
    parts: usize,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn new(file: R, length: u64) -> Self {
        Self { file: BufReader::new(file), at: 0, length, parts: 0 }
    }

    /// The whole file, as a message.
    pub(super) fn whole(&self) -> Range<u64> {
        0..self.length
    }

    /// An error at where the reader is.
    pub(super) fn fault(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Format { at: self.at, reason: reason.into() }
    }

    /// Calls `each` with number and value of every field of a message, in order.
    pub(super) fn fields(
        &mut self,
        message: Range<u64>,
        mut each: impl FnMut(&mut Self, u64, Value) -> Result<()>,
    ) -> Result<()> {
        self.count()?;
        self.seek(message.start)?;
        while self.at < message.end {
            let key = self.varint(message.end)?;
            let value = match key & 7 {
                0 => Value::Varint(self.varint(message.end)?),
                1 => Value::Fixed64(u64::from_le_bytes(self.bytes(message.end)?)),
                2 => Value::Bytes(self.range(message.end)?),
                5 => Value::Fixed32(u32::from_le_bytes(self.bytes(message.end)?)),
                other => return Err(self.fault(format!("a field of wire type {other}"))),
            };
            let next = if let Value::Bytes(range) = &value { range.end } else { self.at };
            each(self, key >> 3, value)?;
            self.seek(next)?;
        }
        Ok(())
    }

    /// The message that a field holds.
    pub(super) fn message(&self, value: Value) -> Result<Range<u64>> {
        match value {
            Value::Bytes(range) => Ok(range),
            other => Err(self.fault(format!("{other:?}, expected a message"))),
        }
    }

    /// The text that a field holds.
    pub(super) fn text(&mut self, value: Value) -> Result<String> {
        self.count()?;
        let range = self.message(value)?;
        let length = range.end - range.start;
        if length > MOST_TEXT {
            return Err(self.fault(format!("a text of {length} bytes, over {MOST_TEXT}")));
        }
        let mut bytes = vec![0; length as usize];
        self.read_at(range.start, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.fault("a text that is not UTF-8"))
    }

    /// The whole number that a field holds.
    pub(super) fn integer(&self, value: Value) -> Result<i64> {
        match value {
            Value::Varint(n) => Ok(n.cast_signed()),
            other => Err(self.fault(format!("{other:?}, expected a whole number"))),
        }
    }

    /// The number of single precision that a field holds.
    pub(super) fn float(&self, value: Value) -> Result<f64> {
        match value {
            Value::Fixed32(bits) => Ok(f64::from(f32::from_bits(bits))),
            other => Err(self.fault(format!("{other:?}, expected a number"))),
        }
    }

    /// Adds the whole numbers that a field of a list holds, packed or one.
    pub(super) fn integers(&mut self, value: Value, list: &mut Vec<i64>) -> Result<()> {
        let Value::Bytes(range) = value else {
            list.push(self.integer(value)?);
            return Ok(());
        };
        self.seek(range.start)?;
        while self.at < range.end {
            list.push(self.varint(range.end)?.cast_signed());
        }
        Ok(())
    }

    /// Adds the numbers of single precision that a field of a list holds, packed or one.
    pub(super) fn floats(&mut self, value: Value, list: &mut Vec<f64>) -> Result<()> {
        let Value::Bytes(range) = value else {
            list.push(self.float(value)?);
            return Ok(());
        };
        self.seek(range.start)?;
        while self.at < range.end {
            list.push(f64::from(f32::from_le_bytes(self.bytes(range.end)?)));
        }
        Ok(())
    }

    /// Adds the numbers of double precision that a field of a list holds, packed or one.
    pub(super) fn doubles(&mut self, value: Value, list: &mut Vec<f64>) -> Result<()> {
        match value {
            Value::Fixed64(bits) => list.push(f64::from_bits(bits)),
            Value::Bytes(range) => {
                self.seek(range.start)?;
                while self.at < range.end {
                    list.push(f64::from_le_bytes(self.bytes(range.end)?));
                }
            }
            other => return Err(self.fault(format!("{other:?}, expected a number"))),
        }
        Ok(())
    }

    /// Fills `bytes` from a place of the file.
    pub(super) fn read_at(&mut self, from: u64, bytes: &mut [u8]) -> Result<()> {
        self.seek(from)?;
        self.fill(bytes)
    }

    fn count(&mut self) -> Result<()> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(self.fault(format!("more than {MOST_PARTS} messages and names")));
        }
        Ok(())
    }

    fn range(&mut self, end: u64) -> Result<Range<u64>> {
        let length = self.varint(end)?;
        match self.at.checked_add(length).filter(|last| *last <= end) {
            Some(last) => Ok(self.at..last),
            None => {
                let left = end.saturating_sub(self.at);
                Err(self.fault(format!("a length of {length} where {left} bytes are left")))
            }
        }
    }

    fn varint(&mut self, end: u64) -> Result<u64> {
        let mut value = 0u64;
        for k in 0..10 {
            let [byte] = self.bytes(end)?;
            value |= u64::from(byte & 0x7f) << (7 * k);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.fault("a whole number of more than ten bytes"))
    }

    fn bytes<const N: usize>(&mut self, end: u64) -> Result<[u8; N]> {
        if end.saturating_sub(self.at) < N as u64 {
            return Err(self.fault("a message ends within a field"));
        }
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        if let Err(error) = self.file.read_exact(bytes) {
            return Err(match error.kind() {
                ErrorKind::UnexpectedEof => self.fault("the file ends"),
                _ => self.fault(error.to_string()),
            });
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn seek(&mut self, to: u64) -> Result<()> {
        if to == self.at {
            return Ok(());
        }
        let ahead = to.checked_sub(self.at).and_then(|n| usize::try_from(n).ok());
        match ahead.filter(|n| *n <= self.file.buffer().len()) {
            Some(ahead) => self.file.consume(ahead),
            None => {
                self.file.seek(SeekFrom::Start(to)).map_err(|e| self.fault(e.to_string()))?;
            }
        }
        self.at = to;
        Ok(())
    }
}
