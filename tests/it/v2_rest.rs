//! V2 REST against the real server: the vectors V1 to V14 of the protocol's reference.

mod binary;
mod documents;
mod encoding;
mod json;
mod raw;
mod values;

use pointsman_core::Datatype;
use pointsman_tests::{Answer, Gateway, OnnxModel, Start, TestRegistry, request, v2};

/// Models small enough to know their answers: `add` gives `y = a + b`, in version 1 as `champion`;
/// its version 2 gives `y = a * b`. `pair` gives `x + x` and `x`.
fn models() -> TestRegistry {
    let two_inputs = |operator: &str| {
        let model = OnnxModel::new();
        let model = model.input("a", Datatype::Fp32, &[-1, 2]).input("b", Datatype::Fp32, &[-1, 2]);
        model.node(operator, &["a", "b"], "y").output("y", Datatype::Fp32, &[-1, 2]).bytes()
    };
    let pair = OnnxModel::new().input("x", Datatype::Fp32, &[-1, 2]);
    let pair = pair.node("Add", &["x", "x"], "twice").node("Identity", &["x"], "same");
    let pair = pair.output("twice", Datatype::Fp32, &[-1, 2]).output("same", Datatype::Fp32, &[-1, 2]);
    TestRegistry::new()
        .file("add/1/model.onnx", two_inputs("Add"))
        .file("add/2/model.onnx", two_inputs("Mul"))
        .file(
            "add/model.toml",
            "serve = 1\nload = \"all\"\n[aliases]\nchampion = 1\nchallenger = 2\n\
             [outputs.y]\nlabels = [\"cat\", \"dog\"]\n",
        )
        .file("pair/1/model.onnx", pair.bytes())
        .file("broken/1/model.onnx", "<html>no model</html>")
}

fn start() -> Gateway {
    Start::over(models().path()).start()
}

/// A body of JSON with tensors behind it.
fn post_binary(gateway: &Gateway, path: &str, json: &str, tensors: &[u8]) -> Answer {
    let length = json.len().to_string();
    let body = [json.as_bytes(), tensors].concat();
    request("POST", gateway.http, path, &[(v2::HEADER_LENGTH, &length)], Some(&body))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
