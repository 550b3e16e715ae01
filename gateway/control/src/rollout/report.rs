//! What there is to read when a rollout is over, or at any time before.

use std::fmt;

use pointsman_stats::{RatioInterval, Tally, rate_interval, ratio_interval};
use serde::{Deserialize, Serialize};

use super::Question;
use super::certificate::certain_at;
use super::decide::{Cause, Verdict};
use super::evidence::{Counts, Frozen};
use super::harm::counted_hits;
use super::record::Record;
use super::spec::{Exposure, Spec};
use super::state::{Phase, Rollout};
use super::time::{Moment, shown};

/// For how many tries the intervals of rates are tightest.
const TRIES_BEST: f64 = 10_000.0;

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// How much callers were exposed.
    pub exposure: Exposure,
    /// From when to when; nothing where it was never reached.
    pub time: Option<(Moment, Moment)>,
    /// In how many looks.
    pub looks: u64,
    /// What was seen.
    pub counts: Counts,
    /// What was left out.
    pub warm_up: Counts,
}

/// What is known of a question over the whole rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatioReport {
    /// The question.
    pub question: Question,
    /// How many times as often it happens with the candidate, with bounds that hold at any time.
    pub ratio: RatioInterval,
    /// How often it happens with the candidate at the last stage: both bounds.
    pub rate: Option<(f64, f64)>,
}

/// A rollout, for a manager in words and for a statistician in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The number of the rollout.
    pub rollout: u64,
    /// What was asked for.
    pub spec: Spec,
    /// What was fixed at the start: thresholds, salt, unit.
    pub frozen: Frozen,
    /// How it stands.
    pub phase: Phase,
    /// When it began, and when something last happened.
    pub time: (Moment, Moment),
    /// Its stages.
    pub stages: Vec<StageReport>,
    /// Ratios and rates.
    pub ratios: Vec<RatioReport>,
    /// The last verdict.
    pub verdict: Option<Verdict>,
    /// How many verdicts there were.
    pub verdicts: usize,
}

impl Report {
    /// Of a rollout and all its records.
    #[must_use]
    pub fn new(rollout: &Rollout, records: &[Record]) -> Self {
        let last = records.last().map_or(rollout.place.since, |record| record.at);
        let begins =
            |stage| records.iter().find(|record| record.place.stage == stage).map(|record| record.at);
        let stage = |(at, step): (usize, &super::Step)| StageReport {
            exposure: step.exposure,
            time: begins(at).map(|from| (from, begins(at + 1).unwrap_or(last))),
            looks: step.looks,
            counts: step.counts.clone(),
            warm_up: step.warm_up.clone(),
        };
        let verdicts = || records.iter().filter_map(|record| record.verdict.as_ref());
        Self {
            rollout: rollout.id,
            spec: rollout.spec.clone(),
            frozen: rollout.frozen.clone(),
            phase: rollout.phase,
            time: (rollout.place.started, last),
            stages: rollout.evidence.steps.iter().enumerate().map(stage).collect(),
            ratios: ratios(rollout),
            verdict: verdicts().next_back().cloned(),
            verdicts: verdicts().count(),
        }
    }
}

fn ratios(rollout: &Rollout) -> Vec<RatioReport> {
    let (spec, evidence) = (&rollout.spec, &rollout.evidence);
    let Some(step) = evidence.steps.get(rollout.place.stage) else { return Vec::new() };
    let alpha = certain_at(spec, step.exposure);
    let report = |guard: &super::Guard| {
        let of = counted_hits(guard.question)?;
        let strata = evidence.strata(rollout.frozen.counted, of, guard.question.is_of_shadows());
        let tally: Tally = step.counts.of_canary(rollout.frozen.counted, of);
        Some(RatioReport {
            question: guard.question,
            ratio: ratio_interval(&strata, alpha),
            rate: rate_interval(tally, alpha, TRIES_BEST).ok(),
        })
    };
    spec.guards.iter().filter_map(report).collect()
}

impl Cause {
    /// Why the candidate left, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Cause::Guard(Question::Errors) => "it failed more often than the version that serves",
            Cause::Guard(Question::Invalid) => "its outputs were invalid more often",
            Cause::Guard(Question::Latency) => "it was slower",
            Cause::Guard(Question::Disagreement) => {
                "it answered otherwise than the version that serves too often"
            }
            Cause::Guard(Question::Distribution) => "it predicted other classes than the version that serves",
            Cause::Guard(Question::Labels) => "labels proved it wrong more often",
            Cause::CannotLoad => "it could not be loaded",
            Cause::Panic => "it panicked",
            Cause::ErrorsInARow => "it failed again and again",
            Cause::NotFinite => "its outputs were not finite",
            Cause::Deadline => "it was not decided in time",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (model, version) = (&self.spec.model, self.spec.candidate);
        let ended = match self.phase {
            Phase::Created => "has not begun".to_owned(),
            Phase::Running => "is under way".to_owned(),
            Phase::Paused => "is held by somebody".to_owned(),
            Phase::Asking => "is past its deadline, and waits for somebody to say what to do".to_owned(),
            Phase::Promoted => "answers everybody".to_owned(),
            Phase::RolledBack(why) => format!("was rolled back: {}", why.words()),
            Phase::Aborted => "was aborted".to_owned(),
            Phase::Superseded(by) => format!("gave way to version {by}"),
        };
        writeln!(f, "{model} version {version} {ended}.")?;
        let (from, to) = self.time;
        writeln!(f, "From {from} to {to}, {}, {} verdicts.", shown(to.since(from)), self.verdicts)?;
        writeln!(f)?;
        writeln!(f, "{:<16} {:>12} {:>6} {:>20} {:>20}", "stage", "lasted", "looks", "candidate", "primary")?;
        for stage in self.stages.iter().filter(|stage| stage.looks > 0) {
            let lasted = stage.time.map_or_else(String::new, |(from, to)| shown(to.since(from)));
            let of = |arm: &super::Arm| format!("{} errors of {}", arm.errors.requests, arm.seen.requests);
            let (canary, primary) = (of(&stage.counts.canary), of(&stage.counts.primary));
            let exposure = stage.exposure.to_string();
            writeln!(f, "{exposure:<16} {lasted:>12} {:>6} {canary:>20} {primary:>20}", stage.looks)?;
            if stage.counts.pairs > 0 {
                writeln!(
                    f,
                    "{:<16} {} of {} pairs were answered otherwise",
                    "", stage.counts.disagreed, stage.counts.pairs
                )?;
            }
        }
        writeln!(f)?;
        for report in &self.ratios {
            let upper =
                report.ratio.upper.map_or_else(|| "no bound yet".to_owned(), |upper| format!("{upper:.3}"));
            let estimate =
                report.ratio.estimate.map_or_else(|| "unknown".to_owned(), |ratio| format!("{ratio:.3}"));
            let name = report.question.name();
            writeln!(
                f,
                "{name:<16} candidate over primary {estimate} ({:.3} to {upper})",
                report.ratio.lower
            )?;
        }
        let [p50, p95, p99] = self.frozen.slow_us;
        write!(f, "Answers were slow above {p50}, {p95} and {p99} µs. alpha {}.", self.spec.alpha.get())
    }
}
