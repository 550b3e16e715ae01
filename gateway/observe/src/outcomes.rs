//! How pairs ended: with an answer, or with an error, of each side.

use pointsman_stats::{CONCENTRATION, Errors, LogE, Weight, canary_errs_more};
use serde::{Deserialize, Serialize};

/// Pairs by the end of both sides, the primary's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// Both gave an answer.
    pub ok_ok: u64,
    /// The primary alone.
    pub ok_err: u64,
    /// The shadow alone.
    pub err_ok: u64,
    /// Neither.
    pub err_err: u64,
}

impl Outcomes {
    pub(crate) fn push(&mut self, primary_ok: bool, shadow_ok: bool) {
        *match (primary_ok, shadow_ok) {
            (true, true) => &mut self.ok_ok,
            (true, false) => &mut self.ok_err,
            (false, true) => &mut self.err_ok,
            (false, false) => &mut self.err_err,
        } += 1;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.ok_ok += other.ok_ok;
        self.ok_err += other.ok_err;
        self.err_ok += other.err_ok;
        self.err_err += other.err_err;
    }

    /// Pairs in which one side alone gave an answer: errors of the shadow are the canary's.
    #[must_use]
    pub fn discordant(&self) -> Errors {
        Errors { canary: self.ok_err, primary: self.err_ok }
    }
}

/// The e-value against "what happened to one side alone happened to the shadow at most as often": a fair coin for each
/// such pair, whatever the inputs were (McNemar's test, made valid at any time).
pub(crate) fn shadow_is_worse(discordant: Errors) -> LogE {
    let fair = Weight::new(0.5).and_then(|fair| canary_errs_more(discordant, fair, CONCENTRATION));
    fair.unwrap_or(LogE::ONE)
}

#[cfg(test)]
mod tests {
    use pointsman_stats::Alpha;

    use super::*;

    #[test]
    fn each_pair_is_of_one_kind() {
        let mut outcomes = Outcomes::default();
        for (primary, shadow) in [(true, true), (true, false), (true, false), (false, true), (false, false)] {
            outcomes.push(primary, shadow);
        }
        outcomes.merge(Outcomes { ok_ok: 10, ..Outcomes::default() });
        assert_eq!(outcomes, Outcomes { ok_ok: 11, ok_err: 2, err_ok: 1, err_err: 1 });
        assert_eq!(outcomes.discordant(), Errors { canary: 2, primary: 1 });
    }

    #[test]
    fn a_shadow_that_errs_more_is_told_and_one_that_errs_less_is_not() {
        let level = Alpha::new(0.05).expect("a level");
        assert!(shadow_is_worse(Errors { canary: 60, primary: 15 }).rejects(level));
        assert!(!shadow_is_worse(Errors { canary: 15, primary: 60 }).rejects(level));
        assert!(!shadow_is_worse(Errors { canary: 30, primary: 30 }).rejects(level));
        assert_eq!(shadow_is_worse(Errors::default()), LogE::ONE);
    }
}
