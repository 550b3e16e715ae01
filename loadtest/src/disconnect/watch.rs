//! What a gateway shows of the clients that it has.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::exposition::{Exposition, Meter};
use crate::process::sockets;

/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A gateway under observation.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) meter: Meter,
    pub(super) process: u32,
}

/// What there is at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) in_flight: i64,
    pub(super) queued: i64,
    /// Runs under way.
    pub(super) runs: i64,
    pub(super) sockets: u64,
}

impl Watch {
    /// Looks once.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub(super) async fn look(&mut self) -> Result<Seen, String> {
        let exposition = self.meter.read().await?;
        let seen = |metric| exposition.sum(metric, "").unwrap_or(0);
        Ok(Seen {
            in_flight: seen("pointsman_requests_in_flight"),
            queued: seen("pointsman_queue_depth"),
            runs: seen("pointsman_cores_busy"),
            sockets: sockets(self.process)?,
        })
    }

    /// Looks until it is as it should be: whether it came to that in time.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub(super) async fn until(
        &mut self,
        within: Duration,
        is: impl Fn(&Seen) -> bool,
    ) -> Result<Result<(), Seen>, String> {
        let until = Instant::now() + within;
        loop {
            let seen = self.look().await?;
            if is(&seen) {
                return Ok(Ok(()));
            }
            if Instant::now() > until {
                return Ok(Err(seen));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Runs that have succeeded.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub(super) async fn runs(&mut self) -> Result<i64, String> {
        let exposition: Exposition = self.meter.read().await?;
        Ok(exposition.sum("pointsman_runs_total", "").unwrap_or(0))
    }
}
