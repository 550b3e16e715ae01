//! What is missing until a stage can end.

use std::time::Duration;

use pointsman_stats::{ExpectedRates, Need, Rate, Tally, Weight, until_below_floor, until_not_worse};
use serde::{Deserialize, Serialize};

use super::certificate::{certain_at, is_asked};
use super::decide::{Place, Why};
use super::evidence::{Evidence, Frozen, Step};
use super::guard::{Guard, Question};
use super::harm::counted_hits;
use super::spec::Spec;
use super::time::{Moment, optional_millis, shown};

/// What is missing, in half of all cases, if the candidate is as good as what was seen says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// The question that takes longest; nothing where it is time or count alone.
    pub question: Option<Question>,
    /// So many requests or units more of both versions.
    pub units: u64,
    /// So many errors among them.
    pub errors: u64,
    /// So much time, at the traffic of the rollout so far; nothing where there was none.
    #[serde(with = "optional_millis")]
    pub time: Option<Duration>,
}

impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "about {} more requests or units, {} errors among them", self.units, self.errors)?;
        match self.time {
            Some(time) => write!(f, ", which takes about {}", shown(time)),
            None => f.write_str("; there is no traffic to say how long that takes"),
        }
    }
}

/// What is missing for the reasons of a verdict to hold. Nothing where nobody can say: units are assigned wrongly,
/// somebody is to be asked, or it will never be certain at the rates that were seen.
#[must_use]
pub fn needs(
    spec: &Spec,
    frozen: &Frozen,
    place: &Place,
    evidence: &Evidence,
    why: &[Why],
    now: Moment,
) -> Option<Needs> {
    let (stage, step) = (spec.stages.get(place.stage)?, evidence.steps.get(place.stage)?);
    let weight = Step::weight(stage.exposure)?;
    let seen = step.counts.of_canary(frozen.counted, |arm| arm.seen).tries();
    let lasted = now.since(place.since);
    // Of all stages: after a restart a stage counts its time anew, and not what it has seen.
    let of_step = |step: &Step| {
        let seen = step.counts.of_canary(frozen.counted, |arm| arm.seen).tries();
        Step::weight(step.exposure).map_or(0.0, |weight| seen as f64 / weight.get())
    };
    let per_second =
        evidence.steps.iter().map(of_step).sum::<f64>() / now.since(place.started).as_secs_f64().max(1.0);
    let time_of = |units: f64| {
        (per_second > 0.0).then(|| Duration::try_from_secs_f64(units / per_second).ok()).flatten()
    };
    let mut needs: Option<Needs> = None;
    let mut take = |more: Needs| {
        if needs.is_none_or(|needs| (needs.units, needs.time) < (more.units, more.time)) {
            needs = Some(more);
        }
    };
    for why in why {
        match why {
            Why::Time => {
                let time = stage.time_min.saturating_sub(lasted);
                let units = (per_second * time.as_secs_f64()) as u64;
                take(Needs { question: None, units, errors: 0, time: Some(time) });
            }
            Why::Count => {
                let units = stage.count_min.saturating_sub(seen) as f64 / weight.get();
                take(Needs { question: None, units: units as u64, errors: 0, time: time_of(units) });
            }
            Why::InsufficientEvidence(question) => {
                let need = need(spec, frozen, spec.guard(*question)?, evidence, step, weight)?;
                let (units, errors) = (need.units.ceil() as u64, need.errors.ceil() as u64);
                take(Needs { question: Some(*question), units, errors, time: time_of(need.units) });
            }
            Why::Misassigned | Why::Lag | Why::Gap | Why::Approval | Why::Deadline => return None,
        }
    }
    needs
}

/// What a guard needs: the less of both ways in which it can be certain.
fn need(
    spec: &Spec,
    frozen: &Frozen,
    guard: &Guard,
    evidence: &Evidence,
    step: &Step,
    weight: Weight,
) -> Option<Need> {
    debug_assert!(is_asked(guard, step.exposure));
    let alpha = certain_at(spec, step.exposure);
    let rate = |tally: Tally| Rate::new(tally.rate().unwrap_or(0.0)).ok();
    if guard.question == Question::Disagreement {
        let tally = step.counts.disagreement();
        let need = until_below_floor(tally, rate(tally)?, guard.floor, alpha)?;
        return Some(Need { units: need.units / weight.get(), ..need });
    }
    let of = counted_hits(guard.question)?;
    let canary = step.counts.of_canary(frozen.counted, of);
    let below = until_below_floor(canary, rate(canary)?, guard.floor, alpha)
        .map(|need| Need { units: need.units / weight.get(), errors: need.errors / weight.get() });
    let strata = evidence.strata(frozen.counted, of, guard.question.is_of_shadows());
    // As if both versions were alike: what was seen of the candidate alone is too little to say otherwise.
    let all = canary.tries() as f64 / weight.get();
    let errors = step.counts.independent(frozen.counted, of).errors();
    let pooled = Rate::new(((errors.canary + errors.primary) as f64 / all.max(1.0)).min(1.0)).ok()?;
    let not_worse = until_not_worse(
        &strata,
        weight,
        ExpectedRates { canary: pooled, primary: pooled },
        guard.margin,
        alpha,
    );
    match (below, not_worse) {
        (Some(below), Some(not_worse)) => Some(if below.units < not_worse.units { below } else { not_worse }),
        (below, not_worse) => below.or(not_worse),
    }
}
