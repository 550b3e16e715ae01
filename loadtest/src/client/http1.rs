//! HTTP/1.1, as little of it as a client of a V2 server needs: whole requests out, whole answers in.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest body of an answer that is taken.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The longest head of an answer that is taken.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The most header lines of an answer.
const HEADERS_MAX: usize = 64;

/// What the head of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: u16,
    /// `pointsman-version`: the version that answered.
    pub(crate) version: Option<u64>,
    /// `Inference-Header-Content-Length`: how much of the body is JSON.
    pub(crate) json_length: Option<usize>,
    /// Whether the server closes the connection after this answer.
    pub(crate) last: bool,
    /// Bytes of the body.
    pub(crate) length: usize,
}

/// A whole answer, in the connection's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// Status line and headers.
    pub(crate) head: Head,
    /// The body.
    pub(crate) body: &'a [u8],
}

/// A connection on which one request after the other is sent.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Whether the other side has neither closed nor sent anything since the last answer.
    pub(crate) fn is_idle(&self) -> bool {
        let read = self.stream.try_read(&mut [0; 1]);
        read.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends a request and reads its whole answer, whatever its status.
    ///
    /// # Errors
    /// A line that says what became of the connection, or how what came is no whole answer. The
    /// connection is of no more use then.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, String> {
        self.stream.write_all(request).await.map_err(|e| format!("sending failed: {e}"))?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await;
            match read.map_err(|e| format!("reading failed: {e}"))? {
                0 if self.buffer.is_empty() => return Err("the connection was closed unanswered".into()),
                0 => return Err("the connection was closed in the head of an answer".into()),
                _ => {}
            }
            let Some((head, head_bytes)) = parse_head(&self.buffer)? else { continue };
            let end = head_bytes + head.length;
            let so_far = self.buffer.len();
            if so_far > end {
                return Err("more came than one answer".into());
            }
            self.buffer.resize(end, 0);
            let rest = self.stream.read_exact(&mut self.buffer[so_far..]).await;
            rest.map_err(|e| format!("the connection broke in the body of an answer: {e}"))?;
            return Ok(Answer { head, body: &self.buffer[head_bytes..] });
        }
    }
}

/// One exchange on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::exchange`].
pub(crate) async fn once(address: SocketAddr, request: &[u8]) -> Result<(Head, Bytes), String> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(request).await?;
    Ok((answer.head, Bytes::copy_from_slice(answer.body)))
}

/// The bytes of a `POST`; `json_length` is said where a binary part follows the JSON.
pub(crate) fn post(host: SocketAddr, path: &str, json_length: Option<usize>, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
    if let Some(length) = json_length {
        head.push_str(&format!("Inference-Header-Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// The bytes of a `GET`.
pub(crate) fn get(host: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// The head of an answer and its length; nothing while it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let end = match parsed.parse(bytes).map_err(|e| format!("an answer is no HTTP: {e}"))? {
        httparse::Status::Complete(end) => end,
        httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => {
            return Err(format!("the head of an answer is longer than {HEAD_BYTES_MAX} bytes"));
        }
        httparse::Status::Partial => return Ok(None),
    };
    let value = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let number = |name| value(name).and_then(|value| value.parse::<usize>().ok());
    let length = number("content-length").ok_or("an answer has no Content-Length")?;
    if length > BODY_BYTES_MAX {
        return Err(format!("an answer of {length} bytes is over {BODY_BYTES_MAX}"));
    }
    let head = Head {
        status: parsed.code.unwrap_or_default(),
        version: value("pointsman-version").and_then(|value| value.parse().ok()),
        json_length: number(pointsman_wire::v2::HEADER_LENGTH),
        last: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        length,
    };
    Ok(Some((head, end)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nPointsman-Version: 7\r\ncontent-length: 3\r\n\
            Inference-Header-Content-Length: 2\r\nconnection: close\r\n\r\nabc";
        let end = text.len() - 3;
        for cut in 0..end {
            assert_eq!(parse_head(&text[..cut]), Ok(None), "{cut} bytes");
        }
        let head = Head { status: 200, version: Some(7), json_length: Some(2), last: true, length: 3 };
        assert_eq!(parse_head(text), Ok(Some((head, end))));
    }

    #[test]
    fn heads_that_do_not_say_how_long_the_body_is_are_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(HEAD_BYTES_MAX));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(HEADERS_MAX + 1));
        let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n", &long, &many, &huge] {
            assert!(parse_head(text.as_bytes()).is_err(), "{text:.40}");
        }
    }

    /// What becomes of one request where the other side sends these bytes and closes.
    fn answered_with(bytes: &'static [u8]) -> Result<Vec<u8>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("an address");
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let _ = stream.read(&mut [0; 1024]).await;
                stream.write_all(bytes).await.expect("it is taken");
            });
            let answer = once(address, &get(address, "/")).await.map(|(_, body)| body.to_vec());
            server.await.expect("the server ends");
            answer
        })
    }

    #[test]
    fn only_whole_answers_are_answers() {
        assert_eq!(answered_with(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), Ok(b"ok".to_vec()));
        for (bytes, said) in [
            (&b""[..], "unanswered"),
            (b"HTTP/1.1 200 OK\r\ncontent-le", "in the head"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", "in the body"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nok", "more came"),
        ] {
            let error = answered_with(bytes).expect_err("it is not whole");
            assert!(error.contains(said), "{error}");
        }
    }
}
