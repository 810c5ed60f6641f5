//! Arrays of numbers as data files hold them, and the images and labels that they are.

use std::path::Path;

use super::{DataError, Images, Pixels};

/// Most images of one file; a header that claims more is wrong.
pub(super) const MOST_IMAGES: usize = 10_000_000;
/// Most classes that labels tell apart.
const MOST_CLASSES: i64 = 256;

/// Kinds of numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned(usize),
    Signed(usize),
    F16,
    F32,
    F64,
}

impl Kind {
    /// Bytes of one.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Unsigned(bytes) | Self::Signed(bytes) => bytes,
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Numbers of their bytes, the most significant first if `big`.
    pub(super) fn numbers(self, mut bytes: Vec<u8>, big: bool) -> Numbers {
        if self == Self::Unsigned(1) {
            return Numbers::Bytes(bytes);
        }
        if big {
            bytes.chunks_exact_mut(self.bytes()).for_each(<[u8]>::reverse);
        }
        let words = bytes.chunks_exact(self.bytes());
        let low = |word: &[u8], fill: u8| {
            let mut all = [fill; 8];
            all[..word.len()].copy_from_slice(word);
            all
        };
        match self {
            Self::Unsigned(_) | Self::Signed(_) => Numbers::Integers(
                words
                    .map(|word| {
                        let negative = word.last().is_some_and(|b| b & 0x80 != 0);
                        let fill = matches!(self, Self::Signed(_)) && negative;
                        i64::from_le_bytes(low(word, if fill { 0xff } else { 0 }))
                    })
                    .collect(),
            ),
            Self::F64 => {
                Numbers::Floats(words.map(|w| f64::from_le_bytes(low(w, 0)) as f32).collect())
            }
            Self::F32 => Numbers::Floats(
                bytes.as_chunks::<4>().0.iter().map(|w| f32::from_le_bytes(*w)).collect(),
            ),
            Self::F16 => Numbers::Floats(
                bytes
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|w| half::f16::from_le_bytes(*w).to_f32())
                    .collect(),
            ),
        }
    }
}

/// Numbers of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    Bytes(Vec<u8>),
    Integers(Vec<i64>),
    Floats(Vec<f32>),
}

/// An array, last index fastest: perhaps only the first of its records.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// What messages call it within its file; empty if the file has no other.
    pub(super) name: String,
    /// Extents as the file has them, the number of records first.
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
}

impl Array {
    fn fault(&self, path: &Path, what: &'static str, expected: impl ToString) -> DataError {
        let name = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
        DataError::format(path, what, format!("{name}{:?}", self.shape), expected)
    }

    /// The labels that it is, one for each record.
    fn labels(self, path: &Path, images: usize) -> Result<Vec<u8>, DataError> {
        if self.shape.first() != Some(&images) || self.shape[1..].iter().any(|e| *e != 1) {
            let expected = format!("[{images}], one per image");
            return Err(self.fault(path, "shape of the labels", expected));
        }
        let label = |v: i64| {
            u8::try_from(v).map_err(|_| {
                let expected = format!("a class from 0 to {}", MOST_CLASSES - 1);
                DataError::format(path, "a label", v, expected)
            })
        };
        match self.numbers {
            Numbers::Bytes(list) => Ok(list),
            Numbers::Integers(list) => list.into_iter().map(label).collect(),
            Numbers::Floats(list) => list
                .into_iter()
                .map(|v| match v.fract() == 0.0 {
                    true => label(v as i64),
                    false => Err(DataError::format(path, "a label", v, "a whole number")),
                })
                .collect(),
        }
    }
}

/// Images of `shape` (channels, rows, columns) and their labels. Records may have their channels last, or be flat.
pub(super) fn images(
    path: &Path,
    images: Array,
    labels: Option<Array>,
    shape: (usize, usize, usize),
    limit: Option<usize>,
) -> Result<Images, DataError> {
    let (c, h, w) = shape;
    let count = images.shape.first().copied().unwrap_or(0);
    let record = images.shape.get(1..).unwrap_or_default().to_vec();
    let first = [vec![c, h, w], vec![c * h * w]];
    let single = [vec![h, w], vec![h, w, 1]];
    let straight = first.contains(&record) || (c == 1 && single.contains(&record));
    let last = !straight && record == [h, w, c];
    if !(straight || last) || !(1..=MOST_IMAGES).contains(&count) {
        let expected = format!(
            "[n, {c}, {h}, {w}], [n, {h}, {w}, {c}] or [n, {}]: n images as the network reads them",
            c * h * w
        );
        return Err(images.fault(path, "shape of the images", expected));
    }
    let labels = labels.map(|labels| labels.labels(path, count)).transpose()?;
    let kept = limit.unwrap_or(count).min(count);
    let length = c * h * w;
    let pixels = match images.numbers {
        Numbers::Bytes(list) => Pixels::Bytes(arranged(list, kept, shape, last)),
        Numbers::Integers(list) => {
            let byte = |v: i64| {
                u8::try_from(v).map_err(|_| {
                    DataError::format(
                        path,
                        "a pixel",
                        v,
                        "0 to 255, where pixels are whole numbers",
                    )
                })
            };
            let kept_part = list.into_iter().take(kept * length);
            let bytes: Vec<u8> = kept_part.map(byte).collect::<Result<_, _>>()?;
            Pixels::Bytes(arranged(bytes, kept, shape, last))
        }
        Numbers::Floats(list) => {
            if let Some(bad) = list.iter().take(kept * length).find(|v| !v.is_finite()) {
                return Err(DataError::format(path, "a pixel", bad, "a finite number"));
            }
            Pixels::Floats(arranged(list, kept, shape, last))
        }
    };
    let labels = labels.map(|mut list| {
        list.truncate(kept);
        list
    });
    Ok(Images { source: path.display().to_string(), shape, pixels, labels })
}

/// The first records, with their channels first.
fn arranged<T: Copy>(
    mut list: Vec<T>,
    kept: usize,
    (c, h, w): (usize, usize, usize),
    last: bool,
) -> Vec<T> {
    list.truncate(kept * c * h * w);
    if !last {
        return list;
    }
    let area = h * w;
    let record = |image: &[T]| -> Vec<T> {
        (0..c).flat_map(|k| (0..area).map(move |at| image[at * c + k])).collect()
    };
    list.chunks_exact(c * area).flat_map(record).collect()
}

/// Names of arrays of images, and of labels, in files of several.
const IMAGES: [&str; 8] = ["images", "x_test", "test_images", "x", "X", "X_test", "image", "data"];
const LABELS: [&str; 8] =
    ["labels", "y_test", "test_labels", "y", "Y", "Y_test", "label", "targets"];

/// The names of the images and the labels among those of a file.
pub(super) fn pick(path: &Path, names: &[String]) -> Result<(String, Option<String>), DataError> {
    let of = |wanted: &[&str]| {
        let found = wanted.iter().find(|name| names.iter().any(|n| n == *name));
        found.map(|name| (*name).to_owned())
    };
    match of(&IMAGES) {
        Some(images) => Ok((images, of(&LABELS))),
        None => Err(DataError::format(
            path,
            "its list of arrays",
            format!("{names:?}"),
            format!("images in one of {IMAGES:?}, labels in one of {LABELS:?}"),
        )),
    }
}
