//! V11: a body that is the only input's tensor and nothing else.

use pointsman_core::Datatype;
use pointsman_tests::{OnnxModel, Start, request, v2};

use super::{floats, models};

#[test]
fn a_body_that_is_the_tensor() {
    let any = OnnxModel::identity(Datatype::Fp32, &[-1, -1]).bytes();
    let text = OnnxModel::identity(Datatype::Bytes, &[-1]).bytes();
    let registry = models().file("any/1/model.onnx", any).file("text/1/model.onnx", text);
    let gateway = Start::over(registry.path()).start();
    let ask = |model: &str, body: &[u8]| {
        let path = format!("/v2/models/{model}/infer");
        request("POST", gateway.http, &path, &[("Inference-Header-Content-Length", "0")], Some(body))
    };
    let rows = floats(&[1.0, 2.0, 3.0, 4.0]);
    let answer = ask("pair", &rows);
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{}", answer.text());
    let outputs = v2::outputs(&answer);
    assert_eq!(outputs[0].tensor.shape().dims(), [2, 2], "the open dimension is worked out");
    assert_eq!(outputs[0].tensor.data()[..], floats(&[2.0, 4.0, 6.0, 8.0]));
    assert_eq!(outputs[1].tensor.data()[..], rows);
    let outputs = v2::outputs(&ask("any", &rows));
    assert_eq!(outputs[0].tensor.shape().dims(), [1, 4], "of two open dimensions the first is the batch");
    let outputs = v2::outputs(&ask("text", b"a\0b"));
    assert_eq!(outputs[0].tensor, v2::strings(&[1], &[b"a\0b"]));

    let refused = ask("add", &rows);
    assert_eq!(refused.status, 400);
    assert!(
        refused.error().0.starts_with("Raw request must only have 1 input (found 2)"),
        "{}",
        refused.text()
    );
    assert_eq!(ask("pair", &rows[..7]).status, 400, "no whole number of rows");
}
