//! The registry of a run: copies of the versions of a model, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::By;

/// The alias that is moved where swaps go by alias.
pub(super) const ALIAS: &str = "champion";

/// The most rows of one run, named so that no profile decides it: it could be measured at a bad moment, and cut requests
/// whose answers are then not the bits of those that were run whole.
const ROWS_MAX: u32 = 64;

/// A registry with one model, whose folder changes while the gateway watches it.
#[derive(Debug)]
pub(crate) struct SwapRegistry {
    root: PathBuf,
    model: PathBuf,
    /// How many versions there were at first. A later version n has the content of (n - 1) modulo this, plus 1.
    sources: u64,
    from: PathBuf,
}

impl SwapRegistry {
    /// Copies the versions 1, 2, 3, ... of a model.
    ///
    /// # Errors
    /// Where the model has fewer than two, or a file cannot be copied.
    pub(crate) fn new(models: &Path, model: &str, root: PathBuf) -> Result<Self, String> {
        let from = models.join(model);
        let sources = (1..).take_while(|number| from.join(number.to_string()).is_dir()).count() as u64;
        if sources < 2 {
            return Err(format!("{} has no versions 1 and 2 to swap between", from.display()));
        }
        let registry = Self { model: root.join(model), root, sources, from };
        for number in 1..=sources {
            registry.add(number)?;
        }
        Ok(registry)
    }

    /// The registry's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// How many versions there were at first.
    pub(crate) fn sources(&self) -> u64 {
        self.sources
    }

    /// Writes the model's card, of which this is all but how requests are run together.
    pub(crate) fn write_card(&self, policy: &str) -> Result<(), String> {
        let card = format!("batch_rows_max = {ROWS_MAX}\n{policy}");
        let file = self.model.join("model.toml");
        fs::write(&file, card).map_err(|e| format!("{}: {e}", file.display()))
    }

    /// What the card says where versions are swapped: which one it serves, and whether all are loaded or that one alone.
    pub(super) fn policy(&self, by: By, load_all: bool) -> String {
        let load = if load_all { "all" } else { "serving" };
        let latest = self.sources;
        match by {
            By::Promote | By::Drop => format!("serve = \"latest\"\nload = \"{load}\"\non_new = \"serve\"\n"),
            By::Alias => {
                format!("serve = \"{ALIAS}\"\nload = \"{load}\"\n\n[aliases]\n{ALIAS} = {latest}\n")
            }
        }
    }

    /// Puts a version in: copied under a name that is none, and then named, all at once.
    pub(super) fn add(&self, number: u64) -> Result<(), String> {
        let source = self.from.join(((number - 1) % self.sources + 1).to_string());
        let staged = self.model.join(format!(".new-{number}"));
        copy(&source, &staged).map_err(|e| format!("{}: {e}", source.display()))?;
        let folder = self.model.join(number.to_string());
        fs::rename(&staged, &folder).map_err(|e| format!("{}: {e}", folder.display()))
    }

    /// Takes a version out: renamed to what is no version, and then removed.
    pub(super) fn remove(&self, number: u64) -> Result<(), String> {
        let folder = self.model.join(number.to_string());
        let hidden = self.model.join(format!(".old-{number}"));
        let removed = fs::rename(&folder, &hidden).and_then(|()| fs::remove_dir_all(&hidden));
        removed.map_err(|e| format!("{}: {e}", folder.display()))
    }
}

/// A folder with its files and folders.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_whole_and_take_turns_at_their_contents() {
        let scratch = tempfile::tempdir().expect("a folder");
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let registry = SwapRegistry::new(&models, "iris", scratch.path().join("models")).expect("iris");
        assert_eq!(registry.sources(), 3);
        registry.add(5).expect("a copy");
        registry.remove(1).expect("it is there");
        registry.write_card(&registry.policy(By::Alias, false)).expect("a card");
        let iris = registry.root().join("iris");
        let mut names: Vec<String> = fs::read_dir(&iris)
            .expect("the model")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["2", "3", "5", "model.toml"]);
        for file in ["model.onnx", "manifest.toml", "golden.json"] {
            let read = |version: &str| fs::read(iris.join(version).join(file)).expect("a file");
            assert_eq!(read("5"), read("2"), "{file}");
        }
    }

    #[test]
    fn a_model_of_one_version_cannot_be_swapped() {
        let scratch = tempfile::tempdir().expect("a folder");
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let error = SwapRegistry::new(&models, "digits", scratch.path().join("models"));
        assert!(error.expect_err("digits has one").contains("digits"));
    }
}
