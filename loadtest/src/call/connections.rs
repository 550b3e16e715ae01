//! The connections of one thread, over which calls are sent.

use std::time::Duration;

use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::kind::Transport;
use super::prepare::{Call, Request};
use super::verdict::{Fault, Verdict};
use crate::client::answer::Answer;
use crate::client::http2::{self, Received};
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

/// A whole answer, not judged yet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Came<'a> {
    /// Over HTTP, of any version.
    Http(Answer<'a>),
    /// Over gRPC.
    Grpc(&'a Received),
}

impl Came<'_> {
    /// A header of it, its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Http(answer) => answer.headers.get(name),
            Self::Grpc(received) => received.headers.get(name)?.to_str().ok(),
        }
    }
}

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
        let judge = |came: Came<'_>| match came {
            Came::Http(answer) => call.0.judge.http(&answer),
            Came::Grpc(received) => call.0.judge.grpc(received),
        };
        let (at, judged) = self.exchange(call, judge).await;
        let (verdict, version) = judged.unwrap_or_else(|fault| (Verdict::Lost(fault), None));
        Sent { at, verdict, version }
    }

    /// Sends a call, and lets somebody else than its judge look at what came: when it left, and what they
    /// made of it, or why nothing came.
    pub(crate) async fn exchange<T>(
        &self,
        call: &Call,
        look: impl FnOnce(Came<'_>) -> T,
    ) -> (Duration, Result<T, Fault>) {
        let mut at = self.clock.now();
        let looked = match (&self.lines, &call.0.request) {
            (Lines::Http1(pool), Request::Http1(bytes)) => self.http1(pool, bytes, look, &mut at).await,
            (Lines::Http2(streams), Request::Http2(request)) => {
                let received = self.http2(streams, request, &mut at).await;
                received.map(|received| look(Came::Http(received.answer())))
            }
            (Lines::Http2(streams), Request::Grpc(request)) => {
                let received = self.http2(streams, request, &mut at).await;
                received.map(|received| look(Came::Grpc(&received)))
            }
            _ => Err(Fault::new("unsent", "the call is of another transport than the connections")),
        };
        (at, looked)
    }

    async fn http1<T>(
        &self,
        pool: &Pool,
        bytes: &[u8],
        look: impl FnOnce(Came<'_>) -> T,
        at: &mut Duration,
    ) -> Result<T, Fault> {
        let mut taken = self.free(pool.take()).await?;
        *at = self.clock.now();
        let answer = self.answer(taken.connection.exchange(bytes)).await?;
        let (looked, last) = (look(Came::Http(answer)), answer.head.last);
        if !last {
            taken.put_back();
        }
        Ok(looked)
    }

    async fn http2(
        &self,
        streams: &Streams,
        request: &http2::Prepared,
        at: &mut Duration,
    ) -> Result<Received, Fault> {
        let place = self.free(streams.take()).await?;
        let connection = self.free(place.connection()).await?;
        *at = self.clock.now();
        self.answer(http2::exchange(connection, request)).await
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
