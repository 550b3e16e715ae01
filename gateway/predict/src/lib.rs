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
mod exchange;
#[cfg(debug_assertions)]
mod fault;
mod lead;
mod limits;
mod line;
mod metrics;
mod monitor;
mod outcome;
mod parts;
mod pipeline;
mod posts;
pub mod priority;
mod queue;
mod recent;
mod record;
mod ring;
pub mod rows;
mod run;
mod shadow;
mod snapshot;
mod statistics;
mod supervisor;
mod tee;
mod version;
mod witness;
mod worker;

#[cfg(test)]
mod tests;

pub use admission::{Admission, AdmissionLimits, HeldBytes, Permit};
pub use cache::ResponseCache;
pub use cores::Cores;
pub use lead::Driver;
pub use limits::{Priorities, RunLimits, RunTimes};
pub use metrics::{Metrics, Protocol, Stage};
pub use monitor::{Monitor, Monitored};
pub use outcome::Outcome;
pub use pipeline::{Chosen, Pinned, Predictor};
pub use recent::{Lately, Recent};
pub use record::Record;
pub use ring::{Ring, RingFull};
pub use shadow::{Accounting, Drops, Observer, Shadow, ShadowGround, ShadowLimits, ShadowSpec};
pub use snapshot::{Publisher, Reader, ServedModel, Snapshot, Standing, Unavailable, snapshot_cell};
pub use statistics::{CountedTime, Statistics};
pub use supervisor::Supervisor;
pub use tee::{Cost, Latency, Tee, Windows, WindowsError};
pub use version::{Ground, Sessions, Version, VersionSpec};
pub use witness::{Ended, Witness, Witnesses};
