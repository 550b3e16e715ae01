//! Where inputs come from.

mod golden;
mod made;
mod replayed;

use std::path::PathBuf;

use super::input::Input;
use super::model::Model;

/// Where inputs come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// They are made up to fit what the model's metadata says.
    Metadata {
        /// The size of a first dimension that may be any.
        rows: u64,
        /// The size of any other dimension that may be any.
        size: u64,
        /// What values are drawn from.
        seed: u64,
    },
    /// Golden cases, whose answers are known: the `golden.json` of a version.
    Golden(PathBuf),
    /// A file with a request of V2 on each line, inputs in JSON.
    File(PathBuf),
}

impl Source {
    /// The inputs, in the order in which they are to be sent.
    ///
    /// # Errors
    /// Where there are none, and why.
    pub(crate) fn inputs(&self, model: &Model) -> Result<Vec<Input>, String> {
        match self {
            Self::Metadata { rows, size, seed } => made::inputs(model, *rows, *size, *seed),
            Self::Golden(path) => golden::inputs(path),
            Self::File(path) => replayed::inputs(path),
        }
    }
}
