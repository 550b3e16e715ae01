//! The errors of one side, by their codes.

use std::collections::BTreeMap;

use pointsman_core::Code;

/// How often each code came. There are as many as the table of codes has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(BTreeMap<Code, u64>);

impl Failures {
    pub(crate) fn push(&mut self, code: Code) {
        *self.0.entry(code).or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(code, count)| *self.0.entry(*code).or_default() += count);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Code, u64)> {
        self.0.iter().map(|(code, count)| (*code, *count))
    }
}
