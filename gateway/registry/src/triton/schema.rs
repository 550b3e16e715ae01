//! The types generated from `proto/triton_config.proto`.
#![allow(missing_docs, unreachable_pub)] // generated

include!(concat!(env!("OUT_DIR"), "/inference.rs"));
