//! Times primitives on request, so that a script can take turns between this engine and other libraries.
//!
//! ```sh
//! primitive_times               # the sets, as JSON
//! primitive_times C             # answers lines on standard input, on one thread
//! ```
//!
//! After one line that describes the set, each line `runs<TAB>primitive` is answered by a line of JSON: the
//! milliseconds of each run of each part of the primitive, and how they are to be reported (`marginal`: of two parts with
//! one and so many results, what is done once and each further result). The primitives are those of the benches;
//! `transform` is one forward transform of a limb, by this engine and by `tfhe-ntt`, with a 50-bit prime. A line
//! `check<TAB>primitive` is answered by the largest error of each part's result once decrypted.

mod check;
#[path = "../../benches/primitives/layers.rs"]
mod layers;
#[path = "../../benches/primitives/operations.rs"]
mod operations;
#[allow(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/primitives/primitive.rs"]
mod primitive;
#[allow(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/primitives/sets.rs"]
mod sets;
#[allow(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/primitives/work.rs"]
mod work;

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use engine::modulus::Modulus;
use engine::modulus::primes::ntt_primes;
use engine::ntt::NttTable;
use serde_json::{Value, json};
use tfhe_ntt::prime64::Plan;

use operations::OPERATIONS;
use primitive::{Primitive, Report};
use sets::{Keys, SETTINGS, Set, Setting};

/// Milliseconds of a run.
fn time(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e3
}

fn describe(setting: &Setting) -> Value {
    json!({
        "name": setting.name,
        "log_n": setting.log_n,
        "limbs": setting.limbs,
        "special": setting.special,
        "digit_limbs": setting.digit_limbs,
        "bits": setting.bits,
    })
}

/// A primitive of the benches, ready to run.
fn find<'a>(set: &'a Set<'a>, name: &str) -> Result<Primitive<'a>, Box<dyn Error>> {
    let found = OPERATIONS.iter().find(|(operation, _)| *operation == name);
    let (_, make) = found.ok_or_else(|| format!("no primitive is called {name}"))?;
    Ok(make(set)?)
}

/// Times one primitive; nothing is counted of a first run.
fn primitive(set: &Set<'_>, name: &str, runs: usize) -> Result<Value, Box<dyn Error>> {
    let mut primitive = find(set, name)?;
    for part in &mut primitive.parts {
        (part.run)()?;
    }
    let mut times = vec![Vec::with_capacity(runs); primitive.parts.len()];
    for _ in 0..runs {
        for (part, times) in primitive.parts.iter_mut().zip(&mut times) {
            times.push(time(|| drop(black_box((part.run)()))));
        }
    }
    let names: Vec<&str> = primitive.parts.iter().map(|part| part.name.as_str()).collect();
    Ok(match primitive.report {
        Report::Share(count) => json!({ "names": names, "times": times, "share": count }),
        Report::Marginal(count) => json!({ "names": names, "times": times, "marginal": count }),
    })
}

/// The largest error of each part of a primitive.
fn errors(set: &Set<'_>, name: &str) -> Result<Value, Box<dyn Error>> {
    let mut checks = Vec::new();
    for part in &mut find(set, name)?.parts {
        let found = check::check(set, part)?;
        let found = found.ok_or_else(|| format!("no result is known for {}", part.name))?;
        checks.push(json!({
            "name": part.name, "error": found.error, "log_scale": found.log_scale
        }));
    }
    Ok(json!({ "checks": checks }))
}

/// Times this engine's transform and that of `tfhe-ntt`, several at a time, in turn.
fn transform(log_n: u32, runs: usize) -> Result<Value, Box<dyn Error>> {
    const TIMES: usize = 16;
    let prime = ntt_primes(50, log_n, 1, &[])?[0];
    let table = NttTable::new(Modulus::new(prime)?, log_n)?;
    let plan = Plan::try_new(table.n(), prime).ok_or("tfhe-ntt does not take the prime")?;
    let mut limb: Vec<u64> = (0..table.n() as u64).collect();
    let mut times = vec![Vec::new(); 2];
    for _ in 0..runs {
        times[0].push(time(|| (0..TIMES).for_each(|_| table.forward(black_box(&mut limb)))));
        times[1].push(time(|| (0..TIMES).for_each(|_| plan.fwd(black_box(&mut limb)))));
    }
    Ok(json!({ "names": ["transform", "transform, tfhe-ntt"], "times": times, "share": TIMES }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(wanted) = std::env::args().nth(1) else {
        println!("{}", Value::from_iter(SETTINGS.iter().map(describe)));
        return Ok(());
    };
    // This thread is the pool.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let setting = SETTINGS.iter().find(|setting| setting.name == wanted);
    let setting = setting.ok_or_else(|| format!("no set is called {wanted}"))?;
    let keys = Keys::new(setting)?;
    let set = Set::new(&keys, setting.limbs)?;
    let names: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    let isa = engine::kernels::isa()?;
    println!(
        "{}",
        json!({
            "set": describe(setting), "isa": isa, "primitives": names,
            "log_scale": set.plaintext.scale.log2(),
        })
    );
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (runs, name) = line.split_once('\t').ok_or("expected runs, a tabulator, and a name")?;
        let answer = match (runs, name) {
            ("check", name) => errors(&set, name)?,
            (runs, "transform") => transform(setting.log_n, runs.parse()?)?,
            (runs, name) => primitive(&set, name, runs.parse()?)?,
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
