//! What is sent: the ciphertexts of images, or of their results.
//!
//! A message is a small object, which says how many images there are and for which client specification, and then the
//! ciphertexts of one image after the other; where several images share ciphertexts, of one such group after the other, and
//! the last may be short of images. Several messages may follow each other in one stream.

use std::io::{BufRead, ErrorKind, Read, Write};

use engine::cipher::Ciphertext;
use engine::params::{Fingerprint, Parameters};
use engine::serial::{self, Kind, Source, object_bytes, write_object};
use simulator::program::ValueInfo;

use crate::{Error, Result};

/// Payload of what stands before the ciphertexts.
const HEAD_BYTES: u64 = 32 + 4 + 4;

/// What a message of one kind, for one client specification, is like.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Images or results.
    pub kind: Kind,
    /// Parameters of its ciphertexts.
    pub params: Parameters,
    /// Client specification that it belongs to.
    pub spec: Fingerprint,
    /// Images that share ciphertexts; the last ones of a message may be fewer.
    pub images: usize,
    /// Ciphertexts of one image, or of those that share them.
    pub each: usize,
    /// Level and scale of every ciphertext.
    pub info: ValueInfo,
}

impl Envelope {
    /// How often there are the ciphertexts of images that share them, in a message of so many images.
    pub fn groups(&self, images: usize) -> usize {
        images.div_ceil(self.images)
    }

    /// Bytes of a message of so many images with ciphertexts of so many bytes each.
    pub fn bytes(&self, images: usize, ciphertext: u64) -> u64 {
        object_bytes(HEAD_BYTES) + (self.groups(images) * self.each) as u64 * ciphertext
    }

    /// Begins a message of so many images.
    ///
    /// # Errors
    /// [`Error::Argument`] for numbers that do not fit; the writer's.
    pub fn begin(&self, writer: impl Write, images: usize) -> Result<()> {
        let count = |what, value: usize| {
            u32::try_from(value).map_err(|_| Error::argument(what, value, "below 2^32"))
        };
        let images = count("number of images", images)?;
        let each = count("number of ciphertexts", self.each)?;
        Ok(write_object(writer, self.kind, self.params.fingerprint(), |sink| {
            sink.bytes(&self.spec.0)?;
            sink.u32(images)?;
            sink.u32(each)
        })?)
    }

    /// Reads what [`Self::begin`] wrote: the number of images; none at the end of a stream.
    ///
    /// # Errors
    /// [`Error::ForeignModel`] for another client specification; the engine's for what is damaged, of another kind, or made
    /// under other parameters.
    pub fn open(&self, mut reader: impl BufRead) -> Result<Option<usize>> {
        if is_at_end(&mut reader, self.kind)? {
            return Ok(None);
        }
        let mut source = Source::open_for(reader, self.kind, self.params.fingerprint())?;
        let spec = Fingerprint(source.array()?);
        let (images, each) = (source.u32()? as usize, source.u32()? as usize);
        source.finish()?;
        if spec != self.spec {
            let what = self.kind.name();
            return Err(Error::ForeignModel { what, found: spec, expected: self.spec });
        }
        if each != self.each {
            return Err(Error::argument("ciphertexts of an image", each, self.each));
        }
        Ok(Some(images))
    }

    /// Reads the ciphertexts of the next image, or of those that share them, and tells how many images these are; `left` is how
    /// many are still to come of the message, one at least, and becomes less by them.
    ///
    /// # Errors
    /// [`Error::Argument`] for another level or scale; the engine's.
    pub fn read(
        &self,
        mut reader: impl Read,
        left: &mut usize,
    ) -> Result<(Vec<Ciphertext>, usize)> {
        let mut all = Vec::new();
        for _ in 0..self.each {
            let ciphertext = serial::read_ciphertext(&mut reader, &self.params)?;
            self.check(&ciphertext)?;
            all.push(ciphertext);
        }
        let images = self.images.min(*left);
        *left -= images;
        Ok((all, images))
    }

    /// Checks level and scale of a ciphertext.
    ///
    /// # Errors
    /// [`Error::Argument`] for others.
    pub fn check(&self, ciphertext: &Ciphertext) -> Result<()> {
        let found = ValueInfo { level: ciphertext.level(), scale: ciphertext.scale };
        if found.same(&self.info) {
            return Ok(());
        }
        let show = |i: &ValueInfo| format!("level {} and scale 2^{:.6}", i.level, i.scale.log2());
        Err(Error::argument("a ciphertext", show(&found), show(&self.info)))
    }
}

/// Whether a stream has ended.
fn is_at_end(reader: &mut impl BufRead, kind: Kind) -> Result<bool> {
    loop {
        match reader.fill_buf() {
            Ok(bytes) => return Ok(bytes.is_empty()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(engine::Error::Io { what: kind.name(), source }.into());
            }
        }
    }
}
