//! Elements of a tensor as JSON text: integers exactly, floats in their shortest form that reads
//! back as the same value (`1.0`, `0.1`, `1e+20`).

use std::iter::Flatten;
use std::option;
use std::slice::Iter;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytemuck::Pod;
use half::{bf16, f16};
use pointsman_core::{Datatype, Nonfinite, PredictError, StringElements, Tensor};

/// Empty lists that one answer may hold: a model can give a shape like `[4611686018427387904,0]`,
/// whose nested form would never end.
const EMPTY_LISTS_MAX: u64 = 1 << 20;

/// Walks the elements of one output and writes them.
pub(crate) struct ElementWriter<'a> {
    output: &'a str,
    nonfinite: Nonfinite,
    base64: bool,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(Iter<'a, u8>),
    Uint8(Iter<'a, u8>),
    Uint16(Iter<'a, u16>),
    Uint32(Iter<'a, u32>),
    Uint64(Iter<'a, u64>),
    Int8(Iter<'a, i8>),
    Int16(Iter<'a, i16>),
    Int32(Iter<'a, i32>),
    Int64(Iter<'a, i64>),
    Fp16(Iter<'a, f16>),
    Bf16(Iter<'a, bf16>),
    Fp32(Iter<'a, f32>),
    Fp64(Iter<'a, f64>),
    Bytes(Flatten<option::IntoIter<StringElements<'a>>>),
}

impl<'a> ElementWriter<'a> {
    /// A writer at the first element of an output.
    pub(crate) fn new(output: &'a str, tensor: &'a Tensor, nonfinite: Nonfinite) -> Self {
        // A `Tensor` is aligned and counted, so its elements are always there.
        fn of<T: Pod>(tensor: &Tensor) -> Iter<'_, T> {
            tensor.values().unwrap_or_default().iter()
        }
        let values = match tensor.datatype() {
            Datatype::Bool => Values::Bool(of(tensor)),
            Datatype::Uint8 => Values::Uint8(of(tensor)),
            Datatype::Uint16 => Values::Uint16(of(tensor)),
            Datatype::Uint32 => Values::Uint32(of(tensor)),
            Datatype::Uint64 => Values::Uint64(of(tensor)),
            Datatype::Int8 => Values::Int8(of(tensor)),
            Datatype::Int16 => Values::Int16(of(tensor)),
            Datatype::Int32 => Values::Int32(of(tensor)),
            Datatype::Int64 => Values::Int64(of(tensor)),
            Datatype::Fp16 => Values::Fp16(of(tensor)),
            Datatype::Bf16 => Values::Bf16(of(tensor)),
            Datatype::Fp32 => Values::Fp32(of(tensor)),
            Datatype::Fp64 => Values::Fp64(of(tensor)),
            Datatype::Bytes => Values::Bytes(tensor.strings().into_iter().flatten()),
        };
        Self { output, nonfinite, base64: false, values }
    }

    /// Writes strings as `{"b64": text}` from here on.
    pub(crate) fn with_base64(self) -> Self {
        Self { base64: true, ..self }
    }

    /// Writes the next `count` elements with commas between them.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, count: usize) -> Result<(), PredictError> {
        let (output, nonfinite, base64) = (self.output, self.nonfinite, self.base64);
        match &mut self.values {
            Values::Bool(values) => join(out, values.take(count), |out, &v| {
                out.extend_from_slice(if v == 0 { b"false" } else { b"true" });
                Ok(())
            }),
            Values::Uint8(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Uint16(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Uint32(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Uint64(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Int8(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Int16(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Int32(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Int64(values) => join(out, values.take(count), |out, &v| integer(out, v)),
            Values::Fp16(values) => {
                join(out, values.take(count), |out, v| float(out, v.to_f32(), v.to_f64(), nonfinite, output))
            }
            Values::Bf16(values) => {
                join(out, values.take(count), |out, v| float(out, v.to_f32(), v.to_f64(), nonfinite, output))
            }
            Values::Fp32(values) => {
                join(out, values.take(count), |out, &v| float(out, v, f64::from(v), nonfinite, output))
            }
            Values::Fp64(values) => {
                join(out, values.take(count), |out, &v| float(out, v, v, nonfinite, output))
            }
            Values::Bytes(values) => {
                join(out, values.take(count), |out, bytes| string(out, bytes, base64, output))
            }
        }
    }

    /// Writes the next elements as lists nested by `dims`; no dimension makes a bare element.
    pub(crate) fn write_nested(&mut self, out: &mut Vec<u8>, dims: &[u64]) -> Result<(), PredictError> {
        match dims {
            [] => return self.write(out, 1),
            [last] => {
                out.push(b'[');
                self.write(out, usize::try_from(*last).unwrap_or(usize::MAX))?;
            }
            [size, inner @ ..] => {
                out.push(b'[');
                for i in 0..*size {
                    if i > 0 {
                        out.push(b',');
                    }
                    self.write_nested(out, inner)?;
                }
            }
        }
        out.push(b']');
        Ok(())
    }
}

/// Checks that the nested form of an output comes to an end.
///
/// # Errors
/// [`PredictError::NotRepresentable`] where it has no elements and more than [`EMPTY_LISTS_MAX`]
/// lists to hold them.
pub(crate) fn check_lists(output: &str, tensor: &Tensor) -> Result<(), PredictError> {
    let mut filled = tensor.shape().dims().iter().take_while(|&&d| d > 0);
    let lists = filled.try_fold(1_u64, |n, &d| n.checked_mul(d));
    if tensor.elements() == 0 && lists.is_none_or(|lists| lists > EMPTY_LISTS_MAX) {
        return Err(not_representable(output, "it has too many empty lists"));
    }
    Ok(())
}

/// Writes a text in quotes, escaped.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    // Neither a `str` nor a `Vec` gives serde_json a reason to fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes a whole number.
pub(crate) fn unsigned(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn join<T>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T) -> Result<(), PredictError>,
) -> Result<(), PredictError> {
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, value)?;
    }
    Ok(())
}

fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) -> Result<(), PredictError> {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

/// Writes `value`, whose exact widening to 64 bits is `wide`.
fn float(
    out: &mut Vec<u8>,
    value: impl zmij::Float,
    wide: f64,
    nonfinite: Nonfinite,
    output: &str,
) -> Result<(), PredictError> {
    if wide.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        return Ok(());
    }
    let token: &[u8] = match nonfinite {
        Nonfinite::Null => b"null",
        Nonfinite::Token if wide.is_nan() => b"NaN",
        Nonfinite::Token if wide > 0.0 => b"Infinity",
        Nonfinite::Token => b"-Infinity",
        Nonfinite::Error => {
            let reason = "it holds NaN or an infinity; ask for it with binary_data, or for nonfinite \"token\" or \"null\"";
            return Err(not_representable(output, reason));
        }
    };
    out.extend_from_slice(token);
    Ok(())
}

fn string(out: &mut Vec<u8>, bytes: &[u8], base64: bool, output: &str) -> Result<(), PredictError> {
    if base64 {
        out.extend_from_slice(b"{\"b64\":\"");
        out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
        out.extend_from_slice(b"\"}");
        return Ok(());
    }
    let Ok(utf8) = std::str::from_utf8(bytes) else {
        return Err(not_representable(
            output,
            "it holds bytes that are no UTF-8; ask for it with binary_data",
        ));
    };
    text(out, utf8);
    Ok(())
}

pub(crate) fn not_representable(output: &str, reason: &str) -> PredictError {
    PredictError::NotRepresentable { output: output.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pointsman_core::{Shape, StringTensorBuilder};

    use super::*;

    fn shape(dims: &[u64]) -> Shape {
        Shape::new(dims).expect("within the rank limit")
    }

    fn flat(tensor: &Tensor, nonfinite: Nonfinite) -> Result<String, PredictError> {
        let mut out = Vec::new();
        ElementWriter::new("y", tensor, nonfinite).write(&mut out, tensor.elements())?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    fn nested(tensor: &Tensor) -> Result<String, PredictError> {
        let mut out = Vec::new();
        check_lists("y", tensor)?;
        ElementWriter::new("y", tensor, Nonfinite::Token).write_nested(&mut out, tensor.shape().dims())?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    #[test]
    fn numbers_are_shortest_and_valid() {
        let values = vec![1.0_f32, 0.1, 1e20, -0.0, 2.4e-42, 3.402_823_5e38, 16_777_216.0];
        let tensor = Tensor::from_vec(Datatype::Fp32, shape(&[7]), values).expect("counted");
        let text = flat(&tensor, Nonfinite::Token).expect("finite");
        assert_eq!(text, "1.0,0.1,1e+20,-0.0,2.4e-42,3.4028235e+38,16777216.0");
        assert!(serde_json::from_str::<Vec<f64>>(&format!("[{text}]")).is_ok());
        let values = vec![u64::MAX, 0, 9_007_199_254_740_993];
        let tensor = Tensor::from_vec(Datatype::Uint64, shape(&[3]), values).expect("counted");
        assert_eq!(flat(&tensor, Nonfinite::Token), Ok("18446744073709551615,0,9007199254740993".into()));
        let tensor = Tensor::from_vec(Datatype::Bool, shape(&[2]), vec![1_u8, 0]).expect("counted");
        assert_eq!(flat(&tensor, Nonfinite::Token), Ok("true,false".into()));
        let values = vec![f16::from_f32(0.1), f16::MAX];
        let tensor = Tensor::from_vec(Datatype::Fp16, shape(&[2]), values).expect("counted");
        assert_eq!(flat(&tensor, Nonfinite::Token), Ok("0.099975586,65504.0".into()));
    }

    #[test]
    fn nonfinite_values_follow_the_policy() {
        let values = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5];
        let tensor = Tensor::from_vec(Datatype::Fp64, shape(&[4]), values).expect("counted");
        assert_eq!(flat(&tensor, Nonfinite::Token), Ok("NaN,Infinity,-Infinity,1.5".into()));
        assert_eq!(flat(&tensor, Nonfinite::Null), Ok("null,null,null,1.5".into()));
        let error = flat(&tensor, Nonfinite::Error).unwrap_err().to_string();
        assert!(error.starts_with("output 'y' cannot be sent as asked: it holds NaN"), "{error}");
        assert_eq!(Nonfinite::parse("NaN"), None);
    }

    #[test]
    fn strings_are_escaped_or_encoded() {
        let mut builder = StringTensorBuilder::default();
        builder.push("a\"\u{0}ü".as_bytes()).expect("short");
        builder.push(&[0xff]).expect("short");
        let tensor = Tensor::new(Datatype::Bytes, shape(&[2]), builder.finish()).expect("counted");
        let error = flat(&tensor, Nonfinite::Token).unwrap_err().to_string();
        assert!(error.contains("ask for it with binary_data"), "{error}");
        let mut out = Vec::new();
        ElementWriter::new("y", &tensor, Nonfinite::Token).write(&mut out, 1).expect("UTF-8");
        assert_eq!(out, r#""a\"\u0000ü""#.as_bytes());
        out.clear();
        let mut writer = ElementWriter::new("y", &tensor, Nonfinite::Token).with_base64();
        writer.write(&mut out, 2).expect("any bytes");
        assert_eq!(out, br#"{"b64":"YSIAw7w="},{"b64":"/w=="}"#);
    }

    #[test]
    fn lists_are_nested_by_the_shape() {
        let tensor = |dims: &[u64], count: u8| {
            Tensor::new(Datatype::Uint8, shape(dims), Bytes::from((0..count).collect::<Vec<u8>>()))
                .expect("counted")
        };
        for (dims, count, text) in [
            (&[][..], 1, "0"),
            (&[3], 3, "[0,1,2]"),
            (&[2, 3], 6, "[[0,1,2],[3,4,5]]"),
            (&[2, 1, 2], 4, "[[[0,1]],[[2,3]]]"),
            (&[0, 4], 0, "[]"),
            (&[2, 0], 0, "[[],[]]"),
        ] {
            assert_eq!(nested(&tensor(dims, count)).as_deref(), Ok(text), "{dims:?}");
        }
        assert_eq!(nested(&tensor(&[0, 1 << 62], 0)).as_deref(), Ok("[]"));
        for dims in [&[1 << 62, 0][..], &[1 << 40, 1 << 40, 0], &[1 << 21, 0], &[1 << 12, 1 << 12, 0]] {
            assert!(nested(&tensor(dims, 0)).is_err(), "{dims:?}");
        }
    }
}
