//! The values of stored tensors, inside the model's file and beside it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use half::{bf16, f16};
use simulator::network::MOST_NUMBERS;

use super::error::{OnnxError, Result, tensor};
use super::messages::Tensor;
use super::tensor::{Constant, Data};
use super::wire::Reader;

/// Bytes read at a time.
const PART: usize = 1 << 16;

/// Kinds of numbers: what ONNX calls them, the bytes of one, and how one is read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    F32,
    F64,
    F16,
    Bf16,
    Signed(usize),
    Unsigned(usize),
}

impl Kind {
    fn of(tensor_of: &Tensor) -> Result<Self> {
        Ok(match tensor_of.kind {
            1 => Self::F32,
            2 => Self::Unsigned(1),
            3 => Self::Signed(1),
            4 => Self::Unsigned(2),
            5 => Self::Signed(2),
            6 => Self::Signed(4),
            7 => Self::Signed(8),
            9 => Self::Unsigned(1),
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::Unsigned(4),
            13 => Self::Unsigned(8),
            16 => Self::Bf16,
            other => {
                let expected = "float, double, float16, bfloat16 or whole numbers; export without quantisation";
                return Err(tensor(&tensor_of.name, "data type", other, expected));
            }
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Signed(bytes) | Self::Unsigned(bytes) => bytes,
        }
    }
}

/// Where the tensors of a model are.
pub(super) struct Store {
    file: Reader<File>,
    /// Folder of the model, from which nothing leads out.
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(file: Reader<File>, folder: PathBuf) -> Self {
        Self { file, folder }
    }

    /// Extents of a tensor.
    pub(super) fn shape(stored: &Tensor) -> Result<Vec<usize>> {
        let mut count = 1usize;
        let extent = |extent: &i64| {
            let extent = usize::try_from(*extent).ok()?;
            count = count.checked_mul(extent).filter(|n| *n <= MOST_NUMBERS)?;
            Some(extent)
        };
        stored.dims.iter().map(extent).collect::<Option<Vec<_>>>().ok_or_else(|| {
            let expected = format!("extents of at most {MOST_NUMBERS} numbers");
            tensor(&stored.name, "shape", format!("{:?}", stored.dims), expected)
        })
    }

    /// The constant that a tensor is.
    pub(super) fn load(&mut self, stored: &Tensor) -> Result<Constant> {
        let (shape, kind) = (Self::shape(stored)?, Kind::of(stored)?);
        let count: usize = shape.iter().product();
        let whole = matches!(kind, Kind::Signed(_) | Kind::Unsigned(_));
        let data = if stored.external {
            let (mut file, range) = self.beside(stored, count * kind.bytes())?;
            let at = file.0.seek(SeekFrom::Start(range.start)).map_err(|e| file.fault(e))?;
            let mut next = at;
            let mut fill = |bytes: &mut [u8]| {
                next += bytes.len() as u64;
                file.0.read_exact(bytes).map_err(|e| file.fault(e))
            };
            numbers(kind, count, &mut fill)?
        } else if let Some(range) = &stored.raw {
            let (found, wanted) = (range.end - range.start, (count * kind.bytes()) as u64);
            if found != wanted {
                let expected = format!("{wanted}, for shape {shape:?}");
                return Err(tensor(&stored.name, "number of bytes", found, expected));
            }
            let mut next = range.start;
            let mut fill = |bytes: &mut [u8]| {
                let at = next;
                next += bytes.len() as u64;
                self.file.read_at(at, bytes)
            };
            numbers(kind, count, &mut fill)?
        } else {
            listed(stored, kind, count)?
        };
        match (&data, whole) {
            (Data::Floats(list), _) if list.iter().any(|v| !v.is_finite()) => {
                Err(tensor(&stored.name, "a value", "not finite", "finite numbers"))
            }
            _ => Ok(Constant { shape, data }),
        }
    }

    /// The file beside the model that a tensor is in, and where in it.
    fn beside(&self, stored: &Tensor, bytes: usize) -> Result<(Beside, Range<u64>)> {
        let name = &stored.name;
        let told = |key: &str| stored.place.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let number = |key: &'static str| match told(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| tensor(name, key, format!("{text:?}"), "a number of bytes")),
        };
        let location = told("location").unwrap_or_default();
        let path = self.inside(name, location)?;
        let io = |source| OnnxError::Io { file: path.clone(), source };
        let file = File::open(&path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let start = number("offset")?.unwrap_or(0);
        let end = start.checked_add(bytes as u64).filter(|end| *end <= length);
        let wrong = number("length")?.filter(|said| *said != bytes as u64);
        match (end, wrong) {
            (Some(end), None) => Ok((Beside(file, path), start..end)),
            (_, Some(said)) => {
                Err(tensor(name, "external length", said, format!("{bytes}, as its shape says")))
            }
            (None, _) => {
                let found = format!("{bytes} bytes from {start}");
                let expected = format!("within the {length} bytes of {}", path.display());
                Err(tensor(name, "place", found, expected))
            }
        }
    }

    /// A path below the model's folder, by links neither.
    fn inside(&self, name: &str, location: &str) -> Result<PathBuf> {
        let refuse = || {
            let expected = "a file in the model's folder or below; move it there";
            tensor(name, "external location", format!("{location:?}"), expected)
        };
        let relative = Path::new(location);
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !relative.components().all(plain) {
            return Err(refuse());
        }
        let path = self.folder.join(relative);
        let io = |source| OnnxError::Io { file: path.clone(), source };
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let folder = folder.canonicalize().map_err(io)?;
        let real = path.canonicalize().map_err(io)?;
        if real.starts_with(folder) && real.is_file() { Ok(real) } else { Err(refuse()) }
    }
}

/// A file beside the model.
struct Beside(File, PathBuf);

impl Beside {
    fn fault(&self, source: std::io::Error) -> OnnxError {
        OnnxError::Io { file: self.1.clone(), source }
    }
}

/// So many numbers of bytes that are there, as has been checked.
fn numbers(
    kind: Kind,
    count: usize,
    fill: &mut dyn FnMut(&mut [u8]) -> Result<()>,
) -> Result<Data> {
    let (mut floats, mut integers) = (Vec::new(), Vec::new());
    match kind {
        Kind::Signed(_) | Kind::Unsigned(_) => integers.reserve_exact(count),
        _ => floats.reserve_exact(count),
    }
    let mut part = vec![0; PART.min(count * kind.bytes())];
    let mut left = count;
    while left > 0 {
        let now = left.min(PART / kind.bytes());
        let bytes = &mut part[..now * kind.bytes()];
        fill(bytes)?;
        decode(kind, bytes, &mut floats, &mut integers);
        left -= now;
    }
    Ok(match kind {
        Kind::Signed(_) | Kind::Unsigned(_) => Data::Integers(integers.into()),
        _ => Data::Floats(floats.into()),
    })
}

fn decode(kind: Kind, bytes: &[u8], floats: &mut Vec<f64>, integers: &mut Vec<i64>) {
    fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
        bytes.as_chunks::<N>().0.iter().copied()
    }
    match kind {
        Kind::F32 => floats.extend(words(bytes).map(|b| f64::from(f32::from_le_bytes(b)))),
        Kind::F64 => floats.extend(words(bytes).map(f64::from_le_bytes)),
        Kind::F16 => floats.extend(words(bytes).map(|b| f64::from(f16::from_le_bytes(b)))),
        Kind::Bf16 => floats.extend(words(bytes).map(|b| f64::from(bf16::from_le_bytes(b)))),
        Kind::Signed(size) | Kind::Unsigned(size) => {
            let signed = matches!(kind, Kind::Signed(_));
            integers.extend(bytes.chunks_exact(size).map(|word| {
                let negative = signed && word.last().is_some_and(|b| b & 0x80 != 0);
                let mut whole = if negative { [0xff; 8] } else { [0; 8] };
                whole[..size].copy_from_slice(word);
                i64::from_le_bytes(whole)
            }));
        }
    }
}

/// The values that a tensor lists.
fn listed(stored: &Tensor, kind: Kind, count: usize) -> Result<Data> {
    let data = match kind {
        Kind::F32 | Kind::F64 => Data::Floats(stored.floats.clone().into()),
        Kind::F16 | Kind::Bf16 => {
            let value = |bits: &i64| {
                let bits = *bits as u16;
                match kind {
                    Kind::F16 => f64::from(f16::from_bits(bits)),
                    _ => f64::from(bf16::from_bits(bits)),
                }
            };
            Data::Floats(stored.integers.iter().map(value).collect::<Vec<_>>().into())
        }
        Kind::Signed(_) | Kind::Unsigned(_) => Data::Integers(stored.integers.clone().into()),
    };
    let found = match &data {
        Data::Floats(list) => list.len(),
        Data::Integers(list) => list.len(),
        Data::Later => 0,
    };
    if found != count {
        let expected = format!("{count}, for shape {:?}", stored.dims);
        return Err(tensor(&stored.name, "number of values", found, expected));
    }
    Ok(data)
}
