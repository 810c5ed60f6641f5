//! Plaintexts of a session: encoded once, or whenever an instruction needs them.

use std::time::{Duration, Instant};

use engine::buffer::AlignedBuf;
use engine::cipher::Plaintext;
use engine::encoding::Encoder;
use engine::eval::PlaintextSource;
use engine::poly::RnsPoly;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::program::{PlaintextForm, PlaintextId, PlaintextSpec};

/// The plaintexts of a program.
pub(super) enum Plaintexts {
    /// Encoded.
    Stored(Vec<Plaintext>),
    /// To be encoded, a batch at a time.
    OnDemand(Box<OnDemand>),
}

/// Slot values, and what encodes them.
pub(super) struct OnDemand {
    encoder: Encoder,
    specs: Vec<PlaintextSpec>,
}

impl Plaintexts {
    /// Takes a program's plaintexts into a form, freeing slot values as they are encoded.
    ///
    /// # Errors
    /// [`Error::Argument`] when one has no values; engine errors.
    pub(super) fn new(
        encoder: Encoder,
        specs: Vec<PlaintextSpec>,
        form: PlaintextForm,
    ) -> Result<Self> {
        if specs.iter().any(|spec| spec.values.is_none()) {
            let expected = "one lowered with values";
            return Err(Error::argument("program", "lowered for pricing only", expected));
        }
        Ok(match form {
            PlaintextForm::Stored => Self::Stored(
                specs.into_par_iter().map(|s| encode(&encoder, &s)).collect::<Result<_>>()?,
            ),
            PlaintextForm::OnDemand { .. } => Self::OnDemand(Box::new(OnDemand { encoder, specs })),
        })
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Stored(all) => all.iter().map(|p| p.bytes()).sum(),
            Self::OnDemand(own) => {
                own.specs.iter().filter_map(|s| s.values.as_ref()).map(|v| v.bytes() as usize).sum()
            }
        }
    }
}

/// Plaintexts encoded within a run. Their memory is used again as long as they stay of one shape.
#[derive(Default)]
pub(super) struct Encoded {
    buffers: Vec<Plaintext>,
    /// Time that encoding took since it was last taken.
    time: Duration,
}

impl Encoded {
    /// The time that encoding took since this was last asked.
    pub(super) fn take_time(&mut self) -> Duration {
        std::mem::take(&mut self.time)
    }

    /// Makes room for a batch: recycled memory that nothing uses is given back, if it is not more than the batch takes.
    /// To get as much afresh costs far less time than to encode the batch.
    pub(super) fn make_room(&mut self, batch_bytes: u64) {
        if batch_bytes > 0 && batch_bytes >= AlignedBuf::pool_bytes() as u64 {
            let start = Instant::now();
            AlignedBuf::release_pool();
            self.time += start.elapsed();
        }
    }

    /// One plaintext.
    pub(super) fn one(&mut self, own: &OnDemand, id: PlaintextId) -> Result<&Plaintext> {
        Batches { own, ids: &[id], encoded: self }.provide(&[0])?;
        Ok(&self.buffers[0])
    }
}

/// Encodes plaintexts for one instruction.
pub(super) struct Batches<'a> {
    pub(super) own: &'a OnDemand,
    /// The program's plaintexts, by their numbers within the instruction.
    pub(super) ids: &'a [PlaintextId],
    pub(super) encoded: &'a mut Encoded,
}

impl PlaintextSource for Batches<'_> {
    type Error = Error;

    fn provide(&mut self, numbers: &[usize]) -> Result<Vec<&Plaintext>> {
        let start = Instant::now();
        let encoder = &self.own.encoder;
        let specs: Vec<_> = numbers.iter().map(|&k| &self.own.specs[self.ids[k]]).collect();
        let Encoded { buffers, time } = &mut *self.encoded;
        let fits = |buffer: &Plaintext, spec: &PlaintextSpec| {
            (buffer.level(), buffer.is_extended()) == (spec.level, spec.extended)
        };
        // Those of another shape are freed before any is made.
        buffers.truncate(specs.len());
        if buffers.iter().zip(&specs).any(|(buffer, spec)| !fits(buffer, spec)) {
            buffers.clear();
        }
        let (again, fresh) = specs.split_at(buffers.len());
        let pairs = buffers.par_iter_mut().zip(again);
        pairs.try_for_each(|(buffer, spec)| encode_again(encoder, spec, buffer))?;
        let fresh = fresh.par_iter().map(|spec| encode(encoder, spec));
        buffers.extend(fresh.collect::<Result<Vec<_>>>()?);
        *time += start.elapsed();
        Ok(buffers.iter().collect())
    }
}

/// Encodes one in fresh memory: a subring plaintext where slots repeat soon enough.
fn encode(encoder: &Encoder, spec: &PlaintextSpec) -> Result<Plaintext> {
    if spec.is_subring(encoder.params().slots()) {
        let values = spec.period_values()?;
        return Ok(encoder.encode_periodic(&values, spec.level, spec.scale, spec.extended)?);
    }
    let mut plaintext = empty(encoder, spec);
    encode_into(encoder, spec, &mut plaintext)?;
    Ok(plaintext)
}

/// Encodes one again in the place of another of its level.
fn encode_again(encoder: &Encoder, spec: &PlaintextSpec, plaintext: &mut Plaintext) -> Result<()> {
    if spec.is_subring(encoder.params().slots()) || plaintext.run() > 1 {
        *plaintext = encode(encoder, spec)?;
        return Ok(());
    }
    encode_into(encoder, spec, plaintext)
}

/// One to encode into: not of recycled memory, which would never be given back.
fn empty(encoder: &Encoder, spec: &PlaintextSpec) -> Plaintext {
    let poly = RnsPoly::zero(encoder.params(), spec.level, spec.extended);
    Plaintext::new(poly, spec.scale)
}

fn encode_into(encoder: &Encoder, spec: &PlaintextSpec, plaintext: &mut Plaintext) -> Result<()> {
    let values = spec.slot_values(encoder.params().slots())?;
    Ok(encoder.encode_into(&values, spec.scale, plaintext)?)
}
