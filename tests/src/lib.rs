//! The harness of the end-to-end tests: it starts the real binary as a user would, waits for states
//! rather than for times, and stops it again whatever happens to the test.
//!
//! The binary is the one that `cargo build` made (`tests/all` does); `POINTSMAN_BIN` names another.
#![allow(clippy::panic)] // a harness that cannot do its part fails the test

pub mod bad_models;
mod command;
mod connection;
mod gateway;
pub mod grpc;
mod http;
mod onnx;
mod paths;
mod process;
mod registry;
mod traffic;
pub mod v2;
mod wait;

pub use command::Pointsman;
pub use connection::Connection;
pub use gateway::{Gateway, Start};
pub use http::{Answer, get, post, raw, request};
pub use onnx::OnnxModel;
pub use paths::{binary, fixture, fixtures, load_tester, onnxruntime_library, repository, test_model};
pub use process::{Process, Stopped};
pub use registry::TestRegistry;
pub use traffic::Traffic;
pub use wait::{wait_for, wait_within};
