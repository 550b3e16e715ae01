//! A closed loop over several connections: each sends its next request when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use pointsman_wire::grpc::proto::ModelInferRequest;
use pointsman_wire::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// The longest latency that is told from longer ones, in nanoseconds: a minute.
const LATENCY_MAX: u64 = 60_000_000_000;

/// gRPC streams that share one connection.
const STREAMS: usize = 16;

/// What a loop saw.
pub(crate) struct Seen {
    /// Requests answered well.
    pub(crate) answered: u64,
    /// Their latencies in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Seen {
    fn new() -> Result<Self, String> {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 3).map_err(|e| e.to_string())?;
        Ok(Self { answered: 0, latency })
    }

    fn answered(&mut self, time: Duration) {
        self.answered += 1;
        self.latency.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Sends the same bytes over HTTP/1.1 and reads whole answers.
pub(crate) async fn http(
    address: SocketAddr,
    request: Arc<[u8]>,
    connections: usize,
    time: Duration,
) -> Result<Seen, String> {
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let request = request.clone();
        tasks.spawn(async move {
            let mut seen = Seen::new()?;
            let mut stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            let mut buffer = Vec::with_capacity(64 << 10);
            while Instant::now() < until {
                let from = Instant::now();
                stream.write_all(&request).await.map_err(|e| e.to_string())?;
                read_answer(&mut stream, &mut buffer).await?;
                seen.answered(from.elapsed());
            }
            Ok::<_, String>(seen)
        });
    }
    join(tasks).await
}

/// One HTTP/1.1 answer with a `Content-Length`, whose status has to be 200.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), String> {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await.map_err(|e| e.to_string())?;
        if read == 0 {
            return Err("the server closed the connection".into());
        }
        if let Some(head) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            if !buffer.starts_with(b"HTTP/1.1 200") {
                return Err(format!("the server answered {}", String::from_utf8_lossy(buffer)));
            }
            let length = content_length(&buffer[..head]).ok_or("an answer has no Content-Length")?;
            let missing = (head + 4 + length).saturating_sub(buffer.len());
            if missing > 0 {
                let so_far = buffer.len();
                buffer.resize(so_far + missing, 0);
                stream.read_exact(&mut buffer[so_far..]).await.map_err(|e| e.to_string())?;
            }
            return Ok(());
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let name = b"content-length: ";
    let lines = head.split(|&b| b == b'\n');
    let line = lines.filter(|l| l.len() > name.len()).find(|l| l[..name.len()].eq_ignore_ascii_case(name))?;
    std::str::from_utf8(&line[name.len()..]).ok()?.trim().parse().ok()
}

/// Sends the same message over gRPC, on connections of [`STREAMS`] streams.
pub(crate) async fn grpc(
    address: SocketAddr,
    message: ModelInferRequest,
    streams: usize,
    time: Duration,
) -> Result<Seen, String> {
    let mut clients = Vec::new();
    for _ in 0..streams.div_ceil(STREAMS) {
        let endpoint = Channel::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
        let channel = endpoint.connect().await.map_err(|e| e.to_string())?;
        clients.push(GrpcInferenceServiceClient::new(channel));
    }
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for stream in 0..streams {
        let mut client = clients[stream / STREAMS].clone();
        let message = message.clone();
        tasks.spawn(async move {
            let mut seen = Seen::new()?;
            while Instant::now() < until {
                let from = Instant::now();
                client.model_infer(message.clone()).await.map_err(|e| e.to_string())?;
                seen.answered(from.elapsed());
            }
            Ok::<_, String>(seen)
        });
    }
    join(tasks).await
}

async fn join(mut tasks: JoinSet<Result<Seen, String>>) -> Result<Seen, String> {
    let mut all = Seen::new()?;
    while let Some(task) = tasks.join_next().await {
        let seen = task.map_err(|e| e.to_string())??;
        all.answered += seen.answered;
        all.latency.add(&seen.latency).map_err(|e| e.to_string())?;
    }
    Ok(all)
}

/// One exchange over HTTP/1.1, for the bytes of an answer.
pub(crate) async fn once(address: SocketAddr, request: &[u8]) -> Result<Bytes, String> {
    let mut stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
    stream.write_all(request).await.map_err(|e| e.to_string())?;
    let mut buffer = Vec::new();
    read_answer(&mut stream, &mut buffer).await?;
    Ok(buffer.into())
}
