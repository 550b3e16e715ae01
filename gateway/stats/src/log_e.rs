//! The logarithm of an e-value: how much was won by betting against a hypothesis.
//!
//! Where the hypothesis holds, an e-value is at most 1 on average, whenever one stops looking. So it reaches 1/alpha
//! at any time at all with a probability of at most alpha (Ville, 1939), and the reciprocal of the highest that it
//! has been is a p-value that stays valid however often one looks (Howard et al., arXiv 1810.08240; Ramdas and Wang,
//! "Hypothesis testing with e-values", 2025).

use serde::{Deserialize, Serialize};

use crate::number::Alpha;

/// The natural logarithm of an e-value. Always finite, so that it survives JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct LogE(f64);

impl LogE {
    /// The e-value 1: nothing is known.
    pub const ONE: Self = Self(0.0);

    /// From a logarithm. What overflows becomes the largest or smallest finite one; what is no number counts as
    /// no evidence at all, the smallest.
    pub(crate) fn new(log: f64) -> Self {
        Self(if log.is_nan() { f64::MIN } else { log.clamp(f64::MIN, f64::MAX) })
    }

    /// The logarithm.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether it is at least 1/alpha: the hypothesis is rejected.
    #[must_use]
    pub fn rejects(self, alpha: Alpha) -> bool {
        self.0 >= alpha.log_threshold()
    }

    /// The p-value: min(1, 1/E). Over time take that of [`Evidence`].
    #[must_use]
    pub fn p(self) -> f64 {
        (-self.0).exp().min(1.0)
    }

    /// The product of e-values each of which was fair given the ones before, such as those of the steps of a ramp.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self::new(self.0 + next.0)
    }

    /// The average of e-values: an e-value again, however they depend on each other. It rejects "none of them is
    /// false"; nothing where there are none. See Vovk and Wang, "E-values: calibration, combination and
    /// applications", Annals of Statistics 2021.
    #[must_use]
    pub fn average(all: &[Self]) -> Option<Self> {
        (!all.is_empty()).then(|| Self::new(log_mean_exp(all.len(), |i| all[i].0)))
    }
}

impl From<f64> for LogE {
    fn from(log: f64) -> Self {
        Self::new(log)
    }
}

impl From<LogE> for f64 {
    fn from(log_e: LogE) -> Self {
        log_e.0
    }
}

/// The logarithm of the mean of `count` numbers that are given by their logarithms. `count` is above 0.
pub(crate) fn log_mean_exp(count: usize, log: impl Fn(usize) -> f64) -> f64 {
    let highest = (0..count).map(&log).fold(f64::NEG_INFINITY, f64::max);
    if !highest.is_finite() {
        return highest;
    }
    let sum: f64 = (0..count).map(|i| (log(i) - highest).exp()).sum();
    highest + (sum / count as f64).ln()
}

/// An e-process over time: where it is, and the highest that it has been.
///
/// Its floats come back from JSON as they went in where the reader rounds correctly (`float_roundtrip` of
/// serde_json).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    now: LogE,
    highest: LogE,
}

impl Evidence {
    /// Takes in where the process is now.
    pub fn push(&mut self, now: LogE) {
        self.now = now;
        if now > self.highest {
            self.highest = now;
        }
    }

    /// Where the process is.
    #[must_use]
    pub const fn now(&self) -> LogE {
        self.now
    }

    /// The highest that the process has been; at least 1 (logarithm 0), where it began.
    #[must_use]
    pub const fn highest(&self) -> LogE {
        self.highest
    }

    /// The always-valid p-value: min over time of 1/E (Johari, Pekelis and Walsh, arXiv 1512.04922).
    #[must_use]
    pub fn p(&self) -> f64 {
        self.highest.p()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_number_is_no_evidence() {
        assert_eq!(LogE::new(f64::NAN).p(), 1.0);
        assert_eq!(LogE::new(f64::NEG_INFINITY).get(), f64::MIN);
        assert_eq!(LogE::new(f64::INFINITY).p(), 0.0);
        assert_eq!(LogE::ONE.p(), 1.0);
        assert_eq!(LogE::average(&[]), None);
    }

    #[test]
    fn a_rejection_stands_when_the_process_falls_again() {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.p(), 1.0);
        for log in [1.0, 3.0, -2.0] {
            evidence.push(LogE::new(log));
        }
        assert_eq!(evidence.now().get(), -2.0);
        assert_eq!(evidence.p(), (-3.0_f64).exp());
        assert!(evidence.highest().rejects(Alpha::new(0.05).expect("a level")));
        let text = serde_json::to_string(&evidence).expect("JSON");
        assert_eq!(serde_json::from_str::<Evidence>(&text).expect("evidence"), evidence);
    }

    proptest! {
        #[test]
        fn an_average_lies_between_its_parts_and_does_not_overflow(logs in prop::collection::vec(-2e3_f64..2e3, 1..9)) {
            let all: Vec<LogE> = logs.iter().copied().map(LogE::new).collect();
            let average = LogE::average(&all).expect("an average").get();
            let highest = logs.iter().copied().fold(f64::MIN, f64::max);
            prop_assert!(average <= highest + 1e-9);
            prop_assert!(average >= highest - (logs.len() as f64).ln() - 1e-9);
        }

        #[test]
        fn a_p_value_never_rises(logs in prop::collection::vec(-9_f64..9.0, 1..50)) {
            let mut evidence = Evidence::default();
            let mut last = evidence.p();
            for log in logs {
                evidence.push(LogE::new(log));
                prop_assert!(evidence.p() <= last && evidence.p() > 0.0);
                last = evidence.p();
            }
        }
    }
}
