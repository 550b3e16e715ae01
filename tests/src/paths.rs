//! Where things are.

use std::path::{Path, PathBuf};

/// The root of the checkout.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the repository")
}

/// The binary under test.
///
/// # Panics
/// Where it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("POINTSMAN_BIN") {
        return named.into();
    }
    // Tests lie in target/<profile>/deps, binaries one level up.
    let test = std::env::current_exe().expect("a process has an executable");
    let binary = test.parent().and_then(Path::parent).expect("deps lies in a profile").join("pointsman");
    assert!(binary.exists(), "{} is not there: run `cargo build` first, or tests/all", binary.display());
    binary
}

/// The load tester's binary, which lies beside the one under test.
///
/// # Panics
/// Where it was not built.
#[must_use]
pub fn load_tester() -> PathBuf {
    let tester = binary().with_file_name("pointsman-loadtest");
    assert!(tester.exists(), "{} is not there: run `cargo build --workspace --bins`", tester.display());
    tester
}

/// The folder of the fixture models.
#[must_use]
pub fn fixtures() -> PathBuf {
    repository().join("tests/fixtures")
}

/// The folder of one fixture model.
///
/// # Panics
/// Where there is none of that name.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    let path = fixtures().join(name);
    assert!(path.is_dir(), "there is no fixture {name}");
    path
}

/// The bytes of a model that `tests/models/make.py` made.
///
/// # Panics
/// Where there is none of that name.
#[must_use]
pub fn test_model(name: &str) -> Vec<u8> {
    let path = repository().join("tests/models").join(name).with_extension("onnx");
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The ONNX Runtime library that `deploy/install-onnxruntime` put into the user's data directory.
///
/// # Panics
/// Where it was not run.
#[must_use]
pub fn onnxruntime_library() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").expect("a home").join(".local/share");
    let folder = variable("XDG_DATA_HOME").unwrap_or_else(home).join("pointsman/onnxruntime");
    let library = folder.join("libonnxruntime.so").canonicalize();
    library.unwrap_or_else(|e| panic!("{}: {e}: run deploy/install-onnxruntime first", folder.display()))
}
