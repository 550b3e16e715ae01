//! Clients on one connection, which have come as far as a stage and then vanish.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::plan::{Plan, Stage, Way};
use crate::call::{Call, Request, Transport};
use crate::client::http1::Connection;
use crate::client::http2::Prepared;
use crate::client::line::Manner;

/// The most streams of one connection.
pub(super) const STREAMS: usize = 4;

/// The beginning of an HTTP/2 connection: the preface, settings, and a frame of headers that is not whole.
const HALF_HEADERS: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x40\x01\x04\0\0\0\x01\x83\x86";

/// What ends the head of a request over HTTP/1.1.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A reader that takes hardly anything: its socket has a small buffer, which the answer fills.
const HARDLY: Manner = Manner::SlowRead { bytes_per_second: 1 };

/// One connection with its clients.
#[derive(Debug)]
pub(super) enum Client {
    /// One client.
    Line(Connection),
    /// One for each stream.
    Streams(Streams),
}

/// A connection of HTTP/2.
#[derive(Debug)]
pub(super) struct Streams {
    serves: JoinHandle<()>,
    /// Held, as a connection without one is ended in good order where it is idle.
    sender: SendRequest<Bytes>,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    sends: SendStream<Bytes>,
    awaits: Option<ResponseFuture>,
    reads: Option<RecvStream>,
}

impl Client {
    /// Connects, and takes `count` requests as far as the plan's stage; over HTTP/1.1 and where there is no request,
    /// one.
    ///
    /// # Errors
    /// What became of the connection.
    pub(super) async fn open(
        address: SocketAddr,
        plan: Plan,
        call: &Call,
        count: usize,
    ) -> Result<Self, String> {
        match call.request() {
            Request::Http1(bytes) => Self::http1(address, plan, bytes).await,
            Request::Http2(_) | Request::Grpc(_) if plan.stage == Stage::Headers => {
                let mut line = connect(address, plan, Manner::Normal).await?;
                line.send(HALF_HEADERS).await?;
                Ok(Self::Line(line))
            }
            Request::Http2(request) | Request::Grpc(request) => {
                Streams::open(address, plan, request, count).await.map(Self::Streams)
            }
        }
    }

    /// How many clients of a plan share a connection.
    pub(super) fn shared_by(plan: Plan) -> usize {
        let shared = plan.stage.has_request() && plan.transport != Transport::Http1;
        if shared { STREAMS } else { 1 }
    }

    async fn http1(address: SocketAddr, plan: Plan, bytes: &[u8]) -> Result<Self, String> {
        let manner = if plan.stage == Stage::Answer { HARDLY } else { Manner::Normal };
        let mut line = connect(address, plan, manner).await?;
        let head = bytes.windows(END_OF_HEAD.len()).position(|at| at == END_OF_HEAD);
        let head = head.ok_or("a request has no head")?;
        match plan.stage {
            Stage::Headers => line.send(&bytes[..head / 2]).await?,
            Stage::Body => line.send(&bytes[..bytes.len() - 1]).await?,
            Stage::Queued | Stage::Running => line.send(bytes).await?,
            Stage::Answer => {
                line.send(bytes).await?;
                line.begins().await?;
            }
            Stage::Idle => match line.exchange(bytes).await?.head.status {
                200 => {}
                status => return Err(format!("it was answered {status}")),
            },
        }
        Ok(Self::Line(line))
    }

    /// Vanishes; what is left of it is held by who gets it.
    pub(super) async fn vanish(self, way: Way) -> Option<Self> {
        match (self, way) {
            (Self::Streams(mut streams), Way::Reset) => {
                streams.streams.iter_mut().for_each(|stream| stream.sends.send_reset(Reason::CANCEL));
                Some(Self::Streams(streams))
            }
            (Self::Streams(streams), _) => {
                streams.serves.abort();
                // The socket is closed when the task that has it is gone.
                let _ = streams.serves.await;
                None
            }
            (Self::Line(line), _) => {
                drop(line);
                None
            }
        }
    }
}

async fn connect(address: SocketAddr, plan: Plan, manner: Manner) -> Result<Connection, String> {
    let line = Connection::open(address, manner).await?;
    if plan.way == Way::Abort {
        line.reset_on_drop()?;
    }
    Ok(line)
}

impl Streams {
    async fn open(address: SocketAddr, plan: Plan, request: &Prepared, count: usize) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{address}: {e}");
        let socket = TcpStream::connect(address).await.map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        if plan.way == Way::Abort {
            socket.set_zero_linger().map_err(failed)?;
        }
        let (sender, connection) = h2::client::handshake(socket).await.map_err(|e| e.to_string())?;
        let serves = tokio::spawn(async move {
            // That it is broken off is what it is for.
            let _ = connection.await;
        });
        let mut this = Self { serves, sender, streams: Vec::new() };
        for _ in 0..count {
            this.send(plan.stage, request).await?;
        }
        for stream in &mut this.streams {
            stream.advance(plan.stage).await?;
        }
        Ok(this)
    }

    async fn send(&mut self, stage: Stage, request: &Prepared) -> Result<(), String> {
        let (parts, body) = request.clone().into_parts();
        let body = body.into_inner().unwrap_or_default();
        let whole = stage != Stage::Body;
        let body = if whole { body } else { body.slice(..body.len() - 1) };
        let mut sender = self.sender.clone().ready().await.map_err(|e| e.to_string())?;
        let request = http::Request::from_parts(parts, ());
        let sent = sender.send_request(request, false).map_err(|e| e.to_string())?;
        let (awaits, mut sends) = sent;
        sends.send_data(body, whole).map_err(|e| e.to_string())?;
        self.streams.push(Stream { sends, awaits: Some(awaits), reads: None });
        Ok(())
    }
}

impl Stream {
    /// Waits for the head of the answer, and for all of it where the client is to be idle.
    async fn advance(&mut self, stage: Stage) -> Result<(), String> {
        if !matches!(stage, Stage::Answer | Stage::Idle) {
            return Ok(());
        }
        let Some(awaits) = self.awaits.take() else { return Ok(()) };
        let answer = awaits.await.map_err(|e| e.to_string())?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("it was answered {}", answer.status()));
        }
        let mut reads = answer.into_body();
        if stage == Stage::Idle {
            while let Some(data) = reads.data().await {
                data.map_err(|e| e.to_string())?;
            }
            reads.trailers().await.map_err(|e| e.to_string())?;
        }
        self.reads = Some(reads);
        Ok(())
    }
}
