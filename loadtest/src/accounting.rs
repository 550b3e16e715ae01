//! Whether a gateway accounts for every request: `received = ok + rejected + failed + cancelled` at rest.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::claim::Claim;
use crate::exposition::{Exposition, Meter};

/// How long a gateway may take to come to rest after the last request.
const REST_TIMEOUT: Duration = Duration::from_secs(15);

/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Requests that have ended, where they are counted.
const FINISHED: [&str; 2] = ["pointsman_requests_total", "pointsman_requests_forgotten_total"];

/// What a gateway received and did not finish, once none of its requests is in flight.
///
/// # Errors
/// Where it does not answer, or does not come to rest in time.
pub(crate) fn unaccounted(metrics: SocketAddr) -> Result<i64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let unaccounted = async { unaccounted_in(&at_rest(&mut Meter::open(metrics).await?).await?) };
    runtime.map_err(|e| e.to_string())?.block_on(unaccounted)
}

/// The metrics of a gateway once none of its requests is in flight.
///
/// # Errors
/// As [`unaccounted`].
pub(crate) async fn at_rest(meter: &mut Meter) -> Result<Exposition, String> {
    let until = Instant::now() + REST_TIMEOUT;
    loop {
        let exposition = meter.read().await?;
        match exposition.sum("pointsman_requests_in_flight", "") {
            None | Some(0) => return Ok(exposition),
            Some(left) if Instant::now() > until => {
                return Err(format!(
                    "{left} requests are still in flight {REST_TIMEOUT:?} after the last answer"
                ));
            }
            Some(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

/// What was received and not finished, by metrics at rest.
///
/// # Errors
/// Where they are not a gateway's.
pub(crate) fn unaccounted_in(exposition: &Exposition) -> Result<i64, String> {
    let received = exposition.sum("pointsman_requests_received_total", "");
    let received = received.ok_or("the metrics have no pointsman_requests_received_total")?;
    let finished = FINISHED.into_iter().filter_map(|metric| exposition.sum(metric, ""));
    Ok(received - finished.sum::<i64>())
}

/// What a gateway still has at rest, where it should have nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    unaccounted: u64,
    requests_in_flight: u64,
    request_bytes: u64,
    queue_depth: u64,
}

impl Rest {
    /// Reads it off.
    ///
    /// # Errors
    /// Where these are not a gateway's metrics.
    pub(crate) fn read(exposition: &Exposition) -> Result<Self, String> {
        let left = |metric| exposition.sum(metric, "").map_or(0, i64::unsigned_abs);
        Ok(Self {
            unaccounted: unaccounted_in(exposition)?.unsigned_abs(),
            requests_in_flight: left("pointsman_requests_in_flight"),
            request_bytes: left("pointsman_request_bytes"),
            queue_depth: left("pointsman_queue_depth"),
        })
    }

    /// That it has nothing.
    pub(crate) fn claims(&self) -> [Claim; 4] {
        [
            Claim::none("unaccounted requests", self.unaccounted),
            Claim::none("requests in flight at rest", self.requests_in_flight),
            Claim::none("request bytes at rest", self.request_bytes),
            Claim::none("queue depth at rest", self.queue_depth),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_is_held_against_all_that_ended() {
        let exposition = Exposition::of(
            "\
# TYPE pointsman_requests_received counter
pointsman_requests_received_total{protocol=\"v2-rest\"} 7
pointsman_requests_received_total{protocol=\"v2-grpc\"} 4
pointsman_requests_total{model=\"a b\",version=\"1\",protocol=\"v2-rest\",code=\"OK\"} 5
pointsman_requests_total{model=\"\",version=\"\",protocol=\"v2-grpc\",code=\"OVERLOADED\"} 3
pointsman_requests_forgotten_total 2
pointsman_requests_in_flight 0
# EOF
",
        );
        assert_eq!(unaccounted_in(&exposition), Ok(1));
        let other = Exposition::of("nv_inference_request_success{model=\"m\"} 3\n");
        assert!(unaccounted_in(&other).is_err());
    }
}
