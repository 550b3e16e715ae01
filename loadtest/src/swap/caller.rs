//! The clients of a run: each request goes over its protocol's connections, and what comes is judged by the version
//! that it names.

use pointsman_core::InputTensor;
use pointsman_wire::grpc::proto::ModelInferResponse;
use prost::Message;

use super::answered::Record;
use crate::call::{
    Body, Call, Came, Connections, Endpoint, Form, Input, Kind, Model, Transport, Wiring, message,
};
use crate::client::Protocol;
use crate::client::http2::Received;
use crate::clock::Clock;
use crate::references::{References, Verdict};
use crate::traffic::{Caller, Turn};

/// Streams of each gRPC connection.
pub(crate) const STREAMS: usize = 16;

/// The requests about one input, one for each protocol, in the order of [`Protocol::ALL`].
#[derive(Debug)]
pub(super) struct Calls([Call; Protocol::ALL.len()]);

/// What is sent, to where, and what is right.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) endpoint: Endpoint,
    /// For each input; they take turns.
    pub(super) calls: Vec<Calls>,
    /// For the same inputs.
    pub(super) references: References,
    /// The protocols, which take turns.
    pub(super) protocols: Vec<Protocol>,
    /// For one protocol on one thread.
    pub(super) wiring: Wiring,
}

/// The connections of one thread.
pub(crate) struct Lines {
    http: Option<Connections>,
    grpc: Option<Connections>,
    clock: Clock,
}

impl Calls {
    /// Writes the requests that ask a model about an input.
    ///
    /// # Errors
    /// Where the input cannot be said in one.
    pub(super) fn prepare(
        endpoint: &Endpoint,
        model: &Model,
        tensors: &[InputTensor],
    ) -> Result<Self, String> {
        let input = Input { tensors: tensors.to_vec(), ..Input::default() };
        let call = |protocol| Call::prepare(endpoint, model, kind(protocol), &input);
        let [json, binary, grpc] = Protocol::ALL.map(call);
        Ok(Self([json?, binary?, grpc?]))
    }

    /// The one over a protocol.
    pub(super) fn over(&self, protocol: Protocol) -> &Call {
        &self.0[protocol as usize]
    }
}

impl Lines {
    /// Opens the connections that these protocols need.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        protocols: &[Protocol],
        wiring: Wiring,
        clock: Clock,
    ) -> Result<Self, String> {
        // JSON and binary share their connections, as they do in a client that asks for both.
        let over_http = protocols.iter().filter(|&&protocol| protocol != Protocol::Grpc).count();
        let (mut http, mut grpc) = (None, None);
        if over_http > 0 {
            let wiring = Wiring { connections: over_http * wiring.connections, streams: 1, ..wiring };
            http = Some(Connections::open(endpoint, Transport::Http1, &wiring, clock).await?);
        }
        if over_http < protocols.len() {
            grpc = Some(Connections::open(endpoint, Transport::Grpc, &wiring, clock).await?);
        }
        Ok(Self { http, grpc, clock })
    }

    /// Those that a protocol goes over.
    pub(crate) fn over(&self, protocol: Protocol) -> Result<&Connections, String> {
        let lines = if protocol == Protocol::Grpc { &self.grpc } else { &self.http };
        lines.as_ref().ok_or_else(|| format!("there is no connection for {}", protocol.name()))
    }
}

impl Caller for Asker {
    type Connections = Lines;
    type Record = Record;

    async fn connect(&self, clock: Clock) -> Result<Lines, String> {
        Lines::open(&self.endpoint, &self.protocols, self.wiring, clock).await
    }

    async fn call(&self, lines: &Lines, turn: Turn) -> Record {
        let Turn { number, due, fired } = turn;
        let protocol = self.protocols[number % self.protocols.len()];
        let input = number / self.protocols.len() % self.calls.len();
        let (sent, verdict) = match lines.over(protocol) {
            Ok(connections) => {
                let call = self.calls[input].over(protocol);
                connections.exchange(call, |came| judge(&self.references, protocol, input, came)).await
            }
            Err(problem) => (fired, Ok(Verdict::Failed(problem))),
        };
        let verdict = verdict.unwrap_or_else(|fault| Verdict::Failed(fault.said));
        Record { protocol, input, due, fired, sent, ended: lines.clock.now(), verdict }
    }
}

/// The requests that a protocol stands for.
pub(crate) fn kind(protocol: Protocol) -> Kind {
    let (transport, body) = match protocol {
        Protocol::HttpJson => (Transport::Http1, Body::Json),
        Protocol::HttpBinary => (Transport::Http1, Body::Binary),
        Protocol::Grpc => (Transport::Grpc, Body::Binary),
    };
    Kind { form: Form::V2, transport, body }
}

/// Holds an answer against that of the version that it names.
pub(crate) fn judge(references: &References, protocol: Protocol, input: usize, came: Came<'_>) -> Verdict {
    match came {
        Came::Http(answer) => references.judge_http(protocol, input, &answer),
        Came::Grpc(received) => match decode(received) {
            Ok(message) => references.judge_grpc(input, came.header("pointsman-version"), message),
            Err(said) => Verdict::Failed(said),
        },
    }
}

/// The message of an answer over gRPC.
pub(super) fn decode(received: &Received) -> Result<ModelInferResponse, String> {
    let message = message(received).map_err(|verdict| verdict.to_string())?;
    ModelInferResponse::decode(message).map_err(|e| format!("the answer is no ModelInferResponse: {e}"))
}
