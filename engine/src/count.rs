//! Counting what the engine does: the calls of its kernels, and the words and bytes of each.
//!
//! Nothing is counted, and nothing is slower, unless [`count`] is at work.

use rayon::ThreadPoolBuilder;

use crate::kernels::counting;
use crate::{Error, Result};

pub use crate::kernels::counting::{Amount, Call, Counts, Kernel};

/// Executes `work` in a pool of so many threads of its own, and counts what kernels do on these threads. What others do
/// meanwhile, in pools that `work` makes too, is not counted, though it is slower.
///
/// # Errors
/// [`Error::Argument`] for no threads, or more than the system gives.
pub fn count<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<(T, Counts)> {
    let refused = |expected: String| Error::argument("threads to count on", threads, expected);
    if threads == 0 {
        return Err(refused("at least 1".into()));
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.start_handler(|_| counting::listen()).build();
    let pool = pool.map_err(|error| refused(format!("as many as the system gives ({error})")))?;
    let counting = counting::start();
    let result = pool.install(work);
    drop(counting);
    let mut counts = Counts::default();
    pool.broadcast(|_| counting::heard()).into_iter().for_each(|heard| counts.merge(heard));
    Ok((result, counts))
}
