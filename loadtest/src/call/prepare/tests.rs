//! Known requests of each kind, byte by byte.

use bytes::Buf;
use http_body_util::BodyExt;
use pointsman_core::{
    InputTensor, ParameterValue, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec,
};
use pointsman_wire::grpc::proto::ModelInferRequest;

use super::*;

fn floats(name: &str, dims: &[u64], values: &[f32]) -> InputTensor {
    let shape = Shape::new(dims).expect("small");
    let tensor = Tensor::from_vec(Datatype::Fp32, shape, values.to_vec()).expect("it fits");
    InputTensor { name: name.into(), tensor }
}

fn strings(name: &str, values: &[&str]) -> InputTensor {
    let mut builder = StringTensorBuilder::default();
    values.iter().for_each(|value| builder.push(value.as_bytes()).expect("short"));
    let shape = Shape::new(&[values.len() as u64]).expect("small");
    let tensor = Tensor::new(Datatype::Bytes, shape, builder.finish()).expect("it fits");
    InputTensor { name: name.into(), tensor }
}

fn input(tensors: Vec<InputTensor>) -> Input {
    Input { id: "7".into(), tensors, ..Input::default() }
}

fn model(version: Option<&str>) -> Model {
    let output =
        TensorSpec { name: "y".into(), datatype: Datatype::Fp32, shape: None, optional: false, labels: None };
    let signature = Signature { inputs: Vec::new(), outputs: vec![output] };
    Model { name: "m".into(), version: version.map(Into::into), signature }
}

fn prepare(
    model: &Model,
    form: Form,
    transport: Transport,
    body: Body,
    input: &Input,
) -> Result<Call, String> {
    let endpoint = Endpoint { http: None, grpc: None, host: "h:80".into() };
    Call::prepare(&endpoint, model, Kind { form, transport, body }, input)
}

/// What is sent over HTTP/1.1.
fn http1(version: Option<&str>, form: Form, body: Body, input: &Input) -> String {
    let call = prepare(&model(version), form, Transport::Http1, body, input).expect("it can be said");
    match &call.0.request {
        Request::Http1(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

/// What is sent over HTTP/2, but for its body, and its body.
async fn http2(call: Call) -> (http::request::Parts, Bytes) {
    let (Request::Http2(request) | Request::Grpc(request)) = &call.0.request else { panic!("{call:?}") };
    let (parts, body) = request.clone().into_parts();
    (parts, body.collect().await.expect("it is there").to_bytes())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[test]
fn v2_in_json() {
    let x = input(vec![floats("x", &[1, 2], &[0.5, -2.0])]);
    let body = r#"{"id":"7","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[0.5,-2.0]}]}"#;
    let head = "POST /v2/models/m/infer HTTP/1.1\r\nHost: h:80\r\nContent-Type: application/json\r\n";
    let expected = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(http1(None, Form::V2, Body::Json, &x), expected);
    assert!(http1(Some("3"), Form::V2, Body::Json, &x).starts_with("POST /v2/models/m/versions/3/infer "));
    let odd = Model { name: "a b/c".into(), ..model(Some("x@y")) };
    assert_eq!(odd.v2_path(), "/v2/models/a%20b%2Fc/versions/x%40y");
}

/// The worked example of the protocol's reference: 135 bytes of JSON, 16 of tensor.
#[test]
fn v2_in_binary() {
    let x = Input { id: String::new(), ..input(vec![floats("x", &[1, 4], &[0.0; 4])]) };
    let sent = http1(None, Form::V2, Body::Binary, &x);
    for part in ["Content-Type: application/octet-stream\r\n", "Content-Length: 151\r\n"] {
        assert!(sent.contains(part), "{sent}");
    }
    assert!(sent.contains("Inference-Header-Content-Length: 135\r\n\r\n{\"parameters\""), "{sent}");
    let (parts, body) = block_on(http2(
        prepare(&model(None), Form::V2, Transport::Http2, Body::Binary, &x).expect("it can be said"),
    ));
    assert_eq!(parts.uri, "http://h:80/v2/models/m/infer");
    assert_eq!(parts.headers[v2::HEADER_LENGTH], "135");
    assert!(sent.as_bytes().ends_with(&body) && body.len() == 151);
}

#[test]
fn v2_as_a_raw_body() {
    let sent = http1(None, Form::V2, Body::Raw, &input(vec![floats("x", &[1], &[0.0])]));
    assert!(
        sent.ends_with("Content-Length: 4\r\nInference-Header-Content-Length: 0\r\n\r\n\0\0\0\0"),
        "{sent}"
    );
    let sent = http1(None, Form::V2, Body::Raw, &input(vec![strings("s", &["abc"])]));
    assert!(sent.ends_with("\r\n\r\nabc"), "a string without its length: {sent}");
}

#[test]
fn v1_in_rows_and_in_columns() {
    let (x, z) = (floats("x", &[2, 1], &[1.0, 2.0]), strings("z", &["a", "b"]));
    let sent = http1(None, Form::V1, Body::Json, &input(vec![x.clone()]));
    assert!(sent.starts_with("POST /v1/models/m:predict HTTP/1.1\r\n"), "{sent}");
    assert!(sent.ends_with("\r\n\r\n{\"instances\":[[1.0],[2.0]]}"), "{sent}");
    let sent = http1(None, Form::V1, Body::Json, &input(vec![x.clone(), z.clone()]));
    assert!(sent.ends_with(r#"{"instances":[{"x":[1.0],"z":"a"},{"x":[2.0],"z":"b"}]}"#), "{sent}");
    let sent = http1(Some("3"), Form::TfServing, Body::Json, &input(vec![x, z]));
    assert!(sent.starts_with("POST /v1/models/m/versions/3:predict "), "{sent}");
    assert!(sent.ends_with(r#"{"inputs":{"x":[[1.0],[2.0]],"z":["a","b"]}}"#), "{sent}");
    let sent = http1(Some("champion"), Form::TfServing, Body::Json, &input(vec![floats("x", &[1], &[1.0])]));
    assert!(sent.starts_with("POST /v1/models/m/labels/champion:predict "), "{sent}");
}

#[test]
fn v2_over_grpc() {
    let x = Input {
        outputs: vec!["y".into()],
        parameters: vec![("priority".into(), ParameterValue::Int(1))],
        ..input(vec![floats("x", &[1, 2], &[0.5, 1.0])])
    };
    for (body, typed) in [(Body::Json, true), (Body::Binary, false)] {
        let call = prepare(&model(Some("3")), Form::V2, Transport::Grpc, body, &x).expect("it can be said");
        let (parts, mut sent) = block_on(http2(call));
        assert_eq!(parts.uri, "http://h:80/inference.GRPCInferenceService/ModelInfer");
        assert_eq!(
            (&parts.headers["content-type"], &parts.headers["te"]),
            (&"application/grpc".parse().expect("text"), &"trailers".parse().expect("text"))
        );
        assert_eq!((sent.get_u8(), sent.get_u32() as usize), (0, sent.len()));
        let message = ModelInferRequest::decode(sent).expect("a message");
        assert_eq!((message.model_name.as_str(), message.model_version.as_str()), ("m", "3"));
        assert_eq!((message.id.as_str(), message.outputs[0].name.as_str()), ("7", "y"));
        let contents = message.inputs[0].contents.as_ref().map(|contents| contents.fp32_contents.clone());
        assert_eq!(contents, typed.then(|| vec![0.5, 1.0]));
        assert_eq!(message.raw_input_contents.len(), usize::from(!typed));
        assert_eq!(message.parameters.len(), 1);
    }
}

#[test]
fn only_outputs_that_are_asked_for_are_expected() {
    let output = |name: &str| {
        let InputTensor { name, tensor } = floats(name, &[1], &[1.0]);
        pointsman_registry::ExpectedOutput { name, tensor }
    };
    let expected =
        super::super::input::Expected { outputs: vec![output("y"), output("z")], rtol: 0.0, atol: 0.0 };
    let all = Input { expected: Some(expected), ..input(vec![floats("x", &[1], &[1.0])]) };
    let asking = Input { outputs: vec!["y".into()], ..all.clone() };
    for (input, names) in [(all, "y z"), (asking, "y")] {
        let call = prepare(&model(None), Form::V2, Transport::Http1, Body::Json, &input).expect("sound");
        let expected = call.0.judge.expected.as_ref().expect("it is known");
        let found: Vec<&str> = expected.outputs.iter().map(|output| output.name.as_str()).collect();
        assert_eq!(found.join(" "), names);
    }
}

#[test]
fn what_cannot_be_said_is_refused() {
    let x = || floats("x", &[1], &[1.0]);
    let one = input(vec![x()]);
    let refused = |version, form, body, input: &Input| {
        prepare(&model(version), form, Transport::Http1, body, input).expect_err("it cannot be said")
    };
    assert!(refused(Some("3"), Form::V1, Body::Json, &one).contains("no versions"));
    assert!(refused(None, Form::V1, Body::Binary, &one).contains("JSON alone"));
    assert!(refused(None, Form::V2, Body::Raw, &input(vec![x(), x()])).contains("there are 2"));
    let several = input(vec![strings("s", &["a", "b"])]);
    assert!(refused(None, Form::V2, Body::Raw, &several).contains("one string"));
    let scalar = input(vec![floats("x", &[], &[1.0])]);
    assert!(refused(None, Form::V1, Body::Json, &scalar).contains("no shape information"));
    let timed = Input { timeout: Some(std::time::Duration::from_secs(1)), ..one.clone() };
    assert!(refused(None, Form::V2, Body::Raw, &timed).contains("timeout"));
    assert!(refused(None, Form::TfServing, Body::Json, &timed).contains("timeout"));
    let asking = Input { outputs: vec!["q".into()], ..one.clone() };
    assert!(refused(None, Form::V1, Body::Json, &asking).contains("some outputs"));
    assert!(refused(None, Form::V2, Body::Json, &asking).contains("unexpected inference output 'q'"));
    let unknown = Model { signature: Signature::default(), ..model(None) };
    let v1 = prepare(&unknown, Form::V1, Transport::Http1, Body::Json, &one);
    assert!(v1.expect_err("its answers cannot be read").contains("does not say"));
    assert!(prepare(&unknown, Form::V2, Transport::Http1, Body::Json, &asking).is_ok());
}
