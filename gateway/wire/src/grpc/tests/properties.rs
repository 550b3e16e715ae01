//! What holds for every message.

use bytes::Bytes;
use pointsman_core::{Datatype, Shape, StringTensorBuilder, Tensor};
use prop::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::answer::prediction;
use super::{decode, request};
use crate::grpc::proto::model_infer_request::InferInputTensor;
use crate::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use crate::grpc::{ResponseForm, encode_infer};

/// Tensors of every datatype, of up to three dimensions, with any bits that the datatype may have.
fn tensor() -> impl Strategy<Value = Tensor> {
    let datatype = prop::sample::select(&Datatype::ALL[..]);
    (datatype, vec(0_u64..4, 0..4)).prop_flat_map(|(datatype, dims)| {
        let elements = dims.iter().product::<u64>() as usize;
        let data = match datatype.size() {
            Some(size) => {
                let highest = if datatype == Datatype::Bool { 1 } else { u8::MAX };
                vec(0..=highest, elements * size).prop_map(Bytes::from).boxed()
            }
            None => vec(vec(any::<u8>(), 0..6), elements).prop_map(|s| strings(&s)).boxed(),
        };
        data.prop_map(move |data| {
            Tensor::new(datatype, Shape::new(&dims).expect("small"), data).expect("fits")
        })
    })
}

fn strings(elements: &[Vec<u8>]) -> Bytes {
    let mut builder = StringTensorBuilder::default();
    for element in elements {
        builder.push(element).expect("short");
    }
    builder.finish()
}

/// The tensors of a response, sent back as the inputs of a request.
fn sent_back(response: ModelInferResponse) -> Vec<Tensor> {
    let wire = response.encode_to_vec();
    let response = ModelInferResponse::decode(Bytes::from(wire)).expect("well formed");
    let input = |output: crate::grpc::proto::model_infer_response::InferOutputTensor| InferInputTensor {
        name: output.name,
        datatype: output.datatype,
        shape: output.shape,
        contents: output.contents,
        ..Default::default()
    };
    let mut message = request(response.outputs.into_iter().map(input).collect(), &[]);
    message.raw_input_contents = response.raw_output_contents;
    let wire = message.encode_to_vec();
    let message = ModelInferRequest::decode(Bytes::from(wire)).expect("well formed");
    decode(message).expect("was encoded").request.inputs.into_iter().map(|i| i.tensor).collect()
}

proptest! {
    #[test]
    fn raw_tensors_round_trip(tensors in vec(tensor(), 1..4)) {
        let made = prediction(tensors.iter().map(|t| ("y", t.clone())).collect());
        let response = encode_infer(&made, &ResponseForm::default()).expect("raw");
        prop_assert_eq!(sent_back(response), tensors);
    }

    #[test]
    fn typed_tensors_round_trip_and_equal_raw_ones(tensor in tensor()) {
        let made = prediction(vec![("y", tensor.clone())]);
        let form = ResponseForm { typed: true, ..ResponseForm::default() };
        match encode_infer(&made, &form) {
            Ok(response) => prop_assert_eq!(sent_back(response), [tensor]),
            Err(_) => prop_assert!(matches!(tensor.datatype(), Datatype::Fp16 | Datatype::Bf16)),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(message) = ModelInferRequest::decode(Bytes::from(bytes)) {
            let _ = decode(message);
        }
    }

    #[test]
    fn arbitrary_inputs_never_panic(
        datatype in prop::sample::select(&Datatype::ALL[..]),
        shape in vec(prop_oneof![-2_i64..5, Just(i64::MIN), Just(i64::MAX), any::<i64>()], 0..36),
        data in vec(any::<u8>(), 0..40),
        numbers in vec(any::<i32>(), 0..5),
        form in 0..4,
    ) {
        let contents = match form {
            0 => None,
            1 => Some(InferTensorContents { int_contents: numbers, ..Default::default() }),
            2 => Some(InferTensorContents { bytes_contents: vec![data.clone().into()], ..Default::default() }),
            _ => Some(InferTensorContents {
                uint_contents: numbers.iter().map(|n| n.unsigned_abs()).collect(),
                ..Default::default()
            }),
        };
        let raw = [&data[..]];
        let raw = if contents.is_none() { &raw[..] } else { &[] };
        let input = InferInputTensor {
            name: "x".into(),
            datatype: datatype.name().into(),
            shape: shape.clone(),
            contents,
            ..Default::default()
        };
        if let Ok(call) = decode(request(vec![input], raw)) {
            let tensor = &call.request.inputs[0].tensor;
            let dims: Vec<i64> = tensor.shape().dims().iter().map(|&d| d as i64).collect();
            prop_assert_eq!(dims, shape);
        }
    }
}
