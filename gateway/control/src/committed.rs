//! What is committed of a model: it is what serves again after the process was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_core::{Signature, VersionNumber};
use pointsman_registry::Stamp;
use serde::{Deserialize, Serialize};

use crate::plans::Plans;

/// The most earlier defaults that are remembered.
const HISTORY_MAX: usize = 16;

/// What the journal keeps of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Committed {
    /// The version that answers callers that name none.
    pub default: Option<VersionNumber>,
    /// What it takes and gives: what its callers were promised, also when its folder is gone.
    pub signature: Option<Arc<Signature>>,
    /// What each alias stands for.
    pub aliases: BTreeMap<String, VersionNumber>,
    /// The defaults before this one, the oldest first.
    pub history: Vec<VersionNumber>,
    /// What operators wished for.
    pub wishes: Wishes,
    /// Versions that are not to come by themselves.
    pub marks: BTreeMap<VersionNumber, Mark>,
    /// How callers that name no version are split.
    pub plans: Arc<Plans>,
}

/// Wishes of operators that hold until the declaration changes that they override, or until they
/// are taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wishes {
    /// In place of the declared `serve`.
    pub serve: Option<Override<Served>>,
    /// In place of declared aliases; nothing stands for an alias that is taken away.
    pub aliases: BTreeMap<String, Override<Option<VersionNumber>>>,
    /// Versions to load beside those that are declared.
    pub load: BTreeSet<VersionNumber>,
    /// Versions that may serve although callers of the one before would break.
    pub breaking: BTreeSet<VersionNumber>,
    /// Whether the whole model was unloaded.
    pub unloaded: bool,
    /// The version that stays.
    pub pinned: Option<VersionNumber>,
    /// Whether nothing changes by itself.
    pub frozen: bool,
}

/// An operator's word in place of a declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override<T> {
    /// What holds.
    pub value: T,
    /// The declaration as it stood then: once it says something else, it counts again.
    pub over: String,
    /// Who said so.
    pub by: String,
}

/// Which version an operator wants for callers that name none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Served {
    /// This one.
    Version(VersionNumber),
    /// The one before, until a version comes that is newer than the one that was left.
    RolledBack {
        /// The one before.
        to: VersionNumber,
        /// The one that was left.
        from: VersionNumber,
        /// The highest that was known then: what is above it is new.
        above: VersionNumber,
    },
}

/// Why a version is not to come by itself, until it is asked for by name or is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What was done with it.
    pub kind: MarkKind,
    /// The folder that it was read from then.
    pub stamp: Option<Stamp>,
    /// What it was then: the digest of what serves, or where it never did, of all that was read.
    pub digest: Option<String>,
    /// Why, in words.
    pub reason: String,
}

/// What was done with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Callers were led back to the one before.
    RolledBack,
    /// It was unloaded by name.
    Withdrawn,
    /// It failed to load again and again.
    Quarantined,
}

impl MarkKind {
    /// Whether such a version is not even loaded.
    #[must_use]
    pub fn keeps_out(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Quarantined)
    }
}

impl Committed {
    /// Makes a version the default, and remembers the one before.
    pub(crate) fn serve(&mut self, version: Option<VersionNumber>) {
        if self.default == version {
            return;
        }
        if let Some(before) = std::mem::replace(&mut self.default, version) {
            self.history.retain(|earlier| *earlier != before);
            self.history.push(before);
            let over = self.history.len().saturating_sub(HISTORY_MAX);
            self.history.drain(..over);
        }
    }

    /// Forgets that a version was left, as it is asked for by name.
    pub(crate) fn clear(&mut self, version: VersionNumber) {
        self.marks.remove(&version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number).expect("above zero")
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        let mut committed = Committed::default();
        for number in 1..100 {
            committed.serve(Some(version(number)));
        }
        assert_eq!(committed.history.len(), HISTORY_MAX);
        committed.aliases.insert("champion".into(), version(3));
        committed.wishes.load.insert(version(7));
        committed.wishes.serve = Some(Override {
            value: Served::RolledBack { to: version(3), from: version(4), above: version(5) },
            over: "latest".into(),
            by: "ada".into(),
        });
        let mark =
            Mark { kind: MarkKind::RolledBack, stamp: None, digest: Some("d".into()), reason: "r".into() };
        committed.marks.insert(version(4), mark);
        let text = serde_json::to_string(&committed).expect("JSON");
        assert_eq!(serde_json::from_str::<Committed>(&text).expect("reads"), committed);
        assert_eq!(serde_json::from_str::<Committed>("{}").expect("reads"), Committed::default());
    }

    #[test]
    fn a_default_that_comes_back_stands_once_in_the_history() {
        let mut committed = Committed::default();
        for number in [1, 2, 1, 2, 3] {
            committed.serve(Some(version(number)));
        }
        assert_eq!(committed.history, [version(1), version(2)]);
        committed.serve(None);
        assert_eq!(committed.history, [version(1), version(2), version(3)]);
    }
}
