//! Whether there is memory for a load, counted before it begins.

use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, Process};
use procfs::{Current, Meminfo};

/// What an engine makes of a model's files, as a multiple of their bytes.
///
/// Measured as the most resident memory of `pointsman check`, without that for a model of a few bytes, on models of
/// 256 MiB of random FP32 weights, the files themselves (once) taken off: ONNX Runtime 1.31.1 takes 1.1 times
/// their bytes for matrix products (weights inside or beside the model), 2.0 for a table of rows and 2.4 for
/// convolutions; tract 0.23.9 takes 2.0 to 2.6. Rounded up.
const ENGINE_FACTOR: u64 = 3;

/// What a load takes that has nothing to do with the size of the model: threads, arenas, golden cases.
const BASE: u64 = 16 << 20;

/// There is not enough memory for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "loading it takes about {} MiB, and of the {} MiB of memory that are left, {} MiB are kept free \
     (gates.memory_reserve); free memory, raise the limit of the process, or lower the reserve",
    mib(*need), mib(*available), mib(*reserve)
)]
pub struct Shortage {
    /// Bytes that the load would take.
    pub need: u64,
    /// Bytes that the process could still take.
    pub available: u64,
    /// Bytes that are kept free.
    pub reserve: u64,
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Bytes that it takes to load files of so many bytes: they are read whole, and an engine makes its own of them.
/// Nothing is known of 0 bytes.
pub(super) fn need(bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { need_of_engine(bytes).saturating_add(bytes) }
}

/// Bytes that an engine takes for files of so many bytes that are in memory already.
pub(super) fn need_of_engine(bytes: u64) -> u64 {
    bytes.saturating_mul(ENGINE_FACTOR).saturating_add(BASE)
}

/// Whether a load may begin now.
///
/// # Errors
/// [`Shortage`].
pub(super) fn check(need: u64, reserve: usize) -> Result<(), Shortage> {
    // Where the system does not say what is left, nothing can be held against it.
    available().map_or(Ok(()), |available| decide(need, available, reserve as u64))
}

/// Whether `need` bytes may be taken of those `available` when `reserve` of them are to stay.
fn decide(need: u64, available: u64, reserve: u64) -> Result<(), Shortage> {
    let fits = need == 0 || need.checked_add(reserve).is_some_and(|all| all <= available);
    if fits { Ok(()) } else { Err(Shortage { need, available, reserve }) }
}

/// Bytes that this process could still take: what the system has, and what its control groups leave it.
fn available() -> Option<u64> {
    let system = Meminfo::current().ok()?.mem_available?;
    Some(groups().iter().filter_map(|group| group.left()).fold(system, u64::min))
}

/// A control group that counts memory, as files of its version.
struct Group {
    folder: PathBuf,
    files: &'static Files,
}

/// The names that the two versions of control groups have for the same things.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// The key in `memory.stat` of what would be given back first: files that nobody reads any more.
    reclaimable: &'static str,
}

const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};
const VERSION_2: Files = Files { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

/// The groups of this process that count memory, from its own up to the topmost that can be seen.
fn groups() -> Vec<Group> {
    let found = Process::myself().and_then(|process| Ok((process.cgroups()?, process.mountinfo()?)));
    let Ok((of_process, mounts)) = found else { return Vec::new() };
    let mut groups = Vec::new();
    for group in of_process {
        let files = match group.controllers.as_slice() {
            [] => &VERSION_2,
            controllers if controllers.iter().any(|c| c == "memory") => &VERSION_1,
            _ => continue,
        };
        let counts = |mount: &&MountInfo| match files.limit {
            "memory.max" => mount.fs_type == "cgroup2",
            _ => mount.fs_type == "cgroup" && mount.super_options.contains_key("memory"),
        };
        for mount in mounts.0.iter().filter(counts) {
            let folders = folders(mount, Path::new(&group.pathname));
            groups.extend(folders.into_iter().map(|folder| Group { folder, files }));
        }
    }
    groups
}

/// The folders of a group and of those above it, as far as a mount shows them.
fn folders(mount: &MountInfo, group: &Path) -> Vec<PathBuf> {
    // A container sees its own group as the mount's root, whatever the path says.
    let below = group.strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let below = below.strip_prefix("/").unwrap_or(below);
    below.ancestors().map(|part| mount.mount_point.join(part)).collect()
}

impl Group {
    /// Bytes until its limit; nothing where it has none.
    fn left(&self) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).ok();
        left(
            &read(self.files.limit)?,
            &read(self.files.usage)?,
            &read("memory.stat")?,
            self.files.reclaimable,
        )
    }
}

/// Bytes until a limit, from the texts of the files; nothing where there is no limit.
fn left(limit: &str, usage: &str, stat: &str, reclaimable: &str) -> Option<u64> {
    let limit: u64 = limit.trim().parse().ok()?;
    let usage: u64 = usage.trim().parse().ok()?;
    let reclaimable = stat.lines().find_map(|line| {
        let (key, bytes) = line.split_once(' ')?;
        (key == reclaimable).then(|| bytes.trim().parse::<u64>().ok()).flatten()
    });
    Some(limit.saturating_sub(usage.saturating_sub(reclaimable.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_fits_up_to_the_last_byte_beside_the_reserve() {
        assert_eq!(decide(700, 1000, 300), Ok(()));
        assert_eq!(decide(701, 1000, 300), Err(Shortage { need: 701, available: 1000, reserve: 300 }));
        assert_eq!(decide(0, 0, 300), Ok(()), "nothing is known of it");
        assert!(decide(u64::MAX, u64::MAX, 1).is_err());
        let text = decide(1 << 30, 512 << 20, 256 << 20).expect_err("too much").to_string();
        for part in ["1024 MiB", "512 MiB", "256 MiB", "gates.memory_reserve"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_need_is_the_files_and_what_the_engine_makes_of_them() {
        assert_eq!(need(0), 0);
        assert_eq!(need(100 << 20), (416 << 20));
        assert_eq!(need(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_group_leaves_its_limit_without_what_is_used_and_cannot_be_given_back() {
        let stat = "anon 5\ninactive_file 300\nactive_file 7\n";
        assert_eq!(left("1000\n", "900\n", stat, "inactive_file"), Some(400));
        assert_eq!(left("1000\n", "900\n", "", "inactive_file"), Some(100));
        assert_eq!(left("max\n", "900\n", stat, "inactive_file"), None);
        assert_eq!(left("800\n", "900\n", "", "inactive_file"), Some(0));
    }

    #[test]
    fn the_groups_above_count_as_well() {
        let mount = |root: &str| {
            MountInfo::from_line(&format!("31 24 0:27 {root} /cg rw - cgroup2 cgroup2 rw")).expect("a mount")
        };
        let of = |root: &str, group: &str| {
            let folders = folders(&mount(root), Path::new(group));
            folders.iter().map(|f| f.to_string_lossy().trim_end_matches('/').to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            of("/", "/system.slice/a.service"),
            ["/cg/system.slice/a.service", "/cg/system.slice", "/cg"]
        );
        assert_eq!(of("/docker/1", "/docker/1"), ["/cg"]);
        assert_eq!(of("/docker/1", "/docker/1/x"), ["/cg/x", "/cg"]);
        assert_eq!(of("/docker/1", "/"), ["/cg"]);
    }

    #[test]
    fn this_system_says_what_is_left() {
        let available = available().expect("a Linux system says");
        assert!(available > 1 << 20, "{available}");
    }
}
