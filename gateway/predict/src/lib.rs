//! The data path: the way of one prediction through the gateway.
//!
//! ```text
//! admit -> pin -> route -> check -> find -> submit ~~~ batch -> run ~~~ answer
//!                                                  ~~~ = the only wait, bounded by the deadline
//! ```
//!
//! [`Predictor::predict`] is that line, read top to bottom. What it reads is an immutable
//! [`Snapshot`], published as a whole by whoever holds the [`Publisher`].

mod admission;
mod batch;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod cache;
mod congestion;
mod cores;
mod crashes;
mod crew;
#[cfg(debug_assertions)]
mod fault;
mod lead;
mod limits;
mod line;
mod metrics;
mod outcome;
mod parts;
mod pipeline;
mod queue;
mod record;
pub mod rows;
mod run;
mod snapshot;
mod statistics;
mod supervisor;
mod version;
mod worker;

#[cfg(test)]
mod tests;

pub use admission::{Admission, AdmissionLimits, HeldBytes, Permit};
pub use cache::ResponseCache;
pub use cores::Cores;
pub use lead::Driver;
pub use limits::{Priorities, RunLimits, RunTimes};
pub use metrics::{Metrics, Protocol, Stage};
pub use outcome::Outcome;
pub use pipeline::{Chosen, Pinned, Predictor};
pub use record::Record;
pub use snapshot::{Publisher, Reader, ServedModel, Snapshot, Standing, Unavailable, snapshot_cell};
pub use statistics::{CountedTime, Statistics};
pub use supervisor::Supervisor;
pub use version::{Ground, Sessions, Version, VersionSpec};
