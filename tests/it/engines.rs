//! ONNX Runtime: where it is looked for, that an unknown build of it is tried before it is used, and
//! that nothing is written or sent by it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use pointsman_tests::{Pointsman, Start, binary, onnxruntime_library, post, repository};
use serde_json::{Value, json};

/// Takes everything out of a command's environment by which a library of ONNX Runtime is found.
pub(crate) fn quiet(command: Pointsman, empty: &Path) -> Pointsman {
    let command = command.variable("HOME", empty).variable("XDG_DATA_HOME", empty);
    command.without("ORT_DYLIB_PATH").without("LD_LIBRARY_PATH").without("POINTSMAN_ONNXRUNTIME")
}

/// Compiles a shared library from C.
pub(crate) fn compile(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (code, library) = (folder.join(name).with_extension("c"), folder.join(format!("lib{name}.so")));
    std::fs::write(&code, source).expect("a file");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).arg(&code).status();
    assert!(status.expect("cc runs").success(), "{source}");
    library
}

fn json_of(command: Pointsman) -> Value {
    let said = command.run();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    serde_json::from_str(&said.stdout).expect("JSON")
}

/// Puts a file that is no library into each place, and a copy of the real one behind them.
#[test]
fn the_places_are_looked_at_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir_all(&place).expect("a folder");
        place
    };
    let bad = |place: &Path| {
        let file = place.join("libonnxruntime.so");
        std::fs::write(&file, "no library").expect("a file");
        file
    };
    let (configured, variable) = (bad(&place("configured")), bad(&place("variable")));
    let beside = place("beside");
    let copy = beside.join("pointsman");
    std::fs::copy(binary(), &copy).expect("a copy of the binary");
    let beside = bad(&beside);
    let data = bad(&place("data/pointsman/onnxruntime"));
    let system = place("system");
    std::fs::copy(onnxruntime_library(), system.join("libonnxruntime.so.1")).expect("a copy");

    let arguments: [&OsStr; 4] =
        ["engines".as_ref(), "--json".as_ref(), "--onnxruntime".as_ref(), configured.as_ref()];
    let all = |arguments: &[&OsStr]| {
        quiet(Pointsman::of(&copy, arguments), folder.path())
            .variable("ORT_DYLIB_PATH", &variable)
            .variable("XDG_DATA_HOME", folder.path().join("data"))
            .variable("LD_LIBRARY_PATH", &system)
    };
    let json = json_of(all(&arguments));
    let notes: Vec<&str> =
        json["notes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let order: Vec<bool> = [&configured, &variable, &beside, &data]
        .iter()
        .zip(&notes)
        .map(|(path, note)| note.contains(path.to_str().expect("a path")))
        .collect();
    assert_eq!((order, notes.len()), (vec![true; 4], 4), "{notes:#?}");
    let library = json["onnxruntime_library"].as_str().expect("a library");
    assert!(library.contains("system/libonnxruntime.so.1"), "{library}");
    assert!(library.contains("the system's library path"), "{library}");

    // The first good one is used, and no further one is looked at.
    std::fs::remove_file(&data).expect("a file");
    std::fs::copy(onnxruntime_library(), &data).expect("a copy");
    let json = json_of(all(&arguments));
    assert!(
        json["onnxruntime_library"].as_str().is_some_and(|l| l.contains("user's data directory")),
        "{json}"
    );
    let real = onnxruntime_library();
    let arguments: [&OsStr; 4] =
        ["engines".as_ref(), "--json".as_ref(), "--onnxruntime".as_ref(), real.as_ref()];
    let json = json_of(all(&arguments));
    assert!(json["onnxruntime_library"].as_str().is_some_and(|l| l.contains("(configuration)")), "{json}");
    assert_eq!(json["notes"], json!([]));
}

#[test]
fn a_build_that_is_not_known_is_tried_and_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = std::fs::read(onnxruntime_library()).expect("the library");
    bytes.push(0);
    let library = folder.path().join("libonnxruntime.so");
    std::fs::write(&library, bytes).expect("a file");
    let arguments: [&OsStr; 4] =
        ["engines".as_ref(), "--json".as_ref(), "--onnxruntime".as_ref(), library.as_ref()];
    let json = json_of(quiet(Pointsman::new(arguments), folder.path()));
    assert_eq!(json["engines"][0], json!({"name": "onnxruntime", "version": "1.31.1"}), "{json}");
    assert_eq!(json["notes"], json!([]));
    let gateway =
        Start::over(repository().join("models")).argument("--onnxruntime").argument(&library).start();
    assert!(gateway.stdout().contains("onnxruntime 1.31.1"), "{}", gateway.stdout());
}

/// Every file and folder below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        found.push(entry.path());
        if entry.path().is_dir() {
            found.extend(below(&entry.path()));
        }
    }
    found
}

/// Serves a prediction by ONNX Runtime in an empty home and gives what was written there.
fn written(more: &[&str]) -> Vec<PathBuf> {
    let home = tempfile::tempdir().expect("a folder");
    let mut start =
        Start::over(repository().join("models")).argument("--onnxruntime").argument(onnxruntime_library());
    for name in ["HOME", "TMPDIR", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
        start = start.variable(name, home.path());
    }
    for argument in more {
        start = start.argument(argument.replace("HOME", home.path().to_str().expect("a path")));
    }
    let gateway = start.current_directory(home.path()).start();
    let input = json!({"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]});
    let answer = post(gateway.http, "/v2/models/iris/infer", json!({ "inputs": [input] }).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(gateway.stdout().contains("engines  onnxruntime"), "{}", gateway.stdout());
    assert_eq!(gateway.stop().code, Some(0));
    below(home.path())
}

#[test]
fn nothing_is_written_to_an_empty_home() {
    assert_eq!(written(&[]), Vec::<PathBuf>::new());
    // The negative control: what the gateway is told to write there is seen.
    let found = written(&["--state", "HOME/state"]);
    assert!(found.iter().any(|path| path.ends_with("state/lock")), "{found:?}");
}
