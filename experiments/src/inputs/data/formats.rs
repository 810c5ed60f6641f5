use std::fs;
use std::io::Write as _;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use zip::write::SimpleFileOptions;

use super::{Images, Split, load};

/// Two images of two channels, three rows and two columns: value `k` is `k`.
const SHAPE: (usize, usize, usize) = (2, 3, 2);

fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    out.extend(data);
    out
}

fn floats(values: impl Iterator<Item = usize>) -> Vec<u8> {
    values.flat_map(|v| (v as f32).to_le_bytes()).collect()
}

fn open(folder: &Path) -> Images {
    load(folder, SHAPE, Split::Test, None).unwrap()
}

fn error(place: &Path) -> String {
    load(place, SHAPE, Split::Test, None).unwrap_err().to_string()
}

#[track_caller]
fn check(images: &Images, scale: f64) {
    assert_eq!(images.len(), 2);
    for image in 0..2 {
        let wanted: Vec<f64> = (0..12).map(|k| (12 * image + k) as f64 / scale).collect();
        assert_eq!(images.image(image).unwrap(), wanted);
    }
}

#[test]
fn arrays_of_every_order_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npy");
    let write = |bytes: Vec<u8>| fs::write(&path, bytes).unwrap();
    write(npy("<f4", false, "(2, 2, 3, 2)", &floats(0..24)));
    check(&open(folder.path()), 1.0);
    write(npy("|u1", false, "(2, 12)", &(0..24).collect::<Vec<u8>>()));
    check(&open(folder.path()), 255.0);
    write(npy(">i2", false, "(2, 12)", &(0..24u16).flat_map(u16::to_be_bytes).collect::<Vec<_>>()));
    check(&open(folder.path()), 255.0);
    // The first index fastest: image, channel, row, column.
    let fortran = (0..24).map(|k| (k % 2) * 12 + (k / 2 % 2) * 6 + (k / 4 % 3) * 2 + k / 12);
    write(npy("<f4", true, "(2, 2, 3, 2)", &floats(fortran)));
    check(&open(folder.path()), 1.0);
    // Channels last.
    let last = (0..24).map(|k| k / 12 * 12 + (k % 2) * 6 + k % 12 / 2);
    write(npy(
        "<f8",
        false,
        "(2, 3, 2, 2)",
        &last.flat_map(|v| f64::from(v).to_le_bytes()).collect::<Vec<_>>(),
    ));
    check(&open(folder.path()), 1.0);
    let few = load(folder.path(), SHAPE, Split::Test, Some(1)).unwrap();
    assert_eq!((few.len(), few.labels), (1, None));
    // Where one extent is zero there is nothing to be put in order, however large the others are.
    let none = folder.path().join("none.npy");
    fs::write(&none, npy("<f4", true, "(10000000, 3, 0)", &[])).unwrap();
    assert!(error(&none).contains("[10000000, 3, 0], expected [n, 2, 3, 2]"), "{}", error(&none));
    fs::write(
        folder.path().join("labels.npy"),
        npy("<i8", false, "(2,)", &[7i64, 250].map(i64::to_le_bytes).concat()),
    )
    .unwrap();
    assert_eq!(open(folder.path()).labels.unwrap(), [7, 250]);
    assert_eq!(load(&path, SHAPE, Split::Test, None).unwrap().labels, None);
}

#[test]
fn archives_and_tensors_name_images_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let path = folder.path().join("set.npz");
        let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in [
            ("x_train.npy", npy("<f4", false, "(1,)", &floats(0..1))),
            ("x_test.npy", npy("<f4", false, "(2, 2, 3, 2)", &floats(0..24))),
            ("y_test.npy", npy("|u1", false, "(2, 1)", &[3, 4])),
        ] {
            archive.start_file(name, options).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        archive.finish().unwrap();
        let images = load(&path, SHAPE, Split::Test, None).unwrap();
        check(&images, 1.0);
        assert_eq!(images.label(1), Some(4));
    }
    let (pixels, labels) = (floats(0..24), [1u8, 2]);
    let views = [
        ("images", TensorView::new(Dtype::F32, vec![2, 2, 3, 2], &pixels).unwrap()),
        ("labels", TensorView::new(Dtype::U8, vec![2], &labels).unwrap()),
    ];
    let path = folder.path().join("set.safetensors");
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let images = load(&path, SHAPE, Split::Test, None).unwrap();
    check(&images, 1.0);
    assert_eq!(images.labels.unwrap(), [1, 2]);
}

#[test]
fn idx_of_other_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my-idx4-float");
    let header = |kind: u8| {
        let mut out = vec![0, 0, kind, 4];
        [2u32, 2, 3, 2].iter().for_each(|e| out.extend(e.to_be_bytes()));
        out
    };
    let mut bytes = header(0x0d);
    bytes.extend((0..24).flat_map(|v| (v as f32).to_be_bytes()));
    fs::write(&path, bytes).unwrap();
    check(&load(&path, SHAPE, Split::Test, None).unwrap(), 1.0);
    let mut bytes = header(0x0c);
    bytes.extend((0..24i32).flat_map(i32::to_be_bytes));
    fs::write(&path, bytes).unwrap();
    check(&load(&path, SHAPE, Split::Test, None).unwrap(), 255.0);
}

fn picture(path: &Path, color: png::ColorType, width: u32, bytes: &[u8]) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, 3);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(bytes).unwrap();
}

#[test]
fn pictures_in_folders_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    for (class, name, first) in [("cat", "1.png", 0u8), ("dog", "1.png", 50), ("cat", "2.png", 100)]
    {
        fs::create_dir_all(folder.path().join(class)).unwrap();
        let bytes: Vec<u8> = (first..first + 18).collect();
        picture(&folder.path().join(class).join(name), png::ColorType::Rgb, 2, &bytes);
    }
    let set = load(folder.path(), (3, 3, 2), Split::Test, None).unwrap();
    // One of each class in turn; red, green and blue lie apart.
    assert_eq!(set.labels.clone().unwrap(), [0, 1, 0]);
    let values: Vec<f64> = set.image(1).unwrap().iter().map(|v| v * 255.0).collect();
    assert_eq!((values[1].round(), values[6].round()), (53.0, 51.0));
    let first = load(folder.path(), (3, 3, 2), Split::Test, Some(2)).unwrap();
    assert_eq!(first.len(), 2);
    assert!(error(folder.path()).contains("number of colours is 3 colours, expected 2"));
    let wide = load(folder.path(), (3, 3, 4), Split::Test, None).unwrap_err().to_string();
    assert!(wide.contains("rows and columns is 3x2, expected 3x4"), "{wide}");
    // Grey ones serve any number of channels.
    let grey = tempfile::tempdir().unwrap();
    picture(&grey.path().join("a.png"), png::ColorType::Grayscale, 2, &[0, 1, 2, 3, 4, 255]);
    let image = open(grey.path()).image(0).unwrap();
    assert_eq!((image[5], image[11], image.len()), (1.0, 1.0, 12));
}

#[test]
fn damaged_arrays_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npy");
    let cases: [(Vec<u8>, &str); 7] = [
        (npy("<f4", false, "(2, 2, 3, 2)", &[0; 4]), "4 bytes, expected 96 bytes"),
        (
            npy("<f4", false, "(9000000, 1000000000, 1000000000)", &[]),
            "expected an array that can be counted",
        ),
        (
            npy("<f4", false, "(9000000, 1000000)", &[0; 40]),
            "40 bytes, expected 36000000000000 bytes",
        ),
        (npy("<c8", false, "(2, 12)", &[0; 192]), "type of an array is \"<c8\""),
        (npy("<f4", false, "(2, 3, 3, 2)", &[0; 144]), "[2, 3, 3, 2], expected [n, 2, 3, 2]"),
        (
            npy("<i4", false, "(1, 12)", &(-1i32).to_le_bytes().repeat(12)),
            "a pixel is -1, expected 0 to 255",
        ),
        (npy("<f4", false, "(1, 12)", &f32::NAN.to_le_bytes().repeat(12)), "a pixel is NaN"),
    ];
    for (bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        let error = error(folder.path());
        assert!(error.contains(expected), "{error}");
    }
    fs::write(&path, npy("<f4", false, "(2, 12)", &floats(0..24))).unwrap();
    for (labels, expected) in [
        (npy("<i8", false, "(3,)", &[0; 24]), "[3], expected [2], one per image"),
        (
            npy("<i2", false, "(2,)", &[0, 1, 0, 0]),
            "a label is 256, expected a class from 0 to 255",
        ),
        (npy("<f4", false, "(2,)", &0.5f32.to_le_bytes().repeat(2)), "a label is 0.5"),
    ] {
        fs::write(folder.path().join("labels.npy"), labels).unwrap();
        assert!(error(folder.path()).contains(expected), "{}", error(folder.path()));
    }
    let other = tempfile::tempdir().unwrap();
    let path = other.path().join("a.safetensors");
    let data = [0u8; 4];
    let view = TensorView::new(Dtype::F32, vec![1], &data).unwrap();
    fs::write(&path, safetensors::serialize([("pictures", view)], None).unwrap()).unwrap();
    assert!(error(&path).contains("[\"pictures\"], expected images in one of"), "{}", error(&path));
}
