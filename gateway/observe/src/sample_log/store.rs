//! Makes parts of spool files, keeps the log within its bounds, and deletes rows.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use arrow_array::{Array as _, BooleanArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use pointsman_core::RequestId;

use super::destination::{Destination, Part};
use super::layout::{REQUEST_ID, UNIT_HASH};
use super::part::PartName;
use super::reader::ReadError;
use super::scan::{groups_with, spool_batches, texts};
use super::writer::{Shared, TEMPORARY, Writer};

/// The most rows and bytes of a row group.
const GROUP_ROWS_MAX: usize = 1 << 20;
const GROUP_BYTES_MAX: usize = 64 << 20;
/// Rows that are written at once, where there are as many.
const BATCH_ROWS: usize = 8192;
/// How a spool file ends that cannot be read, and is left for people to look at.
const UNREADABLE: &str = ".unreadable";

/// How much of the log is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Retention {
    /// The most bytes of all parts; nothing for as many as come.
    pub bytes_max: Option<u64>,
    /// How long a part is kept after it was begun; nothing for ever.
    pub age_max: Option<Duration>,
    /// Where the log is full, nothing more is written. Otherwise the oldest parts go.
    pub stops_when_full: bool,
}

/// What of the log is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The rows of one request.
    Request(RequestId),
    /// The rows of units, by their hashes as rows have them: 16 digits.
    Units(Vec<String>),
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Rows.
    pub rows: u64,
    /// Parts that had such rows.
    pub parts: u64,
}

/// How the log stands after a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Parts that are there.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parts that were deleted.
    pub deleted: u64,
}

/// The parts of a log, as one thread sees to them.
#[derive(Debug)]
pub struct Store {
    spool: PathBuf,
    host: String,
    shared: Arc<Shared>,
    destination: Arc<dyn Destination>,
    retention: Retention,
}

impl Store {
    /// That of the log of a writer, whose parts go to `destination`.
    #[must_use]
    pub fn of(writer: &Writer, destination: Arc<dyn Destination>, retention: Retention) -> Self {
        let (spool, host) = (writer.spool().to_owned(), writer.host().to_owned());
        Self { spool, host, shared: writer.shared().clone(), destination, retention }
    }

    /// Makes a part of a spool file that nothing more is written to, and deletes that. It may be called again wherever it
    /// was broken off: the part has the same name and the same rows.
    ///
    /// # Errors
    /// Where the file cannot be read or the part not be written: the spool file is still there. One that can never be
    /// read is moved out of the way.
    pub fn make_part(&self, path: &Path) -> Result<Option<PartName>, ReadError> {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = PartName::of_spool_file(&file, &self.host) else { return Ok(None) };
        match fs::metadata(path) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                self.shared.files.forget(path);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        let made = match self.convert(path, &name) {
            Err(ReadError::Arrow(error)) => {
                let aside = path.with_file_name(format!("{file}{UNREADABLE}"));
                fs::rename(path, aside)?;
                Err(ReadError::Arrow(error))
            }
            Err(other) => return Err(other),
            Ok(is_made) => {
                fs::remove_file(path)?;
                Ok(is_made.then_some(name))
            }
        };
        self.shared.files.forget(path);
        made
    }

    /// Writes the part of a spool file, if it has any rows.
    fn convert(&self, path: &Path, name: &PartName) -> Result<bool, ReadError> {
        let Some(batches) = spool_batches(path)? else { return Ok(false) };
        let schema = batches.schema();
        let mut batches = batches.peekable();
        if batches.peek().is_none() {
            return Ok(false);
        }
        self.write_part(name, &schema, batches.map(|batch| batch.map_err(ReadError::from)))?;
        Ok(true)
    }

    fn write_part(
        &self,
        name: &PartName,
        schema: &SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, ReadError>>,
    ) -> Result<(), ReadError> {
        fs::create_dir_all(&self.spool)?;
        let temporary = self.spool.join(format!("{}{TEMPORARY}", name.spool_file()));
        let written = write_file(&temporary, schema, batches)
            .and_then(|()| self.destination.put(name, &temporary).map_err(ReadError::from));
        if written.is_err() {
            // The next try begins anew.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Deletes what is too old or too much, and says how the log stands. `free` is how much is free on the disk of the
    /// spool, and whether that is too little to go on writing.
    ///
    /// # Errors
    /// Where parts cannot be looked through or deleted.
    pub fn sweep(&self, now: SystemTime, is_short: bool) -> io::Result<Swept> {
        self.shared.is_short.store(is_short, Relaxed);
        let mut parts = self.destination.list()?;
        parts.sort_unstable_by(|a, b| (a.name.begun(), &a.name).cmp(&(b.name.begun(), &b.name)));
        let mut bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        let Retention { bytes_max, age_max, stops_when_full } = self.retention;
        let oldest = age_max.and_then(|age| now.checked_sub(age));
        let mut deleted = 0;
        for Part { name, bytes: own } in &parts {
            let is_old = oldest.is_some_and(|oldest| name.begun() < oldest);
            let is_too_much = !stops_when_full && bytes_max.is_some_and(|max| bytes > max);
            if !is_old && !is_too_much {
                break;
            }
            self.destination.delete(name)?;
            deleted += 1;
            bytes -= own;
        }
        let is_full = stops_when_full && bytes_max.is_some_and(|max| bytes >= max);
        self.shared.is_full.store(is_full, Relaxed);
        Ok(Swept { parts: parts.len() as u64 - deleted, bytes, deleted })
    }

    /// Bytes of all spool files.
    #[must_use]
    pub fn spool_bytes(&self) -> u64 {
        self.shared.files.bytes()
    }

    /// Deletes rows from all parts that have them. What is in the spool is to be made parts before.
    ///
    /// # Errors
    /// Where a part cannot be read or written: those before it are done.
    pub fn delete(&self, subject: &Subject) -> Result<Deleted, ReadError> {
        let mut deleted = Deleted::default();
        for Part { name, .. } in self.destination.list()? {
            let rows = match self.delete_from(&name, subject) {
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => 0,
                other => other?,
            };
            deleted.rows += rows;
            deleted.parts += u64::from(rows > 0);
        }
        Ok(deleted)
    }

    fn delete_from(&self, name: &PartName, subject: &Subject) -> Result<u64, ReadError> {
        let (column, wanted) = match subject {
            Subject::Request(id) => (REQUEST_ID, vec![id.to_string()]),
            Subject::Units(hashes) => (UNIT_HASH, hashes.clone()),
        };
        let file = self.destination.open(name)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?)?;
        let schema = builder.schema().clone();
        let within =
            |min: &[u8], max: &[u8]| wanted.iter().any(|value| (min..=max).contains(&value.as_bytes()));
        if groups_with(&builder, column, within).is_empty() {
            return Ok(0);
        }
        let Ok(index) = schema.index_of(column) else { return Ok(0) };
        let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
        let mut keep: Vec<BooleanArray> = Vec::new();
        for batch in builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()? {
            let batch = batch?;
            let Some(found) = texts(&batch, column) else { return Ok(0) };
            keep.push(
                (0..found.len())
                    .map(|row| {
                        Some(!(found.is_valid(row) && wanted.iter().any(|value| value == found.value(row))))
                    })
                    .collect(),
            );
        }
        let all: usize = keep.iter().map(BooleanArray::len).sum();
        let kept: usize = keep.iter().map(BooleanArray::true_count).sum();
        if kept == all {
            return Ok(0);
        }
        if kept == 0 {
            self.destination.delete(name)?;
            return Ok(all as u64);
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let selection = RowSelection::from_filters(&keep);
        let reader = builder.with_row_selection(selection).with_batch_size(BATCH_ROWS).build()?;
        self.write_part(name, &schema, reader.map(|batch| batch.map_err(ReadError::from)))?;
        Ok((all - kept) as u64)
    }
}

/// Writes a Parquet file, and sees to it that it is on the disk.
fn write_file(
    path: &Path,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch, ReadError>>,
) -> Result<(), ReadError> {
    let file = File::create(path)?;
    let mut writer = ArrowWriter::try_new(file.try_clone()?, schema.clone(), Some(properties(schema)))?;
    // Each write costs something for each column: those of the spool are small.
    let (mut together, mut rows) = (Vec::new(), 0);
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows();
        together.push(batch);
        if rows >= BATCH_ROWS {
            writer.write(&concat_batches(schema, &std::mem::take(&mut together))?)?;
            rows = 0;
        }
    }
    writer.write(&concat_batches(schema, &together)?)?;
    writer.close()?;
    file.sync_all()?;
    Ok(())
}

fn properties(schema: &SchemaRef) -> WriterProperties {
    let mut metadata: Vec<KeyValue> =
        schema.metadata().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    metadata.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_max_row_group_bytes(Some(GROUP_BYTES_MAX))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // No two requests have the same.
        .set_column_dictionary_enabled(ColumnPath::new(vec![REQUEST_ID.to_owned()]), false)
        .set_created_by("pointsman".to_owned())
        .set_key_value_metadata(Some(metadata));
    // Floats are hardly ever the same: to look for those that are costs more than it spares.
    for field in schema.fields().iter().filter(|field| is_float(field.data_type())) {
        let path = match field.data_type() {
            DataType::List(_) | DataType::FixedSizeList(..) => {
                vec![field.name().clone(), "list".into(), "item".into()]
            }
            _ => vec![field.name().clone()],
        };
        properties = properties.set_column_dictionary_enabled(ColumnPath::new(path), false);
    }
    properties.build()
}

fn is_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float32 | DataType::Float64 => true,
        DataType::List(item) | DataType::FixedSizeList(item, _) => is_float(item.data_type()),
        _ => false,
    }
}
