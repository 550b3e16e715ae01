//! Whether it is certain that nothing is wrong.

use pointsman_stats::{
    Alpha, LogE, Proportion, Tally, not_worse, rate_below, rate_lower_bound, rate_upper_bound,
};
use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Frozen, Step};
use super::guard::{Guard, Question};
use super::harm::counted_hits;
use super::spec::{Exposure, Spec};

/// How certain it is that nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// Of something that happens with both versions.
    Rate {
        /// Against "it happens at least margin times as often", over all stages.
        not_worse: LogE,
        /// Against "it happens at least as often as the floor says", at this stage.
        below_floor: LogE,
        /// Whether one of both is certain.
        certain: bool,
    },
    /// Of disagreement in shadow beyond what the primary disagrees with itself.
    Excess {
        /// It is no less than this.
        lower: f64,
        /// It is no more than this.
        upper: f64,
        /// Whether that is under what is tolerated.
        certain: bool,
    },
}

impl Certificate {
    /// Whether it is certain.
    #[must_use]
    pub fn certain(&self) -> bool {
        match self {
            Self::Rate { certain, .. } | Self::Excess { certain, .. } => *certain,
        }
    }
}

/// Whether a guard is asked at a stage.
pub(crate) fn is_asked(guard: &Guard, exposure: Exposure) -> bool {
    match exposure {
        Exposure::Shadow(_) => guard.question.is_of_shadows(),
        Exposure::Canary(_) => guard.question.is_of_canaries(),
        Exposure::None | Exposure::All => false,
    }
}

/// The level of each certificate of a stage. Each guard has two ways to be certain, and all guards have to be: with a
/// level of alpha over the number of guards, and of two at least, a version that is worse by one of them passes a
/// stage with a probability of at most alpha.
pub(crate) fn certain_at(spec: &Spec, exposure: Exposure) -> Alpha {
    let certifies = |guard: &&Guard| is_asked(guard, exposure) && guard.question.certifies();
    spec.alpha.shared_by(spec.guards.iter().filter(certifies).count().max(2))
}

/// The certificate of a guard at the stage of a step; nothing where it only stops what does harm.
pub(crate) fn certificate(
    spec: &Spec,
    frozen: &Frozen,
    guard: &Guard,
    evidence: &Evidence,
    step: &Step,
) -> Option<Certificate> {
    if !guard.question.certifies() {
        return None;
    }
    let alpha = certain_at(spec, step.exposure);
    if guard.question == Question::Disagreement {
        let [lower, upper] = excess(step, alpha);
        return Some(Certificate::Excess { lower, upper, certain: upper < guard.floor.get() });
    }
    let of = counted_hits(guard.question)?;
    let not_worse =
        not_worse(&evidence.strata(frozen.counted, of, guard.question.is_of_shadows()), guard.margin);
    let below_floor = rate_below(step.counts.of_canary(frozen.counted, of), guard.floor);
    let certain = not_worse.rejects(alpha) || below_floor.rejects(alpha);
    Some(Certificate::Rate { not_worse, below_floor, certain })
}

/// Bounds of the disagreement beyond that of two copies of the version that serves, each wrong with a probability of
/// at most alpha. Where no such pairs were seen it is all of it.
pub(crate) fn excess(step: &Step, alpha: Alpha) -> [f64; 2] {
    let (seen, floor) = (step.counts.disagreement(), step.counts.floor_disagreement());
    let bounds = |tally: Tally, alpha| [rate_lower_bound(tally, alpha), rate_upper_bound(tally, alpha)];
    if floor.tries() == 0 {
        return bounds(seen, alpha);
    }
    let half = alpha.shared_by(2);
    let ([lower, upper], [floor_lower, floor_upper]) = (bounds(seen, half), bounds(floor, half));
    [lower - floor_upper, upper - floor_lower]
}

/// Whether the disagreement is certainly more than is tolerated.
pub(crate) fn disagrees(step: &Step, most: Proportion, alpha: Alpha) -> bool {
    excess(step, alpha)[0] > most.get()
}
