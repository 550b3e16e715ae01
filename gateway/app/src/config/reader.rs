//! Reads sections of a TOML table key by key, so that one pass finds every problem.

use std::fmt;
use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::setting::{ByteSize, Setting};

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    key: String,
    what: String,
}

impl Problem {
    pub(super) fn syntax(error: &toml::de::Error) -> Self {
        Self { key: "syntax".into(), what: error.to_string().trim().to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// One section, from which keys are taken until none is left over.
pub(super) struct Section<'p> {
    prefix: String,
    table: Table,
    known: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Section<'p> {
    pub(super) fn root(table: Table, problems: &'p mut Vec<Problem>) -> Self {
        Self { prefix: String::new(), table, known: Vec::new(), problems }
    }

    /// Reads a section below this one.
    pub(super) fn section(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_>)) {
        let table = match self.take(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.problem(name, format!("expected a section [{name}], found {}", shown(&other)));
                return;
            }
        };
        let prefix = format!("{}{name}.", self.prefix);
        let mut section = Section { prefix, table, known: Vec::new(), problems: &mut *self.problems };
        read(&mut section);
        section.finish();
    }

    /// Sets a value where the key stands in the section.
    pub(super) fn set<T: Setting>(&mut self, key: &'static str, target: &mut T) {
        if let Some(value) = self.take(key) {
            match T::read(&value) {
                Some(read) => *target = read,
                None => self.problem(key, format!("expected {}, found {}", T::EXPECTED, shown(&value))),
            }
        }
    }

    /// Sets a value that has no default.
    pub(super) fn set_optional<T: Setting>(&mut self, key: &'static str, target: &mut Option<T>) {
        if let Some(value) = self.take(key) {
            match T::read(&value) {
                Some(read) => *target = Some(read),
                None => self.problem(key, format!("expected {}, found {}", T::EXPECTED, shown(&value))),
            }
        }
    }

    /// Sets a number that has a least and a greatest value.
    pub(super) fn set_within<T>(&mut self, key: &'static str, target: &mut T, range: RangeInclusive<T>)
    where
        T: Setting + PartialOrd + fmt::Display,
    {
        let mut value = None;
        self.set_optional_within(key, &mut value, range);
        if let Some(value) = value {
            *target = value;
        }
    }

    /// Sets such a number that has no default.
    pub(super) fn set_optional_within<T>(
        &mut self,
        key: &'static str,
        target: &mut Option<T>,
        range: RangeInclusive<T>,
    ) where
        T: Setting + PartialOrd + fmt::Display,
    {
        let mut value = None;
        self.set_optional(key, &mut value);
        match value {
            Some(value) if !range.contains(&value) => {
                self.problem(key, format!("expected {} to {}, found {value}", range.start(), range.end()));
            }
            None => {}
            value => *target = value,
        }
    }

    /// Sets a number of bytes.
    pub(super) fn set_bytes(&mut self, key: &'static str, target: &mut usize) {
        let mut value = ByteSize(*target);
        self.set(key, &mut value);
        *target = value.0;
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(mut self) {
        for key in self.table.keys().cloned().collect::<Vec<_>>() {
            let similar = self.known.iter().find(|known| distance(known, &key) <= 2);
            let hint = similar.map_or_else(
                || format!("the keys here are {}", self.known.join(", ")),
                |known| format!("did you mean `{known}`?"),
            );
            self.problem(&key, format!("unknown key, {hint}"));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn problem(&mut self, key: &str, what: String) {
        self.problems.push(Problem { key: format!("{}{key}", self.prefix), what });
    }
}

/// A value as a person wrote it, on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "a section".into(),
        Value::Array(_) => "a list".into(),
        Value::String(text) => format!("`{}`", pointsman_core::shown(text)),
        Value::Integer(number) => format!("`{number}`"),
        Value::Float(number) => format!("`{number}`"),
        Value::Boolean(value) => format!("`{value}`"),
        Value::Datetime(time) => format!("`{time}`"),
    }
}

/// How many characters have to be changed, added or removed to get from one word to the other
/// (Levenshtein's distance), for words of a configuration.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
