//! The runtimes that run models, behind the traits of [`pointsman_core`].
//!
//! | engine | what it is |
//! | --- | --- |
//! | [`onnxruntime`] | Microsoft's ONNX Runtime, a shared library loaded at run time where it is found |
//! | [`tract`] | a runtime in Rust, compiled in: what serves where no such library is found |
//! | [`Echo`] | answers with its inputs: the floor against which overhead is measured |
//!
//! This is the only crate that knows a native runtime.

mod echo;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
#[cfg(feature = "tract")]
pub mod tract;

pub use echo::Echo;
