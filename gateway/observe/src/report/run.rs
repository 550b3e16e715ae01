//! How a shadow runs beside the version that serves, and what it costs that one.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use super::text::{number, seconds};

/// A shadow as it runs. Whoever runs it knows this; a comparison does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Whether it runs at the moment.
    pub is_running: bool,
    /// Whether it rests since it kept failing, or is in a run that does not end.
    pub is_broken: bool,
    /// Whether it is shown nothing at the moment, so that what shadows cost can be measured.
    pub is_paused: bool,
    /// Exchanges that were offered since it was started last; nothing where it does not run.
    pub offered: Option<u64>,
    /// Those of them that it answered.
    pub answered: Option<u64>,
    /// Those of them that wait or run.
    pub waiting: Option<u64>,
    /// What it cost, together with the other shadows of the same version; nothing where that is not known.
    pub cost: Option<CostReport>,
}

/// How long requests of the version that serves took, from their headers to the last byte of the answer, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostReport {
    /// While shadows ran.
    pub on: RequestsReport,
    /// In the windows in which none did.
    pub off: RequestsReport,
    /// The 99th percentile with shadows over that without; nothing while there is none of one.
    pub p99_ratio: Option<f64>,
}

/// The times of some requests, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestsReport {
    /// How many.
    pub requests: u64,
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl RunReport {
    /// Whether and how it runs, in words.
    #[must_use]
    pub fn standing(&self) -> String {
        match (self.is_running, self.is_broken) {
            (false, _) => "it has ended".into(),
            (true, true) => "broken: it kept failing and rests, or its run does not end".into(),
            (true, false) => {
                let count = |count: Option<u64>| count.unwrap_or(0);
                let [offered, answered, waiting] = [self.offered, self.answered, self.waiting].map(count);
                let dropped = offered.saturating_sub(answered + waiting);
                let paused = if self.is_paused { "; paused, to measure what shadows cost" } else { "" };
                format!(
                    "it runs: {answered} of {offered} exchanges answered, {waiting} waiting, {dropped} dropped{paused}"
                )
            }
        }
    }
}

impl Display for CostReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { on, off, p99_ratio } = self;
        match p99_ratio {
            Some(ratio) => write!(
                f,
                "{} times the p99: {} with shadows ({} requests), {} without ({})",
                number(*ratio),
                seconds(on.p99),
                on.requests,
                seconds(off.p99),
                off.requests
            ),
            None if off.requests == 0 => write!(
                f,
                "not known yet: no request came in a window without shadows ({} came beside them)",
                on.requests
            ),
            None => write!(f, "not known yet: no request came beside shadows"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_and_standing_are_said_in_words() {
        let times = |requests, ms: f64| RequestsReport { requests, p50: ms / 2e3, p99: ms / 1e3 };
        let cost = |on, off, p99_ratio| CostReport { on, off, p99_ratio }.to_string();
        assert_eq!(
            cost(times(900, 2.1), times(100, 2.0), Some(1.05)),
            "1.05 times the p99: 2.1 ms with shadows (900 requests), 2 ms without (100)"
        );
        assert!(cost(times(9, 2.0), times(0, 0.0), None).starts_with("not known yet: no request came in a"));
        assert!(cost(times(0, 0.0), times(9, 2.0), None).ends_with("beside shadows"));
        let run = RunReport {
            is_running: true,
            is_broken: false,
            is_paused: false,
            offered: Some(10),
            answered: Some(7),
            waiting: Some(1),
            cost: None,
        };
        assert_eq!(run.standing(), "it runs: 7 of 10 exchanges answered, 1 waiting, 2 dropped");
        let paused = RunReport { is_paused: true, ..run.clone() }.standing();
        assert!(paused.ends_with("2 dropped; paused, to measure what shadows cost"), "{paused}");
        assert!(RunReport { is_broken: true, ..run.clone() }.standing().starts_with("broken"));
        assert_eq!(RunReport { is_running: false, ..run }.standing(), "it has ended");
    }
}
