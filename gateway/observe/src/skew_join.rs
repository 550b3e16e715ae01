//! Whether serving had the features that are computed for the same requests afterwards: the strongest test for skew.
//!
//! Logged inputs are joined with a table by request id, value by value. A mismatch is a fact, not a distribution; how
//! often there is one comes with bounds.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Formatter};

use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use pointsman_stats::{Alpha, Tally, rate_interval};
use serde::{Deserialize, Serialize};

use crate::report::{number, percent};
use crate::sample_log::{PROBABILITY, REQUEST_ID};
use crate::table::{Cells, Table, TableError};

/// The most rows of a table that are joined.
pub const JOINED_ROWS_MAX: usize = 2_000_000;
/// The most examples of a feature that are kept.
const EXAMPLES_MAX: usize = 5;
/// What stands before the names of inputs in the log.
const INPUT: &str = "in.";
/// The row of a request, where it has several.
const ROW: &str = "row";

/// The table, by request and row.
pub struct Offline {
    features: Vec<String>,
    rows: HashMap<(String, u64), Box<[Value]>>,
    twice: u64,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkewJoin {
    /// Logged rows that the table has.
    pub joined: u64,
    /// Logged rows that it has not.
    pub unmatched: u64,
    /// Rows of the table that stand there twice; the last of each counts.
    pub twice: u64,
    /// Joined rows in which any feature differs.
    pub skewed: u64,
    /// The share of all traffic in which any does: rows count by the reciprocals of their inclusion probabilities.
    pub skewed_rate: f64,
    /// With what probability each interval may be wrong.
    pub alpha: f64,
    /// By feature: those that differ most often first.
    pub features: Vec<FeatureSkew>,
    /// Features of the table that are in no joined row: they have no column, or may not be logged as they are.
    pub absent: Vec<String>,
}

/// One feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureSkew {
    /// Its name.
    pub name: String,
    /// Rows that were compared.
    pub compared: u64,
    /// Those that differ.
    pub mismatched: u64,
    /// How often in all traffic: rows count by the reciprocals of their inclusion probabilities. Between which bounds (F6):
    /// they hold at any time, and are those of as many rows of equal weights as say as much (Kish, 1965).
    pub rate: f64,
    /// See `rate`.
    pub lower: f64,
    /// See `rate`.
    pub upper: f64,
    /// The first that differ: request, logged, recomputed.
    pub examples: Vec<(String, String, String)>,
}

impl Offline {
    /// Reads a table with a column `on` of request ids, and perhaps one called `row`.
    ///
    /// # Errors
    /// Where it cannot be read, has no such column, or too many rows.
    pub fn read(table: &mut Table, on: &str, batch: usize) -> Result<Self, TableError> {
        let names = table.names().to_vec();
        let place = |name: &str| names.iter().position(|other| other == name);
        let Some(id) = place(on) else {
            let names = names.join(", ");
            return Err(TableError::Columns(format!("it has no column '{on}'; its columns are {names}")));
        };
        let row = place(ROW).filter(|row| *row != id);
        let at: Vec<usize> = (0..names.len()).filter(|at| *at != id && Some(*at) != row).collect();
        let features = at.iter().map(|at| names[*at].clone()).collect();
        let mut offline = Self { features, rows: HashMap::new(), twice: 0 };
        while let Some(columns) = table.next(batch)? {
            let ids = columns[id].texts();
            let rows = row.map(|row| columns[row].numbers()).transpose();
            let rows = rows.map_err(|(_, text)| TableError::Columns(format!("row '{text}' is no number")))?;
            let values: Vec<Vec<Value>> = at.iter().map(|at| values(&columns[*at])).collect();
            for (place, id) in ids.into_iter().enumerate() {
                let row = rows.as_ref().map_or(0, |rows| rows[place] as u64);
                let of_row = values.iter().map(|column| column[place].clone()).collect();
                offline.twice += u64::from(offline.rows.insert((id, row), of_row).is_some());
                if offline.rows.len() > JOINED_ROWS_MAX {
                    let what = format!("more than {JOINED_ROWS_MAX} rows: join it in parts");
                    return Err(TableError::Columns(what));
                }
            }
        }
        Ok(offline)
    }

    /// The columns of the log that are needed.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let inputs = self.features.iter().map(|name| format!("{INPUT}{name}"));
        [REQUEST_ID, ROW, PROBABILITY].map(str::to_owned).into_iter().chain(inputs).collect()
    }
}

fn values(cells: &Cells) -> Vec<Value> {
    match cells {
        Cells::Numbers(numbers) => numbers.iter().copied().map(Value::Number).collect(),
        _ => cells.texts().into_iter().map(Value::Text).collect(),
    }
}

/// Compares rows of the log with those of a table as they come.
pub struct Joining<'a> {
    offline: &'a Offline,
    rtol: f64,
    unmatched: u64,
    skewed: Weighed,
    features: BTreeMap<usize, Counted>,
}

#[derive(Default)]
struct Counted {
    found: Weighed,
    examples: Vec<(String, String, String)>,
}

/// How often rows differ, as they are and by their weights.
#[derive(Clone, Copy, Default)]
struct Weighed {
    tally: Tally,
    weight: f64,
    squares: f64,
    differing: f64,
}

impl Weighed {
    fn push(&mut self, differs: bool, weight: f64) {
        self.tally.push(differs);
        self.weight += weight;
        self.squares += weight * weight;
        self.differing += if differs { weight } else { 0.0 };
    }

    fn rate(&self) -> f64 {
        match self.tally {
            // Of rows that all or none differ the share is known to the last digit.
            tally if tally.hits() == 0 => 0.0,
            tally if tally.hits() == tally.tries() => 1.0,
            _ => self.differing / self.weight,
        }
    }

    /// As many hits and tries of equal weights as say as much.
    fn effective(&self) -> Tally {
        if self.squares <= 0.0 {
            return self.tally;
        }
        let tries = (self.weight * self.weight / self.squares).round();
        let hits = (tries * self.rate()).round().min(tries);
        Tally::new(hits as u64, tries as u64).unwrap_or(self.tally)
    }
}

impl<'a> Joining<'a> {
    /// Nothing compared yet. Numbers are equal within `rtol` of the recomputed one.
    #[must_use]
    pub fn new(offline: &'a Offline, rtol: f64) -> Self {
        Self { offline, rtol, unmatched: 0, skewed: Weighed::default(), features: BTreeMap::new() }
    }

    /// Takes in rows of the log.
    pub fn add(&mut self, batch: &RecordBatch) {
        let column = |name: &str| batch.column_by_name(name);
        let Some(ids) = column(REQUEST_ID).map(|ids| Cells::of(ids).texts()) else { return };
        let rows = column(ROW).and_then(|rows| Cells::of(rows).numbers().ok());
        let probabilities = column(PROBABILITY).and_then(|all| Cells::of(all).numbers().ok());
        let logged: Vec<(usize, Vec<Value>, bool)> = self
            .offline
            .features
            .iter()
            .enumerate()
            .filter_map(|(at, name)| {
                let index = batch.schema_ref().index_of(&format!("{INPUT}{name}")).ok()?;
                // What was changed before it was written says nothing of what it was.
                let is_whole = batch.schema_ref().field(index).metadata().is_empty();
                let array: &ArrayRef = batch.column(index);
                let is_single = *array.data_type() == DataType::Float32;
                (is_whole && array.len() == ids.len()).then(|| (at, values(&Cells::of(array)), is_single))
            })
            .collect();
        for (place, id) in ids.into_iter().enumerate() {
            let row = rows.as_ref().map_or(0, |rows| rows[place] as u64);
            let Some(known) = self.offline.rows.get(&(id.clone(), row)) else {
                self.unmatched += 1;
                continue;
            };
            let probability = probabilities.as_ref().map_or(1.0, |all| all[place]);
            let is_one = probability > 0.0 && probability <= 1.0;
            let weight = if is_one { 1.0 / probability } else { 1.0 };
            let mut is_skewed = false;
            for (at, values, is_single) in &logged {
                let (served, known) = (&values[place], &known[*at]);
                let differs = !is_equal(served, known, *is_single, self.rtol);
                is_skewed |= differs;
                let counted = self.features.entry(*at).or_default();
                counted.found.push(differs, weight);
                if differs && counted.examples.len() < EXAMPLES_MAX {
                    counted.examples.push((id.clone(), served.to_string(), known.to_string()));
                }
            }
            self.skewed.push(is_skewed, weight);
        }
    }

    /// What was found.
    #[must_use]
    pub fn found(self, alpha: Alpha) -> SkewJoin {
        let absent = self.offline.features.iter().enumerate();
        let absent = absent.filter(|(at, _)| !self.features.contains_key(at)).map(|(_, name)| name.clone());
        let absent = absent.collect();
        let feature = |(at, counted): (usize, Counted)| {
            let Counted { found, examples } = counted;
            let (tally, effective) = (found.tally, found.effective());
            let bounds = rate_interval(effective, alpha, effective.tries().max(1) as f64);
            let (lower, upper) = bounds.unwrap_or((0.0, 1.0));
            FeatureSkew {
                name: self.offline.features[at].clone(),
                compared: tally.tries(),
                mismatched: tally.hits(),
                rate: found.rate(),
                lower,
                upper,
                examples,
            }
        };
        let mut features: Vec<FeatureSkew> = self.features.into_iter().map(feature).collect();
        features.sort_by(|a, b| b.rate.total_cmp(&a.rate));
        SkewJoin {
            joined: self.skewed.tally.tries(),
            unmatched: self.unmatched,
            twice: self.offline.twice,
            skewed: self.skewed.tally.hits(),
            skewed_rate: self.skewed.rate(),
            alpha: alpha.get(),
            features,
            absent,
        }
    }
}

/// Whether two values are the same; missing ones are. What serving had in single precision is held against that of the
/// other.
fn is_equal(served: &Value, known: &Value, is_single: bool, rtol: f64) -> bool {
    match (served, known) {
        (Value::Number(served), Value::Number(known)) => {
            let known = if is_single { f64::from(*known as f32) } else { *known };
            (served.is_nan() && known.is_nan())
                || *served == known
                || (served - known).abs() <= rtol * known.abs()
        }
        (Value::Text(served), Value::Text(known)) => served == known,
        // A table may hold numbers as texts.
        (Value::Number(_), Value::Text(text)) => {
            let known = Cells::Texts(vec![text.clone()]).numbers();
            known.is_ok_and(|known| is_equal(served, &Value::Number(known[0]), is_single, rtol))
        }
        (Value::Text(served), Value::Number(_)) => *served == known.to_string(),
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) if number.is_nan() => f.write_str("missing"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&pointsman_core::shown(text)),
        }
    }
}

impl Display for SkewJoin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let skewed = self.features.iter().filter(|feature| feature.mismatched > 0).count();
        writeln!(
            f,
            "{} of {} features differ, in {} of {} joined rows, {} of all traffic; {} logged rows are not in the table.",
            skewed,
            self.features.len(),
            self.skewed,
            self.joined,
            percent(self.skewed_rate),
            self.unmatched
        )?;
        for feature in &self.features {
            writeln!(
                f,
                "{}: {} of {} differ, {} (from {} to {})",
                feature.name,
                feature.mismatched,
                feature.compared,
                percent(feature.rate),
                percent(feature.lower),
                percent(feature.upper)
            )?;
            for (id, served, known) in &feature.examples {
                writeln!(f, "  {id}: served {served}, recomputed {known}")?;
            }
        }
        if !self.absent.is_empty() {
            writeln!(f, "Not logged as they were, or no inputs: {}.", self.absent.join(", "))?;
        }
        if self.twice > 0 {
            writeln!(f, "{} rows stand twice in the table; the last of each counts.", self.twice)?;
        }
        let alpha = number(self.alpha);
        writeln!(f, "Bounds hold at any time, each wrong with a probability of {alpha}.")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float32Array, Float64Array, StringArray, UInt32Array};

    use super::*;

    #[test]
    fn what_serving_had_is_held_against_what_is_computed_afterwards() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("offline.csv");
        let text = "request_id,temp,carrier,unknown\na,0.1,AA,1\nb,2,UA,1\nc,,DL,1\nc,,DL,1\nd,4,US,1\n";
        std::fs::write(&path, text).expect("written");
        let mut table = Table::open(&path, 2).expect("a table");
        let offline = Offline::read(&mut table, "request_id", 2).expect("read");
        assert_eq!(
            offline.columns(),
            ["request_id", "row", "inclusion_prob", "in.temp", "in.carrier", "in.unknown"]
        );
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("request_id", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]))),
            ("row", Arc::new(UInt32Array::from(vec![0, 0, 0, 1, 0]))),
            ("in.temp", Arc::new(Float32Array::from(vec![Some(0.1), Some(2.5), None, Some(4.0), Some(1.0)]))),
            ("in.carrier", Arc::new(StringArray::from(vec!["AA", "UA", "DL", "US", "AA"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let mut joining = Joining::new(&offline, 0.0);
        joining.add(&batch);
        let found = joining.found(Alpha::new(0.05).expect("a level"));
        assert_eq!((found.joined, found.unmatched, found.twice, found.skewed), (3, 2, 1, 1));
        assert_eq!(found.absent, ["unknown"]);
        let temp = &found.features[0];
        assert_eq!((temp.name.as_str(), temp.compared, temp.mismatched), ("temp", 3, 1));
        assert!(temp.lower < temp.rate && temp.rate < temp.upper && temp.upper <= 1.0, "{temp:?}");
        assert_eq!(temp.examples, [("b".to_owned(), "2.5".to_owned(), "2".to_owned())]);
        assert_eq!(found.features[1].mismatched, 0);
        assert!(found.to_string().contains("temp: 1 of 3 differ"), "{found}");
        let mut table = Table::open(&path, 2).expect("a table");
        assert!(Offline::read(&mut table, "id", 2).is_err());
    }

    #[test]
    fn rows_count_by_the_reciprocals_of_their_probabilities() {
        // All that differ are among those that were kept for certain: 200 of 200, and none of 100 of ten each.
        let names: Vec<String> = (0..300).map(|n| format!("r{n}")).collect();
        let rows = names.iter().map(|name| ((name.clone(), 0), Box::from([Value::Number(1.0)])));
        let offline = Offline { features: vec!["x".into()], rows: rows.collect(), twice: 0 };
        let of = |probability: &dyn Fn(usize) -> f64, differs: &dyn Fn(usize) -> bool| {
            let values = (0..300).map(|n| if differs(n) { 2.0 } else { 1.0 });
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("request_id", Arc::new(StringArray::from(names.clone()))),
                ("inclusion_prob", Arc::new(Float64Array::from_iter_values((0..300).map(probability)))),
                ("in.x", Arc::new(Float64Array::from_iter_values(values))),
            ];
            let mut joining = Joining::new(&offline, 0.0);
            joining.add(&RecordBatch::try_from_iter(columns).expect("a batch"));
            joining.found(Alpha::new(0.05).expect("a level"))
        };
        let kept = |n: usize| if n < 200 { 1.0 } else { 0.1 };
        let found = of(&kept, &|n| n < 200);
        let x = &found.features[0];
        assert_eq!((x.compared, x.mismatched), (300, 200));
        assert!(
            (x.rate - 200.0 / 1200.0).abs() < 1e-12 && (found.skewed_rate - x.rate).abs() < 1e-12,
            "{x:?}"
        );
        assert!(x.lower < x.rate && x.rate < x.upper, "{x:?}");
        // 1200²/10 200 = 141 rows say as much, of which 24 differ.
        let tally = Tally::new(24, 141).expect("fits");
        let bounds = rate_interval(tally, Alpha::new(0.05).expect("a level"), 141.0).expect("bounds");
        assert_eq!((x.lower, x.upper), bounds);
        // With equal ones it is as without any.
        let (equal, certain) = (of(&|_| 0.01, &|n| n < 3), of(&|_| 1.0, &|n| n < 3));
        let bounds = |found: &SkewJoin| (found.features[0].lower, found.features[0].upper);
        assert_eq!(bounds(&equal), bounds(&certain));
        assert!((equal.skewed_rate - 0.01).abs() < 1e-12);
        let none = of(&kept, &|_| false).to_string();
        assert!(none.contains("0 of 300 differ, 0.0 % (from 0.0 % to") && !none.contains('-'), "{none}");
    }
}
