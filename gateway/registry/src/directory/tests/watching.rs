//! Being woken by a real directory.

use std::sync::mpsc::{Receiver, channel};

use super::*;

/// A watch whose wakings can be waited for.
#[derive(Debug)]
struct Woken {
    watch: Watch,
    wakings: Receiver<()>,
}

impl Woken {
    fn over(registry: &DirectoryRegistry) -> Self {
        let (sender, wakings) = channel();
        let wake = move || sender.send(()).unwrap_or_default();
        Self { watch: registry.watch(Box::new(wake)).expect("watches"), wakings }
    }

    /// Waits for a waking, and takes those that have come with it.
    fn wait(&self, what: &str) {
        self.wakings.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("not woken: {what}"));
        while self.wakings.try_recv().is_ok() {}
    }

    /// Waits until the watch holds no longer.
    fn wait_lost(&self) {
        while self.watch.holds() {
            self.wait("the folder has gone");
        }
    }
}

#[test]
fn changes_at_every_depth_wake() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx");
    let registry = disk.open();
    let woken = Woken::over(&registry);
    std::fs::create_dir(disk.path("net")).expect("a folder");
    woken.wait("a new model");
    std::fs::create_dir(disk.path("net/1")).expect("a folder");
    for path in ["net/1/model.onnx", "iris/1/model.onnx", "iris/model.toml"] {
        let soon = Duration::from_millis(100);
        while woken.wakings.recv_timeout(soon).is_ok() {} // the events of what was before
        // A new folder is watched a moment after its own event, which calls for a look in any case.
        let mut tries = 0..200;
        let woke = tries.any(|_| {
            disk.write(path, "x");
            woken.wakings.recv_timeout(soon).is_ok()
        });
        assert!(woke, "not woken: {path}");
    }
    std::fs::rename(disk.path("net/1"), disk.path("net/2")).expect("renamed");
    woken.wait("a renamed version");
    std::fs::remove_dir_all(disk.path("iris")).expect("removed");
    woken.wait("a removed model");
    assert!(woken.watch.holds());
}

#[test]
fn looking_and_reading_wake_nobody() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx");
    let registry = disk.open();
    let woken = Woken::over(&registry);
    registry.scan().expect("scans");
    registry.read(&ModelName::new("iris").expect("a name"), version(1)).expect("reads");
    assert!(woken.watch.holds());
    // Events come in their order: had one of these woken, it would come before that of the folder.
    std::fs::create_dir(disk.path("net")).expect("a folder");
    woken.wakings.recv_timeout(Duration::from_secs(20)).expect("woken by the folder");
    std::fs::create_dir(disk.path("net2")).expect("a folder");
    woken.wakings.recv_timeout(Duration::from_secs(20)).expect("woken by the second folder");
    assert_eq!(woken.wakings.try_iter().count(), 0);
}

#[test]
fn a_root_that_goes_or_is_replaced_is_watched_anew() {
    let disk = Disk::new();
    disk.model("models/iris/1/model.onnx").model("other/net/1/model.onnx");
    let root = disk.path("models");
    let registry = DirectoryRegistry::open(&root, Limits::default()).expect("opens");

    let woken = Woken::over(&registry);
    std::fs::rename(&root, disk.path("away")).expect("moved");
    woken.wait_lost();
    let error = registry.watch(Box::new(|| {})).expect_err("gone").to_string();
    assert!(error.contains("polling alone is used") && error.contains("No such file"), "{error}");
    std::fs::rename(disk.path("other"), &root).expect("replaced");
    assert!(!woken.watch.holds(), "another folder stands there");

    let woken = Woken::over(&registry);
    std::fs::create_dir(disk.path("models/net/2")).expect("a folder");
    woken.wait("the folder that stands there now");
    assert!(woken.watch.holds());

    // A folder that was made anew may get the inode of the one that was removed.
    std::fs::remove_dir_all(&root).expect("removed");
    std::fs::create_dir(&root).expect("made anew");
    woken.wait_lost();
}

#[test]
fn a_root_behind_a_link_is_watched_and_its_turning_is_seen() {
    let disk = Disk::new();
    disk.model("first/iris/1/model.onnx").model("second/iris/2/model.onnx");
    symlink("first", disk.path("models")).expect("a link");
    let registry = DirectoryRegistry::open(disk.path("models"), Limits::default()).expect("opens");
    let woken = Woken::over(&registry);
    std::fs::create_dir(disk.path("first/iris/3")).expect("a folder");
    woken.wait("a folder behind the link");
    assert!(woken.watch.holds());
    symlink("second", disk.path("new")).expect("a link");
    std::fs::rename(disk.path("new"), disk.path("models")).expect("turned");
    assert!(!woken.watch.holds());
}

#[test]
fn links_out_of_the_registry_are_not_watched() {
    let (disk, outside) = (Disk::new(), Disk::new());
    disk.model("iris/1/model.onnx");
    symlink(outside.path(""), disk.path("iris/2")).expect("a link");
    let woken = Woken::over(&disk.open());
    outside.write("x", "x");
    std::fs::create_dir(disk.path("net")).expect("a folder");
    woken.wakings.recv_timeout(Duration::from_secs(20)).expect("woken by the folder");
    assert_eq!(woken.wakings.try_iter().count(), 0);
}

#[test]
fn watches_are_bounded() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx");
    // The root, the model and the version.
    let watch = |watches_max| {
        let limits = Limits { watches_max, ..Limits::default() };
        let (sender, wakings) = channel();
        let watch = disk.limited(limits).watch(Box::new(move || sender.send(()).unwrap_or_default()));
        watch.map(|watch| Woken { watch, wakings })
    };
    let error = watch(2).expect_err("over the limit").to_string();
    assert!(error.contains("more than 2 folders (watches_max)"), "{error}");
    let woken = watch(3).expect("at the limit");
    assert!(woken.watch.holds());
    std::fs::create_dir(disk.path("iris/2")).expect("a folder");
    woken.wait_lost();
}

#[test]
fn a_dropped_watch_wakes_nobody() {
    let disk = Disk::new();
    let (dropped, kept) = (Woken::over(&disk.open()), Woken::over(&disk.open()));
    drop(dropped.watch);
    // The sender goes with the watch.
    assert!(dropped.wakings.recv_timeout(Duration::from_secs(20)).is_err());
    disk.write("iris/1/x", "x");
    kept.wait("one that is kept");
}
