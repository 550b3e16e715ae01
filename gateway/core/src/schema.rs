//! What the values of a model's columns are expected to be: one document for validation, redaction, bins of drift and
//! skew alike.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::column::{ColumnKind, Origin};

/// The schema of a model, as its `schema.toml` says it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Schema {
    /// SHA-256 of the file, in hexadecimal: which schema a record was made under.
    pub digest: String,
    /// Whether the request parameter `event_time` (RFC 3339, UTC) says when the example is from; otherwise it is from when
    /// it came.
    pub event_time: bool,
    /// By what examples are told apart in reports: names of input columns, or `parameter.NAME` of request parameters.
    pub slices: Vec<Arc<str>>,
    /// What is known of input columns, by name.
    pub inputs: BTreeMap<Arc<str>, ColumnSchema>,
    /// And of output columns.
    pub outputs: BTreeMap<Arc<str>, ColumnSchema>,
}

/// What is known of one column.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ColumnSchema {
    /// What its values are; what it says otherwise is of no use to a rule.
    pub kind: Option<ColumnKind>,
    /// What becomes of a value that is missing: left out, NaN, or an empty text.
    pub missing: Action,
    /// The most of all values that may be missing, from 0 to 1: held against windows, not single requests.
    pub missing_max: Option<f64>,
    /// What becomes of infinities.
    pub infinite: Action,
    /// The least that a number may be.
    pub min: Option<f64>,
    /// The most that it may be.
    pub max: Option<f64>,
    /// What becomes of numbers beyond these two.
    pub range: Action,
    /// All values there are, as texts; nothing where any is possible.
    pub values: Option<Arc<[String]>>,
    /// What becomes of others, and of texts that are no UTF-8.
    pub domain: Action,
    /// The column of the same origin that a number may be no greater than in the same row.
    pub at_most: Option<Arc<str>>,
    /// What becomes of greater ones.
    pub relation: Action,
    /// The inner edges of the bins in which distributions are compared, ascending: `n` edges make `n + 1` bins.
    pub bins: Option<Arc<[f64]>>,
    /// What of it may be written to the sample log; nothing leaves that to the kind: texts are dropped, numbers kept.
    pub log: Option<Redaction>,
}

/// What becomes of a value that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Action {
    /// It is not looked at.
    #[default]
    Off,
    /// It is counted and noted in the log.
    Flag,
    /// The request is refused.
    Reject,
}

/// What of a column's values may be written down.
#[derive(Clone, Debug, PartialEq)]
pub enum Redaction {
    /// All.
    Keep,
    /// Nothing.
    Drop,
    /// A keyed hash (HMAC-SHA-256), by which equal values are known as equal.
    Hash,
    /// The bin in which it lies.
    Bucketise,
    /// The nearest multiple of this step.
    Round(f64),
    /// So many characters from its beginning.
    Truncate(usize),
}

/// What is wrong with a value, in the codes of TensorFlow Data Validation where it has one (`anomalies.proto`); it has
/// none for [`Anomaly::Missing`] of one value and for [`Anomaly::AboveOther`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anomaly {
    /// A value is missing.
    Missing,
    /// NaN in an output.
    HasNan,
    /// An infinity.
    HasInf,
    /// A number above its maximum.
    BigNumber,
    /// A number below its minimum.
    SmallNumber,
    /// A value that is none of those there are.
    UnexpectedValue,
    /// A text that is no UTF-8.
    InvalidUtf8,
    /// A number above that of another column in the same row.
    AboveOther,
}

/// A rule that some values of a request break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub origin: Origin,
    /// The column.
    pub column: Arc<str>,
    /// What is wrong.
    pub anomaly: Anomaly,
    /// How many values.
    pub values: usize,
}

impl Schema {
    /// What is known of the columns of an origin.
    #[must_use]
    pub fn of(&self, origin: Origin) -> &BTreeMap<Arc<str>, ColumnSchema> {
        match origin {
            Origin::Input => &self.inputs,
            Origin::Output => &self.outputs,
        }
    }
}

impl ColumnSchema {
    /// What becomes of values with this anomaly.
    #[must_use]
    pub fn action(&self, anomaly: Anomaly) -> Action {
        match anomaly {
            Anomaly::Missing | Anomaly::HasNan => self.missing,
            Anomaly::HasInf => self.infinite,
            Anomaly::BigNumber | Anomaly::SmallNumber => self.range,
            Anomaly::UnexpectedValue | Anomaly::InvalidUtf8 => self.domain,
            Anomaly::AboveOther => self.relation,
        }
    }

    /// Whether values may be repeated as they are, to callers and in logs: numbers unless it says otherwise, texts only
    /// where it says so.
    #[must_use]
    pub fn is_shown(&self, kind: ColumnKind) -> bool {
        match &self.log {
            Some(redaction) => *redaction == Redaction::Keep,
            None => kind != ColumnKind::String,
        }
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Flag, Self::Reject];

    /// The word in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Flag => "flag",
            Self::Reject => "reject",
        }
    }
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::HasNan,
        Self::HasInf,
        Self::SmallNumber,
        Self::BigNumber,
        Self::UnexpectedValue,
        Self::InvalidUtf8,
        Self::AboveOther,
    ];

    /// The code in metrics, log and answers.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "FEATURE_TYPE_NOT_PRESENT",
            Self::HasNan => "FLOAT_TYPE_HAS_NAN",
            Self::HasInf => "FLOAT_TYPE_HAS_INF",
            Self::BigNumber => "FLOAT_TYPE_BIG_FLOAT",
            Self::SmallNumber => "FLOAT_TYPE_SMALL_FLOAT",
            Self::UnexpectedValue => "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            Self::InvalidUtf8 => "ENUM_TYPE_INVALID_UTF8",
            Self::AboveOther => "FLOAT_TYPE_ABOVE_OTHER_FEATURE",
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
