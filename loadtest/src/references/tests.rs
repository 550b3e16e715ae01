//! Made-up answers: right ones, and each way in which one can be wrong.

use super::*;
use crate::client::answer::{Head, Headers};

const HEAD: Head = Head { status: 200, version: Some(2), json_length: None, last: false };

fn json(version: u64, data: &str) -> Vec<u8> {
    format!(r#"{{"model_name":"m","model_version":"{version}","outputs":[{data}]}}"#).into_bytes()
}

fn message(version: &str, data: &'static [u8]) -> ModelInferResponse {
    ModelInferResponse {
        model_name: "m".into(),
        model_version: version.into(),
        raw_output_contents: vec![data.into()],
        ..ModelInferResponse::default()
    }
}

fn binary(version: u64, data: &[u8]) -> Vec<u8> {
    [&json(version, "")[..], data].concat()
}

fn expected(version: u64, text: &str, data: &'static [u8]) -> Expected {
    let body = binary(version, data);
    let length = Some(json(version, "").len());
    let message = message(&version.to_string(), data);
    Expected::new(version, &json(version, text), (length, &body), message).expect("they name the version")
}

/// One input, which versions 1, 4, ... answer with 0.5, versions 2, 5, ... with 0.25.
fn references() -> References {
    let sources = vec![expected(1, "0.5", b"\x01"), expected(2, "0.25", b"\x02"), expected(3, "1", b"\x03")];
    References::new(vec![sources]).expect("they differ")
}

fn judge_json(head: Head, body: &[u8]) -> Verdict {
    references().judge_http(Protocol::HttpJson, 0, &Answer { head, headers: Headers::Lines(&[]), body })
}

fn is_mixed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Mixed(_))
}

#[test]
fn a_whole_answer_is_told_by_its_version() {
    assert_eq!(judge_json(HEAD, &json(2, "0.25")), Verdict::Whole { version: 2 });
    let head = Head { version: Some(14), ..HEAD };
    assert_eq!(judge_json(head, &json(14, "0.25")), Verdict::Whole { version: 14 });
    assert_eq!(
        references().judge_grpc(0, Some("11"), message("11", b"\x02")),
        Verdict::Whole { version: 11 }
    );
    for version in [2, 11] {
        let length = json(version, "").len();
        let head = Head { version: Some(version), json_length: Some(length), ..HEAD };
        let body = binary(version, b"\x02");
        let verdict = references().judge_http(
            Protocol::HttpBinary,
            0,
            &Answer { head, headers: Headers::Lines(&[]), body: &body },
        );
        assert_eq!(verdict, Verdict::Whole { version });
    }
}

#[test]
fn a_mixed_answer_over_http_is_found() {
    for (head, body) in [
        (HEAD, json(2, "0.5")),                               // another version's numbers
        (HEAD, json(1, "0.25")),                              // another version in the body
        (HEAD, json(1, "0.5")),                               // another version's whole body
        (HEAD, json(2, "0.25,0.25")),                         // more than the answer
        (HEAD, json(2, "0.2")),                               // less
        (HEAD, Vec::new()),                                   // nothing
        (Head { version: None, ..HEAD }, json(2, "0.25")),    // no header
        (Head { version: Some(0), ..HEAD }, json(0, "0.25")), // no version
        (Head { json_length: Some(3), ..HEAD }, json(2, "0.25")),
    ] {
        let verdict = judge_json(head, &body);
        assert!(is_mixed(&verdict), "{head:?} {}: {verdict:?}", String::from_utf8_lossy(&body));
    }
    let length = json(2, "").len();
    for (length, body) in [(length, binary(2, b"\x01")), (length - 1, binary(2, b"\x02"))] {
        let head = Head { json_length: Some(length), ..HEAD };
        let verdict = references().judge_http(
            Protocol::HttpBinary,
            0,
            &Answer { head, headers: Headers::Lines(&[]), body: &body },
        );
        assert!(is_mixed(&verdict), "{verdict:?}");
    }
}

#[test]
fn a_mixed_answer_over_grpc_is_found() {
    for (metadata, message) in [
        (Some("2"), message("2", b"\x01")),
        (Some("1"), message("2", b"\x02")),
        (None, message("2", b"\x02")),
        (Some("0"), message("0", b"\x02")),
        (Some("x"), message("x", b"\x02")),
        (Some("2"), ModelInferResponse { id: "7".into(), ..message("2", b"\x02") }),
    ] {
        let verdict = references().judge_grpc(0, metadata, message.clone());
        assert!(is_mixed(&verdict), "{metadata:?} {message:?}: {verdict:?}");
    }
}

#[test]
fn an_error_is_a_failure_whatever_it_holds() {
    let verdict = judge_json(Head { status: 503, ..HEAD }, &json(2, "0.25"));
    assert!(matches!(&verdict, Verdict::Failed(said) if said.contains("503")), "{verdict:?}");
}

#[test]
fn versions_that_answer_alike_are_refused() {
    let alike = vec![expected(1, "0.5", b"\x01"), expected(2, "0.25", b"\x01")];
    assert!(References::new(vec![alike]).expect_err("their binary answers are the same").contains("alike"));
    assert!(References::new(vec![vec![]]).is_err());
}
