//! Outputs of a graph that are its inputs: the runtime gives the request's own memory back for them.

use pointsman_core::{Datatype, InputTensor};
use pointsman_tests::{Gateway, OnnxModel, Start, TestRegistry, request, v2};

/// Large enough that the memory of a finished request goes to somebody else at once.
const ELEMENTS: u64 = 20_000;

fn ask(gateway: &Gateway, seed: u64) {
    let values: Vec<f32> = (0..ELEMENTS).map(|i| (seed * ELEMENTS + i) as f32).collect();
    let input = InputTensor { name: "x".into(), tensor: v2::tensor(&[ELEMENTS], &values) };
    let (length, body) = v2::binary_request(std::slice::from_ref(&input));
    let length = length.to_string();
    let headers = [("inference-header-content-length", length.as_str())];
    let answer = request("POST", gateway.http, "/v2/models/through/infer", &headers, Some(&body));
    assert_eq!(answer.status, 200, "{}", answer.text());
    for output in v2::outputs(&answer) {
        assert_eq!(output.tensor, input.tensor, "output {} of request {seed}", output.name);
    }
}

#[test]
fn an_output_that_is_an_input_is_answered_whole() {
    let model = OnnxModel::new()
        .input("x", Datatype::Fp32, &[-1])
        .node("Identity", &["x"], "y")
        .output("x", Datatype::Fp32, &[-1])
        .output("y", Datatype::Fp32, &[-1]);
    let registry = TestRegistry::new().file("through/1/model.onnx", model.bytes());
    let gateway = Start::over(registry.path()).start();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let gateway = &gateway;
            scope.spawn(move || (0..25).for_each(|i| ask(gateway, thread * 25 + i)));
        }
    });
    assert_eq!(gateway.stop().code, Some(0));
}
