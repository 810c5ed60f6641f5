//! The tables at the end, and the same as JSON.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io, process};

use serde::Serialize;

use crate::probe::{Bound, Probe};
use crate::record::Times;
use crate::work::Work;
use crate::{QUICK_VARIABLE, SETS_VARIABLE, scaling, transforms};

/// Names the file for the JSON; without it, it goes to the build folder.
const FILE_VARIABLE: &str = "SPENCNN_BENCH_JSON";

/// One primitive at one set.
pub struct Row {
    /// The primitive.
    pub primitive: String,
    /// The set, with the data limbs if they are not all.
    pub set: String,
    /// Ring degree.
    pub n: f64,
    /// Measured.
    pub times: Times,
    /// The work in it.
    pub work: Work,
    /// How many times this work one timed run does.
    pub results: usize,
    /// Seconds of one forward transform of a limb of this set.
    pub ntt_seconds: f64,
}

/// Everything that was measured.
#[derive(Default)]
pub struct Results {
    /// Transforms.
    pub transforms: Vec<transforms::Row>,
    /// Primitives.
    pub primitives: Vec<Row>,
    /// Two threads.
    pub scaling: Vec<scaling::Row>,
    /// Limits of the machine, the best of all times they were measured; none before anything ran.
    pub probe: Option<Probe>,
}

/// A row of primitives as it is written.
#[derive(Serialize)]
struct Written<'a> {
    primitive: &'a str,
    set: &'a str,
    min_ms: f64,
    median_ms: f64,
    /// Transforms of one limb.
    ntts: f64,
    /// Least time over that of so many transforms; none without transforms.
    over_ntts: Option<f64>,
    bound_ms: f64,
    bound_by: &'static str,
    /// Least time over the bound.
    over_bound: f64,
}

#[derive(Serialize)]
struct Document<'a> {
    cpu: String,
    isa: &'a str,
    revision: String,
    unix_seconds: u64,
    command: String,
    probe: &'a Probe,
    transforms: &'a [transforms::Row],
    primitives: &'a [Written<'a>],
    two_threads: &'a [scaling::Row],
}

impl Results {
    /// Whether anything ran at a set, at whatever level.
    pub fn ran(&self, set: &str) -> bool {
        self.primitives.iter().any(|row| row.set.starts_with(set))
            || self.scaling.iter().any(|row| row.set.starts_with(set))
    }

    /// Measures the limits of the machine once more.
    pub fn probe(&mut self) -> engine::Result<()> {
        let now = Probe::measure()?;
        self.probe = Some(match self.probe.take() {
            Some(before) => before.best(now),
            None => now,
        });
        Ok(())
    }

    /// Prints the tables and writes the JSON; tells where.
    pub fn publish(&self, probe: &Probe) -> io::Result<PathBuf> {
        let written: Vec<Written<'_>> =
            self.primitives.iter().map(|row| row.written(probe)).collect();
        print_probe(probe);
        if !self.transforms.is_empty() {
            print_transforms(&self.transforms, probe);
        }
        if !written.is_empty() {
            print_primitives(&written);
        }
        if !self.scaling.is_empty() {
            print_scaling(&self.scaling, probe);
        }
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let document = Document {
            cpu: cpu(),
            isa: engine::kernels::isa().map_err(std::io::Error::other)?,
            revision: revision(),
            unix_seconds: since_epoch.map_or(0, |d| d.as_secs()),
            command: command(),
            probe,
            transforms: &self.transforms,
            primitives: &written,
            two_threads: &self.scaling,
        };
        let path = env::var_os(FILE_VARIABLE).map_or_else(
            || Path::new(env!("CARGO_TARGET_TMPDIR")).join("primitives.json"),
            PathBuf::from,
        );
        fs::write(&path, serde_json::to_string_pretty(&document)? + "\n")?;
        Ok(path)
    }
}

/// How this was started: cargo itself hands `--bench` to a bench.
fn command() -> String {
    let variables = [SETS_VARIABLE, QUICK_VARIABLE].into_iter();
    let variables = variables.filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)));
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments = (!arguments.is_empty()).then(|| format!("-- {}", arguments.join(" ")));
    let command = std::iter::once("cargo bench -p spencnn-engine".to_owned());
    variables.chain(command).chain(arguments).collect::<Vec<_>>().join(" ")
}

impl Row {
    fn written(&self, probe: &Probe) -> Written<'_> {
        let Bound { seconds, by } = probe.bound(&self.work, self.n, self.results);
        let Work { ntts, .. } = self.work;
        let least = self.times.least;
        Written {
            primitive: &self.primitive,
            set: &self.set,
            min_ms: least * 1e3,
            median_ms: self.times.median * 1e3,
            ntts,
            over_ntts: (ntts > 0.0).then(|| least / (ntts * self.ntt_seconds)),
            bound_ms: seconds * 1e3,
            bound_by: by,
            over_bound: least / seconds,
        }
    }
}

fn print_probe(probe: &Probe) {
    println!(
        "\nLimits of one thread: {:.2} G butterflies/s, {:.2} G products/s; read L2 {:.1}, L3 {:.1}, memory {:.1} GB/s.",
        probe.butterflies / 1e9,
        probe.products / 1e9,
        probe.l2_bandwidth / 1e9,
        probe.l3_bandwidth / 1e9,
        probe.memory_bandwidth / 1e9
    );
    println!(
        "Two threads: {:.2} times the products, {:.2} times the memory bandwidth of one.\n",
        probe.two_thread_products / probe.products,
        probe.bandwidth_scaling()
    );
}

fn print_transforms(rows: &[transforms::Row], probe: &Probe) {
    let head =
        ["transform", "prime", "min us", "median", "tfhe-ntt", "median", "ours/tfhe", "/bound"];
    print_aligned(
        &head,
        rows.iter().map(|row| {
            let n = f64::from(row.log_n).exp2();
            let bound = probe.bound(&Work { ntts: 1.0, ..Work::default() }, n, 1).seconds * 1e6;
            vec![
                format!("{} 2^{}", row.direction, row.log_n),
                format!("{}-bit", row.bits),
                format!("{:.2}", row.min_us),
                format!("{:.2}", row.median_us),
                format!("{:.2}", row.peer_min_us),
                format!("{:.2}", row.peer_median_us),
                format!("{:.3}", row.min_us / row.peer_min_us),
                format!("{:.2}", row.min_us / bound),
            ]
        }),
    );
}

fn print_primitives(rows: &[Written<'_>]) {
    let head =
        ["primitive", "set", "min ms", "median", "NTTs", "/NTTs", "bound ms", "by", "/bound"];
    print_aligned(
        &head,
        rows.iter().map(|row| {
            vec![
                row.primitive.to_owned(),
                row.set.to_owned(),
                format!("{:.4}", row.min_ms),
                format!("{:.4}", row.median_ms),
                format!("{:.0}", row.ntts),
                row.over_ntts.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}")),
                format!("{:.4}", row.bound_ms),
                row.bound_by.to_owned(),
                format!("{:.2}", row.over_bound),
            ]
        }),
    );
}

fn print_scaling(rows: &[scaling::Row], probe: &Probe) {
    let head = [
        "16 times",
        "set",
        "1 thread ms",
        "median",
        "2 threads ms",
        "median",
        "speed-up",
        "bandwidth's",
    ];
    print_aligned(
        &head,
        rows.iter().map(|row| {
            vec![
                row.primitive.to_owned(),
                row.set.clone(),
                format!("{:.3}", row.one_min_ms),
                format!("{:.3}", row.one_median_ms),
                format!("{:.3}", row.two_min_ms),
                format!("{:.3}", row.two_median_ms),
                format!("{:.2}", row.one_min_ms / row.two_min_ms),
                format!("{:.2}", probe.bandwidth_scaling()),
            ]
        }),
    );
}

/// Columns as wide as their widest cell; the first one flush left, the others right.
fn print_aligned(head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut lines = vec![head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()];
    lines.extend(rows);
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for line in &lines {
        let mut text = format!("{:<1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            text += &format!("  {cell:>width$}");
        }
        println!("{}", text.trim_end());
    }
    println!();
}

/// Model name of the processor, where the operating system tells it.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown").to_owned()
}

/// The commit that is checked out; `unknown` outside a checkout.
fn revision() -> String {
    let output = process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let text = output.ok().filter(|output| output.status.success());
    text.map_or_else(|| "unknown".into(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}
