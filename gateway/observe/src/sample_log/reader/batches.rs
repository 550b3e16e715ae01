//! Opens the files of a [`Reader`] one after the other, and gives what is wanted of them batch by batch.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use arrow_array::{
    Array as _, BooleanArray, RecordBatch, RecordBatchReader as _, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};

use super::super::layout::{MODEL, REQUEST_ID, TIME};
use super::super::part::PartName;
use super::super::scan::{SpoolBatches, groups_with, spool_batches, texts};
use super::{Place, ReadError, Reader};

/// A file that is read.
enum Open {
    /// With the schema that has the file's metadata.
    Part(ParquetRecordBatchReader, SchemaRef),
    Spool(SpoolBatches),
}

/// The rows of a [`Reader`], with the file that each batch is from.
pub struct Batches {
    reader: Reader,
    /// Files that are still to be read, the next one last.
    files: Vec<(PartName, Place)>,
    open: Option<(PartName, Open)>,
    /// Rows of the open file that are still to be left out.
    skip: usize,
}

impl Batches {
    /// The rows of these files; the last comes first.
    pub(super) fn new(reader: Reader, files: Vec<(PartName, Place)>) -> Self {
        Self { reader, files, open: None, skip: 0 }
    }

    /// The file that the last batch was from.
    #[must_use]
    pub fn part(&self) -> Option<&PartName> {
        self.open.as_ref().map(|(name, _)| name)
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        loop {
            if let Some((name, open)) = &mut self.open {
                let batch = match open {
                    Open::Part(batches, schema) => match batches.next().transpose()? {
                        Some(batch) => Some(batch.with_schema(schema.clone())?),
                        None => None,
                    },
                    Open::Spool(batches) => match batches.next().transpose()? {
                        Some(batch) => Some(self.reader.cut(name, batch)?),
                        None => None,
                    },
                };
                match batch {
                    None => self.open = None,
                    Some(batch) => {
                        let skipped = self.skip.min(batch.num_rows());
                        self.skip -= skipped;
                        if skipped < batch.num_rows() {
                            let batch = batch.slice(skipped, batch.num_rows() - skipped);
                            return if self.reader.wants_model() {
                                with_model(name, &batch)
                            } else {
                                Ok(batch)
                            }
                            .map(Some);
                        }
                    }
                }
                continue;
            }
            let Some((name, place)) = self.files.pop() else { return Ok(None) };
            if let Some(open) = self.reader.open_file(&name, &place)? {
                self.skip = match &self.reader.after {
                    Some(cursor) if cursor.part == name => cursor.rows,
                    _ => 0,
                };
                self.open = Some((name, open));
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            // What is wrong with a file would be so at each call.
            self.open = None;
        }
        next
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Reader {
    fn open_file(&self, name: &PartName, place: &Place) -> Result<Option<Open>, ReadError> {
        if let Place::Spool(path) = place {
            match spool_batches(path) {
                Ok(batches) => return Ok(batches.map(Open::Spool)),
                // It has become a part.
                Err(ArrowError::IoError(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(other) => return Err(other.into()),
            }
        }
        match self.destination.open(name) {
            Ok(file) => self.open_part(name, file).map(Some),
            // It was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn open_part(&self, name: &PartName, file: File) -> Result<Open, ReadError> {
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let schema = builder.schema().clone();
        let mut predicates: Vec<Box<dyn parquet::arrow::arrow_reader::ArrowPredicate>> = Vec::new();
        if let (Some(ids), Ok(index)) = (&self.requests, schema.index_of(REQUEST_ID)) {
            let within = |min: &[u8], max: &[u8]| ids.iter().any(|id| (min..=max).contains(&id.as_bytes()));
            let groups = groups_with(&builder, REQUEST_ID, within);
            builder = builder.with_row_groups(groups);
            let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
            let ids = ids.clone();
            predicates
                .push(Box::new(ArrowPredicateFn::new(mask, move |batch| Ok(of_requests(&batch, &ids)))));
        }
        if let (true, Ok(index)) = (self.is_cut(name), schema.index_of(TIME)) {
            let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
            let reader = self.clone();
            predicates.push(Box::new(ArrowPredicateFn::new(mask, move |batch| Ok(reader.of_time(&batch)))));
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), self.places(&schema));
        builder = builder.with_projection(mask).with_batch_size(self.batch_rows);
        if !predicates.is_empty() {
            builder = builder.with_row_filter(RowFilter::new(predicates));
        }
        let batches = builder.build()?;
        let fields = batches.schema().fields().clone();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Open::Part(batches, schema))
    }

    fn of_time(&self, batch: &RecordBatch) -> BooleanArray {
        let times = batch.column_by_name(TIME);
        match times.and_then(|times| times.as_any().downcast_ref::<TimestampNanosecondArray>()) {
            Some(times) => times.values().iter().map(|time| Some(self.is_in_time(*time))).collect(),
            None => BooleanArray::from(vec![false; batch.num_rows()]),
        }
    }

    /// What is wanted of a batch of the spool.
    fn cut(&self, name: &PartName, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut batch = batch;
        if let Some(ids) = &self.requests {
            batch = filter_record_batch(&batch, &of_requests(&batch, ids))?;
        }
        if self.is_cut(name) {
            batch = filter_record_batch(&batch, &self.of_time(&batch))?;
        }
        batch.project(&self.places(&batch.schema()))
    }
}

fn of_requests(batch: &RecordBatch, ids: &HashSet<String>) -> BooleanArray {
    match texts(batch, REQUEST_ID) {
        Some(found) => {
            (0..found.len()).map(|row| Some(found.is_valid(row) && ids.contains(found.value(row)))).collect()
        }
        None => BooleanArray::from(vec![false; batch.num_rows()]),
    }
}

/// The batch with the model of its file as its last column.
fn with_model(name: &PartName, batch: &RecordBatch) -> Result<RecordBatch, ReadError> {
    let schema = batch.schema();
    let mut fields = schema.fields().to_vec();
    fields.push(Arc::new(Field::new(MODEL, DataType::Utf8, false)));
    let mut columns = batch.columns().to_vec();
    let models = std::iter::repeat_n(name.model.as_str(), batch.num_rows());
    columns.push(Arc::new(StringArray::from_iter_values(models)));
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}
