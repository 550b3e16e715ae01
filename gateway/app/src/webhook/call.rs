//! One try to deliver a notice: a connection of its own, one request, and what was answered.
//!
//! No proxy is asked for, no redirect is followed, and of an answer no more than its head is read.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::address::Address;
use super::backoff::retry_after;
use super::counts::TryResult;

/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is sent.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    pub(super) id: &'a str,
    /// When it is tried, in seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) signature: String,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

/// What came of a try.
#[derive(Debug)]
pub(super) enum Tried {
    /// The receiver has it.
    Delivered,
    /// The receiver does not want it, whenever.
    Refused(StatusCode),
    /// The receiver may take it later, and may have said when.
    Failed(StatusCode, Option<Duration>),
    /// It took too long.
    Timeout,
    /// There was no answer.
    Unreachable(String),
}

impl Tried {
    pub(super) fn result(&self) -> TryResult {
        match self {
            Self::Delivered => TryResult::Delivered,
            Self::Refused(_) => TryResult::Refused,
            Self::Failed(..) => TryResult::Failed,
            Self::Timeout => TryResult::Timeout,
            Self::Unreachable(_) => TryResult::Unreachable,
        }
    }

    fn of(answer: &Response<Incoming>) -> Self {
        let status = answer.status();
        let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        if status.is_success() {
            Self::Delivered
        } else if status.is_redirection() || status.is_client_error() && !passing.contains(&status) {
            Self::Refused(status)
        } else {
            Self::Failed(status, retry_after(answer.headers(), SystemTime::now()))
        }
    }
}

/// What calls receivers.
pub(super) struct Caller {
    /// Nothing where no address asks for TLS.
    tls: Option<TlsConnector>,
    /// How long a try may take, from looking up the name to the head of the answer.
    timeout: Duration,
}

impl Caller {
    /// One that trusts the system's authorities, or in their place those of a file.
    ///
    /// # Errors
    /// A line that says what is wrong with them.
    pub(super) fn new(
        allowed: &[Address],
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let tls = allowed.iter().any(|address| address.is_https).then(|| connector(ca_file)).transpose()?;
        Ok(Self { tls, timeout })
    }

    /// Tries once.
    pub(super) async fn post(&self, address: &Address, sent: Sent<'_>) -> Tried {
        match tokio::time::timeout(self.timeout, self.exchange(address, sent)).await {
            Ok(Ok(answer)) => Tried::of(&answer),
            Ok(Err(problem)) => Tried::Unreachable(problem),
            Err(_) => Tried::Timeout,
        }
    }

    async fn exchange(&self, address: &Address, sent: Sent<'_>) -> Result<Response<Incoming>, String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(address.target())
            .header(header::HOST, address.authority())
            .header(header::USER_AGENT, concat!("pointsman/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, sent.content_type)
            .header(header::CONNECTION, "close")
            .header("webhook-id", sent.id)
            .header("webhook-timestamp", sent.timestamp)
            .header("webhook-signature", sent.signature)
            .body(Full::new(sent.body))
            .map_err(|e| e.to_string())?;
        let stream = TcpStream::connect((address.host(), address.port))
            .await
            .map_err(|e| format!("cannot connect: {e}"))?;
        if !address.is_https {
            return ask(stream, request).await;
        }
        let tls = self.tls.as_ref().ok_or("no address with https:// is allowed")?;
        let name = ServerName::try_from(address.host().to_owned()).map_err(|e| e.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|e| format!("no TLS: {e}"))?;
        ask(stream, request).await
    }
}

/// Sends a request over a connection, and waits for the head of its answer.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX);
    let failed = |e: hyper::Error| format!("no answer: {e}");
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    tokio::select! {
        biased;
        answer = &mut answer => answer.map_err(failed),
        // Its end may be that of an answer that has come.
        ended = &mut connection => {
            ended.map_err(failed)?;
            answer.await.map_err(failed)
        }
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let wrong = |what: String| format!("webhook.ca_file {}: {what}", file.display());
            let certificates = CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it has no certificate; expected those of authorities, in PEM".into()));
            }
        }
        None => {
            let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let remedy = "install them (ca-certificates) or name a file in webhook.ca_file";
                return Err(format!(
                    "webhook.allowed has an address with https://, and the system has no certificates of \
                     authorities: {remedy}"
                ));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("cannot start TLS: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
