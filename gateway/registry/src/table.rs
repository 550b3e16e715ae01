//! Reading TOML tables key by key, so that every problem of a file is reported at once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use pointsman_core::ByteSize;
use toml::{Table, Value};

use crate::problem::Problem;
use crate::tolerance::Tolerance;

/// The most entries of one list or table.
const ENTRIES_MAX: usize = 100_000;

/// A table being taken apart: what is not taken by the end is an unknown key.
pub(crate) struct Keys<'a> {
    file: &'a str,
    prefix: String,
    table: Table,
    known: Vec<&'static str>,
    problems: &'a mut Vec<Problem>,
}

/// Reads the text of a TOML file, or says where it breaks off.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Table, Problem> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Problem::new(file, "is not UTF-8", "save it as UTF-8 text"));
    };
    toml::from_str(text).map_err(|error| {
        let before = error.span().map_or(text, |span| text.get(..span.start).unwrap_or(text));
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        Problem::new(file, format!("line {line}: {}", error.message()), "mend the TOML syntax")
    })
}

impl<'a> Keys<'a> {
    pub(crate) fn new(file: &'a str, table: Table, problems: &'a mut Vec<Problem>) -> Self {
        Self { file, prefix: String::new(), table, known: Vec::new(), problems }
    }

    /// The value of `key` as `read` gives it. Where `read` gives nothing, the problem names what was `expected`.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        let taken = read(&value);
        if taken.is_none() {
            self.refuse(key, &value, expected);
        }
        taken
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.take(key, "give a text in quotes", |v| v.as_str().map(str::to_owned))
    }

    /// A whole number from 1 to `max`.
    pub(crate) fn count(&mut self, key: &'static str, max: usize) -> Option<usize> {
        let expected = format!("give a whole number from 1 to {max}");
        self.take(key, &expected, |v| usize::try_from(v.as_integer()?).ok().filter(|n| (1..=max).contains(n)))
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.take(key, "give true or false", Value::as_bool)
    }

    /// A number, neither NaN nor an infinity.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<f64> {
        self.take(key, "give a number", number)
    }

    /// A number of bytes, or 0 for none.
    pub(crate) fn bytes_or_none(
        &mut self,
        key: &'static str,
        range: RangeInclusive<ByteSize>,
    ) -> Option<usize> {
        let expected = format!("give 0, or bytes from \"{}\" to \"{}\"", range.start(), range.end());
        self.take(key, &expected, |v| {
            let bytes = match v {
                Value::Integer(bytes) => ByteSize(usize::try_from(*bytes).ok()?),
                other => ByteSize::parse(other.as_str()?)?,
            };
            (bytes == ByteSize(0) || range.contains(&bytes)).then_some(bytes.0)
        })
    }

    /// A number from 0 on.
    pub(crate) fn tolerance(&mut self, key: &'static str) -> Option<Tolerance> {
        self.take(key, "give a number from 0 on", |v| {
            Tolerance::new(v.as_float().or_else(|| v.as_integer().map(|whole| whole as f64))?)
        })
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let expected = format!("give one of {}", names.join(", "));
        self.take(key, &expected, |v| {
            let found = v.as_str()?;
            words.iter().find(|(word, _)| *word == found).map(|(_, meaning)| *meaning)
        })
    }

    /// A table below this one.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<Table> {
        let found = self.take(key, "make it a table", |v| v.as_table().cloned())?;
        if found.len() > ENTRIES_MAX {
            self.report(key, &format!("has more than {ENTRIES_MAX} entries"), "shorten it");
            return None;
        }
        Some(found)
    }

    /// Takes apart each table of the table `key`, as `[inputs.X]`, and refuses what is left of it.
    pub(crate) fn tables(&mut self, key: &'static str, mut read: impl FnMut(String, &mut Keys<'_>)) {
        for (name, value) in self.table(key).into_iter().flatten() {
            let prefix = format!("{}{key}.{name}.", self.prefix);
            let Value::Table(table) = value else {
                self.refuse(&format!("{key}.{name}"), &value, "make it a table");
                continue;
            };
            let mut keys =
                Keys { file: self.file, prefix, table, known: Vec::new(), problems: &mut *self.problems };
            read(name, &mut keys);
            keys.refuse_rest();
        }
    }

    /// For each name of the table `key` the list of texts under `list`, as in `[inputs.X] features = [..]`.
    pub(crate) fn lists(&mut self, key: &'static str, list: &'static str) -> BTreeMap<String, Arc<[String]>> {
        let mut lists = BTreeMap::new();
        self.tables(key, |name, keys| {
            if let Some(texts) = keys.take(list, "give a list of texts", texts) {
                lists.insert(name, texts);
            }
        });
        lists
    }

    /// How many problems were reported.
    pub(crate) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// Reports the value found under `key`, which may be that of a table below.
    pub(crate) fn refuse(&mut self, key: &str, found: &Value, expected: &str) {
        self.report(key, &format!("= {}", shown(found)), expected);
    }

    /// Reports something about `key`.
    pub(crate) fn report(&mut self, key: &str, what: &str, remedy: &str) {
        self.problems.push(Problem::new(self.file, format!("key {}{key} {what}", self.prefix), remedy));
    }

    /// Reports every key that was not taken.
    pub(crate) fn refuse_rest(mut self) {
        let remedy = format!("the keys here are {}", self.known.join(", "));
        for (key, _) in std::mem::take(&mut self.table) {
            self.report(&key, "is unknown", &remedy);
        }
    }
}

/// A number that is neither NaN nor an infinity.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))?;
    number.is_finite().then_some(number)
}

fn texts(value: &Value) -> Option<Arc<[String]>> {
    let list = value.as_array().filter(|list| list.len() <= ENTRIES_MAX)?;
    list.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// A value as a problem shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(date) => date.to_string(),
        Value::Array(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}
