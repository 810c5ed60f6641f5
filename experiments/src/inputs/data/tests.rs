use std::fs;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::Path;

use lzma_rust2::{CheckType, XzOptions, XzWriter};

use super::{DataError, Images, Split, load};

const MNIST: (usize, usize, usize) = (1, 28, 28);
const CIFAR: (usize, usize, usize) = (3, 32, 32);

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
    out.extend(data);
    out
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz_with(data: &[u8], check: CheckType, block: u64) -> Vec<u8> {
    let mut options = XzOptions::with_preset(1);
    options.set_check_sum_type(check);
    options.set_block_size(NonZeroU64::new(block));
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap()
}

fn xz(data: &[u8]) -> Vec<u8> {
    xz_with(data, CheckType::Crc64, 1 << 20)
}

/// Three images whose pixels are 0, 1, 2, with labels 7, 8, 9.
fn images() -> Vec<u8> {
    idx(&[3, 28, 28], &(0..3u8).flat_map(|k| [k; 784]).collect::<Vec<_>>())
}

fn labels() -> Vec<u8> {
    idx(&[3], &[7, 8, 9])
}

fn mnist_folder(images: &[u8], labels: &[u8], ending: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(format!("t10k-images-idx3-ubyte{ending}")), images).unwrap();
    fs::write(folder.path().join(format!("t10k-labels-idx1-ubyte{ending}")), labels).unwrap();
    folder
}

fn error(folder: &Path, shape: (usize, usize, usize)) -> String {
    load(folder, shape, Split::Test, None).unwrap_err().to_string()
}

#[test]
fn mnist_plain_and_compressed() {
    let plain = mnist_folder(&images(), &labels(), "");
    let packed = mnist_folder(&gz(&images()), &gz(&labels()), ".gz");
    for folder in [&plain, &packed] {
        let set = load(folder.path(), MNIST, Split::Test, None).unwrap();
        assert_eq!((set.len(), set.label(2)), (3, Some(9)));
        assert_eq!(set.image(2).unwrap(), vec![2.0 / 255.0; 784]);
        assert!(set.image(3).is_none());
        let two = load(folder.path(), MNIST, Split::Test, Some(2)).unwrap();
        assert_eq!((two.len(), two.labels.unwrap()), (2, vec![7, 8]));
    }
}

#[test]
fn mnist_below_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mnist")).unwrap();
    fs::write(folder.path().join("mnist/train-images-idx3-ubyte"), images()).unwrap();
    fs::write(folder.path().join("mnist/train-labels-idx1-ubyte"), labels()).unwrap();
    assert_eq!(load(folder.path(), MNIST, Split::Train, None).unwrap().len(), 3);
    assert!(error(folder.path(), MNIST).contains("found none of t10k-images-idx3-ubyte"));
}

#[test]
fn damaged_mnist() {
    let cut = &images()[..100];
    assert!(
        error(mnist_folder(cut, &labels(), "").path(), MNIST)
            .contains("84 bytes, expected 2352 bytes")
    );
    let long = [&images()[..], &[0]].concat();
    assert!(error(mnist_folder(&long, &labels(), "").path(), MNIST).contains("over 2352 bytes"));
    assert!(
        error(mnist_folder(&[0, 0], &labels(), "").path(), MNIST).contains("a header of 16 bytes")
    );
    assert!(
        error(mnist_folder(&labels(), &labels(), "").path(), MNIST).contains("start of the file")
    );
    let two = idx(&[2], &[1, 2]);
    assert!(
        error(mnist_folder(&images(), &two, "").path(), MNIST)
            .contains("number of labels is 2, expected 3")
    );
    let bad = idx(&[3], &[1, 2, 10]);
    assert!(error(mnist_folder(&images(), &bad, "").path(), MNIST).contains("a label is 10"));
    let small = idx(&[3, 27, 28], &[0; 3 * 27 * 28]);
    assert!(
        error(mnist_folder(&small, &labels(), "").path(), MNIST)
            .contains("[27, 28], expected [28, 28]")
    );
}

#[test]
fn a_huge_claim_takes_no_memory() {
    let huge = idx(&[u32::MAX, 28, 28], &[0; 784]);
    assert!(
        error(mnist_folder(&huge, &labels(), "").path(), MNIST)
            .contains("number of records is 4294967295")
    );
    let large = idx(&[9_000_000, 28, 28], &[0; 784]);
    assert!(error(mnist_folder(&large, &labels(), "").path(), MNIST).contains("784 bytes"));
}

/// Loads CIFAR-10 records from a file of this ending.
fn cifar(ending: &str, bytes: &[u8], limit: Option<usize>) -> Result<Images, DataError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(format!("test_batch.bin{ending}")), bytes).unwrap();
    load(folder.path(), CIFAR, Split::Test, limit)
}

#[test]
fn every_valid_form_of_compression_is_read() {
    let records = cifar_records(4);
    let (head, tail) = records.split_at(5000);
    let forms: [(&str, Vec<u8>); 9] = [
        (".xz", xz_with(&records, CheckType::Sha256, 1 << 20)),
        (".xz", xz_with(&records, CheckType::Crc32, 1 << 20)),
        (".xz", xz_with(&records, CheckType::None, 1 << 20)),
        (".xz", xz_with(&records, CheckType::Crc64, 4096)),
        // Several streams, with padding between them and behind.
        (
            ".xz",
            [&xz(head)[..], &[0; 8], &xz_with(tail, CheckType::Sha256, 4096), &[0; 4]].concat(),
        ),
        (".gz", [&gz(head)[..], &gz(tail)].concat()),
        (".gz", [&gz(&records)[..], &[0; 512]].concat()),
        (".gz", [&gz(head)[..], &gz(&[]), &gz(tail), &[0; 20_000]].concat()),
        ("", records.clone()),
    ];
    for (k, (ending, bytes)) in forms.iter().enumerate() {
        for limit in [None, Some(2)] {
            let set = cifar(ending, bytes, limit).unwrap();
            assert_eq!(set.len(), limit.unwrap_or(4), "form {k}");
            assert_eq!(set.image(1).unwrap(), vec![1.0 / 255.0; 3072], "form {k}");
        }
    }
    // What is behind the data must be padding, and checks must agree.
    for (ending, bytes) in [
        (".xz", [&xz(&records)[..], &[0; 3]].concat()),
        (".xz", [&xz(&records)[..], b"more"].concat()),
        (".gz", [&gz(&records)[..], b"more"].concat()),
    ] {
        assert!(matches!(cifar(ending, &bytes, None), Err(DataError::Read { .. })), "{ending}");
    }
}

#[test]
fn what_expands_beyond_a_data_set_is_not_expanded() {
    // A thousand times as long as a file may be when decompressed, and refused for its first byte too many.
    let mut huge = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    huge.write_all(&idx(&[3, 28, 28], &[])).unwrap();
    (0..64).for_each(|_| huge.write_all(&[0; 1 << 20]).unwrap());
    let folder = mnist_folder(&huge.finish().unwrap(), &gz(&labels()), ".gz");
    assert!(error(folder.path(), MNIST).contains("over 2352 bytes"));
    let records = vec![0; 10_001 * 3073];
    let error = cifar(".xz", &xz(&records), None).unwrap_err().to_string();
    assert!(error.contains("length is 30730001 bytes"), "{error}");
}

#[test]
fn damaged_compression() {
    let mut packed = gz(&images());
    packed.truncate(packed.len() / 2);
    let folder = mnist_folder(&packed, &gz(&labels()), ".gz");
    assert!(matches!(load(folder.path(), MNIST, Split::Test, None), Err(DataError::Read { .. })));
    let folder = mnist_folder(b"no gzip at all, just text", &gz(&labels()), ".gz");
    assert!(error(folder.path(), MNIST).contains("is the file complete?"));
}

fn cifar_records(count: u8) -> Vec<u8> {
    (0..count).flat_map(|k| std::iter::once(k).chain([k; 3072])).collect()
}

#[test]
fn cifar_plain_and_compressed() {
    for (ending, bytes) in
        [("", cifar_records(4)), (".xz", xz(&cifar_records(4))), (".gz", gz(&cifar_records(4)))]
    {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cifar10")).unwrap();
        fs::write(folder.path().join(format!("cifar10/test_batch.bin{ending}")), bytes).unwrap();
        let set = load(folder.path(), CIFAR, Split::Test, None).unwrap();
        assert_eq!((set.len(), set.label(3)), (4, Some(3)), "{ending}");
        let two = load(folder.path(), CIFAR, Split::Test, Some(2)).unwrap();
        assert_eq!((two.len(), two.image(1).unwrap()), (2, vec![1.0 / 255.0; 3072]), "{ending}");
    }
}

#[test]
fn damaged_cifar() {
    let try_bytes = |name: &str, bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        error(folder.path(), CIFAR)
    };
    assert!(
        try_bytes("test_batch.bin", &cifar_records(2)[..5000]).contains("length is 5000 bytes")
    );
    assert!(try_bytes("test_batch.bin", &[]).contains("length is 0 bytes"));
    assert!(try_bytes("test_batch.bin", &cifar_records(11)).contains("a label is 10"));
    let mut packed = xz(&cifar_records(2));
    packed.truncate(packed.len() / 2);
    assert!(try_bytes("test_batch.bin.xz", &packed).contains("is the file complete?"));
}

#[test]
fn wrong_folder_or_shape() {
    let folder = tempfile::tempdir().unwrap();
    assert!(error(&folder.path().join("nowhere"), MNIST).contains("is not a folder, nor a file"));
    assert!(error(folder.path(), (2, 8, 8)).contains("no data set has images of 2 x 8 x 8"));
}
