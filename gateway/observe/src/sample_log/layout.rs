//! Which columns the rows of a version have, and what of each value may be written.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use pointsman_core::{
    Answers, ColumnKind, ColumnSchema, Columns, Dim, ModelName, Origin, Redaction, Schema, Signature,
    TensorSpec, VersionNumber,
};
use sha2::{Digest, Sha256};

use super::account::Account;
use super::kept::{Element, KeptColumn, KeptTensor};
use super::redactor::{HashKey, Redactor, hex};
use super::rows;

/// When the example is from.
pub const TIME: &str = "ts";
/// The gateway's id of the request.
pub const REQUEST_ID: &str = "request_id";
/// The model: files have it in their path, and readers add it.
pub const MODEL: &str = "model";
/// What tells the unit from others.
pub const UNIT_HASH: &str = "unit_hash";
/// With which probability the request was kept.
pub const PROBABILITY: &str = "inclusion_prob";

/// What stands before the names of inputs and outputs.
pub(crate) const INPUT: &str = "in.";
pub(crate) const OUTPUT: &str = "out.";
pub(crate) const SLICE: &str = "slice.";
/// What slices of request parameters begin with in a schema.
pub(crate) const PARAMETER: &str = "parameter.";
/// The most slices that a row has.
const SLICES_MAX: usize = 16;
/// The version of what redactions mean.
pub(super) const REDACTION_VERSION: u32 = 1;
/// The most elements of a list whose length is fixed by the file.
const FIXED_MAX: u64 = 1 << 24;

/// Keys of the metadata of files.
pub(super) const MODEL_KEY: &str = "pointsman.model";
const SCHEMA_KEY: &str = "pointsman.schema_digest";
const POLICY_KEY: &str = "pointsman.log_policy_id";
pub(crate) const SAMPLING_KEY: &str = "pointsman.sampling";
const GATEWAY_KEY: &str = "pointsman.gateway";
const REDACTION_KEY: &str = "pointsman.redaction_version";
const HASH_KEY: &str = "pointsman.hash_key_id";
const DROPPED_KEY: &str = "pointsman.dropped";
/// How labels are held against outputs, and by which columns their pairs are told apart, as JSON.
pub(crate) const ANSWERS_KEY: &str = "pointsman.answers";
pub(crate) const SLICES_KEY: &str = "pointsman.slices";

/// The key of a column's metadata that says how its values are changed; it is not there where they are as they were.
pub(crate) const REDACTED_KEY: &str = "pointsman.redacted";

/// What the rows of a version are made of.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// The model.
    pub model: &'a ModelName,
    /// The version's number.
    pub version: VersionNumber,
    /// SHA-256 over its files, in hexadecimal.
    pub digest: &'a str,
    /// What it takes and gives.
    pub signature: &'a Signature,
    /// What the values are expected to be, and what of them may be written.
    pub schema: Option<&'a Schema>,
    /// By what values are hashed.
    pub key: &'a HashKey,
    /// How requests are sampled, as JSON.
    pub sampling: &'a str,
    /// The gateway that writes.
    pub gateway: &'a str,
}

/// The rows of a version.
#[derive(Debug)]
pub struct Layout {
    pub(super) model: ModelName,
    pub(super) version: u64,
    pub(super) digest: String,
    pub(super) schema_digest: Option<String>,
    pub(super) policy: String,
    pub(super) input_columns: Vec<KeptColumn>,
    pub(super) input_tensors: Vec<KeptTensor>,
    pub(super) output_columns: Vec<KeptColumn>,
    pub(super) output_tensors: Vec<KeptTensor>,
    /// Names of request parameters by which examples are told apart.
    pub(super) slices: Vec<String>,
    pub(super) arrow: SchemaRef,
    /// Tells layouts whose rows may not stand in one file.
    pub(super) fingerprint: Arc<str>,
    pub(super) account: Arc<Account>,
}

/// What is kept, while it is found out.
#[derive(Default)]
struct Finding {
    columns: Vec<KeptColumn>,
    tensors: Vec<KeptTensor>,
    dropped: Vec<String>,
    warnings: Vec<String>,
}

impl Layout {
    /// The layout of a version. What its schema asks for and cannot be is added to `warnings`, and not written.
    #[must_use]
    pub fn new(made: Made<'_>, account: Arc<Account>, warnings: &mut Vec<String>) -> Self {
        let Made { model, version, digest, signature, schema, key, sampling, gateway } = made;
        let none = Default::default();
        let (inputs, outputs) = schema.map_or((&none, &none), |schema| (&schema.inputs, &schema.outputs));
        let columns = Columns::of(signature);
        let input = find(&columns, Origin::Input, &signature.inputs, inputs, key);
        let output = find(&columns, Origin::Output, &signature.outputs, outputs, key);
        let mut dropped: Vec<&str> =
            input.dropped.iter().chain(&output.dropped).map(String::as_str).collect();
        dropped.sort_unstable();
        warnings.extend(input.warnings.into_iter().chain(output.warnings));
        let all_slices = schema.map_or(&[][..], |schema| &schema.slices);
        let slices: Vec<String> = all_slices
            .iter()
            .filter_map(|slice| Some(slice.strip_prefix(PARAMETER)?.to_owned()))
            .take(SLICES_MAX)
            .collect();
        let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
        let policy = hex(&Sha256::digest(sampling)[..8]);
        let schema_digest = schema.map(|schema| schema.digest.clone());
        let metadata: HashMap<String, String> = [
            (MODEL_KEY, model.to_string()),
            (SCHEMA_KEY, schema_digest.clone().unwrap_or_default()),
            (POLICY_KEY, policy.clone()),
            (SAMPLING_KEY, sampling.to_owned()),
            (GATEWAY_KEY, gateway.to_owned()),
            (REDACTION_KEY, REDACTION_VERSION.to_string()),
            (HASH_KEY, key.id().to_owned()),
            (DROPPED_KEY, dropped.join(",")),
            (
                ANSWERS_KEY,
                Answers::of(signature)
                    .map_or_else(String::new, |answers| json(serde_json::to_string(&answers))),
            ),
            (SLICES_KEY, json(serde_json::to_string(all_slices))),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        let mut fields = rows::fixed_fields();
        fields.extend(slices.iter().map(|slice| Field::new(format!("{SLICE}{slice}"), DataType::Utf8, true)));
        for (columns, tensors) in [(&input.columns, &input.tensors), (&output.columns, &output.tensors)] {
            fields
                .extend(columns.iter().map(|kept| field(&kept.name, kept.data_type(), kept.redactor.name())));
            let lists = tensors.iter().filter_map(|kept| {
                Some(field(&kept.name, kept.data_type()?, kept.elements.as_ref().map(|_| "elements")))
            });
            fields.extend(lists);
        }
        let arrow = Arc::new(ArrowSchema::new_with_metadata(fields, metadata));
        Self {
            model: model.clone(),
            version: version.get(),
            digest: digest.to_owned(),
            schema_digest,
            policy,
            input_columns: input.columns,
            input_tensors: input.tensors,
            output_columns: output.columns,
            output_tensors: output.tensors,
            slices,
            fingerprint: fingerprint(&arrow).into(),
            arrow,
            account,
        }
    }

    /// What became of the records of its model.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }
}

fn field(name: &str, data_type: DataType, redacted: Option<&str>) -> Field {
    let metadata = redacted.map(|how| (REDACTED_KEY.to_owned(), how.to_owned()));
    Field::new(name, data_type, true).with_metadata(metadata.into_iter().collect::<HashMap<_, _>>())
}

/// What is kept of inputs, or of outputs.
fn find(
    columns: &Columns,
    origin: Origin,
    specs: &[TensorSpec],
    schema: &std::collections::BTreeMap<Arc<str>, ColumnSchema>,
    key: &HashKey,
) -> Finding {
    let mut finding = Finding::default();
    let prefix = if origin == Origin::Input { INPUT } else { OUTPUT };
    for (index, spec) in specs.iter().enumerate() {
        let own: Vec<_> = columns.all().iter().filter(|c| c.origin == origin && c.tensor == index).collect();
        // The outputs of a row stay together, as people know them.
        let is_one = matches!(*own, [only] if only.width() == 1);
        if own.is_empty() || (origin == Origin::Output && !is_one) {
            finding.tensor(prefix, index, spec, schema, &own);
            continue;
        }
        for (first, column) in own.into_iter().enumerate() {
            let name = format!("{prefix}{}", column.name);
            match Redactor::of(column.kind, schema.get(&column.name), key) {
                Ok(Some(redactor)) => finding.columns.push(KeptColumn {
                    name,
                    source: column.clone(),
                    tensor: spec.name.clone(),
                    datatype: spec.datatype,
                    first,
                    stride: if spec.shape.as_deref() == Some(&[]) { 0 } else { column.width() },
                    redactor,
                }),
                Ok(None) => finding.dropped.push(name),
                Err(what) => {
                    finding.warnings.push(format!("{name} is not written to the sample log: {what}"));
                    finding.dropped.push(name);
                }
            }
        }
    }
    finding
}

impl Finding {
    /// A tensor that stays together.
    fn tensor(
        &mut self,
        prefix: &str,
        index: usize,
        spec: &TensorSpec,
        schema: &std::collections::BTreeMap<Arc<str>, ColumnSchema>,
        own: &[&pointsman_core::Column],
    ) {
        let name = format!("{prefix}{}", spec.name);
        let whole = schema.get(&spec.name).and_then(|schema| schema.log.as_ref());
        let is_text = ColumnKind::of(spec.datatype) == ColumnKind::String;
        if is_text || !matches!(whole, None | Some(Redaction::Keep | Redaction::Round(_))) {
            if let Some(log) = whole.filter(|log| **log != Redaction::Drop) {
                let what = format!("a list cannot be written as {log:?}");
                self.warnings.push(format!("{name} is not written to the sample log: {what}"));
            }
            self.dropped.push(name);
            return;
        }
        let element = |log: Option<&Redaction>| match log {
            None | Some(Redaction::Keep) => Element::Keep,
            Some(Redaction::Round(step)) if step.is_finite() && *step > 0.0 => Element::Round(*step),
            Some(_) => Element::Drop,
        };
        let elements: Vec<Element> = own
            .iter()
            .map(|column| element(schema.get(&column.name).and_then(|schema| schema.log.as_ref()).or(whole)))
            .collect();
        let dropped = own.iter().zip(&elements).filter(|(_, element)| **element == Element::Drop);
        self.dropped.extend(dropped.map(|(column, _)| format!("{prefix}{}", column.name)));
        let is_plain = elements.iter().all(|element| *element == Element::Keep);
        if own.is_empty() && element(whole) != Element::Keep {
            self.warnings
                .push(format!("{name} is not written to the sample log: such a tensor is kept or dropped"));
            self.dropped.push(name);
            return;
        }
        self.tensors.push(KeptTensor {
            name,
            index,
            tensor: spec.name.clone(),
            datatype: spec.datatype,
            length: length(spec, own),
            elements: (!is_plain).then(|| elements.into()),
        });
    }
}

/// How many elements each row has, where that is known.
fn length(spec: &TensorSpec, own: &[&pointsman_core::Column]) -> Option<i32> {
    if let Some(first) = own.first() {
        return i32::try_from(first.width()).ok();
    }
    let [_, rest @ ..] = spec.shape.as_deref()? else { return None };
    let sizes = rest.iter().map(|dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Dynamic(_) => None,
    });
    let product = sizes.into_iter().try_fold(1_u64, |product, size| product.checked_mul(size?))?;
    (1..=FIXED_MAX).contains(&product).then(|| i32::try_from(product).ok()).flatten()
}

/// Tells schemas of Arrow apart, their metadata included.
fn fingerprint(schema: &ArrowSchema) -> String {
    let mut hash = Sha256::new();
    for field in schema.fields() {
        hash.update(format!(
            "{}\0{}\0{:?}\0",
            field.name(),
            field.data_type(),
            field.metadata().get(REDACTED_KEY)
        ));
    }
    let mut metadata: Vec<_> = schema.metadata().iter().collect();
    metadata.sort_unstable();
    for (key, value) in metadata {
        hash.update(format!("{key}\0{value}\0"));
    }
    hex(&hash.finalize()[..8])
}
