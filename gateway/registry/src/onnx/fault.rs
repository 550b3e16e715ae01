//! Why a file is not given to a runtime.

use super::external::ExternalFault;
use super::tensor::TensorFault;

/// What a look at a model found. Each reads on from the file's name, and [`OnnxFault::remedy`] says
/// what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxFault {
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// Its first bytes are those of something else.
    #[error("is {kind}, not an ONNX model")]
    SomethingElse {
        /// What it is.
        kind: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// It stops being protobuf.
    #[error("is cut off, or no ONNX model: what stands at byte {offset} of {size} makes no sense")]
    Broken {
        /// Where.
        offset: usize,
        /// The length of the file.
        size: usize,
    },
    /// It is protobuf, and not of ONNX's schema.
    #[error("is no ONNX model: {reason}")]
    Undecodable {
        /// What the decoder said.
        reason: String,
    },
    /// It has more parts than are taken into memory at once.
    #[error("has more than {limit} nodes, names and tensors")]
    TooManyParts {
        /// The most there may be.
        limit: usize,
    },
    /// It has more nodes than a runtime loads in a time that is worth waiting for.
    #[error("has more than {limit} nodes")]
    TooManyNodes {
        /// The most there may be.
        limit: usize,
    },
    /// It has more tensors in its graphs than a runtime loads in a time that is worth waiting for.
    #[error("has more than {limit} tensors")]
    TooManyTensors {
        /// The most there may be.
        limit: usize,
    },
    /// Its graphs lie too deep in each other.
    #[error("nests its graphs more than {limit} levels deep")]
    TooDeep {
        /// The deepest there may be.
        limit: usize,
    },
    /// It has no graph.
    #[error("has no graph")]
    NoGraph,
    /// It does not say which form of the file it has.
    #[error("has no IR version")]
    NoIrVersion,
    /// It is of a form that is not known.
    #[error("has IR version {found}, known are 1 to {known}")]
    IrVersion {
        /// Its form.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// It does not say which sets of operators it uses.
    #[error("imports no operator set")]
    NoOpset,
    /// It uses a set of operators that is not known.
    #[error("imports version {found} of operator set {domain}, known are 1 to {known}")]
    Opset {
        /// The set's domain.
        domain: String,
        /// Its version.
        found: i64,
        /// The newest known.
        known: i64,
    },
    /// It uses an operator that no runtime here has.
    #[error("uses operator {operator} of domain {domain}, which is not known")]
    UnknownDomain {
        /// The operator's domain.
        domain: String,
        /// Its name.
        operator: String,
    },
    /// It sets an attribute to a number of parts that there cannot be, and by which runtimes divide.
    #[error("sets {attribute} of operator {operator} to {found}")]
    Parts {
        /// The operator.
        operator: String,
        /// The attribute.
        attribute: &'static str,
        /// What it is set to.
        found: i64,
    },
    /// One of the functions that it defines calls itself.
    #[error("defines function {function}, which calls itself")]
    Recursion {
        /// The function.
        function: String,
    },
    /// With each function in the place of its calls, it is larger than a runtime should be given.
    #[error("has more than {limit} nodes when its functions are unfolded")]
    TooManyUnfolded {
        /// The most nodes there may be.
        limit: usize,
    },
    /// Its functions call each other too deep.
    #[error("nests the calls of its functions more than {limit} levels deep")]
    CallsTooDeep {
        /// The deepest there may be.
        limit: usize,
    },
    /// One of its tensors does not hold what it declares.
    #[error("tensor '{name}' {fault}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        fault: TensorFault,
    },
    /// One of its tensors keeps its data where it must not.
    #[error("external data of tensor '{name}' {fault}")]
    External {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        fault: ExternalFault,
    },
}

impl OnnxFault {
    /// What the model's owner can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::SomethingElse { remedy, .. } => remedy,
            Self::Empty | Self::Broken { .. } => "copy the file again",
            Self::Undecodable { .. }
            | Self::NoGraph
            | Self::NoIrVersion
            | Self::NoOpset
            | Self::Parts { .. }
            | Self::Tensor { .. } => "export the model again, and check it with onnx.checker",
            Self::TooManyParts { .. }
            | Self::TooManyNodes { .. }
            | Self::TooManyTensors { .. }
            | Self::TooDeep { .. }
            | Self::Recursion { .. }
            | Self::TooManyUnfolded { .. }
            | Self::CallsTooDeep { .. } => "simplify the model",
            Self::IrVersion { .. } | Self::Opset { .. } => {
                "export the model for an older version (in Python: onnx.version_converter, or target_opset of the \
                 converter)"
            }
            Self::UnknownDomain { .. } => "export the model without custom operators",
            Self::External { .. } => "save the weights beside the model, in the version's own folder",
        }
    }
}
