//! The forms of an answer.

use std::num::NonZeroUsize;
use std::sync::Arc;

use pointsman_core::{
    Arm, Code, Datatype, ModelName, OutputTensor, Prediction, Shape, StageTimes, Tensor, VersionNumber,
};

use crate::grpc::{ResponseForm, encode_infer};

pub(super) fn prediction(outputs: Vec<(&str, Tensor)>) -> Prediction {
    let output = |(name, tensor): (&str, Tensor)| OutputTensor { name: name.into(), tensor, labels: None };
    Prediction {
        model: ModelName::new("add").expect("a name"),
        version: VersionNumber::new(3).expect("above 0"),
        arm: Arm::Default,
        experiment: None,
        outputs: outputs.into_iter().map(output).collect(),
        times: StageTimes::default(),
    }
}

fn floats(dims: &[u64], values: &[f32]) -> Tensor {
    let shape = Shape::new(dims).expect("small");
    Tensor::from_vec(Datatype::Fp32, shape, values.to_vec()).expect("fits")
}

fn halves(values: usize) -> Tensor {
    let shape = Shape::new(&[values as u64]).expect("small");
    Tensor::from_vec(Datatype::Fp16, shape, vec![0x3c00_u16; values]).expect("fits")
}

/// G1 and G2 of the conformance vectors: the answer is raw, whatever the request was.
#[test]
fn one_raw_entry_for_each_output_in_order() {
    let made = prediction(vec![
        ("y", floats(&[1, 2], &[1.0, 2.0])),
        ("none", floats(&[0, 2], &[])),
        ("h", halves(1)),
    ]);
    let form = ResponseForm { id: "7".into(), ..ResponseForm::default() };
    let response = encode_infer(&made, &form).expect("raw");
    assert_eq!((&*response.model_name, &*response.model_version, &*response.id), ("add", "3", "7"));
    let outputs: Vec<_> =
        response.outputs.iter().map(|o| (&*o.name, &*o.datatype, o.shape.clone())).collect();
    assert_eq!(outputs, [("y", "FP32", vec![1, 2]), ("none", "FP32", vec![0, 2]), ("h", "FP16", vec![1])]);
    assert!(response.outputs.iter().all(|o| o.contents.is_none()));
    let raw: Vec<&[u8]> = response.raw_output_contents.iter().map(|b| &**b).collect();
    assert_eq!(raw, [&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40][..], &[], &[0, 0x3c]]);
    // The bytes are those of the prediction, not a copy.
    assert_eq!(response.raw_output_contents[0].as_ptr(), made.outputs[0].tensor.data().as_ptr());
}

#[test]
fn typed_fields_where_they_are_asked_for() {
    let typed = ResponseForm { typed: true, ..ResponseForm::default() };
    let response =
        encode_infer(&prediction(vec![("y", floats(&[2], &[1.0, 2.0]))]), &typed).expect("has a field");
    assert!(response.raw_output_contents.is_empty());
    let contents = response.outputs[0].contents.as_ref().expect("typed");
    assert_eq!(contents.fp32_contents, [1.0, 2.0]);

    let error =
        encode_infer(&prediction(vec![("y", floats(&[0], &[])), ("h", halves(1))]), &typed).unwrap_err();
    assert_eq!(error.code(), Code::NotRepresentable);
    assert!(error.to_string().contains("'h'") && error.to_string().contains("FP16"), "{error}");
}

#[test]
fn classes_take_the_place_of_scores() {
    let mut made = prediction(vec![("y", floats(&[1, 3], &[0.25, 0.5, 0.125])), ("z", floats(&[1], &[1.0]))]);
    made.outputs[0].labels = Some(Arc::from(["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    let mut form = ResponseForm { classes: vec![NonZeroUsize::new(2), None], ..ResponseForm::default() };
    let response = encode_infer(&made, &form).expect("scores");
    assert_eq!((&*response.outputs[0].datatype, &*response.outputs[0].shape), ("BYTES", &[1, 2][..]));
    assert_eq!(&*response.raw_output_contents[0], b"\x0c\0\0\x000.500000:1:b\x0c\0\0\x000.250000:0:a");
    assert_eq!(&*response.outputs[1].datatype, "FP32");

    form.typed = true;
    let response = encode_infer(&made, &form).expect("strings have a field");
    let contents = response.outputs[0].contents.as_ref().expect("typed");
    assert_eq!(contents.bytes_contents, ["0.500000:1:b", "0.250000:0:a"]);

    let scalar = prediction(vec![("y", floats(&[], &[1.0]))]);
    assert_eq!(encode_infer(&scalar, &form).unwrap_err().code(), Code::InputMismatch);
}
