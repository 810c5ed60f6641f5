//! `spencnn calibrate --export`: predicted latencies for other programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use costmodel::orbit::OrbitModel;
use costmodel::{Profile, Setting};
use engine::params::{Parameters, ParametersLiteral, limits};
use simulator::chain::Chain;

use super::options::finite;
use crate::process::{files, output};

/// What to make of a profile besides.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Export")]
pub struct ExportArgs {
    /// Also write a table of latencies, predicted from the profile: for FORMAT `heir-orbit`, that of
    /// `--ilp-bootstrap-placement=orbit-cost-model=FILE` of the HEIR compiler, microseconds by level
    #[arg(long, num_args = 2, value_names = ["FORMAT", "FILE"], action = clap::ArgAction::Set,
        requires_all = ["log_n", "levels"])]
    export: Option<Vec<OsString>>,
    /// Export from a profile that is there, and measure nothing [without FILE: this machine's]
    #[arg(long, value_name = "FILE", num_args = 0..=1, requires = "export",
        conflicts_with_all = ["quick", "full", "out", "threads", "json"])]
    pub profile: Option<Option<PathBuf>>,
    /// Base-2 logarithm of the table's ring degree
    #[arg(long, value_name = "LOG2", requires = "export",
        value_parser = clap::value_parser!(u32).range(i64::from(limits::MIN_LOG_N)..=i64::from(limits::MAX_LOG_N)))]
    log_n: Option<u32>,
    /// Highest level of the table, which begins with level 1 (two primes)
    #[arg(long, value_name = "N", requires = "export",
        value_parser = clap::value_parser!(u16).range(1..=limits::MAX_LEVELS as i64))]
    levels: Option<u16>,
    /// Special primes
    #[arg(long, value_name = "N", requires = "export", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=limits::MAX_SPECIAL as i64))]
    special: u16,
    /// Limbs of a key-switching digit: there are as many digits as that takes
    #[arg(long, value_name = "N", requires = "export", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=limits::MAX_LEVELS as i64 + 1))]
    alpha: u16,
    /// Bits of every prime
    #[arg(long, value_name = "BITS", requires = "export", default_value_t = 40,
        value_parser = clap::value_parser!(u32).range(20..=i64::from(limits::MAX_PRIME_BITS)))]
    prime_bits: u32,
    /// Threads that compute in the table [default: the most that were measured]
    #[arg(long, value_name = "N", requires = "export", value_parser = clap::value_parser!(u16).range(1..=1024))]
    export_threads: Option<u16>,
    /// Time of a bootstrap in microseconds, measured elsewhere: the engine has none, and HEIR takes no table without
    #[arg(long, value_name = "US", requires = "export", value_parser = positive, allow_hyphen_values = true)]
    bootstrap_us: Option<f64>,
}

/// A finite number above zero.
fn positive(text: &str) -> Result<f64, String> {
    let value = finite(text)?;
    if value > 0.0 { Ok(value) } else { Err(format!("found {text:?}, expected a number above 0")) }
}

/// Forms of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The HEIR compiler's
    HeirOrbit,
}

/// A table that can be written, still without its numbers.
#[derive(Debug)]
pub struct Export {
    format: Format,
    file: PathBuf,
    /// Its parameters and the threads asked for, if any.
    chain: Chain,
    threads: Option<usize>,
    bootstrap_us: Option<f64>,
}

impl ExportArgs {
    /// The export asked for, if any: its parameters are checked, and that the file can be written.
    ///
    /// # Errors
    /// For an unknown format, for parameters that the engine does not have or that are not secure, and for a file that
    /// cannot be written.
    pub fn prepare(&self) -> Result<Option<Export>> {
        let (Some([format, file]), Some(log_n), Some(levels)) =
            (self.export.as_deref(), self.log_n, self.levels)
        else {
            return Ok(None);
        };
        let known = |name: &str| Format::from_str(name, false).ok();
        let format = format.to_str().and_then(known).ok_or_else(|| {
            let names = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
            anyhow!("--export: found format {format:?}, expected {}", names.join(", "))
        })?;
        let literal = ParametersLiteral::uniform(
            log_n,
            self.prime_bits,
            self.prime_bits,
            usize::from(levels),
            (usize::from(self.special), self.prime_bits),
            usize::from(self.alpha),
        );
        let params = literal.and_then(|literal| Parameters::new(&literal));
        let chain = Chain::from(&params.context("the parameters of the table")?);
        files::check_writable(Path::new(file))?;
        Ok(Some(Export {
            format,
            file: file.into(),
            chain,
            threads: self.export_threads.map(usize::from),
            bootstrap_us: self.bootstrap_us,
        }))
    }
}

impl Export {
    /// Predicts the table from a profile and writes it.
    ///
    /// # Errors
    /// For a time of a bootstrap that is none, and those of writing.
    pub fn write(&self, profile: &Profile) -> Result<()> {
        let most = profile.fits.iter().map(|fit| fit.threads).max();
        let threads = self.threads.or(most).unwrap_or(1);
        let setting: Setting = self.chain.setting(self.chain.levels(), threads);
        let text = match self.format {
            Format::HeirOrbit => {
                let table = OrbitModel::predict(profile, &setting, self.bootstrap_us)?;
                if table.latency_table.bootstrap.is_none() {
                    output::note(
                        "the engine has no bootstrap, so the table says null, which HEIR does not take; --bootstrap-us \
                         gives it one that was measured elsewhere",
                    );
                }
                output::json(&table)?
            }
        };
        files::write_atomically(&self.file, text.as_bytes())?;
        output::note(format_args!("latencies written to {}", self.file.display()));
        Ok(())
    }
}
