//! Protocol buffers, by the schema of ONNX: messages are changed field by field, and their lengths follow.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::bytes::{change, edge, few};
use super::{Format, MOST_BYTES, Rng};

/// An ONNX model.
#[derive(Debug, Clone, Copy)]
pub struct Onnx;

/// Kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Extent,
    Entry,
}

impl Kind {
    /// The kind of message that a field holds.
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) => Self::Entry,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) => Self::Extent,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone)]
enum Content {
    Whole(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(Vec<u8>),
    Message(Message),
}

#[derive(Debug, Clone)]
struct Message {
    kind: Kind,
    fields: Vec<(u64, Content)>,
}

/// Operators that a node may be changed into.
const OPERATORS: [&str; 44] = [
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Equal",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "Identity",
    "Less",
    "MatMul",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceMean",
    "ReduceSum",
    "Reshape",
    "Shape",
    "Size",
    "Slice",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Transpose",
    "Unsqueeze",
];

/// Attributes that a node may be given.
const ATTRIBUTES: [&str; 24] = [
    "kernel_shape",
    "strides",
    "pads",
    "dilations",
    "group",
    "auto_pad",
    "axis",
    "axes",
    "perm",
    "alpha",
    "beta",
    "transA",
    "transB",
    "epsilon",
    "value",
    "value_ints",
    "keepdims",
    "to",
    "count_include_pad",
    "ceil_mode",
    "mode",
    "starts",
    "ends",
    "allowzero",
];

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for k in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * k);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Message {
    fn read(kind: Kind, mut rest: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            let content = match key & 7 {
                0 => Content::Whole(varint(&mut rest)?),
                1 => Content::Fixed64(*take(&mut rest)?),
                5 => Content::Fixed32(*take(&mut rest)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    let (bytes, after) = rest.split_at_checked(length)?;
                    rest = after;
                    let message = kind.child(key >> 3).and_then(|kind| Self::read(kind, bytes));
                    message.map_or_else(|| Content::Bytes(bytes.to_vec()), Content::Message)
                }
                _ => return None,
            };
            fields.push((key >> 3, content));
        }
        Some(Self { kind, fields })
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, content) in &self.fields {
            let mut key = |wire: u64| put(&mut out, number << 3 | wire);
            match content {
                Content::Whole(value) => {
                    key(0);
                    put(&mut out, *value);
                }
                Content::Fixed64(bytes) => {
                    key(1);
                    out.extend(bytes);
                }
                Content::Fixed32(bytes) => {
                    key(5);
                    out.extend(bytes);
                }
                Content::Bytes(_) | Content::Message(_) => {
                    key(2);
                    let inner = match content {
                        Content::Bytes(bytes) => bytes.clone(),
                        Content::Message(message) => message.write(),
                        _ => Vec::new(),
                    };
                    put(&mut out, inner.len() as u64);
                    out.extend(inner);
                }
            }
        }
        out
    }

    /// All messages, this one first.
    fn all(&self) -> Vec<&Self> {
        let inner = self.fields.iter().filter_map(|(_, content)| match content {
            Content::Message(message) => Some(message.all()),
            _ => None,
        });
        std::iter::once(self).chain(inner.flatten()).collect()
    }

    /// Message number `n` of [`Self::all`].
    fn number(&mut self, n: &mut usize) -> Option<&mut Self> {
        if *n == 0 {
            return Some(self);
        }
        *n -= 1;
        self.fields.iter_mut().find_map(|(_, content)| match content {
            Content::Message(message) => message.number(n),
            _ => None,
        })
    }

    /// Changes one field, or the list of fields; `donors` are fields of messages of this kind.
    fn change(&mut self, donors: &[(u64, Content)], texts: &[Vec<u8>], rng: &mut Rng) {
        let count = self.fields.len();
        let donor = donors.choose(rng).cloned();
        if count == 0 {
            return self.fields.extend(donor);
        }
        let at = rng.random_range(0..count);
        match rng.random_range(0..8) {
            0 => drop(self.fields.remove(at)),
            1 => self.fields.insert(at, self.fields[at].clone()),
            2 => {
                let to = rng.random_range(0..count);
                self.fields.swap(at, to);
            }
            3 => {
                if let Some(donor) = donor {
                    self.fields.insert(at, donor);
                }
            }
            _ => {
                let kind = self.kind;
                let (number, content) = &mut self.fields[at];
                match content {
                    Content::Whole(value) => {
                        *value = match rng.random_range(0..4) {
                            0 => edge(rng),
                            1 => rng.random_range(0..20),
                            _ => value.wrapping_add(rng.random_range(0..5)).wrapping_sub(2),
                        }
                    }
                    Content::Fixed64(bytes) => *bytes = edge(rng).to_le_bytes(),
                    Content::Fixed32(bytes) => *bytes = (edge(rng) as u32).to_le_bytes(),
                    Content::Message(_) => {
                        if let Some(donor) = donor {
                            self.fields[at] = donor;
                        }
                    }
                    Content::Bytes(bytes) => {
                        let word = match (kind, *number) {
                            (Kind::Node, 4) => OPERATORS.choose(rng).map(|w| w.as_bytes().to_vec()),
                            (Kind::Attribute, 1) => {
                                ATTRIBUTES.choose(rng).map(|w| w.as_bytes().to_vec())
                            }
                            // Names of what others give, so that another graph comes of it.
                            (Kind::Node, 1 | 2) | (Kind::Tensor, 8) | (Kind::Value, 1) => {
                                texts.choose(rng).cloned()
                            }
                            _ => None,
                        };
                        match word.filter(|_| rng.random_range(0..8) > 0) {
                            Some(word) => *bytes = word,
                            None => change(bytes, &[], rng),
                        }
                    }
                }
            }
        }
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(bytes)
}

impl Format for Onnx {
    fn change(&self, input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
        let model = Message::read(Kind::Model, input).filter(|_| rng.random_range(0..16) > 0);
        let Some(mut model) = model else {
            let mut bytes = input.to_vec();
            change(&mut bytes, other, rng);
            return bytes;
        };
        let other = Message::read(Kind::Model, other);
        for _ in 0..few(rng) {
            let all = model.all();
            let mut n = rng.random_range(0..all.len());
            let kind = all[n].kind;
            let others = other.iter().flat_map(Message::all);
            let alike = all.iter().copied().chain(others).filter(|m| m.kind == kind);
            let donors: Vec<(u64, Content)> =
                alike.flat_map(|m| m.fields.iter().cloned()).collect();
            let names = all.iter().filter(|m| m.kind == Kind::Node).flat_map(|m| &m.fields);
            let texts: Vec<Vec<u8>> = names
                .filter_map(|field| match field {
                    (1 | 2, Content::Bytes(name)) => Some(name.clone()),
                    _ => None,
                })
                .collect();
            if let Some(message) = model.number(&mut n) {
                message.change(&donors, &texts, rng);
            }
        }
        let mut bytes = model.write();
        bytes.truncate(MOST_BYTES);
        bytes
    }
}
