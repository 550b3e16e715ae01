//! Reads one file of the log: a part or a spool file.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use arrow_array::{Array as _, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_schema::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::data_type::AsBytes as _;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::frame::whole;

/// The whole batches of a spool file.
pub(super) type SpoolBatches = StreamReader<io::Take<BufReader<File>>>;

/// Opens a spool file, of which a message that is not whole is left out. Nothing where not even the first one is.
pub(super) fn spool_batches(path: &Path) -> Result<Option<SpoolBatches>, ArrowError> {
    let file = File::open(path)?;
    let whole = whole(&file)?;
    if whole == 0 {
        return Ok(None);
    }
    let reader = BufReader::with_capacity(1 << 16, file).take(whole);
    StreamReader::try_new(reader, None).map(Some)
}

/// Which row groups of a part may hold a text in a column, by their least and greatest values.
pub(super) fn groups_with(
    builder: &ParquetRecordBatchReaderBuilder<File>,
    column: &str,
    may_hold: impl Fn(&[u8], &[u8]) -> bool,
) -> Vec<usize> {
    let groups = builder.metadata().row_groups().iter().enumerate();
    groups.filter(|(_, group)| group_may(group, column, &may_hold)).map(|(index, _)| index).collect()
}

fn group_may(group: &RowGroupMetaData, column: &str, may_hold: &impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let is_it = |chunk: &&parquet::file::metadata::ColumnChunkMetaData| {
        let path = chunk.column_path().parts();
        path.len() == 1 && path[0] == column
    };
    let chunk = group.columns().iter().find(is_it);
    match chunk.and_then(|chunk| chunk.statistics()) {
        Some(Statistics::ByteArray(statistics)) => match (statistics.min_opt(), statistics.max_opt()) {
            (Some(min), Some(max)) => may_hold(min.as_bytes(), max.as_bytes()),
            // All are null, or nothing is known.
            _ => statistics.null_count_opt().is_none_or(|nulls| i64::try_from(nulls) != Ok(group.num_rows())),
        },
        _ => true,
    }
}

/// The texts of a column of a batch.
pub(super) fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Option<&'a StringArray> {
    batch.column_by_name(column)?.as_any().downcast_ref()
}
