//! Counts what came of the requests of the mix.

use std::collections::BTreeMap;

use super::asked::{Fate, KINDS};
use super::asker::Record;
use crate::call::Verdict;

/// Messages that are kept of what must not be.
const MESSAGES_MAX: usize = 10;

/// Codes of requests that fit no model.
const ODD: [&str; 2] = ["INPUT_MISMATCH", "BAD_REQUEST"];

/// The code of a request whose deadline has passed.
const LATE: &str = "DEADLINE_EXCEEDED";

/// All counts. Each request is in exactly one.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Answered with the rows that it asked about.
    pub(super) right: u64,
    /// Left by its client before an answer came.
    pub(super) left: u64,
    /// Not answered in time, as it had asked for.
    pub(super) late: u64,
    /// Refused, as it fits no model.
    pub(super) odd: u64,
    /// Refused for load.
    pub(super) refused: u64,
    /// Answered with what is not its own, or at all where there is no answer.
    pub(super) wrong: u64,
    /// Failed although nothing was wrong with it.
    pub(super) failed: u64,
    /// No whole answer came to a client that stayed.
    pub(super) lost: u64,
    /// Right answers by kind.
    pub(super) right_by_kind: [u64; KINDS.len()],
    /// Errors by code.
    pub(super) codes: BTreeMap<String, u64>,
    /// What some were that must not be.
    pub(super) messages: Vec<String>,
}

impl Tally {
    /// Requests that have ended.
    pub(super) fn requests(&self) -> u64 {
        let Self { right, left, late, odd, refused, wrong, failed, lost, .. } = self;
        right + left + late + odd + refused + wrong + failed + lost
    }

    /// Counts one.
    pub(super) fn add(&mut self, record: &Record) {
        let Record { number, kind, fate, verdict } = record;
        let Some(verdict) = verdict else {
            self.left += 1;
            return;
        };
        if let Verdict::Refused(fault) | Verdict::Failed(fault) | Verdict::Lost(fault) = verdict {
            *self.codes.entry(fault.code.clone().into_owned()).or_default() += 1;
        }
        let count = match (verdict, fate) {
            (Verdict::Right, Fate::Odd) | (Verdict::Wrong(_), _) => &mut self.wrong,
            (Verdict::Right, _) => {
                self.right_by_kind[*kind] += 1;
                self.right += 1;
                return;
            }
            (Verdict::Failed(fault), Fate::Odd) if ODD.contains(&&*fault.code) => {
                self.odd += 1;
                return;
            }
            (Verdict::Failed(fault), Fate::Late) if fault.code == LATE => {
                self.late += 1;
                return;
            }
            (Verdict::Refused(_), _) => {
                self.refused += 1;
                return;
            }
            (Verdict::Failed(_), _) => &mut self.failed,
            (Verdict::Lost(_), _) => &mut self.lost,
        };
        *count += 1;
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(format!("request {number}, {fate:?}: {verdict}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Fault;

    #[test]
    fn each_request_is_counted_once_and_what_must_not_be_is_told() {
        let fault = |code| Fault::new(code, "so");
        let mut tally = Tally::default();
        let mut add = |fate, verdict| tally.add(&Record { number: 1, kind: 0, fate, verdict });
        add(Fate::Answered, Some(Verdict::Right));
        add(Fate::Late, Some(Verdict::Right));
        add(Fate::Odd, Some(Verdict::Right));
        add(Fate::Cancelled { turns: 3 }, None);
        add(Fate::Cancelled { turns: 3 }, Some(Verdict::Wrong(fault("wrong values"))));
        add(Fate::Odd, Some(Verdict::Failed(fault("INPUT_MISMATCH"))));
        add(Fate::Answered, Some(Verdict::Failed(fault("INPUT_MISMATCH"))));
        add(Fate::Late, Some(Verdict::Failed(fault("DEADLINE_EXCEEDED"))));
        add(Fate::Answered, Some(Verdict::Failed(fault("DEADLINE_EXCEEDED"))));
        add(Fate::Answered, Some(Verdict::Refused(fault("QUEUE_FULL"))));
        add(Fate::Answered, Some(Verdict::Lost(fault("timeout"))));
        let Tally { right, left, late, odd, refused, wrong, failed, lost, .. } = tally;
        assert_eq!([right, left, late, odd, refused, wrong, failed, lost], [2, 1, 1, 1, 1, 2, 2, 1]);
        assert_eq!((tally.requests(), tally.messages.len()), (11, 5), "{:?}", tally.messages);
        assert_eq!(tally.codes["DEADLINE_EXCEEDED"], 2);
    }
}
