//! One call to a gateway.

use ::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::admin::OPERATOR;

/// The largest answer that a command reads.
const ANSWER_MAX: usize = 1 << 30;

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) struct Failed {
    /// A line for people.
    pub(super) line: String,
    /// What the gateway said, as it came: `{"error": ..., "code": ...}`.
    answer: Option<Bytes>,
}

impl From<String> for Failed {
    fn from(line: String) -> Self {
        Self { line, answer: None }
    }
}

impl Failed {
    /// As a gateway would say it.
    pub(super) fn json(&self) -> String {
        match &self.answer {
            Some(answer) => String::from_utf8_lossy(answer).into_owned(),
            None => json!({"error": self.line}).to_string(),
        }
    }
}

/// One call to a gateway; its answer, or a line that says what went wrong.
pub(super) fn call(method: Method, url: &str, path: &str, body: Bytes) -> Result<Bytes, Failed> {
    call_as(None, method, url, path, body)
}

/// As [`call`], with the name of the operator who wants it.
pub(super) fn call_as(
    operator: Option<&str>,
    method: Method,
    url: &str,
    path: &str,
    body: Bytes,
) -> Result<Bytes, Failed> {
    let operator = operator.filter(|name| HeaderValue::from_str(name).is_ok());
    let headers = operator.map(|name| (HeaderName::from_static(OPERATOR), name.to_owned()));
    call_with(url, Sent { method, path: path.to_owned(), headers: headers.into_iter().collect(), body })
}

/// What is sent to a gateway.
pub(super) struct Sent {
    pub(super) method: Method,
    /// The path with its query.
    pub(super) path: String,
    /// Headers beside those that every call has.
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

/// As [`call`], with headers.
pub(super) fn call_with(url: &str, sent: Sent) -> Result<Bytes, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    let (status, answer) = runtime.block_on(exchange(url, sent))?;
    if status.is_success() {
        return Ok(answer);
    }
    let said = serde_json::from_slice(&answer)
        .ok()
        .and_then(|json: Value| json["error"].as_str().map(str::to_owned));
    let is_json = said.is_some();
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(&answer).into());
    Err(Failed { line: format!("{url} answered {status}: {said}"), answer: is_json.then_some(answer) })
}

async fn exchange(url: &str, sent: Sent) -> Result<(StatusCode, Bytes), String> {
    let Sent { method, path, headers, body } = sent;
    let uri: Uri = url.parse().map_err(|e| format!("{url} is no URL: {e}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{url}: only http:// URLs are supported"));
    }
    let host = uri.host().ok_or_else(|| format!("{url} names no host"))?;
    let port = uri.port_u16().unwrap_or(80);
    let unreachable =
        |e: std::io::Error| format!("no gateway at {url}: {e}; is `pointsman serve` running there?");
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(unreachable)?;
    let failed = |e: hyper::Error| format!("{url}: {e}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection);
    let prefix = uri.path().trim_end_matches('/');
    let path: Uri = format!("{prefix}{path}").parse().map_err(|e| format!("{path} is no path: {e}"))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path;
    let every: [(HeaderName, String); 2] =
        [(header::HOST, format!("{host}:{port}")), (header::ACCEPT, "application/json".into())];
    for (name, value) in every.into_iter().chain(headers) {
        request.headers_mut().insert(name, HeaderValue::try_from(value).map_err(|e| e.to_string())?);
    }
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let limited = http_body_util::Limited::new(response.into_body(), ANSWER_MAX);
    let body = limited.collect().await.map_err(|e| format!("{url}: {e}"))?;
    Ok((status, body.to_bytes()))
}
