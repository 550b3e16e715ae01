//! Sends one request over one of a thread's connections, and judges what comes.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Plan, Work};
use crate::client::Protocol;
use crate::client::grpc::{self, Client, STREAMS};
use crate::client::line::Manner;
use crate::client::pool::Pool;
use crate::clock::Clock;
use crate::references::Verdict;

/// The connections of one thread.
pub(super) struct Sender {
    http: Option<Pool>,
    grpc: Vec<Client>,
    /// As many streams as all gRPC connections together take.
    streams: Semaphore,
    clock: Clock,
    timeout: Duration,
}

/// One request as it was sent.
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) verdict: Verdict,
}

impl Sender {
    /// Opens the connections that the plan calls for.
    pub(super) async fn open(plan: &Plan, clock: Clock) -> Result<Self, String> {
        // JSON and binary share their connections, as they do in a client that asks for both.
        let http = plan.protocols.iter().filter(|&&protocol| protocol != Protocol::Grpc).count();
        let grpc = if http < plan.protocols.len() { plan.connections } else { 0 };
        let mut clients = Vec::new();
        for _ in 0..grpc {
            clients.push(grpc::connect(plan.grpc).await?);
        }
        let http = match http * plan.connections {
            0 => None,
            connections => Some(Pool::open(plan.http, connections, Manner::Normal, clock).await?),
        };
        let streams = Semaphore::new(grpc * STREAMS);
        Ok(Self { http, grpc: clients, streams, clock, timeout: plan.timeout })
    }

    /// Sends a request; `number` spreads calls over connections.
    pub(super) async fn send(&self, work: &Work, protocol: Protocol, input: usize, number: usize) -> Sent {
        let mut at = self.clock.now();
        let sent = match protocol {
            Protocol::HttpJson | Protocol::HttpBinary => self.http(work, protocol, input, &mut at).await,
            Protocol::Grpc => self.grpc(work, input, number, &mut at).await,
        };
        Sent { at, verdict: sent.unwrap_or_else(Verdict::Failed) }
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
