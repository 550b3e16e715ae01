//! Why a version does not get to serve.

use std::fmt;
use std::time::Duration;

use pointsman_core::{LoadError, shown};
use pointsman_registry::{Digest, ReadError};

use super::memory::Shortage;
use super::run_time::Slower;

/// Defines the gates with the words that stand for them.
macro_rules! gates {
    ($($(#[$doc:meta])* $gate:ident = $word:literal,)+) => {
        /// What a version has to pass, in the order of the steps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Gate {
            $($(#[$doc])* $gate,)+
        }

        impl Gate {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$gate),+];

            /// The word that stands for it in logs, metrics and the journal.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$gate => $word,)+
                }
            }
        }
    };
}

gates! {
    /// There is memory for it.
    Memory = "memory",
    /// A child process has brought it up.
    Trial = "trial",
    /// Its files can be read and say what they should.
    Registry = "registry",
    /// Its files are those of its manifest.
    Digest = "digest",
    /// Its model is one that a runtime may be given.
    Onnx = "onnx",
    /// It cannot end the process by dividing integers.
    IntegerDivision = "integer_division",
    /// An engine takes it.
    Engine = "engine",
    /// It answers its golden cases as training did.
    Golden = "golden",
    /// Rows that are run together come to an end.
    Batching = "batching",
    /// Its sessions come to the end of a first run.
    WarmUp = "warm_up",
    /// It is not much slower than the version that serves.
    Latency = "latency",
    /// The system has threads for it.
    Threads = "threads",
    /// Callers of what it was before can use it.
    Signature = "signature",
    /// That it may be reached is written in the journal.
    Journal = "journal",
}

impl Gate {
    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|gate| gate.name() == word)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a version does not get to serve: one line for the operator, with what to do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadFault {
    /// There is not enough memory at this moment.
    #[error(transparent)]
    Memory(#[from] Shortage),
    /// The trial in a child process did not end well.
    #[error("the trial load failed: {0}")]
    Trial(String),
    /// In the trial a gate refused it.
    #[error(transparent)]
    Tried(#[from] TrialRefusal),
    /// The files are others than those that were tried.
    #[error("its files changed after the trial load; they are read again")]
    ChangedAfterTrial,
    /// Its files are not what they should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It divides integers of a request, and that can end the process.
    #[error(
        "it divides whole numbers that can come from a request ({}), and the smallest one divided by -1, or a number \
         of heads divided by 0, ends the process in {engine}; export it with divisors that are constant or at least 1 \
         (Clip, Max) and a fixed number of heads, serve it with engine = \"tract\", or where all callers are trusted \
         set integer_division = \"allow\" in model.toml",
        listed(operators)
    )]
    IntegerDivision {
        /// The engine.
        engine: &'static str,
        /// Names of the operators.
        operators: Vec<String>,
    },
    /// No such engine is there.
    #[error("{0}")]
    NoEngine(String),
    /// The engine refuses it.
    #[error(transparent)]
    Engine(#[from] LoadError),
    /// The engine panicked.
    #[error("{engine} panicked while loading it; this is a bug of the engine or a broken model")]
    Panicked {
        /// The engine.
        engine: &'static str,
    },
    /// It does not answer a golden case as training did.
    #[error("golden case {index} ({note}): {what}")]
    Golden {
        /// The case, from 0.
        index: usize,
        /// What the case is about.
        note: String,
        /// The disagreement.
        what: String,
    },
    /// A run that only checks or warms did not come to its end.
    #[error("{what} took longer than {limit:?}; the model may never end: look for a Loop without an exit")]
    TooLong {
        /// What it was run for.
        gate: Gate,
        /// What was run.
        what: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It is slower than the version that serves.
    #[error("{0}; raise gates.latency_ratio_max, or set gates.latency = \"warn\", to serve it all the same")]
    Latency(Slower),
    /// The system has no more threads.
    #[error(
        "its threads cannot be started: {0}; raise the limit of processes (ulimit -u), or lower `workers`"
    )]
    Threads(String),
    /// Its folder is not the one any more that was to be loaded.
    #[error("its folder changed after it was looked at; it is looked at again")]
    Moved,
    /// What was written over a version would break its callers.
    #[error(
        "what was written over it would break its callers: {}; give it a number of its own, or say yes with \
         `pointsman promote --allow-breaking` or breaking = \"allow\" in the card",
        .0.join(", ")
    )]
    Breaking(Vec<String>),
    /// Its files are those that failed again and again.
    #[error("{0}")]
    Quarantined(String),
    /// It passed, and that could not be written.
    #[error("it passed its gates and is not let in: {0}")]
    NotJournalled(String),
}

/// How a load failed, and what was read for it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadFailure {
    /// Why.
    pub fault: Box<LoadFault>,
    /// SHA-256 over everything of it, once that was read whole.
    pub contents: Option<Digest>,
}

impl<F: Into<LoadFault>> From<F> for LoadFailure {
    fn from(fault: F) -> Self {
        Self { fault: Box::new(fault.into()), contents: None }
    }
}

/// The most operators that a message names.
const OPERATORS_SHOWN: usize = 5;

/// The first operators of a model, and how many more there are.
fn listed(operators: &[String]) -> String {
    let mut text = operators.iter().take(OPERATORS_SHOWN).map(|o| shown(o)).collect::<Vec<_>>().join(", ");
    if let Some(more) = operators.len().checked_sub(OPERATORS_SHOWN).filter(|&more| more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What the child process of a trial said of the version that it refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TrialRefusal {
    /// The gate that it did not pass.
    pub gate: Gate,
    /// Why: one line.
    pub reason: String,
    /// What [`LoadFault::is_incomplete`] is there.
    pub incomplete: bool,
    /// What [`LoadFault::is_transient`] is there.
    pub transient: bool,
}

impl LoadFault {
    /// The gate that was not passed.
    #[must_use]
    pub fn gate(&self) -> Gate {
        match self {
            Self::Memory(_) => Gate::Memory,
            Self::Trial(_) | Self::ChangedAfterTrial => Gate::Trial,
            Self::Tried(refusal) => refusal.gate,
            Self::Read(error) => match error {
                ReadError::Digest { .. } | ReadError::Unlisted { .. } => Gate::Digest,
                ReadError::Onnx { .. } | ReadError::ExternalShort { .. } => Gate::Onnx,
                _ => Gate::Registry,
            },
            Self::IntegerDivision { .. } => Gate::IntegerDivision,
            Self::NoEngine(_) | Self::Engine(_) | Self::Panicked { .. } => Gate::Engine,
            Self::Golden { .. } => Gate::Golden,
            Self::TooLong { gate, .. } => *gate,
            Self::Latency(_) => Gate::Latency,
            Self::Threads(_) => Gate::Threads,
            Self::NotJournalled(_) => Gate::Journal,
            Self::Moved | Self::Quarantined(_) => Gate::Registry,
            Self::Breaking(_) => Gate::Signature,
        }
    }

    /// Whether a copy that is still under way would look like this, so that the files should be looked
    /// at again before anything is held against the version.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::Read(error) => error.is_incomplete(),
            Self::Tried(refusal) => refusal.incomplete,
            Self::ChangedAfterTrial | Self::Moved => true,
            _ => false,
        }
    }

    /// Whether it is the system's state and not the version: the same version may pass later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Memory(_) | Self::Threads(_) | Self::NotJournalled(_) | Self::Moved | Self::NoEngine(_) => {
                true
            }
            Self::Tried(refusal) => refusal.transient,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_by_their_words() {
        for &gate in Gate::ALL {
            assert_eq!(Gate::parse(gate.name()), Some(gate));
        }
        assert_eq!(Gate::parse("golden cases"), None);
    }

    #[test]
    fn the_message_of_a_division_names_a_few_operators_and_the_key() {
        let operators = (0..7).map(|n| format!("div{n}")).collect();
        let fault = LoadFault::IntegerDivision { engine: "onnxruntime", operators };
        let text = fault.to_string();
        assert!(text.contains("div0, div1, div2, div3, div4 and 2 more"), "{text}");
        assert!(text.contains("integer_division = \"allow\""), "{text}");
    }

    #[test]
    fn what_a_trial_said_is_passed_on() {
        let refusal =
            TrialRefusal { gate: Gate::Golden, reason: "x".into(), incomplete: true, transient: false };
        let fault = LoadFault::from(refusal);
        assert_eq!((fault.gate(), fault.is_incomplete(), fault.is_transient()), (Gate::Golden, true, false));
        assert!(LoadFault::Threads(String::new()).is_transient());
        assert!(LoadFault::ChangedAfterTrial.is_incomplete());
    }
}
