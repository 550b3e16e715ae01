//! One input as the request of each protocol, written once and sent many times.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_core::InputTensor;
use pointsman_wire::grpc::proto::ModelInferRequest;
use pointsman_wire::{grpc, v2};

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
    /// Where JSON cannot hold an input.
    pub(crate) fn new(
        host: SocketAddr,
        model: &str,
        version: Option<u64>,
        inputs: &[InputTensor],
    ) -> Result<Self, String> {
        let path = match version {
            Some(number) => format!("/v2/models/{model}/versions/{number}/infer"),
            None => format!("/v2/models/{model}/infer"),
        };
        let post = |binary| -> Result<Arc<[u8]>, String> {
            let form = v2::RequestForm { binary, ..v2::RequestForm::default() };
            let encoded = v2::encode_request(inputs, &form).map_err(|e| e.to_string())?;
            Ok(http1::post(host, &path, encoded.header_length, &encoded.body).into())
        };
        let form = grpc::RequestForm {
            model: model.into(),
            version: version.map(|number| number.to_string()).unwrap_or_default(),
            ..grpc::RequestForm::default()
        };
        let message = grpc::encode_request(inputs, &form).map_err(|e| e.to_string())?;
        Ok(Self { json: post(false)?, binary: post(true)?, message })
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Datatype, Shape, Tensor};

    use super::*;

    #[test]
    fn the_version_stands_in_each_request() {
        let shape = Shape::new(&[1]).expect("a shape");
        let tensor = Tensor::from_vec(Datatype::Fp32, shape, vec![0.1_f32]).expect("it fits");
        let input = InputTensor { name: "X".into(), tensor };
        let host = ([127, 0, 0, 1], 80).into();
        let requests = Requests::new(host, "m", Some(12), &[input]).expect("it can be said");
        for request in [&requests.json, &requests.binary] {
            assert!(request.starts_with(b"POST /v2/models/m/versions/12/infer HTTP/1.1\r\n"));
        }
        assert!(requests.json.windows(5).any(|w| w == b"[0.1]"));
        assert!(requests.binary.ends_with(&0.1_f32.to_le_bytes()));
        assert_eq!(requests.message.model_version, "12");
        assert_eq!(requests.message.raw_input_contents, [0.1_f32.to_le_bytes().to_vec()]);
    }
}
