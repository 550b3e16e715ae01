//! Registries as they are found on disks, good and bad.

mod copies;
mod corpus;
mod watching;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::digest::Digester;
use crate::onnx::OnnxFault;
use crate::onnx::sample::{encode, external, model};
use crate::{FileFault, FolderState, ModelListing, OnNew, VersionPolicy};

/// A registry that a test fills.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
        std::fs::write(path, content).expect("a file");
        self
    }

    fn model(&self, path: &str) -> &Self {
        self.write(path, encode(&model()))
    }

    fn open(&self) -> DirectoryRegistry {
        self.limited(Limits::default())
    }

    fn limited(&self, limits: Limits) -> DirectoryRegistry {
        DirectoryRegistry::open(self.0.path(), limits).expect("opens")
    }

    fn scan(&self) -> Scan {
        self.open().scan().expect("scans")
    }

    fn read(&self, model: &str, number: u64) -> Result<VersionFiles, ReadError> {
        self.open().read(&ModelName::new(model).expect("a name"), version(number))
    }

    fn refused(&self, model: &str) -> String {
        let line = self.read(model, 1).expect_err("a bad version").to_string();
        assert!(line.starts_with(model) && line.contains("; ") && !line.contains('\n'), "{line}");
        line
    }
}

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

fn numbers(listing: &ModelListing) -> Vec<u64> {
    listing.versions.iter().map(|version| version.number.get()).collect()
}

fn digest(content: impl AsRef<[u8]>) -> String {
    let mut digester = Digester::default();
    digester.update(content.as_ref());
    digester.finish().to_string()
}

fn lines(problems: &[crate::Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn names(scan: &Scan) -> Vec<&str> {
    scan.models.iter().map(|m| m.name.as_str()).collect()
}

#[test]
fn models_are_listed_and_everything_else_is_left_alone() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx").model("iris/10/model.onnx").model("iris/9/model.onnx");
    disk.write("iris/model.toml", "serve = \"best\"\n[aliases]\nbest = 9\n").write("iris/README.md", "x");
    disk.write("empty/model.toml", "").write("recipe/train.py", "x").write("README.md", "x");
    disk.write(".git/1/x", "x");
    let scan = disk.scan();
    assert_eq!(names(&scan), ["empty", "iris"]);
    assert_eq!(scan.problems, []);
    let iris = &scan.models[1];
    assert_eq!(numbers(iris), [1, 9, 10]);
    assert_eq!((iris.wanted().default, iris.wanted().load), (Some(version(9)), vec![version(9)]));
    assert_eq!(iris.card.on_new(), OnNew::Hold);
    assert_eq!((iris.warnings.len(), iris.problems.len()), (0, 0));
    assert_eq!(
        lines(&scan.models[0].wanted().problems),
        ["empty: has no version; add a folder `1` with model.onnx in it"]
    );
}

#[test]
fn a_bad_model_is_named_and_the_others_are_unaffected() {
    let disk = Disk::new();
    disk.model("good/1/model.onnx").model("bad/1/model.onnx").write("bad/model.toml", "serve = -1");
    disk.model("stats/1/model.onnx").model("a b/1/model.onnx").model("c\nd/1/model.onnx");
    disk.model("torch/1/model.onnx").write("torch/config.pbtxt", "backend: \"pytorch\"");
    symlink("good", disk.path("link")).expect("a link");
    let scan = disk.scan();
    assert_eq!(names(&scan), ["bad", "good", "torch"]);
    assert_eq!(
        lines(&scan.models[0].problems),
        ["bad/model.toml: key serve = -1; give \"latest\", a version's number or an alias"]
    );
    assert_eq!(scan.models[0].wanted(), crate::Wanted::default());
    assert_eq!(scan.models[1].wanted().default, Some(version(1)));
    assert!(scan.models[2].problems[0].what.contains("pytorch"));
    let found = lines(&scan.problems);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("a b: a name is 1 to 128 characters"), "{found:?}");
    assert!(found[1].starts_with("c\\nd: a name is"), "{found:?}");
    assert!(found[2].starts_with("link: is, or lies behind, a symbolic link; "), "{found:?}");
    assert!(found[3].starts_with("stats: the V2 protocol"), "{found:?}");
}

#[test]
fn folders_that_are_no_versions_are_named() {
    let disk = Disk::new();
    disk.model("iris/1/model.onnx");
    for name in ["01", "0", "-1", "1.0", "latest", "18446744073709551616", "\u{661}"] {
        std::fs::create_dir(disk.path("iris").join(name)).expect("a folder");
    }
    symlink("1", disk.path("iris/2")).expect("a link");
    let scan = disk.scan();
    assert_eq!(scan.models[0].warnings.len(), 7);
    assert!(scan.models[0].problems.is_empty());
    // A link is named like a version, so it is one that cannot be read, and says why.
    assert_eq!(numbers(&scan.models[0]), [1, 2]);
    assert_eq!(scan.models[0].complete(), [version(1)]);
    let error = disk.read("iris", 2).expect_err("a link").to_string();
    assert!(error.contains("symbolic link"), "{error}");
}

#[test]
fn a_model_outside_a_version_is_named() {
    let disk = Disk::new();
    disk.model("flat/model.onnx").model("lettered/v1/model.onnx").model("good/1/model.onnx");
    std::fs::create_dir_all(disk.path("recipe/data")).expect("folders without a model");
    let scan = disk.scan();
    assert_eq!(names(&scan), ["good"]);
    let found = lines(&scan.problems);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("flat: holds a model, and no version; put its files into flat/1"),
        "{found:?}"
    );
    assert!(found[1].starts_with("lettered: holds a model"), "{found:?}");
}

#[test]
fn counts_are_bounded() {
    let disk = Disk::new();
    for number in 1..=4 {
        disk.model(&format!("a/{number}/model.onnx")).model(&format!("m{number}/1/model.onnx"));
    }
    let scan = disk.limited(Limits { models_max: 2, versions_max: 3, ..Limits::default() }).scan();
    let scan = scan.expect("scans");
    assert_eq!(names(&scan), ["a", "m1"]);
    assert_eq!(numbers(&scan.models[0]), [2, 3, 4]);
    assert!(scan.models[0].warnings[0].what.contains("versions_max"));
    assert!(scan.problems[0].to_string().starts_with("m2: there are more than 2 models (models_max)"));
    let crowded = disk.limited(Limits { entries_max: 3, ..Limits::default() }).scan();
    assert!(crowded.expect_err("crowded").to_string().contains("entries_max"));
    disk.write("a/model.toml", "# a long card");
    let long = disk.limited(Limits { card_bytes_max: 5, ..Limits::default() }).scan().expect("scans");
    assert!(long.models[0].problems[0].what.contains("card_bytes_max"));
}

#[test]
fn a_triton_repository_is_read() {
    let disk = Disk::new();
    disk.model("net/1/net.onnx").model("net/3/net.onnx").write("net/labels.txt", "cat\ndog\r\n");
    disk.write(
        "net/config.pbtxt",
        "platform: \"onnxruntime_onnx\" default_model_filename: \"net.onnx\"\n\
         output [ { name: \"Y\" data_type: TYPE_FP32 dims: [ 2 ] label_filename: \"labels.txt\" } ]\n\
         version_policy { all { } } model_warmup { }",
    );
    let scan = disk.scan();
    let net = &scan.models[0];
    assert_eq!(lines(&net.problems), [""; 0]);
    assert_eq!(net.config.as_ref().expect("read").policy, Some(VersionPolicy::All));
    assert_eq!(&net.settings().labels["Y"][..], ["cat", "dog"]);
    assert_eq!(net.wanted().load, [1, 3].map(version));
    assert!(net.warnings[0].what.contains("model_warmup"), "{:?}", net.warnings);
    assert!(disk.read("net", 3).is_ok());

    std::fs::remove_file(disk.path("net/labels.txt")).expect("removed");
    symlink("/etc/passwd", disk.path("net/labels.txt")).expect("a link");
    assert!(disk.scan().models[0].problems[0].to_string().starts_with("net/labels.txt: is, or lies behind"));
}

#[test]
fn a_registry_that_is_gone_is_an_error_and_may_come_back() {
    let disk = Disk::new();
    let root = disk.path("models");
    assert!(DirectoryRegistry::open(&root, Limits::default()).is_err());
    disk.model("models/iris/1/model.onnx");
    let registry = DirectoryRegistry::open(&root, Limits::default()).expect("opens");
    std::fs::rename(&root, disk.path("away")).expect("moved");
    assert!(registry.scan().expect_err("gone").to_string().contains("models cannot be read"));
    std::fs::rename(disk.path("away"), &root).expect("moved");
    assert_eq!(names(&registry.scan().expect("scans")), ["iris"]);
}

#[test]
fn a_version_is_read_whole() {
    let disk = Disk::new();
    let golden = r#"{"rtol": 0.5, "cases": []}"#;
    let (onnx, weights) = (encode(&external(&[("location", "w/a.bin"), ("offset", "8")])), [7; 16]);
    disk.write("iris/1/model.onnx", &onnx)
        .write("iris/1/w/a.bin", weights)
        .write("iris/1/golden.json", golden);
    let before = disk.read("iris", 1).expect("sound");
    assert_eq!(before.files.model, onnx);
    assert_eq!(before.files.external, [("w/a.bin".to_owned(), std::sync::Arc::from(weights.to_vec()))]);
    assert_eq!(before.bytes(), onnx.len() + 16);
    assert_eq!(before.golden.as_ref().map(|g| g.rtol), Some(0.5));
    assert!(before.manifest.is_none());

    let manifest = format!(
        "[files]\n\"model.onnx\" = \"{}\"\n\"w/a.bin\" = \"{}\"\n\"golden.json\" = \"{}\"\n\"notes.txt\" = \"{}\"\n",
        digest(&onnx),
        digest(weights),
        digest(golden),
        digest("hello"),
    );
    disk.write("iris/1/manifest.toml", &manifest).write("iris/1/notes.txt", "hello");
    let after = disk.read("iris", 1).expect("sound");
    assert_eq!(after.digest, before.digest);
    assert_eq!(after.digests.len(), 4);
    disk.write("iris/1/w/a.bin", [8; 16]).write("iris/1/manifest.toml", "[metrics]\n");
    assert_ne!(disk.read("iris", 1).expect("sound").digest, before.digest);
}

#[test]
fn nothing_is_served_that_the_manifest_does_not_vouch_for() {
    let disk = Disk::new();
    let onnx = encode(&external(&[("location", "w")]));
    let manifest = |files: &[(&str, String)]| {
        let lines = files.iter().map(|(name, digest)| format!("\"{name}\" = \"{digest}\"\n"));
        disk.write("iris/1/manifest.toml", format!("[files]\n{}", lines.collect::<String>()));
    };
    disk.write("iris/1/model.onnx", &onnx).write("iris/1/w", [0; 8]);
    manifest(&[]);
    assert!(disk.refused("iris").starts_with("iris/1/model.onnx: is not listed under [files]"));
    manifest(&[("model.onnx", digest("other"))]);
    let line = disk.refused("iris");
    assert!(line.contains(&digest("other")) && line.contains(&digest(&onnx)), "{line}");
    manifest(&[("model.onnx", digest(&onnx))]);
    assert!(disk.refused("iris").starts_with("iris/1/w: is not listed under [files]"));
    manifest(&[("model.onnx", digest(&onnx)), ("w", digest([0; 8])), ("more", digest("x"))]);
    assert!(disk.refused("iris").starts_with("iris/1/more: is missing"));
    disk.write("iris/1/more", "x");
    assert!(disk.read("iris", 1).is_ok());
    disk.write("iris/1/golden.json", "{\"cases\": []}");
    assert!(disk.refused("iris").starts_with("iris/1/golden.json: is not listed under [files]"));
    disk.write("iris/1/manifest.toml", "[file]\n");
    assert!(disk.refused("iris").starts_with("iris/1/manifest.toml: key file is unknown"));
    // A digest is held against the manifest before anything is parsed.
    disk.write("iris/1/model.onnx", "<html>");
    manifest(&[("model.onnx", digest("other"))]);
    assert!(matches!(disk.read("iris", 1), Err(ReadError::Digest { .. })));
}

#[test]
fn malformed_models_are_refused_with_file_and_remedy() {
    let disk = Disk::new();
    disk.write("lfs/1/model.onnx", "version https://git-lfs.github.com/spec/v1\n");
    assert_eq!(
        disk.refused("lfs"),
        "lfs/1/model.onnx: is a git-LFS pointer, not an ONNX model; run `git lfs pull`"
    );
    disk.write("empty/1/model.onnx", "");
    assert_eq!(disk.refused("empty"), "empty/1/model.onnx: is empty; copy the file again");
    std::fs::create_dir_all(disk.path("none/1")).expect("a folder");
    assert_eq!(disk.refused("none"), "none/1/model.onnx: is missing; put it there");
    assert_eq!(disk.refused("unknown"), "unknown: is missing; put it there");
    disk.write("odd/1/model.onnx", encode(&external(&[("location", "../secret")])))
        .write("odd/secret", [0; 8]);
    assert!(disk.refused("odd").contains("names the file '../secret', which leaves its folder by '..'"));
    disk.write("gone/1/model.onnx", encode(&external(&[("location", "w")])));
    assert_eq!(disk.refused("gone"), "gone/1/w: is missing; put it there");
    disk.write("short/1/model.onnx", encode(&external(&[("location", "w"), ("offset", "1")])));
    disk.write("short/1/w", [0; 8]);
    assert_eq!(disk.refused("short"), "short/1/w: has 8 bytes, and the model needs 9; copy the file again");
    disk.model("golden/1/model.onnx").write("golden/1/golden.json", "{\"cases\": 1}");
    assert!(disk.refused("golden").starts_with("golden/1/golden.json: "));
    let nested = crate::onnx::sample::nested(1000);
    disk.write("deep/1/model.onnx", nested);
    let deep = disk.read("deep", 1).expect_err("too deep");
    assert!(matches!(deep, ReadError::Onnx { fault: OnnxFault::TooDeep { .. }, .. }), "{deep}");
}

#[test]
fn links_pipes_and_devices_are_refused_at_once() {
    let disk = Disk::new();
    let started = Instant::now();
    let weights = encode(&external(&[("location", "sub/w")]));
    let fault = |model: &str| match disk.read(model, 1).expect_err("unsafe") {
        ReadError::File(error) => error.fault,
        other => panic!("{other}"),
    };
    let prepare = |model: &str| {
        disk.write(&format!("{model}/1/model.onnx"), &weights);
        disk.path(&format!("{model}/1/sub"))
    };
    disk.write("secret", [0; 8]);

    std::fs::create_dir(prepare("file_link")).expect("a folder");
    symlink(disk.path("secret"), disk.path("file_link/1/sub/w")).expect("a link");
    assert_eq!(fault("file_link"), FileFault::Symlink);

    symlink(disk.0.path(), prepare("folder_link")).expect("a link");
    assert_eq!(fault("folder_link"), FileFault::Symlink);

    std::fs::create_dir(prepare("hard_link")).expect("a folder");
    std::fs::hard_link(disk.path("secret"), disk.path("hard_link/1/sub/w")).expect("a link");
    assert_eq!(fault("hard_link"), FileFault::HardLink { links: 2 });

    std::fs::create_dir(prepare("pipe")).expect("a folder");
    pipe(&disk.path("pipe/1/sub/w"));
    assert_eq!(fault("pipe"), FileFault::NotAFile);
    std::fs::create_dir_all(disk.path("pipe_model/1")).expect("a folder");
    pipe(&disk.path("pipe_model/1/model.onnx"));
    assert_eq!(fault("pipe_model"), FileFault::NotAFile);

    std::fs::create_dir_all(prepare("folder").join("w")).expect("a folder");
    assert_eq!(fault("folder"), FileFault::NotAFile);

    symlink("/dev/zero", disk.path("folder/1/zero")).expect("a link");
    std::fs::remove_file(disk.path("folder/1/model.onnx")).expect("removed");
    symlink("zero", disk.path("folder/1/model.onnx")).expect("a link");
    assert_eq!(fault("folder"), FileFault::Symlink);

    symlink(disk.path("secret"), disk.path("pipe/1/manifest.toml")).expect("a link");
    assert_eq!(fault("pipe"), FileFault::Symlink);
    symlink("pipe", disk.path("model_link")).expect("a link");
    assert_eq!(fault("model_link"), FileFault::Symlink);
    symlink("1", disk.path("hard_link/2")).expect("a link");
    assert!(disk.read("hard_link", 2).is_err());
    assert!(started.elapsed() < Duration::from_secs(10));
}

fn pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
}

#[test]
fn a_config_map_of_kubernetes_is_refused_with_what_to_do() {
    let disk = Disk::new();
    disk.model("..2026_01_01/iris/1/model.onnx");
    symlink("..2026_01_01", disk.path("..data")).expect("a link");
    symlink("..data/iris", disk.path("iris")).expect("a link");
    let scan = disk.scan();
    assert_eq!(names(&scan), [""; 0]);
    assert!(scan.problems[0].to_string().contains("a Kubernetes ConfigMap"));
    assert!(disk.refused("iris").contains("a Kubernetes ConfigMap"));
}

#[test]
fn sizes_are_bounded() {
    let disk = Disk::new();
    let onnx = encode(&external(&[("location", "w")]));
    disk.write("iris/1/model.onnx", &onnx).write("iris/1/w", [0; 100]);
    let size = onnx.len() as u64;
    let read = |limits| disk.limited(limits).read(&ModelName::new("iris").expect("a name"), version(1));
    let line = |limits| read(limits).expect_err("over a limit").to_string();
    assert!(
        read(Limits { model_bytes_max: size, version_bytes_max: size + 100, ..Limits::default() }).is_ok()
    );
    assert!(line(Limits { model_bytes_max: size - 1, ..Limits::default() }).contains("(model_bytes_max)"));
    let over = line(Limits { version_bytes_max: size + 99, ..Limits::default() });
    assert!(over.starts_with("iris/1: has") && over.contains("(version_bytes_max)"), "{over}");

    // A file that says it is huge and has no bytes is refused by its size, before a byte is read.
    let file = std::fs::File::create(disk.path("iris/1/model.onnx")).expect("created");
    file.set_len(1 << 40).expect("sparse");
    assert!(line(Limits::default()).contains("(model_bytes_max)"));
}

#[test]
fn a_folder_without_permission_is_named() {
    let disk = Disk::new();
    disk.model("good/1/model.onnx").model("shut/1/model.onnx");
    std::fs::set_permissions(disk.path("shut"), std::fs::Permissions::from_mode(0o000)).expect("shut");
    let scan = disk.scan();
    // The superuser reads it all the same.
    let is_super = names(&scan) == ["good", "shut"];
    assert!(is_super || scan.problems[0].to_string().starts_with("shut: cannot be read: "), "{scan:?}");
    std::fs::set_permissions(disk.path("shut"), std::fs::Permissions::from_mode(0o755)).expect("open");
}
