//! What bounds the memory of this process, and how much of that is left.

use std::path::{Path, PathBuf};

use procfs::process::{MountInfo, Process};
use procfs::{Current, Meminfo};

/// Bytes that this process could still take: what the system has, and what its control groups leave it.
pub(crate) fn available() -> Option<u64> {
    Bounds::find().rooms().map(|room| room.left).min()
}

/// How much of a bound on memory is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The bound in bytes.
    pub limit: u64,
    /// How many of them are left.
    pub left: u64,
}

impl Room {
    /// The part that is used, from 0 to 1.
    #[must_use]
    pub fn used(self) -> f64 {
        1.0 - self.left.min(self.limit) as f64 / self.limit.max(1) as f64
    }
}

/// What bounds the memory of this process: the system, and its control groups.
pub struct Bounds(Vec<Group>);

impl Bounds {
    /// Those of this process, which stay the same.
    #[must_use]
    pub fn find() -> Self {
        Self(groups())
    }

    /// What is left of each that has a limit.
    pub fn rooms(&self) -> impl Iterator<Item = Room> {
        let system = Meminfo::current().ok();
        let system = system.and_then(|info| Some(Room { limit: info.mem_total, left: info.mem_available? }));
        system.into_iter().chain(self.0.iter().filter_map(Group::room))
    }
}

/// Bytes of this process that are in memory.
#[must_use]
pub fn resident() -> Option<u64> {
    Some(Process::myself().ok()?.statm().ok()?.resident * procfs::page_size())
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
    /// What is left of its limit; nothing where it has none.
    fn room(&self) -> Option<Room> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).ok();
        room(
            &read(self.files.limit)?,
            &read(self.files.usage)?,
            &read("memory.stat")?,
            self.files.reclaimable,
        )
    }
}

/// What is left of a limit, from the texts of the files; nothing where there is no limit.
fn room(limit: &str, usage: &str, stat: &str, reclaimable: &str) -> Option<Room> {
    let limit: u64 = limit.trim().parse().ok()?;
    let usage: u64 = usage.trim().parse().ok()?;
    let reclaimable = stat.lines().find_map(|line| {
        let (key, bytes) = line.split_once(' ')?;
        (key == reclaimable).then(|| bytes.trim().parse::<u64>().ok()).flatten()
    });
    let used = usage.saturating_sub(reclaimable.unwrap_or(0));
    Some(Room { limit, left: limit.saturating_sub(used) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_leaves_its_limit_without_what_is_used_and_cannot_be_given_back() {
        let stat = "anon 5\ninactive_file 300\nactive_file 7\n";
        let left = |limit, usage, stat, key| room(limit, usage, stat, key).map(|room| room.left);
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
        assert!(resident().expect("and what is used") > 1 << 20);
    }

    #[test]
    fn the_used_part_is_between_nothing_and_all() {
        let used = |limit, left| Room { limit, left }.used();
        assert_eq!(
            [used(100, 100), used(100, 25), used(100, 0), used(100, 200), used(0, 0)],
            [0.0, 0.75, 1.0, 0.0, 1.0]
        );
    }
}
