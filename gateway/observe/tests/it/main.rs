//! Comparisons of whole answers, and what is reported of them.

mod answers;
mod properties;
mod reports;
