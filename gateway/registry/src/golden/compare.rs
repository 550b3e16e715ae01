//! Whether an answer is the one expected.

use half::{bf16, f16};
use pointsman_core::{Datatype, Shape, Tensor};

/// Where an answer first differs from the one expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Difference {
    /// It is of another datatype.
    #[error("expected {expected}, got {got}")]
    Datatype {
        /// The datatype expected.
        expected: Datatype,
        /// The one that came.
        got: Datatype,
    },
    /// It is of another shape.
    #[error("expected shape {expected}, got {got}")]
    Shape {
        /// The shape expected.
        expected: Shape,
        /// The one that came.
        got: Shape,
    },
    /// A number lies too far from the one expected.
    #[error("element {index}: expected {expected} within {tolerance:.1e}, got {got}")]
    Number {
        /// Flat index of the element.
        index: usize,
        /// The number expected.
        expected: f64,
        /// The one that came.
        got: f64,
        /// How far it might lie.
        tolerance: f64,
    },
    /// An element that must be the same is not.
    #[error("element {index}: expected {expected}, got {got}")]
    Element {
        /// Flat index of the element.
        index: usize,
        /// The element expected.
        expected: String,
        /// The one that came.
        got: String,
    },
}

/// Compares an answer with the one expected: fractions within `atol + rtol * |expected|`, with NaN
/// equal to NaN and infinities to themselves; whole numbers, booleans and texts exactly.
///
/// # Errors
/// The first [`Difference`].
pub fn compare(expected: &Tensor, got: &Tensor, rtol: f64, atol: f64) -> Result<(), Difference> {
    if expected.datatype() != got.datatype() {
        return Err(Difference::Datatype { expected: expected.datatype(), got: got.datatype() });
    }
    if expected.shape() != got.shape() {
        return Err(Difference::Shape { expected: expected.shape().clone(), got: got.shape().clone() });
    }
    let pairs = Pairs { expected, got };
    let near = |(index, (a, b)): (usize, (f64, f64))| near(index, a, b, rtol, atol);
    match expected.datatype() {
        Datatype::Fp16 => pairs.fractions(|bits| f16::from_bits(bits).to_f64()).try_for_each(near),
        Datatype::Bf16 => pairs.fractions(|bits| bf16::from_bits(bits).to_f64()).try_for_each(near),
        Datatype::Fp32 => pairs.fractions(|value: f32| f64::from(value)).try_for_each(near),
        Datatype::Fp64 => pairs.fractions(|value: f64| value).try_for_each(near),
        Datatype::Bool => pairs.same(|byte: u8| (byte != 0).to_string()),
        Datatype::Uint8 => pairs.same(|n: u8| n.to_string()),
        Datatype::Uint16 => pairs.same(|n: u16| n.to_string()),
        Datatype::Uint32 => pairs.same(|n: u32| n.to_string()),
        Datatype::Uint64 => pairs.same(|n: u64| n.to_string()),
        Datatype::Int8 => pairs.same(|n: i8| n.to_string()),
        Datatype::Int16 => pairs.same(|n: i16| n.to_string()),
        Datatype::Int32 => pairs.same(|n: i32| n.to_string()),
        Datatype::Int64 => pairs.same(|n: i64| n.to_string()),
        Datatype::Bytes => pairs.texts(),
    }
}

/// The furthest that two fractions at the same place lie apart; 0 where there are none, or none that
/// have a distance (NaN, infinities).
#[must_use]
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let pairs = Pairs { expected: a, got: b };
    let furthest = |pairs: &mut dyn Iterator<Item = (usize, (f64, f64))>| {
        pairs.map(|(_, (a, b))| (a - b).abs()).filter(|d| d.is_finite()).fold(0.0, f64::max)
    };
    match a.datatype() {
        Datatype::Fp16 => furthest(&mut pairs.fractions(|bits| f16::from_bits(bits).to_f64())),
        Datatype::Bf16 => furthest(&mut pairs.fractions(|bits| bf16::from_bits(bits).to_f64())),
        Datatype::Fp32 => furthest(&mut pairs.fractions(|value: f32| f64::from(value))),
        Datatype::Fp64 => furthest(&mut pairs.fractions(|value: f64| value)),
        _ => 0.0,
    }
}

/// Two tensors of the same datatype and shape.
struct Pairs<'a> {
    expected: &'a Tensor,
    got: &'a Tensor,
}

impl Pairs<'_> {
    fn numbers<T: bytemuck::Pod>(&self) -> impl Iterator<Item = (usize, (T, T))> {
        // Both are of the size of T: the datatype that T was chosen by.
        let expected = self.expected.values::<T>().unwrap_or_default();
        let got = self.got.values::<T>().unwrap_or_default();
        expected.iter().copied().zip(got.iter().copied()).enumerate()
    }

    fn fractions<T: bytemuck::Pod>(
        &self,
        value: impl Fn(T) -> f64,
    ) -> impl Iterator<Item = (usize, (f64, f64))> {
        self.numbers::<T>().map(move |(index, (a, b))| (index, (value(a), value(b))))
    }

    fn same<T: bytemuck::Pod + PartialEq>(&self, show: impl Fn(T) -> String) -> Result<(), Difference> {
        match self.numbers::<T>().find(|(_, (a, b))| a != b) {
            Some((index, (a, b))) => Err(Difference::Element { index, expected: show(a), got: show(b) }),
            None => Ok(()),
        }
    }

    fn texts(&self) -> Result<(), Difference> {
        let texts = self.expected.strings().into_iter().flatten();
        let pairs = texts.zip(self.got.strings().into_iter().flatten());
        match pairs.enumerate().find(|(_, (a, b))| a != b) {
            Some((index, (a, b))) => Err(Difference::Element { index, expected: quoted(a), got: quoted(b) }),
            None => Ok(()),
        }
    }
}

fn near(index: usize, expected: f64, got: f64, rtol: f64, atol: f64) -> Result<(), Difference> {
    let tolerance = atol + rtol * expected.abs();
    // The first two are for what has no distance: infinities and NaN.
    let same = expected == got
        || (expected.is_nan() && got.is_nan())
        || (expected.is_finite() && (expected - got).abs() <= tolerance);
    if same { Ok(()) } else { Err(Difference::Number { index, expected, got, tolerance }) }
}

/// A text as a message shows it: cut, and without control characters.
fn quoted(text: &[u8]) -> String {
    let shown = text.get(..60).unwrap_or(text);
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("\"{}{dots}\"", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use pointsman_core::StringTensorBuilder;

    use super::*;

    fn shape(elements: usize) -> Shape {
        Shape::new(&[elements as u64]).expect("one dimension")
    }

    fn fp32(values: &[f32]) -> Tensor {
        Tensor::from_vec(Datatype::Fp32, shape(values.len()), values.to_vec()).expect("fits")
    }

    fn bits(datatype: Datatype, values: Vec<u16>) -> Tensor {
        Tensor::from_vec(datatype, shape(values.len()), values).expect("fits")
    }

    fn texts(values: &[&str]) -> Tensor {
        let mut builder = StringTensorBuilder::default();
        values.iter().for_each(|v| builder.push(v.as_bytes()).expect("short"));
        Tensor::new(Datatype::Bytes, shape(values.len()), builder.finish()).expect("counted")
    }

    fn check(expected: &Tensor, got: &Tensor) -> Result<(), String> {
        compare(expected, got, 1e-3, 1e-5).map_err(|difference| difference.to_string())
    }

    #[test]
    fn fractions_may_differ_within_the_tolerance() {
        assert_eq!(check(&fp32(&[100.0, 0.0]), &fp32(&[100.1, 1e-5])), Ok(()));
        assert_eq!(
            check(&fp32(&[1.0, 100.0]), &fp32(&[1.0, 100.2])),
            Err("element 1: expected 100 within 1.0e-1, got 100.19999694824219".into())
        );
        let halves = |value: f32| bits(Datatype::Fp16, vec![f16::from_f32(value).to_bits()]);
        assert_eq!(check(&halves(2.0), &halves(2.001)), Ok(()));
        assert!(check(&halves(2.0), &halves(2.1)).is_err());
        let brains = |value: f32| bits(Datatype::Bf16, vec![bf16::from_f32(value).to_bits()]);
        assert!(check(&brains(2.0), &brains(2.1)).is_err());
    }

    #[test]
    fn the_distance_is_that_of_the_furthest_pair() {
        assert_eq!(distance(&fp32(&[1.0, 2.0, f32::NAN]), &fp32(&[1.5, 0.0, 1.0])), 2.0);
        assert_eq!(distance(&fp32(&[f32::INFINITY]), &fp32(&[f32::INFINITY])), 0.0);
        assert_eq!(distance(&texts(&["a"]), &texts(&["b"])), 0.0);
    }

    #[test]
    fn nonfinite_values_equal_themselves_alone() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0];
        for a in odd {
            for b in odd {
                let same = a == b || (a.is_nan() && b.is_nan());
                assert_eq!(check(&fp32(&[a]), &fp32(&[b])).is_ok(), same, "{a} {b}");
            }
        }
    }

    #[test]
    fn whole_numbers_texts_datatypes_and_shapes_are_exact() {
        let int64 = |value: i64| Tensor::from_vec(Datatype::Int64, shape(1), vec![value]).expect("fits");
        assert_eq!(
            check(&int64(1 << 53), &int64((1 << 53) + 1)),
            Err("element 0: expected 9007199254740992, got 9007199254740993".into())
        );
        assert_eq!(
            check(&texts(&["a", "b"]), &texts(&["a", "\u{1b}"])),
            Err("element 1: expected \"b\", got \"\\x1b\"".into())
        );
        assert_eq!(check(&fp32(&[1.0]), &int64(1)), Err("expected FP32, got INT64".into()));
        assert_eq!(check(&fp32(&[1.0]), &fp32(&[1.0, 1.0])), Err("expected shape [1], got [2]".into()));
        assert_eq!(check(&texts(&[]), &texts(&[])), Ok(()));
    }
}
