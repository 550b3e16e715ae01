//! The rules of the house that no compiler holds: who may import whom, and how files are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use pointsman_tests::repository;
use serde_json::Value;

/// The longest that a file may be, its tests left out.
const LINES_MAX: usize = 500;

/// Who may import whom among the packages of the workspace, level by level (`gateway/ARCHITECTURE.md`).
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("core", &[]),
    ("stats", &[]),
    ("route", &["core"]),
    ("engine", &["core"]),
    ("registry", &["core"]),
    ("wire", &["core"]),
    ("observe", &["core", "stats"]),
    ("predict", &["core", "route"]),
    ("control", &["core", "stats", "route", "registry", "predict"]),
    ("app", &["core", "stats", "route", "engine", "registry", "wire", "observe", "predict", "control"]),
    // The floor that the gateway is measured against is the engine alone.
    ("loadtest", &["core", "engine", "registry", "wire"]),
    ("tests", &["core", "registry", "wire", "observe"]),
];

/// Libraries that one crate alone may know.
const KEPT_IN: [(&str, &str); 9] = [
    ("ort", "engine"),
    ("ort-sys", "engine"),
    ("tract-onnx", "engine"),
    ("libloading", "engine"),
    ("arc-swap", "predict"),
    ("notify", "registry"),
    ("procfs", "control"),
    ("rusqlite", "control"),
    ("xxhash-rust", "route"),
];

/// What each folder's package depends on, in every kind of build.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(repository());
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let dependencies = packages.map(|package| {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let folder = manifest.parent().and_then(Path::file_name).expect("a manifest lies in a folder");
        let listed = package["dependencies"].as_array().expect("dependencies").iter();
        let listed = listed.map(|dependency| dependency["name"].as_str().expect("a name").to_owned());
        (folder.to_string_lossy().into_owned(), listed.collect())
    });
    dependencies.collect()
}

#[test]
fn crates_import_only_what_lies_below_them() {
    let dependencies = dependencies();
    let known: Vec<&str> = MAY_IMPORT.iter().map(|(folder, _)| *folder).collect();
    for (folder, imported) in &dependencies {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| name == folder) else {
            panic!("{folder} is none of {known:?}: give it a place in the table, or the design a new one");
        };
        for name in imported.iter().filter_map(|name| name.strip_prefix("pointsman-")) {
            assert!(allowed.contains(&name), "{folder} must not import {name}");
        }
        for (library, home) in KEPT_IN {
            assert!(
                folder == home
                    || ["loadtest", "tests"].contains(&folder.as_str())
                    || !imported.contains(library),
                "{library} belongs in {home}, not {folder}"
            );
        }
    }
    for (library, home) in KEPT_IN {
        assert!(dependencies[home].contains(library), "{home} has no {library}: the table is out of date");
    }
    assert_eq!(dependencies.len(), MAY_IMPORT.len(), "{known:?}");
}

#[test]
fn every_folder_of_the_gateway_is_a_crate_named_after_it() {
    for entry in std::fs::read_dir(repository().join("gateway")).expect("the gateway") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let folder = path.file_name().expect("a name").to_string_lossy().into_owned();
        let manifest = std::fs::read_to_string(path.join("Cargo.toml"));
        let manifest = manifest.unwrap_or_else(|e| panic!("gateway/{folder} is no crate: {e}"));
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let expected = if folder == "app" { "pointsman".into() } else { format!("pointsman-{folder}") };
        assert_eq!(manifest["package"]["name"].as_str(), Some(expected.as_str()), "gateway/{folder}");
    }
}

/// All Rust files of the repository, as paths below it.
fn sources() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]).current_dir(repository());
    let output = git.output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    let files: Vec<PathBuf> = files.into_iter().filter(|file| repository().join(file).exists()).collect();
    assert!(files.len() > 100, "{} files are too few to be all", files.len());
    files
}

/// What is wrong with one file.
fn faults(file: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push("does not begin with what it is for (`//!`)".to_owned());
    }
    if file.file_name().is_some_and(|name| name == "mod.rs") {
        faults.push("is a mod.rs: name it after its module".to_owned());
    }
    let code = text.lines().take_while(|line| *line != "mod tests {").count();
    if code > LINES_MAX {
        faults.push(format!("has {code} lines before its tests, more than {LINES_MAX}"));
    }
    // Put together here, so that this file does not hold the words that it looks for.
    for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
        if text.contains(word) {
            faults.push(format!("holds {word}: do it, or open an issue"));
        }
    }
    let waits = file.starts_with("tests") && !file.ends_with("src/wait.rs");
    if waits && text.contains(concat!("thread::", "sleep")) {
        faults.push("sleeps: wait for a state with wait_for".to_owned());
    }
    faults
}

#[test]
fn files_are_kept_as_agreed() {
    let mut found = Vec::new();
    for file in sources() {
        let text = std::fs::read_to_string(repository().join(&file)).expect("a source file");
        found.extend(faults(&file, &text).into_iter().map(|fault| format!("{} {fault}", file.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_rules_catch_what_breaks_them() {
    let long = format!("//! x\n{}", "\n".repeat(LINES_MAX));
    let sleeping = concat!("//! x\nfn f() { std::thread::", "sleep(t) }");
    for (path, text) in [
        ("gateway/core/src/a.rs", "fn f() {}"),
        ("gateway/core/src/a/mod.rs", "//! x"),
        ("gateway/core/src/a.rs", &long),
        ("gateway/core/src/a.rs", concat!("//! x\n// TO", "DO")),
        ("tests/it/a.rs", sleeping),
    ] {
        assert_eq!(faults(Path::new(path), text).len(), 1, "{path}: {text:.40}");
    }
    assert!(faults(Path::new("tests/src/wait.rs"), sleeping).is_empty());
    assert!(faults(Path::new("gateway/core/src/a.rs"), "//! x\nfn f() {}").is_empty());
}
