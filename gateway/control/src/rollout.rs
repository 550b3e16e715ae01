//! How a version takes over from the one that serves: in stages, by evidence, and back at once where it does harm.
//!
//! Everything here is a function of its arguments, time included. [`Spec`] says what an operator asks for, [`Look`]
//! what was seen since the last look, [`decide`] what follows from it, [`transition`] what becomes of the rollout and
//! in which order that is written down and done. A [`Record`] holds what went in and what came out, so that
//! [`verify`] computes each verdict again.
//!
//! **Harm** is tested question by question against "no worse than the margin" with tests that stay valid however
//! often one looks and however weights change. They share alpha (Bonferroni, weighed): a version that is no worse is
//! rolled back with a probability of at most alpha in its whole rollout. **A stage ends** when each of its guards is
//! certain that nothing is wrong. As all of them have to be, a version that is worse by any of them passes a stage
//! with a probability of at most alpha. Between both there is too little evidence, which is an answer of its own:
//! hold, and say what is needed.

mod certificate;
mod decide;
mod duels;
mod evidence;
mod flags;
mod guard;
mod harm;
mod labelled;
mod needs;
mod planner;
mod ranks;
mod record;
mod recorder;
mod report;
mod shadowed;
mod spec;
mod standing;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod units;

pub use certificate::Certificate;
pub use decide::{Answered, Cause, Decision, Finding, Place, Verdict, Why, decide};
pub use evidence::{
    Arm, Assigned, CLASSES_MAX, Content, Counted, Counts, Evidence, Frozen, Hard, Hits, Independent, Look,
    SLOW, Step, thresholds,
};
pub use flags::Flags;
pub use guard::{Guard, Question, level};
pub use harm::Harm;
pub(crate) use labelled::LabelSinks;
pub use labelled::{LabelledRequest, LateFinding};
pub use needs::{Needs, needs};
pub use planner::{Limit, Plan, StagePlan, Traffic, plan};
pub use record::{Discrepancy, Record, Replay, WouldBe, replay_with, verify};
pub(crate) use recorder::{Recorder, Seen};
pub use report::{RatioReport, Report, StageReport};
pub use shadowed::{ShadowEvidence, ShadowTotals};
pub use spec::{Deadline, Exposure, Limits, OnNewVersion, Outcome, STAGES_MAX, Spec, Stage, WarmUp, Wrong};
pub use standing::Standing;
pub use state::{Change, Event, Notice, Phase, Refused, Rollout, Transition, transition};
pub use time::Moment;
