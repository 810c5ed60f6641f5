//! Who computes: with evaluation keys that it was sent, and without anything that decrypts.

mod batch;
mod file;
mod instructions;
mod model;
mod plaintexts;

use std::io::{BufRead, Write};
use std::sync::Arc;

use engine::cipher::Ciphertext;
use engine::keys::EvaluationKeys;
use engine::serial;
use simulator::interpret::{Execution, Session};
use simulator::program::PlaintextForm;

use crate::Result;
use crate::message::Envelope;

pub use batch::Lanes;
pub use model::CompiledModel;

/// Who computes.
pub struct Server {
    session: Session,
    images: Envelope,
    results: Envelope,
}

impl Server {
    /// Gets a model ready: its plaintexts are encoded now, or by every inference, as `form` says.
    ///
    /// # Errors
    /// The engine's for keys of other parameters, and for the first that is missing; those of [`Session::prepare`].
    pub fn new(
        model: CompiledModel,
        keys: Arc<EvaluationKeys>,
        form: PlaintextForm,
    ) -> Result<Self> {
        let CompiledModel { program, images, results, .. } = model;
        keys.check(&images.params, &program.keys())?;
        let session = Session::prepare(&images.params, keys, program, form)?;
        Ok(Self { session, images, results })
    }

    /// Memory of the evaluation keys and of the plaintexts, in bytes.
    pub fn resident_bytes(&self) -> usize {
        self.session.resident_bytes()
    }

    /// Runs the network on an encrypted image, or those that share its ciphertexts, in the current rayon pool. Its results are
    /// at the lowest level that has room for them.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn infer(&self, image: Vec<Ciphertext>) -> Result<Execution> {
        self.infer_watched(image, &mut || {})
    }

    /// The same, and calls `between` after every instruction.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn infer_watched(
        &self,
        image: Vec<Ciphertext>,
        between: &mut dyn FnMut(),
    ) -> Result<Execution> {
        let mut execution = self.session.run_watched(image, between)?;
        let level = self.results.info.level;
        for output in execution.outputs.iter_mut().filter(|output| output.level() != level) {
            *output = self.session.evaluator().drop_level(output, level)?;
        }
        Ok(execution)
    }

    /// Reads all messages of a stream and answers each with one of results, image by image. `finished` is told of every
    /// inference and how many images it was of, and may stop it by an error.
    ///
    /// # Errors
    /// Those of [`Envelope::open`], [`Envelope::read`] and [`Self::infer`], and of `finished`.
    pub fn answer<E: From<crate::Error>>(
        &self,
        mut reader: impl BufRead,
        mut writer: impl Write,
        mut finished: impl FnMut(&Execution, usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        while let Some(mut left) = self.images.open(&mut reader)? {
            self.results.begin(&mut writer, left)?;
            while left > 0 {
                let (ciphertexts, images) = self.images.read(&mut reader, &mut left)?;
                let execution = self.infer(ciphertexts)?;
                self.write_result(&mut writer, &execution)?;
                finished(&execution, images)?;
            }
        }
        Ok(())
    }

    /// Writes the result of an inference.
    fn write_result(&self, mut writer: impl Write, execution: &Execution) -> Result<()> {
        for output in &execution.outputs {
            serial::write_ciphertext(&mut writer, &self.images.params, output)?;
        }
        Ok(())
    }
}
