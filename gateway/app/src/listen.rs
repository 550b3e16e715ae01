//! Sockets: binding, accepting, and closing without losing a request.

mod opening;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use self::opening::Opening;
use crate::config::Connections;
use crate::exchange::Caller;
use crate::http::AnswerBody;

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// How long an idle HTTP/1 connection stays open once the gateway closes: a request that is on its
/// way is answered, with `Connection: close`, rather than met by a closed socket.
const LINGER: Duration = Duration::from_millis(500);

/// How long accepting rests when the system has no file descriptor left.
const REST: Duration = Duration::from_millis(50);

/// Where the gateway is on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// Readiness is false; connections are still accepted.
    Draining,
    /// Listeners close; what was accepted is answered.
    Closing,
}

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address; port 0 picks a free one.
    ///
    /// # Errors
    /// A line that names the address and what the system said.
    pub(crate) fn bind(name: &str, address: SocketAddr) -> Result<Self, String> {
        let bind = || -> std::io::Result<Self> {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // So that a restart does not wait for connections of the last run to time out.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let tcp = socket.listen(BACKLOG)?;
            let address = tcp.local_addr()?;
            Ok(Self { tcp, address })
        };
        bind().map_err(|e| format!("cannot listen on {address} ({name}): {e}"))
    }

    /// The address that was bound.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What answers the requests of a listener.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Whether requests are to carry their [`Caller`].
    fn asks_for_callers(&self) -> bool {
        false
    }

    /// Answers one request. Dropping the future means that the client went away.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// Serves a listener until the phase is [`Phase::Closing`] and every connection has ended.
pub(crate) async fn serve(
    listener: Listener,
    answer: impl Answer,
    limits: Connections,
    phase: watch::Receiver<Phase>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let limits = Arc::new(limits);
    let mut connections = JoinSet::new();
    let mut closing = pin!(wait_for_closing(phase.clone()));
    let mut open = |stream: TcpStream, place| {
        let connection = serve_connection(stream, answer.clone(), limits.clone(), phase.clone(), place);
        connections.spawn(connection);
        // Finished ones are let go as new ones come, so that the set does not grow.
        while connections.try_join_next().is_some() {}
    };
    loop {
        let next = async {
            // A place first: beyond the limit, connections wait in the system's backlog.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.tcp.accept().await)
        };
        tokio::select! {
            () = &mut closing => break,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => open(stream, place),
                Err(error) => rest_after(&error).await,
            },
        }
    }
    // What connected before the socket closes is served too.
    while let Some(Ok((stream, _))) = listener.tcp.accept().now_or_never() {
        open(stream, places.clone().try_acquire_owned().ok());
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Accepting goes on whatever happens to one connection; without descriptors it rests for a moment.
async fn rest_after(error: &std::io::Error) {
    let of_the_connection = matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionRefused
    );
    if !of_the_connection {
        tracing::warn!("cannot accept a connection: {error}");
        tokio::time::sleep(REST).await;
    }
}

async fn wait_for_closing(mut phase: watch::Receiver<Phase>) {
    // An error means that the sender is gone, and with it the gateway.
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
}

/// Serves one connection to its end.
async fn serve_connection(
    stream: TcpStream,
    answer: impl Answer,
    limits: Arc<Connections>,
    phase: watch::Receiver<Phase>,
    _place: Option<OwnedSemaphorePermit>,
) {
    // Answers are written whole; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let multiplexed = Arc::new(AtomicBool::new(false));
    let service = {
        let multiplexed = multiplexed.clone();
        let phase = phase.clone();
        let caller =
            stream.peer_addr().ok().filter(|_| answer.asks_for_callers()).map(|peer| Caller(peer.ip()));
        service_fn(move |mut request: Request<Incoming>| {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let answer = answer.clone();
            let http2 = request.version() == Version::HTTP_2;
            if http2 {
                multiplexed.store(true, Ordering::Relaxed);
            }
            let phase = phase.clone();
            async move {
                let mut response = answer.answer(request).await;
                // Looked at last: the way down may have begun while the request was answered.
                if !http2 && *phase.borrow() == Phase::Closing {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        })
    };
    let builder = builder(&limits);
    let stream = TokioIo::new(Opening::new(stream, limits.header_timeout));
    let mut connection = pin!(builder.serve_connection(stream, service));
    let closing = wait_for_closing(phase);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing => {}
    }
    if !multiplexed.load(Ordering::Relaxed) && tokio::time::timeout(LINGER, connection.as_mut()).await.is_ok()
    {
        return;
    }
    connection.as_mut().graceful_shutdown();
    // How long that may take is bounded by the drain's own timeout. An error is the client's to see.
    let _ = connection.await;
}

fn builder(limits: &Connections) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .adaptive_window(true)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
