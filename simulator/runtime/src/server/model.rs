//! A network compiled to a program with its weights.

use engine::params::Parameters;
use simulator::chain::Chain;
use simulator::program::{Memory, PlaintextForm, Program};

use crate::message::Envelope;

/// What a server runs.
#[derive(Debug, Clone)]
pub struct CompiledModel {
    /// Name of the network.
    pub network: String,
    /// The program, with values if it is to be run.
    pub program: Program,
    /// How plaintexts are kept unless the server is told otherwise.
    pub plaintexts: PlaintextForm,
    /// What encrypted images are like.
    pub images: Envelope,
    /// What results are like.
    pub results: Envelope,
}

impl CompiledModel {
    /// The parameters.
    pub fn params(&self) -> &Parameters {
        &self.images.params
    }

    /// Predicted memory of a server with plaintexts in a form.
    pub fn memory(&self, form: PlaintextForm) -> Memory {
        self.program.memory(&Chain::from(self.params()), form)
    }

    /// Predicted memory, in bytes, of a server that runs `at_once` images at a time: each has ciphertexts, scratch and a batch
    /// of plaintexts of its own.
    pub fn batch_bytes(&self, form: PlaintextForm, at_once: usize) -> u64 {
        let memory = self.memory(form);
        let plaintexts = match form {
            PlaintextForm::Stored => 0,
            PlaintextForm::OnDemand { batch_bytes } => batch_bytes.min(memory.plaintexts_bytes),
        };
        let each = memory.ciphertexts_bytes + memory.scratch_bytes + plaintexts;
        let others = (at_once as u64).saturating_sub(1);
        memory.total_bytes().saturating_add(others.saturating_mul(each))
    }
}
