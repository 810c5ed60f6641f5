//! Latencies by level, for the placement of bootstraps by integer programming after Orbit in the HEIR compiler.
//!
//! The form is what `--ilp-bootstrap-placement="orbit-cost-model=PATH"` reads, told in
//! `lib/Transforms/ILPBootstrapPlacement/README.md` and read by `ILPBootstrapPlacement.cpp` beside it, of
//! `https://github.com/google/heir` at commit `ae757edc0d670abee3cb6aa13c5cfd584e5934db`: an object `latencyTable` that has an
//! array for each operation, in microseconds, whose entry `i` is for level `i + 1`. Levels are counted as ours are, by the
//! rescales that are left: at level 1 there are two primes. All names are required; what else stands beside the table is not
//! read.
//!
//! Every number is the cost model's for operations of the engine, each with its keys and plaintexts read from memory.

use serde::{Deserialize, Serialize};

use crate::check::{MAX_NS, at, within};
use crate::error::{Error, Result};
use crate::model::CostModel;
use crate::primitive::{LinearShape, Primitive, Setting};
use crate::profile::Profile;

/// Microseconds of a millisecond.
const US_PER_MS: f64 = 1e3;

/// Longest time, in microseconds.
const MAX_US: f64 = MAX_NS / 1e3;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrbitModel {
    /// What the compiler reads.
    pub latency_table: LatencyTable,
    /// What the table was made of, for people.
    pub source: Source,
}

/// Microseconds of every operation, at level 1 first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyTable {
    /// Sum or difference of ciphertexts.
    pub add_ct_ct: Vec<f64>,
    /// A plaintext added to a ciphertext in place.
    pub add_ct_pt: Vec<f64>,
    /// Product of ciphertexts, relinearised, not rescaled.
    pub mul_ct_ct: Vec<f64>,
    /// Product with a plaintext, not rescaled.
    pub mul_ct_pt: Vec<f64>,
    /// Rotation, with its key switching.
    pub rotate: Vec<f64>,
    /// Negation. The engine has none of its own: a subtraction from zero.
    pub negate: Vec<f64>,
    /// Rescale from that level to the one below.
    pub rescale: Vec<f64>,
    /// Bootstrap. The engine has none, so this is none unless the caller knows a time: that one is the highest level's, and
    /// zero stands for "not at this level" below. HEIR does not accept a table that has none.
    pub bootstrap: Option<Vec<f64>>,
}

/// Where a table comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// CPU of the profile.
    pub cpu: String,
    /// Kernels that it was measured with.
    pub isa: String,
    /// When the calibration ended, RFC 3339, UTC.
    pub date: String,
    /// Revision of the program that measured.
    pub revision: String,
    /// Parameters and threads; the level is the highest.
    pub setting: Setting,
}

impl OrbitModel {
    /// The table of levels 1 to that of `top`, with all else as in `top`, as a profile predicts it. `bootstrap_us` is the time
    /// of a bootstrap in microseconds, where the caller has one.
    ///
    /// # Errors
    /// [`Error::Table`] for a highest level of zero or parameters beyond the engine's limits, and for a time of a bootstrap
    /// that is not above zero and at most a day; [`Error::Inconsistent`] for a profile without fits.
    pub fn predict(profile: &Profile, top: &Setting, bootstrap_us: Option<f64>) -> Result<Self> {
        top.check()
            .and_then(|()| within("highest level", top.level, 1..=top.level.max(1)))
            .and_then(|()| {
                let positive = |us| within("microseconds", us, f64::MIN_POSITIVE..=MAX_US);
                bootstrap_us.map_or(Ok(()), |us| at("bootstrap", positive(us)))
            })
            .map_err(Error::Table)?;
        let model = CostModel::from_profile(profile)?;
        let latencies = |primitive: Primitive| -> Vec<f64> {
            let setting = |level| Setting { level, ..*top };
            let us = |level| model.predict(&primitive, &setting(level)).median_ms * US_PER_MS;
            (1..=top.level).map(us).collect()
        };
        let add_ct_ct = latencies(Primitive::Add);
        let bootstrap = bootstrap_us.map(|us| {
            let mut levels = vec![0.0; top.level];
            levels[top.level - 1] = us;
            levels
        });
        Ok(Self {
            latency_table: LatencyTable {
                negate: add_ct_ct.clone(),
                add_ct_ct,
                add_ct_pt: latencies(Primitive::AddPlain),
                mul_ct_ct: latencies(Primitive::Multiply { rescale: false }),
                mul_ct_pt: latencies(Primitive::Linear(LinearShape::TIMES_PLAINTEXT)),
                rotate: latencies(Primitive::RotateHoisted { rotations: 1 }),
                rescale: latencies(Primitive::Rescale),
                bootstrap,
            },
            source: Source {
                cpu: profile.machine.cpu.clone(),
                isa: profile.machine.isa.clone(),
                date: profile.date.clone(),
                revision: profile.revision.clone(),
                setting: *top,
            },
        })
    }
}
