//! Two threads against one, over independent ciphertexts.

use std::hint::black_box;

use criterion::Criterion;
use engine::cipher::Ciphertext;
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;

use crate::fail;
use crate::record::{Run, in_turn};
use crate::sets::Set;

/// Independent ciphertexts.
const CIPHERTEXTS: usize = 16;

/// Sixteen results of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The primitive.
    pub primitive: &'static str,
    /// The set.
    pub set: String,
    /// Least milliseconds of one thread for all.
    pub one_min_ms: f64,
    /// Median milliseconds of one thread.
    pub one_median_ms: f64,
    /// Least milliseconds of two threads for all.
    pub two_min_ms: f64,
    /// Median milliseconds of two threads.
    pub two_median_ms: f64,
}

/// Times rotations and rescales; `set` is made only if any of them runs.
pub fn bench<'a>(criterion: &mut Criterion, name: &str, set: &dyn Fn() -> &'a Set<'a>) -> Vec<Row> {
    let rotate: fn(&Set<'_>, &Ciphertext) =
        |set, ct| drop(black_box(set.keys.evaluator.rotate(ct, 1)));
    let rescale: fn(&Set<'_>, &Ciphertext) =
        |set, ct| drop(black_box(set.keys.evaluator.rescale(ct)));
    let mut rows = Vec::new();
    for (primitive, run) in [("rotate", rotate), ("rescale", rescale)] {
        let title = format!("two threads, {CIPHERTEXTS} times {primitive}");
        let times = in_turn(criterion, &title, name, || runs(set(), run));
        if let &[one, two] = times.as_slice() {
            rows.push(Row {
                primitive,
                set: name.to_owned(),
                one_min_ms: one.least * 1e3,
                one_median_ms: one.median * 1e3,
                two_min_ms: two.least * 1e3,
                two_median_ms: two.median * 1e3,
            });
        }
    }
    rows
}

/// All ciphertexts in a pool of one thread, and in one of two.
fn runs<'a>(set: &'a Set<'a>, run: fn(&Set<'_>, &Ciphertext)) -> Vec<Run<'a>> {
    let work = move |pool: &ThreadPool, ciphertexts: &[Ciphertext]| {
        pool.install(|| ciphertexts.par_iter().for_each(|ct| run(set, ct)));
    };
    let pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap_or_else(|error| fail(error))
    };
    [1, 2]
        .map(|threads| {
            let ciphertexts = vec![set.ciphertexts[0].clone(); CIPHERTEXTS];
            let pool = pool(threads);
            Box::new(move || work(&pool, &ciphertexts)) as Run<'a>
        })
        .into()
}
