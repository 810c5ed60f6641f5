//! Plaintexts of a session: encoded once, or whenever an instruction needs them.

use std::time::{Duration, Instant};

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
            PlaintextForm::Stored => Self::Stored(encode_to_keep(&encoder, specs)?),
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

/// Plaintexts encoded within a run, for one instruction: in memory of the engine's pool, where the rows and ciphertexts of other
/// moments have been and will be.
#[derive(Default)]
pub(super) struct Encoded {
    batch: Vec<Plaintext>,
    /// Time that encoding took since it was last taken.
    time: Duration,
}

impl Encoded {
    /// Gives the plaintexts' memory back to the pool: their instruction is done.
    ///
    /// Returns the time that encoding took since this was last called.
    pub(super) fn finish(&mut self) -> Duration {
        self.batch.clear();
        std::mem::take(&mut self.time)
    }

    /// One plaintext.
    pub(super) fn one(&mut self, own: &OnDemand, id: PlaintextId) -> Result<&Plaintext> {
        Batches { own, ids: &[id], encoded: self }.provide(&[0])?;
        Ok(&self.batch[0])
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
        let OnDemand { encoder, specs } = self.own;
        let Encoded { batch, time } = &mut *self.encoded;
        // Before the next ones are made, so that these find its place.
        batch.clear();
        let specs: Vec<_> = numbers.iter().map(|&k| &specs[self.ids[k]]).collect();
        let slots = encoder.params().slots();
        let whole: Vec<_> = specs.iter().filter(|spec| !spec.is_subring(slots)).collect();
        if let Some(first) = whole.first() {
            encoder.make_room(whole.len(), first.level, first.extended);
        }
        let encoded = specs.par_iter().map(|spec| encode(encoder, spec));
        *batch = encoded.collect::<Result<_>>()?;
        *time += start.elapsed();
        Ok(batch.iter().collect())
    }
}

/// Encodes one: a subring plaintext where slots repeat soon enough. In recycled memory, which goes back to where it came from.
fn encode(encoder: &Encoder, spec: &PlaintextSpec) -> Result<Plaintext> {
    let slots = encoder.params().slots();
    let encoded = if spec.is_subring(slots) {
        encoder.encode_periodic(&spec.period_values()?, spec.level, spec.scale, spec.extended)
    } else {
        encoder.encode(&spec.slot_values(slots)?, spec.level, spec.scale, spec.extended)
    };
    Ok(encoded?)
}

/// Encodes all of a program, freeing slot values as that goes, in memory of their own beside each other.
fn encode_to_keep(encoder: &Encoder, specs: Vec<PlaintextSpec>) -> Result<Vec<Plaintext>> {
    let (params, slots) = (encoder.params(), encoder.params().slots());
    let whole = specs.iter().filter(|spec| !spec.is_subring(slots));
    let shapes: Vec<_> = whole.map(|spec| (spec.level, spec.extended)).collect();
    let mut polys = RnsPoly::zeros(params, &shapes).into_iter();
    let own: Vec<_> =
        specs.iter().map(|s| if s.is_subring(slots) { None } else { polys.next() }).collect();
    let encode = |(spec, own): (PlaintextSpec, Option<RnsPoly>)| {
        let Some(poly) = own else { return encode(encoder, &spec) };
        let mut plaintext = Plaintext::new(poly, spec.scale);
        encoder.encode_into(&spec.slot_values(slots)?, spec.scale, &mut plaintext)?;
        Ok(plaintext)
    };
    let mut all: Vec<Plaintext> =
        specs.into_par_iter().zip(own).map(encode).collect::<Result<_>>()?;
    Plaintext::move_short_together(all.iter_mut());
    Ok(all)
}
