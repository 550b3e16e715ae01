//! Rows of the sample log as values of the columns of a version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::DataType;
use pointsman_core::{ColumnKind, Columns, Origin, Signature};

use super::categories::CATEGORY_BYTES_MAX;
use super::example::{MISSING, UNASKED};
use super::layout::{COLUMNS_MAX, Layout};
use super::learner::Learner;
use super::recorder::Kept;
use super::sample::Profile;
use super::weighted::weight;
use super::windows::{ARMS_MAX, Key};
use crate::sample_log::{INPUT, OUTPUT, PROBABILITY, REDACTED_KEY, TIME};

const VERSION: &str = "version";
const ROWS: &str = "rows";
const ARM: &str = "arm";

/// Where the values of a version's columns are in the log.
#[derive(Clone, Debug)]
pub struct LogView {
    version: u64,
    columns: Vec<Source>,
    /// Columns that no batch had, by name.
    absent: BTreeSet<String>,
    /// Those that one had.
    found: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    origin: Origin,
    is_text: bool,
    /// A column of its own, or a list with its whole tensor.
    own: String,
    list: String,
    width: usize,
    place: usize,
}

/// Rows of a version in one batch of the log.
pub struct LogRows<'b> {
    columns: Vec<(usize, Values<'b>)>,
    rows: Vec<Row<'b>>,
}

/// One of them.
#[derive(Clone, Copy)]
struct Row<'b> {
    at: usize,
    weight: u64,
    arm: &'b str,
    /// Seconds since 1970.
    second: u64,
}

/// The values of one column in all rows of the batch.
enum Values<'b> {
    Numbers(Vec<f64>),
    Texts(&'b StringArray),
}

impl LogView {
    /// That of a version of this signature.
    #[must_use]
    pub fn new(signature: &Signature, version: u64) -> Self {
        let source = |column: &pointsman_core::Column| {
            let (prefix, specs) = match column.origin {
                Origin::Input => (INPUT, &signature.inputs),
                Origin::Output => (OUTPUT, &signature.outputs),
            };
            Source {
                name: column.name.clone(),
                origin: column.origin,
                is_text: column.kind == ColumnKind::String,
                own: format!("{prefix}{}", column.name),
                list: format!("{prefix}{}", specs[column.tensor].name),
                width: column.width(),
                place: column.place(),
            }
        };
        let columns = Columns::of(signature).all().iter().take(COLUMNS_MAX).map(source).collect();
        Self { version, columns, absent: BTreeSet::new(), found: BTreeSet::new() }
    }

    /// The columns of the log that are needed.
    #[must_use]
    pub fn needed(&self) -> Vec<String> {
        let fixed = [TIME, ROWS, VERSION, ARM, PROBABILITY].map(str::to_owned);
        let values = self.columns.iter().flat_map(|source| [source.own.clone(), source.list.clone()]);
        let all: BTreeSet<String> = fixed.into_iter().chain(values).collect();
        all.into_iter().collect()
    }

    /// Columns of the version that no batch had as they were: not logged, or changed before they were written.
    #[must_use]
    pub fn absent(&self) -> Vec<String> {
        self.absent.difference(&self.found).cloned().collect()
    }

    /// The rows of the version. Requests that were refused before they were checked have none.
    #[must_use]
    pub fn rows<'b>(&mut self, batch: &'b RecordBatch) -> LogRows<'b> {
        let rows = self.wanted(batch).unwrap_or_default();
        let mut columns = Vec::new();
        if rows.is_empty() {
            return LogRows { columns, rows };
        }
        for (at, source) in self.columns.iter().enumerate() {
            match source.values(batch) {
                Some(values) => {
                    self.found.insert(source.name.to_string());
                    columns.push((at, values));
                }
                None => drop(self.absent.insert(source.name.to_string())),
            }
        }
        LogRows { columns, rows }
    }

    fn wanted<'b>(&self, batch: &'b RecordBatch) -> Option<Vec<Row<'b>>> {
        let times = batch.column_by_name(TIME)?.as_primitive_opt::<TimestampNanosecondType>()?;
        let counts = batch.column_by_name(ROWS)?.as_primitive_opt::<UInt32Type>()?;
        let versions = batch.column_by_name(VERSION)?.as_primitive_opt::<UInt64Type>()?;
        let arms = batch.column_by_name(ARM)?.as_string_opt::<i32>()?;
        let probabilities = batch.column_by_name(PROBABILITY)?.as_primitive_opt::<Float64Type>()?;
        let row = |at: usize| {
            let is_one = versions.value(at) == self.version && counts.value(at) > 0 && arms.is_valid(at);
            let probability = (is_one && probabilities.is_valid(at)).then(|| probabilities.value(at))?;
            let second = u64::try_from(times.value(at)).unwrap_or(0) / 1_000_000_000;
            Some(Row { at, weight: weight(probability)?, arm: arms.value(at), second })
        };
        Some((0..batch.num_rows()).filter_map(row).collect())
    }
}

impl Source {
    /// Nothing where the batch has them not, or not as they were.
    fn values<'b>(&self, batch: &'b RecordBatch) -> Option<Values<'b>> {
        let schema = batch.schema_ref();
        let (name, is_list) = match schema.index_of(&self.own) {
            Ok(_) if self.own != self.list || self.width == 1 => (&self.own, false),
            _ => (&self.list, true),
        };
        let at = schema.index_of(name).ok()?;
        if schema.field(at).metadata().contains_key(REDACTED_KEY) {
            return None;
        }
        let array = batch.column(at);
        if self.is_text {
            return array.as_string_opt::<i32>().map(Values::Texts);
        }
        // What is null was left out, or is an output that was not asked for.
        let none = f64::from_bits(if self.origin == Origin::Input { MISSING } else { UNASKED });
        if is_list { self.listed(array, none) } else { numbers(array, none).map(Values::Numbers) }
    }

    /// The elements at the column's place in lists.
    fn listed(&self, array: &ArrayRef, none: f64) -> Option<Values<'static>> {
        let Self { width, place, .. } = *self;
        let bare = f64::from_bits(MISSING);
        let row = |array: &dyn Array, at: usize, from: usize, length: usize, all: &[f64]| match () {
            () if array.is_null(at) => none,
            () if length != width => bare,
            () => all.get(from + place).copied().unwrap_or(bare),
        };
        let found: Vec<f64> = match array.data_type() {
            DataType::FixedSizeList(_, length) => {
                let (lists, length) = (array.as_fixed_size_list(), usize::try_from(*length).ok()?);
                let all = numbers(lists.values(), bare)?;
                (0..lists.len()).map(|at| row(lists, at, lists.value_offset_at(at), length, &all)).collect()
            }
            DataType::List(_) => {
                let lists = array.as_list_opt::<i32>()?;
                let all = numbers(lists.values(), bare)?;
                let offsets = lists.value_offsets();
                let of = |at: usize| (offsets[at] as usize, (offsets[at + 1] - offsets[at]) as usize);
                (0..lists.len()).map(|at| row(lists, at, of(at).0, of(at).1, &all)).collect()
            }
            _ => return None,
        };
        Some(Values::Numbers(found))
    }
}

/// All numbers of an array, `none` where there is none; nothing where they are no numbers.
fn numbers(array: &ArrayRef, none: f64) -> Option<Vec<f64>> {
    fn of<T: ArrowPrimitiveType>(array: &ArrayRef, none: f64, number: fn(T::Native) -> f64) -> Vec<f64> {
        let array = array.as_primitive::<T>();
        if array.null_count() == 0 {
            return array.values().iter().map(|value| number(*value)).collect();
        }
        array.iter().map(|value| value.map_or(none, number)).collect()
    }
    Some(match array.data_type() {
        DataType::Float64 => of::<Float64Type>(array, none, |x| x),
        DataType::Float32 => of::<Float32Type>(array, none, f64::from),
        DataType::Int64 => of::<Int64Type>(array, none, |x| x as f64),
        DataType::Int32 => of::<Int32Type>(array, none, f64::from),
        DataType::Int16 => of::<Int16Type>(array, none, f64::from),
        DataType::Int8 => of::<Int8Type>(array, none, f64::from),
        DataType::UInt64 => of::<UInt64Type>(array, none, |x| x as f64),
        DataType::UInt32 => of::<UInt32Type>(array, none, f64::from),
        DataType::UInt16 => of::<UInt16Type>(array, none, f64::from),
        DataType::UInt8 => of::<UInt8Type>(array, none, f64::from),
        DataType::Boolean => {
            let flags = array.as_boolean().iter();
            flags.map(|flag| flag.map_or(none, |flag| f64::from(u8::from(flag)))).collect()
        }
        _ => return None,
    })
}

impl LogRows<'_> {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }
}

impl Learner {
    /// Takes in rows of the log, each as one whatever its weight: cells may lie anywhere.
    pub fn add_logged(&mut self, rows: &LogRows<'_>) {
        for (at, values) in &rows.columns {
            match values {
                Values::Numbers(numbers) => {
                    let wanted = rows.rows.iter().map(|row| numbers[row.at]);
                    wanted.filter(|number| number.is_finite()).for_each(|number| self.number(*at, number));
                }
                Values::Texts(texts) => {
                    let wanted = rows.rows.iter().filter(|row| texts.is_valid(row.at));
                    let wanted = wanted.map(|row| texts.value(row.at));
                    let fits = |text: &&str| !text.is_empty() && text.len() <= CATEGORY_BYTES_MAX;
                    wanted.filter(fits).for_each(|text| self.text(*at, text));
                }
            }
        }
    }
}

/// Too many windows for the memory that there is for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are more than {max} windows of all arms in that time: ask for less of it, or for longer windows (drift.window)"
)]
pub struct TooManyWindows {
    /// The most.
    pub max: usize,
}

/// Windows that are made of the log, each row in that of its time.
#[derive(Debug)]
pub struct LogWindows {
    layout: Arc<Layout>,
    /// How long a window is; nothing where all rows of all arms are in one.
    seconds: Option<u64>,
    max: usize,
    rows: u64,
    crowded: u64,
    windows: BTreeMap<Key, Profile>,
}

impl LogWindows {
    /// None yet: windows of so many seconds, and at most so many of them.
    #[must_use]
    pub fn new(layout: Arc<Layout>, seconds: u64, max: usize) -> Self {
        Self { layout, seconds: Some(seconds.max(1)), max, rows: 0, crowded: 0, windows: BTreeMap::new() }
    }

    /// None yet, and one window for all rows.
    #[must_use]
    pub fn one(layout: Arc<Layout>) -> Self {
        Self { layout, seconds: None, max: 1, rows: 0, crowded: 0, windows: BTreeMap::new() }
    }

    /// Takes in rows.
    ///
    /// # Errors
    /// Where they are of too many windows.
    pub fn add(&mut self, rows: &LogRows<'_>) -> Result<(), TooManyWindows> {
        let mut by_window: BTreeMap<(&str, i64), Vec<Row<'_>>> = BTreeMap::new();
        for row in &rows.rows {
            let key = match self.seconds {
                Some(seconds) => (row.arm, i64::try_from(row.second / seconds * seconds).unwrap_or(i64::MAX)),
                None => ("", 0),
            };
            by_window.entry(key).or_default().push(*row);
        }
        for ((arm, window), of) in by_window {
            let key = (Arc::from(arm), window);
            if !self.windows.contains_key(&key) {
                let is_new = !self.windows.keys().any(|(known, _)| **known == *arm);
                if is_new && self.arms() >= ARMS_MAX {
                    self.crowded += of.len() as u64;
                    continue;
                }
                if self.windows.len() >= self.max {
                    return Err(TooManyWindows { max: self.max });
                }
            }
            let layout = &self.layout;
            let profile = self.windows.entry(key).or_insert_with(|| Profile::weighted(layout));
            self.rows += of.len() as u64;
            profile.add_logged(layout, rows, &of);
        }
        Ok(())
    }

    fn arms(&self) -> usize {
        let mut arms: Vec<&Arc<str>> = self.windows.keys().map(|(arm, _)| arm).collect();
        arms.dedup();
        arms.len()
    }

    /// Rows of the log that are in a window, and those of an arm past those that are profiled.
    #[must_use]
    pub fn rows(&self) -> (u64, u64) {
        (self.rows, self.crowded)
    }

    /// All windows together.
    #[must_use]
    pub fn together(&self) -> Profile {
        let mut sum = Profile::weighted(&self.layout);
        self.windows.values().for_each(|profile| sum.merge(profile));
        sum
    }

    /// What is kept of a version, as of traffic.
    #[must_use]
    pub fn kept(self, training: Option<Arc<Profile>>) -> Kept {
        let windows = self.windows.into_iter().map(|(key, profile)| (key, Arc::new(profile))).collect();
        Kept { layout: self.layout, training, windows }
    }
}

impl Profile {
    fn add_logged(&mut self, layout: &Layout, all: &LogRows<'_>, rows: &[Row<'_>]) {
        self.add_weights(rows.iter().map(|row| row.weight));
        for (at, values) in &all.columns {
            let mut squares = 0.0;
            match values {
                Values::Numbers(numbers) => {
                    let wanted = rows.iter().map(|row| {
                        let number = numbers[row.at];
                        if number.to_bits() != UNASKED {
                            squares += (row.weight as f64).powi(2);
                        }
                        (number, row.weight)
                    });
                    self.add_weighted(layout, *at, wanted);
                }
                Values::Texts(texts) => {
                    let is_input = layout.columns()[*at].column.origin == Origin::Input;
                    for row in rows.iter().filter(|row| is_input || texts.is_valid(row.at)) {
                        let text = if texts.is_valid(row.at) { texts.value(row.at) } else { "" };
                        squares += (row.weight as f64).powi(2);
                        self.add_text(layout, *at, text.as_bytes(), row.weight);
                    }
                }
            }
            self.add_squares(*at, squares);
        }
    }
}
