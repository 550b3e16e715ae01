//! An HTTP/1.1 connection that stays open, byte by byte as the test wants it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::http::Answer;

/// The longest that one read may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An open connection. Dropped, it is closed.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// Where that is refused.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        Self { reader: BufReader::new(stream) }
    }

    /// Sends bytes as they are. What the other side no longer takes is lost.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Sends a whole `POST`.
    pub fn post(&mut self, path: &str, body: &[u8]) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat());
    }

    /// Sends a whole `GET`.
    pub fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n").as_bytes());
    }

    /// Reads one answer with a length; nothing where the other side closed before its first byte.
    ///
    /// # Panics
    /// Where something else comes.
    #[must_use]
    pub fn answer(&mut self) -> Option<Answer> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line");
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line()?.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).expect("a whole body");
        Some(Answer { status, headers, body })
    }

    /// Waits until the other side closes, and gives what came before.
    ///
    /// # Panics
    /// Where it stays open for half a minute.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert!(
                error.kind() == std::io::ErrorKind::ConnectionReset,
                "the gateway keeps the connection open: {error}"
            ),
        }
        rest
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).unwrap_or_default();
        (read > 0).then(|| line.trim_end().to_owned())
    }
}
