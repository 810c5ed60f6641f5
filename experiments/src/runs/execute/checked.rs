//! A network lowered with its weights, and found to compute what it should.

use anyhow::{Context, Result};
use engine::params::Parameters;
use runtime::client::ClientSpec;
use runtime::server::CompiledModel;
use runtime::{Compilation, compile};
use simulator::chain::Chain;
use simulator::interpret::{NoiseModel, ResultErrors, predict_errors, run_measured};
use simulator::lowering::Lowered;
use simulator::program::{PlaintextForm, room};

use super::prepare::NOISE_SEED;
use crate::design::candidate::{Candidate, lower_candidate};
use crate::inputs::images::Pictures;
use crate::process::exit::Failure;

/// Largest difference accepted between the lowered program on plain numbers and the network itself, relative to the
/// largest logit: rounding of double precision, and nothing else.
const CLEAR_TOLERANCE: f64 = 1e-6;

/// A candidate lowered with values, and what it did on plain numbers.
pub(crate) struct Checked {
    /// The program with its values.
    pub(crate) lowered: Lowered,
    /// Largest difference of a logit from the network itself, on the images.
    pub(crate) clear_error: f64,
    /// The most that any slot of a result was in absolute value.
    reach: f64,
}

impl Checked {
    /// Lowers a candidate.
    pub(crate) fn lower(candidate: &Candidate, params: &Parameters) -> Result<Lowered> {
        let what = || format!("preparing {}", candidate.name);
        lower_candidate(candidate, &Chain::from(params), true).with_context(what)
    }

    /// Runs a candidate's program on plain numbers, on raw images, as many as share a ciphertext or fewer, whose unencrypted
    /// results `plain` begins with, checks that the primes have room for them, and compares.
    ///
    /// # Errors
    /// [`Failure::Check`] for another result; values without room.
    pub(crate) fn new(
        candidate: &Candidate,
        params: &Parameters,
        lowered: Lowered,
        images: &[Vec<f64>],
        plain: &[Vec<f64>],
    ) -> Result<Self> {
        let program = &lowered.program;
        let normalised = images.iter().map(|image| candidate.model.network.normalise(image));
        let slots = lowered.encode_images(&normalised.collect::<simulator::Result<Vec<_>>>()?)?;
        let (outputs, reach) = run_measured(program, &[&slots])?;
        program.check_room(|v| reach[v], 0.0, &Chain::from(params))?;
        let mut clear_error = 0.0_f64;
        for (logits, plain) in lowered.decode_images(&outputs[0], images.len())?.iter().zip(plain) {
            let error = crate::runs::statistics::largest_difference(logits, plain);
            let largest = plain.iter().fold(1.0_f64, |m, v| m.max(v.abs()));
            // Where logits are infinite, so are the error and what would be tolerated.
            if !error.is_finite() || error > CLEAR_TOLERANCE * largest {
                let name = &candidate.name;
                let check = format!(
                    "{name}: the lowered program differs from the network by {error:.2e} without encryption"
                );
                return Err(Failure::Check(check).into());
            }
            clear_error = clear_error.max(error);
        }
        let reach = program.outputs.iter().map(|v| reach[*v]).fold(0.0, f64::max);
        Ok(Self { lowered, clear_error, reach })
    }

    /// Errors to expect in results, by simulations on raw images whose unencrypted results are `plain`.
    pub(crate) fn errors(
        &self,
        candidate: &Candidate,
        params: &Parameters,
        images: &Pictures,
        plain: &[Vec<f64>],
    ) -> Result<ResultErrors> {
        let normalised = images.normalised(&candidate.model.network, plain.len())?;
        let model = NoiseModel::from(params);
        Ok(predict_errors(&self.lowered, &model, &normalised, plain, NOISE_SEED)?)
    }

    /// What a client and what a server need of it.
    pub(crate) fn compile(
        self,
        candidate: &Candidate,
        params: &Parameters,
        plaintexts: PlaintextForm,
        errors: Option<ResultErrors>,
    ) -> Result<(ClientSpec, CompiledModel)> {
        Ok(compile(Compilation {
            model: &candidate.model,
            params,
            lowered: self.lowered,
            plaintexts,
            reach: Some(self.reach * room::MARGIN_BITS.exp2()),
            errors,
        })?)
    }
}
