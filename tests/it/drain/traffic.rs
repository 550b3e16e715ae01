//! Steady traffic over connections that stay open, which counts what is lost: a request that was sent
//! on an established connection and got no whole answer. A new connection that is refused is no loss,
//! and whoever is told to leave a connection, or finds it closed, opens another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use pointsman_core::InputTensor;
use pointsman_tests::grpc::raw_request;
use pointsman_tests::v2::{binary_request, tensor};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Mutex as TaskMutex;
use tokio::task::JoinHandle;

/// The model that is asked: the echo engine, so that the time is the gateway's.
pub(super) const MODEL: &str = "echo";

/// HTTP/1 connections, each with one request at a time.
const HTTP_CALLERS: usize = 12;

/// HTTP/2 connections, each with several requests at a time.
const GRPC_CONNECTIONS: usize = 2;
const GRPC_CALLERS: usize = 4;

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of the requests.
#[derive(Default)]
pub(super) struct Tally {
    answered: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl Tally {
    fn count(&self, ended: Result<(), String>) {
        match ended {
            Ok(()) => _ = self.answered.fetch_add(1, Ordering::Relaxed),
            Err(what) => self.lost.lock().expect("no panic").push(what),
        }
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Traffic that goes on until nobody accepts connections any more.
pub(super) struct Traffic {
    pub(super) tally: Arc<Tally>,
    runtime: Runtime,
    callers: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn start(http: SocketAddr, grpc: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let tally = Arc::new(Tally::default());
        let over_http = (0..HTTP_CALLERS).map(|i| runtime.spawn(ask_by_http(http, pace(i), tally.clone())));
        let mut callers: Vec<_> = over_http.collect();
        for _ in 0..GRPC_CONNECTIONS {
            let channel = Arc::new(Channel { address: grpc, sender: TaskMutex::default() });
            for i in 0..GRPC_CALLERS {
                callers.push(runtime.spawn(ask_by_grpc(channel.clone(), pace(i), tally.clone())));
            }
        }
        Self { tally, runtime, callers }
    }

    /// Waits until all callers are refused. Gives what was lost.
    pub(super) fn end(self) -> Vec<String> {
        for caller in self.callers {
            self.runtime.block_on(caller).expect("a caller that does not panic");
        }
        std::mem::take(&mut *self.tally.lost.lock().expect("no panic"))
    }
}

/// How long a caller rests between two requests: some are busy all the time, some are idle often.
fn pace(caller: usize) -> Duration {
    Duration::from_millis(3) * (caller % 4) as u32
}

fn input() -> InputTensor {
    InputTensor { name: "X".into(), tensor: tensor(&[3, 2], &[1_f32, 2.0, 3.0, 4.0, 5.0, 6.0]) }
}

async fn ask_by_http(address: SocketAddr, pace: Duration, tally: Arc<Tally>) {
    let (length, body) = binary_request(&[input()]);
    let head = format!(
        "POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\ninference-header-content-length: {length}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    let mut open: Option<TcpStream> = None;
    loop {
        // Closed by the other side, and this side knows it.
        open = open.filter(|stream| stream.try_read(&mut [0]).is_err());
        let stream = match open {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(address).await,
        };
        let Ok(mut stream) = stream else { return };
        let answer = tokio::time::timeout(PATIENCE, exchange(&mut stream, &request)).await;
        let answer = answer.unwrap_or_else(|_| Err("took too long".into()));
        open = matches!(answer, Ok(true)).then_some(stream);
        tally.count(answer.map(|_| ()).map_err(|what| format!("http: {what}")));
        tokio::time::sleep(pace).await;
    }
}

/// Sends one request and reads its answer. Says whether the connection stays open.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<bool, String> {
    stream.write_all(request).await.map_err(|e| format!("not written: {e}"))?;
    let mut answer = Vec::new();
    loop {
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let header = |name: &str| {
                head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
            };
            let length: usize = header("content-length").and_then(|l| l.parse().ok()).ok_or("no length")?;
            if answer.len() >= end + 4 + length {
                let whole = head.starts_with("http/1.1 200") && answer.len() == end + 4 + length;
                return if whole { Ok(header("connection") != Some("close")) } else { Err(head) };
            }
        }
        match stream.read_buf(&mut answer).await {
            Ok(0) => return Err(format!("the connection ended after {} bytes", answer.len())),
            Ok(_) => {}
            Err(error) => return Err(format!("after {} bytes: {error}", answer.len())),
        }
    }
}

/// An HTTP/2 connection, made again when it is told to end.
struct Channel {
    address: SocketAddr,
    sender: TaskMutex<Option<SendRequest<Bytes>>>,
}

impl Channel {
    /// A place for one more stream; nothing where nobody accepts connections any more.
    async fn place(&self) -> Option<SendRequest<Bytes>> {
        let mut sender = self.sender.lock().await;
        loop {
            if let Some(place) = sender.take()
                && let Ok(place) = place.ready().await
            {
                *sender = Some(place.clone());
                return Some(place);
            }
            let stream = TcpStream::connect(self.address).await.ok()?;
            // Refused as well: the connection was reset before it carried a request.
            let Ok((new, connection)) = h2::client::handshake(stream).await else { continue };
            tokio::spawn(connection);
            *sender = Some(new);
        }
    }
}

async fn ask_by_grpc(channel: Arc<Channel>, pace: Duration, tally: Arc<Tally>) {
    let message = raw_request(MODEL, &[input()]).encode_to_vec();
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(message.len().try_into().expect("a short message"));
    body.extend_from_slice(&message);
    let body = body.freeze();
    while let Some(place) = channel.place().await {
        let Some(answer) = tokio::time::timeout(PATIENCE, call(place, body.clone()))
            .await
            .unwrap_or_else(|_| Some(Err("took too long".into())))
        else {
            continue;
        };
        tally.count(answer.map_err(|what| format!("grpc: {what}")));
        tokio::time::sleep(pace).await;
    }
}

/// One call; nothing where it was never sent.
async fn call(mut place: SendRequest<Bytes>, body: Bytes) -> Option<Result<(), String>> {
    let request = http::Request::post("http://gateway/inference.GRPCInferenceService/ModelInfer")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    // An error here is of a connection that ends: the request never left.
    let (answer, mut stream) = place.send_request(request, false).ok()?;
    let answered = async {
        stream.send_data(body, true)?;
        let mut body = answer.await?.into_body();
        let mut bytes = 0;
        while let Some(chunk) = body.data().await {
            bytes += chunk?.len();
        }
        let status = body.trailers().await?.and_then(|t| t.get("grpc-status").cloned());
        Ok((bytes, status))
    };
    Some(match answered.await {
        Ok((bytes, Some(status))) if bytes > 0 && status == "0" => Ok(()),
        Ok((bytes, status)) => Err(format!("{bytes} bytes, status {status:?}")),
        Err(error) => {
            let error: h2::Error = error;
            Err(format!("{error} ({error:?})"))
        }
    })
}
