//! The rules by which the inputs of a request are decoded.

use bytes::Bytes;
use pointsman_core::{Code, RequestId, VersionSelector};
use prost::Message;

use super::{decode, input, parameter, refused, request, typed};
use crate::grpc::decode_infer;
use crate::grpc::proto::infer_parameter::ParameterChoice;
use crate::grpc::proto::model_infer_request::InferRequestedOutputTensor;
use crate::grpc::proto::{InferTensorContents, ModelInferRequest};
use crate::limits::Limits;

fn ints(values: &[i32]) -> InferTensorContents {
    InferTensorContents { int_contents: values.to_vec(), ..Default::default() }
}

fn floats(values: &[f32]) -> InferTensorContents {
    InferTensorContents { fp32_contents: values.to_vec(), ..Default::default() }
}

/// A request as another implementation writes it: the field numbers are the protocol's.
#[test]
fn field_numbers_are_those_of_the_protocol() {
    let mut wire = b"\x0a\x03add\x12\x012\x1a\x017".to_vec(); // model_name, model_version, id
    wire.extend(b"\x22\x0e\x0a\x07timeout\x12\x03\x10\xe8\x07"); // timeout: int64 1000
    wire.extend(b"\x2a\x0d\x0a\x01a\x12\x04FP32\x1a\x02\x01\x02"); // inputs: a, FP32, [1,2]
    wire.extend(b"\x32\x03\x0a\x01y"); // outputs: y
    wire.extend(b"\x3a\x08\x00\x00\x80\x3f\x00\x00\x00\x40"); // raw_input_contents: 1.0, 2.0
    let call = decode(ModelInferRequest::decode(&*wire).expect("well formed")).expect("fits");
    assert_eq!(call.request.model, "add");
    assert!(matches!(call.request.version, VersionSelector::Number(n) if n.get() == 2));
    assert_eq!(call.request.client_id.as_deref(), Some("7"));
    assert_eq!(call.form.id, "7");
    assert_eq!(call.timeout, Some(std::time::Duration::from_millis(1)));
    assert_eq!(call.request.outputs, ["y"]);
    assert_eq!(call.request.inputs[0].name, "a");
    assert_eq!(call.request.inputs[0].tensor.values::<f32>(), Some(&[1.0, 2.0][..]));
}

#[test]
fn raw_tensors_are_views_of_the_message() {
    let raw = Bytes::from(vec![0; 16]);
    let mut message = request(vec![input("x", "INT8", &[16])], &[]);
    message.raw_input_contents = vec![raw.clone()];
    let call = decode(message).expect("fits");
    assert_eq!(call.request.inputs[0].tensor.data().as_ptr(), raw.as_ptr());
}

#[test]
fn typed_contents_of_the_same_width_are_taken_over() {
    let contents = floats(&[1.0, 2.0]);
    let address = contents.fp32_contents.as_ptr().addr();
    let call = decode(request(vec![typed("x", "FP32", &[2], contents)], &[])).expect("fits");
    assert_eq!(call.request.inputs[0].tensor.data().as_ptr().addr(), address);
}

/// G3 of the conformance vectors.
#[test]
fn raw_and_typed_contents_do_not_mix() {
    let inputs = vec![typed("x", "FP32", &[1], floats(&[1.0])), input("z", "FP32", &[1])];
    assert_eq!(
        refused(request(inputs, &[&[0; 4]])),
        "contents field must not be specified when using raw_input_contents for 'x' for model 'm'"
    );
    // Also where the contents are empty, and where the raw entry belongs to the input before it.
    let empty = InferTensorContents::default();
    let inputs = vec![input("x", "FP32", &[1]), typed("z", "FP32", &[1], empty)];
    assert_eq!(
        refused(request(inputs, &[&[0; 4]])),
        "contents field must not be specified when using raw_input_contents for 'z' for model 'm'"
    );
}

#[test]
fn every_input_needs_data() {
    assert_eq!(
        refused(request(vec![input("x", "FP32", &[1])], &[])),
        "unable to find data for input tensor 'x' for model 'm' in request."
    );
    let inputs = vec![input("x", "FP32", &[1]), input("z", "FP32", &[1])];
    assert_eq!(
        refused(request(inputs, &[&[0; 4]])),
        "unable to find data for input tensor 'z' for model 'm' in request."
    );
    assert_eq!(
        refused(request(vec![input("x", "FP32", &[1])], &[&[0; 4], &[0; 4]])),
        "unexpected raw_input_contents for model 'm': 1 inputs, but 2 entries"
    );
    assert!(refused(request(vec![], &[&[0; 4]])).starts_with("unexpected raw_input_contents"));
    assert!(decode(request(vec![], &[])).is_ok(), "a model may have no inputs");
}

/// G4 of the conformance vectors, at and past each end.
#[test]
fn narrow_integers_are_checked_against_their_range() {
    let signed = |datatype, value| request(vec![typed("x", datatype, &[1], ints(&[value]))], &[]);
    let unsigned = |datatype, value| {
        let contents = InferTensorContents { uint_contents: vec![value], ..Default::default() };
        request(vec![typed("x", datatype, &[1], contents)], &[])
    };
    assert_eq!(
        refused(signed("INT8", 300)),
        "value 300 of input 'x' for model 'm' is out of range for INT8: -128 to 127"
    );
    assert!(refused(signed("INT8", -129)).contains("-129 of input 'x'"));
    assert!(refused(signed("INT16", 32768)).contains("INT16: -32768 to 32767"));
    assert!(refused(unsigned("UINT8", 256)).contains("UINT8: 0 to 255"));
    assert!(refused(unsigned("UINT16", 65536)).contains("UINT16: 0 to 65535"));
    for (message, expected) in [
        (signed("INT8", -128), vec![0x80]),
        (signed("INT8", 127), vec![0x7f]),
        (signed("INT16", -2), vec![0xfe, 0xff]),
        (signed("INT32", -2), vec![0xfe, 0xff, 0xff, 0xff]),
        (unsigned("UINT8", 255), vec![255]),
        (unsigned("UINT16", 65535), vec![255, 255]),
        (unsigned("UINT32", u32::MAX), vec![255; 4]),
    ] {
        let call = decode(message).expect("in range");
        assert_eq!(**call.request.inputs[0].tensor.data(), *expected);
    }
}

#[test]
fn contents_stand_in_the_field_of_their_datatype() {
    assert_eq!(
        refused(request(vec![typed("x", "FP32", &[1], ints(&[1]))], &[])),
        "unexpected explicit tensor data for input tensor 'x' for model 'm' of type 'INT32', expected datatype 'FP32'"
    );
    let both = InferTensorContents { fp32_contents: vec![1.0], int_contents: vec![1], ..Default::default() };
    assert!(
        refused(request(vec![typed("x", "FP32", &[1], both)], &[]))
            .ends_with("more than one field of contents is set")
    );
    for half in ["FP16", "BF16"] {
        let bytes = InferTensorContents { bytes_contents: vec![Bytes::from("ab")], ..Default::default() };
        for contents in [bytes, floats(&[1.0])] {
            let said = refused(request(vec![typed("x", half, &[1], contents)], &[]));
            assert!(said.ends_with(&format!("{half} can only be sent in raw_input_contents")), "{said}");
        }
        let call = decode(request(vec![input("x", half, &[1])], &[&[0, 0x3c]])).expect("raw");
        assert_eq!(call.request.inputs[0].tensor.elements(), 1);
    }
}

#[test]
fn the_number_of_elements_agrees_with_the_shape() {
    assert_eq!(
        refused(request(vec![typed("x", "FP32", &[2, 2], floats(&[1.0; 3]))], &[])),
        "unexpected number of elements for input 'x' for model 'm': shape [2,2] has 4, got 3"
    );
    assert!(
        refused(request(vec![typed("x", "FP32", &[], floats(&[]))], &[])).ends_with("shape [] has 1, got 0")
    );
    for (shape, raw) in [(&[2, 2][..], 15), (&[2, 2], 17), (&[], 3), (&[0], 4)] {
        let said = refused(request(vec![input("x", "FP32", shape)], &[&vec![0; raw]]));
        let start = "input byte size mismatch for input 'x' for model 'm'. Expected ";
        assert!(said.starts_with(start) && said.ends_with(&format!(", got {raw}")), "{said}");
    }
    assert!(decode(request(vec![typed("x", "FP32", &[0, 4], floats(&[]))], &[])).is_ok());
    assert!(decode(request(vec![input("x", "FP32", &[0, 4])], &[&[]])).is_ok());
    assert!(decode(request(vec![typed("x", "FP32", &[], floats(&[1.0]))], &[])).is_ok());
}

#[test]
fn shapes_that_no_tensor_has() {
    let shaped = |shape: &[i64]| {
        let raw = request(vec![input("x", "FP32", shape)], &[&[0; 4]]);
        let said = refused(raw);
        let contents = request(vec![typed("x", "FP32", shape, floats(&[1.0]))], &[]);
        assert_eq!(said, refused(contents));
        said
    };
    assert_eq!(shaped(&[-1, 4]), "the shape of input 'x' for model 'm' has a negative dimension (-1)");
    // 2^63 does not fit an int64: it comes as the least of them.
    assert!(shaped(&[i64::MIN]).contains("negative dimension (-9223372036854775808)"));
    assert!(shaped(&[1 << 32, 1 << 32]).contains("more elements than can be addressed"));
    assert!(shaped(&[1; 33]).contains("33 dimensions where 32 may be"));
    // The product of the dimensions fits, that with the size of an element does not.
    let said = refused(request(vec![input("x", "FP64", &[i64::MAX])], &[&[0; 8]]));
    assert!(said.contains("more elements than can be addressed"), "{said}");
    let said = refused(request(vec![input("x", "FP64", &[0, i64::MAX, i64::MAX])], &[&[0; 8]]));
    assert!(said.ends_with("Expected 0, got 8"), "{said}");
}

#[test]
fn strings_are_raw_with_prefixes_or_typed_without() {
    let raw = request(vec![input("x", "BYTES", &[2])], &[b"\x03\0\0\0a\0b\0\0\0\0"]);
    let contents =
        InferTensorContents { bytes_contents: vec![Bytes::from("a\0b"), Bytes::new()], ..Default::default() };
    let typed = request(vec![typed("x", "BYTES", &[2], contents)], &[]);
    let tensor = |message| decode(message).expect("fits").request.inputs.remove(0).tensor;
    let (raw, typed) = (tensor(raw), tensor(typed));
    assert_eq!(raw, typed);
    assert_eq!(raw.strings().expect("BYTES").collect::<Vec<_>>(), [&b"a\0b"[..], b""]);

    let broken = refused(request(vec![input("x", "BYTES", &[1])], &[b"\x09\0\0\0a"]));
    assert!(
        broken.starts_with("invalid data for input 'x' for model 'm': BYTES data breaks off"),
        "{broken}"
    );
    let said = refused(request(vec![input("x", "BYTES", &[2])], &[b"\0\0\0\0"]));
    assert!(said.contains("takes 2 elements, got 1"), "{said}");
}

#[test]
fn booleans_are_0_or_1() {
    let said = refused(request(vec![input("x", "BOOL", &[2])], &[&[1, 2]]));
    assert!(said.ends_with("a BOOL element is 0 or 1, got 2 at element 1"), "{said}");
    let contents = InferTensorContents { bool_contents: vec![true, false], ..Default::default() };
    let call = decode(request(vec![typed("x", "BOOL", &[2], contents)], &[])).expect("fits");
    assert_eq!(**call.request.inputs[0].tensor.data(), [1, 0]);
}

#[test]
fn datatypes_are_the_protocols_names() {
    for name in ["", "fp32", "TYPE_FP32", "STRING", "FP8"] {
        let said = refused(request(vec![input("x", name, &[1])], &[&[0; 4]]));
        assert_eq!(said, format!("unknown datatype '{name}' of input 'x' for model 'm'"));
    }
}

#[test]
fn versions_are_numbers_or_aliases() {
    let versioned = |version: &str| {
        let mut message = request(vec![], &[]);
        message.model_version = version.into();
        message
    };
    let selector = |version| decode(versioned(version)).expect("a version").request.version;
    assert_eq!(selector(""), VersionSelector::Default);
    assert!(matches!(selector("12"), VersionSelector::Number(n) if n.get() == 12));
    assert_eq!(selector("champion"), VersionSelector::Alias("champion".into()));
    for bad in ["0", "007", "../1", "a b", "99999999999999999999"] {
        let said = refused(versioned(bad));
        let start = format!("failed to get model version from specified version string '{bad}' (details: ");
        assert!(said.starts_with(&start), "{said}");
        assert!(said.ends_with("), version should be an integral value > 0"), "{said}");
    }
}

#[test]
fn names_in_errors_are_short_and_plain() {
    let name = format!("\u{1b}[2J\n{}", "\u{20ac}".repeat(1000));
    let said = refused(request(vec![input(&name, "FP32", &[1])], &[]));
    assert!(said.len() < 500 && !said.contains(['\u{1b}', '\n']), "{said}");
}

#[test]
fn limits_hold_at_the_limit_and_past_it() {
    let limits = Limits { tensors_max: 2, parameters_max: 1, text_bytes_max: 16, ..Limits::default() };
    let code = |message| match decode_infer(message, RequestId::generate(), &limits) {
        Ok(_) => None,
        Err(error) => Some(error.code()),
    };
    let inputs = |count| request(vec![input("x", "INT8", &[1]); count], &vec![&[0][..]; count]);
    assert_eq!(code(inputs(2)), None);
    assert_eq!(code(inputs(3)), Some(Code::BadRequest));
    let outputs = |count, name: &str| {
        let output = InferRequestedOutputTensor { name: name.into(), ..Default::default() };
        ModelInferRequest { outputs: vec![output; count], ..request(vec![], &[]) }
    };
    assert_eq!(code(outputs(2, "y")), None);
    assert_eq!(code(outputs(3, "y")), Some(Code::BadRequest));
    let (fits, long) = ("x".repeat(16), "x".repeat(17));
    assert_eq!(code(outputs(1, &fits)), None);
    assert_eq!(code(outputs(1, &long)), Some(Code::BadRequest));
    let text = |name: &str, version: &str, id: &str| ModelInferRequest {
        model_name: name.into(),
        model_version: version.into(),
        id: id.into(),
        ..Default::default()
    };
    assert_eq!(code(text(&fits, &fits, &fits)), None);
    for over in [text(&long, "", ""), text("m", &long, ""), text("m", "", &long)] {
        assert_eq!(code(over), Some(Code::BadRequest));
    }
    assert_eq!(code(request(vec![input(&fits, "INT8", &[1])], &[&[0]])), None);
    assert_eq!(code(request(vec![input(&long, "INT8", &[1])], &[&[0]])), Some(Code::BadRequest));
    let parameters = |names: &[&str], text: &str| {
        let value = || parameter(ParameterChoice::StringParam(text.into()));
        let parameters = names.iter().map(|name| (name.to_string(), value())).collect();
        ModelInferRequest { parameters, ..request(vec![], &[]) }
    };
    assert_eq!(code(parameters(&["a"], &fits)), None);
    assert_eq!(code(parameters(&["a", "b"], "")), Some(Code::BadRequest));
    assert_eq!(code(parameters(&["a"], &long)), Some(Code::BadRequest));
    assert_eq!(code(parameters(&[&long], "")), Some(Code::BadRequest));
}
