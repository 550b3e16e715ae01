//! The stream under a connection: watched while it opens, told to take leave, closed without a reset.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::goaway::GoAway;
use super::opening::Opening;
use super::stall::Stall;

/// How long the other side may take to close, after this one has.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// What whoever serves a connection knows of its stream.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beats: AtomicU64,
    http2: AtomicBool,
    leaving: AtomicBool,
}

impl Pulse {
    /// How often bytes have come.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Whether it is known to be HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Tells an HTTP/2 client to open no more streams, when the connection is next polled.
    pub(super) fn take_leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

/// A stream whose reads fail once its opening takes too long, and whose end is orderly: it is closed
/// for writing, and what still comes is read until the other side closes too. A socket that is closed
/// with bytes unread is reset, and the reset may overtake the last answer.
pub(super) struct Socket<S> {
    stream: S,
    opening: Opening,
    pulse: Arc<Pulse>,
    goaway: GoAway,
    stall: Stall,
    /// Runs from the moment at which this side is closed.
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    /// Gives the stream `limit` to begin and its client `write_limit` to take something, and tells `pulse` what comes.
    pub(super) fn new(stream: S, limit: Duration, write_limit: Duration, pulse: Arc<Pulse>) -> Self {
        let (opening, stall) = (Opening::new(limit), Stall::new(write_limit));
        Self { stream, opening, pulse, goaway: GoAway::default(), stall, closing: None }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// Writes the frame that takes leave, once it is time and between two frames.
    fn poll_goaway(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while self.pulse.leaving.load(Ordering::Relaxed) && !self.goaway.due().is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, self.goaway.due()))?;
            self.goaway.sent(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.opening.is_late(context) {
            return Poll::Ready(Err(Error::from(ErrorKind::TimedOut)));
        }
        // Whoever has nothing to write reads. A fault of the stream is told by the next write.
        let _ = self.poll_goaway(context);
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            self.pulse.beats.fetch_add(1, Ordering::Relaxed);
        }
        if self.opening.is_open() && read.is_ready() && self.opening.came(came) {
            self.pulse.http2.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        ready!(self.poll_goaway(context))?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        let written = ready!(self.stall.wrote(context, written))?;
        if self.pulse.is_http2() {
            self.goaway.wrote(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        ready!(self.poll_goaway(context))?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        let written = ready!(self.stall.wrote(context, written))?;
        if self.pulse.is_http2() {
            let mut left = written;
            for slice in slices {
                let now = slice.len().min(left);
                self.goaway.wrote(&slice[..now]);
                left -= now;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Self { stream, closing, .. } = &mut *self;
        if closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let closing = closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_TIME)));
        let mut space = [0; 4096];
        while closing.as_mut().poll(context).is_pending() {
            let mut unread = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut unread));
            if read.is_err() || unread.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn pair() -> (Socket<DuplexStream>, DuplexStream) {
        let (here, there) = duplex(1 << 10);
        let limit = Duration::from_secs(10);
        (Socket::new(here, limit, limit, Arc::default()), there)
    }

    #[tokio::test]
    async fn what_still_comes_is_read_until_the_other_side_closes_too() {
        let (mut socket, mut there) = pair();
        let closing = tokio::spawn(async move { socket.shutdown().await });
        assert_eq!(there.read(&mut [0]).await.unwrap(), 0, "closed for writing");
        // Far more than the pipe holds: somebody reads it.
        there.write_all(&[0; 1 << 16]).await.unwrap();
        assert!(!closing.is_finished());
        drop(there);
        closing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_does_not_close_holds_nothing_for_long() {
        let (mut socket, _there) = pair();
        tokio::time::timeout(10 * CLOSE_TIME, socket.shutdown()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn leave_is_taken_of_http2_by_reading_and_by_writing() {
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        for reads in [true, false] {
            let (mut socket, mut there) = pair();
            there.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            socket.read_exact(&mut [0; 24]).await.unwrap();
            assert!(socket.pulse.is_http2());
            socket.write_all(&settings).await.unwrap();
            socket.pulse.take_leave();
            if reads {
                there.write_all(&[1]).await.unwrap();
                socket.read_exact(&mut [0]).await.unwrap();
            }
            socket.write_all(&settings).await.unwrap();
            let mut came = [0; 9 + 17 + 9];
            there.read_exact(&mut came).await.unwrap();
            assert_eq!(came[..9], settings);
            assert_eq!((came[9 + 3], came[9 + 17 + 3]), (7, 4), "GOAWAY between the two");
        }
    }
}
