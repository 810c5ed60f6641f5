//! Many images: as many at a time as one likes, each on its share of the threads.

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
    /// An image.
    Image(Vec<Ciphertext>),
}

/// Reads a stream some images at a time.
struct Rounds<'a, R> {
    server: &'a Server,
    reader: R,
    /// Images that are still to come of the message that was begun.
    left: usize,
    /// Images at a time.
    at_once: usize,
}

impl<R: BufRead> Rounds<'_, R> {
    /// The next images, and what stands before them; nothing at the end of the stream.
    fn next(&mut self) -> Result<Vec<Item>> {
        let (mut items, mut images) = (Vec::new(), 0);
        while images < self.at_once {
            if self.left > 0 {
                items.push(Item::Image(self.server.images.read(&mut self.reader)?));
                self.left -= 1;
                images += 1;
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

impl Server {
    /// The same as [`Self::answer`], with `at_once` images at a time, each on its share of the threads of the current rayon
    /// pool, one at least. Takes less time for many images, and more for each; memory as
    /// [`super::CompiledModel::batch_bytes`] says. While images are computed, as many are read: who sends some must not wait
    /// for their results before sending more.
    ///
    /// # Errors
    /// Those of [`Self::answer`]; the system's where it gives no threads.
    pub fn answer_batch<E: From<Error>>(
        &self,
        reader: impl BufRead,
        mut writer: impl Write,
        at_once: usize,
        mut finished: impl FnMut(&Execution) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let at_once = at_once.max(1);
        let threads = (rayon::current_num_threads() / at_once).max(1);
        let pools = (0..at_once).map(|_| pool(threads)).collect::<Result<Vec<_>>>()?;
        let mut rounds = Rounds { server: self, reader, left: 0, at_once };
        let mut next = rounds.next()?;
        while !next.is_empty() {
            let (mut messages, mut images) = (Vec::new(), Vec::new());
            for item in next {
                match item {
                    // It stands before the image that comes next.
                    Item::Message(count) => messages.push((images.len(), count)),
                    Item::Image(image) => images.push(image),
                }
            }
            let (executions, read) = self.round(images, &pools, || rounds.next());
            let mut messages = messages.into_iter().peekable();
            let mut begin = |writer: &mut _, image: usize| -> Result<()> {
                while let Some((_, count)) = messages.next_if(|(before, _)| *before <= image) {
                    self.results.begin(&mut *writer, count)?;
                }
                Ok(())
            };
            for (k, execution) in executions.into_iter().enumerate() {
                begin(&mut writer, k)?;
                let execution = execution?;
                self.write_result(&mut writer, &execution)?;
                finished(&execution)?;
            }
            begin(&mut writer, usize::MAX)?;
            next = read?;
        }
        Ok(())
    }

    /// Runs each image in a pool of its own, and something else meanwhile.
    fn round<T>(
        &self,
        images: Vec<Vec<Ciphertext>>,
        pools: &[ThreadPool],
        meanwhile: impl FnOnce() -> T,
    ) -> (Vec<Result<Execution>>, T) {
        thread::scope(|scope| {
            let mut running = Vec::with_capacity(images.len());
            for (image, pool) in images.into_iter().zip(pools) {
                running.push(scope.spawn(move || pool.install(|| self.infer(image))));
            }
            let other = meanwhile();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            (running.into_iter().map(join).collect(), other)
        })
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
        let source = std::io::Error::other(error);
        Error::Engine(engine::Error::Io { what: "starting threads", source })
    })
}
