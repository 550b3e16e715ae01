//! `baseline.json`: the profile of the training data, against which skew and drift are measured.

use std::collections::BTreeMap;

use pointsman_core::{ColumnKind, Columns, Origin, Schema, Signature};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::layout::{COLUMNS_MAX, Frame, Layout, SavedFrame, columns_fingerprint, said};
use super::sample::{Profile, SavedSums};

/// The format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// The profile of some examples, with the layout of its columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    format: u32,
    rows: u64,
    /// When it was made, RFC 3339.
    made_at: String,
    /// From what.
    source: String,
    /// SHA-256 over names and kinds of all columns of the signature.
    signature: String,
    columns: Vec<BaselineColumn>,
}

/// One column of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineColumn {
    name: String,
    origin: Origin,
    kind: ColumnKind,
    /// For people: what the counts say.
    about: About,
    frame: SavedFrame,
    counts: SavedSums,
}

/// What the counts of a column say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    std: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<u64>,
    /// Counts of the bins of reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    bins: Option<Vec<u64>>,
}

/// A document that is no baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no baseline: {0}; make it again by `pointsman baseline build`")]
pub struct BaselineError(String);

/// A layout with what is known of training data in its columns.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The layout.
    pub layout: Layout,
    /// The training data; columns that the baseline does not have are empty.
    pub profile: Profile,
}

impl Baseline {
    /// That of a profile.
    #[must_use]
    pub fn of(
        signature: &Signature,
        layout: &Layout,
        profile: &Profile,
        made_at: &str,
        source: &str,
    ) -> Self {
        let columns = layout.columns().iter().enumerate().map(|(at, of)| {
            let seen = profile.column(layout, at);
            let (origin, bins) = match &of.frame {
                Frame::Grid(grid) => (grid.origin(), Some(grid.binned(seen.cells))),
                Frame::Categories(_) => (0.0, None),
            };
            let about = About {
                mean: seen.sums.mean(origin),
                std: seen.sums.deviation(),
                distinct: seen.distinct(),
                bins,
            };
            BaselineColumn {
                name: of.column.name.to_string(),
                origin: of.column.origin,
                kind: of.column.kind,
                about,
                frame: of.frame.saved(),
                counts: seen.saved(),
            }
        });
        Self {
            format: FORMAT,
            rows: profile.rows(),
            made_at: made_at.into(),
            source: source.into(),
            signature: columns_fingerprint(signature),
            columns: columns.collect(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, BaselineError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let odd = |e: serde_json::Error| BaselineError(e.to_string());
        let Head { format } = serde_json::from_slice(bytes).map_err(odd)?;
        if format != FORMAT {
            return Err(BaselineError(format!("format {format} is not the one that is read, {FORMAT}")));
        }
        let baseline: Self = serde_json::from_slice(bytes).map_err(odd)?;
        if baseline.columns.len() > COLUMNS_MAX {
            let columns = baseline.columns.len();
            return Err(BaselineError(format!("{columns} columns: at most {COLUMNS_MAX} are read")));
        }
        Ok(baseline)
    }

    /// The document: JSON, a line for each column.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { format, rows, made_at, source, signature, columns } = self;
        let head = json!({"format": format, "rows": rows, "made_at": made_at, "source": source, "signature": signature});
        // Texts, whole numbers and finite floats are all that a column holds.
        let columns = columns.iter().map(|column| serde_json::to_string(column).unwrap_or_default());
        let columns: Vec<String> = columns.collect();
        let head = head.to_string();
        format!("{},\n\"columns\":[\n{}\n]}}\n", head.trim_end_matches('}'), columns.join(",\n"))
    }

    /// How many rows it is of.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// From what it was made, and when.
    #[must_use]
    pub fn source(&self) -> (&str, &str) {
        (&self.source, &self.made_at)
    }

    /// The layout that it gives to a signature, with itself in it. Columns are matched by origin, name and kind; what
    /// cannot be used is added to `warnings`.
    ///
    /// # Errors
    /// Where a column of it makes no sense.
    pub fn reference(
        &self,
        signature: &Signature,
        schema: Option<&Schema>,
        warnings: &mut Vec<String>,
    ) -> Result<Reference, BaselineError> {
        let mut known: BTreeMap<(Origin, &str), &BaselineColumn> = BTreeMap::new();
        known.extend(self.columns.iter().map(|column| ((column.origin, &*column.name), column)));
        let mut frames = Vec::new();
        let (mut without, mut other_bins) = (Vec::new(), Vec::new());
        for column in Columns::of(signature).all().iter().take(COLUMNS_MAX) {
            let said = said(schema, column);
            let found = known.get(&(column.origin, &*column.name)).filter(|found| found.kind == column.kind);
            let Some(found) = found else {
                without.push(column.name.to_string());
                frames.push((Frame::unknown(column.kind, said), None));
                continue;
            };
            let odd = |e: String| BaselineError(format!("column {}: {e}", column.name));
            let frame = Frame::restore(&found.frame).map_err(odd)?;
            if let (Frame::Grid(grid), Some(bins)) = (&frame, said.and_then(|said| said.bins.as_deref()))
                && grid.bin_edges() != bins
            {
                other_bins.push(column.name.to_string());
            }
            frames.push((frame, Some(&found.counts)));
        }
        let layout = Layout::new(signature, schema, |at, _| frames[at].0.clone());
        let mut profile = Profile::new(&layout);
        for (at, (of, (_, counts))) in layout.columns().iter().zip(&frames).enumerate() {
            if let Some(counts) = counts {
                let odd = |e: String| BaselineError(format!("column {}: {e}", of.column.name));
                profile.restore_column(at, of, counts).map_err(odd)?;
            }
        }
        profile.set_rows(self.rows);
        if self.signature != columns_fingerprint(signature) {
            let list = if without.is_empty() { "none".into() } else { without.join(", ") };
            warnings.push(format!(
                "baseline.json is of another signature: columns are matched by name and kind, and it has nothing of: \
                 {list}"
            ));
        }
        if !other_bins.is_empty() {
            warnings.push(format!(
                "baseline.json has other bins than schema.toml for {}: its own are used until it is built again",
                other_bins.join(", ")
            ));
        }
        Ok(Reference { layout, profile })
    }
}
