//! The types generated from `proto/onnx.proto`.
#![allow(missing_docs, unreachable_pub)] // generated

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
