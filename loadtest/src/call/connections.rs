//! The connections of one thread, over which calls are sent.

use std::time::Duration;

use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::kind::Transport;
use super::prepare::{Call, Request};
use super::verdict::{Fault, Verdict};
use crate::client::http2;
use crate::client::line::Manner;
use crate::client::pool::Pool;
use crate::client::streams::Streams;
use crate::clock::Clock;

/// How a thread is connected to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wiring {
    /// Connections.
    pub(crate) connections: usize,
    /// Requests that share a connection at the same time, over HTTP/2 and gRPC. HTTP/1.1 has one.
    pub(crate) streams: usize,
    /// How long a request may wait for a connection, and then for its answer.
    pub(crate) timeout: Duration,
    /// How the client behaves.
    pub(crate) manner: Manner,
}

/// Connections that stay open; one that is lost is made again by the request that needs it.
#[derive(Debug)]
pub(crate) struct Connections {
    lines: Lines,
    wiring: Wiring,
    clock: Clock,
}

#[derive(Debug)]
enum Lines {
    Http1(Pool),
    Http2(Streams),
}

/// One request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When it left, after it waited for a connection or a stream.
    pub(crate) at: Duration,
    /// What came.
    pub(crate) verdict: Verdict,
    /// The version that answered, where the answer says.
    pub(crate) version: Option<u64>,
}

/// What came, and which version answered; or why nothing did.
type Judged = Result<(Verdict, Option<u64>), Fault>;

/// The shortest time after which a client vanishes: its request has to be on its way.
const VANISH_AFTER_MIN: Duration = Duration::from_millis(1);

impl Connections {
    /// Opens all connections.
    ///
    /// # Errors
    /// Where the server cannot be reached, or has no listener for the transport.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        transport: Transport,
        wiring: &Wiring,
        clock: Clock,
    ) -> Result<Self, String> {
        let &Wiring { connections, streams, manner, .. } = wiring;
        let address = if transport == Transport::Grpc { endpoint.grpc } else { endpoint.http };
        let address =
            address.ok_or_else(|| format!("{} has no listener for {transport:?}", endpoint.host))?;
        let opened = async {
            match transport {
                Transport::Http1 => Pool::open(address, connections, manner, clock).await.map(Lines::Http1),
                Transport::Http2 | Transport::Grpc => {
                    Streams::open(address, connections, streams, manner).await.map(Lines::Http2)
                }
            }
        };
        let opened = timeout(wiring.timeout, opened).await;
        let lines = opened
            .unwrap_or_else(|_| Err(format!("{address}: no connection within {:?}", wiring.timeout)))?;
        Ok(Self { lines, wiring: *wiring, clock })
    }

    /// Sends a call, of the transport that these connections are for, and judges the answer.
    pub(crate) async fn send(&self, call: &Call) -> Sent {
        let mut at = self.clock.now();
        let judged = match (&self.lines, &call.0.request) {
            (Lines::Http1(pool), Request::Http1(bytes)) => self.http1(pool, call, bytes, &mut at).await,
            (Lines::Http2(streams), Request::Http2(request) | Request::Grpc(request)) => {
                self.http2(streams, call, request, &mut at).await
            }
            _ => Err(Fault::new("unsent", "the call is of another transport than the connections")),
        };
        let (verdict, version) = judged.unwrap_or_else(|fault| (Verdict::Lost(fault), None));
        Sent { at, verdict, version }
    }

    async fn http1(&self, pool: &Pool, call: &Call, bytes: &[u8], at: &mut Duration) -> Judged {
        let mut taken = self.free(pool.take()).await?;
        *at = self.clock.now();
        let answer = self.answer(taken.connection.exchange(bytes)).await?;
        let judged = call.0.judge.http(&answer);
        if !answer.head.last {
            taken.put_back();
        }
        Ok(judged)
    }

    async fn http2(
        &self,
        streams: &Streams,
        call: &Call,
        request: &http2::Prepared,
        at: &mut Duration,
    ) -> Judged {
        let place = self.free(streams.take()).await?;
        let connection = self.free(place.connection()).await?;
        *at = self.clock.now();
        let received = self.answer(http2::exchange(connection, request)).await?;
        Ok(match &call.0.request {
            Request::Grpc(_) => call.0.judge.grpc(&received),
            _ => call.0.judge.http(&received.answer()),
        })
    }

    /// Waits for a connection, and makes it where it was lost.
    async fn free<T>(&self, taken: impl Future<Output = Result<T, String>>) -> Result<T, Fault> {
        let within = self.wiring.timeout;
        match timeout(within, taken).await {
            Ok(taken) => taken.map_err(|why| Fault::new("connection", why)),
            Err(_) => Err(Fault::new("unsent", format!("no connection was free within {within:?}"))),
        }
    }

    /// Waits for an answer, for as long as this client does.
    async fn answer<T>(&self, answer: impl Future<Output = Result<T, String>>) -> Result<T, Fault> {
        let (within, code) = match self.wiring.manner {
            Manner::Vanish { after } => (after.max(VANISH_AFTER_MIN), "vanished"),
            _ => (self.wiring.timeout, "timeout"),
        };
        match timeout(within, answer).await {
            Ok(answer) => answer.map_err(|why| Fault::new("connection", why)),
            Err(_) => Err(Fault::new(code, format!("no answer came within {within:?}"))),
        }
    }
}

#[cfg(test)]
mod tests;
