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
