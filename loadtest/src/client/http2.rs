//! HTTP/2 without TLS, by prior knowledge: what a client of a V2 server needs, for REST and gRPC.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::answer::{Answer, BODY_BYTES_MAX, HEAD_BYTES_MAX, Head, Headers};
use super::line::{Line, Manner};

/// Bytes of answers that a server may send ahead on a stream, and on a connection: enough for tensors.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// What a slow reader lets a server send ahead: little, so that the server has to wait for it. The
/// protocol knows no smaller window of a connection.
const SLOW_STREAM_WINDOW_BYTES: u32 = 4096;
const SLOW_CONNECTION_WINDOW_BYTES: u32 = 65_535;

/// A request whose bytes are ready: a clone shares them.
pub(crate) type Prepared = Request<Full<Bytes>>;

/// A connection. Its clones share it, and their requests are streams on it.
pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Status and headers that matter.
    pub(crate) head: Head,
    /// All headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// What came behind the body.
    pub(crate) trailers: Option<HeaderMap>,
}

impl Received {
    /// What is also known of an answer over HTTP/1.1.
    pub(crate) fn answer(&self) -> Answer<'_> {
        Answer { head: self.head, headers: Headers::Map(&self.headers), body: &self.body }
    }
}

/// Connects, and leaves a task behind that serves the connection until its last clone is dropped.
pub(crate) async fn open(address: SocketAddr, manner: Manner) -> Result<Connection, String> {
    let line = Line::open(address, manner).await?;
    let (stream, connection) = match manner {
        Manner::SlowRead { .. } => (SLOW_STREAM_WINDOW_BYTES, SLOW_CONNECTION_WINDOW_BYTES),
        _ => (STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES),
    };
    let handshake = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(stream)
        .initial_connection_window_size(connection)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .handshake(TokioIo::new(line))
        .await;
    let (sender, serve) = handshake.map_err(|e| format!("{address}: {}", causes(&e)))?;
    tokio::spawn(serve);
    Ok(sender)
}

/// Sends a request and reads its whole answer, whatever its status.
///
/// # Errors
/// A line that says what became of the connection or the stream, or that the answer is too long.
pub(crate) async fn exchange(mut connection: Connection, request: &Prepared) -> Result<Received, String> {
    connection.ready().await.map_err(|e| causes(&e))?;
    let response = connection.send_request(request.clone()).await.map_err(|e| causes(&e))?;
    let (parts, body) = response.into_parts();
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let collected = collected.map_err(|e| format!("the body of an answer: {}", causes(&*e)))?;
    let trailers = collected.trailers().cloned();
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let head = Head {
        status: parts.status.as_u16(),
        version: text("pointsman-version").and_then(|value| value.parse().ok()),
        json_length: text(pointsman_wire::v2::HEADER_LENGTH).and_then(|value| value.parse().ok()),
        last: false,
    };
    Ok(Received { head, headers: parts.headers, body: collected.to_bytes(), trailers })
}

/// A `POST` to be sent over HTTP/2.
///
/// # Errors
/// Where host or path cannot stand in a URI.
pub(crate) fn post(host: &str, path: &str, headers: HeaderMap, body: Bytes) -> Result<Prepared, String> {
    let uri = format!("http://{host}{path}");
    let request = Request::post(&uri).version(Version::HTTP_2).body(Full::new(body));
    let mut request = request.map_err(|e| format!("{uri}: {e}"))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// An error with what caused it: hyper's own text alone says little.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
