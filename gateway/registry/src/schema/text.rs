//! A schema as the text of `schema.toml`, for people to edit.

use std::fmt::Write;

use pointsman_core::{Action, ColumnKind, ColumnSchema, Redaction, Schema};

const HEAD: &str = "\
# What the values of this model's columns are expected to be: for validation, redaction, bins of drift and skew alike.
# Every request is held against it. What becomes of a value that breaks a rule is said rule by rule:
#   \"off\"     it is not looked at
#   \"flag\"    it is counted (pointsman_schema_violations) and noted in the sample log; the answer stays as it is
#   \"reject\"  the request is refused with INPUT_MISMATCH (inputs alone)
# `pointsman schema MODEL` shows what was found. A change counts as soon as it is saved.
";
const EVENT_TIME: &str = "
# Whether the request parameter `event_time` (RFC 3339, UTC) says when an example is from; otherwise it is from when it came.
";
const SLICES: &str = "
# By what reports tell examples apart: input columns, or request parameters as in \"parameter.region\".
";
const COLUMNS: &str = "
# Per column, all of it optional:
#   type                     \"float\", \"int\", \"bool\" or \"string\"
#   missing, missing_max     values that are NaN, an empty text or left out; and the most of them, as a part of all
#   infinite                 infinities
#   min, max, range          what numbers may be at least and at most, and what becomes of others
#   values, domain           all values there are, and what becomes of others and of texts that are no UTF-8
#   at_most, relation        the column that it may not be above in the same row, and what becomes of greater values
#   bins                     inner edges of the bins in which distributions are compared
#   log                      what the sample log may hold: \"keep\", \"drop\", \"hash\", \"bucketise\", { round = 0.1 } or
#                            { truncate = 8 }; without it numbers are kept and texts dropped
";

/// The text of `schema.toml` for a schema, with comments that say how to edit it. Read again it gives the same schema,
/// but for the digest, which is that of the text.
#[must_use]
pub fn schema_text(schema: &Schema) -> String {
    let mut text = String::from(HEAD);
    text.push_str(EVENT_TIME);
    line(&mut text, "event_time", &schema.event_time.to_string());
    text.push_str(SLICES);
    line(&mut text, "slices", &list(schema.slices.iter().map(|name| quoted(name))));
    text.push_str(COLUMNS);
    for (origin, columns) in [("inputs", &schema.inputs), ("outputs", &schema.outputs)] {
        for (name, column) in columns {
            let _ = writeln!(text, "\n[{origin}.{}]", key(name));
            lines(&mut text, column);
        }
    }
    text
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {value}");
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A number as it is read again, to the last bit.
fn number(number: f64) -> String {
    format!("{number:?}")
}

/// A name as it can stand between dots.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.chars().all(is_bare) && !name.is_empty() { name.into() } else { quoted(name) }
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn lines(text: &mut String, column: &ColumnSchema) {
    let mut write = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            line(text, key, &value);
        }
    };
    let action =
        |action: Action, is_said: bool| (is_said || action != Action::Off).then(|| quoted(action.name()));
    write("type", column.kind.map(|kind| quoted(kind.name())));
    write("missing", action(column.missing, false));
    write("missing_max", column.missing_max.map(number));
    write("infinite", action(column.infinite, false));
    write("min", column.min.map(number));
    write("max", column.max.map(number));
    // Said where its absence would mean "flag".
    write("range", action(column.range, column.min.is_some() || column.max.is_some()));
    let value = |text: &String| value(column.kind, text);
    write("values", column.values.as_ref().map(|values| list(values.iter().map(value))));
    write("domain", action(column.domain, column.values.is_some()));
    write("at_most", column.at_most.as_deref().map(quoted));
    write("relation", action(column.relation, column.at_most.is_some()));
    write("bins", column.bins.as_ref().map(|bins| list(bins.iter().copied().map(number))));
    write("log", column.log.as_ref().map(redaction));
}

/// A value of a domain: bare where that is read as the same text.
fn value(kind: Option<ColumnKind>, text: &str) -> String {
    let is_whole = || text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    let is_bare = match kind {
        Some(ColumnKind::Int | ColumnKind::Float) => is_whole(),
        Some(ColumnKind::Bool) => text.parse::<bool>().is_ok(),
        Some(ColumnKind::String) | None => false,
    };
    if is_bare { text.into() } else { quoted(text) }
}

fn redaction(redaction: &Redaction) -> String {
    match redaction {
        Redaction::Keep => quoted("keep"),
        Redaction::Drop => quoted("drop"),
        Redaction::Hash => quoted("hash"),
        Redaction::Bucketise => quoted("bucketise"),
        Redaction::Round(step) => format!("{{ round = {} }}", number(*step)),
        Redaction::Truncate(characters) => format!("{{ truncate = {characters} }}"),
    }
}
