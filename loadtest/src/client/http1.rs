//! HTTP/1.1, as little of it as a client of a V2 server needs: whole requests out, whole answers in.

use std::fmt::Display;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::answer::{Answer, BODY_BYTES_MAX, HEAD_BYTES_MAX, Head, Headers};
use super::line::{Line, Manner};

/// The most header lines of an answer.
const HEADERS_MAX: usize = 64;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// By its length.
    Length(usize),
    /// By its last chunk.
    Chunked,
}

/// A connection on which one request after the other is sent.
#[derive(Debug)]
pub(crate) struct Connection {
    line: Line,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr, manner: Manner) -> Result<Self, String> {
        Ok(Self { line: Line::open(address, manner).await?, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Whether the other side has neither closed nor sent anything since the last answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.line.is_idle()
    }

    /// Sends a request and reads its whole answer, whatever its status.
    ///
    /// # Errors
    /// A line that says what became of the connection, or how what came is no whole answer. The
    /// connection is of no more use then.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, String> {
        self.line.write_all(request).await.map_err(|e| format!("sending failed: {e}"))?;
        self.buffer.clear();
        loop {
            let read = self.line.read_buf(&mut self.buffer).await;
            match read.map_err(|e| format!("reading failed: {e}"))? {
                0 if self.buffer.is_empty() => return Err("the connection was closed unanswered".into()),
                0 => return Err("the connection was closed in the head of an answer".into()),
                _ => {}
            }
            let Some((head, framing, body)) = parse_head(&self.buffer)? else { continue };
            match framing {
                Framing::Length(length) => self.read_length(body + length).await?,
                Framing::Chunked => self.read_chunks(body).await?,
            }
            let (lines, body) = self.buffer.split_at(body);
            return Ok(Answer { head, headers: Headers::Lines(lines), body });
        }
    }

    /// Sends bytes that need not be a whole request.
    ///
    /// # Errors
    /// What became of the connection.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.line.write_all(bytes).await.map_err(|e| format!("sending failed: {e}"))
    }

    /// Waits for the first bytes of an answer, and reads hardly more than those.
    ///
    /// # Errors
    /// What became of the connection.
    pub(crate) async fn begins(&mut self) -> Result<(), String> {
        self.buffer.clear();
        self.read_on().await
    }

    /// Has the connection reset when it is dropped, instead of closed.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn reset_on_drop(&self) -> Result<(), String> {
        self.line.reset_on_drop()
    }

    /// Reads up to the end of a body.
    async fn read_length(&mut self, end: usize) -> Result<(), String> {
        let so_far = self.buffer.len();
        if so_far > end {
            return Err("more came than one answer".into());
        }
        self.buffer.resize(end, 0);
        let rest = self.line.read_exact(&mut self.buffer[so_far..]).await;
        rest.map(drop).map_err(|e| format!("the connection broke in the body of an answer: {e}"))
    }

    /// Reads up to the last chunk, and leaves the body from `body` on without what frames it.
    async fn read_chunks(&mut self, body: usize) -> Result<(), String> {
        const CHUNK_LINE_BYTES_MAX: usize = 1024;
        let malformed = |e: &dyn std::fmt::Display| format!("a chunk of an answer is no HTTP: {e}");
        let (mut end, mut next) = (body, body);
        loop {
            let (line, size) = match httparse::parse_chunk_size(&self.buffer[next..]) {
                Ok(httparse::Status::Complete(chunk)) => chunk,
                Ok(httparse::Status::Partial) if self.buffer.len() - next <= CHUNK_LINE_BYTES_MAX => {
                    self.read_on().await?;
                    continue;
                }
                Ok(httparse::Status::Partial) => return Err(malformed(&"its size is too long")),
                Err(e) => return Err(malformed(&e)),
            };
            next += line;
            if size == 0 {
                break;
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let chunk = next..next.saturating_add(size);
            // What frames the chunks counts as well: all of it is kept until the end.
            if chunk.end - body > BODY_BYTES_MAX {
                return Err(format!("an answer in chunks is over {BODY_BYTES_MAX} bytes"));
            }
            while self.buffer.len() < chunk.end + 2 {
                self.read_on().await?;
            }
            if self.buffer[chunk.end..chunk.end + 2] != *b"\r\n" {
                return Err(malformed(&"it is longer than its size"));
            }
            next = chunk.end + 2;
            self.buffer.copy_within(chunk, end);
            end += size;
        }
        loop {
            let mut trailers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            match httparse::parse_headers(&self.buffer[next..], &mut trailers).map_err(|e| malformed(&e))? {
                httparse::Status::Complete((length, _)) if next + length == self.buffer.len() => break,
                httparse::Status::Complete(_) => return Err("more came than one answer".into()),
                httparse::Status::Partial if self.buffer.len() - next > HEAD_BYTES_MAX => {
                    return Err(malformed(&"its trailers are too long"));
                }
                httparse::Status::Partial => self.read_on().await?,
            }
        }
        self.buffer.truncate(end);
        Ok(())
    }

    /// Reads what comes next of a body.
    async fn read_on(&mut self) -> Result<(), String> {
        match self.line.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the connection was closed in the body of an answer".into()),
            Ok(_) => Ok(()),
            Err(e) => Err(format!("the connection broke in the body of an answer: {e}")),
        }
    }
}

/// One exchange on a connection of its own.
///
/// # Errors
/// As [`Connection::open`] and [`Connection::exchange`].
pub(crate) async fn once(address: SocketAddr, request: &[u8]) -> Result<(Head, Bytes), String> {
    let mut connection = Connection::open(address, Manner::Normal).await?;
    let answer = connection.exchange(request).await?;
    Ok((answer.head, Bytes::copy_from_slice(answer.body)))
}

/// The bytes of a `POST`; `json_length` is said where a binary part follows the JSON.
pub(crate) fn post(host: impl Display, path: &str, json_length: Option<usize>, body: &[u8]) -> Vec<u8> {
    with_body("POST", host, path, json_length, body)
}

/// The bytes of a `PUT` of JSON.
pub(crate) fn put(host: impl Display, path: &str, body: &[u8]) -> Vec<u8> {
    with_body("PUT", host, path, None, body)
}

fn with_body(
    method: &str,
    host: impl Display,
    path: &str,
    json_length: Option<usize>,
    body: &[u8],
) -> Vec<u8> {
    let (length, kind) = (body.len(), content_type(json_length));
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    );
    if let Some(length) = json_length {
        head.push_str(&format!("Inference-Header-Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// The type of a request's body. Servers that take JSON alone may insist on its name.
pub(crate) fn content_type(json_length: Option<usize>) -> &'static str {
    if json_length.is_some() { pointsman_wire::v2::OCTET_STREAM } else { pointsman_wire::v2::JSON }
}

/// The bytes of a `GET`.
pub(crate) fn get(host: impl Display, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// The head of an answer, how its body is framed, and where that starts; nothing while it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, Framing, usize)>, String> {
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
    let framing = match (value("transfer-encoding"), number("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (None, Some(length)) if length > BODY_BYTES_MAX => {
            return Err(format!("an answer of {length} bytes is over {BODY_BYTES_MAX}"));
        }
        (None, Some(length)) => Framing::Length(length),
        _ => return Err("an answer has neither a Content-Length nor chunks".into()),
    };
    let head = Head {
        status: parsed.code.unwrap_or_default(),
        version: value("pointsman-version").and_then(|value| value.parse().ok()),
        json_length: number(pointsman_wire::v2::HEADER_LENGTH),
        last: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    };
    Ok(Some((head, framing, end)))
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
        let head = Head { status: 200, version: Some(7), json_length: Some(2), last: true };
        assert_eq!(parse_head(text), Ok(Some((head, Framing::Length(3), end))));
    }

    #[test]
    fn heads_that_do_not_say_how_long_the_body_is_are_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(HEAD_BYTES_MAX));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(HEADERS_MAX + 1));
        let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
        let packed = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: gzip, chunked\r\n\r\n";
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n", packed, &long, &many, &huge] {
            assert!(parse_head(text.as_bytes()).is_err(), "{text:.40}");
        }
    }

    /// What becomes of one request where the other side sends these bytes and closes.
    fn answered_with(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("an address");
            let server = async {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let _ = stream.read(&mut [0; 1024]).await;
                // A client that has seen enough may be gone.
                let _ = stream.write_all(bytes).await;
            };
            let request = get(address, "/");
            let (answer, ()) = tokio::join!(once(address, &request), server);
            answer.map(|(_, body)| body.to_vec())
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

    #[test]
    fn chunks_are_put_together() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
        let answered = |chunks: &str| answered_with(format!("{head}{chunks}").as_bytes());
        assert_eq!(answered("0\r\n\r\n"), Ok(Vec::new()));
        assert_eq!(
            answered("2\r\nok\r\nA;x=1\r\n0123456789\r\n0\r\nx: 1\r\n\r\n"),
            Ok(b"ok0123456789".to_vec())
        );
        let long_size = format!("{}2\r\nok\r\n0\r\n\r\n", "0".repeat(15));
        assert_eq!(answered(&long_size), Ok(b"ok".to_vec()));
        let (huge, endless) = (format!("{:x}\r\n", BODY_BYTES_MAX + 1), format!("1;{}", "x".repeat(2000)));
        for (chunks, said) in [
            ("2\r\nok\r\n", "closed in the body"),
            ("2\r\nokay\r\n0\r\n\r\n", "longer than its size"),
            ("x\r\n", "no HTTP"),
            ("0\r\n\r\nHTTP/1.1", "more came"),
            (&huge, "over 67108864"),
            (&endless, "too long"),
        ] {
            let error = answered(chunks).expect_err(chunks);
            assert!(error.contains(said), "{chunks:.40}: {error}");
        }
    }
}
