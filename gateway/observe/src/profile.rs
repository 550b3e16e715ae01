//! What the values of a version's columns are like: profiles of fixed size of training data and of all traffic.
//!
//! The cells into which values are counted are fixed once, from training data or, without any, from the first rows
//! that come. So two profiles of a version always have the same cells: they can be merged in any order, and compared.
//! What is not known is where numbers lie within a cell; how much that can matter is part of every comparison.

mod baseline;
mod categories;
mod column;
mod example;
mod grid;
mod layout;
mod learner;
mod logged;
mod open;
mod recorder;
mod sample;
mod saved;
mod sketches;
mod slots;
mod weighted;
mod windows;

pub use baseline::{Baseline, BaselineError, FORMAT, Reference};
pub use categories::{CATEGORIES_MAX, CATEGORY_BYTES_MAX, Categories};
pub use column::Sums;
pub use example::Example;
pub use grid::{BIN_EDGES_MAX, CELLS_MAX, Grid};
pub use layout::{COLUMNS_MAX, Frame, LaidOut, Layout, columns_fingerprint};
pub use learner::Learner;
pub use logged::{LogRows, LogView, LogWindows, TooManyWindows};
pub use recorder::{Exchange, Kept, LEARN_ROWS, Lost, Recorder, Span};
pub use sample::{Profile, Seen};
pub use saved::SavedError;
pub use sketches::NAMED_MAX;
pub use weighted::Weighted;
pub use windows::{ARMS_MAX, Key};
