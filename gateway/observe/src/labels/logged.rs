//! Predictions as the sample log has them, for labels that come when memory has let them go.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::Schema;
use pointsman_core::{Answer, Answers, Datatype, Elements, OutputTensor, RequestId, Shape, Tensor};
use pointsman_stats::Inclusion;
use serde_json::Value as Json;

use super::joiner::{Labelled, spread};
use super::prediction::{Drawn, Joined, Source};
use super::said::{Said, Verdict};
use crate::sample_log::{
    ANSWERS_KEY, INPUT, MODEL, OUTPUT, PARAMETER, PROBABILITY, REDACTED_KEY, REQUEST_ID, SAMPLING_KEY, SLICE,
    SLICES_KEY, TIME, tensor_of,
};

/// The most slices, as of predictions in memory.
const SLICES_MAX: usize = 8;
/// The most shadows of a row that are read.
const SHADOWS_MAX: usize = 7;
/// Draws which rows a rollout hears of; another one than those of the joiner and of the pairs, so that all are independent.
const SALT: u64 = 0x706d_2d6c_6f67_2d31;
/// What the kind of a unit is called where each request is one.
const OF_REQUESTS: &str = "request_id";
/// The arm of rows that say none.
const UNKNOWN_ARM: &str = "default";
/// How a shadow's answer that is one is marked.
const OK: &str = "OK";

/// One row of a request in the sample log.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// The gateway's id of the request.
    pub id: RequestId,
    /// The row.
    pub row: u32,
    /// How many the request had.
    pub rows: u32,
    at_ms: u64,
    included: Inclusion,
    arm: Arc<str>,
    drawn: Option<Drawn>,
    slices: Box<[Arc<str>]>,
    /// What the version that answered said, and then its shadows; nothing where that cannot be read.
    answers: Vec<(Arc<Source>, Option<Answer>)>,
}

/// What all rows of a file have in common.
struct Form {
    model: Arc<str>,
    answers: Answers,
    outputs: Vec<(Arc<str>, ArrayRef)>,
    slices: Arc<[Arc<str>]>,
    values: Vec<ArrayRef>,
    /// The share of all requests that is kept whatever becomes of them; nothing where that is not one number.
    uniform: Option<f64>,
}

/// The places of the columns that [`Logged`] needs: of inputs those alone by which examples are told apart.
pub(crate) fn needed_places(schema: &Schema) -> Vec<usize> {
    let slices = slices(schema);
    let is_needed =
        |name: &str| !name.starts_with(INPUT) || slices.iter().any(|slice| column_of(slice) == name);
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| is_needed(field.name())).map(|(at, _)| at).collect()
}

fn slices(schema: &Schema) -> Vec<Arc<str>> {
    let text = schema.metadata().get(SLICES_KEY).map_or("", String::as_str);
    serde_json::from_str(text).unwrap_or_default()
}

/// The column that has a slice.
fn column_of(slice: &str) -> String {
    match slice.strip_prefix(PARAMETER) {
        Some(parameter) => format!("{SLICE}{parameter}"),
        None => format!("{INPUT}{slice}"),
    }
}

impl Form {
    fn of(batch: &RecordBatch) -> Option<Self> {
        let schema = batch.schema();
        let text = |key: &str| schema.metadata().get(key).map_or("", String::as_str);
        let answers: Answers = serde_json::from_str(text(ANSWERS_KEY)).ok()?;
        // What was redacted is another value.
        let as_it_was = |name: &str| {
            let at = schema.index_of(name).ok()?;
            (!schema.field(at).metadata().contains_key(REDACTED_KEY)).then(|| batch.column(at).clone())
        };
        let outputs =
            answers.outputs().filter_map(|name| Some((name.clone(), as_it_was(&format!("{OUTPUT}{name}"))?)));
        let outputs = outputs.collect();
        let found =
            slices(&schema).into_iter().filter_map(|slice| Some((as_it_was(&column_of(&slice))?, slice)));
        let (values, slices): (Vec<_>, Vec<_>) = found.take(SLICES_MAX).unzip();
        let sampling: Json = serde_json::from_str(text(SAMPLING_KEY)).unwrap_or_default();
        let uniform = sampling["uniform_rate"].as_f64().filter(|_| sampling["uniform_max"].is_null());
        let model = batch.column_by_name(MODEL)?.as_string_opt::<i32>()?;
        let model = (!model.is_empty()).then(|| model.value(0).into())?;
        Some(Self { model, answers, outputs, slices: slices.into(), values, uniform })
    }

    fn source(&self, version: u64, is_shadow: bool) -> Arc<Source> {
        Arc::new(Source {
            model: self.model.clone(),
            version,
            is_shadow,
            names: self.answers.names().cloned(),
            classes: self.answers.classes(),
            slices: self.slices.clone(),
        })
    }

    fn answer(&self, row: usize) -> Option<Answer> {
        let output = |(name, array): &(Arc<str>, ArrayRef)| {
            let tensor = tensor_of(array.as_ref(), row)?;
            Some(OutputTensor { name: name.clone(), tensor, labels: None })
        };
        let outputs: Vec<OutputTensor> = self.outputs.iter().filter_map(output).collect();
        self.answers.read(&outputs, 0)
    }

    /// What a shadow said, from the JSON of its outputs.
    fn shadow(&self, outputs: &str) -> Option<Answer> {
        let json: Json = serde_json::from_str(outputs).ok()?;
        let output = |(name, _): &(Arc<str>, ArrayRef)| {
            let tensor = tensor_of_json(json.get(&**name)?)?;
            Some(OutputTensor { name: name.clone(), tensor, labels: None })
        };
        let outputs: Vec<OutputTensor> = self.outputs.iter().filter_map(output).collect();
        self.answers.read(&outputs, 0)
    }
}

fn tensor_of_json(json: &Json) -> Option<Tensor> {
    let (values, shape) = match json {
        Json::Array(all) => (all.as_slice(), Shape::new(&[1, all.len() as u64])?),
        one => (std::slice::from_ref(one), Shape::new(&[1])?),
    };
    let whole: Option<Vec<i64>> = values.iter().map(Json::as_i64).collect();
    match whole {
        Some(whole) => Tensor::from_vec(Datatype::Int64, shape, whole).ok(),
        None => {
            let numbers: Option<Vec<f64>> = values.iter().map(Json::as_f64).collect();
            Tensor::from_vec(Datatype::Fp64, shape, numbers?).ok()
        }
    }
}

/// A value by which examples are told apart, as memory has it; empty where there is none.
fn slice(array: &ArrayRef, row: usize) -> Arc<str> {
    let tensor = tensor_of(array.as_ref(), row);
    let text = tensor.as_ref().and_then(|tensor| match tensor.strings() {
        Some(mut texts) => texts.next().map(|text| String::from_utf8_lossy(text).into_owned()),
        None => Elements::of(tensor).map(|elements| elements.get(0).to_string()),
    });
    text.unwrap_or_default().into()
}

impl Logged {
    /// The rows of a batch of a reader [for labels](crate::sample_log::Reader::for_labels). Of files in which it does not
    /// stand how labels are held against their outputs, there are none.
    #[must_use]
    pub fn of(batch: &RecordBatch) -> Vec<Self> {
        let Some(form) = Form::of(batch) else { return Vec::new() };
        (0..batch.num_rows()).filter_map(|row| Self::read(&form, batch, row)).collect()
    }

    fn read(form: &Form, batch: &RecordBatch, row: usize) -> Option<Self> {
        let text = |name: &str| {
            let texts = batch.column_by_name(name)?.as_string_opt::<i32>()?;
            texts.is_valid(row).then(|| texts.value(row))
        };
        let number = |name: &str| {
            let numbers = batch.column_by_name(name)?.as_primitive_opt::<Float64Type>()?;
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        let count =
            |name: &str| Some(batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>()?.value(row));
        let id = RequestId::parse(text(REQUEST_ID)?)?;
        let included = Inclusion::new(number(PROBABILITY)?).ok()?;
        let version = batch.column_by_name("version")?.as_primitive_opt::<UInt64Type>()?.value(row);
        let at = batch.column_by_name(TIME)?.as_primitive_opt::<TimestampNanosecondType>()?.value(row);
        let mut answers = vec![(form.source(version, false), form.answer(row))];
        answers.extend(shadows(form, batch, row));
        Some(Self {
            id,
            row: count("row")?,
            rows: count("rows")?,
            at_ms: u64::try_from(at / 1_000_000).unwrap_or(0),
            included,
            arm: text("arm").unwrap_or(UNKNOWN_ARM).into(),
            drawn: drawn(text, number("weight")).filter(|_| is_fair(id, included, form.uniform)),
            slices: form.values.iter().map(|array| slice(array, row)).collect(),
            answers,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> Option<&Arc<str>> {
        self.answers.first().map(|(source, _)| &source.model)
    }

    /// What comes of a label of its row, or of one beyond the last of the request. That it was said before is not known
    /// here. What was drawn is given of a part of the rows alone, which is the same share of all requests whatever became of
    /// them: the log keeps what is slow, say, more often, and a rollout would hear more of the slower version.
    #[must_use]
    pub fn label(&self, said: &Said, now_ms: u64) -> Labelled {
        let Some((first, answer)) = self.answers.first() else { return Labelled::of(Verdict::Unknown) };
        if said.row >= self.rows {
            return Labelled::beyond_rows(said.row, u64::from(self.rows));
        }
        if first.label(&said.value).is_none() {
            return Labelled::of_no_class(first, &said.value);
        }
        if let Err(reason) = said.check_time(self.at_ms, now_ms) {
            return Labelled::malformed(reason);
        }
        if answer.is_none() || said.row != self.row {
            return Labelled::of(Verdict::Unknown);
        }
        let pair = |(source, answer): &(Arc<Source>, Option<Answer>)| {
            Some(Joined {
                id: self.id,
                row: self.row,
                at_ms: self.at_ms,
                label_at_ms: said.at_ms.unwrap_or(now_ms),
                included: self.included,
                from_log: true,
                label: source.label(&said.value)?,
                source: source.clone(),
                arm: self.arm.clone(),
                answer: answer.clone()?,
                slices: self.slices.clone(),
            })
        };
        let joined = self.answers.iter().filter_map(pair).collect();
        Labelled { joined, drawn: self.drawn.clone(), ..Labelled::of(Verdict::Joined) }
    }
}

fn drawn<'a>(text: impl Fn(&str) -> Option<&'a str>, weight: Option<f64>) -> Option<Drawn> {
    Some(Drawn {
        experiment: text("experiment")?.into(),
        unit: u64::from_str_radix(text("unit_hash")?, 16).ok()?,
        weight: (weight? * 10_000.0).round() as u16,
        is_request: text("unit_kind")? == OF_REQUESTS,
    })
}

/// Whether a row is among those of which a rollout hears. It is in the log with its probability p, and of these with u/p:
/// so each request is with u, the share that is kept of all.
fn is_fair(id: RequestId, included: Inclusion, uniform: Option<f64>) -> bool {
    let point = (spread(id, SALT) >> 11) as f64 / (1_u64 << 53) as f64;
    uniform.is_some_and(|uniform| point < uniform / included.get())
}

fn shadows(form: &Form, batch: &RecordBatch, row: usize) -> Vec<(Arc<Source>, Option<Answer>)> {
    let lists = batch.column_by_name("shadows").and_then(|column| column.as_list_opt::<i32>());
    let Some(all) = lists.filter(|lists| lists.is_valid(row)).map(|lists| lists.value(row)) else {
        return Vec::new();
    };
    let Some(all) = all.as_struct_opt() else { return Vec::new() };
    let text = |name: &str, at: usize| {
        let texts = all.column_by_name(name)?.as_string_opt::<i32>()?;
        texts.is_valid(at).then(|| texts.value(at).to_owned())
    };
    let one = |at: usize| {
        let version = all.column_by_name("version")?.as_primitive_opt::<UInt64Type>()?.value(at);
        let answer = form.shadow(&text("outputs", at)?);
        (text("status", at)? == OK).then(|| (form.source(version, true), answer))
    };
    (0..all.len().min(SHADOWS_MAX)).filter_map(one).collect()
}
