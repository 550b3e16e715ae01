//! Files that are no library of ONNX Runtime to load: each is one clear line and a fallback, never a
//! crash, whatever loading it would do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pointsman_tests::{Pointsman, Start, Stopped, TestRegistry, onnxruntime_library, post, repository};
use serde_json::{Value, json};

use crate::engines::{compile, quiet};

/// `pointsman engines` with this library and no other in reach.
fn engines(library: &Path, empty: &Path) -> Stopped {
    let arguments = ["engines".as_ref(), "--json".as_ref(), "--onnxruntime".as_ref(), library.as_os_str()];
    quiet(Pointsman::new(arguments), empty).run()
}

/// Holds the answer to one line about the file, one about what is used instead, and tract.
fn assert_falls_back(library: &Path, says: &str) {
    let empty = tempfile::tempdir().expect("a folder");
    let from = Instant::now();
    let said = engines(library, empty.path());
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let names: Vec<&str> =
        json["engines"].as_array().expect("a list").iter().filter_map(|e| e["name"].as_str()).collect();
    assert_eq!(names, ["tract", "echo"], "{json:#}");
    assert_eq!(json["onnxruntime_library"], Value::Null);
    let notes: Vec<&str> =
        json["notes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let about: Vec<&&str> =
        notes.iter().filter(|note| note.contains(library.to_str().expect("a path"))).collect();
    assert_eq!(about.len(), 1, "{notes:#?}");
    assert!(about[0].contains(says), "{:?} does not say {says:?}", about[0]);
    assert!(!about[0].contains('\n'), "{:?} is more than one line", about[0]);
    assert!(notes.last().is_some_and(|note| note.contains("deploy/install-onnxruntime")), "{notes:#?}");
    println!("{says}: {:?}", from.elapsed());
    assert!(from.elapsed() < Duration::from_secs(20), "{:?}", from.elapsed());
}

#[test]
fn files_that_are_no_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    assert_falls_back(&folder.path().join("nothing.so"), "No such file");
    assert_falls_back(folder.path(), "not a file");
    assert_falls_back(&file("empty.so", b""), "file too short");
    assert_falls_back(&file("garbage.so", &[0x5a; 4096]), "invalid ELF header");
    assert_falls_back(&file("page.so", b"<!DOCTYPE html><html></html>"), "");
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.so")).expect("a link");
    assert_falls_back(&folder.path().join("dangling.so"), "No such file");
    let pipe = folder.path().join("pipe.so");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    assert_falls_back(&pipe, "not a file");
}

/// Loading half of a library ends the process that does it with SIGBUS or SIGSEGV: not this one.
#[test]
fn a_library_that_was_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = std::fs::read(onnxruntime_library()).expect("the library");
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file");
    assert_falls_back(&path, "dies of signal");
}

#[test]
fn libraries_of_something_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = compile(folder.path(), "other", "int answer(void) { return 42; }");
    assert_falls_back(&other, "no ONNX Runtime");
    let old = compile(folder.path(), "old", &base("return \"1.27.0\";"));
    assert_falls_back(&old, "ONNX Runtime 1.27.0 is older than 1.28.0");
    let odd = compile(folder.path(), "odd", &base("return \"yesterday\";"));
    assert_falls_back(&odd, "yesterday");
    let null = compile(folder.path(), "null", "void *OrtGetApiBase(void) { return 0; }");
    assert_falls_back(&null, "gave nothing");
    let crash = compile(folder.path(), "crash", &base("*(volatile int *)0 = 1; return \"1.31.1\";"));
    assert_falls_back(&crash, "dies of signal 11");
    let exit = compile(
        folder.path(),
        "exit",
        "#include <unistd.h>\n__attribute__((constructor)) void f(void) { _exit(3); }",
    );
    assert_falls_back(&exit, "");
}

/// The C source of a library that says its version in this way.
fn base(version: &str) -> String {
    format!(
        "struct base {{ const void *(*api)(unsigned); const char *(*version)(void); }};\n\
         static const void *api(unsigned wanted) {{ (void)wanted; return 0; }}\n\
         static const char *version(void) {{ {version} }}\n\
         static const struct base base = {{ api, version }};\n\
         const struct base *OrtGetApiBase(void) {{ return &base; }}\n"
    )
}

/// A good version and none of the interface: found out when it is loaded, and still no crash.
#[test]
fn a_library_that_only_claims_to_be_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let hollow = compile(folder.path(), "hollow", &base("return \"1.31.1\";"));
    assert_falls_back(&hollow, "no interface");
}

#[test]
fn a_library_that_hangs_when_it_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = "#include <unistd.h>\n__attribute__((constructor)) void f(void) { for (;;) pause(); }";
    assert_falls_back(&compile(folder.path(), "hangs", source), "took longer than");
}

/// What a user without ONNX Runtime sees: the models that tract runs serve, the others are named with
/// the operator and the remedy.
#[test]
fn the_shipped_models_without_onnxruntime() {
    let empty = tempfile::tempdir().expect("a folder");
    let nothing: PathBuf = empty.path().join("nothing.so");
    let mut start = Start::over(repository().join("models")).argument("--onnxruntime").argument(&nothing);
    for name in ["HOME", "XDG_DATA_HOME"] {
        start = start.variable(name, empty.path());
    }
    let gateway = start.without("ORT_DYLIB_PATH").without("LD_LIBRARY_PATH").start();
    let table = gateway.stdout();
    for model in ["iris", "digits"] {
        let serves = |line: &str| line.starts_with(&format!("{model} ")) && line.contains(" READY ");
        assert!(table.lines().any(|line| serves(line) && line.contains(" tract")), "{model}: {table}");
    }
    let flights = table.lines().find(|line| line.starts_with("flights")).expect("a line");
    assert!(flights.contains("UNAVAILABLE") && flights.contains("operator"), "{flights}");
    assert!(flights.contains("install-onnxruntime") || flights.contains("ONNX Runtime"), "{flights}");
    println!("{flights}");
    let input = json!({"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]});
    let answer = post(gateway.http, "/v2/models/iris/infer", json!({ "inputs": [input] }).to_string());
    assert_eq!(answer.json()["outputs"][0]["data"], json!([0]), "{}", answer.text());
    let refused = post(gateway.http, "/v2/models/flights/infer", json!({"inputs": []}).to_string());
    assert_eq!((refused.status, refused.error().1.as_str()), (503, "NOT_READY"));
    assert!(gateway.stderr().contains("nothing.so"), "{}", gateway.stderr());
}

/// A model may insist on an engine that is not there.
#[test]
fn a_card_that_asks_for_an_engine_that_is_not_there() {
    let empty = tempfile::tempdir().expect("a folder");
    let registry = TestRegistry::new()
        .made("any", "gather")
        .made("fast", "gather")
        .file("fast/model.toml", "engine = \"onnxruntime\"\n");
    let mut start = Start::over(registry.path()).argument("--onnxruntime").argument(empty.path());
    for name in ["HOME", "XDG_DATA_HOME"] {
        start = start.variable(name, empty.path());
    }
    let gateway = start.without("ORT_DYLIB_PATH").without("LD_LIBRARY_PATH").start();
    let table = gateway.stdout();
    let line = table.lines().find(|line| line.starts_with("fast ")).expect("a line");
    assert!(line.contains("UNAVAILABLE") && line.contains("onnxruntime"), "{line}");
    assert!(table.lines().any(|line| line.starts_with("any ") && line.contains("READY")), "{table}");
}
