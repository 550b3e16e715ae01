//! The values that JSON carries: every datatype of V2, exactly, and what is no finite number.

use half::{bf16, f16};
use pointsman_core::{Datatype, InputTensor, Tensor};
use pointsman_tests::{Answer, Gateway, OnnxModel, Start, TestRegistry, post, request, v2};
use serde_json::json;

/// Values at the edges of every datatype.
fn edges() -> Vec<Tensor> {
    let f16s = [f16::MAX, f16::MIN_POSITIVE, f16::from_bits(1), f16::NEG_ZERO];
    let bf16s = [bf16::MAX, bf16::MIN_POSITIVE, bf16::from_bits(1), bf16::NEG_ZERO];
    vec![
        v2::new_tensor(Datatype::Bool, &[2], vec![0, 1]),
        v2::tensor(&[2], &[0, u8::MAX]),
        v2::tensor(&[2], &[0, u16::MAX]),
        v2::tensor(&[2], &[0, u32::MAX]),
        v2::tensor(&[3], &[0, (1 << 53) + 1, u64::MAX]),
        v2::tensor(&[2], &[i8::MIN, i8::MAX]),
        v2::tensor(&[2], &[i16::MIN, i16::MAX]),
        v2::tensor(&[2], &[i32::MIN, i32::MAX]),
        v2::tensor(&[4], &[i64::MIN, i64::MAX, (1 << 53) + 1, -1]),
        v2::tensor(&[4], &f16s),
        v2::tensor(&[4], &bf16s),
        v2::tensor(&[5], &[f32::MAX, f32::MIN_POSITIVE, 2.4e-42, -0.0, 0.1]),
        v2::tensor(&[5], &[f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 0.1]),
        v2::strings(&[4], &[b"", b"a\0b", "\u{1f600} \"quoted\"\n\\".as_bytes(), "\u{2028}".as_bytes()]),
    ]
}

/// A model for each datatype, named after it, that answers with its input.
fn identities() -> TestRegistry {
    Datatype::ALL.into_iter().fold(TestRegistry::new(), |registry, datatype| {
        registry.file(&format!("{datatype}/1/model.onnx"), OnnxModel::identity(datatype, &[-1]).bytes())
    })
}

fn path(datatype: Datatype) -> String {
    format!("/v2/models/{datatype}/infer")
}

/// V7 and the supersets: what goes in comes out, to the last bit, in JSON and in binary.
#[test]
fn every_datatype_comes_back_as_it_went() {
    let gateway = Start::over(identities().path()).start();
    let edges = edges();
    assert_eq!(edges.iter().map(Tensor::datatype).collect::<Vec<_>>(), Datatype::ALL);
    for tensor in edges {
        let input = [InputTensor { name: "x".into(), tensor: tensor.clone() }];
        let path = path(tensor.datatype());
        let answer = post(gateway.http, &path, v2::json_request(&input));
        assert_eq!(
            v2::outputs(&answer)[0].tensor,
            tensor,
            "{} as JSON: {}",
            tensor.datatype(),
            answer.text()
        );
        let (length, body) = v2::binary_request(&input);
        let headers = [(v2::HEADER_LENGTH, &*length.to_string())];
        let answer = request("POST", gateway.http, &path, &headers, Some(&body));
        assert_eq!(v2::outputs(&answer)[0].tensor, tensor, "{} in binary", tensor.datatype());
    }
}

#[test]
fn values_beyond_their_datatype_are_refused() {
    let gateway = Start::over(identities().path()).start();
    for (datatype, value) in [
        (Datatype::Bool, "1"),
        (Datatype::Uint8, "256"),
        (Datatype::Uint8, "-1"),
        (Datatype::Int8, "300"),
        (Datatype::Int8, "1.5"),
        (Datatype::Int16, "-32769"),
        (Datatype::Uint16, "65536"),
        (Datatype::Int32, "2147483648"),
        (Datatype::Uint32, "4294967296"),
        (Datatype::Int64, "9223372036854775808"),
        (Datatype::Uint64, "18446744073709551616"),
        (Datatype::Fp32, "true"),
        (Datatype::Fp32, "null"),
        (Datatype::Bytes, "7"),
        (Datatype::Bytes, r#""\ud800""#),
    ] {
        let body =
            format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"{datatype}","data":[{value}]}}]}}"#);
        let answer = post(gateway.http, &path(datatype), body);
        let (message, code) = answer.error();
        assert_eq!((answer.status, code.as_str()), (400, "BAD_REQUEST"), "{datatype} {value}: {message}");
    }
}

/// What is no finite number, as a request with this parameter sends and gets it.
fn nonfinite(gateway: &Gateway, model: &str, parameters: &str) -> Answer {
    let input = r#"{"name":"x","shape":[4],"datatype":"FP32","data":[NaN,Infinity,-Infinity,1]}"#;
    post(gateway.http, &format!("/v2/models/{model}/infer"), format!(r#"{{"inputs":[{input}]{parameters}}}"#))
}

#[test]
fn nonfinite_numbers_as_card_and_request_say() {
    let model = OnnxModel::identity(Datatype::Fp32, &[-1]).bytes();
    let registry = ["token", "null", "error"].into_iter().fold(TestRegistry::new(), |registry, word| {
        let registry = registry.file(&format!("{word}/1/model.onnx"), &model);
        registry.file(&format!("{word}/model.toml"), format!("nonfinite = \"{word}\"\n"))
    });
    let gateway = Start::over(registry.file("plain/1/model.onnx", &model).path()).start();
    let (tokens, nulls) = ("[NaN,Infinity,-Infinity,1.0]", "[null,null,null,1.0]");
    let asked = |word: &str| format!(r#","parameters":{{"nonfinite":"{word}"}}"#);
    for (model, parameters, data) in [
        ("plain", String::new(), tokens),
        ("token", String::new(), tokens),
        ("null", String::new(), nulls),
        ("null", asked("token"), tokens),
        ("error", asked("null"), nulls),
        ("plain", asked("null"), nulls),
    ] {
        let answer = nonfinite(&gateway, model, &parameters);
        assert_eq!(answer.status, 200, "{model}{parameters}: {}", answer.text());
        assert!(
            answer.text().contains(&format!("\"data\":{data}")),
            "{model}{parameters}: {}",
            answer.text()
        );
    }
    for (model, parameters) in [("error", String::new()), ("plain", asked("error"))] {
        let answer = nonfinite(&gateway, model, &parameters);
        assert_eq!(
            (answer.status, answer.error().1.as_str()),
            (400, "NOT_REPRESENTABLE"),
            "{model}{parameters}"
        );
        assert!(answer.error().0.contains("'y'"), "{}", answer.text());
        let binary = r#","parameters":{"binary_data_output":true}"#;
        assert_eq!(nonfinite(&gateway, model, binary).status, 200, "bytes have NaN");
    }
    assert_eq!(nonfinite(&gateway, "plain", &asked("maybe")).status, 400);
}

/// Rank 0, no rows, and a model that takes nothing a request could get wrong.
#[test]
fn scalars_and_empty_tensors() {
    let scalar = OnnxModel::identity(Datatype::Int64, &[]).bytes();
    let rows = OnnxModel::identity(Datatype::Fp32, &[-1, 3]).bytes();
    let registry = TestRegistry::new().file("scalar/1/model.onnx", scalar).file("rows/1/model.onnx", rows);
    let gateway = Start::over(registry.path()).start();
    let ask = |model: &str, input: serde_json::Value| {
        let answer =
            post(gateway.http, &format!("/v2/models/{model}/infer"), json!({"inputs": [input]}).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let output = &answer.json()["outputs"][0];
        (output["shape"].clone(), output["data"].clone())
    };
    for data in [json!([7]), json!(7)] {
        let input = json!({"name": "x", "shape": [], "datatype": "INT64", "data": data});
        assert_eq!(ask("scalar", input), (json!([]), json!([7])));
    }
    let input = json!({"name": "x", "shape": [0, 3], "datatype": "FP32", "data": []});
    assert_eq!(ask("rows", input), (json!([0, 3]), json!([])));
}
