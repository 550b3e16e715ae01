//! What is wrong with a document, in one line that says what to do about it.

use std::fmt;

use pointsman_core::shown;

use crate::limits::FINDINGS_MAX;

/// Something that is wrong with a plan: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key, such as `experiment.arms[0].weight`; empty for the document as a whole.
    pub key: String,
    /// What is wrong, with the value that is.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, what, remedy } = self;
        if key.is_empty() {
            write!(f, "the plan {what}; {remedy}")
        } else {
            write!(f, "key {key} {what}; {remedy}")
        }
    }
}

/// Findings being gathered.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    /// Reports something. What is past the limit is left out: those before it are to be mended first.
    pub(crate) fn report(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(Finding { key: key.into(), what: what.into(), remedy: remedy.into() });
        }
    }

    /// Reports a value.
    pub(crate) fn refuse(&mut self, key: &str, found: &str, remedy: impl Into<String>) {
        self.report(key, format!("= \"{}\"", shown(found)), remedy);
    }

    /// Reports a list that is too long.
    pub(crate) fn count(&mut self, key: &str, found: usize, max: usize) {
        if found > max {
            self.report(key, format!("has {found} entries"), format!("give {max} at most"));
        }
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }

    /// `value` where nothing was found.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Vec<Finding>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
