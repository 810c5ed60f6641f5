//! The command line: sub-commands, options and their help.

mod calibrate;
mod compare;
mod compile;
mod decrypt;
mod demo;
mod encrypt;
mod evaluate;
mod export;
mod infer;
mod keygen;
mod merge;
mod options;
mod parties;
mod plans;
mod run;
mod search;
mod units;
mod validate;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use calibrate::CalibrateArgs;
pub use compare::CompareArgs;
pub use compile::CompileArgs;
pub use decrypt::DecryptArgs;
pub use demo::DemoArgs;
pub use encrypt::EncryptArgs;
pub use evaluate::EvaluateArgs;
pub use infer::InferArgs;
pub use keygen::KeygenArgs;
pub use merge::MergeArgs;
pub use options::{
    FamilyArg, MachineArgs, MemoryArgs, NetworkArgs, PatternArgs, RefineArgs, ResourceArgs,
    SearchArgs,
};
pub use parties::ClientArgs;
pub use run::RunArgs;
pub use search::SearchCommandArgs;
pub use units::UnitsArgs;
pub use validate::ValidateArgs;

/// CNN inference on encrypted images with CKKS: measure this machine, find the fastest configuration, run it.
///
/// `calibrate` times the operations of the encryption engine on this machine and fits a cost model. `search` prices
/// the ways of computing a network with that model and finds the fastest. `run` executes it on really encrypted
/// images and prints the measured beside the predicted time, layer by layer, and the speed-up over dense baselines
/// executed in the same run. `demo` does all three on a small network. `evaluate` classifies without encryption; `units`
/// says which weights to prune together, and `validate` how good the predictions are. `merge` puts the journals of a search
/// on several machines together.
///
/// `compile`, `keygen`, `encrypt`, `infer` and `decrypt` are the steps of `run` as programs of two parties: a client, who has
/// images and the secret key, and a server, who has the network.
#[derive(Debug, Parser)]
#[command(name = "spencnn", version = version(), after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  spencnn demo                                     everything, on LeNet and generated digits
  spencnn calibrate --quick                        measure this machine (a minute and a half)
  spencnn search --network lenet --out best.toml   find the fastest configuration and keep it
  spencnn run --config best.toml --data ~/data --images 100
  spencnn compare --json > comparison.json         dense, grouped and pruned networks side by side
  spencnn evaluate --data ~/data                   accuracy without encryption
  spencnn units --config best.toml --out units.safetensors
                                                   which weights to prune together
  spencnn validate --network lenet                 how good are the predictions of whole runs?

Two parties, with files between them (or pipes: - is standard input or output):
  spencnn compile --config best.toml               the server: model.spencnn to keep, client.spencnn to give away
  spencnn keygen                                   the client: secret.key to keep, evaluation.keys to send
  spencnn encrypt --out digit.images               the client
  spencnn infer digit.images --out digit.results   the server
  spencnn decrypt digit.results                    the client

Exit codes: 0 success; 1 a check failed (a class differs, too little precision, a bound exceeded); 2 wrong usage or input;
130 interrupted (what was finished is printed). Results go to standard output, everything else to standard error.";

#[derive(Debug, Subcommand)]
enum Command {
    Calibrate(CalibrateArgs),
    Search(SearchCommandArgs),
    Merge(MergeArgs),
    Run(RunArgs),
    Demo(DemoArgs),
    Compare(CompareArgs),
    Evaluate(EvaluateArgs),
    Units(UnitsArgs),
    Validate(ValidateArgs),
    Compile(CompileArgs),
    Keygen(KeygenArgs),
    Encrypt(EncryptArgs),
    Infer(InferArgs),
    Decrypt(DecryptArgs),
}

fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (revision ", env!("SPENCNN_REVISION"), ")")
}

impl Cli {
    /// Carries out the command.
    pub fn execute(self) -> Result<()> {
        // Forced kernels that cannot be had are an error whatever the command.
        engine::kernels::isa()?;
        match self.command {
            Command::Calibrate(args) => args.execute(),
            Command::Search(args) => args.execute(),
            Command::Merge(args) => args.execute(),
            Command::Run(args) => args.execute(),
            Command::Demo(args) => args.execute(),
            Command::Compare(args) => args.execute(),
            Command::Evaluate(args) => args.execute(),
            Command::Units(args) => args.execute(),
            Command::Validate(args) => args.execute(),
            Command::Compile(args) => args.execute(),
            Command::Keygen(args) => args.execute(),
            Command::Encrypt(args) => args.execute(),
            Command::Infer(args) => args.execute(),
            Command::Decrypt(args) => args.execute(),
        }
    }
}
