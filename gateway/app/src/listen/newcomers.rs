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
