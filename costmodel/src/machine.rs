//! The machine a profile was measured on.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Sizes of the caches that one core uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caches {
    /// First-level data cache, in bytes.
    pub l1_bytes: u64,
    /// Second-level cache, in bytes.
    pub l2_bytes: u64,
    /// Last-level cache, in bytes; that of the second level where there is no third.
    pub l3_bytes: u64,
}

impl Default for Caches {
    /// What is assumed where the system does not say.
    fn default() -> Self {
        Self { l1_bytes: 32 << 10, l2_bytes: 512 << 10, l3_bytes: 16 << 20 }
    }
}

/// What decides how many threads a process finds. A scheduler that shares a machine out may do so by neither of them; then
/// a task sees all of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThreadsBy {
    /// Nothing restricts this process: all CPUs.
    AllCpus,
    /// The CPUs that this process may run on.
    Affinity,
    /// The processor time that its control group may use.
    CgroupQuota,
    /// The system does not tell.
    #[default]
    Unknown,
}

impl ThreadsBy {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::AllCpus => "the number of CPUs",
            Self::Affinity => "the CPU affinity",
            Self::CgroupQuota => "the cgroup quota",
            Self::Unknown => "the system",
        }
    }

    /// From the threads that the standard library found, the least of what affinity and quota allow.
    fn of(threads: usize, allowed: Option<usize>, cpus: Option<usize>) -> Self {
        match (allowed, cpus) {
            (Some(allowed), _) if threads < allowed => Self::CgroupQuota,
            (Some(allowed), Some(cpus)) if allowed < cpus => Self::Affinity,
            (Some(_), Some(_)) => Self::AllCpus,
            _ => Self::Unknown,
        }
    }
}

/// Description of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// CPU model as the system names it.
    pub cpu: String,
    /// Instruction set of the engine's kernels.
    pub isa: String,
    /// Hardware threads available to this process.
    pub threads: usize,
    /// What that number was found by.
    #[serde(default)]
    pub threads_by: ThreadsBy,
    /// CPUs of the machine that are switched on, whoever may use them; 0 where the system does not tell.
    #[serde(default)]
    pub cpus: usize,
    /// Installed memory, in bytes.
    pub memory_bytes: u64,
    /// Caches of one core.
    pub caches: Caches,
    /// Whether the system told the cache sizes; otherwise they are assumed.
    pub caches_known: bool,
}

/// A number of threads in words, with what it was found by and the CPUs there are, if that is known.
pub fn describe_threads(threads: usize, by: ThreadsBy, cpus: usize) -> String {
    let of = if cpus > 0 { format!(" of {cpus} CPUs") } else { String::new() };
    format!("{threads} hardware threads{of}, as {} says", by.describe())
}

impl Machine {
    /// The machine this runs on.
    pub fn detect() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self::read(Path::new("/"), threads, engine::kernels::isa().unwrap_or("unavailable"))
    }

    /// Reads the description below a root directory; what is missing gets a default.
    fn read(root: &Path, threads: usize, isa: &str) -> Self {
        let cpuinfo = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let meminfo = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let cpu = field(&cpuinfo, "model name").or_else(|| field(&cpuinfo, "Model"));
        let kib = field(&meminfo, "MemTotal")
            .and_then(|v| v.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()));
        let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
        let online = fs::read_to_string(root.join("sys/devices/system/cpu/online"));
        let allowed = field(&status, "Cpus_allowed_list").and_then(|list| cpus_of(&list));
        let cpus = online.ok().and_then(|list| cpus_of(&list));
        let caches = caches(&root.join("sys/devices/system/cpu/cpu0/cache"));
        Self {
            cpu: cpu.unwrap_or_else(|| "unknown".into()),
            isa: isa.into(),
            threads,
            threads_by: ThreadsBy::of(threads, allowed, cpus),
            cpus: cpus.unwrap_or(0),
            memory_bytes: kib.unwrap_or(0).saturating_mul(1024),
            caches: caches.unwrap_or_default(),
            caches_known: caches.is_some(),
        }
    }
}

/// The system's load average of the last minute; 0 where it does not tell.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// CPUs of a list such as `0-3,8`.
fn cpus_of(list: &str) -> Option<usize> {
    list.trim().split(',').try_fold(0_usize, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// The value of the first `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_string())
}

fn caches(folder: &Path) -> Option<Caches> {
    let mut by_level = [0u64; 4];
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).ok();
        let level = read("level").and_then(|l| l.trim().parse::<usize>().ok());
        let (Some(level @ 1..=3), Some(kind), Some(size)) = (level, read("type"), read("size"))
        else {
            continue;
        };
        if kind.trim() != "Instruction" {
            by_level[level] = by_level[level].max(size_bytes(size.trim())?);
        }
    }
    let [_, l1_bytes, l2_bytes, l3_bytes] = by_level;
    (l1_bytes > 0 && l2_bytes > 0).then(|| Caches {
        l1_bytes,
        l2_bytes,
        l3_bytes: l3_bytes.max(l2_bytes),
    })
}

/// Bytes of a size such as `32K` or `32768K` or `16M`.
fn size_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size_bytes("32K"), Some(32768));
        assert_eq!(size_bytes("16M"), Some(16 << 20));
        assert_eq!(size_bytes("100"), Some(100));
        assert_eq!(size_bytes("1X"), None);
        assert_eq!(size_bytes("18446744073709551615G"), None);
        assert_eq!(cpus_of("0-3,8\n"), Some(5));
        for wrong in ["", "3-1", "x", "0-18446744073709551615"] {
            assert_eq!(cpus_of(wrong), None, "{wrong}");
        }
        assert_eq!(size_bytes("K"), None);
    }

    #[test]
    fn made_up_machine() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/cpuinfo", "processor : 0\nmodel name\t: Some CPU @ 3 GHz\n");
        write("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n");
        for (index, level, kind, size) in
            [(0, 1, "Data", "48K"), (1, 1, "Instruction", "64K"), (2, 2, "Unified", "2048K")]
        {
            let folder = format!("sys/devices/system/cpu/cpu0/cache/index{index}");
            write(&format!("{folder}/level"), &format!("{level}\n"));
            write(&format!("{folder}/type"), &format!("{kind}\n"));
            write(&format!("{folder}/size"), &format!("{size}\n"));
        }
        let machine = Machine::read(root.path(), 3, "scalar");
        assert_eq!(machine.cpu, "Some CPU @ 3 GHz");
        assert_eq!(machine.memory_bytes, 2 << 20);
        assert!(machine.caches_known);
        let expected = Caches { l1_bytes: 48 << 10, l2_bytes: 2 << 20, l3_bytes: 2 << 20 };
        assert_eq!(machine.caches, expected);
        assert_eq!((machine.threads_by, machine.cpus), (ThreadsBy::Unknown, 0));
        // A node of 64 CPUs.
        write("sys/devices/system/cpu/online", "0-63\n");
        for (allowed, threads, by) in [
            ("0-63", 64, ThreadsBy::AllCpus),
            ("0-63", 2, ThreadsBy::CgroupQuota),
            ("0-1,8,10-11", 5, ThreadsBy::Affinity),
            ("0-1,8,10-11", 4, ThreadsBy::CgroupQuota),
        ] {
            write("proc/self/status", &format!("Name:\tx\nCpus_allowed_list:\t{allowed}\n"));
            let machine = Machine::read(root.path(), threads, "scalar");
            let found = (machine.threads, machine.threads_by, machine.cpus);
            assert_eq!(found, (threads, by, 64), "{allowed}");
        }
        let nowhere = Machine::read(&root.path().join("nowhere"), 1, "scalar");
        assert_eq!((nowhere.cpu.as_str(), nowhere.caches_known), ("unknown", false));
    }
}
