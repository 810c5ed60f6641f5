//! Folders of PNG files: the images themselves, or a folder for each class, numbered in the order of their names.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use png::{ColorType, Decoder, Limits, Transformations};

use super::array::MOST_IMAGES;
use super::{DataError, Images, Pixels};

/// Memory that decoding may take beyond a few times that of an image of the right size.
const ROOM: usize = 1 << 20;

/// Whether a folder has PNG files, in it or in folders of classes.
pub(super) fn are_in(folder: &Path) -> Result<bool, DataError> {
    let (files, classes) = listed(folder)?;
    if !files.is_empty() {
        return Ok(true);
    }
    for class in classes {
        if !listed(&class)?.0.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The images of a folder, file by file in the order of names; those of classes in turn, so that the first few are of all.
pub(super) fn load(
    folder: &Path,
    shape: (usize, usize, usize),
    limit: Option<usize>,
) -> Result<Images, DataError> {
    let (files, folders) = listed(folder)?;
    let mut classes = Vec::new();
    if files.is_empty() {
        for class in folders {
            let files = listed(&class)?.0;
            if !files.is_empty() {
                classes.push(files);
            }
        }
        if classes.len() > 256 {
            let expected = "at most 256 folders of classes";
            return Err(DataError::format(folder, "number of classes", classes.len(), expected));
        }
    }
    let labelled = !classes.is_empty();
    let most = classes.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..most).flat_map(|k| {
        let with = |(c, files): (usize, &Vec<PathBuf>)| files.get(k).map(|f| (c, f.clone()));
        classes.iter().enumerate().filter_map(with).collect::<Vec<_>>()
    });
    let all: Vec<(usize, PathBuf)> = match labelled {
        true => in_turn.collect(),
        false => files.into_iter().map(|file| (0, file)).collect(),
    };
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (class, file) in all.iter().take(limit.unwrap_or(usize::MAX)) {
        pixels.extend(decoded(file, shape)?);
        labels.push(*class as u8);
    }
    let source = folder.display().to_string();
    let labels = labelled.then_some(labels);
    Ok(Images { source, shape, pixels: Pixels::Bytes(pixels), labels })
}

/// PNG files and folders in a folder, by name.
fn listed(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataError> {
    let fault = |e: std::io::Error| DataError::read(folder, &e);
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
            files.push(path);
        }
        if files.len() > MOST_IMAGES || folders.len() > MOST_IMAGES {
            let expected = format!("at most {MOST_IMAGES}");
            return Err(DataError::format(folder, "number of files", files.len(), expected));
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}

/// The pixels of an image, `[channel][row][column]`.
fn decoded(path: &Path, (c, h, w): (usize, usize, usize)) -> Result<Vec<u8>, DataError> {
    let fault = |e: png::DecodingError| DataError::read(path, &std::io::Error::other(e));
    let file = File::open(path).map_err(|e| DataError::read(path, &e))?;
    let limits = Limits { bytes: (8 * h * w).saturating_mul(4).saturating_add(ROOM) };
    let mut decoder = Decoder::new_with_limits(BufReader::new(file), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(fault)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    if (height, width) != (h, w) {
        let (found, expected) =
            (format!("{height}x{width}"), format!("{h}x{w}, as the network reads"));
        return Err(DataError::format(path, "rows and columns", found, expected));
    }
    check_palette(path, reader.info().palette.as_ref().map_or(0, |palette| palette.len()))?;
    let (color, _) = reader.output_color_type();
    let values = match color {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    let colours = if values < 3 { 1 } else { 3 };
    if colours != c && colours != 1 {
        let found = format!("{colours} colours");
        let expected = format!("{c}, the channels of the network; convert the images");
        return Err(DataError::format(path, "number of colours", found, expected));
    }
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
    reader.next_frame(&mut bytes).map_err(fault)?;
    // What is grey has all channels alike; how opaque it is does not count.
    let value = |k: usize, at: usize| bytes.get(at * values + k.min(colours - 1)).copied();
    let pixels = (0..c).flat_map(|k| (0..h * w).map(move |at| (k, at)));
    pixels
        .map(|(k, at)| value(k, at))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| DataError::format(path, "number of pixels", bytes.len() / values, h * w))
}

/// Refuses a palette of another number of bytes than three for each of at most 256 colours, as the format has it: the decoder
/// is not to see it.
fn check_palette(path: &Path, bytes: usize) -> Result<(), DataError> {
    if bytes.is_multiple_of(3) && bytes <= 3 * 256 {
        return Ok(());
    }
    let expected = "three for each of at most 256 colours; write the image again";
    Err(DataError::format(path, "bytes of a palette", bytes, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palettes_have_whole_colours() {
        let check = |bytes| check_palette(Path::new("a.png"), bytes);
        for bytes in [0, 3, 48, 768] {
            check(bytes).unwrap();
        }
        for bytes in [1, 2, 769, 771] {
            let error = check(bytes).unwrap_err().to_string();
            assert!(error.contains(&format!("palette is {bytes}, expected three")), "{error}");
        }
    }
}
