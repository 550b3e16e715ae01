//! Values of no declared shape, as V1 has them: the nesting of the first list is the shape, and
//! everything after it has to agree.
//!
//! The sentences are those of TensorFlow Serving (`tensorflow_serving/util/json_tensor.cc`), with
//! what it leaves out (the range of a datatype) added.

use jiter::Peek;
use pointsman_core::{Datatype, PredictError, Shape, Tensor};

use super::column::{Column, Layout, takes};
use super::reader::Reader;
use pointsman_core::shown;

/// One input whose values are being collected: the whole tensor at once, or row by row.
pub(crate) struct Collected {
    column: Column,
    nesting: Nesting,
    /// Values read so far; each is one row in the row form.
    pub(crate) rows: u64,
}

impl Collected {
    /// Nothing yet.
    pub(crate) fn new(datatype: Datatype) -> Self {
        let nesting = Nesting { datatype, dims: Vec::new(), rank: None };
        Self { column: Column::new(datatype, 0), nesting, rows: 0 }
    }

    /// Reads one value, of the same shape as those before it.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), PredictError> {
        self.column.read(reader, &mut self.nesting)?;
        self.rows += 1;
        Ok(())
    }

    /// The tensor of the one value that was read.
    pub(crate) fn into_tensor(self, name: &str) -> Result<Tensor, PredictError> {
        self.finish(name, Vec::new())
    }

    /// The tensor of all values that were read, with their number as its first dimension.
    pub(crate) fn into_batch(self, name: &str) -> Result<Tensor, PredictError> {
        let rows = self.rows;
        self.finish(name, vec![rows])
    }

    fn finish(self, name: &str, mut dims: Vec<u64>) -> Result<Tensor, PredictError> {
        let refuse = |reason: String| PredictError::BadRequest(format!("input '{}': {reason}", shown(name)));
        dims.extend(self.nesting.dims.iter().map(|d| d.unwrap_or(0)));
        let Some(shape) = Shape::new(&dims) else {
            return Err(refuse(too_deep()));
        };
        self.column.into_tensor(shape).map_err(|e| refuse(e.to_string()))
    }
}

/// What is known of a value's shape so far.
struct Nesting {
    datatype: Datatype,
    /// Sizes of the lists per level; nothing while the first list of a level is still being read.
    dims: Vec<Option<u64>>,
    /// The level of the elements, once one was seen.
    rank: Option<usize>,
}

impl Layout for Nesting {
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        mut element: impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        let peek = reader.peek()?;
        self.value(reader, peek, 0, &mut element)
    }
}

impl Nesting {
    /// Reads a list or an element. The recursion ends at [`Shape::RANK_MAX`].
    fn value(
        &mut self,
        reader: &mut Reader<'_>,
        peek: Peek,
        level: usize,
        element: &mut impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        if peek != Peek::Array {
            return self.element(reader, peek, level, element);
        }
        if let Some(rank) = self.rank.filter(|&rank| level >= rank) {
            return Err(bad(format!("Encountered list at unexpected level: {level} expected < {rank}")));
        }
        if level >= Shape::RANK_MAX {
            return Err(bad(too_deep()));
        }
        if level == self.dims.len() {
            self.dims.push(None);
        }
        let mut size = 0_u64;
        let mut next = reader.open_list()?;
        while let Some(peek) = next {
            self.value(reader, peek, level + 1, element)?;
            size += 1;
            next = reader.next_item()?;
        }
        match self.dims.get(level).copied().flatten() {
            Some(expected) if expected != size => Err(bad(format!(
                "Encountered list at unexpected size: {size} at level: {level} expected size: {expected}"
            ))),
            Some(_) => Ok(()),
            None => {
                self.dims[level] = Some(size);
                Ok(())
            }
        }
    }

    fn element(
        &mut self,
        reader: &mut Reader<'_>,
        peek: Peek,
        level: usize,
        element: &mut impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        let start = reader.position();
        // Lists that were all empty have left a deeper level behind without an element in it.
        let rank = self.rank.unwrap_or(self.dims.len());
        if level != rank {
            let found = reader.excerpt(start)?;
            return Err(bad(format!(
                "JSON Value: {found} found at incorrect level: {} in the JSON DOM. Expected at level: {rank}",
                level + 1
            )));
        }
        self.rank = Some(level);
        if element(reader, peek) {
            return Ok(());
        }
        let found = reader.excerpt(start)?;
        Err(bad(format!(
            "JSON Value: {found} Type: {} is not of expected type: {} ({})",
            json_type(peek),
            tensorflow_type(self.datatype),
            takes(self.datatype)
        )))
    }
}

fn bad(reason: String) -> PredictError {
    PredictError::BadRequest(reason)
}

fn too_deep() -> String {
    format!("lists are nested deeper than the {} dimensions that a tensor may have", Shape::RANK_MAX)
}

/// The name that TF Serving has for the kind of a value.
fn json_type(peek: Peek) -> &'static str {
    match peek {
        Peek::Null => "Null",
        Peek::True => "True",
        Peek::False => "False",
        Peek::String => "String",
        Peek::Array => "Array",
        Peek::Object => "Object",
        _ => "Number",
    }
}

/// The name that TensorFlow has for a datatype in messages.
fn tensorflow_type(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "bool",
        Datatype::Uint8 => "uint8",
        Datatype::Uint16 => "uint16",
        Datatype::Uint32 => "uint32",
        Datatype::Uint64 => "uint64",
        Datatype::Int8 => "int8",
        Datatype::Int16 => "int16",
        Datatype::Int32 => "int32",
        Datatype::Int64 => "int64",
        Datatype::Fp16 => "half",
        Datatype::Bf16 => "bfloat16",
        Datatype::Fp32 => "float",
        Datatype::Fp64 => "double",
        Datatype::Bytes => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, datatype: Datatype) -> Result<Tensor, String> {
        let mut collected = Collected::new(datatype);
        let mut reader = Reader::new(text.as_bytes());
        collected.read(&mut reader).and_then(|()| collected.into_tensor("x")).map_err(|e| e.to_string())
    }

    #[test]
    fn nesting_is_the_shape() {
        for (text, dims) in [
            ("1", &[][..]),
            ("[1,2,3]", &[3]),
            ("[[1,2],[3,4],[5,6]]", &[3, 2]),
            ("[[[1]]]", &[1, 1, 1]),
            ("[]", &[0]),
            ("[[],[]]", &[2, 0]),
        ] {
            let tensor = read(text, Datatype::Fp32).expect(text);
            assert_eq!(tensor.shape().dims(), dims, "{text}");
        }
        let strings = read(r#"["a",{"b64":"AAE="},{"b64":"AAE"}]"#, Datatype::Bytes).expect("strings");
        let elements: Vec<&[u8]> = strings.strings().expect("BYTES").collect();
        assert_eq!(elements, [&b"a"[..], &[0, 1], &[0, 1]]);
    }

    #[test]
    fn uneven_lists_and_wrong_types_are_refused() {
        for (text, datatype, reason) in [
            (
                "[[1,2],[3]]",
                Datatype::Fp32,
                "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
            ),
            ("[1,[2]]", Datatype::Fp32, "Encountered list at unexpected level: 1 expected < 1"),
            (
                "[[1],2]",
                Datatype::Fp32,
                "2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
            ),
            ("[[],1]", Datatype::Fp32, "found at incorrect level"),
            ("[[],[1]]", Datatype::Fp32, "unexpected size: 1"),
            ("\"x\"", Datatype::Fp32, "JSON Value: \"x\" Type: String is not of expected type: float"),
            ("[1.5]", Datatype::Int64, "JSON Value: 1.5 Type: Number is not of expected type: int64"),
            ("[-1]", Datatype::Uint8, "is not of expected type: uint8 (whole numbers from 0 to 255)"),
            ("[null]", Datatype::Fp64, "JSON Value: null Type: Null"),
            (r#"{"b64":"AAE="}"#, Datatype::Fp32, "Type: Object is not of expected type: float"),
            (r#"[{"b64":"%"}]"#, Datatype::Bytes, "Type: Object is not of expected type: string"),
        ] {
            let error = read(text, datatype).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        let deep = format!("{}1{}", "[".repeat(250_000), "]".repeat(250_000));
        assert!(read(&deep, Datatype::Fp32).unwrap_err().contains("nested deeper than the 32 dimensions"));
    }

    #[test]
    fn rows_of_the_same_shape_make_a_batch() {
        let mut collected = Collected::new(Datatype::Int16);
        for row in ["[1,2]", "[3,4]", "[5,6]"] {
            collected.read(&mut Reader::new(row.as_bytes())).expect("same shape");
        }
        assert!(collected.read(&mut Reader::new(b"[7]")).is_err());
        let mut collected = Collected::new(Datatype::Int16);
        collected.read(&mut Reader::new(b"7")).expect("a scalar");
        assert_eq!(collected.into_batch("x").expect("counted").shape().dims(), &[1]);
    }
}
