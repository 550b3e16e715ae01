//! What a version has to pass beyond what always holds.

use std::time::Duration;

use pointsman_core::{BreakingPolicy, DivisionPolicy, LatencyPolicy};

/// The gates that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates {
    /// What becomes of a model that divides integers of a request, where its card does not say.
    pub integer_division: DivisionPolicy,
    /// What becomes of a version that callers of the serving one cannot use, where its card does not say.
    pub breaking: BreakingPolicy,
    /// What becomes of a version that is slower than the serving one.
    pub latency: LatencyPolicy,
    /// How many times as long as the serving version's a run may take.
    pub latency_ratio_max: f64,
    /// Bytes of memory that a load leaves free.
    pub memory_reserve: usize,
    /// How long one run may take that checks or warms a version.
    pub run_timeout: Duration,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            integer_division: DivisionPolicy::default(),
            breaking: BreakingPolicy::default(),
            latency: LatencyPolicy::default(),
            latency_ratio_max: 2.0,
            memory_reserve: 256 << 20,
            run_timeout: Duration::from_secs(30),
        }
    }
}
