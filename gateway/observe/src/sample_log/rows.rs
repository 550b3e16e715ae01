//! The rows that are collected for one batch.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, StringBuilder, TimestampNanosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit};
use pointsman_core::{Anomaly, Elements, OutputTensor, ParameterValue, Tensor, Violation};

use super::kept::{ColumnValues, KeptColumn, KeptTensor, shown_outputs};
use super::layout::{Layout, PROBABILITY, REDACTION_VERSION, REQUEST_ID, TIME, UNIT_HASH};
use super::record::{Record, ShadowAnswer};
use super::values::{Lists, TextLists, item};

/// The zone of times.
const UTC: &str = "UTC";
/// What stands for an answer where codes of errors stand otherwise.
pub(super) const OK: &str = "OK";
/// The most violations that a row names, and the most characters of a slice.
const VIOLATIONS_MAX: usize = 8;
const SLICE_CHARS_MAX: usize = 128;

/// The columns that every row has in its file. The model is in the file's path and metadata: programs that take folders
/// such as `model=iris` for columns do not want a second one.
pub(super) fn fixed_fields() -> Vec<Field> {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let number = |name: &str| Field::new(name, DataType::Float64, true);
    vec![
        Field::new(TIME, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), false),
        text(REQUEST_ID),
        text("trace_id"),
        Field::new("row", DataType::UInt32, false),
        Field::new("rows", DataType::UInt32, false),
        text(UNIT_HASH),
        text("unit_kind"),
        Field::new("version", DataType::UInt64, false),
        text("digest"),
        text("arm"),
        text("way"),
        number("weight"),
        text("experiment"),
        text("log_policy_id"),
        number(PROBABILITY),
        text("sample_reason"),
        text("status"),
        text("protocol"),
        number("decode_us"),
        number("queue_us"),
        number("batch_us"),
        number("run_us"),
        number("encode_us"),
        number("total_us"),
        Field::new("batch_requests", DataType::UInt32, false),
        Field::new("cached", DataType::Boolean, false),
        Field::new("violations", TextLists::data_type(), true),
        Field::new("shadows", DataType::List(item(DataType::Struct(shadow_fields()))), true),
        text("schema_digest"),
        Field::new("redaction_version", DataType::UInt32, false),
    ]
}

fn shadow_fields() -> Fields {
    Fields::from(vec![
        Field::new("version", DataType::UInt64, false),
        Field::new("status", DataType::Utf8, false),
        Field::new("run_us", DataType::Float64, false),
        Field::new("disagrees", DataType::Boolean, true),
        Field::new("outputs", DataType::Utf8, true),
    ])
}

/// The columns that every row has, in the order of [`fixed_fields`].
#[derive(Debug)]
struct Fixed {
    time: TimestampNanosecondBuilder,
    row: UInt32Builder,
    rows: UInt32Builder,
    version: UInt64Builder,
    /// Texts, in the order of their fields.
    texts: [StringBuilder; 13],
    /// Numbers, in the order of their fields.
    numbers: [Float64Builder; 8],
    batch_requests: UInt32Builder,
    cached: BooleanBuilder,
    violations: TextLists,
    shadows: Shadows,
    redaction_version: UInt32Builder,
}

/// Rows of one layout, column by column.
#[derive(Debug)]
pub(super) struct Rows {
    layout: Arc<Layout>,
    fixed: Fixed,
    slices: Vec<StringBuilder>,
    inputs: Values,
    outputs: Values,
    count: usize,
    bytes: usize,
    texts: Texts,
}

/// Values of inputs, or of outputs.
#[derive(Debug)]
struct Values {
    columns: Vec<ColumnValues>,
    tensors: Vec<Lists>,
}

/// Texts that are written anew for each record.
#[derive(Debug, Default)]
struct Texts {
    unit: String,
    trace: String,
}

impl Values {
    fn new(columns: &[KeptColumn], tensors: &[KeptTensor]) -> Self {
        let columns = columns.iter().map(KeptColumn::values).collect();
        Self { columns, tensors: tensors.iter().filter_map(KeptTensor::values).collect() }
    }

    fn push<'a>(
        &mut self,
        kept: (&[KeptColumn], &[KeptTensor]),
        rows: usize,
        of_column: impl Fn(&KeptColumn) -> Option<&'a Tensor>,
        of_tensor: impl Fn(&KeptTensor) -> Option<&'a Tensor>,
    ) {
        // Columns of a tensor stand beside each other.
        let mut before: Option<(usize, Option<Elements<'a>>)> = None;
        for (kept, to) in kept.0.iter().zip(&mut self.columns) {
            let index = kept.source.tensor;
            let elements = match before {
                Some((before, elements)) if before == index => elements,
                _ => of_column(kept).and_then(|tensor| kept.elements(tensor, rows)),
            };
            before = Some((index, elements));
            match elements {
                Some(elements) => kept.push_numbers(to, &elements, rows),
                None => kept.push_texts(to, of_column(kept), rows),
            }
        }
        for (kept, to) in kept.1.iter().zip(&mut self.tensors) {
            kept.push(to, of_tensor(kept), rows);
        }
    }

    fn finish(&mut self) -> impl Iterator<Item = ArrayRef> + '_ {
        self.columns.iter_mut().map(ColumnValues::finish).chain(self.tensors.iter_mut().map(Lists::finish))
    }
}

impl Rows {
    /// None yet.
    pub(super) fn new(layout: &Arc<Layout>) -> Self {
        Self {
            fixed: Fixed {
                time: TimestampNanosecondBuilder::new().with_timezone(UTC),
                row: UInt32Builder::new(),
                rows: UInt32Builder::new(),
                version: UInt64Builder::new(),
                texts: std::array::from_fn(|_| StringBuilder::new()),
                numbers: std::array::from_fn(|_| Float64Builder::new()),
                batch_requests: UInt32Builder::new(),
                cached: BooleanBuilder::new(),
                violations: TextLists::default(),
                shadows: Shadows::default(),
                redaction_version: UInt32Builder::new(),
            },
            slices: layout.slices.iter().map(|_| StringBuilder::new()).collect(),
            inputs: Values::new(&layout.input_columns, &layout.input_tensors),
            outputs: Values::new(&layout.output_columns, &layout.output_tensors),
            layout: layout.clone(),
            count: 0,
            bytes: 0,
            texts: Texts::default(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of the tensors that they are of.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the rows of a record. `layout` is that of its version, whose fingerprint is that of these rows.
    pub(super) fn push(&mut self, layout: &Layout, record: &Record<'_>) {
        let examples = record.examples();
        self.texts.unit.clear();
        if let Some(drawn) = &record.origin.drawn {
            // Writing to a text does not fail.
            let _ = write!(self.texts.unit, "{:016x}", drawn.unit);
        }
        self.texts.trace.clear();
        if let Some(trace) = record.trace {
            let _ = write!(self.texts.trace, "{trace}");
        }
        self.fixed.push(layout, record, &self.texts);
        for (name, to) in layout.slices.iter().zip(&mut self.slices) {
            let value = record.parameters.iter().find(|(parameter, _)| parameter == name);
            let value = value.map(|(_, value)| slice(value));
            (0..examples).for_each(|_| to.append_option(value.as_deref()));
        }
        let inputs =
            |index: usize| record.inputs.get(index).and_then(Option::as_ref).filter(|_| record.rows > 0);
        self.inputs.push(
            (&layout.input_columns, &layout.input_tensors),
            examples,
            |kept| inputs(kept.source.tensor),
            |kept| inputs(kept.index),
        );
        let outputs = record.outputs.as_ref().copied().unwrap_or_default();
        let outputs = |name: &str| {
            let found = outputs.iter().find(|output| *output.name == *name);
            found.map(|output: &OutputTensor| &output.tensor).filter(|_| record.rows > 0)
        };
        self.outputs.push(
            (&layout.output_columns, &layout.output_tensors),
            examples,
            |kept| outputs(&kept.tensor),
            |kept| outputs(&kept.tensor),
        );
        self.count += examples;
        self.bytes += record.bytes();
    }

    /// All of them, of which nothing is left here.
    ///
    /// # Errors
    /// Where columns are of different lengths, which they never are.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = self.fixed.finish();
        columns.extend(self.slices.iter_mut().map(|slice| Arc::new(slice.finish()) as ArrayRef));
        columns.extend(self.inputs.finish());
        columns.extend(self.outputs.finish());
        (self.count, self.bytes) = (0, 0);
        RecordBatch::try_new(self.layout.arrow.clone(), columns)
    }
}

impl Fixed {
    fn push(&mut self, layout: &Layout, record: &Record<'_>, texts: &Texts) {
        let Record { origin, chosen, times, .. } = record;
        let (drawn, examples) = (origin.drawn.as_ref(), record.examples());
        self.time.append_value_n(nanoseconds(record.at), examples);
        (0..examples).for_each(|row| self.row.append_value(row as u32));
        self.rows.append_value_n(u32::try_from(record.rows).unwrap_or(u32::MAX), examples);
        self.version.append_value_n(layout.version, examples);
        // Texts that all rows of a record share are encoded once in a part.
        let id = record.id.encode();
        let status = record.outputs.err().map_or(OK, pointsman_core::Code::name);
        let values = [
            std::str::from_utf8(&id).ok(),
            record.trace.map(|_| texts.trace.as_str()),
            drawn.map(|_| texts.unit.as_str()),
            drawn.map(|drawn| drawn.unit_kind),
            Some(layout.digest.as_str()),
            origin.arm,
            origin.way,
            drawn.map(|drawn| drawn.experiment),
            Some(layout.policy.as_str()),
            Some(chosen.class.name()),
            Some(status),
            Some(origin.protocol),
            layout.schema_digest.as_deref(),
        ];
        for (to, value) in self.texts.iter_mut().zip(values) {
            match value {
                Some(value) => to.append_value_n(value, examples),
                None => to.append_nulls(examples),
            }
        }
        let time = |time: Duration| Some(micros(time));
        let numbers = [
            drawn.map(|drawn| drawn.propensity),
            Some(chosen.probability),
            time(record.decode),
            time(times.queue),
            time(times.batch),
            time(times.run),
            time(record.encode),
            time(record.total),
        ];
        for (to, value) in self.numbers.iter_mut().zip(numbers) {
            match value {
                Some(value) => to.append_value_n(value, examples),
                None => to.append_nulls(examples),
            }
        }
        self.batch_requests.append_value_n(times.batch_requests, examples);
        self.cached.append_n(examples, times.cached);
        for row in 0..examples {
            self.violations.push(record.violations.iter().take(VIOLATIONS_MAX).map(told));
            self.shadows.push(layout, record.shadows, row, examples);
        }
        self.redaction_version.append_value_n(REDACTION_VERSION, examples);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let [id, trace, unit, kind, digest, arm, way, experiment, policy, reason, status, protocol, schema] =
            self.texts.each_mut().map(|texts| Arc::new(texts.finish()) as ArrayRef);
        let [weight, probability, decode, queue, batch, run, encode, total] =
            self.numbers.each_mut().map(|numbers| Arc::new(numbers.finish()) as ArrayRef);
        let time = Arc::new(self.time.finish()) as ArrayRef;
        let (row, rows) = (Arc::new(self.row.finish()), Arc::new(self.rows.finish()));
        let version = Arc::new(self.version.finish());
        let batch_requests = Arc::new(self.batch_requests.finish());
        let cached = Arc::new(self.cached.finish());
        let (violations, shadows) = (self.violations.finish(), self.shadows.finish());
        let redaction = Arc::new(self.redaction_version.finish());
        vec![
            time,
            id,
            trace,
            row,
            rows,
            unit,
            kind,
            version,
            digest,
            arm,
            way,
            weight,
            experiment,
            policy,
            probability,
            reason,
            status,
            protocol,
            decode,
            queue,
            batch,
            run,
            encode,
            total,
            batch_requests,
            cached,
            violations,
            shadows,
            schema,
            redaction,
        ]
    }
}

/// What shadows made of the rows.
#[derive(Debug)]
struct Shadows {
    offsets: Vec<i32>,
    version: UInt64Builder,
    status: StringBuilder,
    run: Float64Builder,
    disagrees: BooleanBuilder,
    outputs: StringBuilder,
}

impl Default for Shadows {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            version: UInt64Builder::new(),
            status: StringBuilder::new(),
            run: Float64Builder::new(),
            disagrees: BooleanBuilder::new(),
            outputs: StringBuilder::new(),
        }
    }
}

impl Shadows {
    fn push(&mut self, layout: &Layout, answers: &[ShadowAnswer], row: usize, rows: usize) {
        let Layout { output_columns, output_tensors, .. } = layout;
        for answer in answers {
            self.version.append_value(answer.version);
            self.status.append_value(answer.outputs.as_ref().err().map_or(OK, |code| code.name()));
            self.run.append_value(micros(answer.run));
            self.disagrees.append_option(answer.disagrees);
            let outputs = answer.outputs.as_ref().ok();
            let shown =
                outputs.map(|outputs| shown_outputs(output_columns, output_tensors, outputs, row, rows));
            self.outputs.append_option(shown);
        }
        let count = self.offsets.last().copied().unwrap_or(0);
        self.offsets.push(count.saturating_add(i32::try_from(answers.len()).unwrap_or(i32::MAX)));
    }

    fn finish(&mut self) -> ArrayRef {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.version.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.run.finish()),
            Arc::new(self.disagrees.finish()),
            Arc::new(self.outputs.finish()),
        ];
        let structs = Arc::new(StructArray::new(shadow_fields(), columns, None));
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        Arc::new(ListArray::new(
            item(DataType::Struct(shadow_fields())),
            OffsetBuffer::new(offsets.into()),
            structs,
            None,
        ))
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Nanoseconds since 1970: 0 before, the most that there are from 2262 on.
pub(super) fn nanoseconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A violation in a row: `temp:FLOAT_TYPE_BIG_FLOAT`.
fn told(violation: &Violation) -> String {
    let anomaly: Anomaly = violation.anomaly;
    format!("{}:{}", violation.column, anomaly.code())
}

/// The value of a request parameter by which examples are told apart.
fn slice(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Bool(value) => value.to_string(),
        ParameterValue::Int(value) => value.to_string(),
        ParameterValue::Uint(value) => value.to_string(),
        ParameterValue::Double(value) => value.to_string(),
        ParameterValue::String(value) => value.chars().take(SLICE_CHARS_MAX).collect(),
    }
}
