//! The metrics of a gateway.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::client::http1::{self, Connection};
use crate::client::line::Manner;

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a metrics listener, over which it is asked again and again.
#[derive(Debug)]
pub(crate) struct Meter {
    address: SocketAddr,
    request: Vec<u8>,
    connection: Connection,
}

/// What a metrics listener answered.
#[derive(Clone, Debug)]
pub(crate) struct Exposition(String);

impl Meter {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, String> {
        let connection = Connection::open(address, Manner::Normal).await?;
        Ok(Self { address, request: http1::get(address, "/metrics"), connection })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Where no success comes in time.
    pub(crate) async fn read(&mut self) -> Result<Exposition, String> {
        let Self { address, request, connection } = self;
        let answer = timeout(ANSWER_TIMEOUT, connection.exchange(request)).await;
        let answer = answer.map_err(|_| format!("{address}/metrics did not answer in {ANSWER_TIMEOUT:?}"))?;
        let answer = answer.map_err(|why| format!("{address}/metrics: {why}"))?;
        match answer.head.status {
            200 => Ok(Exposition(String::from_utf8_lossy(answer.body).into_owned())),
            status => Err(format!("{address}/metrics answered {status}")),
        }
    }
}

impl Exposition {
    /// The sum of a metric over its series that have this label, as in `model="iris"`; empty for all. Nothing
    /// where there is no such series.
    pub(crate) fn sum(&self, metric: &str, label: &str) -> Option<i64> {
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.strip_prefix(metric)?.rsplit_once(' ')?;
            let is_whole = series.is_empty() || series.starts_with('{');
            (is_whole && series.contains(label)).then(|| value.parse::<f64>().ok())?
        });
        series.map(|value| value as i64).reduce(|sum, value| sum + value)
    }
}

#[cfg(test)]
impl Exposition {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_label_and_longer_names_passed_over() {
        let exposition = Exposition::of(
            "# TYPE pointsman_runs counter\n\
             pointsman_runs_total{model=\"a b\",version=\"1\"} 7\n\
             pointsman_runs_total{model=\"c\",version=\"1\"} 4\n\
             pointsman_runs_total_more 90\n\
             pointsman_ready 1\n# EOF\n",
        );
        assert_eq!(exposition.sum("pointsman_runs_total", ""), Some(11));
        assert_eq!(exposition.sum("pointsman_runs_total", "model=\"a b\""), Some(7));
        assert_eq!(exposition.sum("pointsman_ready", ""), Some(1));
        assert_eq!(exposition.sum("pointsman_runs_total", "model=\"d\""), None);
        assert_eq!(exposition.sum("pointsman_runs", ""), None);
    }
}
