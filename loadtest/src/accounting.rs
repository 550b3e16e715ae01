//! Whether a gateway accounts for every request: `received = ok + rejected + failed + cancelled` at rest.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::http1;

/// How long a gateway may take to come to rest after the last request.
const REST_TIMEOUT: Duration = Duration::from_secs(15);

/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The counters that have to agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    received: i64,
    finished: i64,
    in_flight: i64,
}

/// What a gateway received and did not finish, once none of its requests is in flight.
///
/// # Errors
/// Where it does not answer, or does not come to rest in time.
pub(crate) fn unaccounted(metrics: SocketAddr) -> Result<i64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let counters = runtime.map_err(|e| e.to_string())?.block_on(at_rest(metrics))?;
    Ok(counters.received - counters.finished)
}

async fn at_rest(metrics: SocketAddr) -> Result<Counters, String> {
    let until = Instant::now() + REST_TIMEOUT;
    let request = http1::get(metrics, "/metrics");
    loop {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, http1::once(metrics, &request)).await;
        let (head, body) =
            answer.map_err(|_| format!("{metrics}/metrics did not answer in {ANSWER_TIMEOUT:?}"))??;
        if head.status != 200 {
            return Err(format!("{metrics}/metrics answered {}", head.status));
        }
        let counters = Counters::read(&String::from_utf8_lossy(&body))
            .ok_or_else(|| format!("{metrics}/metrics has no pointsman_requests_received_total"))?;
        if counters.in_flight == 0 {
            return Ok(counters);
        }
        if Instant::now() > until {
            let left = counters.in_flight;
            return Err(format!(
                "{left} requests are still in flight {REST_TIMEOUT:?} after the last answer"
            ));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

impl Counters {
    /// Sums the series of these counters in an exposition; nothing where it is not a gateway's.
    fn read(exposition: &str) -> Option<Self> {
        let (mut counters, mut is_gateway) = (Self::default(), false);
        for line in exposition.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ')?;
            let counter = match series.split('{').next() {
                Some("pointsman_requests_received_total") => {
                    is_gateway = true;
                    &mut counters.received
                }
                Some("pointsman_requests_total" | "pointsman_requests_forgotten_total") => {
                    &mut counters.finished
                }
                Some("pointsman_requests_in_flight") => &mut counters.in_flight,
                _ => continue,
            };
            *counter += value.parse::<i64>().ok()?;
        }
        is_gateway.then_some(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_counter_are_summed_and_others_passed_over() {
        let exposition = "\
# TYPE pointsman_requests_received counter
pointsman_requests_received_total{protocol=\"v2-rest\"} 7
pointsman_requests_received_total{protocol=\"v2-grpc\"} 4
pointsman_requests_total{model=\"a b\",version=\"1\",protocol=\"v2-rest\",code=\"OK\"} 5
pointsman_requests_total{model=\"\",version=\"\",protocol=\"v2-grpc\",code=\"OVERLOADED\"} 3
pointsman_requests_forgotten_total 2
pointsman_requests_in_flight 1
pointsman_stage_seconds_sum{stage=\"run\"} 0.125
# EOF
";
        let counters = Counters { received: 11, finished: 10, in_flight: 1 };
        assert_eq!(Counters::read(exposition), Some(counters));
        assert_eq!(Counters::read("nv_inference_request_success{model=\"m\"} 3\n"), None);
    }
}
