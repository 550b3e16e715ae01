//! Counts clients that vanished.

use std::time::Duration;

use super::plan::{Plan, Stage};
use crate::latency::Latencies;

/// All counts.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Times until clients were let go, by stage in the order of [`Stage::ALL`].
    pub(super) by_stage: Vec<(Stage, Latencies)>,
    /// Clients that the gateway let go without showing when.
    pub(super) not_shown: u64,
    /// Clients of which the gateway did not notice that they vanished.
    pub(super) unnoticed: u64,
    /// Runs of which an answer was begun: there may be no other.
    pub(super) runs_due: i64,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// As [`Latencies::new`].
    pub(super) fn new() -> Result<Self, String> {
        let by_stage = Stage::ALL.map(|stage| Latencies::new().map(|none| (stage, none)));
        Ok(Self {
            by_stage: by_stage.into_iter().collect::<Result<_, _>>()?,
            not_shown: 0,
            unnoticed: 0,
            runs_due: 0,
        })
    }

    /// Counts a client, and the time until it was let go where it was.
    pub(super) fn vanished(&mut self, plan: Plan, held: Option<Duration>) {
        let of_stage = self.by_stage.iter_mut().find(|(stage, _)| *stage == plan.stage);
        match (held, of_stage) {
            (Some(_), _) if !plan.is_shown() => self.not_shown += 1,
            (Some(held), Some((_, latencies))) => latencies.record(held),
            _ => self.unnoticed += 1,
        }
    }

    /// Those of all stages.
    ///
    /// # Errors
    /// As [`Latencies::add`].
    pub(super) fn all(&self) -> Result<Latencies, String> {
        let mut all = Latencies::new()?;
        self.by_stage.iter().try_for_each(|(_, latencies)| all.add(latencies))?;
        Ok(all)
    }

    /// Clients that vanished, noticed or not.
    pub(super) fn clients(&self) -> u64 {
        self.by_stage.iter().map(|(_, latencies)| latencies.samples()).sum::<u64>()
            + self.not_shown
            + self.unnoticed
    }
}
