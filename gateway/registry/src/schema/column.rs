//! One column of a schema.

use std::sync::Arc;

use pointsman_core::{Action, ColumnKind, ColumnSchema, Redaction};
use toml::Value;

use super::{COLUMN_BINS_MAX, COLUMN_VALUE_BYTES_MAX, COLUMN_VALUES_MAX, TRUNCATE_MAX, is_name};
use crate::table::{Keys, number};

const KINDS: [(&str, ColumnKind); 4] = [
    ("float", ColumnKind::Float),
    ("int", ColumnKind::Int),
    ("bool", ColumnKind::Bool),
    ("string", ColumnKind::String),
];
const ACTIONS: [(&str, Action); 3] =
    [("off", Action::Off), ("flag", Action::Flag), ("reject", Action::Reject)];
const PART_EXPECTED: &str = "give a part from 0 to 1, such as 0.01";
const VALUES_EXPECTED: &str =
    "give a list of 1 to 10000 texts of up to 1024 bytes, whole numbers, or true and false";
const BINS_EXPECTED: &str = "give up to 256 numbers, each greater than the one before, such as [0, 10, 20]";
const LOG_EXPECTED: &str = "give \"keep\", \"drop\", \"hash\", \"bucketise\", { round = STEP } with a step above 0, or \
                            { truncate = CHARACTERS } of 0 to 1024";

/// Reads a column; an answer is never refused for the values that it has.
pub(super) fn column(keys: &mut Keys<'_>, is_output: bool) -> ColumnSchema {
    let before = keys.problems();
    let kind = keys.word("type", &KINDS);
    let missing = action(keys, "missing", is_output);
    let missing_max = keys
        .take("missing_max", PART_EXPECTED, |value| number(value).filter(|part| (0.0..=1.0).contains(part)));
    let infinite = action(keys, "infinite", is_output);
    let (min, max) = (keys.number("min"), keys.number("max"));
    let range = action(keys, "range", is_output);
    let values = keys.take("values", VALUES_EXPECTED, values);
    let domain = action(keys, "domain", is_output);
    let at_most = keys.take("at_most", "give the name of another column", |value| {
        value.as_str().filter(|name| is_name(name)).map(Arc::from)
    });
    let relation = action(keys, "relation", is_output);
    let bins = keys.take("bins", BINS_EXPECTED, bins);
    let log = keys.take("log", LOG_EXPECTED, redaction);
    // A rule that is spelled out is meant, unless it is switched off.
    let or_flag =
        |given: Option<Action>, has: bool| given.unwrap_or(if has { Action::Flag } else { Action::Off });
    let column = ColumnSchema {
        kind,
        missing: or_flag(missing, false),
        missing_max,
        infinite: or_flag(infinite, false),
        range: or_flag(range, min.is_some() || max.is_some()),
        domain: or_flag(domain, values.is_some()),
        relation: or_flag(relation, at_most.is_some()),
        min,
        max,
        values,
        at_most,
        bins,
        log,
    };
    // What is missing because it could not be read was told already.
    if keys.problems() == before {
        check(keys, &column);
    }
    column
}

fn action(keys: &mut Keys<'_>, key: &'static str, is_output: bool) -> Option<Action> {
    // Of outputs the last word is none of those that may be given.
    keys.word(key, if is_output { &ACTIONS[..2] } else { &ACTIONS })
}

/// Reports what contradicts itself.
fn check(keys: &mut Keys<'_>, column: &ColumnSchema) {
    let is_text = column.kind == Some(ColumnKind::String);
    let is_on = |action: Action| action != Action::Off;
    if let (Some(min), Some(max)) = (column.min, column.max)
        && min > max
    {
        keys.report("min", &format!("= {min} is above max = {max}"), "exchange them");
    }
    if is_on(column.range) && column.min.is_none() && column.max.is_none() {
        keys.report("range", "has neither min nor max", "give one of them, or range = \"off\"");
    }
    if is_on(column.relation) && column.at_most.is_none() {
        keys.report("relation", "has no column to compare with", "give at_most, or relation = \"off\"");
    }
    if is_on(column.domain) && column.values.is_none() && column.kind.is_some() && !is_text {
        keys.report("domain", "has no values", "list them in values, or give domain = \"off\"");
    }
    let of_numbers = [
        ("min", column.min.is_some()),
        ("max", column.max.is_some()),
        ("infinite", is_on(column.infinite)),
        ("at_most", column.at_most.is_some()),
        ("bins", column.bins.is_some()),
        ("log", matches!(column.log, Some(Redaction::Round(_) | Redaction::Bucketise))),
    ];
    for (key, _) in of_numbers.iter().filter(|(_, given)| *given && is_text) {
        keys.report(key, "is for numbers, and type = \"string\"", "take it out, or give another type");
    }
    if matches!(column.log, Some(Redaction::Truncate(_))) && column.kind.is_some() && !is_text {
        keys.report("log", "shortens texts, and the type is none", "give { round = STEP } for numbers");
    }
    if column.log == Some(Redaction::Bucketise) && column.bins.is_none() && !is_text {
        keys.report("log", "= \"bucketise\" needs bins", "give their edges in bins");
    }
    let numeric = column.kind.filter(|kind| *kind != ColumnKind::String);
    let odd = |value: &&String| numeric.is_some_and(|kind| !is_of(kind, value));
    if let Some(value) = column.values.iter().flat_map(|values| values.iter()).find(odd) {
        let kind = numeric.map_or("", ColumnKind::name);
        keys.report("values", &format!("has {value:?}, which is no {kind}"), "mend it, or give another type");
    }
}

/// Whether a text says a value of this kind.
fn is_of(kind: ColumnKind, text: &str) -> bool {
    match kind {
        ColumnKind::Float => text.parse::<f64>().is_ok_and(f64::is_finite),
        ColumnKind::Int => text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok(),
        ColumnKind::Bool => text.parse::<bool>().is_ok(),
        ColumnKind::String => true,
    }
}

fn values(value: &Value) -> Option<Arc<[String]>> {
    let list = value.as_array().filter(|list| (1..=COLUMN_VALUES_MAX).contains(&list.len()))?;
    let text = |item: &Value| {
        let text = match item {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) if number.is_finite() => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            _ => return None,
        };
        (text.len() <= COLUMN_VALUE_BYTES_MAX).then_some(text)
    };
    list.iter().map(text).collect()
}

fn bins(value: &Value) -> Option<Arc<[f64]>> {
    let list = value.as_array().filter(|list| (1..=COLUMN_BINS_MAX).contains(&list.len()))?;
    let edges: Arc<[f64]> = list.iter().map(number).collect::<Option<_>>()?;
    edges.is_sorted_by(|before, after| before < after).then_some(edges)
}

fn redaction(value: &Value) -> Option<Redaction> {
    if let Value::String(word) = value {
        return match word.as_str() {
            "keep" => Some(Redaction::Keep),
            "drop" => Some(Redaction::Drop),
            "hash" => Some(Redaction::Hash),
            "bucketise" => Some(Redaction::Bucketise),
            _ => None,
        };
    }
    let table = value.as_table().filter(|table| table.len() == 1)?;
    if let Some(step) = table.get("round") {
        return number(step).filter(|step| *step > 0.0).map(Redaction::Round);
    }
    let characters = usize::try_from(table.get("truncate")?.as_integer()?).ok()?;
    (characters <= TRUNCATE_MAX).then_some(Redaction::Truncate(characters))
}
