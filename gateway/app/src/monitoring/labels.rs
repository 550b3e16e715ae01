//! Keeps what versions predict, for labels that come later.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pointsman_control::Subject;
use pointsman_core::{
    AnswerRows, Answers, Arm, Column, Columns, Elements, Inputs, Origin, Pair, ParameterValue, Parameters,
    Schema, Signature, Tensor, VersionNumber,
};
use pointsman_observe::labels::{Drawn, Prediction, Source};
use pointsman_route::UnitKind;

use super::{Part, Seen, Watcher};
use crate::labels::{Labels, Sums};

/// The longest value of a slice, in bytes; what is longer is cut.
const SLICE_BYTES_MAX: usize = 64;
/// The most slices.
const SLICES_MAX: usize = 8;

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
        let arm = pick.arm.shared_name();
        let drawn = pick.assignment.as_ref().map(|assignment| Drawn {
            experiment: assignment.experiment.clone(),
            unit: assignment.unit,
            weight: assignment.weight.ten_thousandths(),
            is_request: assignment.unit_kind == UnitKind::RequestId,
        });
        let answers = AnswerRows::read(&self.answers, outputs, rows);
        let slices = self.slices.read(&exchange.inputs, &exchange.parameters, exchange.rows, rows);
        self.sums.push(at_ms, &arm, answers.iter());
        let (id, source) = (exchange.id, self.source.clone());
        self.labels.answered(Prediction { id, at_ms, source, arm, drawn, rows_had, answers, slices });
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
        let rows_had = rows_of(&pair.inputs);
        let answers = AnswerRows::read(&self.answers, outputs, self.labels.rows_max().min(rows_had as usize));
        let (arm, source) = (Arm::Default.shared_name(), self.source.clone());
        let (id, at_ms, slices) = (pair.id, millis(SystemTime::now()), Arc::default());
        let drawn = None;
        self.labels.shadowed(Prediction { id, at_ms, source, arm, drawn, rows_had, answers, slices });
    }
}

/// How many rows a request has.
fn rows_of(inputs: &Inputs<'_>) -> u32 {
    let first = inputs.tensors.iter().flatten().find_map(|tensor| tensor.shape().dims().first().copied());
    u32::try_from(first.unwrap_or(1)).unwrap_or(u32::MAX)
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

    /// The values of the first `kept` rows, one row after the other.
    fn read(
        &self,
        inputs: &[Option<Tensor>],
        parameters: &Parameters,
        rows: u64,
        kept: usize,
    ) -> Arc<[Arc<str>]> {
        if self.places.is_empty() {
            return Arc::default();
        }
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let column = |place: &Place| -> Option<Vec<Arc<str>>> {
            match place {
                Place::Parameter(name) => {
                    let (_, value) = parameters.iter().find(|(parameter, _)| parameter == name)?;
                    let value = match value {
                        ParameterValue::Bool(value) => value.to_string().into(),
                        ParameterValue::Int(value) => value.to_string().into(),
                        ParameterValue::Uint(value) => value.to_string().into(),
                        ParameterValue::Double(value) => of_number(*value),
                        ParameterValue::String(value) => cut(value).into(),
                    };
                    Some(vec![value; kept])
                }
                Place::Column(column) => {
                    let view = column.view(inputs.get(column.tensor)?.as_ref()?, rows)?;
                    if let Some(texts) = view.texts() {
                        let text = |text| cut(&String::from_utf8_lossy(text)).into();
                        return Some(texts.take(kept).map(text).collect());
                    }
                    let elements: Elements<'_> = view.elements()?;
                    let number = |row| of_number(elements.get(view.first + row * view.stride));
                    Some((0..kept).map(number).collect())
                }
            }
        };
        let columns: Vec<_> = self.places.iter().map(|place| column(place).unwrap_or_default()).collect();
        let of_row = |row| columns.iter().map(move |column| column.get(row).cloned().unwrap_or_default());
        (0..kept).flat_map(of_row).collect()
    }
}

/// A number as it is kept: the largest have more digits than are.
fn of_number(number: f64) -> Arc<str> {
    cut(&number.to_string()).into()
}

/// A value as it is kept.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(SLICE_BYTES_MAX)]
}
