//! Requests over gRPC that cannot be answered: the status, the stable code and the message.

use bytes::Bytes;
use pointsman_wire::grpc::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use pointsman_wire::grpc::proto::{InferTensorContents, ModelInferRequest};
use tonic::Code;

use crate::bad_input::{BODY_MAX, gateway};
use crate::calls::{Grpc, code_of};

/// The good request.
fn good() -> ModelInferRequest {
    let contents = InferTensorContents { fp32_contents: vec![5.1, 3.5, 1.4, 0.2], ..Default::default() };
    ModelInferRequest {
        model_name: "iris".into(),
        inputs: vec![InferInputTensor {
            name: "X".into(),
            datatype: "FP32".into(),
            shape: vec![1, 4],
            contents: Some(contents),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The good request with its input changed.
fn input(change: impl FnOnce(&mut InferInputTensor)) -> ModelInferRequest {
    let mut request = good();
    change(&mut request.inputs[0]);
    request
}

/// The good request with its data in raw form.
fn raw(entries: &[usize]) -> ModelInferRequest {
    let mut request = input(|x| x.contents = None);
    request.raw_input_contents = entries.iter().map(|&length| Bytes::from(vec![0; length])).collect();
    request
}

fn floats(count: usize) -> Option<InferTensorContents> {
    Some(InferTensorContents { fp32_contents: vec![0.0; count], ..Default::default() })
}

fn assert_refused(grpc: &Grpc, request: ModelInferRequest, expected: (Code, &str), says: &[&str]) {
    let status = grpc.infer(request).expect_err("a refusal");
    assert_eq!((status.code(), code_of(&status)), expected, "{status}");
    for part in says {
        assert!(status.message().contains(part), "{:?} does not say {part:?}", status.message());
    }
    grpc.infer(good()).expect("the next good request is answered");
}

#[test]
fn tensors_that_are_not_what_they_say() {
    let (_registry, gateway) = gateway();
    let grpc = Grpc::connect(gateway.grpc);
    let (bad, mismatch) = ((Code::InvalidArgument, "BAD_REQUEST"), (Code::InvalidArgument, "INPUT_MISMATCH"));
    let ints = || Some(InferTensorContents { int_contents: vec![1, 2, 3, 4], ..Default::default() });
    let fp64 = || Some(InferTensorContents { fp64_contents: vec![0.0; 4], ..Default::default() });
    let wrong_type = input(|x| {
        x.datatype = "FP64".into();
        x.contents = fp64();
    });
    assert_refused(&grpc, wrong_type, mismatch, &["'X'", "'FP64'", "'FP32'"]);
    let both = ModelInferRequest { raw_input_contents: vec![Bytes::from_static(&[0; 16])], ..good() };
    let lie = input(|x| {
        x.datatype = "BYTES".into();
        x.shape = vec![1];
        x.contents = None;
    });
    let lie = ModelInferRequest { raw_input_contents: vec![Bytes::from_static(&[0xff; 8])], ..lie };
    let cases: Vec<(ModelInferRequest, &[&str])> = vec![
        (input(|x| x.datatype = "FLOAT".into()), &["'X'", "'FLOAT'"]),
        (input(|x| x.datatype.clear()), &["'X'", "datatype"]),
        (input(|x| x.shape = vec![-1, 4]), &["'X'", "negative", "-1"]),
        (input(|x| x.shape = vec![1; 40]), &["'X'", "40 dimensions"]),
        (input(|x| x.shape = vec![1 << 62, 1 << 62]), &["'X'"]),
        (input(|x| x.shape = vec![i64::MAX]), &["'X'", "9223372036854775807", "4"]),
        (input(|x| x.contents = floats(3)), &["'X'", "4", "3"]),
        (input(|x| x.contents = floats(5)), &["'X'", "4", "5"]),
        (input(|x| x.contents = ints()), &["'X'", "FP32"]),
        (input(|x| x.contents = None), &["'X'", "unable to find data"]),
        (raw(&[12]), &["'X'", "Expected 16, got 12"]),
        (raw(&[20]), &["'X'", "Expected 16, got 20"]),
        (raw(&[16, 16]), &["1 inputs, but 2 entries"]),
        (both, &["'X'", "contents"]),
        (lie, &["'X'"]),
    ];
    for (request, says) in cases {
        assert_refused(&grpc, request, bad, says);
    }
    assert_refused(&grpc, input(|x| x.shape = vec![4]), mismatch, &["'X'", "[-1,4]", "[4]"]);
}

#[test]
fn requests_that_are_not_what_the_model_takes() {
    let (_registry, gateway) = gateway();
    let grpc = Grpc::connect(gateway.grpc);
    let (bad, mismatch) = ((Code::InvalidArgument, "BAD_REQUEST"), (Code::InvalidArgument, "INPUT_MISMATCH"));
    let x = || good().inputs.remove(0);
    let output = |name: &str| InferRequestedOutputTensor { name: name.into(), ..Default::default() };
    let cases: Vec<(ModelInferRequest, (Code, &str), &[&str])> = vec![
        (ModelInferRequest { inputs: vec![x(), x()], ..good() }, mismatch, &["'X'", "more than once"]),
        (ModelInferRequest { inputs: vec![], ..good() }, mismatch, &["expected 1 inputs", "'X'"]),
        (input(|x| x.name = "Y".into()), mismatch, &["'Y'", "'X'"]),
        (ModelInferRequest { outputs: vec![output("nothing")], ..good() }, mismatch, &["'nothing'"]),
        (ModelInferRequest { inputs: vec![x(); 300], ..good() }, bad, &["300", "256"]),
        (ModelInferRequest { model_version: "0".into(), ..good() }, bad, &["'0'"]),
        (
            ModelInferRequest { model_name: "nobody".into(), ..good() },
            (Code::NotFound, "UNKNOWN_MODEL"),
            &["'nobody'"],
        ),
        (
            ModelInferRequest { model_version: "9".into(), ..good() },
            (Code::NotFound, "UNKNOWN_VERSION"),
            &["'iris'", "9"],
        ),
        (input(|x| x.name = "n".repeat(5000)), bad, &["name", "4096"]),
    ];
    for (request, expected, says) in cases {
        assert_refused(&grpc, request, expected, says);
    }
}

#[test]
fn messages_over_the_limit() {
    let (_registry, gateway) = gateway();
    let grpc = Grpc::connect(gateway.grpc);
    assert_refused(&grpc, raw(&[BODY_MAX + 1]), (Code::ResourceExhausted, "TOO_LARGE"), &["1048576"]);
    let parts = ModelInferRequest { inputs: vec![InferInputTensor::default(); 70_000], ..good() };
    assert_refused(&grpc, parts, (Code::InvalidArgument, "BAD_REQUEST"), &["65536 fields"]);
    // They never reached the service, and count all the same, beside a good one after each.
    for (name, labels, count) in [
        ("pointsman_requests_received_total", "v2-grpc", 4.0),
        ("pointsman_requests_total", "code=\"TOO_LARGE\"", 1.0),
        ("pointsman_requests_total", "code=\"BAD_REQUEST\"", 1.0),
        ("pointsman_requests_in_flight", "", 0.0),
        ("pointsman_request_bytes", "", 0.0),
    ] {
        assert_eq!(gateway.metric(name, labels), count, "{name} {labels}");
    }
}
