//! The frame of every object: header, counted and hashed payload, checksum.

use std::io::{self, ErrorKind, Read, Write};

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::words::{bits_below, pack, packed_bytes, unpack};
use super::{FORMAT_VERSION, Kind};
use crate::params::Fingerprint;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"SPENCNN\0";

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 8 + 2 + 2 + 32 + 8;
/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 32;

/// Bytes of an object with a payload of `length` bytes.
pub const fn object_bytes(length: u64) -> u64 {
    HEADER_BYTES as u64 + length + CHECKSUM_BYTES as u64
}

/// Writes an object whose payload `payload` writes: it is called twice, first for the length alone, and must write the same
/// both times.
///
/// # Errors
/// Those of `payload`; [`Error::Io`].
pub fn write_object(
    mut writer: impl Write,
    kind: Kind,
    fingerprint: Fingerprint,
    payload: impl Fn(&mut Sink<&mut dyn Write>) -> Result<()>,
) -> Result<()> {
    let mut nowhere = io::sink();
    let mut measured = Sink::counting(&mut nowhere as &mut dyn Write, kind);
    payload(&mut measured)?;
    let length = u64::MAX - measured.remaining;
    let mut sink = Sink::open(&mut writer as &mut dyn Write, kind, fingerprint, length)?;
    payload(&mut sink)?;
    sink.finish()
}

/// Writes one object.
pub struct Sink<W> {
    writer: W,
    kind: Kind,
    /// None where only bytes are counted.
    hash: Option<Sha256>,
    /// Bytes of the payload still to come.
    remaining: u64,
    /// Packed words; may hold secrets.
    buffer: Vec<u8>,
}

impl<W: Write> Sink<W> {
    /// Writes the header of an object with a payload of exactly `length` bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(writer: W, kind: Kind, fingerprint: Fingerprint, length: u64) -> Result<Self> {
        let remaining = length + HEADER_BYTES as u64;
        let hash = Some(Sha256::new());
        let mut sink = Self { writer, kind, hash, remaining, buffer: Vec::new() };
        sink.bytes(MAGIC)?;
        sink.bytes(&FORMAT_VERSION.to_le_bytes())?;
        sink.bytes(&(kind as u16).to_le_bytes())?;
        sink.bytes(&fingerprint.0)?;
        sink.bytes(&length.to_le_bytes())?;
        Ok(sink)
    }

    /// One that only counts the bytes of a payload.
    fn counting(writer: W, kind: Kind) -> Self {
        Self { writer, kind, hash: None, remaining: u64::MAX, buffer: Vec::new() }
    }

    /// Writes some of the payload.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Argument`] beyond the length that was announced.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let (length, left) = (bytes.len() as u64, self.remaining);
        self.remaining = left.checked_sub(length).ok_or_else(|| {
            Error::argument("bytes to write", length, format!("at most {left}, as announced"))
        })?;
        let Some(hash) = &mut self.hash else { return Ok(()) };
        hash.update(bytes);
        self.raw(bytes)
    }

    /// Writes a byte.
    ///
    /// # Errors
    /// As [`Self::bytes`], like those that follow.
    pub fn u8(&mut self, value: u8) -> Result<()> {
        self.bytes(&[value])
    }

    /// Writes a number of 16 bits.
    pub fn u16(&mut self, value: u16) -> Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes a number of 32 bits.
    pub fn u32(&mut self, value: u32) -> Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes a number of 64 bits.
    pub fn u64(&mut self, value: u64) -> Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes a number in double precision, every bit of it.
    pub fn f64(&mut self, value: f64) -> Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        let what = self.kind.name();
        self.writer.write_all(bytes).map_err(|source| Error::Io { what, source })
    }

    /// Writes numbers below `limit`, at most `2^50`, packed to its bits.
    pub fn words(&mut self, words: &[u64], limit: u64) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(packed_bytes(words.len(), limit) as usize, 0);
        pack(&mut buffer, words, bits_below(limit));
        let result = self.bytes(&buffer);
        self.buffer = buffer;
        result
    }

    /// Writes the checksum.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Argument`] where less was written than announced.
    pub fn finish(mut self) -> Result<()> {
        if self.remaining != 0 {
            let found = format!("{} bytes short", self.remaining);
            return Err(Error::argument("object to write", found, "as many as announced"));
        }
        let checksum = self.hash.take().unwrap_or_default().finalize();
        self.raw(&checksum)?;
        let what = self.kind.name();
        self.writer.flush().map_err(|source| Error::Io { what, source })
    }
}

impl<W> Drop for Sink<W> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

/// Reads one object. Nothing that it declares is believed: ask [`Source::need`] before taking memory for what is to come.
pub struct Source<R> {
    reader: R,
    kind: Kind,
    hash: Sha256,
    /// Bytes of the payload still to come, as declared.
    remaining: u64,
    fingerprint: Fingerprint,
    /// Packed words; may hold secrets.
    buffer: Vec<u8>,
}

impl<R: Read> Source<R> {
    /// Reads and checks a header, but for the fingerprint.
    ///
    /// # Errors
    /// [`Error::Decode`] for what is none, or of another kind or version; [`Error::Io`].
    pub fn open(reader: R, kind: Kind) -> Result<Self> {
        let mut source = Self {
            reader,
            kind,
            hash: Sha256::new(),
            remaining: HEADER_BYTES as u64,
            fingerprint: Fingerprint([0; 32]),
            buffer: Vec::new(),
        };
        let magic: [u8; 8] = source.array()?;
        if magic != *MAGIC {
            let (found, expected) = (magic.escape_ascii(), MAGIC.escape_ascii());
            return Err(
                source.error(format!("it begins with \"{found}\", expected \"{expected}\""))
            );
        }
        let version = source.u16()?;
        if version != FORMAT_VERSION {
            let reason = format!("format version is {version}, expected {FORMAT_VERSION}");
            return Err(source.error(reason));
        }
        let found = source.u16()?;
        if found != kind as u16 {
            let reason =
                format!("the object is {}, expected {}", Kind::describe(found), kind.name());
            return Err(source.error(reason));
        }
        source.fingerprint = Fingerprint(source.array()?);
        source.remaining = u64::from_le_bytes(source.array()?);
        Ok(source)
    }

    /// [`Self::open`] for an object that must belong to some parameters.
    ///
    /// # Errors
    /// The same, and [`Error::ForeignParameters`].
    pub fn open_for(reader: R, kind: Kind, expected: Fingerprint) -> Result<Self> {
        let source = Self::open(reader, kind)?;
        source.fingerprint.check(expected, kind.name())?;
        Ok(source)
    }

    /// The fingerprint in the header.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// An error about this object.
    pub fn error(&self, reason: impl Into<String>) -> Error {
        Error::Decode { what: self.kind.name(), reason: reason.into() }
    }

    /// Checks that the declared length leaves `bytes` more: to be called before memory is taken for them.
    ///
    /// # Errors
    /// [`Error::Decode`] if it does not.
    pub fn need(&self, bytes: u64) -> Result<()> {
        if bytes > self.remaining {
            let left = self.remaining;
            return Err(
                self.error(format!("the payload has {left} bytes left, expected {bytes} more"))
            );
        }
        Ok(())
    }

    /// Reads some of the payload.
    ///
    /// # Errors
    /// [`Error::Decode`] beyond its end or that of the file; [`Error::Io`]. All that follow have the same.
    pub fn bytes(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.need(bytes.len() as u64)?;
        self.raw(bytes)?;
        self.remaining -= bytes.len() as u64;
        self.hash.update(&*bytes);
        Ok(())
    }

    fn raw(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => self.error("it is cut off"),
            _ => Error::Io { what: self.kind.name(), source },
        })
    }

    /// Reads an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.bytes(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a byte.
    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Reads a number of 16 bits.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a number of 32 bits.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a number of 64 bits.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a number in double precision: any, also one that is none.
    pub fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// Reads packed numbers and checks that they are below `limit`, at most `2^50`.
    pub fn words(&mut self, words: &mut [u64], limit: u64) -> Result<()> {
        let bytes = packed_bytes(words.len(), limit);
        self.need(bytes)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        // Every word is read with the eight bytes from where it begins, so some must follow the last.
        let (bytes, padded) = (bytes as usize, bytes as usize + size_of::<u64>());
        buffer.resize(padded, 0);
        buffer[bytes..].fill(0);
        let read = self.bytes(&mut buffer[..bytes]);
        let result = read.and_then(|()| self.unpack(words, &buffer, limit));
        self.buffer = buffer;
        result
    }

    /// Unpacks words from bytes that zeros follow.
    fn unpack(&self, words: &mut [u64], padded: &[u8], limit: u64) -> Result<()> {
        let bits = bits_below(limit);
        unpack(words, padded, bits);
        let largest = words.iter().copied().max().unwrap_or(0);
        if largest >= limit {
            return Err(self.error(format!("a residue is {largest}, expected below {limit}")));
        }
        let end = words.len() * bits as usize;
        if padded[end / 8] >> (end % 8) != 0 {
            return Err(self.error("the padding after packed residues is not zero"));
        }
        Ok(())
    }

    /// Checks that the payload is used up, and the checksum.
    ///
    /// # Errors
    /// [`Error::Decode`] if it is not, or does not match.
    pub fn finish(mut self) -> Result<()> {
        if self.remaining != 0 {
            let reason = format!("the payload has {} bytes left, expected none", self.remaining);
            return Err(self.error(reason));
        }
        let expected = std::mem::take(&mut self.hash).finalize();
        let mut found = [0; 32];
        self.raw(&mut found)?;
        if found[..] != expected[..] {
            return Err(self.error("the checksum does not match: it is damaged"));
        }
        Ok(())
    }
}

impl<R> Drop for Source<R> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}
