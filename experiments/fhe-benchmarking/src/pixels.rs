//! Pixels as the harness writes them, and as they are read again: 32-bit floating-point numbers, little-endian, one image
//! after the other, each `[channel][row][column]`.

use std::io::{BufRead, Read, Write};

use anyhow::{Context, Result, bail, ensure};

/// Bytes of a pixel.
const BYTES: usize = 4;
/// Longest text of a pixel: many times what the harness writes.
const MOST_TEXT: u64 = 64;

/// Copies lines of `pixels` numbers from 0 to 1 as such numbers. Returns how many lines there were.
///
/// # Errors
/// A message with the number of the line that is not so; those of reader and writer.
pub fn copy(mut from: impl BufRead, mut to: impl Write, pixels: usize) -> Result<usize> {
    let most = MOST_TEXT * pixels as u64;
    let mut line = String::new();
    for images in 0.. {
        line.clear();
        let read = from.by_ref().take(most).read_line(&mut line)?;
        if read == 0 {
            return Ok(images);
        }
        let mut write = || -> Result<()> {
            ensure!(read as u64 != most, "{read} bytes or more, expected {pixels} pixels");
            let mut count = 0;
            for word in line.split_ascii_whitespace() {
                let pixel = word.parse::<f32>().ok().filter(|v| (0.0..=1.0).contains(v));
                let Some(pixel) = pixel else {
                    bail!("a pixel is {word:?}, expected a number from 0 to 1")
                };
                to.write_all(&pixel.to_le_bytes())?;
                count += 1;
            }
            ensure!(count == pixels, "{count} pixels, expected {pixels}");
            Ok(())
        };
        write().with_context(|| format!("line {}", images + 1))?;
    }
    unreachable!("counting does not end")
}

/// Number of images in so many bytes.
///
/// # Errors
/// A message where an image is not complete, or there is none.
pub fn images(bytes: u64, pixels: usize) -> Result<u64> {
    let each = (pixels * BYTES) as u64;
    ensure!(
        bytes != 0 && bytes.is_multiple_of(each),
        "{bytes} bytes, expected at least one image of {each} bytes, and no part of one; run client_preprocess_input again"
    );
    Ok(bytes / each)
}

/// The next image.
///
/// # Errors
/// The reader's.
pub fn read(mut from: impl Read, pixels: usize) -> Result<Vec<f64>> {
    let mut bytes = vec![0; pixels * BYTES];
    from.read_exact(&mut bytes)?;
    let numbers = bytes.as_chunks::<BYTES>().0.iter();
    Ok(numbers.map(|number| f64::from(f32::from_le_bytes(*number))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_numbers() {
        let mut bytes = Vec::new();
        let text = "0.000000 0.500000 1.000000\n1 0 0.25";
        assert_eq!(copy(text.as_bytes(), &mut bytes, 3).unwrap(), 2);
        assert_eq!(images(bytes.len() as u64, 3).unwrap(), 2);
        let mut rest = &bytes[..];
        assert_eq!(read(&mut rest, 3).unwrap(), [0.0, 0.5, 1.0]);
        assert_eq!(read(&mut rest, 3).unwrap(), [1.0, 0.0, 0.25]);
        assert!(read(&mut rest, 3).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (bad, expected) in [
            ("0 1\n0 x\n", "\"x\", expected a number from 0 to 1"),
            ("0 1\n0 1.5\n", "\"1.5\", expected"),
            ("0 1\n0 NaN\n", "\"NaN\", expected"),
            ("0 1\n0\n", "1 pixels, expected 2"),
            ("0 1\n0 1 0\n", "3 pixels, expected 2"),
            ("0 1\n\n", "0 pixels, expected 2"),
        ] {
            let error = format!("{:#}", copy(bad.as_bytes(), Vec::new(), 2).unwrap_err());
            assert!(error.starts_with("line 2: ") && error.contains(expected), "{error}");
        }
        let long = "0".repeat(1000);
        let error = format!("{:#}", copy(long.as_bytes(), Vec::new(), 2).unwrap_err());
        assert!(error.contains("128 bytes or more"), "{error}");
        for bytes in [0, 11, 13] {
            assert!(images(bytes, 3).unwrap_err().to_string().contains("client_preprocess_input"));
        }
    }
}
