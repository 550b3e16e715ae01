//! What the parameters of a request, its inputs and its outputs mean.

use std::num::NonZeroUsize;
use std::time::Duration;

use pointsman_core::{Code, ParameterValue};

use super::{decode, input, parameter, refused, request};
use crate::grpc::InferCall;
use crate::grpc::proto::infer_parameter::ParameterChoice;
use crate::grpc::proto::model_infer_request::InferRequestedOutputTensor;
use crate::grpc::proto::{InferParameter, ModelInferRequest};
use ParameterChoice::{BoolParam, DoubleParam, Int64Param, StringParam, Uint64Param};

fn with(name: &str, value: ParameterChoice) -> ModelInferRequest {
    let parameters = [(name.to_owned(), parameter(value))].into();
    ModelInferRequest { parameters, ..request(vec![], &[]) }
}

fn call(name: &str, value: ParameterChoice) -> InferCall {
    let call = decode(with(name, value)).expect("allowed");
    assert_eq!(call.request.parameters, [], "{name} has a meaning");
    call
}

#[test]
fn timeout_is_in_microseconds() {
    assert_eq!(call("timeout", Int64Param(1500)).timeout, Some(Duration::from_micros(1500)));
    assert_eq!(call("timeout", Uint64Param(1500)).timeout, Some(Duration::from_micros(1500)));
    assert_eq!(call("timeout", Int64Param(0)).timeout, None);
    assert_eq!(decode(request(vec![], &[])).expect("plain").timeout, None);
    assert_eq!(
        refused(with("timeout", Int64Param(-1))),
        "invalid value for 'timeout', expected value >= 0, got -1"
    );
    assert!(
        refused(with("timeout", StringParam("1".into()))).starts_with("invalid value type for 'timeout'")
    );
}

#[test]
fn priority_is_a_whole_number() {
    assert_eq!(call("priority", Uint64Param(3)).request.priority, 3);
    assert_eq!(call("priority", Int64Param(0)).request.priority, 0);
    assert!(refused(with("priority", Int64Param(-1))).starts_with("invalid value for 'priority'"));
    assert!(refused(with("priority", DoubleParam(1.0))).starts_with("invalid value type for 'priority'"));
}

#[test]
fn form_and_stream_flags() {
    assert!(call("typed_output", BoolParam(true)).form.typed);
    assert!(!call("typed_output", BoolParam(false)).form.typed);
    assert!(refused(with("typed_output", Int64Param(1))).ends_with("expected bool_param."));
    call("triton_enable_empty_final_response", BoolParam(true));
    assert!(
        refused(with("triton_enable_empty_final_response", Int64Param(1))).ends_with("expected bool_param.")
    );
    call("triton_final_response", BoolParam(true));
    call("binary_data_output", BoolParam(true));
}

#[test]
fn reserved_and_missing_values_are_refused() {
    let said = refused(with("triton_x", BoolParam(true)));
    assert!(
        said.starts_with("parameter keys starting with 'triton_' are reserved for Triton usage."),
        "{said}"
    );
    let parameters = [("a".to_owned(), InferParameter::default())].into();
    let message = ModelInferRequest { parameters, ..request(vec![], &[]) };
    assert_eq!(refused(message), "parameter 'a' has no value");
}

#[test]
fn sequences_are_not_supported_and_their_absence_is() {
    for (name, value) in [
        ("sequence_id", Int64Param(1)),
        ("sequence_id", StringParam("s".into())),
        ("sequence_start", BoolParam(true)),
        ("sequence_end", BoolParam(true)),
    ] {
        let error = decode(with(name, value)).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
    }
    call("sequence_id", Int64Param(0));
    call("sequence_id", StringParam(String::new()));
    call("sequence_start", BoolParam(false));
    call("sequence_end", BoolParam(false));
}

#[test]
fn other_parameters_go_with_the_request() {
    let values = [
        ("a", BoolParam(true), ParameterValue::Bool(true)),
        ("b", Int64Param(-1), ParameterValue::Int(-1)),
        ("c", Uint64Param(7), ParameterValue::Int(7)),
        ("d", Uint64Param(u64::MAX), ParameterValue::Uint(u64::MAX)),
        ("e", DoubleParam(0.5), ParameterValue::Double(0.5)),
        ("f", StringParam("x".into()), ParameterValue::String("x".into())),
    ];
    let parameters =
        values.iter().map(|(name, wire, _)| (name.to_string(), parameter(wire.clone()))).collect();
    let message = ModelInferRequest { parameters, ..request(vec![], &[]) };
    let expected: Vec<_> = values.into_iter().map(|(name, _, value)| (name.to_owned(), value)).collect();
    assert_eq!(decode(message).expect("custom").request.parameters, expected);
}

#[test]
fn tensors_in_shared_memory_are_not_supported() {
    let region = [("shared_memory_region".to_owned(), parameter(StringParam("r".into())))];
    let mut x = input("x", "FP32", &[1]);
    x.parameters = region.clone().into();
    assert_eq!(decode(request(vec![x], &[])).unwrap_err().code(), Code::Unsupported);
    let output = InferRequestedOutputTensor { name: "y".into(), parameters: region.into() };
    let message = ModelInferRequest { outputs: vec![output], ..request(vec![], &[]) };
    assert_eq!(decode(message).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn parameters_of_other_servers_on_a_tensor_change_nothing() {
    let mut x = input("x", "FP32", &[1]);
    x.parameters.insert("content_type".into(), parameter(StringParam("np".into())));
    x.parameters.insert("binary_data_size".into(), parameter(Int64Param(4)));
    assert!(decode(request(vec![x], &[&[0; 4]])).is_ok());
}

#[test]
fn classification_is_per_output() {
    let output = |name: &str, value: Option<ParameterChoice>| InferRequestedOutputTensor {
        name: name.into(),
        parameters: value.map(|v| ("classification".to_owned(), parameter(v))).into_iter().collect(),
    };
    let asked = |outputs| ModelInferRequest { outputs, ..request(vec![], &[]) };
    let outputs = vec![
        output("a", Some(Int64Param(3))),
        output("b", None),
        output("c", Some(Uint64Param(2))),
        output("d", Some(Int64Param(0))),
    ];
    let call = decode(asked(outputs)).expect("allowed");
    assert_eq!(call.request.outputs, ["a", "b", "c", "d"]);
    assert_eq!(call.form.classes, [NonZeroUsize::new(3), None, NonZeroUsize::new(2), None]);
    let said = refused(asked(vec![output("a", Some(Int64Param(-1)))]));
    assert!(said.starts_with("invalid value for 'classification'"), "{said}");
    assert!(refused(asked(vec![output("a", Some(BoolParam(true)))])).contains("'classification'"));
}
