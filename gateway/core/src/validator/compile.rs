//! From a schema to the rules for one signature.

use std::sync::Arc;

use super::numbers::NumberRules;
use super::relation::Relation;
use super::texts::TextRules;
use super::{RuledColumn, Side, TensorRules, Validator, ValueRules};
use crate::column::{Column, ColumnKind, Columns, Origin};
use crate::schema::{Action, ColumnSchema, Redaction, Schema};
use crate::signature::Signature;
use crate::text::shown;

/// The most names that one warning lists.
const NAMES_MAX: usize = 16;
/// What stands before the name of a request parameter among the slices.
const PARAMETER: &str = "parameter.";

impl Validator {
    /// The rules that a schema has for versions with this signature, and lines for people about those that do not count
    /// here: of columns that there are none of, of another type, or that make no sense for theirs.
    #[must_use]
    pub fn compile(schema: &Schema, signature: &Signature) -> (Self, Vec<String>) {
        let columns = Columns::of(signature);
        let mut warnings = Vec::new();
        let inputs = side(schema, &columns, Origin::Input, &mut warnings);
        let mut outputs = side(schema, &columns, Origin::Output, &mut warnings);
        outputs.names = signature.outputs.iter().map(|output| output.name.clone()).collect();
        for slice in schema.slices.iter().filter(|slice| !slice.starts_with(PARAMETER)) {
            if columns.find(Origin::Input, slice).is_none() {
                let names = names(&columns, Origin::Input);
                warnings.push(format!(
                    "slices has '{}', which is no input column; they are {names}",
                    shown(slice)
                ));
            }
        }
        (Self { inputs, outputs }, warnings)
    }
}

/// The table in which columns of an origin stand.
fn table(origin: Origin) -> &'static str {
    match origin {
        Origin::Input => "inputs",
        Origin::Output => "outputs",
    }
}

fn names(columns: &Columns, origin: Origin) -> String {
    let of = || columns.all().iter().filter(|column| column.origin == origin);
    let named: Vec<&str> = of().take(NAMES_MAX).map(|column| &*column.name).collect();
    let more = of().count().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    if named.is_empty() { "none".into() } else { named.join(", ") + &more }
}

fn side(schema: &Schema, columns: &Columns, origin: Origin, warnings: &mut Vec<String>) -> Side {
    let known = schema.of(origin);
    for name in known.keys().filter(|name| columns.find(origin, name).is_none()) {
        let (table, names) = (table(origin), names(columns, origin));
        warnings.push(format!("{table}.{} is no column of this version; they are {names}", shown(name)));
    }
    let mut side = Side::default();
    for column in columns.all().iter().filter(|column| column.origin == origin) {
        let Some(of) = known.get(&column.name) else { continue };
        let key = format!("{}.{}", table(origin), shown(&column.name));
        if let Some(kind) = of.kind.filter(|kind| *kind != column.kind) {
            let (said, is) = (kind.name(), column.kind.name());
            warnings.push(format!("{key}.type = {said:?}, and here it is {is:?}: none of its rules counts"));
            continue;
        }
        let ruled = RuledColumn { column: column.clone(), schema: of.clone() };
        warnings.extend(senseless(&ruled).map(|rule| {
            format!("{key}.{rule} makes no sense for type {:?}, and does not count", column.kind.name())
        }));
        side.columns.push(ruled);
    }
    for index in 0..side.columns.len() {
        relate(&mut side, index, columns, warnings);
    }
    side.tensors = tensors(&side.columns, warnings);
    side
}

/// Keys that say nothing of columns of this type.
fn senseless(ruled: &RuledColumn) -> impl Iterator<Item = &'static str> {
    let ColumnSchema { infinite, range, at_most, bins, log, .. } = &ruled.schema;
    let is_text = ruled.is_text();
    let of_numbers = matches!(log, Some(Redaction::Round(_) | Redaction::Bucketise));
    let of_texts = matches!(log, Some(Redaction::Truncate(_)));
    let keys = [
        ("infinite", is_text && *infinite != Action::Off),
        ("range", is_text && *range != Action::Off),
        ("at_most", is_text && at_most.is_some()),
        ("bins", is_text && bins.is_some()),
        ("log", if is_text { of_numbers } else { of_texts }),
    ];
    keys.into_iter().filter(|(_, is_senseless)| *is_senseless).map(|(key, _)| key)
}

/// Adds the relation of a column to another one, where it has one.
fn relate(side: &mut Side, index: usize, columns: &Columns, warnings: &mut Vec<String>) {
    let ruled = &side.columns[index];
    let is_on = ruled.schema.relation != Action::Off && !ruled.is_text();
    let Some(name) = ruled.schema.at_most.as_ref().filter(|_| is_on) else { return };
    let origin = ruled.column.origin;
    let other = columns.find(origin, name).filter(|other| other.kind != ColumnKind::String);
    match other.cloned() {
        Some(other) => side.relations.push(Relation { column: index, other }),
        None => {
            let (table, own) = (table(origin), shown(&ruled.column.name));
            let names = names(columns, origin);
            warnings.push(format!(
                "{table}.{own}.at_most = '{}' is no column of numbers of this version; its columns are {names}",
                shown(name)
            ));
        }
    }
}

/// The rules, tensor by tensor.
fn tensors(columns: &[RuledColumn], warnings: &mut Vec<String>) -> Vec<TensorRules> {
    let mut tensors: Vec<TensorRules> = Vec::new();
    for (index, ruled) in columns.iter().enumerate() {
        let RuledColumn { column, schema } = ruled;
        if !has_rules(ruled) {
            continue;
        }
        if tensors.last().is_none_or(|last| last.tensor != column.tensor) {
            tensors.push(empty(column));
        }
        let Some(rules) = tensors.last_mut() else { continue };
        let place = column.place();
        rules.places.push((place, index));
        match &mut rules.values {
            ValueRules::Texts(texts) => texts.add(place, index, schema),
            ValueRules::Numbers(numbers) => {
                if !numbers.add(place, column.kind, schema) {
                    let (table, kind) = (table(column.origin), column.kind.name());
                    let name = shown(&column.name);
                    warnings.push(format!("{table}.{name}.values are not all {kind}s, and do not count"));
                }
            }
        }
    }
    for rules in &mut tensors {
        if let ValueRules::Numbers(numbers) = &mut rules.values {
            *numbers = std::mem::replace(numbers, NumberRules::new(0)).finished();
        }
    }
    tensors
}

fn empty(column: &Column) -> TensorRules {
    let width = column.width();
    let values = match column.kind {
        ColumnKind::String => ValueRules::Texts(TextRules::new(width)),
        _ => ValueRules::Numbers(NumberRules::new(width)),
    };
    TensorRules { tensor: column.tensor, width, places: Vec::new(), values }
}

/// Whether a single value can break any rule but a relation.
fn has_rules(ruled: &RuledColumn) -> bool {
    let ColumnSchema { missing, infinite, range, domain, values, .. } = &ruled.schema;
    let is_on = |action: &Action| *action != Action::Off;
    let has_domain = is_on(domain) && (values.is_some() || ruled.is_text());
    is_on(missing) || has_domain || (!ruled.is_text() && (is_on(infinite) || is_on(range)))
}

/// Compile-time proof that one validator serves all threads.
const _: fn(Arc<Validator>) = |validator| {
    fn shared<T: Send + Sync>(_: T) {}
    shared(validator);
};
