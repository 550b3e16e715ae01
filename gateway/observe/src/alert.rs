//! Alerts: what holds of a model that somebody should know, by which rule, and since when.
//!
//! Parts of the gateway say what holds at the moment, as [`Signal`]s. A [`Rule`] picks those that somebody wants to be told
//! of. A [`Board`] remembers each of them and says when one changes its [`State`]; it knows no clock but the one that it is
//! given, so that the same signals give the same alerts.

mod board;
mod rule;
mod signal;

pub use board::{ACTIVE_MAX, Alert, Board, RESOLVED_MAX, State, Transition};
pub use rule::{Rule, Severity};
pub use signal::{Signal, SignalKind};
