//! Labels: what turned out to be so, joined with what was predicted.
//!
//! A [`Joiner`] keeps predictions in memory for as long as most labels take, and gives a [`Joined`] for each label that finds
//! its prediction; what comes later is held against the [`Logged`] rows of the sample log. What is joined is written to a [`LabelLog`], so that it is there after a crash, and held against each other
//! in [`crate::quality`].

mod file;
mod joiner;
mod log;
mod logged;
mod prediction;
mod said;
mod shard;

pub(crate) use self::joiner::spread;

pub use self::file::{LabelFile, LabelFileError};
pub use self::joiner::{Joiner, JoinerLimits, Kept, Labelled};
pub use self::log::{LabelLog, LabelLogError, LabelLogLimits, LogLine, Predicted};
pub use self::logged::Logged;
pub(crate) use self::logged::needed_places;
pub use self::prediction::{Drawn, Joined, Label, Prediction, Source};
pub use self::said::{Said, SaidError, SaidLimits, Value, Verdict, read_said};
pub use self::shard::came_at;
