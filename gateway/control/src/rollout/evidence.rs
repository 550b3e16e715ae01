//! What was seen of both versions, stage by stage: whole numbers, from which everything is computed.

pub use pointsman_core::CLASSES_MAX;
use pointsman_core::VersionNumber;
use pointsman_route::UnitKind;
use pointsman_stats::{Errors, Strata, Tally, Weight};
use serde::{Deserialize, Serialize};

use super::harm::Harm;
use super::spec::{Exposure, STAGES_MAX, Spec};
use super::time::Moment;

/// How many thresholds latencies are held against: the primary's median, 95th and 99th percentile.
pub const SLOW: usize = 3;

/// What is counted as one: what the split assigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Requests, each of which is assigned by itself.
    Requests,
    /// Units that stay with their arm. Their requests are alike and no evidence each by itself: a unit counts once, by
    /// whether it ever erred.
    Units,
}

impl From<UnitKind> for Counted {
    fn from(kind: UnitKind) -> Self {
        match kind {
            UnitKind::RequestId => Self::Requests,
            UnitKind::Header | UnitKind::Cookie | UnitKind::Parameter | UnitKind::Tensor => Self::Units,
        }
    }
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hits {
    /// With so many requests.
    pub requests: u64,
    /// With so many units for the first time in the rollout, whichever version it was with. Once a unit has erred with
    /// one version, its errors with the other say nothing new of it: so what moves to the candidate on a ramp, and
    /// erred before, does not count against it.
    pub units: u64,
    /// With so many units for the first time with this version.
    pub own_units: u64,
}

impl Hits {
    /// One more, which says something by itself.
    pub(super) fn count(&mut self) {
        let Self { requests, units, own_units } = self;
        [requests, units, own_units].into_iter().for_each(|count| *count += 1);
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            units: self.units.saturating_add(other.units),
            own_units: self.own_units.saturating_add(other.own_units),
        }
    }

    /// What is compared with the other version.
    fn compared(self, counted: Counted) -> u64 {
        match counted {
            Counted::Requests => self.requests,
            Counted::Units => self.units,
        }
    }

    /// What says something of this version alone.
    fn own(self, counted: Counted) -> u64 {
        match counted {
            Counted::Requests => self.requests,
            Counted::Units => self.own_units,
        }
    }
}

/// What was seen of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Arm {
    /// All.
    pub seen: Hits,
    /// Failures and timeouts that are not the caller's.
    pub errors: Hits,
    /// Outputs that are not finite, or not what the signature says.
    pub invalid: Hits,
    /// Answers over each frozen threshold. What never came counts as over all of them.
    pub slow: [Hits; SLOW],
    /// Predictions of each class; of a unit its first.
    pub classes: Vec<Hits>,
    /// Those of which a label came, wrong or right.
    pub labelled: Hits,
    /// Those that a label proved wrong.
    pub wrong: Hits,
    /// Pairs of one that happened and one that did not whose scores are in disorder; those are counted of units that
    /// have a label for the first time.
    pub misranked: Hits,
    /// Of numbers: pairs with an example of the other version of which this one's answer was farther off, and bouts of such
    /// pairs of which its sum of squares was larger.
    pub off: [Hits; 2],
}

impl Arm {
    fn add(&mut self, other: &Self) {
        let add = |sum: &mut Hits, more: Hits| *sum = sum.and(more);
        add(&mut self.seen, other.seen);
        add(&mut self.errors, other.errors);
        add(&mut self.invalid, other.invalid);
        add(&mut self.labelled, other.labelled);
        add(&mut self.wrong, other.wrong);
        add(&mut self.misranked, other.misranked);
        self.off.iter_mut().zip(other.off).for_each(|(sum, more)| add(sum, more));
        for (sum, more) in self.slow.iter_mut().zip(other.slow) {
            add(sum, more);
        }
        if self.classes.len() < other.classes.len() {
            self.classes.resize(other.classes.len().min(CLASSES_MAX), Hits::default());
        }
        for (at, more) in other.classes.iter().enumerate() {
            let at = at.min(self.classes.len().saturating_sub(1));
            if let Some(sum) = self.classes.get_mut(at) {
                add(sum, *more);
            }
        }
    }
}

/// What was seen of both versions, and of the candidate as a shadow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// The candidate. As a shadow: of the requests that it saw.
    pub canary: Arm,
    /// The version that serves. While the candidate is a shadow: of the same requests.
    pub primary: Arm,
    /// Units that were assigned to each, each of them once in a stage.
    pub assigned: Assigned,
    /// Requests that both answered in shadow.
    pub pairs: u64,
    /// Those of them that were answered otherwise.
    pub disagreed: u64,
    /// Requests that a second copy of the version that serves answered as well.
    pub floor_pairs: u64,
    /// Those of them that were answered otherwise.
    pub floor_disagreed: u64,
}

/// Units of each arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assigned {
    /// Of the candidate.
    pub canary: u64,
    /// Of the version that serves.
    pub primary: u64,
}

/// Errors of things that say something each by itself: of requests where each is assigned by itself, else of units.
/// Nothing else can be tested for harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Independent(Errors);

impl Independent {
    /// The errors.
    #[must_use]
    pub fn errors(self) -> Errors {
        self.0
    }
}

impl Counts {
    /// Both and others.
    pub fn add(&mut self, other: &Self) {
        self.canary.add(&other.canary);
        self.primary.add(&other.primary);
        let pairs = [
            (&mut self.assigned.canary, other.assigned.canary),
            (&mut self.assigned.primary, other.assigned.primary),
            (&mut self.pairs, other.pairs),
            (&mut self.disagreed, other.disagreed),
            (&mut self.floor_pairs, other.floor_pairs),
            (&mut self.floor_disagreed, other.floor_disagreed),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }

    /// How often something happened in both arms.
    pub(crate) fn independent(&self, counted: Counted, of: impl Fn(&Arm) -> Hits) -> Independent {
        let count = |arm| of(arm).compared(counted);
        Independent(Errors { canary: count(&self.canary), primary: count(&self.primary) })
    }

    /// How often something happened among all that the candidate saw. What happened with more than it saw, as counts
    /// were taken at different moments, happened with all.
    pub(crate) fn of_canary(&self, counted: Counted, of: impl Fn(&Arm) -> Hits) -> Tally {
        let tries = self.canary.seen.own(counted);
        Tally::new(of(&self.canary).own(counted).min(tries), tries).unwrap_or_default()
    }

    /// Disagreements among pairs.
    pub(crate) fn disagreement(&self) -> Tally {
        Tally::new(self.disagreed.min(self.pairs), self.pairs).unwrap_or_default()
    }

    /// The same of two copies of the version that serves.
    pub(crate) fn floor_disagreement(&self) -> Tally {
        Tally::new(self.floor_disagreed.min(self.floor_pairs), self.floor_pairs).unwrap_or_default()
    }
}

/// What needs no statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hard {
    /// The candidate cannot be loaded any more.
    pub cannot_load: bool,
    /// How often it panicked.
    pub panics: u64,
    /// The longest run of its errors in a row.
    pub errors_in_a_row: u64,
    /// How many of its outputs were not finite, those of its warm-up as well.
    pub invalid: u64,
    /// The same of the version that serves.
    pub primary_invalid: u64,
}

impl Hard {
    fn add(&mut self, other: &Self) {
        self.cannot_load |= other.cannot_load;
        self.panics = self.panics.saturating_add(other.panics);
        self.errors_in_a_row = self.errors_in_a_row.max(other.errors_in_a_row);
        self.invalid = self.invalid.saturating_add(other.invalid);
        self.primary_invalid = self.primary_invalid.saturating_add(other.primary_invalid);
    }
}

/// What was seen at one stage since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Look {
    /// The stage whose weight it was assigned at.
    pub stage: usize,
    /// What was seen.
    pub counts: Counts,
    /// What needs no statistics.
    pub hard: Hard,
    /// How many milliseconds what is counted is behind.
    pub lag_ms: u64,
    /// How many requests were not counted.
    pub lost: u64,
}

impl Look {
    /// Takes in what another gateway saw at the same stage.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.hard.add(&other.hard);
        self.lag_ms = self.lag_ms.max(other.lag_ms);
        self.lost = self.lost.saturating_add(other.lost);
    }
}

/// What is fixed at the start, so that it means the same to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// What the split assigns.
    pub counted: Counted,
    /// Where a request says its unit, in words.
    pub unit: String,
    /// The salt of the split.
    pub salt: String,
    /// Above these times an answer is slow, in microseconds.
    pub slow_us: [u64; SLOW],
    /// How many classes are predicted; 0 where the model has none.
    pub classes: usize,
    /// The newest version that there was: what is above it has come since.
    pub newest: VersionNumber,
    /// The version that serves, and the candidate, as they are loaded.
    #[serde(default)]
    pub contents: [Option<Content>; 2],
}

/// A version as it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its number.
    pub version: VersionNumber,
    /// The digest of what is loaded.
    pub digest: String,
}

/// The thresholds of latencies: the larger of the objective and 1.25 times the primary's quantile, each in
/// microseconds.
#[must_use]
pub fn thresholds(objective_us: u64, quantiles_us: [u64; SLOW]) -> [u64; SLOW] {
    quantiles_us.map(|quantile| quantile.saturating_add(quantile.div_ceil(4)).max(objective_us))
}

/// One stage with what was seen at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How much callers were exposed.
    pub exposure: Exposure,
    /// What was seen.
    pub counts: Counts,
    /// What was left out, as the candidate was not warm.
    pub warm_up: Counts,
    /// In how many looks.
    pub looks: u64,
}

impl Step {
    /// The candidate's share of what is compared. A shadow is compared on the same requests, half and half.
    pub(crate) fn weight(exposure: Exposure) -> Option<Weight> {
        match exposure {
            Exposure::None | Exposure::All => None,
            Exposure::Shadow(_) => Weight::new(0.5).ok(),
            Exposure::Canary(share) => Weight::new(share.fraction()).ok(),
        }
    }
}

/// All that was seen since the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Each stage of the rollout.
    pub steps: Vec<Step>,
    /// What needs no statistics.
    pub hard: Hard,
    /// The tests for harm, which depend on how looks were cut.
    pub harm: Harm,
    /// When the first request of the candidate was seen.
    pub first: Option<Moment>,
    /// How far the last look was behind, in milliseconds.
    pub lag_ms: u64,
    /// How many requests were not counted since the last look.
    pub lost: u64,
}

impl Evidence {
    /// Nothing seen.
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        let step =
            |exposure| Step { exposure, counts: Counts::default(), warm_up: Counts::default(), looks: 0 };
        Self {
            steps: spec.stages.iter().map(|stage| step(stage.exposure)).collect(),
            hard: Hard::default(),
            harm: Harm::new(spec),
            first: None,
            lag_ms: 0,
            lost: 0,
        }
    }

    /// Takes in what was seen since the last time, of [`STAGES_MAX`] looks at most; nothing where only time went by. Of a stage that there is not what
    /// needs no statistics counts, and nothing else.
    pub fn push(&mut self, spec: &Spec, frozen: &Frozen, looks: &[Look], now: Moment) {
        let looks = looks.get(..STAGES_MAX).unwrap_or(looks);
        if looks.is_empty() {
            return;
        }
        self.lag_ms = looks.iter().map(|look| look.lag_ms).fold(0, u64::max);
        self.lost = looks.iter().map(|look| look.lost).fold(0, u64::saturating_add);
        for look in looks {
            self.take(spec, frozen, look, now);
        }
    }

    /// Takes in a look. While the candidate is not warm it is kept aside: whether it is depends on the looks before
    /// alone, so that nothing is left out for what it says.
    fn take(&mut self, spec: &Spec, frozen: &Frozen, look: &Look, now: Moment) {
        let warmed = self.is_warm(spec, now);
        self.hard.add(&look.hard);
        let Some(step) = self.steps.get_mut(look.stage) else { return };
        step.looks += 1;
        if self.first.is_none() && look.counts.canary.seen.requests > 0 {
            self.first = Some(now);
        }
        if warmed {
            step.counts.add(&look.counts);
            self.harm.push(step.exposure, frozen, &look.counts);
        } else {
            step.warm_up.add(&look.counts);
        }
    }

    fn is_warm(&self, spec: &Spec, now: Moment) -> bool {
        if spec.warm_up.time.is_zero() && spec.warm_up.count == 0 {
            return true;
        }
        let requests =
            |step: &Step| step.warm_up.canary.seen.requests.saturating_add(step.counts.canary.seen.requests);
        let seen = self.steps.iter().map(requests).fold(0, u64::saturating_add);
        self.first.is_some_and(|first| now.since(first) >= spec.warm_up.time) && seen >= spec.warm_up.count
    }

    /// How often something happened, weight by weight.
    pub(crate) fn strata(&self, counted: Counted, of: impl Fn(&Arm) -> Hits + Copy, shadows: bool) -> Strata {
        let mut strata = Strata::default();
        for step in &self.steps {
            let is_shadow = matches!(step.exposure, Exposure::Shadow(_));
            let errors = step.counts.independent(counted, of).errors();
            if let Some(weight) = Step::weight(step.exposure).filter(|_| shadows || !is_shadow) {
                // There are fewer stages than strata.
                let _ = strata.push(weight, errors);
            }
        }
        strata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(requests: u64, units: u64) -> Hits {
        Hits { requests, units, own_units: units }
    }

    #[test]
    fn the_larger_of_objective_and_quantile_counts() {
        assert_eq!(thresholds(1000, [100, 800, 4001]), [1000, 1000, 5002]);
        assert_eq!(thresholds(0, [100, 801, u64::MAX]), [125, 1002, u64::MAX]);
    }

    #[test]
    fn requests_of_sticky_units_are_not_taken_for_evidence() {
        let mut counts = Counts::default();
        counts.canary.errors = hits(500, 2);
        counts.primary.errors = hits(600, 20);
        let of = |counted| counts.independent(counted, |arm| arm.errors).errors();
        assert_eq!(of(Counted::from(UnitKind::Cookie)), Errors { canary: 2, primary: 20 });
        assert_eq!(of(Counted::from(UnitKind::RequestId)), Errors { canary: 500, primary: 600 });
    }

    #[test]
    fn looks_of_several_gateways_are_one_and_counts_stand_still_at_their_end() {
        let mut look = Look { lag_ms: 5, ..Look::default() };
        look.counts.canary.classes = vec![hits(1, 1); 2];
        let mut other = Look { lag_ms: 3, lost: u64::MAX, ..Look::default() };
        other.counts.canary.classes = vec![hits(1, 1); CLASSES_MAX + 3];
        other.counts.pairs = u64::MAX;
        other.hard.errors_in_a_row = 4;
        look.add(&other);
        look.add(&other);
        assert_eq!((look.lag_ms, look.lost, look.counts.pairs), (5, u64::MAX, u64::MAX));
        assert_eq!((look.counts.canary.classes.len(), look.hard.errors_in_a_row), (CLASSES_MAX, 4));
        assert_eq!(look.counts.canary.classes[0], hits(3, 3));
        assert_eq!(
            look.counts.canary.classes[CLASSES_MAX - 1],
            hits(8, 8),
            "what is beyond counts as the last"
        );
    }
}
