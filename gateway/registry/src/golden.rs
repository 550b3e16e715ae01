//! Golden cases, `golden.json`: real inputs with the outputs that training saw, and how far an answer
//! may lie from them.

mod compare;
mod tensor;

use std::collections::BTreeMap;

use pointsman_core::{InputTensor, Tensor};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use compare::{Difference, compare, distance};
use tensor::WrittenTensor;

use crate::problem::Problem;

/// The relative tolerance where the file names none.
const RTOL: f64 = 1e-4;
/// The absolute tolerance where the file names none.
const ATOL: f64 = 1e-5;
/// The most cases of one file.
const CASES_MAX: usize = 10_000;

/// The golden cases of a version.
#[derive(Clone, Debug)]
pub struct GoldenCases {
    /// How far a number may lie from the expected one, as a part of it.
    pub rtol: f64,
    /// How far it may lie in any case.
    pub atol: f64,
    /// The cases.
    pub cases: Vec<GoldenCase>,
}

/// Inputs, and the outputs expected for them.
#[derive(Clone, Debug)]
pub struct GoldenCase {
    /// What the case is about.
    pub note: String,
    /// What is asked.
    pub inputs: Vec<InputTensor>,
    /// What must be answered; outputs that are not named here may be anything.
    pub outputs: Vec<ExpectedOutput>,
}

/// One output as training saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedOutput {
    /// Its name. A sequence of maps `s` is two outputs: the values `s`, one row per map and one column
    /// per key, and the keys `s.keys` in ascending order.
    pub name: String,
    /// Its value.
    pub tensor: Tensor,
}

impl GoldenCases {
    /// Reads a file of golden cases.
    ///
    /// # Errors
    /// The first problem of the file, with the case and the tensor that it is in.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let problem = |what: String| Problem::new(file, what, "write the file again from the training run");
        let written: WrittenCases = serde_json::from_slice(bytes).map_err(|e| problem(e.to_string()))?;
        if written.cases.len() > CASES_MAX {
            return Err(problem(format!("has more than {CASES_MAX} cases")));
        }
        for (key, value) in [("rtol", written.rtol), ("atol", written.atol)] {
            if value.is_some_and(|value| !(value.is_finite() && value >= 0.0)) {
                return Err(problem(format!("{key} is no number from zero on")));
            }
        }
        let cases = written.cases.into_iter().enumerate().map(|(index, case)| {
            read_case(case).map_err(|what| problem(format!("case {}: {what}", index + 1)))
        });
        Ok(Self {
            rtol: written.rtol.unwrap_or(RTOL),
            atol: written.atol.unwrap_or(ATOL),
            cases: cases.collect::<Result<_, _>>()?,
        })
    }
}

/// The file's form. What else stands in it (the model's name, where it comes from) is for people.
#[derive(Deserialize)]
struct WrittenCases {
    rtol: Option<f64>,
    atol: Option<f64>,
    cases: Vec<WrittenCase>,
}

#[derive(Deserialize)]
struct WrittenCase {
    #[serde(default)]
    note: String,
    request: WrittenRequest,
    expected: WrittenExpected,
}

#[derive(Deserialize)]
struct WrittenRequest {
    inputs: Vec<WrittenTensor>,
}

#[derive(Deserialize)]
struct WrittenExpected {
    /// Kept as text until the kind of each says what it holds.
    outputs: Vec<Box<RawValue>>,
}

/// What tells the kinds of outputs apart; a tensor has none.
#[derive(Deserialize)]
struct WrittenKind {
    kind: Option<String>,
}

/// What a ZipMap gives.
#[derive(Deserialize)]
struct WrittenMaps {
    name: String,
    key_type: KeyType,
    value: Vec<BTreeMap<String, f32>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyType {
    Str,
    Int,
}

fn read_case(case: WrittenCase) -> Result<GoldenCase, String> {
    let inputs = case.request.inputs.into_iter().map(|written| {
        let (name, tensor) = written.read()?;
        Ok(InputTensor { name, tensor })
    });
    let inputs = inputs.collect::<Result<_, String>>()?;
    let mut outputs = Vec::new();
    for written in case.expected.outputs {
        outputs.extend(read_output(written.get())?);
    }
    Ok(GoldenCase { note: case.note, inputs, outputs })
}

fn read_output(written: &str) -> Result<Vec<ExpectedOutput>, String> {
    let say = |error: serde_json::Error| format!("an output: {error}");
    let WrittenKind { kind } = serde_json::from_str(written).map_err(say)?;
    match kind.as_deref() {
        None => {
            let (name, tensor) = serde_json::from_str::<WrittenTensor>(written).map_err(say)?.read()?;
            Ok(vec![ExpectedOutput { name, tensor }])
        }
        Some("sequence_map") => {
            let WrittenMaps { name, key_type, value } = serde_json::from_str(written).map_err(say)?;
            let read = match key_type {
                KeyType::Str => tensor::maps_by_text(&value),
                KeyType::Int => tensor::maps_by_number(&value),
            };
            let (values, keys) = read.map_err(|what| format!("output '{name}': {what}"))?;
            let keys = ExpectedOutput { name: format!("{name}.keys"), tensor: keys };
            Ok(vec![ExpectedOutput { name, tensor: values }, keys])
        }
        Some(other) => Err(format!("an output is of kind {other:?}, known is sequence_map")),
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::Datatype;
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<GoldenCases, Problem> {
        GoldenCases::parse("iris/1/golden.json", text.as_bytes())
    }

    /// A file of one case with this input and this output.
    fn file(input: &str, output: &str) -> String {
        format!(
            r#"{{"model": "m", "cases": [{{"note": "n", "request": {{"inputs": [{input}]}},
                "expected": {{"outputs": [{output}]}}}}]}}"#
        )
    }

    fn problem(input: &str) -> String {
        parse(&file(input, "")).expect_err("a bad tensor").what
    }

    #[test]
    fn every_datatype_is_read() {
        for (datatype, data, values) in [
            ("FP32", r#""data": [1.5, -2]"#, &[0, 0, 192, 63, 0, 0, 0, 192][..]),
            (
                "INT64",
                r#""data": [-9223372036854775808, 1]"#,
                &[0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 0, 0, 0, 0],
            ),
            (
                "UINT64",
                r#""data": [18446744073709551615, 0]"#,
                &[255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
            ("INT8", r#""data": [-1, 127]"#, &[255, 127]),
            ("BOOL", r#""data": [true, false]"#, &[1, 0]),
            ("FP16", r#""data": [1, 0.5]"#, &[0, 60, 0, 56]),
            ("FP16", r#""raw_hex": "003c0038""#, &[0, 60, 0, 56]),
            ("BF16", r#""raw_hex": "803F0000""#, &[128, 63, 0, 0]),
            ("BYTES", r#""data": ["a", ""]"#, &[1, 0, 0, 0, b'a', 0, 0, 0, 0]),
        ] {
            let tensor = format!(r#"{{"name": "x", "datatype": "{datatype}", "shape": [2], {data}}}"#);
            let cases = parse(&file(&tensor, &tensor)).expect(datatype);
            assert_eq!((cases.rtol, cases.atol), (RTOL, ATOL));
            let case = &cases.cases[0];
            assert_eq!(&case.inputs[0].tensor.data()[..], values, "{datatype}");
            assert_eq!(case.outputs[0].tensor, case.inputs[0].tensor);
        }
    }

    #[test]
    fn nonfinite_values_stand_where_the_data_is_null() {
        let text = r#"{"name": "x", "datatype": "FP64", "shape": [4], "data": [1, null, null, null],
                       "nonfinite": [[1, "nan"], [2, "inf"], [3, "-inf"]]}"#;
        let cases = parse(&file(text, "")).expect("sound");
        let values = cases.cases[0].inputs[0].tensor.values::<f64>().expect("FP64");
        assert!(values[1].is_nan());
        assert_eq!((values[0], values[2], values[3]), (1.0, f64::INFINITY, f64::NEG_INFINITY));
    }

    #[test]
    fn a_sequence_of_maps_becomes_values_and_keys_in_ascending_order() {
        let text = r#"{"name": "p", "kind": "sequence_map", "key_type": "int",
                       "value": [{"10": 0.25, "9": 0.75}, {"9": 1, "10": 0}]}"#;
        let outputs = &parse(&file("", text)).expect("sound").cases[0].outputs;
        assert_eq!(outputs[1].name, "p.keys");
        assert_eq!(outputs[1].tensor.values::<i64>(), Some(&[9, 10][..]));
        assert_eq!((outputs[0].name.as_str(), outputs[0].tensor.shape().dims()), ("p", &[2, 2][..]));
        assert_eq!(outputs[0].tensor.values::<f32>(), Some(&[0.75, 0.25, 1.0, 0.0][..]));

        let text = text.replace("int", "str");
        let outputs = &parse(&file("", &text)).expect("sound").cases[0].outputs;
        assert_eq!(outputs[1].tensor.datatype(), Datatype::Bytes);
        assert_eq!(outputs[1].tensor.strings().expect("BYTES").collect::<Vec<_>>(), [&b"10"[..], b"9"]);
        assert_eq!(outputs[0].tensor.values::<f32>(), Some(&[0.25, 0.75, 0.0, 1.0][..]));

        let uneven =
            r#"{"name": "p", "kind": "sequence_map", "key_type": "str", "value": [{"a": 1}, {"b": 1}]}"#;
        let found = parse(&file("", uneven)).expect_err("uneven").what;
        assert_eq!(found, "case 1: output 'p': its maps have different keys");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let tensor = |datatype: &str, shape: &str, rest: &str| {
            problem(&format!(r#"{{"name": "x", "datatype": "{datatype}", "shape": {shape}, {rest}}}"#))
        };
        for (found, expected) in [
            (tensor("FP31", "[1]", r#""data": [1]"#), "case 1: tensor 'x': datatype FP31 is unknown"),
            (
                tensor("FP32", "[3]", r#""data": [1]"#),
                "case 1: tensor 'x': FP32 of shape [3] takes 12 bytes, got 4",
            ),
            (
                tensor("INT8", "[1]", r#""data": [300]"#),
                "case 1: tensor 'x': invalid value: integer `300`, expected i8",
            ),
            (
                tensor("FP32", "[1]", r#""data": [null]"#),
                "case 1: tensor 'x': element 0 is null and not in nonfinite",
            ),
            (
                tensor("FP32", "[1]", r#""data": [null], "nonfinite": [[1, "nan"]]"#),
                "case 1: tensor 'x': nonfinite names element 1, which is not null",
            ),
            (
                tensor("FP32", "[1]", r#""data": [null], "nonfinite": [[0, "big"]]"#),
                "case 1: tensor 'x': nonfinite has \"big\", known are nan, inf, -inf",
            ),
            (tensor("FP32", "[1]", r#""note": 1"#), "case 1: tensor 'x': has neither data nor raw_hex"),
            (tensor("BF16", "[1]", r#""raw_hex": "xyz""#), "case 1: tensor 'x': raw_hex is not hexadecimal"),
        ] {
            assert!(found.starts_with(expected), "{found}");
        }
        assert!(parse("{}").is_err() && parse("[").is_err() && parse(&"[".repeat(100_000)).is_err());
        assert!(parse(r#"{"cases": [], "rtol": -1}"#).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_files_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = GoldenCases::parse("x", &bytes);
        }

        #[test]
        fn arbitrary_tensors_never_panic(
            datatype in "(BOOL|INT8|UINT64|FP16|BF16|FP64|BYTES|X)",
            shape in "\\[(-?[0-9]{1,20}(,[0-9]{1,3}){0,3})?\\]",
            data in "\\[((null|-?[0-9]{1,20}|1e9|true|\"a\")(,(null|2)){0,3})?\\]",
            hex in "(,\"raw_hex\":\"[0-9a-g]{0,9}\")?",
            nonfinite in "(,\"nonfinite\":\\[\\[[0-9]{1,20},\"nan\"\\]\\])?",
        ) {
            let tensor = format!(r#"{{"name":"x","datatype":"{datatype}","shape":{shape},"data":{data}{hex}{nonfinite}}}"#);
            let _ = parse(&file(&tensor, &tensor));
        }
    }
}
