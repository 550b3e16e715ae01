//! The requests that are sent, and the gateway's own answers to them, which the bare server repeats.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{Datatype, InputTensor, Shape, Tensor};
use pointsman_wire::grpc::proto::ModelInferRequest;

use super::Exchange;
use crate::client::http1;
use crate::requests::Requests;

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

impl Exchanges {
    /// Sends each request once.
    pub(super) async fn record(http: SocketAddr) -> Result<Self, String> {
        let digits = input("X", &[1, 64], (0..64).map(|i| (i % 17) as f32).collect())?;
        let echo = input("x", &[3, 4, 5], (0..60).map(|i| i as f32 / 8.0).collect())?;
        let digits = Requests::new(http, "digits", None, &[digits])?;
        let echo = Requests::new(http, "echo", None, &[echo])?;
        Ok(Self {
            digits_binary: Recorded::of(http, digits.binary).await?,
            echo_json: Recorded::of(http, echo.json).await?,
            echo_binary: Recorded::of(http, echo.binary).await?,
            message: echo.message,
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
    async fn of(http: SocketAddr, request: Arc<[u8]>) -> Result<Self, String> {
        let (head, answer_body) = http1::once(http, &request).await?;
        if head.status != 200 {
            return Err(format!("the gateway answered {}", String::from_utf8_lossy(&answer_body)));
        }
        Ok(Self { request, answer_body, header_length: head.json_length })
    }
}

fn input(name: &str, dims: &[u64], values: Vec<f32>) -> Result<InputTensor, String> {
    let shape = Shape::new(dims).ok_or("a shape has too many dimensions")?;
    let tensor = Tensor::from_vec(Datatype::Fp32, shape, values).map_err(|e| e.to_string())?;
    Ok(InputTensor { name: name.into(), tensor })
}
