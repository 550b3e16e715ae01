//! What the generator itself costs: its requests, against a server in this process that answers at once.

use std::sync::Arc;
use std::time::Duration;

use crate::bare::Local;
use crate::call::Endpoint;
use crate::client::line::Manner;
use crate::findings::{Own, Stream};
use crate::measure::{Client, Course, Load, Watch, measure};
use crate::process::own_cpu_time;
use crate::schedule::Pattern;

/// How long it is measured, once for latencies and once for the rate.
const TIME: Duration = Duration::from_millis(400);

/// And before that not yet.
const WARM_UP: Duration = Duration::from_millis(100);

/// Measures one thread with a stream's first request. The server repeats what the real one answered to it.
///
/// # Errors
/// Where that did not answer, or nothing could be measured.
pub(crate) fn measure_own(load: &Load) -> Result<Own, String> {
    let client = &load.client;
    let call = client.calls.first().ok_or("there is no request")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let recorded = call.record(&client.endpoint, client.wiring.timeout);
    let (speaks, body) = runtime.map_err(|e| e.to_string())?.block_on(recorded)?;
    let server = Local::start(speaks, body)?;
    let address = Some(server.address());
    let endpoint = Endpoint { http: address, grpc: address, ..client.endpoint.clone() };
    let with = |connections: usize, streams: usize| {
        let mut wiring = client.wiring;
        (wiring.connections, wiring.streams, wiring.manner) = (connections, streams, Manner::Normal);
        Client { endpoint: endpoint.clone(), transport: client.transport, wiring, calls: vec![call.clone()] }
    };
    // One request at a time for its latency, and all connections for the rate.
    let (alone, _) = closed(load, with(1, 1))?;
    let (busy, cpu_us) = closed(load, with(client.wiring.connections, client.wiring.streams))?;
    let at = |quantile| {
        alone.latency.quantile(quantile).ok_or("no answer of the server in this process was right")
    };
    Ok(Own { cpu_us, p50_us: at(0.5)?, p99_us: at(0.99)?, rate_max: busy.goodput })
}

/// A closed loop of one thread, and the CPU that both ends took for a request.
fn closed(load: &Load, client: Client) -> Result<(Stream, f64), String> {
    let load = Load {
        pattern: Pattern::Closed,
        in_flight_max: client.wiring.connections * client.wiring.streams,
        client: Arc::new(client),
        ..load.clone()
    };
    let (warm_up, time) = (WARM_UP, TIME);
    let course =
        Course { name: "the generator alone".into(), target: None, warm_up, time, threads: 1, seed: 0 };
    let before = own_cpu_time()?;
    let mut measured = measure(&course, &[load], &mut Watch { watcher: None, broken: &mut || None })?;
    let spent = own_cpu_time()?.saturating_sub(before);
    let cpu_us = spent.as_secs_f64() * 1e6 / measured.sent.max(1) as f64;
    let stream = measured.part.streams.pop().ok_or("nothing was measured")?;
    Ok((stream, cpu_us))
}
