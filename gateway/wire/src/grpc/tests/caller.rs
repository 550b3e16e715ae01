//! Requests as callers write them, and answers as they read them.

use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{Datatype, InputTensor, ParameterValue, RequestId, Shape, StringTensorBuilder, Tensor};

use crate::grpc::proto::ModelInferResponse;
use crate::grpc::proto::model_infer_response::InferOutputTensor;
use crate::grpc::{RequestForm, decode_answer, decode_infer, encode_request};
use crate::limits::Limits;

fn input(datatype: Datatype) -> InputTensor {
    let mut strings = StringTensorBuilder::default();
    strings.push(b"a\0").expect("short");
    let data = match datatype.size() {
        Some(size) => [vec![1], vec![0; size - 1]].concat().into(),
        None => strings.finish(),
    };
    let shape = Shape::new(&[1]).expect("small");
    InputTensor { name: "x".into(), tensor: Tensor::new(datatype, shape, data).expect("it fits") }
}

#[test]
fn a_request_of_any_datatype_is_read_as_it_was_written() {
    for typed in [false, true] {
        let form = RequestForm {
            model: "m".into(),
            version: "3".into(),
            id: "7".into(),
            parameters: vec![
                ("priority".into(), ParameterValue::Uint(2)),
                ("note".into(), ParameterValue::String("n".into())),
            ],
            timeout: Some(Duration::from_micros(9)),
            outputs: vec!["y".into()],
            typed,
        };
        for datatype in Datatype::ALL {
            let sent = input(datatype);
            let encoded = encode_request(std::slice::from_ref(&sent), &form);
            if typed && matches!(datatype, Datatype::Fp16 | Datatype::Bf16) {
                assert!(encoded.expect_err("they have no field").to_string().contains("send it raw"));
                continue;
            }
            let message = encoded.expect("it can be said");
            assert_eq!(message.raw_input_contents.is_empty(), typed);
            let read = decode_infer(message, RequestId::generate(), &Limits::default()).expect("sound");
            assert_eq!(read.request.inputs[0].tensor, sent.tensor, "{datatype}, typed: {typed}");
            assert_eq!((read.request.client_id.as_deref(), read.timeout), (Some("7"), form.timeout));
            assert_eq!(
                (read.request.outputs, read.request.parameters.len()),
                (form.outputs.clone(), 1),
                "priority is no custom one"
            );
        }
    }
}

fn answer(datatype: &str, shape: &[i64], raw: &[&'static [u8]]) -> ModelInferResponse {
    let output = InferOutputTensor {
        name: "y".into(),
        datatype: datatype.into(),
        shape: shape.into(),
        ..InferOutputTensor::default()
    };
    ModelInferResponse {
        outputs: vec![output],
        raw_output_contents: raw.iter().map(|&data| Bytes::from_static(data)).collect(),
        ..ModelInferResponse::default()
    }
}

#[test]
fn answers_are_read_raw_and_typed() {
    let raw = decode_answer(answer("INT32", &[1], &[&[1, 0, 0, 0]])).expect("sound");
    let mut typed = answer("INT32", &[1], &[]);
    typed.outputs[0].contents =
        Some(crate::grpc::proto::InferTensorContents { int_contents: vec![1], ..Default::default() });
    let typed = decode_answer(typed).expect("sound");
    assert_eq!((&*raw[0].name, raw[0].tensor.values::<i32>()), ("y", Some(&[1][..])));
    assert_eq!(typed[0].tensor, raw[0].tensor);
}

#[test]
fn answers_that_are_no_tensors_are_refused() {
    for (message, said) in [
        (answer("INT32", &[1], &[&[1, 0, 0]]), "byte size mismatch"),
        (answer("INT32", &[1], &[]), "unable to find data"),
        (answer("INT33", &[1], &[&[1]]), "unknown datatype"),
        (answer("INT8", &[-1], &[&[1]]), "negative dimension"),
        (answer("INT8", &[1], &[&[1], &[2]]), "2 entries"),
    ] {
        let error = decode_answer(message).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
}
