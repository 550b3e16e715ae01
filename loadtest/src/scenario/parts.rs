//! The tables that make several parts of a scenario.

use serde::Deserialize;

use super::{Count, Objective, Rate, Share};

/// The search for the highest rate of one stream that holds an objective. It begins with the stream's `rate`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Whose rate is searched; not needed where there is one stream.
    pub(crate) stream: Option<String>,
    /// What a rate has to hold.
    pub(crate) objective: Objective,
    /// The share of what was offered that has to be answered right.
    #[serde(default = "Search::goodput")]
    pub(crate) goodput: Share,
    /// How close the search comes: it ends where the lowest rate that did not hold is above the highest that held
    /// by this share at most.
    #[serde(default = "Search::precision")]
    pub(crate) precision: Share,
    /// How often a rate is tried before it counts as one that does not hold: a machine that halts for a moment
    /// makes any rate miss.
    #[serde(default = "Search::tries")]
    pub(crate) tries: Count<10>,
    /// Where it ends at the latest.
    pub(crate) rate_max: Option<Rate>,
}

/// Rates above the most that is answered: what callers get who wait for their answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Overload {
    /// The stream whose rate is changed; the only one where there is one.
    pub(crate) stream: Option<String>,
    /// The callers that wait for their answers.
    #[serde(default = "Overload::callers")]
    pub(crate) callers: Count<4096>,
    /// Multiples of what they get.
    #[serde(default = "Overload::times")]
    pub(crate) times: Vec<Rate>,
    /// The multiple that they are compared with.
    #[serde(default = "Overload::beside")]
    pub(crate) beside: Share,
    /// How often everything is measured, in turn.
    #[serde(default = "Count::one")]
    pub(crate) rounds: Count<100>,
}

/// One stream, alone and then beside all others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Neighbour {
    /// The stream that is measured.
    pub(crate) measured: String,
    /// How often it is measured alone and beside the others, in turn.
    #[serde(default = "Count::one")]
    pub(crate) rounds: Count<100>,
}

/// The only stream, beside ONNX Runtime alone on the gateway's core.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alone {
    /// The share of ONNX Runtime's rate at which latencies are compared.
    #[serde(default = "Alone::share")]
    pub(crate) share: Share,
    /// How often everything is measured, in turn.
    #[serde(default = "Count::one")]
    pub(crate) rounds: Count<100>,
}

impl Alone {
    fn share() -> Share {
        Share(0.7)
    }
}

impl Search {
    fn goodput() -> Share {
        Share(0.99)
    }

    fn precision() -> Share {
        Share(0.05)
    }

    fn tries() -> Count<10> {
        Count(2)
    }
}

impl Overload {
    fn callers() -> Count<4096> {
        Count(16)
    }

    fn times() -> Vec<Rate> {
        [2.0, 5.0, 10.0].map(Rate).into()
    }

    fn beside() -> Share {
        Share(0.8)
    }
}
