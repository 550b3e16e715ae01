//! The words of Pointsman, as types: what a request, a tensor, a signature, a prediction and an
//! error are, and the two traits ([`Engine`], [`Session`]) that a runtime fulfils.
//!
//! Nothing here reads a file, a socket or the clock; every other crate of the gateway builds on it.
//!
//! | word | meaning | type |
//! | --- | --- | --- |
//! | model | a name under which predictions are asked for | [`ModelName`] |
//! | version | one trained artefact of a model, a number | [`VersionNumber`] |
//! | alias | a name that stands for a version | [`VersionSelector::Alias`] |
//! | arm | the way by which a request came to its version | [`Arm`] |
//! | signature | the inputs and outputs of a version | [`Signature`] |
//! | column | one value for each row of a request, in tables, profiles and schemas | [`Column`] |
//! | pair | an exchange, and what a shadow made of the same inputs | [`Pair`] |
//! | engine | a runtime that loads models | [`Engine`] |
//! | session | a loaded model, owned by one worker thread | [`Session`] |

mod answer_rows;
mod answers;
mod arm;
mod byte_size;
mod choice;
mod classes;
mod column;
mod duration;
mod elements;
mod engine;
mod error;
mod findings;
mod id;
mod mismatch;
mod numbers;
mod numerics;
mod pair;
mod request;
mod schema;
mod shape;
mod signature;
mod strings;
mod tensor;
mod text;
mod validator;

pub use answer_rows::{AnswerRef, AnswerRows};
pub use answers::{Answer, Answers};
pub use arm::Arm;
pub use byte_size::ByteSize;
pub use choice::{
    BatchingPolicy, BreakingPolicy, DivisionPolicy, EngineChoice, LatencyPolicy, Nonfinite, QueueDelay,
};
pub use classes::{CLASSES_MAX, Classes};
pub use column::{Column, ColumnKind, ColumnView, Columns, Origin, TENSOR_COLUMNS_MAX};
pub use duration::{read_duration, show_duration};
pub use elements::Elements;
pub use engine::{
    Engine, Interrupt, LoadError, LoadedModel, ModelFiles, RunError, RunInputs, RunOutputs, Session,
    SessionOptions,
};
pub use error::{Blame, Code, DeadlineStage, PredictError};
pub use findings::{Batching, Findings, Profile, RunTime, SizeTime, WarmUp, WarmUpInputs};
pub use id::{InvalidName, ModelName, RequestId, TraceId, VersionNumber, VersionSelector};
pub use mismatch::InputMismatch;
pub use numbers::tensor_of_numbers;
pub use numerics::{NumericFault, NumericFaults, has_infinity};
pub use pair::{Inputs, LoadTenth, Pair, ShadowDrop, Side};
pub use request::{
    InputTensor, OutputTensor, ParameterValue, Parameters, PredictRequest, Prediction, StageTimes,
};
pub use schema::{Action, Anomaly, ColumnSchema, Redaction, Schema, Violation};
pub use shape::Shape;
pub use signature::{Dim, Signature, TensorSpec};
pub use strings::{StringElements, StringTensorBuilder};
pub use tensor::{Datatype, Tensor, TensorError};
pub use text::shown;
pub use validator::{Checked, Rule, Validator};

#[cfg(not(target_endian = "little"))]
compile_error!(
    "V2 tensors are little-endian on the wire and are used in place: big-endian targets would misread them"
);
