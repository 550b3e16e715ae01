//! No new connections, without a word to those that are being made.
//!
//! A listener that is closed resets the connections that nobody has accepted yet, and those whose
//! handshake is under way: to their clients they are established, and may have a request on them.
//! So the listener first stops answering the packet that begins a handshake, accepts what is left,
//! and is closed when nothing is. Whoever begins meanwhile asks again after a second, and is refused.

use tokio::net::TcpListener;

/// Lets the listener ignore new handshakes. Where the system cannot do that, a connection that comes
/// in the moment in which the listener closes is reset.
#[cfg(target_os = "linux")]
pub(super) fn stop(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};

    /// Where the flags are in a TCP header (RFC 9293, 3.1), and the one that begins a connection.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    // Classic BPF, of which the kernel's Documentation/networking/filter.rst has the codes.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!("a listener goes on answering until it is closed: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stop(_: &TcpListener) {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::stop;

    async fn connects(listener: &TcpListener) -> bool {
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        tokio::time::timeout(Duration::from_millis(100), connecting).await.is_ok_and(|made| made.is_ok())
    }

    #[tokio::test]
    async fn whoever_came_before_is_served_and_nobody_comes_after() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(connects(&listener).await);
        listener.accept().await.unwrap();
        let mut early = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        stop(&listener);
        assert!(!connects(&listener).await);
        // The filter goes over to connections that are accepted, and does not disturb them.
        let (mut accepted, _) = listener.accept().await.unwrap();
        early.write_all(b"a request").await.unwrap();
        let mut came = [0; 9];
        accepted.read_exact(&mut came).await.unwrap();
        drop(accepted);
        assert_eq!(early.read(&mut came).await.unwrap(), 0);
    }
}
