//! The tests for harm: each against "no worse than the margin", at its part of alpha.

use pointsman_stats::{
    Alpha, BoostedRampTest, Errors, ExpectedShares, LogE, Prior, RampTest, Strata, Weight, multinomial_log_e,
};
use serde::{Deserialize, Serialize};

use super::evidence::{Arm, CLASSES_MAX, Counts, Evidence, Frozen, Hits, Independent, SLOW, Step};
use super::guard::{Guard, Question, level};
use super::spec::{Exposure, Spec};

/// Tests of labels: whether answers are wrong, and whether they are in the wrong order; of numbers, whether they are farther
/// off, and whether their squares are. A model says classes or numbers, so that two of these four hear anything.
const LABELS: usize = 2;

/// The tests that depend on how looks were cut. There is one where a guard asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Harm {
    errors: Option<BoostedRampTest>,
    invalid: Option<BoostedRampTest>,
    slow: Option<[BoostedRampTest; SLOW]>,
    wrong: Option<BoostedRampTest>,
    /// The second test of labels; rollouts that began before there was one have none.
    #[serde(default)]
    misranked: Option<BoostedRampTest>,
    /// Those of numbers, of which the two above hear nothing; rollouts that began before there were any have none.
    #[serde(default)]
    off: Option<[BoostedRampTest; LABELS]>,
}

impl Harm {
    /// Nothing seen.
    #[must_use]
    pub(crate) fn new(spec: &Spec) -> Self {
        let test = |question, tests: usize| {
            let guard = spec.guard(question)?;
            let alpha = level(spec.alpha, guard, &spec.guards).shared_by(tests);
            Some(BoostedRampTest::new(guard.margin, alpha))
        };
        Self {
            errors: test(Question::Errors, 1),
            invalid: test(Question::Invalid, 1),
            slow: test(Question::Latency, SLOW).map(|test| std::array::from_fn(|_| test.clone())),
            wrong: test(Question::Labels, LABELS),
            misranked: test(Question::Labels, LABELS),
            off: test(Question::Labels, LABELS).map(|test| std::array::from_fn(|_| test.clone())),
        }
    }

    /// Takes in a look.
    pub(crate) fn push(&mut self, exposure: Exposure, frozen: &Frozen, counts: &Counts) {
        let counted = frozen.counted;
        push(self.errors.as_mut(), exposure, counts.independent(counted, |arm| arm.errors));
        push(self.invalid.as_mut(), exposure, counts.independent(counted, |arm| arm.invalid));
        if matches!(exposure, Exposure::Canary(_)) {
            for (at, test) in self.slow.iter_mut().flatten().enumerate() {
                push(Some(test), exposure, counts.independent(counted, |arm| arm.slow[at]));
            }
            push(self.wrong.as_mut(), exposure, counts.independent(counted, |arm| arm.wrong));
            push(self.misranked.as_mut(), exposure, counts.independent(counted, |arm| arm.misranked));
            for (at, test) in self.off.iter_mut().flatten().enumerate() {
                let seen = counts.independent(counted, |arm| arm.off[at]).errors();
                // Each pair has one of each version, whatever share of the traffic the candidate has.
                if let (Ok(half), true) = (Weight::new(0.5), seen != Errors::default()) {
                    test.push(half, seen);
                }
            }
        }
    }

    /// The e-values of a question with the level of each; nothing for questions that are answered otherwise.
    pub(crate) fn tests(&self, question: Question) -> Vec<&BoostedRampTest> {
        match question {
            Question::Errors => self.errors.iter().collect(),
            Question::Invalid => self.invalid.iter().collect(),
            Question::Latency => self.slow.iter().flatten().collect(),
            Question::Labels => {
                self.wrong.iter().chain(&self.misranked).chain(self.off.iter().flatten()).collect()
            }
            Question::Disagreement | Question::Distribution => Vec::new(),
        }
    }
}

/// Takes in what says something each by itself, and nothing else.
fn push(test: Option<&mut BoostedRampTest>, exposure: Exposure, seen: Independent) {
    match (test, exposure) {
        (Some(test), Exposure::Shadow(_)) => {
            test.push_paired(seen.errors());
        }
        (Some(test), Exposure::Canary(_)) => {
            if let Some(weight) = Step::weight(exposure) {
                test.push(weight, seen.errors());
            }
        }
        (_, Exposure::None | Exposure::All) | (None, _) => {}
    }
}

/// The e-value against "no class is predicted more than `margin` times as often by one version as by the other": the
/// average over all classes and both directions. Given that a class is predicted, it is by the candidate with a
/// probability of its weight, as an error would be.
pub(crate) fn classes_differ(evidence: &Evidence, frozen: &Frozen, guard: &Guard) -> LogE {
    let classes = frozen.classes.min(CLASSES_MAX);
    let of_class = |class: usize| {
        let of = move |arm: &Arm| arm.classes.get(class).copied().unwrap_or_default();
        evidence.strata(frozen.counted, of, false)
    };
    let both = |class| {
        let strata = of_class(class);
        [ramp(&strata, guard, false), ramp(&strata, guard, true)]
    };
    LogE::average(&(0..classes).flat_map(both).collect::<Vec<_>>()).unwrap_or_default()
}

/// The e-value of a ramp, with the arms taken for each other where it is turned.
fn ramp(strata: &Strata, guard: &Guard, turned: bool) -> LogE {
    let mut test = RampTest::new(guard.margin);
    for stratum in strata.get() {
        let Errors { canary, primary } = stratum.errors;
        if !turned {
            test.push(stratum.weight, stratum.errors);
        } else if let Ok(weight) = Weight::new(1.0 - stratum.weight.get()) {
            test.push(weight, Errors { canary: primary, primary: canary });
        }
    }
    test.log_e()
}

/// Once in so many healthy rollouts units are taken for wrongly assigned.
const ASSIGNMENT_ALPHA: f64 = 0.001;
/// How firmly the bets lie around the expected shares.
const ASSIGNMENT_FIRMNESS: f64 = 100.0;

/// The e-value against "each arm gets the units that it should": the average over all stages with a canary. Units come
/// again at the next stage, so that e-values of stages depend on each other, and may not be multiplied.
pub(crate) fn misassigned(evidence: &Evidence) -> LogE {
    let of_step = |step: &Step| {
        let Exposure::Canary(share) = step.exposure else { return None };
        let shares = ExpectedShares::new(&[share.fraction(), share.rest().fraction()]).ok()?;
        let counts = [step.counts.assigned.canary, step.counts.assigned.primary];
        multinomial_log_e(&shares, &counts, Prior::Around(ASSIGNMENT_FIRMNESS)).ok()
    };
    LogE::average(&evidence.steps.iter().filter_map(of_step).collect::<Vec<_>>()).unwrap_or_default()
}

/// Whether units are certainly not assigned as they should be.
pub(crate) fn is_misassigned(log_e: LogE) -> bool {
    Alpha::new(ASSIGNMENT_ALPHA).is_ok_and(|alpha| log_e.rejects(alpha))
}

/// What is counted for a question of which an error of either version is a hit.
pub(crate) fn counted_hits(question: Question) -> Option<fn(&Arm) -> Hits> {
    match question {
        Question::Errors => Some(|arm| arm.errors),
        Question::Invalid => Some(|arm| arm.invalid),
        // The highest threshold alone: it is the one that few answers are over.
        Question::Latency => Some(|arm| arm.slow[SLOW - 1]),
        Question::Labels => Some(|arm| arm.wrong),
        Question::Disagreement | Question::Distribution => None,
    }
}
