//! `ModelStreamInfer`: answers in the order of the requests, and errors as the caller wants them.

use futures_util::stream::iter;
use pointsman_core::{Datatype, InputTensor};
use pointsman_tests::{Gateway, OnnxModel, Start, TestRegistry, grpc, v2};
use pointsman_wire::grpc::proto::infer_parameter::ParameterChoice;
use pointsman_wire::grpc::proto::{InferParameter, ModelInferRequest, ModelInferResponse};
use tonic::{Code, Request};

fn start() -> Gateway {
    let model = OnnxModel::identity(Datatype::Int64, &[-1]).bytes();
    Start::over(TestRegistry::new().file("same/1/model.onnx", model).path()).start()
}

fn question(model: &str, number: i64) -> ModelInferRequest {
    let input = InputTensor { name: "x".into(), tensor: v2::tensor(&[1], &[number]) };
    ModelInferRequest { id: number.to_string(), ..grpc::raw_request(model, &[input]) }
}

fn number(response: &ModelInferResponse) -> i64 {
    grpc::outputs(response)[0].tensor.values::<i64>().expect("INT64")[0]
}

fn text<'a>(response: &'a ModelInferResponse, parameter: &str) -> Option<&'a ParameterChoice> {
    response.parameters.get(parameter).and_then(|parameter| parameter.parameter_choice.as_ref())
}

/// More requests than are worked on at a time.
#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let empty_final = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    let questions = (0..100).map(move |n| ModelInferRequest {
        parameters: [("triton_enable_empty_final_response".into(), empty_final.clone())].into(),
        ..question("same", n)
    });
    let mut answers = client.model_stream_infer(iter(questions)).await.expect("a stream").into_inner();
    for expected in 0..100 {
        let answer = answers.message().await.expect("an answer").expect("one for each request");
        assert_eq!(answer.error_message, "");
        let response = answer.infer_response.expect("a response");
        assert_eq!((response.id.parse(), number(&response)), (Ok(expected), expected));
        assert_eq!(text(&response, "triton_final_response"), Some(&ParameterChoice::BoolParam(true)));
        let arm = ParameterChoice::StringParam("default".into());
        assert_eq!(text(&response, "pointsman-arm"), Some(&arm));
    }
    assert_eq!(answers.message().await.expect("a clean end"), None);
    assert_eq!(gateway.metric("pointsman_requests_total", "code=\"OK\""), 100.0);
}

#[tokio::test]
async fn an_error_is_an_answer_and_the_stream_goes_on() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let questions = [question("same", 1), question("none", 2), question("same", 3)];
    let mut answers = client.model_stream_infer(iter(questions)).await.expect("a stream").into_inner();
    let mut next = async || answers.message().await.expect("an answer");
    assert_eq!(number(&next().await.and_then(|a| a.infer_response).expect("the first")), 1);
    let refused = next().await.expect("the second");
    assert_eq!(refused.error_message, "Request for unknown model: 'none' is not found");
    let inner = refused.infer_response.expect("it says which request");
    assert_eq!((inner.id.as_str(), inner.outputs.len()), ("2", 0));
    let code = ParameterChoice::StringParam("UNKNOWN_MODEL".into());
    assert_eq!(text(&inner, "pointsman-code"), Some(&code));
    assert_eq!(number(&next().await.and_then(|a| a.infer_response).expect("the third")), 3);
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn an_error_ends_the_stream_where_the_caller_asks() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let mut request = Request::new(iter([question("same", 1), question("none", 2), question("same", 3)]));
    request.metadata_mut().insert("triton_grpc_error", "true".parse().expect("a value"));
    let mut answers = client.model_stream_infer(request).await.expect("a stream").into_inner();
    let first = answers.message().await.expect("an answer").expect("the first");
    assert_eq!(number(&first.infer_response.expect("a response")), 1);
    let status = answers.message().await.expect_err("the second ends it");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.metadata().get("pointsman-code").expect("the stable code"), "UNKNOWN_MODEL");
}

/// What was decoded is no longer held: a stream may go on for ever.
#[tokio::test]
async fn a_stream_sends_more_than_may_be_in_flight() {
    let model = OnnxModel::identity(Datatype::Int64, &[-1]).bytes();
    let registry = TestRegistry::new().file("same/1/model.onnx", model);
    let config = "[limits]\nbytes_in_flight_max = \"1MiB\"\nbody_bytes_max = \"1MiB\"\n";
    let gateway = Start::over(registry.path()).config(config).start();
    let mut client = grpc::client(gateway.grpc).await;
    // 32 KiB each, 3 MiB in all.
    let values: Vec<i64> = (0..4096).collect();
    let input = InputTensor { name: "x".into(), tensor: v2::tensor(&[4096], &values) };
    let questions = iter((0..100).map(move |_| grpc::raw_request("same", std::slice::from_ref(&input))));
    let mut answers = client.model_stream_infer(questions).await.expect("a stream").into_inner();
    for number in 0..100 {
        let answer = answers.message().await.expect("an answer").expect("one for each request");
        assert_eq!(answer.error_message, "", "request {number}");
    }
}
