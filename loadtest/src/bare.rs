//! The floor of a protocol: its library, and nothing between a request and its answer.

mod grpc;
mod http;
mod local;

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

pub(crate) use self::local::Local;

/// How a bare server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1 by hyper, with this many bytes of the body as JSON, where that is said.
    Http1 { header_length: Option<usize> },
    /// The same over HTTP/2.
    Http2 { header_length: Option<usize> },
    /// gRPC by tonic: the body is a `ModelInferResponse`.
    Grpc,
}

/// Reads each request whole and answers it with the bytes of a file, until it is killed.
pub(crate) fn serve(listen: SocketAddr, body: &Path, speaks: Speaks) -> Result<(), String> {
    let body = Bytes::from(std::fs::read(body).map_err(|e| format!("{}: {e}", body.display()))?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|e| format!("{listen}: {e}"))?;
        println!("{}", listener.local_addr().map_err(|e| e.to_string())?);
        answer(&listener, &body, speaks).await
    })
}

/// Answers every request of every connection with the same body.
async fn answer(listener: &TcpListener, body: &Bytes, speaks: Speaks) -> Result<(), String> {
    match speaks {
        Speaks::Http1 { header_length } => {
            accept(listener, |stream| http::http1(stream, body.clone(), header_length)).await
        }
        Speaks::Http2 { header_length } => {
            accept(listener, |stream| http::http2(stream, body.clone(), header_length)).await
        }
        Speaks::Grpc => {
            let answer = grpc::answer(body.clone())?;
            accept(listener, |stream| grpc::connection(stream, answer.clone())).await
        }
    }
}

async fn accept<C: Future<Output = ()> + Send + 'static>(
    listener: &TcpListener,
    connection: impl Fn(TcpStream) -> C,
) -> Result<(), String> {
    loop {
        let (stream, _) = listener.accept().await.map_err(|e| e.to_string())?;
        let _ = stream.set_nodelay(true);
        tokio::spawn(connection(stream));
    }
}
