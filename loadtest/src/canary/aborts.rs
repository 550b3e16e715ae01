//! Rollouts to half of the units that are aborted, and when the candidate answered last.

use std::time::Duration;

use serde_json::json;

use super::stand::{MODEL, Stand};
use super::{Arguments, Fault};
use crate::crowd::{Flow, Flown, Met, UNIT};

/// How long a candidate answers before it is aborted, and how long it is looked whether it still does.
const BEFORE: Duration = Duration::from_millis(150);
const AFTER: Duration = Duration::from_millis(100);

/// How long who aborts is held up by the fault.
const LATE: Duration = Duration::from_millis(50);

/// The name of the arm.
pub(super) const CANDIDATE: &str = "candidate";

/// One of them, by the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abort {
    began: Duration,
    /// When the abort was called for, and was answered.
    called: Duration,
    answered: Duration,
    ended: Duration,
}

/// What an abort took, from the call on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rollback {
    /// Until its answer.
    pub(super) answered: Duration,
    /// Until the last request began that the candidate answered; 0 where none did.
    pub(super) begun: Duration,
    /// Until the candidate's last answer, be it to a request that ran then.
    pub(super) last: Duration,
    /// What the candidate answered before.
    pub(super) before: u64,
}

/// Starts and aborts rollouts, of the version that does not serve.
///
/// # Errors
/// Where the gateway refuses.
pub(super) fn aborts(
    arguments: &Arguments,
    stand: &mut Stand,
    flow: &mut Flow<'_>,
    promoted: bool,
) -> Result<Vec<Abort>, String> {
    let path = format!("/v1/rollouts/{MODEL}");
    let asked = json!({
        "version": if promoted { 2 } else { 3 }, "canary": "50", "time_min": "1h", "unit": [UNIT],
        "latency_objective": arguments.latency_objective,
    });
    let mut aborts = Vec::new();
    for _ in 0..arguments.aborts {
        let began = stand.clock.now();
        stand.admin.post(&path, &asked)?;
        flow.pause(BEFORE, &mut stand.gateway)?;
        let called = stand.clock.now();
        if arguments.fault == Some(Fault::LateAbort) {
            std::thread::sleep(LATE);
        }
        stand.admin.post(&format!("{path}/abort"), &json!({}))?;
        let answered = stand.clock.now();
        flow.pause(AFTER, &mut stand.gateway)?;
        aborts.push(Abort { began, called, answered, ended: stand.clock.now() });
    }
    Ok(aborts)
}

impl Abort {
    /// Finds it in all that was answered.
    pub(super) fn rollback(&self, flown: &Flown) -> Rollback {
        let of = |from: Duration, to: Duration| {
            let [from, to] = [from, to].map(|moment| flown.met.partition_point(|met| met.sent < moment));
            flown.met[from..to.max(from)].iter().filter(|met| met.arm() == Some(CANDIDATE))
        };
        let since = |moment: fn(&Met) -> Duration| move |met: &Met| moment(met).saturating_sub(self.called);
        Rollback {
            answered: self.answered.saturating_sub(self.called),
            begun: of(self.called, self.ended).map(since(|met| met.sent)).max().unwrap_or_default(),
            last: of(self.began, self.ended).map(since(|met| met.ended)).max().unwrap_or_default(),
            before: of(self.began, self.called).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crowd::Gave;

    #[test]
    fn what_begins_after_the_call_is_told_from_what_runs_then() {
        let ms = Duration::from_millis;
        let met = |sent, ended, arm: &str| {
            let gave = Gave::Answer { arm: arm.into(), version: 3 };
            Met { unit: 1, due: ms(sent), sent: ms(sent), ended: ms(ended), gave }
        };
        let met = vec![
            met(10, 12, CANDIDATE),
            met(99, 107, CANDIDATE),
            met(101, 102, "default"),
            met(103, 105, CANDIDATE),
            met(120, 121, "default"),
        ];
        let flown = Flown { met, lost: 0 };
        let abort = Abort { began: ms(0), called: ms(100), answered: ms(104), ended: ms(200) };
        let Rollback { answered, begun, last, before } = abort.rollback(&flown);
        assert_eq!((answered, begun, last, before), (ms(4), ms(3), ms(7), 2));
    }
}
