//! A thread that notices inputs which take too long.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// How often it looks.
const TICK: Duration = Duration::from_millis(50);
/// Time of the processor that an input may take, in ticks of the system's clock, of which a second has 100.
const MOST_TICKS: u64 = 100;
/// Looks at the same input after which it takes too long wherever its time goes: a minute, but for time when the process is
/// stopped.
const MOST_LOOKS: u64 = 1200;
/// Ticks after which a process is ended.
const HOPELESS: u64 = 20 * MOST_TICKS;

/// What the thread and the fuzzer tell each other.
#[derive(Debug, Default)]
pub struct Watch {
    /// Number of the input, zero between inputs.
    input: AtomicU64,
    slow: AtomicBool,
}

impl Watch {
    /// The one of this process, whose thread is started when it is first asked for.
    pub fn shared() -> &'static Arc<Self> {
        static WATCH: OnceLock<Arc<Watch>> = OnceLock::new();
        WATCH.get_or_init(|| {
            let watch = Arc::new(Self::default());
            let seen = Arc::clone(&watch);
            thread::spawn(move || seen.look());
            watch
        })
    }

    /// An input begins.
    pub fn begin(&self, number: u64) {
        self.slow.store(false, Relaxed);
        self.input.store(number + 1, Relaxed);
    }

    /// It has ended; whether it took more than a second.
    pub fn end(&self) -> bool {
        self.input.store(0, Relaxed);
        self.slow.load(Relaxed)
    }

    /// Whether no input is being decoded.
    pub fn is_idle(&self) -> bool {
        self.input.load(Relaxed) == 0
    }

    fn look(&self) {
        let (mut last, mut since, mut looks) = (0, 0, 0);
        loop {
            thread::sleep(TICK);
            let (input, now) = (self.input.load(Relaxed), processor_ticks());
            if input != last || input == 0 {
                (last, since, looks) = (input, now, 0);
                continue;
            }
            looks += 1;
            let taken = now.saturating_sub(since);
            if taken > MOST_TICKS || looks > MOST_LOOKS {
                self.slow.store(true, Relaxed);
            }
            if taken > HOPELESS || looks > 2 * MOST_LOOKS {
                // The parent knows which input it was.
                std::process::abort();
            }
        }
    }
}

/// Time of the processor that this process has used; zero where that is not known.
fn processor_ticks() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may have spaces.
    let Some((_, fields)) = text.rsplit_once(") ") else { return 0 };
    fields.split(' ').skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum()
}
