//! Copies that are slow, interrupted, renamed, overwritten or withdrawn.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::{Settling, Stamp};

const SETTLE: Duration = Duration::from_secs(2);

/// The clock of a test, and what was seen by it.
struct Watcher<'d> {
    disk: &'d Disk,
    settling: Settling,
    now: Instant,
}

impl<'d> Watcher<'d> {
    fn new(disk: &'d Disk) -> Self {
        Self { disk, settling: Settling::default(), now: Instant::now() }
    }

    /// One that has looked at the registry before, so that time stamps say nothing to it.
    fn running(disk: &'d Disk) -> Self {
        let mut watcher = Self::new(disk);
        watcher.look();
        watcher
    }

    fn after(&mut self, time: Duration) -> Scan {
        self.now += time;
        self.look()
    }

    fn look(&mut self) -> Scan {
        let mut scan = self.disk.scan();
        self.settling.settle(&mut scan, self.now, SystemTime::now(), SETTLE);
        scan
    }

    /// The state of version 1 of `iris` after some time; nothing where it is not there.
    fn state(&mut self, time: Duration) -> Option<FolderState> {
        let scan = self.after(time);
        let iris = scan.models.iter().find(|model| model.name.as_str() == "iris")?;
        iris.versions.first().map(|version| version.folder.clone())
    }

    fn is_complete(&mut self, time: Duration) -> bool {
        self.state(time) == Some(FolderState::Complete)
    }

    fn reason(&mut self, time: Duration) -> String {
        match self.state(time) {
            Some(FolderState::Unsettled { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn stamp(disk: &Disk) -> Stamp {
    disk.scan().models[0].versions[0].stamp
}

/// A version whose weights are all `weight`.
fn files(weight: u8) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("model.onnx", encode(&external(&[("location", "w/a.bin")])).to_vec()),
        ("w/a.bin", vec![weight; 16]),
        ("golden.json", format!("{{\"rtol\": 0.{weight}, \"cases\": []}}").into_bytes()),
    ]
}

/// The same with its manifest.
fn listed(weight: u8) -> Vec<(&'static str, Vec<u8>)> {
    let mut files = files(weight);
    let mut lines: Vec<String> =
        files.iter().map(|(name, content)| format!("\"{name}\" = \"{}\"\n", digest(content))).collect();
    lines.sort();
    files.push(("manifest.toml", format!("[files]\n{}", lines.concat()).into_bytes()));
    files
}

/// How a tool writes one file.
#[derive(Clone, Copy, Debug)]
enum Tool {
    /// Under its name, as scp and cp do.
    InPlace,
    /// Under another name first, as rsync does.
    Renaming,
    /// As rsync does with `--delay-updates`: the renaming comes at the end.
    Delaying,
}

/// The order of four files, the tool, and for each piece of a file its length and the pause after it.
type Plan = (Vec<usize>, Tool, Vec<(usize, u64)>);

fn plan(pause_max: u64) -> impl Strategy<Value = Plan> {
    (
        Just(vec![0, 1, 2, 3]).prop_shuffle(),
        prop_oneof![Just(Tool::InPlace), Just(Tool::Renaming), Just(Tool::Delaying)],
        proptest::collection::vec((0..400usize, 0..pause_max), 4..12),
    )
}

/// Copies files into `iris/1` by a plan, and calls `look` with each pause in milliseconds.
fn copy(disk: &Disk, files: &[(&str, Vec<u8>)], (order, tool, pieces): &Plan, mut look: impl FnMut(u64)) {
    let mut pieces = pieces.iter().cycle();
    let mut delayed = Vec::new();
    for (name, content) in order.iter().filter_map(|&index| files.get(index)) {
        let target = disk.path("iris/1").join(name);
        let folder = target.parent().expect("below the root").to_owned();
        let file = target.file_name().expect("a name").to_string_lossy().into_owned();
        let partial = match tool {
            Tool::InPlace => target.clone(),
            Tool::Renaming => folder.join(format!(".{file}.Ab3dEf")),
            Tool::Delaying => folder.join(".~tmp~").join(&file),
        };
        std::fs::create_dir_all(partial.parent().expect("below the root")).expect("a folder");
        drop(File::create(&partial).expect("created"));
        let mut rest = &content[..];
        loop {
            let &(length, pause) = pieces.next().expect("endless");
            look(pause);
            let (piece, more) = rest.split_at(length.min(rest.len()));
            let mut open = OpenOptions::new().append(true).open(&partial).expect("opens");
            open.write_all(piece).expect("written");
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        match tool {
            Tool::InPlace => {}
            Tool::Renaming => std::fs::rename(&partial, &target).expect("renamed"),
            Tool::Delaying => delayed.push((partial, target)),
        }
    }
    for (partial, target) in &delayed {
        let &(_, pause) = pieces.next().expect("endless");
        look(pause);
        std::fs::rename(partial, target).expect("renamed");
    }
    for (partial, _) in &delayed {
        drop(std::fs::remove_dir(partial.parent().expect("a folder")));
    }
}

/// A third of a thousand copies: the same for each of three kinds.
fn many() -> ProptestConfig {
    ProptestConfig { cases: 334, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn no_half_copy_with_a_manifest_is_read(plan in plan(30_000)) {
        let disk = Disk::new();
        disk.model("other/1/model.onnx");
        let mut watcher = Watcher::running(&disk);
        let files = listed(1);
        copy(&disk, &files, &plan, |pause| {
            if watcher.is_complete(Duration::from_millis(pause)) {
                match disk.read("iris", 1) {
                    // All that counts is there: the manifest lacks the end of its last line.
                    Ok(read) => assert_eq!(read.digests.len(), 3),
                    Err(error) => {
                        assert!(error.is_incomplete() || matches!(error, ReadError::Written { .. }), "{error}");
                    }
                }
            }
        });
        prop_assert!(watcher.is_complete(Duration::ZERO));
        prop_assert_eq!(disk.read("iris", 1).expect("whole").digests.len(), 3);
    }

    #[test]
    fn no_bare_copy_is_complete_before_it_has_been_quiet(plan in plan(2_000)) {
        let disk = Disk::new();
        disk.model("other/1/model.onnx");
        let mut watcher = Watcher::running(&disk);
        copy(&disk, &files(1), &plan, |pause| {
            assert!(!watcher.is_complete(Duration::from_millis(pause)));
        });
        prop_assert!(!watcher.is_complete(Duration::ZERO));
        prop_assert!(!watcher.is_complete(SETTLE - Duration::from_millis(1)));
        prop_assert!(watcher.is_complete(Duration::from_millis(1)));
        let read = disk.read("iris", 1).expect("whole");
        prop_assert_eq!(read.stamp, stamp(&disk));
        prop_assert_eq!(read.digests.len(), 3);
    }

    #[test]
    fn a_version_overwritten_in_place_is_the_old_one_or_the_new_one(plan in plan(30_000)) {
        let disk = Disk::new();
        for (name, content) in listed(1) {
            disk.write(&format!("iris/1/{name}"), content);
        }
        let mut watcher = Watcher::running(&disk);
        let (old, new) = (listed(1), listed(2));
        let whole = |read: &VersionFiles| {
            [&old, &new].iter().any(|files| {
                let golden = format!("{{\"rtol\": {}, \"cases\": []}}", read.golden.as_ref().map_or(0.0, |g| g.rtol));
                *read.files.external[0].1 == files[1].1[..] && golden.as_bytes() == &files[2].1[..]
            })
        };
        copy(&disk, &new, &plan, |pause| {
            if watcher.is_complete(Duration::from_millis(pause))
                && let Ok(read) = disk.read("iris", 1)
            {
                assert!(whole(&read), "{:?} {:?}", read.files.external, read.golden);
            }
        });
        prop_assert!(watcher.is_complete(Duration::ZERO));
        prop_assert_eq!(disk.read("iris", 1).expect("whole").files.external[0].1[0], 2);
    }
}

#[test]
fn what_an_interrupted_copy_leaves_keeps_a_bare_version_from_loading() {
    let disk = Disk::new();
    let mut watcher = Watcher::running(&disk);
    for (name, content) in files(1) {
        disk.write(&format!("iris/1/{name}"), content);
    }
    // The weights of another version were to come; those of the first are still there.
    disk.write("iris/1/w/.a.bin.Ab3dEf", [2; 7]);
    let reason = watcher.reason(1000 * SETTLE);
    assert!(reason.starts_with("iris/1/w/.a.bin.Ab3dEf: is what an unfinished copy leaves; "), "{reason}");
    std::fs::remove_file(disk.path("iris/1/w/.a.bin.Ab3dEf")).expect("removed");
    assert!(watcher.reason(Duration::ZERO).contains("has not been unchanged"));
    assert!(watcher.is_complete(SETTLE));
}

#[test]
fn what_an_interrupted_copy_leaves_holds_a_listed_version_back_for_a_while() {
    let disk = Disk::new();
    let mut watcher = Watcher::running(&disk);
    for (name, content) in listed(1) {
        disk.write(&format!("iris/1/{name}"), content);
    }
    assert!(watcher.is_complete(Duration::ZERO));
    disk.write("iris/1/model.onnx.part", "x");
    assert!(watcher.reason(SETTLE).contains("iris/1/model.onnx.part: belongs to an unfinished copy"));
    disk.write("iris/1/model.onnx.part", "xy");
    assert!(!watcher.is_complete(15 * SETTLE));
    assert!(watcher.is_complete(10 * SETTLE));
    let scan = watcher.look();
    assert!(lines(&scan.models[0].warnings)[0].starts_with("iris/1/model.onnx.part: is what"), "{scan:?}");
    // A file that the manifest lists is meant, whatever its name.
    let manifest = std::fs::read_to_string(disk.path("iris/1/manifest.toml")).expect("a manifest");
    disk.write("iris/1/manifest.toml", format!("{manifest}\"model.onnx.part\" = \"{}\"\n", digest("xy")));
    let scan = watcher.look();
    assert_eq!((scan.models[0].complete().len(), scan.models[0].warnings.len()), (1, 0));
}

#[test]
fn an_editors_files_are_waited_for_and_then_left_alone() {
    let disk = Disk::new();
    let mut watcher = Watcher::running(&disk);
    disk.model("iris/1/model.onnx").write("iris/1/.notes.md.swp", "x").write("iris/1/notes.md~", "x");
    assert!(!watcher.is_complete(Duration::ZERO));
    disk.write("iris/1/.notes.md.swp", "xy");
    assert!(!watcher.is_complete(SETTLE));
    assert!(watcher.is_complete(SETTLE));
    assert!(disk.read("iris", 1).is_ok());
}

#[test]
fn files_copied_with_their_old_times_are_new() {
    let disk = Disk::new();
    let mut watcher = Watcher::running(&disk);
    disk.model("iris/1/model.onnx");
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let touch = |path: &str, time| {
        let file = File::open(disk.path(path)).expect("opens");
        file.set_modified(time).expect("set");
    };
    touch("iris/1/model.onnx", long_ago);
    touch("iris/1", long_ago);
    assert!(!watcher.is_complete(Duration::ZERO));
    assert!(!Watcher::new(&disk).is_complete(Duration::ZERO), "nor do they stand in at a start");
    // Bytes of the same number are written, and the old time is set again.
    let before = stamp(&disk);
    disk.model("iris/1/model.onnx");
    touch("iris/1/model.onnx", long_ago);
    assert_ne!(stamp(&disk), before);
    assert!(!watcher.is_complete(SETTLE));
    assert!(watcher.is_complete(SETTLE));

    touch("iris/1/model.onnx", SystemTime::now() + 1000 * SETTLE);
    assert!(!Watcher::new(&disk).is_complete(Duration::ZERO));
    assert!(!watcher.is_complete(Duration::ZERO));
    assert!(watcher.is_complete(SETTLE));
}

#[test]
fn renamed_folders_are_new_ones() {
    let disk = Disk::new();
    disk.model("iris/.1.tmp/model.onnx").write("iris/model.toml", "");
    let mut watcher = Watcher::running(&disk);
    assert_eq!(watcher.state(SETTLE), None);
    let rename = |from: &str, to: &str| std::fs::rename(disk.path(from), disk.path(to)).expect("renamed");
    rename("iris/.1.tmp", "iris/1");
    assert!(!watcher.is_complete(10 * SETTLE), "seen for the first time");
    assert!(watcher.is_complete(SETTLE));
    // Another folder takes its place, with files of the same names, sizes and times of writing.
    let before = stamp(&disk);
    disk.model("iris/2/model.onnx");
    let time = std::fs::metadata(disk.path("iris/1/model.onnx")).and_then(|m| m.modified()).expect("a time");
    File::open(disk.path("iris/2/model.onnx")).and_then(|file| file.set_modified(time)).expect("set");
    rename("iris/1", "iris/.old");
    rename("iris/2", "iris/1");
    assert_ne!(stamp(&disk), before);
    assert!(!watcher.is_complete(10 * SETTLE));
    // It goes and comes back.
    assert!(watcher.is_complete(SETTLE));
    rename("iris/1", "iris/.old/1");
    assert_eq!(watcher.state(SETTLE), None);
    rename("iris/.old/1", "iris/1");
    assert!(!watcher.is_complete(10 * SETTLE));
}

#[test]
fn every_change_that_decides_how_a_version_is_read_changes_its_stamp() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx").model("iris/1/net.onnx").write("iris/1/w/deep/a.bin", "x");
    let mut seen = vec![stamp(&disk)];
    let mut differs = |what: &str| {
        let now = stamp(&disk);
        assert!(!seen.contains(&now), "{what}");
        assert_eq!(now, stamp(&disk), "{what}");
        seen.push(now);
    };
    disk.write("iris/1/w/deep/a.bin", "xy");
    differs("a file of a folder below");
    disk.write("iris/1/w/.hidden", "");
    differs("a hidden file");
    symlink("deep/a.bin", disk.path("iris/1/w/b.bin")).expect("a link");
    differs("a link");
    std::fs::remove_file(disk.path("iris/1/w/b.bin")).expect("removed");
    symlink("deep/x.bin", disk.path("iris/1/w/b.bin")).expect("a link");
    differs("where a link leads");
    std::fs::create_dir(disk.path("iris/1/empty")).expect("a folder");
    differs("an empty folder");
    disk.write("iris/config.pbtxt", "default_model_filename: \"net.onnx\"");
    differs("the name of the model file");
    // What stands beside the version is of the model.
    let before = stamp(&disk);
    disk.write("iris/model.toml", "owner = \"me\"").model("iris/2/model.onnx");
    assert_eq!(stamp(&disk), before);
    let listing = &disk.scan().models[0].versions[0];
    let model = std::fs::metadata(disk.path("iris/1/model.onnx")).expect("there").len();
    assert_eq!(listing.bytes, 2 * model + 2, "links and folders have no bytes of their own");
}

#[test]
fn a_read_says_whether_the_folder_was_changed_meanwhile() {
    let disk = Disk::new();
    for (name, content) in files(1) {
        disk.write(&format!("iris/1/{name}"), content);
    }
    let listed = stamp(&disk);
    assert_eq!(disk.read("iris", 1).expect("reads").stamp, listed);
    disk.write("iris/1/w/a.bin", [3; 16]);
    assert_ne!(disk.read("iris", 1).expect("reads").stamp, listed);

    // Beside a writer that replaces the weights, then the cases, a read gives a state that there was:
    // the cases are never ahead.
    let replace = |name: &str, content: &[u8]| {
        disk.write(".new", content);
        std::fs::rename(disk.path(".new"), disk.path("iris/1").join(name)).expect("replaced");
    };
    let write = |n: u64| {
        replace("w/a.bin", &[n.to_le_bytes(), n.to_le_bytes()].concat());
        replace("golden.json", format!("{{\"rtol\": {n}, \"cases\": []}}").as_bytes());
    };
    write(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    let ordering = std::sync::atomic::Ordering::Relaxed;
    let (mut reads, mut changed) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| (1..).take_while(|_| !done.load(ordering)).for_each(write));
        while reads.len() < 10_000 && changed.len() < 10 {
            match disk.read("iris", 1) {
                Ok(read) => reads.push(read),
                Err(error) => changed.push(error.to_string()),
            }
        }
        done.store(true, ordering);
    });
    for read in reads {
        let weights = read.files.external[0].1.first_chunk().map(|n| u64::from_le_bytes(*n));
        let cases = read.golden.map(|golden| golden.rtol as u64);
        assert!(cases <= weights, "{cases:?} {weights:?}");
    }
    assert_eq!(changed.len(), 10, "no read met a write");
    assert!(
        changed.iter().all(|error| error.starts_with("iris/1: changed while it was read; ")),
        "{changed:?}"
    );
}

#[test]
fn faults_that_a_copy_under_way_shows_are_told_from_others() {
    let onnx = encode(&external(&[("location", "w")]));
    let cut = onnx.slice(..onnx.len() - 3);
    let incomplete = |model: &[u8], weights: &[u8], manifest: &str| {
        let disk = Disk::new();
        disk.write("iris/1/model.onnx", model);
        for (name, content) in [("w", weights), ("manifest.toml", manifest.as_bytes())] {
            if !content.is_empty() {
                disk.write(&format!("iris/1/{name}"), content);
            }
        }
        disk.read("iris", 1).expect_err("a bad version").is_incomplete()
    };
    let other = format!("[files]\n\"model.onnx\" = \"{}\"", digest("other"));
    assert!(incomplete(&onnx, b"", ""), "weights missing");
    assert!(incomplete(&onnx, b"1234567", ""), "weights short");
    assert!(incomplete(b"", b"", "") && incomplete(&cut, b"12345678", ""), "model cut off");
    assert!(incomplete(&onnx, b"12345678", &other), "another digest");
    assert!(incomplete(&onnx, b"12345678", "[files]"), "not listed yet");
    assert!(!incomplete(b"<html>", b"", "") && !incomplete(&onnx, b"12345678", "[file]"));
}

#[test]
fn a_folder_that_vanishes_is_no_version_and_a_lost_root_forgets_nothing() {
    let disk = Disk::new();
    disk.model("models/iris/1/model.onnx").model("models/iris/2/model.onnx");
    let root = disk.path("models");
    let registry = DirectoryRegistry::open(&root, Limits::default()).expect("opens");
    let (mut settling, now) = (Settling::default(), Instant::now());
    let mut complete = |after| {
        let mut scan = registry.scan().expect("scans");
        settling.settle(&mut scan, now + after, SystemTime::now(), SETTLE);
        scan.models.iter().map(|model| model.complete().len()).sum::<usize>()
    };
    complete(Duration::ZERO);
    assert_eq!(complete(SETTLE), 2);
    std::fs::rename(&root, disk.path("away")).expect("moved");
    assert!(registry.scan().is_err());
    std::fs::rename(disk.path("away"), &root).expect("moved");
    assert_eq!(complete(2 * SETTLE), 2);
    std::fs::remove_dir_all(disk.path("models/iris/2")).expect("removed");
    assert_eq!(complete(3 * SETTLE), 1);
    std::fs::remove_dir_all(disk.path("models/iris")).expect("removed");
    assert_eq!(complete(4 * SETTLE), 0);
}

#[test]
fn a_tombstone_withdraws_a_version_or_a_model_whatever_else_is_there() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx").model("iris/2/model.onnx").model("net/1/model.onnx");
    disk.write("iris/2/tombstone", "");
    let scan = disk.scan();
    assert_eq!(scan.models[0].versions[1].folder, FolderState::Tombstone);
    assert_eq!((scan.models[0].complete(), scan.models[0].tombstone), (vec![version(1)], false));
    assert_eq!(scan.models[0].wanted().default, Some(version(1)));

    std::fs::remove_file(disk.path("iris/2/model.onnx")).expect("removed");
    std::fs::create_dir(disk.path("net/tombstone")).expect("a folder counts as well");
    symlink("nowhere", disk.path("iris/1/tombstone")).expect("a link");
    disk.write("gone/tombstone", "");
    let scan = disk.scan();
    assert_eq!(names(&scan), ["gone", "iris", "net"]);
    assert!(scan.models[1].versions.iter().all(|version| version.folder == FolderState::Tombstone));
    assert_eq!((scan.models[0].tombstone, scan.models[2].tombstone), (true, true));
    assert_eq!(scan.models[2].wanted(), crate::Wanted::default());
    assert_eq!(scan.models[2].complete(), [version(1)], "its versions are as they were");
}
