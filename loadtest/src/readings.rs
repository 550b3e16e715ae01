//! What the summary, the page and the thresholds all read out of findings.

use pointsman_core::Code;
use pointsman_wire::status::status;

use crate::findings::{Counts, Findings, Latency, Stream};

/// How near a quantile has to be to the one that is asked for: those of findings went through JSON.
const SAME_QUANTILE: f64 = 1e-9;

/// HTTP statuses and gRPC codes that refuse for load, as errors of servers that have no codes of their own.
const REFUSALS: [&str; 4] = ["HTTP 429", "HTTP 503", "GRPC 8", "GRPC 14"];

/// What the figures say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Nothing was asked of any figure.
    NothingAsked,
    /// All that were asked for hold: so many.
    Held(usize),
    /// So many, of so many that were asked for, do not hold.
    Missed(usize, usize),
}

/// What is known of a quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Known {
    /// Its time.
    Exactly(f64),
    /// The times of the nearest quantiles below and above it, as it was not kept itself.
    Between(f64, f64),
}

impl Findings {
    /// What the figures say together. One that was asked for and could not be told does not hold.
    pub(crate) fn judgement(&self) -> Judgement {
        let asked = self.figures.iter().filter(|f| f.asked.is_some() || f.holds.is_some());
        let held: Vec<bool> = asked.map(|figure| figure.holds == Some(true)).collect();
        match (held.len(), held.iter().filter(|held| !**held).count()) {
            (0, _) => Judgement::NothingAsked,
            (all, 0) => Judgement::Held(all),
            (all, missed) => Judgement::Missed(missed, all),
        }
    }
}

impl Latency {
    /// The time of a quantile that was kept; nothing where it was not, or there are no samples.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        match self.known(quantile)? {
            Known::Exactly(us) => Some(us),
            Known::Between(..) => None,
        }
    }

    /// What is known of a quantile, kept or not; nothing without samples.
    pub(crate) fn known(&self, quantile: f64) -> Option<Known> {
        if self.samples == 0 {
            return None;
        }
        let finite = || self.quantiles_us.iter().filter(|(_, us)| us.is_finite());
        if let Some((_, us)) = finite().find(|(kept, _)| (kept - quantile).abs() < SAME_QUANTILE) {
            return Some(Known::Exactly(*us));
        }
        let below = finite().rfind(|(kept, _)| *kept < quantile).map_or(0.0, |(_, us)| *us);
        let above = finite().find(|(kept, _)| *kept > quantile).map_or(self.max_us, |(_, us)| *us);
        above.is_finite().then_some(Known::Between(below, above))
    }

    /// The longest; nothing without samples.
    pub(crate) fn longest(&self) -> Option<f64> {
        (self.samples > 0 && self.max_us.is_finite()).then_some(self.max_us)
    }

    /// The mean; nothing without samples.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.samples > 0 && self.mean_us.is_finite()).then_some(self.mean_us)
    }
}

impl Counts {
    /// Requests that got no right answer, for whatever reason.
    pub(crate) fn errors(&self) -> u64 {
        [self.refused, self.failed, self.wrong, self.lost].into_iter().fold(0, u64::saturating_add)
    }
}

impl Stream {
    /// The codes of its errors, the most frequent first.
    pub(crate) fn codes(&self) -> Vec<(&str, u64)> {
        let mut codes: Vec<(&str, u64)> = self.errors.iter().map(|(code, n)| (code.as_str(), *n)).collect();
        codes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        codes
    }
}

/// Whether an error code says that a request was refused for load.
pub(crate) fn is_refusal(code: &str) -> bool {
    let ours = || Code::ALL.into_iter().find(|ours| ours.name() == code);
    REFUSALS.contains(&code) || ours().is_some_and(|code| matches!(status(code).http.as_u16(), 429 | 503))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(quantiles_us: &[(f64, f64)]) -> Latency {
        Latency { samples: 100, mean_us: 2.0, max_us: 9.0, quantiles_us: quantiles_us.to_vec() }
    }

    #[test]
    fn a_quantile_is_known_as_well_as_it_was_kept() {
        let kept = latency(&[(0.5, 1.0), (0.9, 3.0), (0.99, f64::NAN)]);
        assert_eq!(kept.known(0.9), Some(Known::Exactly(3.0)));
        assert_eq!(kept.known(0.7), Some(Known::Between(1.0, 3.0)));
        assert_eq!(kept.known(0.99), Some(Known::Between(3.0, 9.0)), "what is no number was not kept");
        assert_eq!((kept.quantile(0.7), kept.quantile(0.5)), (None, Some(1.0)));
        let none = Latency { samples: 0, ..kept };
        assert_eq!((none.known(0.5), none.longest(), none.mean()), (None, None, None));
    }

    #[test]
    fn refusals_are_told_from_failures() {
        for code in ["OVERLOADED", "QUEUE_FULL", "CALLER_LIMIT", "HTTP 429", "HTTP 503", "GRPC 8", "GRPC 14"]
        {
            assert!(is_refusal(code), "{code}");
        }
        for code in ["SESSION_FAILED", "HTTP 500", "GRPC 13", "timeout", "wrong values", ""] {
            assert!(!is_refusal(code), "{code}");
        }
    }
}
