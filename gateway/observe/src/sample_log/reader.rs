//! Reads the log: which of its parts and spool files, and what of them.

mod batches;

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_array::{Array as _, RecordBatch, TimestampNanosecondArray};
use arrow_schema::{ArrowError, Schema};
use arrow_select::concat::concat_batches;
use parquet::errors::ParquetError;
use pointsman_core::{ModelName, RequestId};

pub use self::batches::Batches;
use super::destination::{Destination, Directory, names};
use super::layout::{MODEL, TIME};
use super::part::PartName;
use super::rows::nanoseconds;
use super::writer::SPOOL;
use crate::labels::needed_places;

/// Rows of a batch where nobody says how many.
const BATCH_ROWS: usize = 8192;

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What a spool file holds is not what it should be.
    #[error("a spool file cannot be read: {0}")]
    Arrow(ArrowError),
    /// What a part holds is not what it should be.
    #[error("a part cannot be read: {0}")]
    Parquet(ParquetError),
}

impl From<ArrowError> for ReadError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Io(error),
            other => Self::Arrow(other),
        }
    }
}

impl From<ParquetError> for ReadError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(other) => Self::Parquet(ParquetError::External(other)),
            },
            other => Self::Parquet(other),
        }
    }
}

/// What of a log is read: by default all rows with all columns, in the order of hours and of the files in which they are.
///
/// Every row is read once, also while spool files become parts. What is written after [`Reader::batches`] was called may
/// be missed. Memory is that of one batch and of the row group that it is from.
#[derive(Clone, Debug)]
pub struct Reader {
    destination: Arc<dyn Destination>,
    spool: PathBuf,
    model: Option<ModelName>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    columns: Option<Vec<String>>,
    requests: Option<Arc<HashSet<String>>>,
    /// When files were begun that are read, by spans that do not meet, in their order; nothing for all.
    begun: Option<Arc<[[SystemTime; 2]]>>,
    is_for_labels: bool,
    after: Option<Cursor>,
    newest_first: bool,
    batch_rows: usize,
}

/// A place in the log, from which another reader goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The file, by the name of the part that it is or will be.
    pub part: PartName,
    /// How many of its rows that are wanted come before.
    pub rows: usize,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.part.path(), self.rows)
    }
}

impl Cursor {
    /// Reads what is written by `Display`; nothing where it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (part, rows) = text.rsplit_once(':')?;
        Some(Self { part: PartName::parse(part)?, rows: rows.parse().ok()? })
    }
}

/// Where a part or a spool file lies.
#[derive(Clone, Debug)]
enum Place {
    Part,
    Spool(PathBuf),
}

impl Reader {
    /// A reader of the log in a directory, with what is in the spool.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        Self::over(Arc::new(Directory::new(directory)), directory)
    }

    /// A reader of the parts of a destination, and of the spool in a directory.
    #[must_use]
    pub fn over(destination: Arc<dyn Destination>, directory: &Path) -> Self {
        Self {
            destination,
            spool: directory.join(SPOOL),
            model: None,
            since: None,
            until: None,
            columns: None,
            requests: None,
            begun: None,
            is_for_labels: false,
            after: None,
            newest_first: false,
            batch_rows: BATCH_ROWS,
        }
    }

    /// Rows of this model alone.
    #[must_use]
    pub fn model(mut self, model: ModelName) -> Self {
        self.model = Some(model);
        self
    }

    /// Rows whose examples are from then on, and from before then.
    #[must_use]
    pub fn between(mut self, since: Option<SystemTime>, until: Option<SystemTime>) -> Self {
        (self.since, self.until) = (since, until);
        self
    }

    /// These columns alone. Batches of files that do not have one are without it.
    #[must_use]
    pub fn columns<T: AsRef<str>>(mut self, columns: &[T]) -> Self {
        self.columns = Some(columns.iter().map(|column| column.as_ref().to_owned()).collect());
        self
    }

    /// Rows of these requests alone.
    #[must_use]
    pub fn requests(mut self, ids: impl IntoIterator<Item = RequestId>) -> Self {
        self.requests = Some(Arc::new(ids.into_iter().map(|id| id.to_string()).collect()));
        self
    }

    /// What [`crate::labels::Logged`] is made of, of these requests alone, each with the time at which it came: no file is
    /// opened that was begun more than `before` before any of them, or more than `behind` after. A file is begun with the
    /// first of its rows.
    #[must_use]
    pub fn for_labels(
        mut self,
        requests: &[(RequestId, SystemTime)],
        before: Duration,
        behind: Duration,
    ) -> Self {
        let span = |at: &SystemTime| [at.checked_sub(before).unwrap_or(UNIX_EPOCH), *at + behind];
        let mut times: Vec<SystemTime> = requests.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let mut spans: Vec<[SystemTime; 2]> = Vec::new();
        for [from, until] in times.iter().map(span) {
            match spans.last_mut() {
                Some([_, last]) if from <= *last => *last = until,
                _ => spans.push([from, until]),
            }
        }
        (self.begun, self.is_for_labels) = (Some(spans.into()), true);
        self.requests(requests.iter().map(|(id, _)| *id))
    }

    /// Rows behind a place alone.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Files the other way round. Rows of a file stay in their order.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// The most rows of one batch.
    #[must_use]
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows.max(1);
        self
    }

    /// The rows, batch by batch.
    ///
    /// # Errors
    /// Where files cannot be looked through.
    pub fn batches(&self) -> Result<Batches, ReadError> {
        let mut files = self.files()?;
        // The next one is taken from the end.
        if !self.newest_first {
            files.reverse();
        }
        Ok(Batches::new(self.clone(), files))
    }

    /// All rows of one request in one batch, with all columns; nothing where there are none.
    ///
    /// # Errors
    /// Where files cannot be read.
    pub fn request(self, id: RequestId) -> Result<Option<RecordBatch>, ReadError> {
        let batches = self.requests([id]).batches()?.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = batches.first() else { return Ok(None) };
        // The rows of a request are in one file.
        Ok(Some(concat_batches(first.schema_ref(), &batches)?))
    }

    /// When the newest of the rows is from, whatever else is wanted of them; nothing where there are none.
    ///
    /// # Errors
    /// Where files cannot be read.
    pub fn newest(&self) -> Result<Option<SystemTime>, ReadError> {
        let mut files = self.files()?;
        // Those of the last hour have it, unless they have no rows yet.
        while let Some((last, _)) = files.last() {
            let hour = last.hour;
            let files = files.split_off(files.partition_point(|(name, _)| name.hour < hour));
            let reader = self.clone().columns(&[TIME]);
            let mut newest = None;
            for batch in Batches::new(reader, files) {
                let batch = batch?;
                let times = batch.column_by_name(TIME);
                let times = times.and_then(|times| times.as_any().downcast_ref::<TimestampNanosecondArray>());
                newest = newest.max(times.and_then(|times| times.values().iter().copied().max()));
            }
            if let Some(nanos) = newest.and_then(|nanos| u64::try_from(nanos).ok()) {
                return Ok(Some(UNIX_EPOCH + Duration::from_nanos(nanos)));
            }
        }
        Ok(None)
    }

    /// How many files it reads, those of the spool included.
    ///
    /// # Errors
    /// Where files cannot be looked through.
    pub fn count_files(&self) -> Result<usize, ReadError> {
        Ok(self.files()?.len())
    }

    /// The models of which it reads files.
    ///
    /// # Errors
    /// Where files cannot be looked through.
    pub fn models(&self) -> Result<BTreeSet<ModelName>, ReadError> {
        Ok(self.files()?.into_iter().map(|(name, _)| name.model).collect())
    }

    fn files(&self) -> Result<Vec<(PartName, Place)>, ReadError> {
        // The spool first: what becomes a part meanwhile is in both lists, and never in none.
        let mut files = Vec::new();
        for host in names(&self.spool)? {
            for file in names(&self.spool.join(&host))? {
                if let Some(name) = PartName::of_spool_file(&file, &host) {
                    files.push((name, Place::Spool(self.spool.join(&host).join(&file))));
                }
            }
        }
        let parts: HashSet<PartName> = self.destination.list()?.into_iter().map(|part| part.name).collect();
        files.retain(|(name, _)| !parts.contains(name));
        files.extend(parts.into_iter().map(|name| (name, Place::Part)));
        files.retain(|(name, _)| self.wants(name));
        files.sort_unstable_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
        if let Some(Cursor { part, .. }) = &self.after {
            files.retain(|(name, _)| {
                if self.newest_first { order(name) <= order(part) } else { order(name) >= order(part) }
            });
        }
        Ok(files)
    }

    fn wants(&self, name: &PartName) -> bool {
        let [begins, ends] = name.span();
        let is_begun_then = |spans: &Arc<[[SystemTime; 2]]>| {
            let begun = name.begun();
            let at = spans.partition_point(|[_, until]| *until < begun);
            spans.get(at).is_some_and(|[from, _]| *from <= begun)
        };
        self.begun.as_ref().is_none_or(is_begun_then)
            && self.model.as_ref().is_none_or(|model| *model == name.model)
            && self.since.is_none_or(|since| ends > since)
            && self.until.is_none_or(|until| begins < until)
    }

    /// Whether the rows of a file have to be looked at one by one for their time.
    fn is_cut(&self, name: &PartName) -> bool {
        let [begins, ends] = name.span();
        self.since.is_some_and(|since| begins < since) || self.until.is_some_and(|until| until < ends)
    }

    fn is_in_time(&self, time: i64) -> bool {
        self.since.is_none_or(|since| time >= nanoseconds(since))
            && self.until.is_none_or(|until| time < nanoseconds(until))
    }

    fn wants_model(&self) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.iter().any(|column| column == MODEL))
    }

    /// Places of the wanted columns in a schema.
    fn places(&self, schema: &Schema) -> Vec<usize> {
        match &self.columns {
            None if self.is_for_labels => needed_places(schema),
            None => (0..schema.fields().len()).collect(),
            Some(columns) => {
                let mut places: Vec<usize> =
                    columns.iter().filter_map(|column| schema.index_of(column).ok()).collect();
                places.sort_unstable();
                places.dedup();
                places
            }
        }
    }
}

/// In which order files are read.
fn order(name: &PartName) -> (u64, &str, &str, &str) {
    (name.hour, name.model.as_str(), &name.seq, &name.host)
}
