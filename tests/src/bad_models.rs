//! Models that a registry must not trip over: each kind of bad file with what is to become of it.

mod external;
mod files;
mod graphs;
mod mutations;
mod operators;
mod proto;
mod tensors;

use std::path::Path;
use std::process::Command;

pub use mutations::{bit_flips, truncations};

/// One bad version.
#[derive(Clone, Debug)]
pub struct BadModel {
    /// What it is called: it can stand as a model's name.
    pub name: &'static str,
    /// The files of its version's folder, by their names there.
    pub files: Vec<(&'static str, Content)>,
    /// What is to become of it.
    pub expected: Expected,
}

/// What stands in a version's folder.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to this.
    Link(&'static str),
    /// A folder that is a symbolic link to one that has this file.
    LinkedFolder(&'static str),
    /// A file with these bytes and a second name elsewhere.
    TwoNames(Vec<u8>),
    /// A named pipe that nobody writes to.
    Pipe,
}

/// What is to become of a bad version.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// It does not get to serve.
    Refused {
        /// The gate that refuses it.
        gate: &'static str,
        /// Words of the reason.
        words: &'static str,
    },
    /// It serves; a run of its [`Contained::request`] is an error of that request alone, or an answer.
    Contained(Contained),
    /// The engine crashes on it, and no look tells: only a trial in a child process can.
    NeedsTrial {
        /// What happens without one.
        without: &'static str,
    },
}

/// A version that loads, and how a run of it ends.
#[derive(Clone, Copy, Debug)]
pub struct Contained {
    /// The body of a V2 request.
    pub request: &'static str,
    /// The code of the answer: `INPUT_REJECTED`, `SESSION_FAILED` or `OK`.
    pub code: &'static str,
}

/// Four numbers for the input `x`.
const FOUR: &str = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[4],"data":[1,2,3,4]}]}"#;

impl Expected {
    /// The look at the file refuses it.
    const fn look(words: &'static str) -> Self {
        Self::Refused { gate: "onnx", words }
    }

    /// The registry refuses to read it.
    const fn registry(words: &'static str) -> Self {
        Self::Refused { gate: "registry", words }
    }

    /// The engine refuses it.
    const fn engine(words: &'static str) -> Self {
        Self::Refused { gate: "engine", words }
    }

    /// It loads, and four numbers end so.
    const fn contained(code: &'static str) -> Self {
        Self::Contained(Contained { request: FOUR, code })
    }
}

impl BadModel {
    fn new(name: &'static str, model: impl Into<Vec<u8>>, expected: Expected) -> Self {
        Self { name, files: vec![("model.onnx", Content::Bytes(model.into()))], expected }
    }

    fn beside(mut self, name: &'static str, content: Content) -> Self {
        self.files.push((name, content));
        self
    }

    /// Writes its files into a version's folder, which is made. What links lead to is put beside the
    /// registry's models, into `elsewhere`.
    ///
    /// # Panics
    /// Where that fails.
    pub fn write(&self, version: &Path, elsewhere: &Path) {
        std::fs::create_dir_all(version).expect("a folder");
        let own = elsewhere.join(self.name);
        for (name, content) in &self.files {
            let file = version.join(name);
            match content {
                Content::Bytes(bytes) => std::fs::write(file, bytes).expect("a file"),
                Content::Link(target) => link(target, &file),
                Content::LinkedFolder(inner) => {
                    std::fs::create_dir_all(&own).expect("a folder");
                    std::fs::write(own.join(inner), [0; 64]).expect("a file");
                    link(&own, &file);
                }
                Content::TwoNames(bytes) => {
                    std::fs::create_dir_all(&own).expect("a folder");
                    std::fs::write(&file, bytes).expect("a file");
                    std::fs::hard_link(&file, own.join("second")).expect("a second name");
                }
                Content::Pipe => {
                    let made = Command::new("mkfifo").arg(&file).status().expect("mkfifo runs");
                    assert!(made.success(), "no pipe {}", file.display());
                }
            }
        }
    }
}

fn link(target: impl AsRef<Path>, file: &Path) {
    std::os::unix::fs::symlink(target, file).expect("a link");
}

/// Every kind, in families.
#[must_use]
pub fn bad_models() -> Vec<BadModel> {
    [files::all(), graphs::all(), tensors::all(), operators::all(), external::all()].concat()
}

/// What some of them would be without their fault: the builders' negative control.
#[must_use]
pub fn sound_models() -> Vec<(&'static str, Vec<u8>)> {
    [graphs::sound(), tensors::sound(), operators::sound()].concat()
}
