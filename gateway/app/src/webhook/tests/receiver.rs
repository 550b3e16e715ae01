//! A receiver on loopback that keeps what it gets and answers as it is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

/// How long anything may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// This status, with further lines of the head.
    Status(u16, &'static str),
    /// What no client understands.
    Garbage,
    /// Nothing, with the connection open until the receiver goes.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) line: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
    pub(super) at: Instant,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.as_str())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}

type Script = dyn Fn(&Received, usize) -> Reply + Send + Sync;

struct Shared {
    received: Mutex<Vec<Received>>,
    changed: Condvar,
    script: Box<Script>,
    tls: Option<Arc<ServerConfig>>,
}

/// The receiver. Its threads end with the process of the test, or when their connections do.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    /// One that answers by what came and how much came before.
    pub(super) fn new(script: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Box::new(script), None)
    }

    /// The same over TLS, with the certificate of the fixtures, which is one of 127.0.0.1.
    pub(super) fn with_tls(script: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static) -> Self {
        let chain = CertificateDer::pem_slice_iter(include_bytes!("../fixtures/receiver.pem"));
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key =
            PrivateKeyDer::from_pem_slice(include_bytes!("../fixtures/receiver.key.pem")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate with its key");
        Self::start(Box::new(script), Some(Arc::new(config)))
    }

    fn start(script: Box<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared { received: Mutex::default(), changed: Condvar::new(), script, tls });
        let accepting = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = accepting.clone();
                thread::spawn(move || match shared.tls.clone() {
                    None => shared.serve(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a connection");
                        shared.serve(StreamOwned::new(connection, stream));
                    }
                });
            }
        });
        Self { address, shared }
    }

    /// The address of a path of it.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Everything that came, once it is so many requests.
    pub(super) fn wait_for(&self, many: usize) -> Vec<Received> {
        let received = self.shared.received.lock().unwrap_or_else(PoisonError::into_inner);
        let (received, waited) = self
            .shared
            .changed
            .wait_timeout_while(received, PATIENCE, |received| received.len() < many)
            .expect("no panic of the receiver");
        assert!(!waited.timed_out(), "{} of {many} requests came", received.len());
        received.clone()
    }

    /// How many requests came so far.
    pub(super) fn count(&self) -> usize {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Shared {
    /// One request for each connection. A client that leaves, or whom TLS refuses, is none of the test's business.
    fn serve(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        let Some(received) = read(&mut reader) else { return };
        let (reply, mut stream) = {
            let mut all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            let reply = (self.script)(&received, all.len());
            all.push(received);
            self.changed.notify_all();
            (reply, reader.into_inner())
        };
        match reply {
            Reply::Status(status, lines) => {
                let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n{lines}\r\n");
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.flush());
            }
            Reply::Garbage => {
                let _ = stream.write_all(b"220 mail.example ready\r\n\r\n").and_then(|()| stream.flush());
            }
            // Nothing more comes: this ends when the client goes.
            Reply::Hang => drop(stream.read(&mut [0; 1])),
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: HashMap<String, String> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Received { line: lines.first()?.clone(), headers, body, at: Instant::now() })
}

/// An address at which nobody listens.
pub(super) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    assert!(TcpStream::connect(address).is_err(), "{address} is somebody's");
    format!("http://{address}")
}
