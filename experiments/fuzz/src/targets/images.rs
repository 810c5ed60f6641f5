//! Images in every form.

use std::path::PathBuf;

use experiments::inputs::data::{Split, load};

use super::scratch::{Scratch, words};
use crate::format::{
    Bundle, Format, Gzip, Idx, Npy, Npz, Picture, Records, Tensors, Xz, archive, gzip, join, split,
    xz,
};
use crate::target::Target;

/// Channels, rows and columns.
type Shape = (usize, usize, usize);

/// Images of two channels, three rows and two columns.
const SMALL: Shape = (2, 3, 2);

struct Images {
    name: &'static str,
    /// Files of an input, and which of them, or the folder, is read.
    files: Vec<&'static str>,
    place: &'static str,
    shape: Shape,
    format: Box<dyn Format>,
    seeds: Vec<Vec<u8>>,
    folder: Scratch,
}

impl Target for Images {
    fn name(&self) -> &'static str {
        self.name
    }

    fn format(&self) -> &dyn Format {
        &*self.format
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn decode(&mut self, input: &[u8]) -> Result<(), String> {
        if let [file] = self.files[..] {
            self.folder.write(file, input)?;
        } else {
            let parts = split(input);
            for (k, file) in self.files.iter().enumerate() {
                self.folder.write(file, parts.get(k).copied().unwrap_or_default())?;
            }
        }
        let place: PathBuf = self.folder.folder().join(self.place);
        // A few of them, and all.
        let few = load(&place, self.shape, Split::Test, Some(1)).map(|set| set.image(0));
        let all = load(&place, self.shape, Split::Test, None).map(|set| {
            let last = set.len().saturating_sub(1);
            (set.image(last), set.label(last))
        });
        few.map_err(words)?;
        all.map(drop).map_err(words)
    }
}

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|v| (v as f32).to_le_bytes()).collect()
}

fn idx(kind: u8, extents: &[u32], data: &[u8]) -> Vec<u8> {
    let extents_bytes: Vec<u8> = extents.iter().flat_map(|e| e.to_be_bytes()).collect();
    [&[0, 0, kind, extents.len() as u8][..], &extents_bytes, data].concat()
}

fn picture(color: png::ColorType, depth: png::BitDepth, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, 2, 3);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![0, 10, 20, 30, 40, 50]);
        encoder.set_trns(vec![3, 4]);
    }
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(bytes));
    if written.is_err() { Vec::new() } else { out }
}

fn tensors() -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView};
    let (pixels, labels) = (floats(24), [1u8, 2]);
    let views = [
        ("images", TensorView::new(Dtype::F32, vec![2, 2, 3, 2], &pixels)),
        ("labels", TensorView::new(Dtype::U8, vec![2], &labels)),
    ];
    let views: Vec<_> =
        views.into_iter().filter_map(|(name, view)| Some((name, view.ok()?))).collect();
    safetensors::serialize(views, None).unwrap_or_default()
}

pub(super) fn all() -> Vec<Box<dyn Target>> {
    let target =
        |name, (files, place, shape): (&[&'static str], _, _), format, seeds| -> Box<dyn Target> {
            let (files, folder) = (files.to_vec(), Scratch::new());
            Box::new(Images { name, files, place, shape, format, seeds, folder })
        };
    let arrays = |pixels: Vec<u8>| {
        join(&[pixels, npy("<i8", false, "(2,)", &[7i64, 250].map(i64::to_le_bytes).concat())])
    };
    let entry = |name: &str, bytes| (name.to_owned(), bytes);
    let archives = [false, true].map(|deflated| {
        let files = [
            entry("x_test.npy", npy("<f4", false, "(2, 2, 3, 2)", &floats(24))),
            entry("y_test.npy", npy("|u1", false, "(2, 1)", &[3, 4])),
        ];
        archive(&files, deflated).unwrap_or_default()
    });
    let digits = [idx(8, &[2, 28, 28], &[9; 2 * 784]), idx(8, &[2], &[3, 4])];
    let clouds: Vec<u8> = (0..2 * 3073).map(|k| if k % 3073 == 0 { 4 } else { k as u8 }).collect();
    vec![
        target(
            "npy",
            (&["images.npy", "labels.npy"], "", SMALL),
            Box::new(Bundle(vec![Box::new(Npy), Box::new(Npy)])),
            vec![
                arrays(npy("<f4", false, "(2, 2, 3, 2)", &floats(24))),
                arrays(npy("|u1", false, "(2, 12)", &[5; 24])),
                arrays(npy("<f4", true, "(2, 2, 3, 2)", &floats(24))),
                arrays(npy("<f8", false, "(2, 3, 2, 2)", &[0; 192])),
                arrays(npy(">i2", false, "(2, 12)", &[0; 48])),
                arrays(npy("<f2", false, "(2, 12)", &[0; 48])),
            ],
        ),
        target("npz", (&["a.npz"], "a.npz", SMALL), Box::new(Npz), archives.to_vec()),
        target(
            "idx",
            (&["a-idx4"], "a-idx4", SMALL),
            Box::new(Idx),
            vec![
                idx(8, &[2, 2, 3, 2], &[1; 24]),
                idx(0x0d, &[2, 12], &[0; 96]),
                idx(0x0b, &[2, 3, 2, 2], &[0; 48]),
            ],
        ),
        target(
            "mnist",
            (&["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"], "", (1, 28, 28)),
            Box::new(Bundle(vec![Box::new(Idx), Box::new(Idx)])),
            vec![join(&digits)],
        ),
        target(
            "mnist-gzip",
            (&["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"], "", (1, 28, 28)),
            Box::new(Bundle(vec![Box::new(Gzip(Box::new(Idx))), Box::new(Gzip(Box::new(Idx)))])),
            vec![join(&digits.clone().map(|file| gzip(&file)))],
        ),
        target(
            "mnist-xz",
            (&["t10k-images-idx3-ubyte.xz", "t10k-labels-idx1-ubyte.xz"], "", (1, 28, 28)),
            Box::new(Bundle(vec![Box::new(Xz(Box::new(Idx))), Box::new(Xz(Box::new(Idx)))])),
            vec![join(&digits.map(|file| xz(&file)))],
        ),
        target(
            "cifar",
            (&["test_batch.bin"], "", (3, 32, 32)),
            Box::new(Records(3073)),
            vec![clouds],
        ),
        target(
            "image-tensors",
            (&["a.safetensors"], "a.safetensors", SMALL),
            Box::new(Tensors),
            vec![tensors()],
        ),
        target(
            "png",
            (&["a.png"], "", (3, 3, 2)),
            Box::new(Picture),
            vec![
                picture(png::ColorType::Rgb, png::BitDepth::Eight, &[7; 18]),
                picture(png::ColorType::Grayscale, png::BitDepth::Sixteen, &[7; 12]),
                picture(png::ColorType::Grayscale, png::BitDepth::One, &[64; 3]),
                picture(png::ColorType::Indexed, png::BitDepth::Two, &[16; 3]),
                picture(png::ColorType::Rgba, png::BitDepth::Eight, &[7; 24]),
            ],
        ),
    ]
}
