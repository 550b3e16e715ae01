//! A connection's socket, and how a badly behaved client treats it.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

/// How a client behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Manner {
    /// As clients should.
    #[default]
    Normal,
    /// Its requests trickle in.
    SlowSend {
        /// The rate of the whole connection.
        bytes_per_second: u32,
    },
    /// It takes answers slowly, so that the server's buffers fill.
    SlowRead {
        /// The rate of the whole connection.
        bytes_per_second: u32,
    },
    /// It goes away without waiting for the answer: HTTP/1.1 closes the connection, HTTP/2 and gRPC
    /// reset the stream.
    Vanish {
        /// How long after the request was sent.
        after: Duration,
    },
}

/// Bytes that a slow client moves at a time, at most.
const PIECE_BYTES_MAX: usize = 1024;

/// Pieces that a second's bytes are moved in, at least.
const PIECES_PER_SECOND: u32 = 20;

/// The receive buffer of a slow reader: with the usual one, the kernel would read in its place.
const SLOW_BUFFER_BYTES: u32 = 4096;

/// A socket that moves bytes no faster than its client's manner allows.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    reads: Option<Pace>,
    writes: Option<Pace>,
}

/// The pace of one direction.
#[derive(Debug)]
struct Pace {
    bytes_per_second: u32,
    /// Over once the next piece may be moved.
    pause: Pin<Box<Sleep>>,
}

impl Line {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr, manner: Manner) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{address}: {e}");
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(failed)?;
        let (mut reads, mut writes) = (None, None);
        match manner {
            Manner::Normal | Manner::Vanish { .. } => {}
            Manner::SlowSend { bytes_per_second } => writes = Some(Pace::new(bytes_per_second)),
            Manner::SlowRead { bytes_per_second } => {
                socket.set_recv_buffer_size(SLOW_BUFFER_BYTES).map_err(failed)?;
                reads = Some(Pace::new(bytes_per_second));
            }
        }
        let stream = socket.connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self { stream, reads, writes })
    }

    /// Has the connection reset when it is dropped, instead of closed.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn reset_on_drop(&self) -> Result<(), String> {
        self.stream.set_zero_linger().map_err(|e| format!("SO_LINGER: {e}"))
    }

    /// Whether the other side has neither closed nor sent anything that was not read.
    pub(crate) fn is_idle(&self) -> bool {
        let read = self.stream.try_read(&mut [0; 1]);
        read.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl Pace {
    fn new(bytes_per_second: u32) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), pause: Box::pin(sleep(Duration::ZERO)) }
    }

    /// How much may be moved, once some may.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        ready!(self.pause.as_mut().poll(context));
        let piece = (self.bytes_per_second / PIECES_PER_SECOND).max(1);
        Poll::Ready(usize::try_from(piece).unwrap_or(usize::MAX).min(PIECE_BYTES_MAX))
    }

    fn moved(&mut self, bytes: usize) {
        let pause = Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second));
        self.pause.as_mut().reset(Instant::now() + pause);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let Self { stream, reads, .. } = &mut *self;
        let Some(pace) = reads else { return Pin::new(stream).poll_read(context, buffer) };
        let most = ready!(pace.poll(context)).min(buffer.remaining());
        let mut piece = [0; PIECE_BYTES_MAX];
        let mut piece = ReadBuf::new(&mut piece[..most]);
        ready!(Pin::new(stream).poll_read(context, &mut piece))?;
        buffer.put_slice(piece.filled());
        pace.moved(piece.filled().len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let Self { stream, writes, .. } = &mut *self;
        let Some(pace) = writes else { return Pin::new(stream).poll_write(context, bytes) };
        let most = ready!(pace.poll(context)).min(bytes.len());
        let written = ready!(Pin::new(stream).poll_write(context, &bytes[..most]))?;
        pace.moved(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        if self.writes.is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        self.poll_write(context, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// How long 400 bytes take from a client of this manner to the other side and back.
    async fn round_trip(manner: Manner) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut line = Line::open(address, manner).await.expect("a connection");
        let (mut server, _) = listener.accept().await.expect("a connection");
        assert!(line.is_idle());
        let from = std::time::Instant::now();
        let sent: Vec<u8> = (0..400).map(|i| (i % 251) as u8).collect();
        let mut there = vec![0; sent.len()];
        let (written, read) = tokio::join!(line.write_all(&sent), server.read_exact(&mut there));
        written.and(read.map(drop)).expect("it gets there");
        let mut back = vec![0; sent.len()];
        let (written, read) = tokio::join!(server.write_all(&there), line.read_exact(&mut back));
        written.and(read.map(drop)).expect("it gets back");
        assert_eq!(back, sent, "{manner:?}");
        from.elapsed()
    }

    #[test]
    fn bytes_keep_their_order_and_slow_ones_their_pace() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            round_trip(Manner::Normal).await;
            // The first piece, a twentieth, moves at once; the pace holds for the others.
            for manner in
                [Manner::SlowSend { bytes_per_second: 2000 }, Manner::SlowRead { bytes_per_second: 2000 }]
            {
                let time = round_trip(manner).await;
                assert!(time >= Duration::from_millis(140), "{manner:?}: {time:?}");
            }
        });
    }
}
