//! Every primitive at the parameter sets that other libraries are compared at, on one thread.
//!
//! ```sh
//! cargo bench -p spencnn-engine                                  # all, some minutes
//! cargo bench -p spencnn-engine -- 'rotate/C'                    # criterion's filter
//! SPENCNN_BENCH_SETS=A,C cargo bench -p spencnn-engine           # some sets
//! SPENCNN_BENCH_QUICK=1 cargo bench -p spencnn-engine            # rougher figures, a third of the time
//! ```
//!
//! Criterion's benchmarks are named `primitive/set`; `B.4` is set B at 4 data limbs. At the end come tables of all that ran:
//! least and median time, the transforms of a limb that the primitive contains and its time over theirs, and its time over a
//! lower bound for this machine (see `work.rs` for what is counted, `probe.rs` for the limits). The tables go as JSON to
//! the file that `SPENCNN_BENCH_JSON` names, by default to `primitives.json` in the `tmp` folder of the build folder.
//! Set F needs 5 GiB of memory.

mod layers;
mod operations;
mod primitive;
mod probe;
mod record;
mod registers;
mod scaling;
mod sets;
mod table;
mod transforms;
mod work;

use std::cell::OnceCell;
use std::env;
use std::fmt::Display;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use engine::Result;

use operations::OPERATIONS;
use primitive::{Part, Primitive, Report};
use record::{Run, Times, in_turn};
use sets::{Keys, SETTINGS, Set, Setting};
use table::{Results, Row};

/// Limits the sets, by their letters: `A,C`.
const SETS_VARIABLE: &str = "SPENCNN_BENCH_SETS";
/// Shortens everything if it is set.
const QUICK_VARIABLE: &str = "SPENCNN_BENCH_QUICK";
/// The set that two threads are tried on.
const SCALING_SET: &str = "C";

/// Ends the program: there is nobody to handle an error.
fn fail(error: impl Display) -> ! {
    eprintln!("{error}");
    std::process::exit(1)
}

/// What is timed of a part: the run, and freeing its result.
fn timed(mut part: Part<'_>) -> Run<'_> {
    Box::new(move || drop(black_box((part.run)().unwrap_or_else(|error| fail(error)))))
}

/// All primitives at all levels of a set.
fn bench_set(criterion: &mut Criterion, setting: &Setting, results: &mut Results) {
    let keys = OnceCell::new();
    let keys = || keys.get_or_init(|| Keys::new(setting).unwrap_or_else(|error| fail(error)));
    for (name, limbs) in setting.levels() {
        let cell = OnceCell::new();
        // Made when the first benchmark runs: there may be none.
        let set = || cell.get_or_init(|| Set::new(keys(), limbs).unwrap_or_else(|e| fail(e)));
        let mut rows = Vec::new();
        for (primitive, make) in OPERATIONS {
            let (mut labels, mut report) = (Vec::new(), Report::Share(1));
            let times = in_turn(criterion, primitive, &name, || {
                let made: Primitive<'_> = make(set()).unwrap_or_else(|error| fail(error));
                report = made.report;
                labels = made.parts.iter().map(|part| (part.name.clone(), part.work)).collect();
                made.parts.into_iter().map(timed).collect()
            });
            let least = report.apply(&times.iter().map(|t| t.least).collect::<Vec<_>>());
            let median = report.apply(&times.iter().map(|t| t.median).collect::<Vec<_>>());
            for ((primitive, work), (least, median)) in
                labels.into_iter().zip(least.into_iter().zip(median))
            {
                rows.push((primitive, work, report.count(), Times { least, median }));
            }
        }
        if name == SCALING_SET {
            results.scaling.extend(scaling::bench(criterion, &name, &set));
        }
        if !rows.is_empty() {
            let (n, ntt_seconds) =
                (keys().params.n() as f64, probe::transform_seconds(keys().params.table(0)));
            results.primitives.extend(rows.into_iter().map(|(primitive, work, results, times)| {
                Row { primitive, set: name.clone(), n, times, work, results, ntt_seconds }
            }));
        }
    }
    // At several times of the day: a busy moment is not to pass for the limit.
    if results.ran(setting.name) {
        results.probe().unwrap_or_else(|error| fail(error));
    }
}

fn bench(criterion: &mut Criterion) -> Result<Results> {
    let wanted = env::var(SETS_VARIABLE).ok();
    let wanted = |set: &str| wanted.as_ref().is_none_or(|w| w.split(',').any(|w| w.trim() == set));
    let mut results = Results { transforms: transforms::bench(criterion)?, ..Results::default() };
    if !results.transforms.is_empty() {
        results.probe()?;
    }
    for setting in SETTINGS.iter().filter(|setting| wanted(setting.name)) {
        bench_set(criterion, setting, &mut results);
    }
    Ok(results)
}

fn main() {
    // This thread is the pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    pool.unwrap_or_else(|error| fail(error));
    let milliseconds = if env::var_os(QUICK_VARIABLE).is_some() { [30, 100] } else { [150, 600] };
    let [warm_up, measurement] = milliseconds.map(Duration::from_millis);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .nresamples(2_000)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .configure_from_args();
    let results = bench(&mut criterion).unwrap_or_else(|error| fail(error));
    criterion.final_summary();
    let Some(probe) = &results.probe else { return };
    match results.publish(probe) {
        Ok(path) => println!("Written to {}", path.display()),
        Err(error) => fail(error),
    }
}
