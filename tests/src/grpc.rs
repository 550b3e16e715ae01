//! A gRPC client, and tensors in the forms of V2 gRPC, written and read without the gateway's own
//! conversions.

use std::net::SocketAddr;

use bytes::Bytes;
use pointsman_core::{Datatype, InputTensor, Tensor};
use pointsman_wire::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use pointsman_wire::grpc::proto::model_infer_request::InferInputTensor;
use pointsman_wire::grpc::proto::model_infer_response::InferOutputTensor;
use pointsman_wire::grpc::proto::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use tonic::transport::{Channel, Endpoint};

use crate::v2::{new_tensor, strings, tensor};

/// A client of V2 gRPC.
pub type Client = GrpcInferenceServiceClient<Channel>;

/// A connection to a gRPC listener.
///
/// # Panics
/// Where none can be made.
pub async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is a URI");
    endpoint.connect().await.expect("a connection")
}

/// A client that, as Triton's, has no limit of its own on messages.
///
/// # Panics
/// Where no connection can be made.
pub async fn client(address: SocketAddr) -> Client {
    let client = Client::new(channel(address).await);
    client.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX)
}

/// A request with raw tensors.
#[must_use]
pub fn raw_request(model: &str, inputs: &[InputTensor]) -> ModelInferRequest {
    ModelInferRequest {
        model_name: model.into(),
        inputs: inputs.iter().map(|input| head(input, None)).collect(),
        raw_input_contents: inputs.iter().map(|input| input.tensor.data().clone()).collect(),
        ..ModelInferRequest::default()
    }
}

/// A request with typed tensors; nothing where a datatype has no typed form.
#[must_use]
pub fn typed_request(model: &str, inputs: &[InputTensor]) -> Option<ModelInferRequest> {
    let inputs = inputs.iter().map(|input| Some(head(input, Some(contents(&input.tensor)?))));
    Some(ModelInferRequest {
        model_name: model.into(),
        inputs: inputs.collect::<Option<_>>()?,
        ..ModelInferRequest::default()
    })
}

fn head(input: &InputTensor, contents: Option<InferTensorContents>) -> InferInputTensor {
    let shape = input.tensor.shape().dims().iter();
    InferInputTensor {
        name: input.name.clone(),
        datatype: input.tensor.datatype().name().into(),
        shape: shape.map(|&d| d.try_into().expect("a small dimension")).collect(),
        contents,
        ..InferInputTensor::default()
    }
}

fn contents(tensor: &Tensor) -> Option<InferTensorContents> {
    fn widened<T: Copy + Into<U>, U>(values: Option<&[T]>) -> Vec<U> {
        values.expect("values of the datatype").iter().map(|&v| v.into()).collect()
    }
    let mut contents = InferTensorContents::default();
    match tensor.datatype() {
        Datatype::Bool => contents.bool_contents = tensor.data().iter().map(|&b| b == 1).collect(),
        Datatype::Uint8 => contents.uint_contents = widened::<u8, _>(tensor.values()),
        Datatype::Uint16 => contents.uint_contents = widened::<u16, _>(tensor.values()),
        Datatype::Uint32 => contents.uint_contents = widened::<u32, _>(tensor.values()),
        Datatype::Uint64 => contents.uint64_contents = widened::<u64, _>(tensor.values()),
        Datatype::Int8 => contents.int_contents = widened::<i8, _>(tensor.values()),
        Datatype::Int16 => contents.int_contents = widened::<i16, _>(tensor.values()),
        Datatype::Int32 => contents.int_contents = widened::<i32, _>(tensor.values()),
        Datatype::Int64 => contents.int64_contents = widened::<i64, _>(tensor.values()),
        Datatype::Fp32 => contents.fp32_contents = widened::<f32, _>(tensor.values()),
        Datatype::Fp64 => contents.fp64_contents = widened::<f64, _>(tensor.values()),
        Datatype::Bytes => {
            contents.bytes_contents = tensor.strings()?.map(Bytes::copy_from_slice).collect();
        }
        Datatype::Fp16 | Datatype::Bf16 => return None,
    }
    Some(contents)
}

/// The outputs of a response, raw or typed.
///
/// # Panics
/// Where it has not exactly one value for each output.
#[must_use]
pub fn outputs(response: &ModelInferResponse) -> Vec<InputTensor> {
    let raw = &response.raw_output_contents;
    let typed = response.outputs.iter().filter(|o| o.contents.is_some()).count();
    let count = response.outputs.len();
    assert!(raw.len() == count && typed == 0 || raw.is_empty() && typed == count, "{response:?}");
    let outputs = response.outputs.iter().enumerate().map(|(index, output)| {
        let tensor = match &output.contents {
            Some(contents) => from_contents(output, contents),
            None => new_tensor(datatype(output), &shape(output), raw[index].to_vec()),
        };
        InputTensor { name: output.name.clone(), tensor }
    });
    outputs.collect()
}

fn datatype(output: &InferOutputTensor) -> Datatype {
    Datatype::parse(&output.datatype).expect("a datatype of V2")
}

fn shape(output: &InferOutputTensor) -> Vec<u64> {
    output.shape.iter().map(|&d| d.try_into().expect("a dimension")).collect()
}

fn from_contents(output: &InferOutputTensor, contents: &InferTensorContents) -> Tensor {
    let narrow = datatype(output).size().unwrap_or_default();
    let bytes: Vec<u8> = match datatype(output) {
        Datatype::Bool => contents.bool_contents.iter().map(|&b| u8::from(b)).collect(),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => {
            contents.uint_contents.iter().flat_map(|n| n.to_le_bytes().into_iter().take(narrow)).collect()
        }
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => {
            contents.int_contents.iter().flat_map(|n| n.to_le_bytes().into_iter().take(narrow)).collect()
        }
        Datatype::Uint64 => return tensor(&shape(output), &contents.uint64_contents),
        Datatype::Int64 => return tensor(&shape(output), &contents.int64_contents),
        Datatype::Fp32 => return tensor(&shape(output), &contents.fp32_contents),
        Datatype::Fp64 => return tensor(&shape(output), &contents.fp64_contents),
        Datatype::Bytes => {
            let texts: Vec<&[u8]> = contents.bytes_contents.iter().map(|b| &b[..]).collect();
            return strings(&shape(output), &texts);
        }
        Datatype::Fp16 | Datatype::Bf16 => panic!("{} has no typed contents", output.datatype),
    };
    new_tensor(datatype(output), &shape(output), bytes)
}
