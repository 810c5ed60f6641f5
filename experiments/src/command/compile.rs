//! `spencnn compile`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::options::{NetworkArgs, ResourceArgs};
use super::parties::{CLIENT, MODEL, note_written};
use super::run::read_configuration;
use crate::design::candidate::{self, Candidate};
use crate::design::plan::PlanFolder;
use crate::design::wish::PlaintextsArg;
use crate::inputs::images;
use crate::machine::memory::show_bytes;
use crate::process::cancel;
use crate::process::files::{self, Readers};
use crate::process::output::note;
use crate::runs::execute::{self, Checked};

/// Generated images that a network is tried on without encryption.
const TRIED: usize = 4;
/// Seed of these.
const SEED: u64 = 1;

/// Write what a server runs, and what a client needs to know: encrypted inference by two parties
///
/// The network is lowered as its configuration says (`search --out` writes one) and tried on generated images without
/// encryption. The model file holds the program and its weights: it is the server's. The client file holds parameters,
/// normalisation, layouts and the list of keys to make, and none of the weights: give it to whoever has images. Then
///
///   the client:  spencnn keygen    makes a secret key, and evaluation keys for the server
///   the client:  spencnn encrypt   makes encrypted images of images
///   the server:  spencnn infer     makes encrypted results of encrypted images
///   the client:  spencnn decrypt   makes logits of encrypted results
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  spencnn compile --config best.toml
  spencnn compile --network mine.onnx --mean 0.25 --std 0.2 --config best.toml --model mine.model --client mine.client
  spencnn compile --plan plan/"
)]
pub struct CompileArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Configuration of the network
    #[arg(long, value_name = "FILE", required_unless_present = "plan")]
    config: Option<PathBuf>,
    /// Folder of a plan that was trained: its network, weights and configuration
    #[arg(long, value_name = "DIR", conflicts_with_all = ["network", "config"])]
    plan: Option<PathBuf>,
    /// Model file to write
    #[arg(long, value_name = "FILE", default_value = MODEL)]
    model: PathBuf,
    /// Client file to write
    #[arg(long, value_name = "FILE", default_value = CLIENT)]
    client: PathBuf,
    /// How the server keeps plaintexts, unless it is told otherwise: by default stored, if that fits the memory limit here
    #[arg(long, value_enum, default_value_t = PlaintextsArg::Auto)]
    plaintexts: PlaintextsArg,
    #[command(flatten)]
    resources: ResourceArgs,
}

impl CompileArgs {
    /// Runs the sub-command.
    pub fn execute(self) -> Result<()> {
        for path in [&self.model, &self.client] {
            files::check_writable(path)?;
        }
        let plan = self.plan.as_deref().map(PlanFolder::read).transpose()?;
        let source = plan.as_ref().map_or_else(|| self.network.open(), PlanFolder::source)?;
        let threads = rayon::current_num_threads();
        self.resources.memory.check_network(&source.network, threads)?;
        let config = plan.as_ref().map(PlanFolder::configuration).or(self.config);
        let config = config.context("there is neither --config nor --plan")?;
        let configuration = read_configuration(&config, &source)?;
        let variant = &configuration.variant;
        let candidate = Candidate {
            name: format!("variant {variant}"),
            model: Arc::new(source.model(variant)?),
            recorded_accuracy: source.accuracy(variant)?,
            configuration,
        };
        let params =
            candidate::parameters(&candidate.configuration, self.resources.allow_insecure)?;
        let tried = images::load(&source.network, None, TRIED, SEED)?;
        let plain = execute::plain_results(&candidate, &tried)?;
        cancel::check()?;
        let lowered = Checked::lower(&candidate, &params)?;
        let form = self.plaintexts.fitting(
            |form| lowered.program.memory(&(&params).into(), form).total_bytes(),
            self.resources.memory_limit(),
        );
        let some = tried.range(0..lowered.images.min(plain.len()));
        if some.is_empty() {
            bail!("there is no image to try it on");
        }
        let checked = Checked::new(&candidate, &params, lowered, &some, &plain)?;
        let errors = Some(checked.errors(&candidate, &params, &tried, &plain)?);
        let (spec, model) = checked.compile(&candidate, &params, form, errors)?;
        let write = |out: &mut dyn std::io::Write| Ok(model.write(out)?);
        files::write_streaming(&self.model, Readers::All, write)?;
        note_written(&self.model, &format!("what the server runs, plaintexts {}", form.name()));
        files::write_streaming(&self.client, Readers::All, |out| Ok(spec.write(out)?))?;
        note_written(&self.client, "what a client needs to know");
        let sizes = spec.sizes()?;
        note(format_args!(
            "evaluation keys will have {}, {} {}, its result {}; the server will need {}",
            show_bytes(sizes.evaluation_keys),
            match spec.images {
                1 => "an encrypted image".to_owned(),
                images => format!("a ciphertext's {images} images"),
            },
            show_bytes(sizes.upload),
            show_bytes(sizes.download),
            show_bytes(model.memory(form).total_bytes())
        ));
        if !params.is_secure() {
            note("the parameters are INSECURE: below 128-bit security");
        }
        Ok(())
    }
}
