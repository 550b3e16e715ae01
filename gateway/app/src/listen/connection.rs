//! One connection from its first byte to its last, and how it ends without losing a request.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::reader::Readers;
use super::socket::{Pulse, Socket};
use super::timer::ConnectionTimer;
use super::{Answer, Phase};
use crate::config::Connections;
use crate::exchange::Caller;

/// How long nothing must have come by an HTTP/1 connection before the gateway closes it on its way
/// down: its client was never told, so what it asks until then is answered.
const LINGER: Duration = Duration::from_secs(1);

/// How long an HTTP/2 client has to hear that it should open no more streams.
const LEAVE: Duration = Duration::from_millis(500);

/// How many streams of a connection may have sent all that one may send ahead.
const WINDOWS: u32 = 4;

/// The largest HTTP/2 frame that is taken, in bytes: a tensor of some hundred kilobytes comes in a few of them, and each
/// costs a read. A connection has room for one.
const FRAME_MAX: u32 = 64 << 10;

/// Serves one connection to its end.
pub(super) async fn serve_connection(
    stream: TcpStream,
    answer: impl Answer,
    limits: Arc<Connections>,
    phase: watch::Receiver<Phase>,
    _place: Option<OwnedSemaphorePermit>,
) {
    // Answers are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let readers = Arc::new(Readers::default());
    let service = {
        let (phase, readers) = (phase.clone(), readers.clone());
        let caller =
            stream.peer_addr().ok().filter(|_| answer.asks_for_callers()).map(|peer| Caller(peer.ip()));
        service_fn(move |mut request: Request<Incoming>| {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let answer = answer.clone();
            let http1 = request.version() < Version::HTTP_2;
            let (phase, readers) = (phase.clone(), readers.clone());
            async move {
                let mut response = answer.answer(request).await;
                // Looked at last: the way down may have begun while the request was answered.
                if http1 && *phase.borrow() > Phase::Serving {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                if !http1 {
                    response = response.map(|body| body.read_by(readers.reader()));
                }
                Ok::<_, Infallible>(response)
            }
        })
    };
    let builder = builder(&limits);
    let pulse = Arc::new(Pulse::default());
    let stream =
        TokioIo::new(Socket::new(stream, limits.header_timeout, limits.write_timeout, pulse.clone()));
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = time_to_close(phase, &pulse) => {}
        () = readers.stall(limits.write_timeout) => return,
    }
    if pulse.is_http2() {
        pulse.take_leave();
        if tokio::time::timeout(LEAVE, connection.as_mut()).await.is_ok() {
            return;
        }
    }
    connection.as_mut().graceful_shutdown();
    // How long that may take is bounded by the drain's own timeout. An error is the client's to see.
    let _ = connection.await;
}

/// Waits until the connection is to be closed, as far as its requests are answered.
///
/// HTTP/2 says so itself, and what the client sends before it has heard of it is answered. So it is
/// told at once, and goes elsewhere while there is time; a client that comes when readiness
/// is already false has nowhere else to go, and is told at the end. HTTP/1 has no such word but the
/// header of an answer; a connection without one stays open until nothing comes any more.
async fn time_to_close(mut phase: watch::Receiver<Phase>, pulse: &Pulse) {
    let opened_in = *phase.borrow();
    reached(&mut phase, Phase::Draining).await;
    if opened_in == Phase::Serving && pulse.is_http2() {
        return;
    }
    reached(&mut phase, Phase::Closing).await;
    while !pulse.is_http2() {
        let before = pulse.beats();
        tokio::time::sleep(LINGER).await;
        if pulse.beats() == before {
            return;
        }
    }
}

async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error means that the sender is gone, and with it the gateway.
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

fn builder(limits: &Connections) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let window = u32::try_from(limits.stream_window.0).unwrap_or(u32::MAX);
    builder.http1().timer(ConnectionTimer::default()).header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(ConnectionTimer::default())
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window.saturating_mul(WINDOWS))
        .max_frame_size(FRAME_MAX)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
