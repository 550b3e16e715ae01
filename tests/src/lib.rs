//! The harness of the end-to-end tests: it starts the real binary as a user would, waits for states
//! rather than for times, and stops it again whatever happens to the test. Where a state never comes
//! it panics, as a test does.
//!
//! The binary is the one that `cargo build` made (`tests/all` does); `POINTSMAN_BIN` names another.

#![allow(clippy::panic)] // it is part of the tests

mod gateway;
mod http;
mod paths;
mod registry;
mod wait;

pub use gateway::{Gateway, Start, Stopped};
pub use http::{Answer, get, post, raw, request};
pub use paths::{binary, fixture, fixtures, repository};
pub use registry::TestRegistry;
pub use wait::wait_for;
