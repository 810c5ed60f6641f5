//! Exact accounting of the memory that this process asks for.
//!
//! The command installs [`CountingAllocator`]; [`Phase`] then tells the peak of one phase of work. Beside it,
//! [`resident_peak_bytes`] tells what the system counted for the whole life of the process (Linux).

mod limits;
mod system;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub use limits::available_bytes;
pub use system::{give_back, share_one_arena};

static CURRENT: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting bytes. Install with `#[global_allocator]`.
pub struct CountingAllocator;

fn grow(bytes: usize) {
    let now = CURRENT.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

fn shrink(bytes: usize) {
    CURRENT.fetch_sub(bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged; the counters touch no memory of the caller.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            grow(layout.size());
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            grow(layout.size());
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from this allocator, hence from the system's, with this layout.
        unsafe { System.dealloc(pointer, layout) };
        shrink(layout.size());
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; the caller vouches for the new size.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if !moved.is_null() {
            shrink(layout.size());
            grow(size);
        }
        moved
    }
}

/// Bytes in use now; zero when the counting allocator is not installed.
pub fn current_bytes() -> usize {
    CURRENT.load(Relaxed)
}

/// Watches the memory of a phase of work. Phases must not overlap: each starts the peak afresh.
#[derive(Debug)]
pub struct Phase {
    start: usize,
}

impl Phase {
    /// Starts a phase.
    pub fn begin() -> Self {
        let start = current_bytes();
        PEAK.store(start, Relaxed);
        Self { start }
    }

    /// The most bytes in use at once since the phase began, beyond what was in use when it began.
    pub fn peak_bytes(&self) -> usize {
        PEAK.load(Relaxed).saturating_sub(self.start)
    }

    /// Bytes that the phase has taken and not given back.
    pub fn kept_bytes(&self) -> usize {
        current_bytes().saturating_sub(self.start)
    }
}

/// Peak resident memory of the process as Linux counts it (`VmHWM`); none elsewhere.
pub fn resident_peak_bytes() -> Option<u64> {
    of_status("VmHWM:")
}

/// Resident memory of the process now, as Linux counts it (`VmRSS`); none elsewhere.
pub fn resident_bytes() -> Option<u64> {
    of_status("VmRSS:")
}

fn of_status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    limits::kibibytes(&status, name)
}

/// Makes sure that the system would give that much memory now, and gives it back: what is predicted to be needed is
/// asked for in one piece before the work, where a refusal is an error, and not piece by piece within it, where one ends
/// the program.
///
/// # Errors
/// A message where it would not.
pub fn reserve(what: &str, bytes: u64) -> anyhow::Result<()> {
    let mut block = Vec::<u8>::new();
    let room = usize::try_from(bytes).ok().filter(|size| block.try_reserve_exact(*size).is_ok());
    anyhow::ensure!(
        room.is_some(),
        "{what} is predicted to need {}, and the system does not give that much; free memory, or raise the limit of the \
         process (ulimit -v)",
        show_bytes(bytes)
    );
    Ok(())
}

/// Bytes from a size such as `8GB`, `512MiB`, `1.5 GiB` or `1000000`. Decimal units unless there is an `i`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "kib" => 1024.0,
        "m" | "mb" => 1e6,
        "mib" => 1024.0 * 1024.0,
        "g" | "gb" => 1e9,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => {
            return Err(format!(
                "found unit {:?}, expected B, kB, MB, GB, KiB, MiB or GiB",
                unit.trim()
            ));
        }
    };
    match number.parse::<f64>() {
        Ok(value) if value > 0.0 && value * factor < 1e18 => Ok((value * factor) as u64),
        _ => Err(format!("found {text:?}, expected a size such as 8GB or 512MiB")),
    }
}

/// A size in the unit that suits it, such as `1.21 GB`.
pub fn show_bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("8GB"), Ok(8_000_000_000));
        assert_eq!(parse_bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("512"), Ok(512));
        assert!(parse_bytes("8 apples").unwrap_err().contains("found unit \"apples\""));
        assert!(parse_bytes("GB").unwrap_err().contains("such as 8GB"));
        assert!(parse_bytes("-1GB").is_err());
        assert_eq!(show_bytes(1_210_000_000), "1.21 GB");
        assert_eq!(show_bytes(999), "999 B");
    }

    #[test]
    fn what_the_system_does_not_give_is_an_error() {
        reserve("it", 1 << 20).unwrap();
        for bytes in [1 << 62, u64::MAX] {
            let error = reserve("it", bytes).unwrap_err().to_string();
            assert!(
                error.starts_with("it is predicted to need") && error.contains("ulimit"),
                "{error}"
            );
        }
    }
}
