//! HTTP/1.1 connections of a thread: each is used by one request at a time, the longest idle first.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::http1::Connection;
use super::line::Manner;
use crate::clock::Clock;

/// How long a connection may have been idle when it is used again. Servers close those that are idle
/// for long, and a request that crosses the closing would count as lost.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A fixed number of connections.
#[derive(Debug)]
pub(crate) struct Pool {
    address: SocketAddr,
    manner: Manner,
    clock: Clock,
    places: Semaphore,
    idle: RefCell<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Duration,
}

/// A connection in use. It is closed when dropped, unless it is put back.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    pub(crate) connection: Connection,
    pool: &'a Pool,
    _place: SemaphorePermit<'a>,
}

impl Pool {
    /// Opens all connections.
    pub(crate) async fn open(
        address: SocketAddr,
        connections: usize,
        manner: Manner,
        clock: Clock,
    ) -> Result<Self, String> {
        let mut idle = VecDeque::with_capacity(connections);
        for _ in 0..connections {
            let connection = Connection::open(address, manner).await?;
            idle.push_back(Idle { connection, since: clock.now() });
        }
        Ok(Self { address, manner, clock, places: Semaphore::new(connections), idle: RefCell::new(idle) })
    }

    /// Waits for a connection; one that was lost is made again.
    ///
    /// # Errors
    /// Where it cannot be.
    pub(crate) async fn take(&self) -> Result<Taken<'_>, String> {
        let place = self.places.acquire().await.map_err(|e| e.to_string())?;
        let idle = self.idle.borrow_mut().pop_front();
        let usable =
            idle.filter(|idle| self.clock.now() < idle.since + IDLE_MAX && idle.connection.is_idle());
        let connection = match usable {
            Some(idle) => idle.connection,
            None => Connection::open(self.address, self.manner).await?,
        };
        Ok(Taken { connection, pool: self, _place: place })
    }
}

impl Taken<'_> {
    /// Keeps the connection for the next request.
    pub(crate) fn put_back(self) {
        let Self { connection, pool, .. } = self;
        pool.idle.borrow_mut().push_back(Idle { connection, since: pool.clock.now() });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

    #[test]
    fn a_connection_is_used_again_and_a_closed_one_is_replaced() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("an address");
            let server = tokio::spawn(async move {
                for exchanges in [2, 1] {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    for _ in 0..exchanges {
                        let _ = stream.read(&mut [0; 1024]).await;
                        stream.write_all(ANSWER).await.expect("it is taken");
                    }
                }
            });
            let pool = Pool::open(address, 1, Manner::Normal, Clock::start()).await.expect("a connection");
            for exchange in 0..3 {
                let mut taken = pool.take().await.expect("a connection");
                // The second connection is accepted once the first has been closed.
                taken.connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await.expect("an answer");
                if exchange == 1 {
                    let probe = taken.connection;
                    while probe.is_idle() {
                        tokio::task::yield_now().await;
                    }
                    taken = Taken { connection: probe, pool: &pool, _place: taken._place };
                }
                taken.put_back();
            }
            server.await.expect("two connections and three exchanges");
        });
    }
}
