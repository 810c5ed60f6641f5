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

    /// Predicted memory, in bytes, of a server that runs `at_once` inferences at a time.
    pub fn batch_bytes(&self, form: PlaintextForm, at_once: usize) -> u64 {
        self.memory(form).at_once_bytes(form, at_once)
    }
}
