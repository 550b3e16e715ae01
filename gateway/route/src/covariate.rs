//! What is known of a unit beforehand, as a number: it sharpens the comparison of arms, and chooses nothing.

use std::str::from_utf8;

use pointsman_core::ParameterValue;

/// The largest number, in size, whose squares can be summed as doubles.
const NUMBER_MAX: f64 = 1e100;

/// A number of a request that no arm has a part in, such as the history of its user. Never NaN nor an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covariate(u64);

impl Covariate {
    /// The number; nothing for NaN, and for what is larger than 1e100 in size.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        // No number is smaller than 0, and NaN smaller than nothing.
        (number.abs() <= NUMBER_MAX).then(|| Self((number + 0.0).to_bits()))
    }

    /// Reads one decimal number, and nothing around it: no blanks, no unit, no comma.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_decimal = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
        let text = from_utf8(text).ok().filter(|text| text.bytes().all(|b| is_decimal(&b)))?;
        Self::new(text.parse().ok()?)
    }

    /// The value of a parameter, where it is a number or the text of one.
    #[must_use]
    pub fn of_parameter(value: &ParameterValue) -> Option<Self> {
        match value {
            ParameterValue::Bool(_) => None,
            ParameterValue::Int(value) => Self::new(*value as f64),
            ParameterValue::Uint(value) => Self::new(*value as f64),
            ParameterValue::Double(value) => Self::new(*value),
            ParameterValue::String(text) => Self::parse(text.as_bytes()),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_alone_is_one() {
        for (text, number) in
            [("0", 0.0), ("-0", 0.0), ("12.5", 12.5), ("+3", 3.0), ("-1e-3", -0.001), ("1e100", 1e100)]
        {
            assert_eq!(Covariate::parse(text.as_bytes()).map(Covariate::get), Some(number), "{text}");
        }
        let odd =
            ["", " 1", "1 ", "1,5", "nan", "NaN", "inf", "-Infinity", "1e101", "1e999", "0x1", "e", "1_0"];
        for text in odd {
            assert_eq!(Covariate::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Covariate::parse(b"\xff1"), None);
        assert_eq!(Covariate::new(0.0), Covariate::new(-0.0));
    }

    #[test]
    fn parameters_are_numbers_by_every_protocol() {
        let of = |value| Covariate::of_parameter(&value).map(Covariate::get);
        assert_eq!(of(ParameterValue::Double(0.25)), of(ParameterValue::String("0.25".into())));
        assert_eq!(of(ParameterValue::Int(-7)), Some(-7.0));
        assert_eq!(of(ParameterValue::Uint(7)), Some(7.0));
        assert_eq!(of(ParameterValue::Double(f64::NAN)), None);
        assert_eq!(of(ParameterValue::Double(f64::INFINITY)), None);
        assert_eq!(of(ParameterValue::Bool(true)), None);
    }
}
