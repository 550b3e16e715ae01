//! Which version answers a request, as data and pure functions.
//!
//! | step | type |
//! | --- | --- |
//! | what people write: arms, rules, layers, shadows | [`Document`] |
//! | that, checked, with every salt and anchor fixed | [`Settled`] |
//! | that, with versions for names, ready to be asked | [`Split`] |
//! | a split beside the model's default and aliases | [`Plan`] |
//! | what is known of a request | [`Facts`] |
//! | what a plan says to a request | [`Pick`] |
//!
//! # How a unit comes to its arm
//!
//! A *unit* is what stays with its arm: a user, a device, or a single request. Its bytes are hashed to a point of
//! `[0, 1)`, written as a `u64` of which 2^64 would be 1:
//!
//! ```text
//! point = XXH3-64, seed 0, over: domain (8 bytes of ASCII)
//!                                length of the salt in bytes (u32, little-endian)
//!                                salt (UTF-8)
//!                                unit (to the end)
//! ```
//!
//! Domains: `pm-lay-1` chooses the experiment of a layer, `pm-arm-1` the arm within an experiment, `pm-bkt-1` the
//! bucket in which a unit is counted, `pm-shd-1` the requests of a shadow, `pm-log-1` those of a sample. What differs in domain or salt is
//! independent. A unit of a header or cookie is the value as it came, a number is its decimal digits, a boolean is
//! `true` or `false`, and where a request says none of them its own id (16 bytes) is the unit.
//!
//! | domain | salt | unit | point |
//! | --- | --- | --- | --- |
//! | `pm-arm-1` | `iris/petals/1` | `user-1` | `7c69d7d5a48dd8c5` |
//! | `pm-arm-1` | `iris/petals/1` | `user-2` | `d63c25e83d6a03fc` |
//! | `pm-arm-1` | `iris/petals/2` | `user-1` | `aaab236fd38cb7df` |
//! | `pm-lay-1` | `iris/petals/1` | `user-1` | `c4c52938745dbf1d` |
//! | `pm-bkt-1` | `iris/petals/1` | `user-1` | `20bfed40b40ccb6d` |
//! | `pm-arm-1` | `ä` | `4711` | `2e507463ed05e38d` |
//! | `pm-arm-1` | `iris/petals/1` | `u`, 1000 times | `fcfd4e47ec41a6cf` |
//! | `pm-arm-1` | `iris/petals/1` | id `018f3c6e-7a1b-7c2d-8e4f-001122334455` | `19d9cdcdd28e6d6c` |
//! | `pm-shd-1` | `iris/dark/1` | the same | `c70d7d4fc68f13c5` |
//! | `pm-log-1` | `iris` | the same | `02f3780859bd05f5` |
//!
//! An arm with anchor `a` and weight `w`, in ten-thousandths, has the points from `floor(a * 2^64 / 10000)` to, but
//! not with, `floor((a + w) * 2^64 / 10000)`. The anchor of an arm never moves, and the default arm has the rest: so
//! a larger weight adds units to an arm and moves no other, and a smaller one takes the last that came.

mod cookie;
mod covariate;
mod diff;
mod document;
mod exposure;
mod facts;
mod finding;
mod hash;
pub mod limits;
mod plan;
mod settled;
mod share;
mod split;
mod target;
mod unit;

pub use covariate::Covariate;
pub use diff::Change;
pub use document::{ArmEntry, Document, Experiment, LabelMetric, Layer, MetricEntry, Rule, ShadowEntry};
pub use facts::{Bare, Facts, Value};
pub use finding::Finding;
pub use hash::{Domain, Salted};
pub use plan::{Assignment, Pick, Plan, Refusal, Way};
pub use pointsman_core::Arm;
pub use settled::{SaltUse, Salts, Settled, tag};
pub use share::Share;
pub use split::{BUCKETS, Design, DesignArm, Shadow, Split, Standing, Versions};
pub use target::Target;
pub use unit::{UnitKind, UnitSource};
