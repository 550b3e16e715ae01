//! Comparisons of whole answers, and what is reported of them.

mod answers;
mod experiments;
mod properties;
mod reports;
mod sample_log;
