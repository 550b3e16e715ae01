//! The control path: from what a registry holds to what a snapshot serves.
//!
//! ```text
//! registry -> Verified -> Loaded -> Checked -> Warm -> Snapshot
//! ```
//!
//! The order is in the types of [`loader`]: each step takes the step before by value, and only a warm
//! version can be started. One [`Reconciler`] holds the one publisher of snapshots.

mod engines;
pub mod loader;
mod reconciler;
pub mod signature;

pub use engines::Engines;
pub use loader::{Gates, Loader, WorkerDefaults};
pub use reconciler::Reconciler;
