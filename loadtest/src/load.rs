//! A closed loop over several connections: each sends its next request when the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_wire::grpc::proto::ModelInferRequest;
use tokio::task::JoinSet;

use crate::client::grpc::{self, STREAMS};
use crate::client::http1::Connection;
use crate::client::line::Manner;
use crate::latency::Latencies;

/// Sends the same bytes over HTTP/1.1 and reads whole answers, for the latencies of them all.
pub(crate) async fn http(
    address: SocketAddr,
    request: Arc<[u8]>,
    connections: usize,
    time: Duration,
) -> Result<Latencies, String> {
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let request = request.clone();
        tasks.spawn(async move {
            let mut latency = Latencies::new()?;
            let mut connection = Connection::open(address, Manner::Normal).await?;
            while Instant::now() < until {
                let from = Instant::now();
                let answer = connection.exchange(&request).await?;
                if answer.head.status != 200 {
                    return Err(format!("the server answered {}", String::from_utf8_lossy(answer.body)));
                }
                latency.record(from.elapsed());
            }
            Ok(latency)
        });
    }
    join(tasks).await
}

/// Sends the same message over gRPC, on connections of [`STREAMS`] streams.
pub(crate) async fn grpc(
    address: SocketAddr,
    message: ModelInferRequest,
    streams: usize,
    time: Duration,
) -> Result<Latencies, String> {
    let mut clients = Vec::new();
    for _ in 0..streams.div_ceil(STREAMS) {
        clients.push(grpc::connect(address).await?);
    }
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for stream in 0..streams {
        let mut client = clients[stream / STREAMS].clone();
        let message = message.clone();
        tasks.spawn(async move {
            let mut latency = Latencies::new()?;
            while Instant::now() < until {
                let from = Instant::now();
                client.model_infer(message.clone()).await.map_err(|e| e.to_string())?;
                latency.record(from.elapsed());
            }
            Ok(latency)
        });
    }
    join(tasks).await
}

async fn join(mut tasks: JoinSet<Result<Latencies, String>>) -> Result<Latencies, String> {
    let mut latency = Latencies::new()?;
    while let Some(task) = tasks.join_next().await {
        latency.add(&task.map_err(|e| e.to_string())??)?;
    }
    Ok(latency)
}
