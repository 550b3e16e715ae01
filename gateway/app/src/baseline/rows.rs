//! Rows of a table as inputs of a version.

use pointsman_core::{
    Column, Columns, Datatype, Origin, Shape, Signature, StringTensorBuilder, Tensor, tensor_of_numbers,
};
use pointsman_observe::table::Cells;

/// The most names that a message lists.
const NAMED_MAX: usize = 12;

/// Which column of a table is which of the signature.
pub(super) struct Mapping {
    tensors: Vec<Option<Mapped>>,
    notes: Vec<String>,
}

/// An input.
struct Mapped {
    datatype: Datatype,
    /// Whether it has a second dimension.
    has_width: bool,
    has_rows: bool,
    /// Of each of its columns the name and the place in the table.
    columns: Vec<(String, usize)>,
}

/// A value that an input cannot have.
#[derive(Debug, PartialEq)]
pub(super) struct OddValue {
    column: String,
    row: u64,
    what: String,
}

impl OddValue {
    /// In words, where its part begins at this row.
    pub(super) fn at(&self, from: u64) -> String {
        format!("row {} of column '{}' {}", from + self.row + 1, self.column, self.what)
    }
}

fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let first = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

impl Mapping {
    /// Finds the columns of all inputs by name.
    ///
    /// # Errors
    /// Those that an input must have and the table has not, and inputs that are no columns.
    pub(super) fn new(signature: &Signature, names: &[String]) -> Result<Self, String> {
        let columns = Columns::of(signature);
        let mut tensors = Vec::new();
        let mut missing: Vec<&str> = Vec::new();
        for (at, spec) in signature.inputs.iter().enumerate() {
            let of: Vec<&Column> = columns
                .all()
                .iter()
                .filter(|column| column.origin == Origin::Input && column.tensor == at)
                .collect();
            if of.is_empty() {
                return Err(format!(
                    "input '{}' is no column and no table of named ones, so that a table has no place for it",
                    spec.name
                ));
            }
            let place = |column: &&Column| names.iter().position(|name| **name == *column.name);
            let found: Vec<Option<usize>> = of.iter().map(place).collect();
            if spec.optional && found.iter().all(Option::is_none) {
                tensors.push(None);
                continue;
            }
            missing.extend(of.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(c, _)| &*c.name));
            let rank = spec.shape.as_ref().map_or(2, Vec::len);
            tensors.push(Some(Mapped {
                datatype: spec.datatype,
                has_width: rank > 1,
                has_rows: rank > 0,
                columns: of
                    .iter()
                    .zip(found)
                    .map(|(column, at)| (column.name.to_string(), at.unwrap_or(0)))
                    .collect(),
            }));
        }
        if !missing.is_empty() {
            let has: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(format!("it has no column {}; its columns are {}", listed(&missing), listed(&has)));
        }
        let used = |name: &&str| columns.find(Origin::Input, name).is_some();
        let unused: Vec<&str> = names.iter().map(String::as_str).filter(|name| !used(name)).collect();
        let notes = if unused.is_empty() {
            Vec::new()
        } else {
            vec![format!("no input is called {}: left out", listed(&unused))]
        };
        Ok(Self { tensors, notes })
    }

    /// What its maker should know.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The inputs of at most so many rows, and how many they are.
    ///
    /// # Errors
    /// The first value that an input cannot have.
    pub(super) fn inputs(
        &self,
        cells: &[Cells],
        most: usize,
    ) -> Result<(Vec<Option<Tensor>>, u64), OddValue> {
        let rows = cells.first().map_or(0, Cells::len).min(most);
        let tensor =
            |mapped: &Option<Mapped>| mapped.as_ref().map(|mapped| mapped.tensor(cells, rows)).transpose();
        Ok((self.tensors.iter().map(tensor).collect::<Result<_, _>>()?, rows as u64))
    }
}

impl Mapped {
    fn tensor(&self, cells: &[Cells], rows: usize) -> Result<Tensor, OddValue> {
        let width = self.columns.len();
        let odd = |column: usize, row: usize, what: String| OddValue {
            column: self.columns[column].0.clone(),
            row: row as u64,
            what,
        };
        let dims: &[u64] = match (self.has_rows, self.has_width) {
            (false, _) => &[],
            (true, false) => &[rows as u64],
            (true, true) => &[rows as u64, width as u64],
        };
        let shape = Shape::new(dims).ok_or_else(|| odd(0, 0, "is one too many".into()))?;
        // What has no rows has one value, which all have.
        let rows = if self.has_rows { rows } else { 1 };
        if self.datatype == Datatype::Bytes {
            let texts: Vec<Vec<String>> = self.columns.iter().map(|(_, at)| cells[*at].texts()).collect();
            let mut builder = StringTensorBuilder::default();
            for row in 0..rows {
                for (column, texts) in texts.iter().enumerate() {
                    let pushed = builder.push(texts[row].as_bytes());
                    pushed.map_err(|_| odd(column, row, "is too long a text".into()))?;
                }
            }
            let made = Tensor::new(Datatype::Bytes, shape, builder.finish());
            return made.map_err(|e| odd(0, 0, e.to_string()));
        }
        let mut numbers = vec![0.0; rows * width];
        for (column, (_, at)) in self.columns.iter().enumerate() {
            let all = cells[*at].numbers().map_err(|(row, text)| {
                odd(column, row, format!("is '{}', which is no number", pointsman_core::shown(&text)))
            })?;
            all.iter()
                .take(rows)
                .enumerate()
                .for_each(|(row, number)| numbers[row * width + column] = *number);
        }
        let name = self.datatype.name();
        tensor_of_numbers(self.datatype, shape, &numbers).map_err(|place| {
            let number = numbers.get(place).copied().unwrap_or(f64::NAN);
            odd(place % width.max(1), place / width.max(1), format!("is {number}, which {name} cannot hold"))
        })
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Dim, Elements, TensorSpec};

    use super::*;

    fn spec(
        name: &str,
        datatype: Datatype,
        width: Option<u64>,
        labels: &[&str],
        optional: bool,
    ) -> TensorSpec {
        let shape = Some(std::iter::once(Dim::Dynamic(None)).chain(width.map(Dim::Fixed)).collect());
        let labels = (!labels.is_empty()).then(|| labels.iter().map(|l| (*l).to_owned()).collect());
        TensorSpec { name: name.into(), datatype, shape, optional, labels }
    }

    fn signature() -> Signature {
        let inputs = vec![
            spec("X", Datatype::Fp32, Some(2), &["a", "b"], false),
            spec("carrier", Datatype::Bytes, Some(1), &[], false),
            spec("hour", Datatype::Int32, None, &[], false),
            spec("extra", Datatype::Fp32, None, &[], true),
        ];
        Signature { inputs, outputs: vec![] }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn columns_are_found_by_name_and_put_together() {
        let mapping =
            Mapping::new(&signature(), &names(&["b", "hour", "y", "carrier", "a"])).expect("all there");
        assert_eq!(mapping.notes(), ["no input is called y: left out"]);
        let texts = |all: &[&str]| Cells::Texts(names(all));
        let cells = [
            texts(&["2", "4", "6"]),
            texts(&["7", "8", "9"]),
            texts(&["0", "1", "0"]),
            texts(&["AA", "NA", "UA"]),
            texts(&["1", "", "5"]),
        ];
        let (inputs, rows) = mapping.inputs(&cells, 2).expect("good values");
        assert_eq!((rows, inputs.len(), inputs[3].is_none()), (2, 4, true));
        let x = inputs[0].as_ref().expect("there");
        let elements = Elements::of(x).expect("numbers");
        assert_eq!(
            (x.shape().dims(), elements.get(0), elements.get(1), elements.get(3)),
            (&[2, 2][..], 1.0, 2.0, 4.0)
        );
        assert!(elements.get(2).is_nan());
        let carriers: Vec<&[u8]> = inputs[1].as_ref().expect("there").strings().expect("texts").collect();
        assert_eq!(carriers, [&b"AA"[..], b""]);
        assert_eq!(inputs[2].as_ref().expect("there").shape().dims(), [2]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = Mapping::new(&signature(), &names(&["a", "hour"])).err().expect("two are missing");
        assert_eq!(error, "it has no column b, carrier; its columns are a, hour");
        let mapping = Mapping::new(&signature(), &names(&["a", "b", "carrier", "hour"])).expect("all there");
        let with = |a: &str, hour: f64| {
            let cells = [
                Cells::Texts(names(&["1", a])),
                Cells::Numbers(vec![1.0, 2.0]),
                Cells::Texts(names(&["AA", "UA"])),
                Cells::Numbers(vec![1.0, hour]),
            ];
            mapping.inputs(&cells, 9).map(drop).map_err(|e| e.at(100))
        };
        assert_eq!(with("1", 3.0), Ok(()));
        assert_eq!(with("warm", 3.0), Err("row 102 of column 'a' is 'warm', which is no number".into()));
        assert_eq!(
            with("1", f64::NAN),
            Err("row 102 of column 'hour' is NaN, which INT32 cannot hold".into())
        );
    }
}
