//! What was found: one document, from which the lines on the terminal, the page and the thresholds are made.
//!
//! Written as JSON by `--json`, read again by `report`. Times are in microseconds unless the name says otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything of one call of the load tester.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// The number of this document's form.
    pub(crate) format: u32,
    pub(crate) about: About,
    /// What was measured, in order.
    pub(crate) parts: Vec<Part>,
    /// What the parts say together, and what was asked of it.
    pub(crate) figures: Vec<Figure>,
    /// What the generator itself costs, where it was measured.
    pub(crate) own: Option<Own>,
    /// What makes these figures doubtful: a generator that lagged, a run that was cut short. Empty where nothing does.
    pub(crate) doubts: Vec<String>,
}

/// What ran where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) scenario: String,
    /// What the scenario is for, in a sentence.
    pub(crate) purpose: String,
    /// RFC 3339, UTC.
    pub(crate) started_at: String,
    pub(crate) seconds: f64,
    /// The servers, by name: "A" and "B" where two are compared.
    pub(crate) targets: BTreeMap<String, String>,
    /// The command line.
    pub(crate) command: String,
    pub(crate) machine: Machine,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
}

/// A stretch of time with the same load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    /// "steady", "10 x", "round 2 of A".
    pub(crate) name: String,
    /// The target, where there are several.
    pub(crate) target: Option<String>,
    /// Measured seconds, without the warm-up.
    pub(crate) seconds: f64,
    pub(crate) streams: Vec<Stream>,
}

/// The requests of one kind: one model, one protocol, one schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) protocol: String,
    /// "constant", "poisson", "closed", ...
    pub(crate) arrivals: String,
    /// Requests per second that were due; nothing for a closed loop.
    pub(crate) offered_rate: Option<f64>,
    pub(crate) counts: Counts,
    /// Answers that were no success, and requests without a right answer, by code: "OVERLOADED", "HTTP 500",
    /// "GRPC 14", "timeout", "connection", "wrong values", "wrong version".
    pub(crate) errors: BTreeMap<String, u64>,
    /// What the first one of each code said.
    #[serde(default)]
    pub(crate) said: BTreeMap<String, String>,
    /// Right answers per second: those that came in this time, whenever their requests were due.
    pub(crate) goodput: f64,
    /// From when a request was due to the end of its answer, of right answers.
    pub(crate) latency: Latency,
    /// The same of refusals (429, 503, RESOURCE_EXHAUSTED, UNAVAILABLE), from when they were sent.
    pub(crate) refusal_latency: Option<Latency>,
    /// How late the generator took requests up.
    pub(crate) lag: Latency,
    /// Bounds of the buckets of `Second::buckets`, ascending: bucket i holds latencies below edge i and not below
    /// edge i - 1; one more bucket holds the rest.
    pub(crate) edges_us: Vec<f64>,
    pub(crate) over_time: Vec<Second>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    /// Answered, and right.
    pub(crate) ok: u64,
    /// Refused for load.
    pub(crate) refused: u64,
    /// Answered with another error.
    pub(crate) failed: u64,
    /// Answered with success, and wrong.
    pub(crate) wrong: u64,
    /// No whole answer came.
    pub(crate) lost: u64,
}

/// Quantiles of many times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) samples: u64,
    pub(crate) mean_us: f64,
    pub(crate) max_us: f64,
    /// Pairs of a quantile (0.5) and its time, ascending: 0, 0.1, ..., 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, as
    /// far as samples reach.
    pub(crate) quantiles_us: Vec<(f64, f64)>,
}

/// One second of a stream. Everything counts in the second in which the request was due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Second {
    /// From the start of the part.
    pub(crate) at_s: f64,
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    /// p50, p90, p99 and the longest; nothing where nothing was answered right.
    pub(crate) quantiles_us: Option<[f64; 4]>,
    pub(crate) buckets: Vec<u32>,
}

/// A number that the parts together give.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// "peak", "goodput at 10 x over peak", "p99 of B over A".
    pub(crate) name: String,
    pub(crate) value: f64,
    /// Its interval, where there are several rounds.
    pub(crate) interval: Option<(f64, f64)>,
    /// "/s", "us", "ratio", "".
    pub(crate) unit: String,
    /// What was asked: "<= 1.5".
    pub(crate) asked: Option<String>,
    /// Whether that holds.
    pub(crate) holds: Option<bool>,
}

/// What the generator costs against a server in the same process that answers at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Own {
    /// Microseconds of CPU per request, both ends.
    pub(crate) cpu_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Requests per second of one generator thread at most.
    pub(crate) rate_max: f64,
}
