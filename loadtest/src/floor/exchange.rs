//! The requests that are sent, and the gateway's own answers to them, which the bare server repeats.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use pointsman_wire::grpc::proto::ModelInferRequest;
use pointsman_wire::grpc::proto::model_infer_request::InferInputTensor;

use super::Exchange;
use crate::load::once;

/// A request over HTTP/1.1 and what the gateway answered.
pub(super) struct Recorded {
    /// Head and body.
    pub(super) request: Arc<[u8]>,
    /// The body of the answer.
    pub(super) answer_body: Bytes,
    /// How much of it is JSON, where the answer says.
    pub(super) header_length: Option<usize>,
}

/// All of them.
pub(super) struct Exchanges {
    digits_binary: Recorded,
    echo_json: Recorded,
    echo_binary: Recorded,
    /// The echo request as a gRPC message.
    pub(super) message: ModelInferRequest,
}

/// The shape of the echo model's input.
const ECHO_SHAPE: [i64; 3] = [3, 4, 5];

impl Exchanges {
    /// Sends each request once.
    pub(super) async fn record(http: SocketAddr) -> Result<Self, String> {
        let digits: Vec<f32> = (0..64).map(|i| (i % 17) as f32).collect();
        let echo: Vec<f32> = (0..60).map(|i| i as f32 / 8.0).collect();
        let raw = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let shape = ECHO_SHAPE.map(|d| d.to_string()).join(",");
        let values = echo.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(",");
        let json =
            format!(r#"{{"inputs":[{{"name":"x","shape":[{shape}],"datatype":"FP32","data":[{values}]}}]}}"#);
        let input = InferInputTensor {
            name: "x".into(),
            datatype: "FP32".into(),
            shape: ECHO_SHAPE.to_vec(),
            ..InferInputTensor::default()
        };
        let message = ModelInferRequest {
            model_name: "echo".into(),
            inputs: vec![input],
            raw_input_contents: vec![raw(&echo).into()],
            ..ModelInferRequest::default()
        };
        Ok(Self {
            digits_binary: Recorded::of(http, binary(http, "digits", "X", "1,64", &raw(&digits))).await?,
            echo_json: Recorded::of(http, request(http, "echo", None, json.as_bytes())).await?,
            echo_binary: Recorded::of(http, binary(http, "echo", "x", &shape, &raw(&echo))).await?,
            message,
        })
    }

    pub(super) fn of(&self, exchange: Exchange) -> &Recorded {
        match exchange {
            Exchange::DigitsBinary => &self.digits_binary,
            Exchange::EchoJson => &self.echo_json,
            Exchange::EchoBinary => &self.echo_binary,
        }
    }
}

impl Recorded {
    async fn of(http: SocketAddr, request: Vec<u8>) -> Result<Self, String> {
        let answer = once(http, &request).await?;
        let head =
            answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("an answer has no end of its head")?;
        let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
        let name = format!("{}: ", pointsman_wire::v2::HEADER_LENGTH);
        let header_length =
            text.lines().find_map(|l| l.strip_prefix(&name)).and_then(|v| v.trim().parse().ok());
        Ok(Self { request: request.into(), answer_body: answer.slice(head + 4..), header_length })
    }
}

/// One FP32 input in binary, all outputs in binary.
fn binary(http: SocketAddr, model: &str, input: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let json = format!(
        r#"{{"inputs":[{{"name":"{input}","shape":[{shape}],"datatype":"FP32","parameters":{{"binary_data_size":{}}}}}],"parameters":{{"binary_data_output":true}}}}"#,
        values.len()
    );
    request(http, model, Some(json.len()), &[json.as_bytes(), values].concat())
}

fn request(http: SocketAddr, model: &str, header_length: Option<usize>, body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nHost: {http}\r\nContent-Length: {}\r\n",
        body.len()
    );
    if let Some(length) = header_length {
        head.push_str(&format!("Inference-Header-Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}
