//! Reads sections of a TOML table key by key, so that one pass finds every problem.

use std::fmt;
use std::ops::RangeInclusive;

use pointsman_core::ByteSize;
use toml::{Table, Value};

use super::setting::Setting;

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

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// A variable of the environment, or a flag: its name.
    Given(String),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    /// The key with its section, `listen.http`.
    pub(crate) key: String,
    /// The value as it would stand in the file; nothing where there is none.
    pub(crate) value: Option<String>,
    /// Where it comes from.
    pub(crate) origin: Origin,
}

/// What is noted while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// All that is wrong.
    pub(super) problems: Vec<Problem>,
    /// Every key, in the order of reading.
    pub(super) effective: Vec<Effective>,
}

/// One section, from which keys are taken until none is left over.
pub(super) struct Section<'p> {
    prefix: String,
    table: Table,
    known: Vec<&'static str>,
    notes: &'p mut Notes,
}

impl<'p> Section<'p> {
    pub(super) fn root(table: Table, notes: &'p mut Notes) -> Self {
        Self { prefix: String::new(), table, known: Vec::new(), notes }
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
        self.below(name, table, read);
    }

    /// Sets a value where the key stands in the section.
    pub(super) fn set<T: Setting>(&mut self, key: &'static str, target: &mut T) {
        let origin = self.read(key, |value| *target = value);
        self.note(key, Some(target), origin);
    }

    /// Sets a value that has no default.
    pub(super) fn set_optional<T: Setting>(&mut self, key: &'static str, target: &mut Option<T>) {
        let origin = self.read(key, |value| *target = Some(value));
        self.note(key, target.as_ref(), origin);
    }

    /// Reads a key where it stands in the section, and says where its value comes from.
    fn read<T: Setting>(&mut self, key: &'static str, set: impl FnOnce(T)) -> Origin {
        let Some(value) = self.take(key) else { return Origin::Default };
        match T::read(&value) {
            Some(read) => set(read),
            None => self.problem(key, format!("expected {}, found {}", T::EXPECTED, shown(&value))),
        }
        Origin::File
    }

    fn note<T: Setting>(&mut self, key: &str, value: Option<&T>, origin: Origin) {
        let key = format!("{}{key}", self.prefix);
        self.notes.effective.push(Effective { key, value: value.map(T::show), origin });
    }

    /// Takes the tables below this section, each under a name that somebody chose.
    pub(super) fn named(&mut self, name: &'static str) -> Table {
        match self.take(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.problem(name, format!("expected sections [{name}.NAME], found {}", shown(&other)));
                Table::new()
            }
        }
    }

    /// Reads the sections below this one, each under a name that somebody chose, by the rule for names of models.
    pub(super) fn sections(&mut self, name: &'static str, mut read: impl FnMut(&str, &mut Section<'_>)) {
        for (chosen, value) in self.named(name) {
            let key = format!("{name}.{chosen}");
            let Value::Table(table) = value else {
                self.problem(&key, format!("expected a section [{key}], found {}", shown(&value)));
                continue;
            };
            if let Err(error) = pointsman_core::ModelName::new(&chosen) {
                self.problem(&key, error.to_string().replacen("a name", "is no name: a name", 1));
                continue;
            }
            let prefix = format!("{}{key}.", self.prefix);
            let mut section = Section { prefix, table, known: Vec::new(), notes: &mut *self.notes };
            read(&chosen, &mut section);
            section.finish();
        }
    }

    /// Reads a table that was taken out of this section.
    pub(super) fn below(&mut self, name: &str, table: Table, read: impl FnOnce(&mut Section<'_>)) {
        let prefix = format!("{}{name}.", self.prefix);
        let mut section = Section { prefix, table, known: Vec::new(), notes: &mut *self.notes };
        read(&mut section);
        section.finish();
    }

    /// Notes every key of a table that somebody else reads, those of tables below it too.
    pub(super) fn note_table(&mut self, prefix: &str, table: &Table) {
        for (key, value) in table {
            let key = format!("{prefix}.{key}");
            match value {
                Value::Table(below) => self.note_table(&key, below),
                value => {
                    // Of all but tables, JSON and TOML write the same.
                    let value = serde_json::to_string(value).ok();
                    self.notes.effective.push(Effective { key, value, origin: Origin::File });
                }
            }
        }
    }

    /// Sets a number that has a least and a greatest value.
    pub(super) fn set_within<T>(&mut self, key: &'static str, target: &mut T, range: RangeInclusive<T>)
    where
        T: Setting + PartialOrd + fmt::Display,
    {
        let mut read = None;
        let origin = self.read(key, |value| read = Some(value));
        if let Some(value) = self.within(key, read, &range) {
            *target = value;
        }
        self.note(key, Some(target), origin);
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
        let mut read = None;
        let origin = self.read(key, |value| read = Some(value));
        if let Some(value) = self.within(key, read, &range) {
            *target = Some(value);
        }
        self.note(key, target.as_ref(), origin);
    }

    /// A number that was read, where it lies in its range.
    fn within<T>(&mut self, key: &'static str, read: Option<T>, range: &RangeInclusive<T>) -> Option<T>
    where
        T: PartialOrd + fmt::Display,
    {
        let value = read?;
        if range.contains(&value) {
            return Some(value);
        }
        self.problem(key, format!("expected {} to {}, found {value}", range.start(), range.end()));
        None
    }

    /// Sets a number of bytes.
    pub(super) fn set_bytes(&mut self, key: &'static str, target: &mut usize) {
        let mut value = ByteSize(*target);
        self.set(key, &mut value);
        *target = value.0;
    }

    /// A number of bytes that may be left out.
    pub(super) fn set_optional_bytes(&mut self, key: &'static str, target: &mut Option<usize>) {
        let mut value = target.map(ByteSize);
        self.set_optional(key, &mut value);
        *target = value.map(|bytes| bytes.0);
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

    /// Reports what is wrong with a key.
    pub(super) fn problem(&mut self, key: &str, what: String) {
        self.notes.problems.push(Problem { key: format!("{}{key}", self.prefix), what });
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
