//! Registries made for one test.

use std::path::{Path, PathBuf};

use crate::paths::{fixture, repository, test_model};

/// A directory of models that is gone after the test.
#[derive(Debug)]
pub struct TestRegistry {
    root: tempfile::TempDir,
}

impl Default for TestRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl TestRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Puts bytes into a file below the registry, with its folders.
    #[must_use]
    pub fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().expect("a file lies in a folder")).expect("folders");
        std::fs::write(file, bytes).expect("a file");
        self
    }

    /// A version of a model from a fixture's `model.onnx`.
    #[must_use]
    pub fn version(self, model: &str, number: u64, from_fixture: &str) -> Self {
        let bytes = std::fs::read(fixture(from_fixture).join("model.onnx")).expect("a fixture has a model");
        self.file(&format!("{model}/{number}/model.onnx"), bytes)
    }

    /// A model that the project ships, with all its versions.
    #[must_use]
    pub fn shipped(self, model: &str) -> Self {
        fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
            std::fs::create_dir_all(to)?;
            for entry in std::fs::read_dir(from)? {
                let entry = entry?;
                let to = to.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    copy(&entry.path(), &to)?
                } else {
                    let _bytes = std::fs::copy(entry.path(), to)?;
                }
            }
            Ok(())
        }
        copy(&repository().join("models").join(model), &self.path().join(model)).expect("a model is shipped");
        self
    }

    /// Version 1 of a model that `tests/models/make.py` made.
    #[must_use]
    pub fn made(self, model: &str, from: &str) -> Self {
        self.file(&format!("{model}/1/model.onnx"), test_model(from))
    }

    /// A model that the echo engine serves, with the signature of a fixture.
    #[must_use]
    pub fn echo(self, model: &str, from_fixture: &str) -> Self {
        self.version(model, 1, from_fixture).file(&format!("{model}/model.toml"), "engine = \"echo\"\n")
    }

    /// The path of something below it.
    #[must_use]
    pub fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }
}
