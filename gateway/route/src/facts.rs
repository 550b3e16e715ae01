//! What a plan can ask of a request.

use pointsman_core::{Datatype, ParameterValue, RequestId, Tensor};

use crate::cookie;
use crate::covariate::Covariate;
use crate::limits::COOKIE_LINES_MAX;

/// Doubles up to this size are whole numbers exactly: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What is known of a request. Answers are borrowed: a pick allocates nothing.
///
/// Before the body is read there are no parameters and no tensors; [`crate::Plan::needs_body`] says whether they matter.
pub trait Facts {
    /// The value of a header, by its name in lower case: where it came several times, that at index `at`.
    fn header(&self, name: &str, at: usize) -> Option<&[u8]>;

    /// The value of a request parameter.
    fn parameter(&self, name: &str) -> Option<Value<'_>>;

    /// The value of a request parameter as a number, which need not be whole.
    fn number(&self, parameter: &str) -> Option<Covariate> {
        match self.parameter(parameter)? {
            Value::Bytes(text) => Covariate::parse(text),
            Value::Int(number) => Covariate::new(number as f64),
            Value::Uint(number) => Covariate::new(number as f64),
            Value::Bool(_) => None,
        }
    }

    /// An element of an input.
    fn element(&self, input: &str, index: usize) -> Option<Value<'_>>;

    /// The gateway's id of the request.
    fn request_id(&self) -> RequestId;

    /// The value of a cookie.
    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let mut lines = (0..COOKIE_LINES_MAX).map_while(|at| self.header("cookie", at));
        lines.find_map(|line| cookie::find(line, name))
    }
}

/// A request of which only its id is known.
#[derive(Clone, Copy, Debug)]
pub struct Bare(pub RequestId);

impl Facts for Bare {
    fn header(&self, _: &str, _: usize) -> Option<&[u8]> {
        None
    }

    fn parameter(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn element(&self, _: &str, _: usize) -> Option<Value<'_>> {
        None
    }

    fn request_id(&self) -> RequestId {
        self.0
    }
}

/// A value out of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Bytes, taken as they came.
    Bytes(&'a [u8]),
    /// A whole number.
    Int(i64),
    /// A whole number.
    Uint(u64),
    /// Yes or no.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// The value of a parameter. A double that holds a whole number is that number, others have no bytes that all
    /// protocols agree on.
    #[must_use]
    pub fn of_parameter(value: &'a ParameterValue) -> Option<Self> {
        match value {
            ParameterValue::Bool(value) => Some(Self::Bool(*value)),
            ParameterValue::Int(value) => Some(Self::Int(*value)),
            ParameterValue::Uint(value) => Some(Self::Uint(*value)),
            ParameterValue::Double(value) => whole(*value),
            ParameterValue::String(text) => Some(Self::Bytes(text.as_bytes())),
        }
    }

    /// An element of a tensor: a text, a boolean or a whole number.
    #[must_use]
    pub fn of_element(tensor: &'a Tensor, index: usize) -> Option<Self> {
        fn at<T: Copy>(values: Option<&[T]>, index: usize) -> Option<T> {
            values?.get(index).copied()
        }
        match tensor.datatype() {
            Datatype::Bytes => tensor.strings()?.nth(index).map(Self::Bytes),
            Datatype::Bool => at(tensor.values::<u8>(), index).map(|value| Self::Bool(value != 0)),
            Datatype::Uint8 => at(tensor.values::<u8>(), index).map(|value| Self::Uint(value.into())),
            Datatype::Uint16 => at(tensor.values::<u16>(), index).map(|value| Self::Uint(value.into())),
            Datatype::Uint32 => at(tensor.values::<u32>(), index).map(|value| Self::Uint(value.into())),
            Datatype::Uint64 => at(tensor.values::<u64>(), index).map(Self::Uint),
            Datatype::Int8 => at(tensor.values::<i8>(), index).map(|value| Self::Int(value.into())),
            Datatype::Int16 => at(tensor.values::<i16>(), index).map(|value| Self::Int(value.into())),
            Datatype::Int32 => at(tensor.values::<i32>(), index).map(|value| Self::Int(value.into())),
            Datatype::Int64 => at(tensor.values::<i64>(), index).map(Self::Int),
            Datatype::Fp32 => at(tensor.values::<f32>(), index).and_then(|value| whole(value.into())),
            Datatype::Fp64 => at(tensor.values::<f64>(), index).and_then(whole),
            Datatype::Fp16 | Datatype::Bf16 => None,
        }
    }

    /// Its bytes: decimal digits of a number, `true` or `false`; nothing for an empty text.
    pub(crate) fn bytes<'b>(self, room: &'b mut itoa::Buffer) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Bytes(bytes) => (!bytes.is_empty()).then_some(bytes),
            Self::Int(number) => Some(room.format(number).as_bytes()),
            Self::Uint(number) => Some(room.format(number).as_bytes()),
            Self::Bool(true) => Some(b"true"),
            Self::Bool(false) => Some(b"false"),
        }
    }
}

/// The whole number that a double holds.
fn whole(value: f64) -> Option<Value<'static>> {
    (value.abs() <= EXACT && value.fract() == 0.0).then_some(Value::Int(value as i64))
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Shape, StringTensorBuilder};

    use super::*;

    fn text(value: Option<Value<'_>>) -> Option<String> {
        let mut room = itoa::Buffer::new();
        value?.bytes(&mut room).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    #[test]
    fn parameters_have_the_same_bytes_in_every_protocol() {
        let of = |value| text(Value::of_parameter(&value)).unwrap_or_default();
        assert_eq!(of(ParameterValue::Int(-12)), "-12");
        assert_eq!(of(ParameterValue::Uint(u64::MAX)), "18446744073709551615");
        assert_eq!(of(ParameterValue::Double(12.0)), of(ParameterValue::String("12".into())));
        assert_eq!(of(ParameterValue::Double(-0.0)), "0");
        assert_eq!(of(ParameterValue::Bool(true)), "true");
        for odd in [0.5, f64::NAN, f64::INFINITY, 1e17] {
            assert_eq!(of(ParameterValue::Double(odd)), "");
        }
        assert_eq!(of(ParameterValue::String(String::new())), "");
    }

    #[test]
    fn elements_of_tensors_are_read_in_place() {
        let shape = || Shape::new(&[2]).expect("one dimension");
        let numbers = Tensor::from_vec(Datatype::Int64, shape(), vec![7_i64, -8]).expect("two numbers");
        assert_eq!(text(Value::of_element(&numbers, 1)).as_deref(), Some("-8"));
        assert_eq!(Value::of_element(&numbers, 2), None);
        let floats = Tensor::from_vec(Datatype::Fp32, shape(), vec![3.0_f32, 3.5]).expect("two numbers");
        assert_eq!(text(Value::of_element(&floats, 0)).as_deref(), Some("3"));
        assert_eq!(Value::of_element(&floats, 1), None);
        let mut texts = StringTensorBuilder::default();
        texts.push(b"").expect("short");
        texts.push(b"user\xff").expect("short");
        let texts = Tensor::new(Datatype::Bytes, shape(), texts.finish()).expect("two texts");
        assert_eq!(Value::of_element(&texts, 1), Some(Value::Bytes(b"user\xff")));
        assert_eq!(text(Value::of_element(&texts, 0)), None);
    }
}
