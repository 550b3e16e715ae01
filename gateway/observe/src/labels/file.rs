//! Files of labels: CSV, JSON lines and Parquet, each label as the line of JSON that the feedback API takes.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::{Map, Value, json};

/// The columns that count. Others are left out.
const COLUMNS: [&str; 5] = ["request_id", "label", "row", "at", "source"];

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct LabelFileError {
    file: String,
    what: String,
}

/// The labels of a file, one after the other.
pub struct LabelFile {
    name: String,
    format: Format,
    /// Of the label that was given last.
    line: u64,
}

enum Format {
    Csv { reader: Box<csv::Reader<File>>, header: csv::StringRecord },
    Lines(Lines<BufReader<File>>),
    Parquet { reader: ParquetRecordBatchReader, rows: std::vec::IntoIter<String> },
}

impl LabelFile {
    /// Opens a file by its ending.
    ///
    /// # Errors
    /// Where it is not there, or of another kind.
    pub fn open(path: &Path) -> Result<Self, LabelFileError> {
        let name = path.display().to_string();
        let failed = |what: String| LabelFileError { file: name.clone(), what };
        let file = File::open(path).map_err(|e| failed(e.to_string()))?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let format = match ending {
            "csv" => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
                let header = reader.headers().map_err(|e| failed(e.to_string()))?.clone();
                for column in ["request_id", "label"] {
                    if !header.iter().any(|name| name == column) {
                        return Err(failed(format!(
                            "has no column {column}; the first line names the columns"
                        )));
                    }
                }
                Format::Csv { reader: Box::new(reader), header }
            }
            "jsonl" | "ndjson" => Format::Lines(BufReader::new(file).lines()),
            "parquet" => {
                let builder =
                    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed(e.to_string()))?;
                let reader = builder.build().map_err(|e| failed(e.to_string()))?;
                Format::Parquet { reader, rows: Vec::new().into_iter() }
            }
            _ => return Err(failed("is of no kind that is known; give .csv, .jsonl or .parquet".into())),
        };
        Ok(Self { name, format, line: 0 })
    }

    /// The line of the label that was given last, in a Parquet file its row; the first one is 1. Of a CSV file
    /// with empty lines before it, the first of these.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    fn failed(&self, what: impl ToString) -> LabelFileError {
        LabelFileError { file: self.name.clone(), what: what.to_string() }
    }
}

impl Iterator for LabelFile {
    type Item = Result<String, LabelFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match &mut self.format {
            Format::Csv { reader, header } => {
                let mut record = csv::StringRecord::new();
                match reader.read_record(&mut record) {
                    Ok(false) => return None,
                    Ok(true) => {
                        self.line = record.position().map_or(0, csv::Position::line);
                        Ok(of_texts(header, &record))
                    }
                    Err(error) => Err(error.to_string()),
                }
            }
            Format::Lines(lines) => {
                let is_one = |line: &std::io::Result<String>| {
                    self.line += 1;
                    line.as_ref().map_or(true, |line| !line.trim().is_empty())
                };
                match lines.find(is_one)? {
                    Ok(line) => Ok(line),
                    Err(error) => Err(error.to_string()),
                }
            }
            Format::Parquet { reader, rows } => loop {
                if let Some(row) = rows.next() {
                    self.line += 1;
                    break Ok(row);
                }
                match reader.next()? {
                    Ok(batch) => match of_batch(&batch) {
                        Ok(all) => *rows = all.into_iter(),
                        Err(what) => break Err(what),
                    },
                    Err(error) => break Err(error.to_string()),
                }
            },
        };
        Some(found.map_err(|what| self.failed(what)))
    }
}

/// A record of texts: what reads as a number is one, but for the id and for texts of a class.
fn of_texts(header: &csv::StringRecord, record: &csv::StringRecord) -> String {
    let mut object = Map::new();
    if record.len() != header.len() {
        // Which field is which cannot be told. Whoever reads labels names a key that is none, and goes on with the next line.
        let odd = format!("a line of {} fields, where the first one has {},", record.len(), header.len());
        object.insert(odd, Value::Null);
        return Value::Object(object).to_string();
    }
    for (name, text) in
        header.iter().zip(record).filter(|(name, text)| COLUMNS.contains(name) && !text.is_empty())
    {
        let number = (name == "row").then(|| text.parse::<u64>().ok()).flatten().map(|row| json!(row));
        object.insert(name.into(), number.unwrap_or_else(|| json!(text)));
    }
    Value::Object(object).to_string()
}

fn of_batch(batch: &RecordBatch) -> Result<Vec<String>, String> {
    let mut objects = vec![Map::new(); batch.num_rows()];
    for name in COLUMNS {
        let Some(column) = batch.column_by_name(name) else { continue };
        for (row, object) in objects.iter_mut().enumerate().filter(|(row, _)| column.is_valid(*row)) {
            let value = value(column, row).ok_or_else(|| {
                format!("column {name} is of type {}; give texts, numbers or times", column.data_type())
            })?;
            object.insert(name.into(), value);
        }
    }
    Ok(objects.into_iter().map(|object| Value::Object(object).to_string()).collect())
}

/// A value of a column; nothing of a type that no label has.
fn value(column: &ArrayRef, row: usize) -> Option<Value> {
    let time = |per_second: i64, value: i64| {
        let nanos = i128::from(value) * (1_000_000_000 / i128::from(per_second));
        let since = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        json!(humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string())
    };
    Some(match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => json!(column.as_string::<i64>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::Int8 => json!(column.as_primitive::<Int8Type>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => json!(column.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt32 => json!(column.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => json!(column.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => json!(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            time(1_000, column.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time(1_000_000, column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            time(1_000_000_000, column.as_primitive::<TimestampNanosecondType>().value(row))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float32Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::labels::{SaidLimits, read_said};

    const ID: &str = "019ae2f0-6b1c-7d1e-8a55-0242ac120002";

    fn read(name: &str, bytes: &[u8]) -> Result<Vec<String>, LabelFileError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        LabelFile::open(&path)?.collect()
    }

    #[test]
    fn files_of_all_kinds_are_read() {
        let csv = format!("flight,request_id,label,row,at\n1,{ID},late,2,\n2,{ID},1,,2013-01-01T10:00:00Z\n");
        let found = read("a.csv", csv.as_bytes()).expect("good");
        assert_eq!(found[0], format!(r#"{{"label":"late","request_id":"{ID}","row":2}}"#));
        assert_eq!(found[1], format!(r#"{{"at":"2013-01-01T10:00:00Z","label":"1","request_id":"{ID}"}}"#));
        let lines = format!("{{\"request_id\":\"{ID}\",\"label\":1}}\n\n");
        assert_eq!(read("a.jsonl", lines.as_bytes()).expect("good"), [lines.trim()]);
        let batch = RecordBatch::try_from_iter([
            ("request_id", Arc::new(StringArray::from(vec![ID, ID])) as arrow_array::ArrayRef),
            ("label", Arc::new(Float32Array::from(vec![0.5, 1.0]))),
            ("row", Arc::new(Int32Array::from(vec![Some(3), None]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_357_034_400_000_000; 2]))),
        ]);
        let batch = batch.expect("columns");
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("room");
        let found = read("a.parquet", &writer.into_inner().expect("bytes")).expect("good");
        assert_eq!(
            found[0],
            format!(r#"{{"at":"2013-01-01T10:00:00.000Z","label":0.5,"request_id":"{ID}","row":3}}"#)
        );
        assert!(!found[1].contains("row"), "{}", found[1]);
    }

    #[test]
    fn a_line_of_other_fields_is_malformed_and_the_next_one_is_read() {
        let csv = format!("request_id,label\n{ID}\n{ID},1,2\n{ID},3\n");
        let said: Vec<_> = read("a.csv", csv.as_bytes())
            .expect("lines")
            .iter()
            .map(|line| read_said(line.as_bytes(), SaidLimits { labels_max: 1 }).expect("one").remove(0))
            .collect();
        for (said, fields) in said.iter().zip([1, 3]) {
            let reason = said.as_ref().expect_err("malformed");
            let expected = format!("a line of {fields} fields, where the first one has 2, is no key here");
            assert!(reason.starts_with(&expected), "{reason}");
        }
        assert!(said[2].is_ok(), "{said:?}");
    }

    #[test]
    fn each_label_has_its_line() {
        let lines = |name: &str, text: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join(name), text).expect("writable");
            let mut file = LabelFile::open(&folder.path().join(name)).expect("opens");
            let mut lines = Vec::new();
            while file.next().transpose().expect("reads").is_some() {
                lines.push(file.line());
            }
            lines
        };
        assert_eq!(lines("a.csv", "request_id,label\na,1\nb,\"2\n3\"\nc,4\n"), [2, 3, 5]);
        assert_eq!(lines("a.jsonl", "\n{}\n \n{}\n"), [2, 4]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (name, bytes, part) in [
            ("a.txt", "x", "give .csv, .jsonl or .parquet"),
            ("a.csv", "id,label\n", "has no column request_id"),
            ("a.parquet", "x", "a.parquet"),
        ] {
            let error = read(name, bytes.as_bytes()).expect_err(name).to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(LabelFile::open(Path::new("nowhere.csv")).is_err());
    }
}
