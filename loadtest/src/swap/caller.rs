//! Sends one request over one of a thread's connections, and judges what comes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answered::Record;
use crate::client::Protocol;
use crate::client::grpc::{self, Client, STREAMS};
use crate::client::line::Manner;
use crate::client::pool::Pool;
use crate::clock::Clock;
use crate::references::{References, Verdict};
use crate::requests::Requests;
use crate::traffic::{Caller, Turn};

/// The requests, which take turns, and their right answers.
#[derive(Debug)]
pub(super) struct Work {
    /// One for each input.
    pub(super) requests: Vec<Requests>,
    /// For the same inputs.
    pub(super) references: References,
}

/// What is sent, and to where.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) work: Work,
    /// Where HTTP goes.
    pub(super) http: SocketAddr,
    /// Where gRPC goes.
    pub(super) grpc: SocketAddr,
    /// The protocols, which take turns.
    pub(super) protocols: Vec<Protocol>,
    /// Connections of each protocol on each thread.
    pub(super) connections: usize,
    /// How long an answer may take from the moment at which its request was sent.
    pub(super) timeout: Duration,
}

impl Caller for Asker {
    type Connections = Sender;
    type Record = Record;

    async fn connect(&self, clock: Clock) -> Result<Sender, String> {
        Sender::open(self, clock).await
    }

    async fn call(&self, sender: &Sender, turn: Turn) -> Record {
        let Turn { number, due, fired } = turn;
        let protocol = self.protocols[number % self.protocols.len()];
        let input = number / self.protocols.len() % self.work.requests.len();
        let (sent, verdict) = sender.send(&self.work, protocol, input, number).await;
        Record { protocol, input, due, fired, sent, ended: sender.clock.now(), verdict }
    }
}

/// The connections of one thread.
pub(super) struct Sender {
    http: Option<Pool>,
    grpc: Vec<Client>,
    /// As many streams as all gRPC connections together take.
    streams: Semaphore,
    clock: Clock,
    timeout: Duration,
}

impl Sender {
    /// Opens the connections that are called for.
    async fn open(asker: &Asker, clock: Clock) -> Result<Self, String> {
        // JSON and binary share their connections, as they do in a client that asks for both.
        let http = asker.protocols.iter().filter(|&&protocol| protocol != Protocol::Grpc).count();
        let grpc = if http < asker.protocols.len() { asker.connections } else { 0 };
        let mut clients = Vec::new();
        for _ in 0..grpc {
            clients.push(grpc::connect(asker.grpc).await?);
        }
        let http = match http * asker.connections {
            0 => None,
            connections => Some(Pool::open(asker.http, connections, Manner::Normal, clock).await?),
        };
        let streams = Semaphore::new(grpc * STREAMS);
        Ok(Self { http, grpc: clients, streams, clock, timeout: asker.timeout })
    }

    /// Sends a request, and gives when that was; `number` spreads calls over connections.
    async fn send(
        &self,
        work: &Work,
        protocol: Protocol,
        input: usize,
        number: usize,
    ) -> (Duration, Verdict) {
        let mut at = self.clock.now();
        let sent = match protocol {
            Protocol::HttpJson | Protocol::HttpBinary => self.http(work, protocol, input, &mut at).await,
            Protocol::Grpc => self.grpc(work, input, number, &mut at).await,
        };
        (at, sent.unwrap_or_else(Verdict::Failed))
    }

    async fn http(
        &self,
        work: &Work,
        protocol: Protocol,
        input: usize,
        at: &mut Duration,
    ) -> Result<Verdict, String> {
        let pool = self.http.as_ref().ok_or("there is no connection for HTTP")?;
        let requests = &work.requests[input];
        let request = if protocol == Protocol::HttpJson { &requests.json } else { &requests.binary };
        let taken = timeout(self.timeout, pool.take()).await;
        let mut taken = taken.map_err(|_| self.unanswered("no connection was free"))??;
        *at = self.clock.now();
        let answer = timeout(self.timeout, taken.connection.exchange(request)).await;
        let answer = answer.map_err(|_| self.unanswered("no answer came"))??;
        let verdict = work.references.judge_http(protocol, input, &answer);
        if !answer.head.last {
            taken.put_back();
        }
        Ok(verdict)
    }

    async fn grpc(
        &self,
        work: &Work,
        input: usize,
        number: usize,
        at: &mut Duration,
    ) -> Result<Verdict, String> {
        let index = number % self.grpc.len().max(1);
        let mut client = self.grpc.get(index).ok_or("there is no connection for gRPC")?.clone();
        let stream = timeout(self.timeout, self.streams.acquire()).await;
        let _stream =
            stream.map_err(|_| self.unanswered("no stream was free"))?.map_err(|e| e.to_string())?;
        let message = work.requests[input].message.clone();
        *at = self.clock.now();
        let answer = timeout(self.timeout, client.model_infer(message)).await;
        let answer = answer.map_err(|_| self.unanswered("no answer came"))?;
        let answer = answer.map_err(|status| format!("{:?}: {}", status.code(), status.message()))?;
        let (metadata, message, _) = answer.into_parts();
        let version = metadata.get("pointsman-version").and_then(|value| value.to_str().ok());
        Ok(work.references.judge_grpc(input, version, message))
    }

    fn unanswered(&self, what: &str) -> String {
        format!("{what} within {:?}", self.timeout)
    }
}
