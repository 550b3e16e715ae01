//! The end-to-end tests, in one binary.
#![allow(clippy::panic)] // that is how a test fails

mod accounting;
mod app;
mod bad_grpc;
mod bad_input;
mod bad_memory;
mod batching;
mod calls;
mod cancel;
mod deadline;
mod docs;
mod drain;
mod engines;
mod engines_broken;
mod fixtures;
mod gates;
mod gates_trial;
mod grpc;
mod grpc_limits;
mod grpc_stream;
mod kills;
mod load;
mod models_bad;
mod models_bad_kinds;
mod passthrough;
mod smoke;
mod storm;
mod swap_load;
mod swaps;
mod tidy;
mod traces;
mod triton;
mod v1_rest;
mod v2_rest;
mod wishes;
