//! `data` of a declared shape, as V2 has it: one flat row-major list, or lists nested exactly to
//! the shape. Anything between (ragged, partly flattened, mixed, too few, too many) is refused,
//! where peers answer 500 or quietly serve another tensor.

use jiter::Peek;
use pointsman_core::{Datatype, PredictError, Shape, Tensor};

use super::column::{Column, Layout, takes};
use super::reader::Reader;
use pointsman_core::shown;

/// Reads the value of `data` as a tensor of this datatype and shape.
pub(crate) fn read_declared(
    reader: &mut Reader<'_>,
    name: &str,
    datatype: Datatype,
    shape: &Shape,
) -> Result<Tensor, PredictError> {
    let refuse = |reason: String| PredictError::BadRequest(format!("input '{}': {reason}", shown(name)));
    let Some(elements) = shape.elements() else {
        return Err(refuse(format!("shape {shape} has more elements than can be addressed")));
    };
    // A declared shape is a claim: room is made for no more than the text can hold, and an element
    // with its comma takes two bytes of it.
    let mut column = Column::new(datatype, elements.min(reader.remaining() / 2 + 1));
    let mut layout = Declared { name, datatype, shape, elements, read: 0 };
    column.read(reader, &mut layout)?;
    column.into_tensor(shape.clone()).map_err(|e| refuse(e.to_string()))
}

struct Declared<'a> {
    name: &'a str,
    datatype: Datatype,
    shape: &'a Shape,
    elements: usize,
    /// Elements read so far.
    read: usize,
}

impl Layout for Declared<'_> {
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        mut element: impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        let peek = reader.peek()?;
        let dims = self.shape.dims();
        if peek != Peek::Array {
            return if dims.is_empty() {
                self.element(reader, peek, &mut element)
            } else {
                let found = reader.excerpt(reader.position())?;
                Err(self.refuse(format!("'data' must be a list, got {found}")))
            };
        }
        let first = reader.open_list()?;
        if dims.len() > 1 && first == Some(Peek::Array) {
            self.nested(reader, dims, first, &mut element)
        } else {
            self.flat(reader, first, &mut element)
        }
    }
}

impl Declared<'_> {
    fn flat(
        &mut self,
        reader: &mut Reader<'_>,
        mut next: Option<Peek>,
        element: &mut impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        let mut found = 0_usize;
        while let Some(peek) = next {
            if found < self.elements {
                self.element(reader, peek, element)?;
            } else {
                reader.skip()?;
            }
            found += 1;
            next = reader.next_item()?;
        }
        if found != self.elements {
            let (shape, elements) = (self.shape, self.elements);
            return Err(self.refuse(format!(
                "'data' does not match its shape: {shape} takes {elements} elements, got {found}"
            )));
        }
        Ok(())
    }

    /// Reads one list of the nested form; `dims` are the dimensions from it inwards. The recursion
    /// is as deep as the shape, which [`Shape::RANK_MAX`] bounds.
    fn nested(
        &mut self,
        reader: &mut Reader<'_>,
        dims: &[u64],
        mut next: Option<Peek>,
        element: &mut impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        let (wanted, inner) = dims.split_first().map_or((0, dims), |(d, inner)| (*d, inner));
        let mut found = 0_u64;
        while let Some(peek) = next {
            if found >= wanted {
                reader.skip()?;
            } else if inner.is_empty() {
                self.element(reader, peek, element)?;
            } else if peek == Peek::Array {
                let first = reader.open_list()?;
                self.nested(reader, inner, first, element)?;
            } else {
                let value = reader.excerpt(reader.position())?;
                return Err(self.refuse(format!(
                    "'data' is nested unevenly: found {value} where shape {} has a list",
                    self.shape
                )));
            }
            found += 1;
            next = reader.next_item()?;
        }
        if found != wanted {
            let depth = self.shape.dims().len() - dims.len();
            return Err(self.refuse(format!(
                "'data' does not match its shape: {} takes {wanted} items along dimension {depth}, got {found}",
                self.shape
            )));
        }
        Ok(())
    }

    fn element(
        &mut self,
        reader: &mut Reader<'_>,
        peek: Peek,
        element: &mut impl FnMut(&mut Reader<'_>, Peek) -> bool,
    ) -> Result<(), PredictError> {
        let start = reader.position();
        // Objects are TF Serving's form of binary data, and nothing in V2.
        if peek != Peek::Object && element(reader, peek) {
            self.read += 1;
            return Ok(());
        }
        let found = reader.excerpt(start)?;
        let (read, datatype, takes) = (self.read, self.datatype, takes(self.datatype));
        Err(self.refuse(format!("element {read} is {found}, and {datatype} takes {takes}")))
    }

    fn refuse(&self, reason: String) -> PredictError {
        PredictError::BadRequest(format!("input '{}': {reason}", shown(self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, datatype: Datatype, dims: &[u64]) -> Result<Tensor, String> {
        let shape = Shape::new(dims).expect("within the rank limit");
        let mut reader = Reader::new(text.as_bytes());
        let tensor = read_declared(&mut reader, "x", datatype, &shape).map_err(|e| e.to_string())?;
        reader.finish().map_err(|e| e.to_string())?;
        Ok(tensor)
    }

    #[test]
    fn flat_and_nested_lists_are_the_same_tensor() {
        let flat = read("[1,2.5,-3,4e0]", Datatype::Fp32, &[2, 2]).expect("flat");
        let nested = read("[[1, 2.5],\n[-3, 4]]", Datatype::Fp32, &[2, 2]).expect("nested");
        assert_eq!(flat, nested);
        assert_eq!(flat.values::<f32>(), Some(&[1.0, 2.5, -3.0, 4.0][..]));
        for (text, dims) in [("5", &[][..]), ("[5]", &[]), ("[5]", &[1]), ("[[[5]]]", &[1, 1, 1])] {
            assert!(read(text, Datatype::Int8, dims).is_ok(), "{text} {dims:?}");
        }
        for (text, dims) in [("[]", &[0][..]), ("[]", &[0, 4]), ("[]", &[2, 0]), ("[[],[]]", &[2, 0])] {
            assert_eq!(read(text, Datatype::Bytes, dims).map(|t| t.elements()), Ok(0), "{text} {dims:?}");
        }
    }

    #[test]
    fn every_datatype_takes_its_extremes() {
        for (datatype, text, count) in [
            (Datatype::Bool, "[true,false]", 2),
            (Datatype::Uint64, "[0,18446744073709551615]", 2),
            (Datatype::Int64, "[-9223372036854775808,9007199254740993]", 2),
            (Datatype::Fp16, "[65504,NaN,-Infinity,6e-8]", 4),
            (Datatype::Bf16, "[3.38e38,1]", 2),
            (Datatype::Fp32, "[3.4028234663852886e38,1e-45]", 2),
            (Datatype::Fp64, "[1.7976931348623157e308,Infinity]", 2),
            (Datatype::Bytes, r#"["","ü\u0000\n"]"#, 2),
        ] {
            let tensor = read(text, datatype, &[count]).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(tensor.elements() as u64, count);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_named() {
        for (datatype, text, dims, reason) in [
            (
                Datatype::Uint8,
                "[1,300]",
                &[2][..],
                "element 1 is 300, and UINT8 takes whole numbers from 0 to 255",
            ),
            (Datatype::Int32, "[1.5]", &[1], "element 0 is 1.5, and INT32 takes"),
            (Datatype::Int64, "[9223372036854775808]", &[1], "element 0 is 9223372036854775808"),
            (Datatype::Bool, "[1]", &[1], "element 0 is 1, and BOOL takes true or false"),
            (Datatype::Fp32, "[1e39]", &[1], "element 0 is 1e39, and FP32 takes"),
            (Datatype::Fp16, "[65520]", &[1], "element 0 is 65520, and FP16 takes"),
            (Datatype::Fp64, "[1e400]", &[1], "element 0 is 1e400"),
            (Datatype::Fp32, "[1,null]", &[2], "element 1 is null"),
            (Datatype::Fp32, "[\"1\"]", &[1], "element 0 is \"1\""),
            (Datatype::Bytes, "[1]", &[1], "element 0 is 1, and BYTES takes strings"),
            (Datatype::Bytes, r#"[{"b64":"AAE="}]"#, &[1], "element 0 is {"),
            (Datatype::Fp32, "[1,2,3]", &[2, 2], "[2,2] takes 4 elements, got 3"),
            (Datatype::Fp32, "[1,2,3,4,5]", &[2, 2], "[2,2] takes 4 elements, got 5"),
            (Datatype::Fp32, "[[1,2],[3]]", &[2, 2], "takes 2 items along dimension 1, got 1"),
            (Datatype::Fp32, "[[1,2],[3,4],[5,6]]", &[2, 2], "takes 2 items along dimension 0, got 3"),
            (Datatype::Fp32, "[[1,2],3]", &[2, 2], "nested unevenly"),
            (Datatype::Fp32, "[1,[2]]", &[2], "element 1 is [2]"),
            (Datatype::Fp32, "[[1,2,3,4],[5,6,7,8]]", &[2, 2, 2], "nested unevenly"),
            (Datatype::Fp32, "[[]]", &[0, 4], "takes 0 items along dimension 0, got 1"),
            (Datatype::Fp32, "7", &[1], "'data' must be a list, got 7"),
            (Datatype::Fp32, "[7]", &[1 << 63], "takes 9223372036854775808 elements, got 1"),
            (Datatype::Fp32, "[7]", &[1 << 32, 1 << 32], "more elements than can be addressed"),
            (Datatype::Fp32, "[1,", &[2], "EOF while parsing"),
            (Datatype::Fp32, "[01]", &[1], "invalid number"),
        ] {
            let error = read(text, datatype, dims).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
