//! Decoding one changed input after the other.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::format::{MOST_BYTES, Rng};
use crate::memory;
use crate::target::Target;
use crate::watch::Watch;

/// Most inputs that are kept of a target.
const MOST_KEPT: usize = 1000;
/// Inputs beyond which memory is `16` times as large.
const TIMES: usize = 16;

/// What is wrong with a decoder, and the input that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Number of the input.
    pub number: u64,
    /// In words; the same for inputs that show the same.
    pub fault: String,
    /// The input.
    pub input: Vec<u8>,
}

/// What a decoder said of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Nothing: it is accepted.
    Accepted,
    /// Why it is refused.
    Refused(String),
    /// A fault: a panic, too much memory, too much time.
    Fault(String),
}

/// A target, and what is known of it.
pub struct Fuzzer {
    target: Box<dyn Target>,
    seed: u64,
    /// Seeds, and inputs that were accepted.
    good: Vec<Vec<u8>>,
    /// Inputs to which something new was said.
    kept: Vec<Vec<u8>>,
    /// Where kept inputs are, for later processes.
    folder: Option<PathBuf>,
    said: BTreeSet<u64>,
    /// Number of the next input.
    pub next: u64,
    /// Inputs that were accepted.
    pub accepted: u64,
    /// Time that all took.
    pub time: Duration,
    /// Faults, each once.
    pub findings: Vec<Finding>,
}

/// Where the last panic was, of whichever thread, and what it said.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Keeps what panics say, and prints nothing.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if Watch::shared().is_idle() {
                return usual(info);
            }
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
            let said = info.payload_as_str().unwrap_or("no words");
            let text = format!("panic at {}: {said}", place.unwrap_or_default());
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }));
    });
}

/// What is the same of messages about other numbers and names.
fn kind_of(text: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    let mut quoted = false;
    // Names of temporary folders, too, are within the first few characters or quoted.
    for c in text.chars().filter(|c| !c.is_ascii_digit()).take(400) {
        quoted ^= c == '"';
        if !quoted && (c.is_ascii_alphabetic() || c == ' ') {
            c.hash(&mut hash);
        }
    }
    hash.finish()
}

impl Fuzzer {
    /// With the seeds of a target and what was kept in a folder.
    pub fn new(target: Box<dyn Target>, seed: u64, folder: Option<&Path>) -> Self {
        listen();
        let good = target.seeds();
        let files = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
        let mut paths: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let read = paths.iter().take(MOST_KEPT).filter_map(|path| std::fs::read(path).ok());
        let kept = good.iter().cloned().chain(read).collect();
        Self {
            target,
            seed,
            good,
            kept,
            folder: folder.map(Path::to_owned),
            said: BTreeSet::new(),
            next: 0,
            accepted: 0,
            time: Duration::ZERO,
            findings: Vec::new(),
        }
    }

    /// The target.
    pub fn target(&self) -> &dyn Target {
        &*self.target
    }

    /// Decodes one input and says what came of it.
    pub fn decode(&mut self, number: u64, input: &[u8]) -> Said {
        let watch = Watch::shared();
        let allowed = self.target.allowance().saturating_add(TIMES * input.len());
        let held = memory::begin();
        watch.begin(number);
        let said = panic::catch_unwind(AssertUnwindSafe(|| self.target.decode(input)));
        let slow = watch.end();
        let taken = memory::peak().saturating_sub(held);
        match said {
            Err(_) => {
                let mut last = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
                Said::Fault(std::mem::take(&mut *last))
            }
            Ok(_) if slow => Said::Fault("over a second".into()),
            Ok(_) if taken > allowed => {
                Said::Fault("over 64 MB and 16 times the input of memory".into())
            }
            Ok(Ok(())) => Said::Accepted,
            Ok(Err(reason)) => Said::Refused(reason),
        }
    }

    /// The next input: a kept one, changed.
    pub fn input(&self) -> Vec<u8> {
        let mut hash = DefaultHasher::new();
        (self.seed, self.target.name(), self.next).hash(&mut hash);
        let mut rng = Rng::seed_from_u64(hash.finish());
        let empty = Vec::new();
        let [input, other] = [(); 2].map(|()| {
            let from = if rng.random() { &self.good } else { &self.kept };
            from.choose(&mut rng).unwrap_or(&empty)
        });
        let mut input = self.target.format().change(input, other, &mut rng);
        // Now and then something far from all that is known.
        while rng.random_range(0..8) == 0 {
            input = self.target.format().change(&input, other, &mut rng);
        }
        input.truncate(MOST_BYTES);
        input
    }

    /// Decodes the next input; tells `before` of it first.
    pub fn step(&mut self, before: &mut dyn FnMut(u64, &[u8])) {
        let start = Instant::now();
        let input = self.input();
        let number = self.next;
        before(number, &input);
        self.next += 1;
        let key = match self.decode(number, &input) {
            Said::Accepted => {
                self.accepted += 1;
                // Those that are accepted wander off from the seeds.
                if self.good.len() < MOST_KEPT {
                    self.good.push(input.clone());
                } else if let Some(old) = self.good.get_mut(number as usize % (8 * MOST_KEPT)) {
                    old.clone_from(&input);
                }
                kind_of(&"a".repeat(input.len().checked_ilog2().unwrap_or(0) as usize))
            }
            Said::Refused(reason) => kind_of(&reason),
            Said::Fault(fault) => {
                let known = self.findings.iter().any(|f| f.fault == fault);
                if !known {
                    self.findings.push(Finding { number, fault, input });
                }
                self.time += start.elapsed();
                return;
            }
        };
        if self.kept.len() < MOST_KEPT && self.said.insert(key) {
            self.keep(input);
        }
        self.time += start.elapsed();
    }

    fn keep(&mut self, input: Vec<u8>) {
        if let Some(folder) = &self.folder {
            let mut hash = DefaultHasher::new();
            input.hash(&mut hash);
            let path = folder.join(format!("{:016x}", hash.finish()));
            // One that cannot be kept is found again.
            let _ = std::fs::write(path, &input);
        }
        self.kept.push(input);
    }
}
