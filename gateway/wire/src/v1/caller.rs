//! The caller's side: a request as a client writes it, and an answer as it reads it.

use bytes::Bytes;
use pointsman_core::{Datatype, Dim, InputTensor, OutputTensor, PredictError, Signature, TensorSpec, shown};
use serde_json::{Map, Value};

use super::documents::dtype;
use super::request::SIGNATURE_NAME;
use super::response::{PredictForm, encode};
use super::values::{read_inputs, read_instances};
use crate::json::reader::{Reader, once};

/// Encodes the body of `POST /v1/models/M:predict`: `instances` or `inputs`.
///
/// # Errors
/// [`PredictError::NotRepresentable`] as in [`super::encode_predict`]: inputs are written as outputs are.
pub fn encode_request(inputs: &[InputTensor], form: PredictForm) -> Result<Bytes, PredictError> {
    let key = match form {
        PredictForm::Row => "instances",
        PredictForm::Columnar => "inputs",
    };
    let tensors: Vec<OutputTensor> = inputs
        .iter()
        .map(|i| OutputTensor { name: i.name.as_str().into(), tensor: i.tensor.clone(), labels: None })
        .collect();
    encode(key, &tensors, form)
}

/// Decodes the body of an answer with status 200, of this gateway or of any other server. Names and
/// datatypes come from `outputs`, those of the model's signature.
///
/// # Errors
/// [`PredictError::BadRequest`] for all that is malformed or does not fit the datatypes.
pub fn decode_answer(
    body: &[u8],
    form: PredictForm,
    outputs: &[TensorSpec],
) -> Result<Vec<OutputTensor>, PredictError> {
    let wanted = match form {
        PredictForm::Row => "predictions",
        PredictForm::Columnar => "outputs",
    };
    let mut values = None;
    let mut reader = Reader::new(body);
    reader.object(
        |key| Ok(key == wanted),
        |reader, is_wanted| {
            if !is_wanted {
                return reader.skip().map(drop);
            }
            let read = match form {
                PredictForm::Row => read_instances(reader, body, outputs)?,
                PredictForm::Columnar => read_inputs(reader, outputs)?,
            };
            once(&mut values, read, wanted, "the answer")
        },
    )?;
    reader.finish()?;
    let values = values.ok_or_else(|| PredictError::BadRequest(format!("the answer has no '{wanted}'")))?;
    let output = |InputTensor { name, tensor }| OutputTensor { name: name.into(), tensor, labels: None };
    Ok(values.into_iter().map(output).collect())
}

/// Reads the signature in the body of `GET /v1/models/M/metadata`, of this gateway or of TF Serving.
///
/// # Errors
/// [`PredictError::BadRequest`] where there is none by the usual name, or a tensor of it has a datatype
/// that V2 does not have.
pub fn decode_metadata(body: &[u8]) -> Result<Signature, PredictError> {
    let bad = |what: String| PredictError::BadRequest(what);
    let document: Value = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
    let signature = &document["metadata"]["signature_def"]["signature_def"][SIGNATURE_NAME];
    let specs = |of: &str| -> Result<Vec<TensorSpec>, PredictError> {
        let tensors: Option<&Map<String, Value>> = signature[of].as_object();
        let tensors = tensors.ok_or_else(|| bad(format!("no signature '{SIGNATURE_NAME}' with {of}")))?;
        tensors.iter().map(|(name, info)| read_info(name, info)).collect()
    };
    Ok(Signature { inputs: specs("inputs")?, outputs: specs("outputs")? })
}

fn read_info(name: &str, info: &Value) -> Result<TensorSpec, PredictError> {
    let declared = info["dtype"].as_str().unwrap_or_default();
    let datatype = Datatype::ALL.into_iter().find(|&datatype| dtype(datatype) == declared);
    let datatype = datatype.ok_or_else(|| {
        PredictError::BadRequest(format!(
            "tensor '{}' is of {}, which V2 does not have",
            shown(name),
            shown(declared)
        ))
    })?;
    // Sizes are texts; -1 stands for any.
    let dim = |dim: &Value| {
        let size = dim["size"].as_str().and_then(|size| size.parse().ok());
        size.map_or(Dim::Dynamic(None), Dim::Fixed)
    };
    let known = info["tensor_shape"]["unknown_rank"] != Value::Bool(true);
    let dims = info["tensor_shape"]["dim"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shape = known.then(|| dims.iter().map(dim).collect());
    Ok(TensorSpec { name: name.into(), datatype, shape, optional: false, labels: None })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_core::{ModelName, Shape, Tensor, VersionNumber};

    use super::*;

    fn tensor(name: &str, dims: &[u64], values: Vec<f32>) -> InputTensor {
        let shape = Shape::new(dims).expect("small");
        let tensor = Tensor::from_vec(Datatype::Fp32, shape, values).expect("it fits");
        InputTensor { name: name.into(), tensor }
    }

    fn spec(name: &str) -> TensorSpec {
        TensorSpec { name: name.into(), datatype: Datatype::Fp32, shape: None, optional: false, labels: None }
    }

    #[test]
    fn a_signature_is_read_as_it_was_written() {
        let shapes = [Some(vec![Dim::Dynamic(None), Dim::Fixed(4)]), Some(Vec::new()), None];
        let specs = |prefix: &str| -> Vec<TensorSpec> {
            let tensor = |(index, datatype): (usize, Datatype)| TensorSpec {
                name: format!("{prefix}{index:02}").into(),
                datatype,
                shape: shapes[index % shapes.len()].clone(),
                optional: false,
                labels: None,
            };
            Datatype::ALL.into_iter().enumerate().map(tensor).collect()
        };
        let version = VersionNumber::new(2).expect("above 0");
        let model = crate::view::ModelView {
            name: ModelName::new("m").expect("a name"),
            version,
            versions: vec![version],
            platform: "onnxruntime_onnx",
            engine: "echo",
            signature: Arc::new(Signature { inputs: specs("x"), outputs: specs("y") }),
            batch_rows_max: 0,
            workers: 1,
            response_cache: false,
        };
        let document = crate::v1::documents::metadata(&model);
        assert_eq!(decode_metadata(&document).as_ref(), Ok(&*model.signature));
        let text = String::from_utf8_lossy(&document).into_owned();
        let unknown = text.replace("DT_FLOAT\"", "DT_COMPLEX64\"");
        assert!(
            decode_metadata(unknown.as_bytes())
                .expect_err("V2 lacks it")
                .to_string()
                .contains("DT_COMPLEX64")
        );
        let other = text.replace("serving_default", "other");
        assert!(
            decode_metadata(other.as_bytes()).expect_err("not there").to_string().contains("serving_default")
        );
    }

    #[test]
    fn one_input_stands_alone_and_several_stand_under_their_names() {
        let (x, y) = (tensor("x", &[2, 1], vec![1.0, 2.0]), tensor("y", &[2], vec![0.5, 3.0]));
        for (inputs, form, json) in [
            (vec![x.clone()], PredictForm::Row, r#"{"instances":[[1.0],[2.0]]}"#),
            (vec![x.clone()], PredictForm::Columnar, r#"{"inputs":[[1.0],[2.0]]}"#),
            (
                vec![x.clone(), y.clone()],
                PredictForm::Row,
                r#"{"instances":[{"x":[1.0],"y":0.5},{"x":[2.0],"y":3.0}]}"#,
            ),
            (vec![x, y], PredictForm::Columnar, r#"{"inputs":{"x":[[1.0],[2.0]],"y":[0.5,3.0]}}"#),
        ] {
            assert_eq!(encode_request(&inputs, form).expect("they have rows"), json);
        }
        let scalar = tensor("s", &[], vec![1.0]);
        assert!(encode_request(&[scalar], PredictForm::Row).is_err(), "it has no rows");
    }

    #[test]
    fn answers_take_names_and_datatypes_from_the_signature() {
        let several = r#"{"predictions":[{"y":[1],"z":2},{"z":4,"y":[3]}],"batchId":"b"}"#;
        let outputs = decode_answer(several.as_bytes(), PredictForm::Row, &[spec("y"), spec("z")]);
        let outputs = outputs.expect("it is sound");
        assert_eq!((&*outputs[0].name, outputs[0].tensor.shape().dims()), ("y", &[2, 1][..]));
        assert_eq!(outputs[1].tensor.values::<f32>(), Some(&[2.0, 4.0][..]));
        let one = decode_answer(br#"{ "outputs": [[1.5]] }"#, PredictForm::Columnar, &[spec("y")]);
        assert_eq!(one.expect("it is sound")[0].tensor.values::<f32>(), Some(&[1.5][..]));
        for (body, form) in [
            (r#"{"outputs":[1]}"#, PredictForm::Row),
            (r#"{"predictions":[1]}"#, PredictForm::Columnar),
            (r#"{"predictions":["a"]}"#, PredictForm::Row),
            (r#"{"predictions":[1],"predictions":[1]}"#, PredictForm::Row),
            (r#"{"predictions":[1]"#, PredictForm::Row),
            (r#"{"error":"no"}"#, PredictForm::Row),
        ] {
            assert!(decode_answer(body.as_bytes(), form, &[spec("y")]).is_err(), "{body}");
        }
    }
}
