//! Which version answers a request, as data and pure functions.
//!
//! A [`Plan`] belongs to one model. It is compared, printed and published as a whole.

mod plan;

pub use plan::{Arm, Pick, Plan, Refusal};
