//! The control path: from what a registry holds, and what operators wish, to what a snapshot serves.
//!
//! ```text
//! registry --Scan--> reconciler --next_action()--> loader: Verified -> Loaded -> Checked -> Warm
//! operators --Wish--^      |  ^-------- Event ---------------------------------------------'
//!                          '--> journal, then publish(Snapshot)
//! ```
//!
//! What is decided is decided by functions of their arguments, time included: [`target`] says what
//! should serve, [`next_action`] what to do next, [`grant`] what comes of a wish. One [`Reconciler`]
//! takes one event after the other, holds the one publisher of snapshots and the one journal.
//! The order of a load is in the types of [`loader`]: only a warm version can be started.

mod action;
mod board;
mod committed;
mod engines;
mod event;
mod experiments;
#[cfg(debug_assertions)]
mod fault;
mod grant;
mod journal;
pub mod loader;
mod loading;
pub mod memory;
mod metrics;
mod model;
mod monitoring;
mod plans;
mod policy;
mod profiles;
mod reconciler;
pub mod rollout;
pub mod signature;
mod target;
#[cfg(test)]
mod tests;
mod watching;
mod watchman;
mod wish;

pub use action::{Action, May, next_action};
pub use board::{ModelStatus, PlanStatus, VersionStatus};
pub use committed::{Committed, Mark, MarkKind, Override, Served, Wishes};
pub use engines::Engines;
pub use event::{Granted, Handle, Outcome, Reply};
pub use experiments::Experiments;
pub use grant::{Grant, Refusal, grant};
pub use journal::{
    AlertEntry, AlertStore, Entry, ExperimentStore, Journal, JournalError, JournalReader, Listed, Question,
    Resumed, Step, Told, What, Written,
};
pub use loader::{Gate, Gates, Loader, WorkerDefaults};
pub use metrics::Metrics;
pub use model::{Declared, Failure, Found, Model, Ready, VersionState};
pub use monitoring::{Monitoring, Subject};
pub use plans::{PlanRecord, PlanTo, PlanWish, Plans, TakenOver};
pub use policy::Policy;
pub use profiles::Profiles;
pub use reconciler::{FirstPass, Notify, Observers, Parts, Reconciler, Shadowing};
pub use target::{Target, target};
pub use watching::WatchPolicy;
pub use wish::{RolloutWish, Wish};
