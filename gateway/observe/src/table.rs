//! Tables that people have: CSV and Parquet, read by columns and in parts.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

/// The most columns of a table.
pub const TABLE_COLUMNS_MAX: usize = 10_000;
/// What stands before the names of inputs in the sample log.
const INPUT: &str = "in.";
/// What CSV files say of a value that is missing.
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"];

/// A table that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The CSV in it.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// The Parquet in it.
    #[error("{0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A part of the Parquet.
    #[error("{0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// What it is made of.
    #[error("{0}")]
    Columns(String),
}

/// Some values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Numbers; NaN where one is missing.
    Numbers(Vec<f64>),
    /// Texts; empty where one is missing.
    Texts(Vec<String>),
    /// So many of a type that has no place in a tensor, such as a time.
    Other(usize, String),
}

/// A table that is read part by part.
pub struct Table {
    names: Vec<String>,
    rows: Rows,
}

enum Rows {
    Csv(Box<csv::Reader<File>>),
    Parquet(Box<ParquetRecordBatchReader>),
}

impl Table {
    /// Opens a file: Parquet where its name ends so, CSV with a line of names otherwise. At most `batch` rows are read at
    /// a time.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn open(path: &Path, batch: usize) -> Result<Self, TableError> {
        let file = File::open(path)?;
        let is_parquet = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"));
        let (names, rows): (Vec<String>, Rows) = if is_parquet {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(batch.max(1));
            // The files of the sample log have what stands before the names of inputs.
            let name = |name: &String| name.strip_prefix(INPUT).unwrap_or(name).to_owned();
            let names = builder.schema().fields().iter().map(|field| name(field.name())).collect();
            (names, Rows::Parquet(Box::new(builder.build()?)))
        } else {
            let mut reader = csv::Reader::from_reader(file);
            let names = reader.headers()?.iter().map(|name| name.trim().to_owned()).collect();
            (names, Rows::Csv(Box::new(reader)))
        };
        if names.is_empty() {
            return Err(TableError::Columns(
                "it is empty: give CSV whose first line names the columns, or Parquet".into(),
            ));
        }
        if names.len() > TABLE_COLUMNS_MAX {
            let what = format!("it has {} columns: at most {TABLE_COLUMNS_MAX} are read", names.len());
            return Err(TableError::Columns(what));
        }
        Ok(Self { names, rows })
    }

    /// The names of its columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The next rows, by column; nothing where there are no more. At most `most` of a CSV file.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn next(&mut self, most: usize) -> Result<Option<Vec<Cells>>, TableError> {
        match &mut self.rows {
            Rows::Csv(reader) => {
                let mut columns = vec![Vec::new(); self.names.len()];
                for record in reader.records().take(most) {
                    let record = record?;
                    columns
                        .iter_mut()
                        .zip(&record)
                        .for_each(|(column, text)| column.push(text.trim().to_owned()));
                }
                let is_over = columns.first().is_none_or(Vec::is_empty);
                Ok((!is_over).then(|| columns.into_iter().map(Cells::Texts).collect()))
            }
            Rows::Parquet(reader) => {
                let Some(batch) = reader.next() else { return Ok(None) };
                let batch = batch?;
                Ok(Some(batch.columns().iter().map(Cells::of).collect()))
            }
        }
    }
}

impl Cells {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
            Self::Other(count, _) => *count,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All as numbers.
    ///
    /// # Errors
    /// The place and the text of the first that is none.
    pub fn numbers(&self) -> Result<Vec<f64>, (usize, String)> {
        let texts = match self {
            Self::Numbers(numbers) => return Ok(numbers.clone()),
            Self::Texts(texts) => texts,
            Self::Other(_, kind) => return Err((0, format!("a {kind}"))),
        };
        let number = |(at, text): (usize, &String)| match &**text {
            missing if MISSING.contains(&missing) => Ok(f64::NAN),
            "true" | "True" | "TRUE" => Ok(1.0),
            "false" | "False" | "FALSE" => Ok(0.0),
            text => text.parse().map_err(|_| (at, text.to_owned())),
        };
        texts.iter().enumerate().map(number).collect()
    }

    /// All as texts; those that have no text are missing.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Other(count, _) => vec![String::new(); *count],
            Self::Texts(texts) => {
                let text =
                    |text: &String| if MISSING.contains(&&**text) { String::new() } else { text.clone() };
                texts.iter().map(text).collect()
            }
            Self::Numbers(numbers) => {
                let text = |x: &f64| if x.is_nan() { String::new() } else { x.to_string() };
                numbers.iter().map(text).collect()
            }
        }
    }
}

impl Cells {
    /// The values of an array of Arrow.
    #[must_use]
    pub fn of(array: &ArrayRef) -> Self {
        macro_rules! numbers {
            ($type:ty) => {{
                let numbers = array.as_primitive::<$type>().iter();
                Cells::Numbers(
                    numbers.map(|number| number.map_or(f64::NAN, |number| number as f64)).collect(),
                )
            }};
        }
        let texts = |texts: &mut dyn Iterator<Item = Option<&str>>| {
            Cells::Texts(texts.map(|text| text.unwrap_or_default().to_owned()).collect())
        };
        match array.data_type() {
            DataType::Float64 => numbers!(Float64Type),
            DataType::Float32 => numbers!(Float32Type),
            DataType::Int64 => numbers!(Int64Type),
            DataType::Int32 => numbers!(Int32Type),
            DataType::Int16 => numbers!(Int16Type),
            DataType::Int8 => numbers!(Int8Type),
            DataType::UInt64 => numbers!(UInt64Type),
            DataType::UInt32 => numbers!(UInt32Type),
            DataType::UInt16 => numbers!(UInt16Type),
            DataType::UInt8 => numbers!(UInt8Type),
            DataType::Boolean => {
                let flags = array.as_boolean().iter();
                Cells::Numbers(
                    flags.map(|flag| flag.map_or(f64::NAN, |flag| f64::from(u8::from(flag)))).collect(),
                )
            }
            DataType::Utf8 => texts(&mut array.as_string::<i32>().iter()),
            DataType::LargeUtf8 => texts(&mut array.as_string::<i64>().iter()),
            DataType::Utf8View => texts(&mut array.as_string_view().iter()),
            DataType::Null => Cells::Numbers(vec![f64::NAN; array.len()]),
            other => Cells::Other(array.len(), other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, GzipLevel};
    use parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn csv_and_parquet_say_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let csv = directory.path().join("a.csv");
        std::fs::write(&csv, "x,n,yes, name\n1.5,3,true,AA\n,4,False,\nnan,5,1,\"U,A\"\n").expect("written");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("x", Arc::new(Float32Array::from(vec![Some(1.5), None, Some(f32::NAN)]))),
            ("n", Arc::new(Int64Array::from(vec![3, 4, 5]))),
            ("yes", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("name", Arc::new(StringArray::from(vec![Some("AA"), None, Some("U,A")]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let mut paths = vec![csv];
        // What pandas, DuckDB and Spark write where nobody says otherwise is among them.
        let gzip = Compression::GZIP(GzipLevel::default());
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, gzip, Compression::LZ4_RAW] {
            let path = directory.path().join(format!("{compression}.Parquet"));
            let properties = WriterProperties::builder().set_compression(compression).build();
            let file = File::create(&path).expect("a file");
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
            writer.write(&batch).expect("written");
            writer.close().expect("closed");
            paths.push(path);
        }
        for path in paths {
            let mut table = Table::open(&path, 2).expect("a table");
            assert_eq!(table.names(), ["x", "n", "yes", "name"]);
            let mut all: Vec<Vec<String>> = vec![Vec::new(); 4];
            let mut sums = [0.0; 3];
            while let Some(columns) = table.next(2).expect("rows") {
                assert!(columns[0].len() <= 2 && !columns[0].is_empty());
                all.iter_mut().zip(&columns).for_each(|(all, column)| all.extend(column.texts()));
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    *sum += column.numbers().expect("numbers").iter().filter(|x| !x.is_nan()).sum::<f64>();
                }
            }
            assert_eq!((all[3].join("|"), sums), ("AA||U,A".into(), [1.5, 12.0, 2.0]));
            assert_eq!(Cells::Texts(vec!["1".into(), "x".into()]).numbers(), Err((1, "x".into())));
        }
        assert!(Table::open(Path::new("/nowhere.csv"), 1).is_err());
    }
}
