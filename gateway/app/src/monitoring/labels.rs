//! Keeps what versions predict, for labels that come later.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pointsman_control::Subject;
use pointsman_core::{
    Answers, Column, Columns, Elements, Inputs, Origin, OutputTensor, Pair, ParameterValue, Parameters,
    Schema, Signature, Tensor, VersionNumber,
};
use pointsman_observe::labels::{Drawn, Prediction, Row, Source};
use pointsman_route::UnitKind;

use super::{Part, Seen, Watcher};
use crate::labels::{Labels, Sums};

/// The longest value of a slice, in bytes; what is longer is cut.
const SLICE_BYTES_MAX: usize = 64;
/// The most slices.
const SLICES_MAX: usize = 8;
/// The arm of predictions that no request came by.
const UNKNOWN_ARM: &str = "default";

/// The part that keeps predictions.
pub(crate) struct LabelPart(pub(crate) Arc<Labels>);

impl Part for LabelPart {
    fn watcher(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        let answers = Answers::of(subject.signature)?;
        let slices = Slices::of(subject.signature, subject.schema, warnings);
        let source = source(subject.model.as_str(), subject.number, false, &answers, slices.names.clone());
        let sums = self.0.sums(source.clone());
        Some(Arc::new(VersionWatcher { labels: self.0.clone(), answers, source, slices, sums }))
    }
}

fn source(
    model: &str,
    version: VersionNumber,
    is_shadow: bool,
    answers: &Answers,
    slices: Arc<[Arc<str>]>,
) -> Arc<Source> {
    Arc::new(Source {
        model: model.into(),
        version: version.get(),
        is_shadow,
        names: answers.names().cloned(),
        classes: answers.classes(),
        slices,
    })
}

/// Watches one version.
struct VersionWatcher {
    labels: Arc<Labels>,
    answers: Answers,
    source: Arc<Source>,
    slices: Slices,
    sums: Arc<Sums>,
}

impl Watcher for VersionWatcher {
    fn saw(&self, seen: &Arc<Seen>) {
        let exchange = &seen.exchange;
        let (Ok(outputs), Some(pick)) = (&exchange.outputs, &exchange.pick) else { return };
        let rows_had = u32::try_from(exchange.rows).unwrap_or(u32::MAX);
        let rows = (rows_had as usize).min(self.labels.rows_max());
        let at_ms = millis(seen.at);
        let arm: Arc<str> = pick.arm.name().into();
        let drawn = pick.assignment.as_ref().map(|assignment| Drawn {
            experiment: assignment.experiment.clone(),
            unit: assignment.unit,
            weight: assignment.weight.ten_thousandths(),
            is_request: assignment.unit_kind == UnitKind::RequestId,
        });
        let rows: Box<[Row]> = (0..rows)
            .map(|row| Row {
                answer: self.answers.read(outputs, row),
                slices: self.slices.read(&exchange.inputs, &exchange.parameters, exchange.rows, row),
            })
            .collect();
        self.sums.push(at_ms, &arm, rows.iter().map(|row| row.answer.as_ref()));
        let source = self.source.clone();
        self.labels.answered(Prediction { id: exchange.id, at_ms, source, arm, drawn, rows_had, rows });
    }
}

/// Keeps what a shadow answers.
pub(crate) struct ShadowWatcher {
    labels: Arc<Labels>,
    answers: Answers,
    source: Arc<Source>,
    /// Held as long as it runs, so that its sums are kept.
    _sums: Arc<Sums>,
}

impl ShadowWatcher {
    /// Of a version that answers beside the one which serves; nothing where no label could be held against its outputs.
    pub(crate) fn of(
        labels: &Arc<Labels>,
        model: &str,
        number: VersionNumber,
        signature: &Signature,
    ) -> Option<Self> {
        let answers = Answers::of(signature)?;
        let source = source(model, number, true, &answers, Arc::new([]));
        let sums = labels.sums(source.clone());
        Some(Self { labels: labels.clone(), answers, source, _sums: sums })
    }

    /// A shadow has answered. Slices, arm and time of the example are those of the version that answered.
    pub(crate) fn paired(&self, pair: &Pair<'_>) {
        let Ok(outputs) = pair.shadow.outputs else { return };
        let (rows_had, rows) = rows(&pair.inputs, outputs, &self.answers, self.labels.rows_max());
        let (arm, source) = (UNKNOWN_ARM.into(), self.source.clone());
        let at_ms = millis(SystemTime::now());
        self.labels.shadowed(Prediction { id: pair.id, at_ms, source, arm, drawn: None, rows_had, rows });
    }
}

/// How many rows an answer has, and the first ones of them.
fn rows(inputs: &Inputs<'_>, outputs: &[OutputTensor], answers: &Answers, max: usize) -> (u32, Box<[Row]>) {
    let first = inputs.tensors.iter().flatten().find_map(|tensor| tensor.shape().dims().first().copied());
    let had = u32::try_from(first.unwrap_or(1)).unwrap_or(u32::MAX);
    let row = |row| Row { answer: answers.read(outputs, row), slices: Box::new([]) };
    (had, (0..max.min(had as usize)).map(row).collect())
}

fn millis(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Where the values are by which examples are told apart.
#[derive(Default)]
struct Slices {
    names: Arc<[Arc<str>]>,
    places: Vec<Place>,
}

enum Place {
    Column(Column),
    Parameter(String),
}

impl Slices {
    fn of(signature: &Signature, schema: Option<&Arc<Schema>>, warnings: &mut Vec<String>) -> Self {
        let Some(schema) = schema else { return Self::default() };
        let columns = Columns::of(signature);
        let mut found = Vec::new();
        for name in &schema.slices {
            let parameter = name.strip_prefix("parameter.").map(|name| Place::Parameter(name.into()));
            let column = || columns.find(Origin::Input, name).cloned().map(Place::Column);
            match parameter.or_else(column) {
                Some(place) if found.len() < SLICES_MAX => found.push((name.clone(), place)),
                Some(_) => {
                    warnings.push(format!("schema.toml: slice {name} is one too many; {SLICES_MAX} count"))
                }
                None => warnings
                    .push(format!("schema.toml: slice {name} is no input; name an input, or parameter.NAME")),
            }
        }
        let (names, places): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        Self { names: names.into(), places }
    }

    fn read(
        &self,
        inputs: &[Option<Tensor>],
        parameters: &Parameters,
        rows: u64,
        row: usize,
    ) -> Box<[Arc<str>]> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let value = |place: &Place| -> Option<String> {
            match place {
                Place::Parameter(name) => {
                    let (_, value) = parameters.iter().find(|(parameter, _)| parameter == name)?;
                    Some(match value {
                        ParameterValue::Bool(value) => value.to_string(),
                        ParameterValue::Int(value) => value.to_string(),
                        ParameterValue::Uint(value) => value.to_string(),
                        ParameterValue::Double(value) => value.to_string(),
                        ParameterValue::String(value) => value.clone(),
                    })
                }
                Place::Column(column) => {
                    let view = column.view(inputs.get(column.tensor)?.as_ref()?, rows)?;
                    if let Some(mut texts) = view.texts() {
                        return texts.nth(row).map(|text| String::from_utf8_lossy(text).into_owned());
                    }
                    let elements: Elements<'_> = view.elements()?;
                    Some(elements.get(view.first + row * view.stride).to_string())
                }
            }
        };
        let cut = |mut text: String| {
            let end = (0..=SLICE_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            text.into()
        };
        self.places.iter().map(|place| value(place).map_or_else(|| "".into(), cut)).collect()
    }
}
