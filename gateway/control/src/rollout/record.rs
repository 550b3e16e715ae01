//! A rollout as the journal has it: what went in, and what came out. So whoever has it can compute it again.

use pointsman_stats::{Alpha, LogE};
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::decide::{Decision, Place, Verdict, decide};
use super::evidence::Evidence;
use super::spec::Exposure;
use super::state::{Event, Phase, Rollout, Transition, transition};
use super::time::Moment;

/// The most discrepancies that are reported.
const DISCREPANCIES_MAX: usize = 100;
/// How far logarithms of e-values may be apart, in relation to their size: other machines round otherwise.
const TOLERANCE: f64 = 1e-12;

/// Something that happened to a rollout. With the rollout as it was created, all of them are everything there is to
/// know: weights, salt, thresholds and margins are in the one, the counts of each look in the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its place, from 1 without gaps.
    pub number: u64,
    /// When it happened.
    pub at: Moment,
    /// Who did it.
    pub by: String,
    /// What happened.
    pub event: Event,
    /// What was decided.
    pub verdict: Option<Verdict>,
    /// How the rollout stood from then on.
    pub phase: Phase,
    /// Where it was from then on.
    pub place: Place,
    /// How much callers were exposed from then on.
    pub exposure: Exposure,
}

impl Record {
    /// Of an event and what came of it.
    #[must_use]
    pub fn new(number: u64, at: Moment, by: &str, event: Event, transition: &Transition) -> Self {
        let after = transition.change.rollout();
        let (phase, place, exposure) = (after.phase, after.place, after.exposure);
        Self { number, at, by: by.into(), event, verdict: transition.verdict.clone(), phase, place, exposure }
    }
}

/// Something that is not as it was computed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discrepancy {
    /// The number of the record.
    pub number: u64,
    /// What is otherwise.
    pub what: String,
}

/// Computes every verdict and every transition again, and says what is otherwise. Whole numbers, decisions, stages and
/// exposures have to be the same, logarithms of e-values within 1e-12.
#[must_use]
pub fn verify(start: &Rollout, records: &[Record]) -> Vec<Discrepancy> {
    let mut found = Vec::new();
    let mut rollout = start.clone();
    for (expected, record) in (1..).zip(records) {
        let mut otherwise = |what: String| {
            if found.len() < DISCREPANCIES_MAX {
                found.push(Discrepancy { number: record.number, what });
            }
        };
        if record.number != expected {
            otherwise(format!("it stands where number {expected} should be: records are missing"));
        }
        let computed = match transition(&rollout, &record.event, record.at) {
            Ok(computed) => computed,
            Err(refused) => {
                otherwise(format!("it could not happen: {refused}"));
                continue;
            }
        };
        let after = computed.change.rollout();
        match (&record.verdict, &computed.verdict) {
            (None, None) => {}
            (Some(written), Some(computed)) => differences(written, computed, &mut otherwise),
            (written, _) => otherwise(format!(
                "there is {} verdict where there should be {}",
                if written.is_some() { "a" } else { "no" },
                if written.is_some() { "none" } else { "one" }
            )),
        }
        if (record.phase, record.place, record.exposure) != (after.phase, after.place, after.exposure) {
            otherwise(format!(
                "the rollout stands at stage {}, {:?}, {}, and should at stage {}, {:?}, {}",
                record.place.stage,
                record.phase,
                record.exposure,
                after.place.stage,
                after.phase,
                after.exposure
            ));
        }
        rollout = after.clone();
    }
    found
}

fn differences(written: &Verdict, computed: &Verdict, otherwise: &mut impl FnMut(String)) {
    if written.decision != computed.decision {
        otherwise(format!("{:?} was decided, and should be {:?}", written.decision, computed.decision));
    }
    if !close(written.misassigned, computed.misassigned) {
        otherwise("the evidence of how units were assigned is another".into());
    }
    if written.findings.len() != computed.findings.len() {
        otherwise("other guards were asked".into());
    }
    for (written, computed) in written.findings.iter().zip(&computed.findings) {
        let name = computed.question.name();
        let same = written.question == computed.question
            && written.alpha == computed.alpha
            && written.harmful == computed.harmful
            && written.log_e.is_some() == computed.log_e.is_some();
        if !same {
            otherwise(format!("{name}: the finding is another"));
        }
        if written.log_e.zip(computed.log_e).is_some_and(|(written, computed)| !close(written, computed)) {
            otherwise(format!("{name}: the evidence of harm is another"));
        }
        let agree = match (written.certificate, computed.certificate) {
            (None, None) => true,
            (Some(written), Some(computed)) => certificates_agree(written, computed),
            _ => false,
        };
        if !agree {
            otherwise(format!("{name}: the certificate is another"));
        }
    }
}

fn certificates_agree(written: Certificate, computed: Certificate) -> bool {
    match (written, computed) {
        (
            Certificate::Rate { not_worse, below_floor, certain },
            Certificate::Rate { not_worse: worse, below_floor: below, certain: is },
        ) => close(not_worse, worse) && close(below_floor, below) && certain == is,
        (
            Certificate::Excess { lower, upper, certain },
            Certificate::Excess { lower: low, upper: up, certain: is },
        ) => (lower - low).abs() <= TOLERANCE && (upper - up).abs() <= TOLERANCE && certain == is,
        _ => false,
    }
}

fn close(written: LogE, computed: LogE) -> bool {
    (written.get() - computed.get()).abs() <= TOLERANCE * computed.get().abs().max(1.0)
}

/// A decision that would have been another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldBe {
    /// The number of the record.
    pub number: u64,
    /// When.
    pub at: Moment,
    /// What was decided.
    pub was: Decision,
    /// What would have been.
    pub would_be: Decision,
}

/// What would have happened at another level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// The level.
    pub alpha: Alpha,
    /// Decisions that would have been others, up to the first that would have ended the rollout.
    pub others: Vec<WouldBe>,
}

/// Decides again at another level, look by look. Traffic was what it was: each look is judged at the stage at which it
/// was taken, and what callers would have seen at another stage nobody knows.
#[must_use]
pub fn replay_with(start: &Rollout, records: &[Record], alpha: Alpha) -> Replay {
    let mut spec = start.spec.clone();
    spec.alpha = alpha;
    let mut evidence = Evidence::new(&spec);
    let mut place = start.place;
    let mut replay = Replay { alpha, others: Vec::new() };
    for record in records {
        if let (Event::Looked(looks), Some(verdict)) = (&record.event, &record.verdict) {
            evidence.push(&spec, &start.frozen, looks, record.at);
            let would_be = decide(&spec, &start.frozen, &place, &evidence, record.at).decision;
            let ends = matches!(would_be, Decision::Rollback(_) | Decision::Promote);
            if would_be != verdict.decision {
                let was = verdict.decision.clone();
                replay.others.push(WouldBe { number: record.number, at: record.at, was, would_be });
            }
            if ends {
                break;
            }
        }
        if record.event == Event::Restarted {
            evidence.first = None;
        }
        place = record.place;
    }
    replay
}
