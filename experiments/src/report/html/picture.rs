//! Images as they are put into the page itself: PNG, in base 64.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use png::{BitDepth, ColorType, Encoder};

use super::markup::{Markup, empty};

/// Most rows and columns shown: of larger images, every second or third one.
const MOST: usize = 192;

/// An image of `shape` (channels, rows, columns), `[channel][row][column]`: in colour where there are three channels, else the
/// first channel in grey. Values beyond 0 to 1 are stretched to that. Nothing where it is not of that shape.
pub(super) fn picture(values: &[f64], shape: (usize, usize, usize), about: &str) -> Result<Markup> {
    let (channels, rows, columns) = shape;
    let area = rows * columns;
    if area == 0 || channels.checked_mul(area) != Some(values.len()) {
        return Ok(Markup::default());
    }
    let step = rows.max(columns).div_ceil(MOST);
    let shown = if channels == 3 { 3 } else { 1 };
    let level = levels(&values[..shown * area]);
    let mut bytes = Vec::with_capacity(shown * area / (step * step));
    for row in (0..rows).step_by(step) {
        for column in (0..columns).step_by(step) {
            bytes.extend((0..shown).map(|c| level(values[c * area + row * columns + column])));
        }
    }
    let size = (columns.div_ceil(step), rows.div_ceil(step));
    let file = encoded(&bytes, size, shown == 3).context("writing an image as PNG")?;
    let source = format!("data:image/png;base64,{}", STANDARD.encode(file));
    Ok(empty("img", &[("src", &source), ("alt", &about), ("width", &"96")]))
}

/// What makes a byte of a value.
fn levels(values: &[f64]) -> impl Fn(f64) -> u8 {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(1.0, f64::max));
    // What is no number is black.
    move |v| (255.0 * (v - low) / (high - low)).round() as u8
}

fn encoded(
    bytes: &[u8],
    (columns, rows): (usize, usize),
    colour: bool,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, columns as u32, rows as u32);
    encoder.set_color(if colour { ColorType::Rgb } else { ColorType::Grayscale });
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(markup: Markup) -> (png::OutputInfo, Vec<u8>) {
        let text = markup.into_string();
        let (_, rest) = text.split_once("base64,").unwrap();
        let file = STANDARD.decode(rest.split_once('"').unwrap().0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        (info, bytes)
    }

    #[test]
    fn images_are_what_they_were() {
        let grey = picture(&[0.0, 1.0, 0.2, 0.4, 0.6, f64::NAN], (1, 2, 3), "a").unwrap();
        let (info, bytes) = decoded(grey);
        assert_eq!((info.width, info.height, info.color_type), (3, 2, ColorType::Grayscale));
        assert_eq!(bytes, [0, 255, 51, 102, 153, 0]);
        let colour = picture(&[0.0, 1.0, 0.2, 0.4, 0.6, 0.8], (3, 1, 2), "a").unwrap();
        assert_eq!(decoded(colour).1, [0, 51, 153, 255, 102, 204]);
        // Of two channels the first; values from -1 to 3.
        let stretched = picture(&[-1.0, 3.0, 9.0, 9.0], (2, 1, 2), "a").unwrap();
        assert_eq!(decoded(stretched).1, [0, 255]);
    }

    #[test]
    fn large_images_are_shown_small_and_others_not() {
        let (info, _) = decoded(picture(&vec![0.5; 400 * 10], (1, 10, 400), "a").unwrap());
        assert_eq!((info.width, info.height), (134, 4));
        assert!(picture(&[0.5; 5], (1, 2, 3), "a").unwrap().is_empty());
        assert!(picture(&[], (1, 0, 3), "a").unwrap().is_empty());
    }
}
