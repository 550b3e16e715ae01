//! The floor of HTTP: hyper, and nothing between its request and its answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Reads each request whole and answers it with the same bytes, until it is killed.
pub(crate) fn serve(listen: SocketAddr, body: &Path, header_length: Option<usize>) -> Result<(), String> {
    let body = Bytes::from(std::fs::read(body).map_err(|e| format!("{}: {e}", body.display()))?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|e| format!("{listen}: {e}"))?;
        println!("{}", listener.local_addr().map_err(|e| e.to_string())?);
        loop {
            let (stream, _) = listener.accept().await.map_err(|e| e.to_string())?;
            let _ = stream.set_nodelay(true);
            let body = body.clone();
            let answer = service_fn(move |request| answer(request, body.clone(), header_length));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    })
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
