//! Many images: as many inferences at a time as one likes, each on its share of the threads.

use std::io::{BufRead, Write};
use std::thread;

use engine::cipher::Ciphertext;
use rayon::{ThreadPool, ThreadPoolBuilder};
use simulator::interpret::Execution;

use super::Server;
use crate::{Error, Result};

/// What a stream holds, in its order.
enum Item {
    /// A message of so many images begins.
    Message(usize),
    /// Ciphertexts, and how many images they hold.
    Images(Vec<Ciphertext>, usize),
}

/// Reads a stream, the ciphertexts of some inferences at a time.
struct Rounds<'a, R> {
    server: &'a Server,
    reader: R,
    /// Images that are still to come of the message that was begun.
    left: usize,
    /// Inferences at a time.
    at_once: usize,
}

impl<R: BufRead> Rounds<'_, R> {
    /// The ciphertexts of the next inferences, and what stands before them; nothing at the end of the stream.
    fn next(&mut self) -> Result<Vec<Item>> {
        let (mut items, mut inferences) = (Vec::new(), 0);
        while inferences < self.at_once {
            if self.left > 0 {
                let images = &self.server.images;
                let (ciphertexts, count) = images.read(&mut self.reader, &mut self.left)?;
                items.push(Item::Images(ciphertexts, count));
                inferences += 1;
                continue;
            }
            match self.server.images.open(&mut self.reader)? {
                Some(count) => {
                    self.left = count;
                    items.push(Item::Message(count));
                }
                None => break,
            }
        }
        Ok(items)
    }
}

/// Threads for some inferences at a time.
pub struct Lanes {
    pools: Vec<ThreadPool>,
}

impl Lanes {
    /// `at_once` shares, one at least, of the threads of the current rayon pool, of one thread at least.
    ///
    /// # Errors
    /// The system's, where it gives no threads.
    pub fn new(at_once: usize) -> Result<Self> {
        let at_once = at_once.max(1);
        let threads = (rayon::current_num_threads() / at_once).max(1);
        Ok(Self { pools: (0..at_once).map(|_| pool(threads)).collect::<Result<_>>()? })
    }

    /// Inferences at a time.
    pub fn at_once(&self) -> usize {
        self.pools.len()
    }

    /// Runs the network on the ciphertexts of up to [`Self::at_once`] inferences, each on its share of the threads, and
    /// something else meanwhile. Of more inferences, there are no results.
    pub fn infer<T>(
        &self,
        server: &Server,
        all: Vec<Vec<Ciphertext>>,
        meanwhile: impl FnOnce() -> T,
    ) -> (Vec<Result<Execution>>, T) {
        thread::scope(|scope| {
            let mut running = Vec::with_capacity(all.len());
            for (ciphertexts, pool) in all.into_iter().zip(&self.pools) {
                running.push(scope.spawn(move || pool.install(|| server.infer(ciphertexts))));
            }
            let other = meanwhile();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            (running.into_iter().map(join).collect(), other)
        })
    }
}

impl Server {
    /// The same as [`Self::answer`], with `at_once` inferences at a time, as [`Lanes`] runs them. Takes less time for many
    /// images, and more for each; memory as [`super::CompiledModel::batch_bytes`] says. While some are computed, as many are
    /// read: who sends images must not wait for their results before sending more.
    ///
    /// # Errors
    /// Those of [`Self::answer`] and [`Lanes::new`].
    pub fn answer_batch<E: From<Error>>(
        &self,
        reader: impl BufRead,
        mut writer: impl Write,
        at_once: usize,
        mut finished: impl FnMut(&Execution, usize) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let lanes = Lanes::new(at_once)?;
        let mut rounds = Rounds { server: self, reader, left: 0, at_once: lanes.at_once() };
        let mut next = rounds.next()?;
        while !next.is_empty() {
            let (mut messages, mut counts, mut all) = (Vec::new(), Vec::new(), Vec::new());
            for item in next {
                match item {
                    // It stands before the ciphertexts that come next.
                    Item::Message(count) => messages.push((all.len(), count)),
                    Item::Images(ciphertexts, images) => {
                        all.push(ciphertexts);
                        counts.push(images);
                    }
                }
            }
            let (executions, read) = lanes.infer(self, all, || rounds.next());
            let mut messages = messages.into_iter().peekable();
            let mut begin = |writer: &mut _, next: usize| -> Result<()> {
                while let Some((_, count)) = messages.next_if(|(before, _)| *before <= next) {
                    self.results.begin(&mut *writer, count)?;
                }
                Ok(())
            };
            for (k, (execution, images)) in executions.into_iter().zip(counts).enumerate() {
                begin(&mut writer, k)?;
                let execution = execution?;
                self.write_result(&mut writer, &execution)?;
                finished(&execution, images)?;
            }
            begin(&mut writer, usize::MAX)?;
            next = read?;
        }
        Ok(())
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
        let source = std::io::Error::other(error);
        Error::Engine(engine::Error::Io { what: "starting threads", source })
    })
}
