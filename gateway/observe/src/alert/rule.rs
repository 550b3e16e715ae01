//! Which signals somebody wants to be told of.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::signal::{Signal, SignalKind};

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// When there is time.
    Info,
    /// Today.
    #[default]
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The word in configuration, metrics and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|one| one.name() == word)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which signals become alerts, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The kinds that it picks; all where there are none.
    pub on: BTreeSet<SignalKind>,
    /// The models; all where there are none.
    pub models: BTreeSet<String>,
    /// The subjects; all where there are none.
    pub subjects: BTreeSet<String>,
    /// How long a signal has to hold before it is an alert that fires.
    pub hold: Duration,
    /// How long it has to be gone before the alert is resolved, so that one which comes and goes is told once.
    pub quiet: Duration,
    /// How often one that fires is told again.
    pub repeat: Duration,
    /// How soon somebody should look.
    pub severity: Severity,
    /// Who is told.
    pub webhook: Vec<String>,
}

impl Default for Rule {
    /// Picks everything, at once, and tells nobody.
    fn default() -> Self {
        Self {
            name: "default".into(),
            on: BTreeSet::new(),
            models: BTreeSet::new(),
            subjects: BTreeSet::new(),
            hold: Duration::ZERO,
            quiet: Duration::from_secs(15 * 60),
            repeat: Duration::from_secs(4 * 3600),
            severity: Severity::default(),
            webhook: Vec::new(),
        }
    }
}

impl Rule {
    /// Whether it picks a signal.
    #[must_use]
    pub fn picks(&self, signal: &Signal) -> bool {
        let among = |all: &BTreeSet<String>, one: &String| all.is_empty() || all.contains(one);
        (self.on.is_empty() || self.on.contains(&signal.kind))
            && among(&self.models, &signal.model)
            && among(&self.subjects, &signal.subject)
    }
}
