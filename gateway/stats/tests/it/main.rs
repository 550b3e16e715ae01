//! Whole rollouts, simulated: what the tests do over time.

mod false_alarms;
mod sticky_units;
