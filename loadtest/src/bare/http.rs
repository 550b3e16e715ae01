//! hyper, over HTTP/1.1 and HTTP/2.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Answers the requests of one connection of HTTP/1.1.
pub(super) async fn http1(stream: TcpStream, body: Bytes, header_length: Option<usize>) {
    let answer = service_fn(move |request| answer(request, body.clone(), header_length));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// Answers the requests of one connection of HTTP/2.
pub(super) async fn http2(stream: TcpStream, body: Bytes, header_length: Option<usize>) {
    let answer = service_fn(move |request| answer(request, body.clone(), header_length));
    let builder = http2::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(
    request: Request<Incoming>,
    body: Bytes,
    header_length: Option<usize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Some(length) = header_length {
        headers.insert(pointsman_wire::v2::HEADER_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}
