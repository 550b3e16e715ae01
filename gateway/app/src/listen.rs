//! Sockets: binding, accepting, and closing without losing a request.

mod connection;
mod goaway;
mod newcomers;
mod opening;
mod reader;
mod socket;
mod stall;
mod timer;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::connection::serve_connection;
pub(crate) use self::reader::Reader;
use crate::config::Connections;
use crate::http::AnswerBody;
use crate::io_threads::IoThreads;

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// How long connections that are being made may take once no new ones are begun.
const HANDSHAKE_TIME: Duration = Duration::from_millis(100);

/// How long accepting rests when the system has no file descriptor left.
const REST: Duration = Duration::from_millis(50);

/// Where the gateway is on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// Readiness is false; connections are still accepted, and clients are told to leave.
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
    /// Whether requests are to carry their [`Caller`](crate::exchange::Caller).
    fn asks_for_callers(&self) -> bool {
        false
    }

    /// Answers one request. Dropping the future means that the client went away.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// Serves a listener until the phase is [`Phase::Closing`] and every connection has ended: on the threads for
/// connections, or where there are none on this one, which load does not touch.
pub(crate) async fn serve(
    listener: Listener,
    answer: impl Answer,
    limits: Connections,
    phase: watch::Receiver<Phase>,
    threads: Option<Arc<IoThreads>>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let limits = Arc::new(limits);
    let mut connections = JoinSet::new();
    let mut closing = pin!(wait_for_closing(phase.clone()));
    let mut open = |stream: TcpStream, place| {
        let (answer, limits, phase) = (answer.clone(), limits.clone(), phase.clone());
        match &threads {
            None => drop(connections.spawn(serve_connection(stream, answer, limits, phase, place))),
            // It is watched by the runtime of the thread that serves it.
            Some(threads) => match stream.into_std() {
                Ok(stream) => threads.serve(&mut connections, async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => serve_connection(stream, answer, limits, phase, place).await,
                        Err(error) => tracing::warn!("a connection cannot be served: {error}"),
                    }
                }),
                Err(error) => tracing::warn!("a connection cannot be served: {error}"),
            },
        }
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
    // Whoever is connected in its own eyes may have sent a request already: it is served too.
    newcomers::stop(&listener.tcp);
    let mut handshakes_over = pin!(tokio::time::sleep(HANDSHAKE_TIME));
    loop {
        tokio::select! {
            () = &mut handshakes_over => break,
            accepted = listener.tcp.accept() => match accepted {
                Ok((stream, _)) => open(stream, places.clone().try_acquire_owned().ok()),
                Err(error) => rest_after(&error).await,
            },
        }
    }
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
