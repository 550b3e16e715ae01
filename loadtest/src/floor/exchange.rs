//! The requests that are sent, and the gateway's own answers to them, which the bare server repeats.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::{Datatype, InputTensor, Shape, Tensor};
use pointsman_wire::grpc::proto::ModelInferRequest;
use prost::Message;

use super::{Exchange, Model};
use crate::client::{Protocol, grpc, http1};
use crate::requests::Requests;

/// A request, and the gateway's answer to it.
pub(super) enum Recorded {
    /// Over HTTP/1.1.
    Http {
        /// Head and body.
        request: Arc<[u8]>,
        /// The body of the answer.
        answer: Bytes,
        /// How much of it is JSON, where the answer says.
        header_length: Option<usize>,
    },
    /// Over gRPC.
    Grpc {
        /// The request.
        message: ModelInferRequest,
        /// The answer's message.
        answer: Bytes,
    },
}

/// All of them.
pub(super) struct Exchanges(Vec<(Exchange, Recorded)>);

impl Exchanges {
    /// Sends each request once.
    pub(super) async fn record(http: SocketAddr, grpc: SocketAddr) -> Result<Self, String> {
        let mut recorded = Vec::new();
        for exchange in Exchange::all() {
            let input = match exchange.model {
                Model::Digits => input("X", &[1, 64], (0..64).map(|i| (i % 17) as f32).collect())?,
                Model::Iris => input("X", &[1, 4], vec![5.1, 3.5, 1.4, 0.2])?,
                Model::Echo => input("x", &[3, 4, 5], (0..60).map(|i| i as f32 / 8.0).collect())?,
            };
            let requests = Requests::new(http, exchange.model.name(), None, &[input])?;
            let answered = match exchange.protocol {
                Protocol::HttpJson => Recorded::over_http(http, requests.json).await,
                Protocol::HttpBinary => Recorded::over_http(http, requests.binary).await,
                Protocol::Grpc => Recorded::over_grpc(grpc, requests.message).await,
            };
            recorded.push((exchange, answered?));
        }
        Ok(Self(recorded))
    }

    #[allow(clippy::panic)] // every exchange was recorded
    pub(super) fn of(&self, exchange: Exchange) -> &Recorded {
        match self.0.iter().find(|(recorded, _)| *recorded == exchange) {
            Some((_, recorded)) => recorded,
            None => panic!("{} was not recorded", exchange.name()),
        }
    }
}

impl Recorded {
    async fn over_http(http: SocketAddr, request: Arc<[u8]>) -> Result<Self, String> {
        let (head, answer) = http1::once(http, &request).await?;
        if head.status != 200 {
            return Err(format!("the gateway answered {}", String::from_utf8_lossy(&answer)));
        }
        Ok(Self::Http { request, answer, header_length: head.json_length })
    }

    async fn over_grpc(address: SocketAddr, message: ModelInferRequest) -> Result<Self, String> {
        let mut client = grpc::connect(address).await?;
        let answer = client.model_infer(message.clone()).await.map_err(|e| e.to_string())?;
        Ok(Self::Grpc { message, answer: answer.into_inner().encode_to_vec().into() })
    }

    /// The bytes of the answer.
    pub(super) fn answer(&self) -> &Bytes {
        match self {
            Self::Http { answer, .. } | Self::Grpc { answer, .. } => answer,
        }
    }
}

fn input(name: &str, dims: &[u64], values: Vec<f32>) -> Result<InputTensor, String> {
    let shape = Shape::new(dims).ok_or("a shape has too many dimensions")?;
    let tensor = Tensor::from_vec(Datatype::Fp32, shape, values).map_err(|e| e.to_string())?;
    Ok(InputTensor { name: name.into(), tensor })
}
