//! One input as the request of each protocol, written once and sent many times.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{Datatype, InputTensor, Tensor};
use pointsman_wire::grpc::proto::ModelInferRequest;
use pointsman_wire::grpc::proto::model_infer_request::InferInputTensor;
use serde_json::{Value, json};

use crate::client::http1;

/// The requests that ask a model about one input.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    /// HTTP, head and body, tensors in JSON both ways.
    pub(crate) json: Arc<[u8]>,
    /// HTTP, head and body, tensors in binary both ways.
    pub(crate) binary: Arc<[u8]>,
    /// gRPC, with raw tensors.
    pub(crate) message: ModelInferRequest,
}

impl Requests {
    /// The requests to the default version of a model, or to the version that is named.
    ///
    /// # Errors
    /// Where a tensor is of a datatype that is not written here.
    pub(crate) fn new(
        http: SocketAddr,
        model: &str,
        version: Option<u64>,
        inputs: &[InputTensor],
    ) -> Result<Self, String> {
        let path = match version {
            Some(number) => format!("/v2/models/{model}/versions/{number}/infer"),
            None => format!("/v2/models/{model}/infer"),
        };
        let json: Vec<Value> = inputs.iter().map(in_json).collect::<Result<_, _>>()?;
        let json = json!({"inputs": json}).to_string();
        let described: Vec<Value> = inputs.iter().map(in_binary).collect();
        let described = json!({"inputs": described, "parameters": {"binary_data_output": true}}).to_string();
        let tensors: Vec<Bytes> = inputs.iter().map(|input| input.tensor.data().clone()).collect();
        let binary = [described.as_bytes(), &tensors.concat()].concat();
        let message = ModelInferRequest {
            model_name: model.into(),
            model_version: version.map(|number| number.to_string()).unwrap_or_default(),
            inputs: inputs.iter().map(in_message).collect(),
            raw_input_contents: tensors,
            ..ModelInferRequest::default()
        };
        Ok(Self {
            json: http1::post(http, &path, None, json.as_bytes()).into(),
            binary: http1::post(http, &path, Some(described.len()), &binary).into(),
            message,
        })
    }
}

fn in_json(input: &InputTensor) -> Result<Value, String> {
    let InputTensor { name, tensor } = input;
    let data = numbers(tensor).ok_or_else(|| {
        format!("input {name} is of {}: only FP32, FP64, INT32 and INT64 can be sent", tensor.datatype())
    })?;
    Ok(json!({
        "name": name, "shape": tensor.shape().dims(), "datatype": tensor.datatype().name(), "data": data,
    }))
}

/// The elements of a tensor, in the shortest form that is read as the same bits.
fn numbers(tensor: &Tensor) -> Option<Value> {
    let text = match tensor.datatype() {
        Datatype::Fp32 => serde_json::to_string(tensor.values::<f32>()?),
        Datatype::Fp64 => serde_json::to_string(tensor.values::<f64>()?),
        Datatype::Int32 => serde_json::to_string(tensor.values::<i32>()?),
        Datatype::Int64 => serde_json::to_string(tensor.values::<i64>()?),
        _ => return None,
    };
    // By way of text: a value made of an f32 would be written with the digits of an f64.
    serde_json::from_str(&text.ok()?).ok()
}

fn in_binary(input: &InputTensor) -> Value {
    let InputTensor { name, tensor } = input;
    json!({
        "name": name, "shape": tensor.shape().dims(), "datatype": tensor.datatype().name(),
        "parameters": {"binary_data_size": tensor.data().len()},
    })
}

fn in_message(input: &InputTensor) -> InferInputTensor {
    let dims = input.tensor.shape().dims().iter();
    InferInputTensor {
        name: input.name.clone(),
        datatype: input.tensor.datatype().name().into(),
        shape: dims.map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect(),
        ..InferInputTensor::default()
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::Shape;

    use super::*;

    fn input(datatype: Datatype, dims: &[u64], data: Vec<u8>) -> InputTensor {
        let shape = Shape::new(dims).expect("a shape");
        InputTensor { name: "X".into(), tensor: Tensor::new(datatype, shape, data.into()).expect("a tensor") }
    }

    fn text(request: &[u8]) -> String {
        String::from_utf8_lossy(request).into_owned()
    }

    #[test]
    fn floats_are_written_in_their_shortest_form() {
        let values: Vec<u8> = [0.1_f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let requests = Requests::new(
            ([127, 0, 0, 1], 80).into(),
            "iris",
            None,
            &[input(Datatype::Fp32, &[1, 2], values.clone())],
        )
        .expect("FP32 can be sent");
        let json = text(&requests.json);
        assert!(json.starts_with("POST /v2/models/iris/infer HTTP/1.1\r\n"), "{json}");
        assert!(json.contains("[0.1,-2.0]"), "{json}");
        assert!(requests.binary.ends_with(&values));
        assert_eq!(requests.message.raw_input_contents, [values]);
    }

    #[test]
    fn a_version_stands_in_path_and_message() {
        let input = input(Datatype::Int64, &[1], 5_i64.to_le_bytes().into());
        let requests = Requests::new(([127, 0, 0, 1], 80).into(), "m", Some(12), &[input]);
        let requests = requests.expect("INT64 can be sent");
        assert!(text(&requests.json).starts_with("POST /v2/models/m/versions/12/infer "));
        assert_eq!(requests.message.model_version, "12");
    }

    #[test]
    fn datatypes_that_are_not_written_are_refused_by_name() {
        let input = input(Datatype::Bool, &[1], vec![1]);
        let refused = Requests::new(([127, 0, 0, 1], 80).into(), "m", None, &[input]);
        assert!(refused.expect_err("BOOL is not written").contains("BOOL"));
    }
}
