//! How long a client may take none of what it is sent.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// Ends writes that make no progress. A client that reads slowly goes on, one that does not read at all does not hold
/// its answer, its place in flight and its connection for ever.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    /// Runs while a write waits.
    since: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: None }
    }

    /// What a write comes to: an error where it, and those before it, have waited for too long.
    pub(super) fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        if written.is_ready() {
            self.since = None;
            return written;
        }
        let limit = self.limit;
        let since = self.since.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        since.as_mut().poll(context).map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::socket::Socket;
    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (here, _there) = duplex(1 << 10);
        let mut socket = Socket::new(here, Duration::from_secs(10), LIMIT, std::sync::Arc::default());
        let failed = tokio::time::timeout(50 * LIMIT, socket.write_all(&[0; 1 << 12])).await.unwrap();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_is_not() {
        let (here, mut there) = duplex(1 << 10);
        let mut socket = Socket::new(here, Duration::from_secs(10), LIMIT, std::sync::Arc::default());
        let writing = tokio::spawn(async move { socket.write_all(&[0; 1 << 12]).await });
        let mut piece = [0; 1 << 8];
        for _ in 0..1 << 4 {
            tokio::time::sleep(LIMIT / 4).await;
            there.read_exact(&mut piece).await.unwrap();
        }
        writing.await.unwrap().unwrap();
    }
}
