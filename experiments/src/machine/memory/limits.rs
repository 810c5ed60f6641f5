//! How much memory this process may still take: what the machine has free, what its control groups (containers) leave,
//! and what its own limit of address space leaves. Linux only.

use std::fs;
use std::path::{Path, PathBuf};

/// The least that any of the limits leaves, in bytes; none where there is no limit that can be asked for.
pub fn available_bytes() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| kibibytes(&text, "MemAvailable:"));
    let space = read("/proc/self/limits")
        .zip(read("/proc/self/status"))
        .and_then(|(limits, status)| address_space_left(&limits, &status));
    let groups = read("/proc/self/cgroup").zip(read("/proc/self/mountinfo"));
    let groups = groups.map_or(Vec::new(), |(own, mounts)| groups_of(&own, &mounts));
    let groups =
        groups.iter().filter_map(|group| group.left(&|file| fs::read_to_string(file).ok()));
    machine.into_iter().chain(space).chain(groups).min()
}

/// The value of a line such as `MemAvailable:    1024 kB`, in bytes.
pub(super) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// What RLIMIT_AS leaves, from `/proc/self/limits` and `/proc/self/status`.
fn address_space_left(limits: &str, status: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max address space"))?;
    // `unlimited` is no number.
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(kibibytes(status, "VmSize:")?))
}

/// The two versions of control groups name their files differently.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Of `memory.stat`: pages of files that the system takes back before it refuses any.
    reclaimable: &'static str,
}

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};
const V2: Files =
    Files { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

/// Where the files of a control group are, and of those above it as far as they can be seen.
#[derive(Debug, PartialEq)]
struct Group {
    files: Files,
    folder: PathBuf,
    /// Topmost folder that can be seen.
    top: PathBuf,
}

/// The groups that count this process's memory, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn groups_of(own: &str, mounts: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let files = match () {
            () if number == "0" && controllers.is_empty() => V2,
            () if controllers.split(',').any(|c| c == "memory") => V1,
            () => continue,
        };
        let Some((root, top)) = mounts.lines().find_map(|line| mount(line, files == V2)) else {
            continue;
        };
        // Within a container, the group may be named as the host sees it, and its files be those at the top.
        let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(""));
        let plain = below.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        let folder = if plain { top.join(below) } else { top.clone() };
        groups.push(Group { files, folder, top });
    }
    groups
}

/// Root and place of the mount of a version of control groups, if a line of `mountinfo` is that.
fn mount(line: &str, second: bool) -> Option<(PathBuf, PathBuf)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let is_it = match second {
        true => name == "cgroup2",
        false => name == "cgroup" && options.split(',').any(|o| o == "memory"),
    };
    is_it.then(|| (root.into(), point.into()))
}

impl Group {
    /// The least that this group and those above it leave; none without a limit. `read` gives a file's text.
    fn left(&self, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
        self.folder
            .ancestors()
            .take_while(|folder| folder.starts_with(&self.top))
            .filter_map(|folder| {
                let number = |file: &str| read(&folder.join(file))?.trim().parse::<u64>().ok();
                // `max` is no number; the first version says a number beyond every memory instead.
                let limit = number(self.files.limit)?;
                let usage = number(self.files.usage)?;
                let statistics = read(&folder.join("memory.stat")).unwrap_or_default();
                let reclaimable = statistics.lines().find_map(|line| {
                    line.strip_prefix(self.files.reclaimable)?.trim().parse::<u64>().ok()
                });
                Some(limit.saturating_sub(usage.saturating_sub(reclaimable.unwrap_or(0))))
            })
            .min()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const V2_MOUNT: &str = "24 1 0:22 / /proc rw - proc proc rw\n\
        31 23 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
    const V1_MOUNTS: &str = "40 32 0:35 /docker/ab12 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n\
        41 32 0:36 /docker/ab12 /sys/fs/cgroup/memory ro master:12 - cgroup cgroup rw,memory\n";

    fn left(own: &str, mounts: &str, files: &[(&str, &str)]) -> Option<u64> {
        let files: BTreeMap<&Path, &str> = files.iter().map(|(p, t)| (Path::new(*p), *t)).collect();
        let read = |file: &Path| files.get(file).map(|text| (*text).to_owned());
        groups_of(own, mounts).iter().filter_map(|g| g.left(&read)).min()
    }

    #[test]
    fn the_second_version_is_asked_up_to_the_top() {
        let own = "0::/user.slice/run.scope\n";
        let files = [
            ("/sys/fs/cgroup/user.slice/run.scope/memory.max", "max\n"),
            ("/sys/fs/cgroup/user.slice/run.scope/memory.current", "500\n"),
            ("/sys/fs/cgroup/user.slice/memory.max", "8000\n"),
            ("/sys/fs/cgroup/user.slice/memory.current", "3000\n"),
            ("/sys/fs/cgroup/user.slice/memory.stat", "anon 1\nfile 2\ninactive_file 1000\n"),
        ];
        assert_eq!(left(own, V2_MOUNT, &files), Some(6000));
        assert_eq!(left(own, V2_MOUNT, &files[..2]), None);
        // A container sees its own group as the root.
        let container =
            [("/sys/fs/cgroup/memory.max", "4096\n"), ("/sys/fs/cgroup/memory.current", "5000")];
        assert_eq!(left("0::/\n", V2_MOUNT, &container), Some(0));
        assert_eq!(left("0::/../other\n", V2_MOUNT, &container), Some(0));
        assert_eq!(left("0::/\n", "", &container), None);
    }

    #[test]
    fn the_first_version_is_asked_where_it_is_mounted() {
        let own =
            "5:cpu,cpuacct:/docker/ab12\n4:memory:/docker/ab12\n1:name=systemd:/docker/ab12\n";
        let files = [
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "400000\n"),
            (
                "/sys/fs/cgroup/memory/memory.stat",
                "inactive_file 7\ntotal_inactive_file 100000\nhierarchical_memory_limit 9\n",
            ),
        ];
        assert_eq!(left(own, V1_MOUNTS, &files), Some(700_000));
        assert_eq!(left("4:memory:/elsewhere\n", V1_MOUNTS, &files), Some(700_000));
        assert_eq!(left("5:cpu,cpuacct:/docker/ab12\n", V1_MOUNTS, &files), None);
    }

    #[test]
    fn the_limit_of_the_process_leaves_what_is_not_mapped() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             unlimited            unlimited            bytes     \n\
                 Max address space         {soft}           unlimited            bytes     \n"
            )
        };
        let status = "Name:\tspencnn\nVmPeak:\t   90000 kB\nVmSize:\t   1000 kB\n";
        assert_eq!(address_space_left(&limits("2048000"), status), Some(1_024_000));
        assert_eq!(address_space_left(&limits("1000"), status), Some(0));
        assert_eq!(address_space_left(&limits("unlimited"), status), None);
        assert_eq!(address_space_left("", status), None);
    }

    #[test]
    fn sizes_in_lines() {
        assert_eq!(
            kibibytes("MemFree: 1 kB\nMemAvailable:   2048 kB\n", "MemAvailable:"),
            Some(2 << 20)
        );
        assert_eq!(kibibytes("MemAvailable: x kB\n", "MemAvailable:"), None);
        assert_eq!(kibibytes("", "MemAvailable:"), None);
        if cfg!(target_os = "linux") {
            assert!(available_bytes().unwrap() > 0);
        }
    }
}
