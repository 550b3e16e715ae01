//! Comparisons of whole answers, what is reported of them, and how often drift is found where there is none.

mod answers;
mod drift_false_alarms;
mod experiments;
mod logged;
mod no_drift;
mod properties;
mod reports;
mod sample_log;
