//! Made-up answers: right ones, and each way in which one can be wrong.

use pointsman_core::{Datatype, Shape, Tensor};
use pointsman_registry::ExpectedOutput;
use pointsman_wire::grpc::proto::model_infer_response::InferOutputTensor;
use prost::Message;

use super::*;
use crate::client::answer::{Head, Headers};

const HEAD: Head = Head { status: 200, version: None, json_length: None, last: false };

fn judge(written: Written, version: Option<u64>, expected: Option<f32>) -> Judge {
    let spec =
        TensorSpec { name: "y".into(), datatype: Datatype::Fp32, shape: None, optional: false, labels: None };
    let right = |value| {
        let tensor = Tensor::from_vec(Datatype::Fp32, Shape::new(&[1]).expect("small"), vec![value]);
        let output = ExpectedOutput { name: "y".into(), tensor: tensor.expect("it fits") };
        Expected { outputs: vec![output], rtol: 0.0, atol: 0.01 }
    };
    Judge {
        written,
        model: "m".into(),
        version,
        id: "7".into(),
        outputs: vec![spec],
        expected: expected.map(right),
        kept: Kept::default(),
    }
}

fn json(id: &str, version: &str, value: &str) -> Vec<u8> {
    let output = format!(r#"{{"name":"y","datatype":"FP32","shape":[1],"data":[{value}]}}"#);
    format!(r#"{{"id":"{id}","model_name":"m","model_version":"{version}","outputs":[{output}]}}"#).into()
}

/// A binary answer, and how much of it is JSON.
fn binary(value: f32) -> (Vec<u8>, usize) {
    let output = r#"{"name":"y","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}"#;
    let json = format!(r#"{{"model_name":"m","model_version":"3","outputs":[{output}]}}"#);
    let length = json.len();
    ([json.as_bytes(), &value.to_le_bytes()].concat(), length)
}

/// The code of the verdict on a success; nothing where it is right.
fn code(judge: &Judge, head: Head, body: &[u8]) -> Option<String> {
    match judge.http(&Answer { head, headers: Headers::Lines(&[]), body }).0 {
        Verdict::Right => None,
        Verdict::Wrong(fault) => Some(fault.code.into_owned()),
        other => panic!("{other}"),
    }
}

fn kept(judge: &Judge) -> usize {
    judge.kept.right.load().len()
}

#[test]
fn the_same_bytes_are_right_again_and_others_are_looked_at() {
    let judge = judge(Written::V2, None, Some(0.5));
    for _ in 0..3 {
        let answer = json("7", "3", "0.5");
        assert_eq!(
            judge.http(&Answer { head: HEAD, headers: Headers::Lines(&[]), body: &answer }),
            (Verdict::Right, Some(3))
        );
        assert_eq!(kept(&judge), 1);
    }
    // Within the tolerance, from another version, and wrong.
    assert_eq!(code(&judge, HEAD, &json("7", "3", "0.505")), None);
    assert_eq!(code(&judge, HEAD, &json("7", "4", "0.5")), None);
    assert_eq!(code(&judge, HEAD, &json("7", "3", "0.25")).as_deref(), Some("wrong values"));
    assert_eq!(kept(&judge), 3, "what is wrong is not kept");
    for digit in 0..2 * KEPT_MAX {
        assert_eq!(code(&judge, HEAD, &json("7", "3", &format!("0.50{digit}"))), None);
    }
    assert_eq!(kept(&judge), KEPT_MAX);
}

#[test]
fn each_way_to_be_wrong_has_a_code() {
    let right = json("7", "3", "0.5");
    let text = String::from_utf8_lossy(&right).into_owned();
    let other = |from: &str, to: &str| text.replace(from, to).into_bytes();
    let head = |version| Head { version: Some(version), ..HEAD };
    for (head, body, expected) in [
        (HEAD, right.clone(), None),
        (head(3), right.clone(), None),
        (HEAD, other(r#""id":"7","#, ""), None),
        (HEAD, other(r#""id":"7""#, r#""id":null"#), None),
        (HEAD, other(r#""model_version":"3","#, ""), None),
        (head(4), right.clone(), Some("wrong version")),
        (HEAD, json("7", "4", "0.5"), Some("wrong version")),
        (head(4), other(r#""model_version":"3","#, ""), Some("wrong version")),
        (HEAD, json("8", "3", "0.5"), Some("wrong id")),
        (HEAD, other(r#""m""#, r#""n""#), Some("wrong model")),
        (HEAD, other(r#""y""#, r#""z""#), Some("wrong outputs")),
        (HEAD, other("FP32", "FP64"), Some("wrong outputs")),
        (
            HEAD,
            other(r#"[{"name""#, r#"[{"name":"z","datatype":"INT8","shape":[0],"data":[]},{"name""#),
            Some("wrong outputs"),
        ),
        (HEAD, other("[1]", "[1,1]"), Some("wrong values")),
        (HEAD, other("0.5", "0.52"), Some("wrong values")),
        (HEAD, other("0.5", "0.5,0.5"), Some("malformed")),
        (HEAD, right[..right.len() - 1].to_vec(), Some("malformed")),
        (Head { json_length: Some(10), ..HEAD }, right.clone(), Some("malformed")),
        (HEAD, Vec::new(), Some("malformed")),
    ] {
        // Both before and after a right answer was kept.
        let judge = judge(Written::V2, Some(3), Some(0.5));
        for _ in 0..2 {
            let text = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(code(&judge, head, &body).as_deref(), expected, "{head:?} {text}");
            assert_eq!(code(&judge, HEAD, &right), None);
        }
    }
}

#[test]
fn a_head_that_names_another_version_than_the_kept_answer_is_wrong() {
    let judge = judge(Written::V2, None, None);
    let body = json("7", "3", "0.5");
    let head = |version| Head { version: Some(version), ..HEAD };
    assert_eq!(code(&judge, head(3), &body), None);
    assert_eq!(code(&judge, head(4), &body).as_deref(), Some("wrong version"));
}

#[test]
fn binary_values_of_which_none_is_known_are_not_looked_at() {
    let (body, length) = binary(0.5);
    let (other, _) = binary(0.75);
    let head = Head { json_length: Some(length), ..HEAD };
    let unknown = judge(Written::V2, None, None);
    for body in [&body, &other, &body] {
        assert_eq!(code(&unknown, head, body), None);
    }
    assert_eq!(kept(&unknown), 1, "the second was not decoded");
    assert_eq!(code(&unknown, head, &body[..body.len() - 1]).as_deref(), Some("malformed"));
    let known = judge(Written::V2, None, Some(0.5));
    assert_eq!(code(&known, head, &body), None);
    assert_eq!(code(&known, head, &other).as_deref(), Some("wrong values"));
}

#[test]
fn an_output_with_a_right_value_has_to_be_there() {
    let mut judge = judge(Written::V2, None, Some(0.5));
    judge.outputs.clear();
    assert_eq!(code(&judge, HEAD, &json("7", "3", "0.5")), None, "a server that says nothing of its outputs");
    let other = String::from_utf8_lossy(&json("7", "3", "0.5")).replace(r#""y""#, r#""z""#);
    assert_eq!(code(&judge, HEAD, other.as_bytes()).as_deref(), Some("wrong outputs"));
}

#[test]
fn answers_of_v1_are_judged_by_their_values() {
    let rows = judge(Written::V1(PredictForm::Row), Some(3), Some(0.5));
    assert_eq!(code(&rows, HEAD, br#"{"predictions":[0.5]}"#), None);
    assert_eq!(code(&rows, HEAD, br#"{"predictions": [0.5], "batchId": "x"}"#), None);
    assert_eq!(code(&rows, HEAD, br#"{"predictions":[0.25]}"#).as_deref(), Some("wrong values"));
    assert_eq!(code(&rows, HEAD, br#"{"outputs":[0.5]}"#).as_deref(), Some("malformed"));
    let head = Head { version: Some(4), ..HEAD };
    assert_eq!(code(&rows, head, br#"{"predictions":[0.5]}"#).as_deref(), Some("wrong version"));
    let columns = judge(Written::V1(PredictForm::Columnar), None, Some(0.5));
    assert_eq!(code(&columns, HEAD, br#"{"outputs":[0.5]}"#), None);
}

#[test]
fn long_answers_are_decoded_each_time() {
    let judge = judge(Written::V2, None, Some(0.5));
    let padded = |bytes: usize| {
        let answer = json("7", "3", "0.5");
        [vec![b' '; bytes - answer.len()], answer].concat()
    };
    assert_eq!(code(&judge, HEAD, &padded(KEPT_BYTES_MAX + 1)), None);
    assert_eq!(kept(&judge), 0);
    assert_eq!(code(&judge, HEAD, &padded(KEPT_BYTES_MAX)), None);
    assert_eq!(kept(&judge), 1);
}

#[test]
fn an_error_is_read_once() {
    let judge = judge(Written::V2, None, None);
    let refused = |status, body: &[u8]| {
        let head = Head { status, ..HEAD };
        judge.http(&Answer { head, headers: Headers::Lines(&[]), body }).0.to_string()
    };
    for _ in 0..2 {
        let body = br#"{"error":"busy","code":"OVERLOADED"}"#;
        assert_eq!(refused(503, body), "refused, OVERLOADED: busy");
        assert_eq!(refused(500, b"x"), "failed, HTTP 500: x");
        assert_eq!(refused(503, b"x"), "refused, HTTP 503: x");
    }
}

fn message_of(value: f32) -> Vec<u8> {
    let output = InferOutputTensor {
        name: "y".into(),
        datatype: "FP32".into(),
        shape: vec![1],
        ..InferOutputTensor::default()
    };
    ModelInferResponse {
        model_name: "m".into(),
        model_version: "3".into(),
        id: "7".into(),
        outputs: vec![output],
        raw_output_contents: vec![value.to_le_bytes().to_vec().into()],
        ..ModelInferResponse::default()
    }
    .encode_to_vec()
}

fn received(flag: u8, message: &[u8], status: Option<&'static str>) -> Received {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let trailers = status.map(|code| {
        let code = ("grpc-status", code);
        http::HeaderMap::from_iter([(code.0.parse().expect("a name"), code.1.parse().expect("a value"))])
    });
    let body = [&[flag], &length[..], message].concat().into();
    Received { head: HEAD, headers: http::HeaderMap::new(), body, trailers }
}

#[test]
fn answers_over_grpc_need_a_status_and_one_message() {
    let judge = judge(Written::Grpc, Some(3), Some(0.5));
    let verdict = |received: &Received| judge.grpc(received).0.to_string();
    for _ in 0..2 {
        assert_eq!(judge.grpc(&received(0, &message_of(0.5), Some("0"))), (Verdict::Right, Some(3)));
    }
    assert!(verdict(&received(0, &message_of(0.25), Some("0"))).starts_with("wrong, wrong values"));
    assert!(verdict(&received(1, &message_of(0.5), Some("0"))).starts_with("wrong, malformed"));
    assert!(verdict(&received(0, b"\xff", Some("0"))).starts_with("wrong, malformed"));
    assert!(verdict(&received(0, &message_of(0.5), Some("8"))).starts_with("refused, GRPC 8"));
    assert!(verdict(&received(0, &message_of(0.5), None)).starts_with("lost, connection"));
    let mut two = received(0, &message_of(0.5), Some("0"));
    two.body = [&two.body[..], &two.body[..]].concat().into();
    assert!(verdict(&two).starts_with("wrong, malformed"));
    let mut page = received(0, b"", None);
    page.head.status = 502;
    assert!(verdict(&page).starts_with("failed, HTTP 502"));
}
