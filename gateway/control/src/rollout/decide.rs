//! What follows from what was seen.

use pointsman_stats::{Alpha, LogE};
use serde::{Deserialize, Serialize};

use super::certificate::{Certificate, certificate, disagrees, is_asked};
use super::evidence::{Evidence, Frozen, Step};
use super::guard::{Guard, Question, level};
use super::harm::{classes_differ, is_misassigned, misassigned};
use super::spec::{Outcome, Spec};
use super::time::Moment;

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The number of the stage, from 0.
    pub stage: usize,
    /// Since when.
    pub since: Moment,
    /// When the rollout began.
    pub started: Moment,
    /// Whether somebody approved of what follows.
    pub approved: bool,
    /// Whether it was asked about its deadline, and told to go on.
    pub answered: Answered,
}

/// Whether somebody was asked about the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// Nobody yet.
    #[default]
    No,
    /// Somebody said to go on.
    GoOn,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Nothing, for these reasons.
    Hold(Vec<Why>),
    /// The next stage.
    Advance,
    /// The candidate leaves.
    Rollback(Cause),
    /// The candidate answers everybody.
    Promote,
    /// Somebody is to say.
    Ask,
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The stage has not lasted as long as it should.
    Time,
    /// The candidate has not seen as much as it should.
    Count,
    /// Too little is known to answer this question either way.
    InsufficientEvidence(Question),
    /// Arms do not get the units that they should: nothing is concluded from what they saw.
    Misassigned,
    /// What is counted is too far behind.
    Lag,
    /// Requests were not counted.
    Gap,
    /// Somebody has to approve.
    Approval,
    /// The time is up, and it was said to hold then.
    Deadline,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time => f.write_str("the stage has not lasted as long as it should"),
            Self::Count => f.write_str("the candidate has not seen as much as it should"),
            Self::InsufficientEvidence(question) => {
                write!(f, "insufficient evidence: {} are not certain either way", question.name())
            }
            Self::Misassigned => {
                f.write_str("arms do not get the units that they should: nothing is concluded")
            }
            Self::Lag => f.write_str("what is counted is too far behind"),
            Self::Gap => f.write_str("requests were not counted"),
            Self::Approval => f.write_str("somebody has to approve (`pointsman rollout approve`)"),
            Self::Deadline => f.write_str("the time is up, and it was said to hold then"),
        }
    }
}

/// Why the candidate leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It does harm by the answer to this question.
    Guard(Question),
    /// It cannot be loaded.
    CannotLoad,
    /// It panicked.
    Panic,
    /// It failed again and again.
    ErrorsInARow,
    /// Its outputs are not finite.
    NotFinite,
    /// The time is up.
    Deadline,
}

/// What a guard says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The question.
    pub question: Question,
    /// The level at which harm is found: of each test where there are several.
    pub alpha: Alpha,
    /// The largest e-value of harm; nothing of disagreement, whose bounds are in the certificate.
    pub log_e: Option<LogE>,
    /// Whether it does harm.
    pub harmful: bool,
    /// How certain it is that nothing is wrong; nothing for a guard that only stops what does harm.
    pub certificate: Option<Certificate>,
}

/// A decision with all that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What is to be done.
    pub decision: Decision,
    /// What each guard of the stage says.
    pub findings: Vec<Finding>,
    /// The e-value against "each arm gets the units that it should".
    pub misassigned: LogE,
}

/// What follows from what was seen, at this moment. What ends a rollout at once comes first; then what does harm; then
/// the deadline; and last whether everything is certain that a stage needs.
#[must_use]
pub fn decide(spec: &Spec, frozen: &Frozen, place: &Place, evidence: &Evidence, now: Moment) -> Verdict {
    let misassigned = misassigned(evidence);
    let mut verdict = Verdict { decision: Decision::Hold(Vec::new()), findings: Vec::new(), misassigned };
    if let Some(cause) = at_once(spec, evidence) {
        verdict.decision = Decision::Rollback(cause);
        return verdict;
    }
    let (Some(stage), Some(step)) = (spec.stages.get(place.stage), evidence.steps.get(place.stage)) else {
        return verdict;
    };
    let asked = spec.guards.iter().filter(|guard| is_asked(guard, stage.exposure));
    verdict.findings = asked.map(|guard| finding(spec, frozen, guard, evidence, step)).collect();
    let frozen_by_units = is_misassigned(misassigned);
    let harm = verdict.findings.iter().find(|finding| finding.harmful).filter(|_| !frozen_by_units);
    if let Some(finding) = harm {
        verdict.decision = Decision::Rollback(Cause::Guard(finding.question));
        return verdict;
    }
    let mut why = Vec::new();
    let late = spec.deadline.filter(|deadline| now.since(place.started) >= deadline.after);
    if let Some(deadline) = late.filter(|_| place.answered == Answered::No) {
        match deadline.outcome {
            Outcome::Rollback => {
                verdict.decision = Decision::Rollback(Cause::Deadline);
                return verdict;
            }
            Outcome::Ask => {
                verdict.decision = Decision::Ask;
                return verdict;
            }
            Outcome::Hold => why.push(Why::Deadline),
        }
    }
    let reasons = [
        (frozen_by_units, Why::Misassigned),
        (u128::from(evidence.lag_ms) > spec.lag_max.as_millis(), Why::Lag),
        (evidence.lost > 0, Why::Gap),
        (now.since(place.since) < stage.time_min, Why::Time),
        (step.counts.of_canary(frozen.counted, |arm| arm.seen).tries() < stage.count_min, Why::Count),
    ];
    why.extend(reasons.into_iter().filter(|(holds, _)| *holds).map(|(_, why)| why));
    let certain = |finding: &Finding| finding.certificate.is_none_or(|certificate| certificate.certain());
    let uncertain = verdict.findings.iter().filter(|finding| !certain(finding));
    why.extend(uncertain.map(|finding| Why::InsufficientEvidence(finding.question)));
    if why.is_empty() && stage.approval && !place.approved {
        why.push(Why::Approval);
    }
    verdict.decision = if !why.is_empty() {
        Decision::Hold(why)
    } else if place.stage + 1 < spec.stages.len() {
        Decision::Advance
    } else {
        Decision::Promote
    };
    verdict
}

/// What ends a rollout without statistics.
fn at_once(spec: &Spec, evidence: &Evidence) -> Option<Cause> {
    let (hard, limits) = (&evidence.hard, &spec.limits);
    let causes = [
        (hard.cannot_load, Cause::CannotLoad),
        (hard.panics >= limits.panics, Cause::Panic),
        (hard.errors_in_a_row >= limits.errors_in_a_row, Cause::ErrorsInARow),
        // Where the primary has them as well, how often is what counts.
        (hard.invalid >= limits.invalid && hard.primary_invalid == 0, Cause::NotFinite),
    ];
    causes.into_iter().find_map(|(holds, cause)| holds.then_some(cause))
}

fn finding(spec: &Spec, frozen: &Frozen, guard: &Guard, evidence: &Evidence, step: &Step) -> Finding {
    let alpha = level(spec.alpha, guard, &spec.guards);
    let certificate = certificate(spec, frozen, guard, evidence, step);
    let of = |alpha, log_e, harmful| Finding { question: guard.question, alpha, log_e, harmful, certificate };
    match guard.question {
        Question::Disagreement => of(alpha, None, disagrees(step, guard.floor, alpha)),
        Question::Distribution => {
            let log_e = classes_differ(evidence, frozen, guard);
            of(alpha, Some(log_e), log_e.rejects(alpha))
        }
        Question::Errors | Question::Invalid | Question::Latency | Question::Labels => {
            let tests = evidence.harm.tests(guard.question);
            let most = tests
                .iter()
                .map(|test| test.log_e())
                .reduce(|most, next| if next > most { next } else { most });
            let each = tests.first().map_or(alpha, |test| test.alpha());
            of(each, most, tests.iter().any(|test| test.rejects()))
        }
    }
}
