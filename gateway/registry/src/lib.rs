//! Where models come from.

mod card;
mod digest;
mod golden;
mod limits;
mod location;
mod manifest;
mod onnx;
mod problem;
mod table;
mod triton;
pub use card::{Card, EngineChoice, Load, Nonfinite, OnNew, Serve};
pub use digest::Digest;
pub use golden::{Difference, ExpectedOutput, GoldenCase, GoldenCases, compare};
pub use limits::Limits;
pub use location::LocationFault;
pub use manifest::Manifest;
pub use onnx::{ExternalFault, OnnxFault, OnnxSummary, Operator, TensorFault, look};
pub use problem::Problem;
pub use triton::{DynamicBatching, TritonConfig, VersionPolicy};
