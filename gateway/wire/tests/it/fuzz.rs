//! A fuzz target for each decoder of bytes from outside.
//!
//! As tests they replay the seeds of `__fuzz__/<target>/corpus`, with everything that a fuzzer once
//! found, and a bounded number of random inputs. `cargo bolero test -p pointsman-wire <target>` runs
//! one under a real fuzzer.
//!
//! What must hold for any bytes: no panic; an error has a code of its decoder and a text that is
//! short and without control characters; a tensor takes no more memory than a small multiple of the
//! bytes that it came from; and what was decoded is encoded and decoded to the same again.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use pointsman_core::{
    Code, Datatype, InputTensor, ModelName, OutputTensor, PredictError, RequestId, Signature, Tensor,
    TensorSpec, VersionSelector,
};
use pointsman_wire::encoding::{Encoding, compress, decompress};
use pointsman_wire::grpc::proto::model_infer_request::InferInputTensor;
use pointsman_wire::grpc::proto::{ModelInferRequest, ModelInferResponse};
use pointsman_wire::limits::Limits;
use pointsman_wire::v1::{PredictForm, encode_predict};
use pointsman_wire::v2::{InferHead, Nonfinite, OutputForm, decode_infer, encode_infer};
use pointsman_wire::{grpc, route, v1, v2};

use crate::fixtures::{infer, predict, prediction, spec};
use crate::round_trip::same;

/// Random inputs of one target when it runs as a test.
const RANDOM: usize = 2000;

/// The most that the bytes of tensors may take for one byte of a request: `0,` is eight bytes of FP64.
const GROWTH_MAX: usize = 4;

/// The longest text of an error: two excerpts of 80 characters, names of all datatypes, a signature.
const TEXT_MAX: usize = 1000;

/// What a request may be refused with before anybody knows whether its model exists.
const MALFORMED: [Code; 3] = [Code::BadRequest, Code::TooLarge, Code::Unsupported];

/// Runs a target, a function that says whether it accepts some bytes: with the seeds, of which those
/// named `good-*` have to be accepted and those named `bad-*` refused, and with what bolero gives it.
macro_rules! fuzz {
    ($accepts:expr) => {{
        let accepts = $accepts;
        check_seeds(&accepts);
        bolero::check!().with_iterations(RANDOM).for_each(|bytes: &[u8]| {
            accepts(bytes);
        });
    }};
}

/// The seeds of the target in whose function the closure stands (`it::fuzz::TARGET::{{closure}}`).
fn check_seeds<F: Fn(&[u8]) -> bool>(accepts: &F) {
    let target = std::any::type_name::<F>().split("::").nth(2).expect("a function of this module");
    let folder = format!("{}/tests/it/__fuzz__/fuzz__{target}/corpus", env!("CARGO_MANIFEST_DIR"));
    for seed in std::fs::read_dir(&folder).expect("a target has seeds").flatten() {
        let accepted = accepts(&std::fs::read(seed.path()).expect("a seed"));
        let name = seed.file_name().into_string().expect("UTF-8");
        assert!(!name.starts_with("good-") || accepted, "{target}: {name} is refused");
        assert!(!name.starts_with("bad-") || !accepted, "{target}: {name} is accepted");
    }
}

/// Checks an error; a target that ends with one does not accept.
fn refuse(error: &PredictError, codes: &[Code]) -> bool {
    let text = error.to_string();
    assert!(codes.contains(&error.code()), "{:?}: {text}", error.code());
    assert!(text.len() <= TEXT_MAX, "{} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
    false
}

fn check_growth(inputs: &[InputTensor], body: &[u8]) {
    let bytes: usize = inputs.iter().map(|input| input.tensor.data().len()).sum();
    assert!(bytes <= GROWTH_MAX * body.len(), "{bytes} bytes of tensors from {} of body", body.len());
}

/// The first line of an input, and what stands behind it.
fn split_line(input: &[u8]) -> (String, &[u8]) {
    let end = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
    (String::from_utf8_lossy(&input[..end]).into_owned(), input.get(end + 1..).unwrap_or_default())
}

fn named(inputs: &[InputTensor]) -> Vec<(&str, &Tensor)> {
    inputs.iter().map(|input| (input.name.as_str(), &input.tensor)).collect()
}

#[test]
fn v2_json() {
    fuzz!(|body: &[u8]| match infer(Bytes::copy_from_slice(body), None) {
        Ok(call) => {
            check_growth(&call.request.inputs, body);
            check_v2_round_trip(&call.request.inputs);
            true
        }
        Err(error) => refuse(&error, &MALFORMED),
    });
}

/// The first line is the header that says how many bytes are JSON.
#[test]
fn v2_binary() {
    let signature = Arc::new(Signature { inputs: vec![spec("x", Datatype::Int16, false)], outputs: vec![] });
    fuzz!(|input: &[u8]| {
        let (header, body) = split_line(input);
        let head = InferHead {
            id: RequestId::generate(),
            model: "m".into(),
            version: VersionSelector::Default,
            header_length: Some(&header),
            nonfinite: Nonfinite::Token,
        };
        let body = Bytes::copy_from_slice(body);
        match decode_infer(head, body.clone(), &Limits::default(), || Ok(signature.clone())) {
            Ok(call) => {
                check_growth(&call.request.inputs, &body);
                check_v2_round_trip(&call.request.inputs);
                true
            }
            Err(error) => refuse(&error, &MALFORMED),
        }
    });
}

/// Inputs that are answered in binary, and asked again, are the same.
fn check_v2_round_trip(inputs: &[InputTensor]) {
    let form = v2::ResponseForm {
        unlisted: OutputForm { binary: true, classification: 0 },
        ..v2::ResponseForm::default()
    };
    let answer = encode_infer(&prediction(&named(inputs)), &form).expect("binary says everything");
    let json = String::from_utf8(answer.segments[0].to_vec()).expect("JSON is UTF-8");
    let json = json.replacen("\"outputs\":[", "\"inputs\":[", 1);
    let header = answer.header_length.map(|_| json.len().to_string());
    let body = [json.as_bytes(), &answer.segments[1..].concat()].concat();
    let again = infer(body, header.as_deref()).expect("was encoded").request.inputs;
    assert_eq!(named(&again), named(inputs));
}

/// The bytes are read for a model with one input, and for one with two.
#[test]
fn v1_predict() {
    let one = [spec("x", Datatype::Fp32, false)];
    let two = [spec("x", Datatype::Int64, false), spec("s_bytes", Datatype::Bytes, true)];
    fuzz!(|body: &[u8]| {
        let accepted = [&one[..], &two].map(|specs| check_v1(body, specs));
        accepted.contains(&true)
    });
}

fn check_v1(body: &[u8], specs: &[TensorSpec]) -> bool {
    let decode = |body: &[u8]| predict(&String::from_utf8_lossy(body), specs);
    let inputs = match decode(body) {
        Ok(call) => call.request.inputs,
        Err(error) => return refuse(&error, &MALFORMED),
    };
    check_growth(&inputs, body);
    // Lists say nothing about dimensions below an empty one, and one output stands without its name.
    if inputs.len() == specs.len() && inputs.iter().all(|input| input.tensor.elements() > 0) {
        let answer =
            encode_predict(&prediction(&named(&inputs)), PredictForm::Columnar).expect("bytes as base64");
        let answer = String::from_utf8_lossy(&answer).replacen("outputs", "inputs", 1);
        let again = decode(answer.as_bytes()).expect("was encoded").request.inputs;
        let same = again.iter().zip(&inputs).all(|(again, input)| same(&again.tensor, &input.tensor));
        assert!(same && again.len() == inputs.len(), "{again:?} {inputs:?}");
    }
    true
}

/// The bytes of one message, as they follow the five of gRPC's frame.
#[test]
fn grpc_infer() {
    fuzz!(|bytes: &[u8]| {
        let message: ModelInferRequest = match grpc::codec::decode(&mut Bytes::copy_from_slice(bytes)) {
            Ok(message) => message,
            Err(error) => return refuse(&error, &[Code::BadRequest]),
        };
        match grpc::decode_infer(message, RequestId::generate(), &Limits::default()) {
            Ok(call) => {
                check_growth(&call.request.inputs, bytes);
                let inputs = &call.request.inputs;
                let answer = grpc::encode_infer(&prediction(&named(inputs)), &grpc::ResponseForm::default());
                let again = grpc::decode_infer(
                    returned(answer.expect("raw bytes say everything")),
                    RequestId::generate(),
                    &Limits::default(),
                );
                assert_eq!(named(&again.expect("was encoded").request.inputs), named(inputs));
                true
            }
            Err(error) => refuse(&error, &MALFORMED),
        }
    });
}

/// The request that sends the outputs of an answer back.
fn returned(answer: ModelInferResponse) -> ModelInferRequest {
    let outputs = answer.outputs.into_iter().map(|output| InferInputTensor {
        name: output.name,
        datatype: output.datatype,
        shape: output.shape,
        ..InferInputTensor::default()
    });
    ModelInferRequest {
        model_name: answer.model_name,
        inputs: outputs.collect(),
        raw_input_contents: answer.raw_output_contents,
        ..ModelInferRequest::default()
    }
}

/// An answer of another server. The first line is the header that says how many bytes are JSON, if any.
#[test]
fn v2_answer() {
    fuzz!(|input: &[u8]| {
        let (header, body) = split_line(input);
        match v2::decode_answer(header.parse().ok(), &Bytes::copy_from_slice(body), &Limits::default()) {
            Ok(answer) => {
                let outputs = inputs_of(answer.outputs);
                check_growth(&outputs, body);
                // A request is written as its answer is.
                let form = v2::RequestForm { binary: true, ..v2::RequestForm::default() };
                let sent = v2::encode_request(&outputs, &form).expect("binary says everything");
                let header = sent.header_length.map(|length| length.to_string());
                let again = infer(sent.body, header.as_deref()).expect("was encoded").request.inputs;
                assert_eq!(named(&again), named(&outputs));
                true
            }
            Err(error) => refuse(&error, &MALFORMED),
        }
    });
}

/// An answer of another server, read for a model with one output and for one with two.
#[test]
fn v1_answer() {
    let one = [spec("y", Datatype::Fp32, false)];
    let two = [spec("y", Datatype::Int64, false), spec("s_bytes", Datatype::Bytes, false)];
    fuzz!(|body: &[u8]| {
        let mut accepted = false;
        for (form, specs) in [PredictForm::Row, PredictForm::Columnar]
            .into_iter()
            .flat_map(|form| [(form, &one[..]), (form, &two)])
        {
            match v1::decode_answer(body, form, specs) {
                Ok(outputs) => {
                    check_growth(&inputs_of(outputs), body);
                    accepted = true;
                }
                Err(error) => {
                    refuse(&error, &MALFORMED);
                }
            }
        }
        accepted
    });
}

/// An answer of another server: the bytes of one message.
#[test]
fn grpc_answer() {
    fuzz!(|bytes: &[u8]| {
        let message = grpc::codec::decode(&mut Bytes::copy_from_slice(bytes));
        match message.and_then(grpc::decode_answer) {
            Ok(outputs) => {
                check_growth(&inputs_of(outputs), bytes);
                true
            }
            Err(error) => refuse(&error, &[Code::BadRequest]),
        }
    });
}

/// Outputs as the inputs of a request.
fn inputs_of(outputs: Vec<OutputTensor>) -> Vec<InputTensor> {
    let input = |OutputTensor { name, tensor, .. }| InputTensor { name: String::from(&*name), tensor };
    outputs.into_iter().map(input).collect()
}

/// The first line is the method, the second the path.
#[test]
fn route_path() {
    let codes = [
        Code::BadRequest,
        Code::MethodNotAllowed,
        Code::NotFound,
        Code::UnknownModel,
        Code::UnknownVersion,
        Code::Unsupported,
    ];
    fuzz!(|input: &[u8]| {
        let (method, rest) = split_line(input);
        let (path, _) = split_line(rest);
        let Ok(method) = method.parse::<Method>() else { return false };
        match route::parse(&method, &path) {
            Ok(found) => {
                if let Some(target) = target(&found) {
                    assert!(ModelName::new(&target.model).is_ok(), "{target:?}");
                }
                true
            }
            Err(error) => refuse(&error, &codes),
        }
    });
}

/// The model and version that a route names.
fn target(route: &route::Route) -> Option<&route::Target> {
    use route::Route;
    match route {
        Route::ModelMetadata(t)
        | Route::ModelReady(t)
        | Route::ModelConfig(t)
        | Route::ModelStatistics(t) => Some(t),
        Route::Infer(t) | Route::V1Status(t) | Route::V1Metadata(t) | Route::V1Predict(t) => Some(t),
        _ => None,
    }
}

/// The first line is the encoding.
#[test]
fn unpack() {
    const UNPACKED_MAX: usize = 1 << 16;
    fuzz!(|input: &[u8]| {
        let (encoding, body) = split_line(input);
        let unpacked = decompress(Some(&encoding), Bytes::copy_from_slice(body), UNPACKED_MAX);
        let accepted = match unpacked {
            Ok(unpacked) => unpacked.len() <= UNPACKED_MAX,
            Err(error) => refuse(&error, &[Code::BadRequest, Code::TooLarge, Code::UnsupportedEncoding]),
        };
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let packed = compress(encoding, &[Bytes::copy_from_slice(body)]);
            let unpacked = decompress(Some(encoding.name()), packed, body.len());
            assert_eq!(unpacked.as_deref(), Ok(body));
        }
        accepted
    });
}

/// Small texts: the headers that say how an answer is packed and when it comes too late, and the body
/// of the repository index.
#[test]
fn small_texts() {
    fuzz!(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let _ = Encoding::negotiate(Some(&text), usize::MAX);
        let _ = grpc::parse_timeout(&text);
        match v2::documents::decode_index(input) {
            Ok(_) => true,
            Err(error) => refuse(&error, &[Code::BadRequest]),
        }
    });
}
