//! Requests over REST that cannot be answered: each is refused with a stable code and a message that
//! says what is wrong, and the next good one is answered.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use pointsman_tests::{Gateway, Start, TestRegistry, post, request};
use serde_json::{Value, json};

const INFER: &str = "/v2/models/iris/infer";
const V1: &str = "/v1/models/iris:predict";

/// The body limit of these gateways: small, so that going over it costs little.
pub(crate) const BODY_MAX: usize = 1 << 20;

/// A gateway that refuses bodies over [`BODY_MAX`] and serves one model: input `X`, FP32, `[-1,4]`.
pub(crate) fn gateway() -> (TestRegistry, Gateway) {
    let registry = TestRegistry::new().made("iris", "identity");
    let gateway = Start::over(registry.path()).config("[limits]\nbody_bytes_max = \"1MiB\"\n").start();
    (registry, gateway)
}

/// A request with this one input.
fn one(input: &Value) -> String {
    json!({ "inputs": [input] }).to_string()
}

/// The good input with one of its members replaced.
fn with(key: &str, value: Value) -> Value {
    let mut input = json!({"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]});
    input[key] = value;
    input
}

/// The good input without one of its members.
fn without(key: &str) -> Value {
    let mut input = with("name", json!("X"));
    input.as_object_mut().expect("an object").remove(key);
    input
}

/// The good request.
pub(crate) fn good() -> String {
    one(&with("name", json!("X")))
}

/// The good request with the value of `data` written as it stands here.
pub(crate) fn data(text: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"X","shape":[1,4],"datatype":"FP32","data":{text}}}]}}"#)
}

pub(crate) fn assert_serves(gateway: &Gateway, after: &str) {
    let answer = post(gateway.http, INFER, good());
    assert_eq!(answer.status, 200, "after {after}: {}", answer.text());
}

/// Sends a body and holds the answer to what it should be; then the gateway still serves.
fn refused(
    gateway: &Gateway,
    path: &str,
    (headers, body): (&[(&str, &str)], &[u8]),
    (status, code): (u16, &str),
    says: &[&str],
) {
    let what = format!("{path}: {}", String::from_utf8_lossy(&body[..body.len().min(200)]));
    let answer = request("POST", gateway.http, path, headers, Some(body));
    let (message, found) = answer.error();
    assert_eq!((answer.status, found.as_str()), (status, code), "{what}: {message}");
    for part in says {
        assert!(message.contains(part), "{what}: {message:?} does not say {part:?}");
    }
    assert!(message.len() < 1000, "{what}: {} bytes of message", message.len());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    assert_serves(gateway, &what);
}

#[test]
fn tensors_that_are_not_what_they_say() {
    let (_registry, gateway) = gateway();
    let bad = "BAD_REQUEST";
    let overflow: &[&str] = &["'X'", "more elements than can be addressed"];
    let cases: &[(String, &str, &[&str])] = &[
        (one(&with("datatype", json!("FP64"))), "INPUT_MISMATCH", &["'X'", "'FP64'", "'FP32'"]),
        (one(&with("datatype", json!("FLOAT"))), bad, &["inputs[0]", "'FLOAT'", "FP32"]),
        (one(&without("datatype")), bad, &["inputs[0]", "'datatype'"]),
        (one(&without("shape")), bad, &["inputs[0]", "'shape'"]),
        (one(&without("name")), bad, &["inputs[0]", "'name'"]),
        (one(&without("data")), bad, &["'data'", "no field is set"]),
        (one(&with("data", json!([1, 2, 3]))), bad, &["'X'", "[1,4] takes 4 elements, got 3"]),
        (one(&with("data", json!([1, 2, 3, 4, 5]))), bad, &["'X'", "[1,4] takes 4 elements, got 5"]),
        (one(&with("data", json!([1, null, 3, 4]))), bad, &["'X'", "element 1 is null", "FP32"]),
        (one(&with("data", json!([1, "2", 3, 4]))), bad, &["'X'", "element 1 is \"2\"", "FP32"]),
        (one(&with("data", json!([[1, 2, 3, 4], [1, 2]]))), bad, &["'X'", "takes 1 items", "got 2"]),
        (one(&with("data", json!([[1, 2, 3]]))), bad, &["'X'", "along dimension 1", "got 3"]),
        (one(&with("data", json!([[1, 2], 3, 4]))), bad, &["'X'"]),
        (one(&with("data", json!(7))), bad, &["'X'", "must be a list", "7"]),
        (one(&with("shape", json!([-1, 4]))), bad, &["dimension 0", "inputs[0]", "-1"]),
        (one(&with("shape", json!([1.5, 4]))), bad, &["dimension 0", "inputs[0]", "1.5"]),
        (one(&with("shape", json!([4]))), "INPUT_MISMATCH", &["'X'", "[-1,4]", "[4]"]),
        (one(&with("shape", json!([2, 2]))), "INPUT_MISMATCH", &["'X'", "[-1,4]", "[2,2]"]),
        (one(&with("shape", json!([1_u64 << 32, 1_u64 << 32]))), bad, overflow),
        (one(&with("shape", json!([1_u64 << 63, 4]))), bad, overflow),
        (one(&with("shape", json!([1_u64 << 63]))), bad, &["'X'", "9223372036854775808", "got 4"]),
        (one(&with("shape", json!([16, 1_152_921_504_606_846_978_u64]))), bad, overflow),
        (data("[1e39,2,3,4]"), bad, &["'X'", "element 0 is 1e39"]),
    ];
    for (body, code, says) in cases {
        refused(&gateway, INFER, (&[], body.as_bytes()), (400, code), says);
    }
}

#[test]
fn requests_that_are_not_what_the_model_takes() {
    let (_registry, gateway) = gateway();
    let x = with("name", json!("X"));
    let (bad, mismatch) = ("BAD_REQUEST", "INPUT_MISMATCH");
    let outputs = |names: &[&str]| {
        let outputs: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({"inputs": [x], "outputs": outputs}).to_string()
    };
    let many = vec![x.clone(); 300];
    let long = with("name", json!("n".repeat(5000)));
    let cases: &[(String, &str, &[&str])] = &[
        (json!({"inputs": [x, x]}).to_string(), mismatch, &["'X'", "more than once"]),
        (json!({"inputs": []}).to_string(), mismatch, &["expected 1 inputs", "got 0", "'X'"]),
        (one(&with("name", json!("Y"))), mismatch, &["'Y'", "'X'"]),
        (outputs(&["nothing"]), mismatch, &["'nothing'", "iris"]),
        (outputs(&["Y", "Y"]), mismatch, &["'Y'", "more than once"]),
        (json!({ "inputs": many }).to_string(), bad, &["256 inputs", "tensors_max"]),
        (one(&long), bad, &["name", "4096"]),
        ("{}".into(), bad, &["'inputs'"]),
        ("[]".into(), bad, &["byte"]),
        (String::new(), bad, &["EOF"]),
        ("null".into(), bad, &["byte"]),
        (data("[1,2"), bad, &["byte"]),
        (data("[1,2,3,4]").replace("}]}", ""), bad, &["EOF"]),
        (data("[1,2,3,4],\"data\":[1,2,3,4]"), bad, &["inputs[0]", "data"]),
        (format!("{}x", good()), bad, &["byte"]),
    ];
    for (body, code, says) in cases {
        refused(&gateway, INFER, (&[], body.as_bytes()), (400, code), says);
    }
    for (path, status, code) in [
        ("/v2/models/nobody/infer", 404, "UNKNOWN_MODEL"),
        ("/v2/models/iris/versions/9/infer", 404, "UNKNOWN_VERSION"),
        ("/v2/models/iris/versions/0/infer", 400, "BAD_REQUEST"),
        ("/v2/models/iris/versions/nobody/infer", 404, "UNKNOWN_VERSION"),
        ("/v2/models/..%2Firis/infer", 404, "UNKNOWN_MODEL"),
        ("/v2/models/iris/nothing", 404, "NOT_FOUND"),
        ("/v2/models/iris", 405, "METHOD_NOT_ALLOWED"),
    ] {
        refused(&gateway, path, (&[], good().as_bytes()), (status, code), &[]);
    }
}

#[test]
fn requests_of_v1_that_cannot_be_read() {
    let (_registry, gateway) = gateway();
    for (body, code) in [
        (r#"{"instances":[[1,2,3,4],[5,6]]}"#, "BAD_REQUEST"),
        (r#"{"instances":[[1,null,3,4]]}"#, "BAD_REQUEST"),
        (r#"{"instances":[[1,"2",3,4]]}"#, "BAD_REQUEST"),
        (r#"{"instances":[[1,2,3]]}"#, "INPUT_MISMATCH"),
        (r#"{"instances":[{"Y":[1,2,3,4]}]}"#, "BAD_REQUEST"),
        (r#"{"instances":[[1,2,3,4]"#, "BAD_REQUEST"),
        (r#"{"instances":7}"#, "BAD_REQUEST"),
        (r#"{"instances":[[1,2,3,4]],"inputs":[[1,2,3,4]]}"#, "BAD_REQUEST"),
        ("{}", "BAD_REQUEST"),
    ] {
        refused(&gateway, V1, (&[], body.as_bytes()), (400, code), &[]);
    }
}

#[test]
fn json_that_is_too_deep() {
    let (_registry, gateway) = gateway();
    for levels in [50_000, 250_000] {
        let deep = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let object = "{\"a\":".repeat(levels / 5) + "1" + &"}".repeat(levels / 5);
        let unknown = format!("{{\"other\":{deep},{}", &good()[1..]);
        let parameter = format!("{{\"parameters\":{{\"a\":{deep}}},{}", &good()[1..]);
        let early = format!(r#"{{"inputs":[{{"data":{deep},"name":"X"}}]}}"#);
        for body in [data(&deep), data(&object), unknown, parameter, early, deep.clone(), object.clone()] {
            refused(&gateway, INFER, (&[], body.as_bytes()), (400, "BAD_REQUEST"), &[]);
        }
        let instances = format!("{{\"instances\":{deep}}}");
        refused(&gateway, V1, (&[], instances.as_bytes()), (400, "BAD_REQUEST"), &[]);
    }
}

/// A body of JSON with one binary input and `tail` behind it.
fn binary(datatype: &str, shape: &Value, declared: &Value, tail: &[u8]) -> (String, Vec<u8>) {
    let input = json!({"name": "X", "shape": shape, "datatype": datatype,
                       "parameters": {"binary_data_size": declared}});
    let json = one(&input);
    (json.len().to_string(), [json.as_bytes(), tail].concat())
}

#[test]
fn binary_bodies_that_do_not_add_up() {
    let (_registry, gateway) = gateway();
    let (shape, sixteen) = (json!([1, 4]), [0_u8; 16]);
    let lie = [u32::MAX.to_le_bytes(), [0; 4]].concat();
    type Case<'a> = (&'a str, Value, Value, &'a [u8], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("FP32", shape.clone(), json!(20), &sixteen, &["'X'", "expecting 4 additional bytes"]),
        ("FP32", shape.clone(), json!(12), &sixteen, &["'X'", "16", "12"]),
        ("FP32", shape.clone(), json!(16), &[0; 20], &["unexpected additional input data", "4 bytes"]),
        ("FP32", shape.clone(), json!(16), &[], &["'X'", "expecting 16 additional bytes"]),
        ("FP32", shape.clone(), json!(1_u64 << 63), &sixteen, &["'X'", "expecting"]),
        ("FP32", shape.clone(), json!(u64::MAX), &sixteen, &["'X'", "expecting"]),
        ("FP32", shape.clone(), json!(-16), &sixteen, &["binary_data_size", "-16"]),
        ("FP32", shape.clone(), json!("16"), &sixteen, &["binary_data_size"]),
        ("FP32", json!([1_u64 << 62, 4]), json!(16), &sixteen, &["'X'"]),
        ("BYTES", json!([1]), json!(8), &lie, &["'X'"]),
        ("BYTES", json!([1_u64 << 62]), json!(8), &lie, &["'X'"]),
    ];
    for (datatype, shape, declared, tail, says) in cases {
        let (length, body) = binary(datatype, shape, declared, tail);
        let headers = [("inference-header-content-length", length.as_str())];
        refused(&gateway, INFER, (&headers, &body), (400, "BAD_REQUEST"), says);
    }
    let (_, body) = binary("FP32", &shape, &json!(16), &sixteen);
    let cut = (body.len() - 20).to_string();
    for length in ["99999999999", "-1", "12x", "18446744073709551616", "1e2", "", cut.as_str()] {
        let headers = [("inference-header-content-length", length)];
        refused(&gateway, INFER, (&headers, &body), (400, "BAD_REQUEST"), &[]);
    }
    // The whole body as one tensor: its rows have to come out even.
    let headers = [("inference-header-content-length", "0")];
    refused(&gateway, INFER, (&headers, &[0; 18]), (400, "BAD_REQUEST"), &["'X'", "18"]);
    assert_eq!(request("POST", gateway.http, INFER, &headers, Some(&[0; 32])).status, 200);
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

#[test]
fn bodies_that_do_not_unpack() {
    let (_registry, gateway) = gateway();
    let packed = gzip(good().as_bytes());
    let bomb = gzip(&vec![b' '; 16 * BODY_MAX]);
    assert!(bomb.len() < BODY_MAX / 10, "a bomb is small: {}", bomb.len());
    let garbage = [&packed[..], b"more"].concat();
    let mut flipped = packed.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let nested = gzip(&packed);
    let (too_large, bad) = ((413, "TOO_LARGE"), (400, "BAD_REQUEST"));
    let unsupported = (415, "UNSUPPORTED_ENCODING");
    for (encoding, body, answer, says) in [
        ("gzip", &bomb, too_large, "1048576"),
        ("gzip", &packed[..packed.len() / 2].to_vec(), bad, "breaks off"),
        ("gzip", &garbage, bad, "behind its end"),
        ("gzip", &flipped, bad, "damaged"),
        ("gzip", &good().into_bytes(), bad, "damaged"),
        ("gzip", &Vec::new(), bad, "breaks off"),
        ("deflate", &packed, bad, "damaged"),
        ("br", &packed, unsupported, "gzip"),
        ("zstd", &packed, unsupported, "zstd"),
        ("gzip, gzip", &nested, unsupported, "gzip"),
    ] {
        refused(&gateway, INFER, (&[("content-encoding", encoding)], body), answer, &[says]);
    }
    let answer = request("POST", gateway.http, INFER, &[("content-encoding", "gzip")], Some(&packed));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn bodies_over_the_limit() {
    use pointsman_tests::Connection;

    let (_registry, gateway) = gateway();
    let body = vec![b' '; BODY_MAX + 1];
    refused(&gateway, INFER, (&[], &body), (413, "TOO_LARGE"), &["1048576", "limits.body_bytes_max"]);
    // Far over it, and sent to its end before the client looks for an answer.
    refused(&gateway, INFER, (&[], &vec![b' '; 16 * BODY_MAX]), (413, "TOO_LARGE"), &["1048576"]);
    let at_the_limit = [good().into_bytes(), body].concat()[..BODY_MAX].to_vec();
    assert_eq!(post(gateway.http, INFER, at_the_limit).status, 200);

    // Refused by its declared length, before a byte of it is sent.
    let mut declared = Connection::open(gateway.http);
    let head = format!("POST {INFER} HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
    declared.send(head.as_bytes());
    assert_eq!(declared.answer().expect("an answer").status, 413);

    // Chunks say nothing of the length of the whole.
    let mut chunked = Connection::open(gateway.http);
    chunked
        .send(format!("POST {INFER} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes());
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    for _ in 0..=BODY_MAX / 0x10000 {
        chunked.send(&chunk);
    }
    let answer = chunked.answer().expect("an answer");
    assert_eq!((answer.status, answer.error().1.as_str()), (413, "TOO_LARGE"));

    // A body that breaks off is nobody's to answer, and does no harm.
    let mut broken = Connection::open(gateway.http);
    broken.send(format!("POST {INFER} HTTP/1.1\r\nhost: g\r\ncontent-length: 500\r\n\r\n{{").as_bytes());
    drop(broken);
    assert_serves(&gateway, "a body that breaks off");
    gateway.wait_for_metric("pointsman_requests_in_flight", "", |in_flight| in_flight == 0.0);
}
