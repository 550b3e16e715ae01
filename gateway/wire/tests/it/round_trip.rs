//! Every tensor that can be encoded is decoded to the same tensor, in JSON and in binary.

use bytes::Bytes;
use half::{bf16, f16};
use pointsman_core::{Datatype, PredictError, Shape, Tensor, TensorSpec};
use pointsman_wire::v1::{PredictForm, encode_predict};
use pointsman_wire::v2::{OutputForm, ResponseForm, encode_infer};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixtures::{infer, predict, prediction, strings};

/// Up to three dimensions, empty ones among them.
fn dims() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(0_u64..4, 0..4)
}

/// Any tensor; numbers come from arbitrary bits, so that every NaN, denormal and extreme is met.
fn tensor() -> impl Strategy<Value = Tensor> {
    let texts = proptest::collection::vec(".{0,6}", 64);
    (
        dims(),
        proptest::sample::select(Datatype::ALL.to_vec()),
        proptest::collection::vec(any::<u64>(), 64),
        texts,
    )
        .prop_map(|(dims, datatype, bits, texts)| build(&dims, datatype, &bits, &texts))
}

fn build(dims: &[u64], datatype: Datatype, bits: &[u64], texts: &[String]) -> Tensor {
    let shape = Shape::new(dims).expect("small");
    let count = shape.elements().expect("small");
    let Some(size) = datatype.size() else {
        let texts: Vec<&[u8]> = texts.iter().take(count).map(String::as_bytes).collect();
        return strings(dims, &texts);
    };
    let mut data = Vec::with_capacity(count * size);
    for bits in &bits[..count] {
        let bits = if datatype == Datatype::Bool { bits & 1 } else { *bits };
        data.extend_from_slice(&bits.to_le_bytes()[..size]);
    }
    Tensor::new(datatype, shape, Bytes::from(data)).expect("counted")
}

/// Equality that takes any NaN for any other: their bits do not survive JSON.
pub(crate) fn same(a: &Tensor, b: &Tensor) -> bool {
    fn floats<T: bytemuck::Pod + Into<f64>>(a: &Tensor, b: &Tensor) -> bool {
        let (Some(a), Some(b)) = (a.values::<T>(), b.values::<T>()) else { return false };
        let equal = |(&a, &b): (&T, &T)| {
            let (a, b): (f64, f64) = (a.into(), b.into());
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
        };
        a.len() == b.len() && a.iter().zip(b).all(equal)
    }
    a.datatype() == b.datatype()
        && a.shape() == b.shape()
        && match a.datatype() {
            Datatype::Fp16 => floats::<f16>(a, b),
            Datatype::Bf16 => floats::<bf16>(a, b),
            Datatype::Fp32 => floats::<f32>(a, b),
            Datatype::Fp64 => floats::<f64>(a, b),
            _ => a == b,
        }
}

/// An answer as the request that sends its outputs back.
fn returned(tensor: &Tensor, binary: bool) -> Result<Tensor, PredictError> {
    let form = ResponseForm { unlisted: OutputForm { binary, classification: 0 }, ..ResponseForm::default() };
    let answer = encode_infer(&prediction(&[("y", tensor)]), &form)?;
    let json = String::from_utf8(answer.segments[0].to_vec()).expect("JSON is UTF-8");
    let json = json.replace("\"outputs\":[", "\"inputs\":[");
    let header = answer.header_length.map(|_| json.len().to_string());
    let body = [json.as_bytes(), &answer.segments[1..].concat()].concat();
    let mut call = infer(body, header.as_deref())?;
    Ok(call.request.inputs.remove(0).tensor)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn v2_json(tensor in tensor()) {
        let back = returned(&tensor, false);
        prop_assert!(back.as_ref().is_ok_and(|back| same(back, &tensor)), "{tensor:?} {back:?}");
    }

    #[test]
    fn v2_binary(tensor in tensor()) {
        prop_assert_eq!(returned(&tensor, true), Ok(tensor));
    }

    #[test]
    fn v1_columns(tensor in tensor()) {
        // Lists say nothing about dimensions below an empty one.
        prop_assume!(tensor.elements() > 0);
        let answer = encode_predict(&prediction(&[("y", &tensor)]), PredictForm::Columnar).expect("an answer");
        let body = String::from_utf8_lossy(&answer).replacen("outputs", "inputs", 1);
        let x = TensorSpec { name: "x".into(), datatype: tensor.datatype(), shape: None, optional: false, labels: None };
        let call = predict(&body, &[x]);
        prop_assert!(call.as_ref().is_ok_and(|call| same(&call.request.inputs[0].tensor, &tensor)), "{body} {call:?}");
    }

    #[test]
    fn v1_rows(tensor in tensor()) {
        prop_assume!(tensor.elements() > 0 && !tensor.shape().dims().is_empty());
        let answer = encode_predict(&prediction(&[("y", &tensor)]), PredictForm::Row).expect("an answer");
        let body = String::from_utf8_lossy(&answer).replacen("predictions", "instances", 1);
        let x = TensorSpec { name: "x".into(), datatype: tensor.datatype(), shape: None, optional: false, labels: None };
        let call = predict(&body, &[x]);
        prop_assert!(call.as_ref().is_ok_and(|call| same(&call.request.inputs[0].tensor, &tensor)), "{body} {call:?}");
    }

    #[test]
    fn strict_json_is_valid(tensor in tensor()) {
        let form = ResponseForm { nonfinite: pointsman_wire::v2::Nonfinite::Null, ..ResponseForm::default() };
        let answer = encode_infer(&prediction(&[("y", &tensor)]), &form).expect("an answer");
        prop_assert!(serde_json::from_slice::<Value>(&answer.segments[0]).is_ok());
    }
}
