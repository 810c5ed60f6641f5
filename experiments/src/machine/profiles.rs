//! Calibration profiles: where this machine's is kept, and the cost model made of it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use costmodel::load::pace;
use costmodel::{CostModel, Machine, Profile};

use crate::process::output::note;

/// A name for a CPU that can be part of a file name: `intel-xeon-platinum-8488c`.
pub fn slug(cpu: &str) -> String {
    let cleaned = cpu.to_ascii_lowercase().replace("(r)", "").replace("(tm)", "");
    let words: Vec<&str> =
        cleaned.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    if words.is_empty() { "unknown".into() } else { words.join("-") }
}

/// Folder of the user's own files: `$SPENCNN_HOME`, or else `~/.spencnn`.
pub fn home() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("SPENCNN_HOME").or_else(|| set("HOME").map(|home| home.join(".spencnn"))).ok_or_else(|| {
        anyhow!("neither SPENCNN_HOME nor HOME is set, so there is no folder for profiles; set one")
    })
}

/// Where the profile of a machine is kept.
pub fn default_path(machine: &Machine) -> Result<PathBuf> {
    Ok(home()?.join("profiles").join(format!("{}.toml", slug(&machine.cpu))))
}

/// Where times of programs measured on a machine are kept, beside its profile.
pub fn refined_path(machine: &Machine) -> Result<PathBuf> {
    Ok(default_path(machine)?.with_extension("refined.jsonl"))
}

/// The profile named, or else the one kept for this machine, or else one in `./profiles`; none if there is none. A named one
/// that was measured with other kernels than this process runs is an error; others are passed over, and that is told.
pub fn find(machine: &Machine, named: Option<&Path>) -> Result<Option<Calibration>> {
    if let Some(path) = named {
        let calibration = Calibration::load(path)?;
        if let Some(reason) = calibration.other_kernels(machine) {
            bail!("{reason}; calibrate with these, name another profile, or set SPENCNN_ISA");
        }
        calibration.tell_pace(machine);
        return Ok(Some(calibration));
    }
    let shipped = Path::new("profiles").join(format!("{}.toml", slug(&machine.cpu)));
    for path in [default_path(machine)?, shipped] {
        if !path.is_file() {
            continue;
        }
        let calibration = Calibration::load(&path)?;
        match calibration.other_kernels(machine) {
            Some(reason) => note(format_args!("passing over a profile: {reason}")),
            None => {
                calibration.tell_pace(machine);
                return Ok(Some(calibration));
            }
        }
    }
    Ok(None)
}

/// [`find`], where there must be one.
///
/// # Errors
/// Those of reading it; how to make one if there is none.
pub fn needed(machine: &Machine, named: Option<&Path>) -> Result<Calibration> {
    find(machine, named)?.ok_or_else(|| {
        anyhow!(
            "there is no calibration profile for this machine ({}); make one with `spencnn calibrate --quick`, or name \
             one with --profile",
            machine.cpu
        )
    })
}

/// A profile that was read, and where from.
#[derive(Debug, Clone)]
pub struct Calibration {
    /// The file.
    pub path: PathBuf,
    /// Its contents.
    pub profile: Profile,
}

impl Calibration {
    /// Reads a profile.
    pub fn load(path: &Path) -> Result<Self> {
        let profile = Profile::load(path)
            .context("reading the calibration profile; `spencnn calibrate` makes one")?;
        Ok(Self { path: path.to_owned(), profile })
    }

    /// Lets this process know how fast its cores are undisturbed, if they are those that were measured.
    fn tell_pace(&self, machine: &Machine) {
        if self.profile.machine.cpu == machine.cpu {
            pace::tell(&self.profile.paces);
        }
    }

    /// In words, that it was measured with other kernels than those of `machine`, if so.
    fn other_kernels(&self, machine: &Machine) -> Option<String> {
        let measured = &self.profile.machine.isa;
        (*measured != machine.isa).then(|| {
            format!(
                "{} was measured with the {measured} kernels, and this process runs the {} ones",
                self.path.display(),
                machine.isa
            )
        })
    }

    /// What predicts, as calibrated.
    pub fn cost(&self, threads: usize) -> Result<Cost> {
        let model = CostModel::from_profile(&self.profile)?;
        let Profile { machine, date, refitted_by, .. } = &self.profile;
        let refitted =
            refitted_by.as_ref().map_or(String::new(), |by| format!(", refitted by {by}"));
        let name = format!("{}, {}, {date}{refitted}", machine.cpu, machine.isa);
        Ok(Cost { model, threads, source: self.path.display().to_string(), name })
    }
}

/// Predictions for one thread count.
#[derive(Debug, Clone)]
pub struct Cost {
    /// The model.
    pub model: CostModel,
    /// Threads.
    pub threads: usize,
    /// Where the profile came from.
    pub source: String,
    /// What tells this profile from others wherever it is kept: machine, date, and who fitted it again.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        assert_eq!(slug("Intel(R) Xeon(R) Platinum 8488C"), "intel-xeon-platinum-8488c");
        assert_eq!(slug("AMD EPYC 9R14 @ 2.6 GHz"), "amd-epyc-9r14-2-6-ghz");
        assert_eq!(slug("../.."), "unknown");
    }

    #[test]
    fn a_file_that_is_no_profile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.toml");
        std::fs::write(&path, "hello = 1").unwrap();
        let error = format!("{:#}", Calibration::load(&path).unwrap_err());
        assert!(error.contains("spencnn calibrate") && error.contains("p.toml"), "{error}");
    }
}
