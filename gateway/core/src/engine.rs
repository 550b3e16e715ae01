//! What a runtime must offer to serve models: load one, and run it.

use std::sync::Arc;

use bytes::Bytes;

use crate::signature::Signature;
use crate::tensor::Tensor;

/// A runtime that loads models (ONNX Runtime, tract, echo).
pub trait Engine: Send + Sync {
    /// Its name in cards, logs and metrics.
    fn name(&self) -> &'static str;

    /// The runtime's own version.
    fn version(&self) -> String;

    /// Whether its answers are what the model computes, so that golden cases can be held against them.
    fn computes(&self) -> bool {
        true
    }

    /// Whether the smallest integer divided by -1 ends the process: the processor cannot say the quotient, and
    /// nothing can catch its signal.
    fn dies_of_integer_overflow(&self) -> bool {
        false
    }

    /// Gives memory that the runtime's models have left to the system, where its allocator keeps it.
    /// Takes milliseconds: called after a model is gone, never on a request's thread.
    fn release_memory(&self) {}

    /// Loads a model. May take seconds and much memory: never called on a request's thread.
    ///
    /// # Errors
    /// [`LoadError`] where this runtime cannot serve the model.
    fn load(&self, files: &ModelFiles, options: &SessionOptions) -> Result<Box<dyn LoadedModel>, LoadError>;
}

/// A version's files, read whole, so that nothing on disk can change under a loaded model.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// The bytes of `model.onnx`.
    pub model: Bytes,
    /// Files beside it that hold weights, by the name that the model calls them.
    pub external: Vec<(String, Arc<[u8]>)>,
    /// The graph's inputs and outputs as the file declares them; those of a kind that V2 cannot
    /// carry are left out.
    pub declared: Signature,
}

/// How a model is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads that one run may use, the calling one included.
    pub intra_op_threads: usize,
    /// Whether those of them that have nothing to do spin instead of sleeping: a little quicker, and a core each.
    pub spinning: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { intra_op_threads: 1, spinning: false }
    }
}

/// A model in memory, from which each worker thread gets a session of its own.
pub trait LoadedModel: Send + Sync {
    /// What it takes and gives.
    fn signature(&self) -> &Signature;

    /// A session for one more worker thread. Weights are shared between the sessions of a model.
    ///
    /// # Errors
    /// [`LoadError`] where the runtime refuses another.
    fn session(&self) -> Result<Box<dyn Session>, LoadError>;
}

/// The means to run a model, owned by one worker thread.
pub trait Session: Send {
    /// Runs the model once.
    ///
    /// # Errors
    /// [`RunError`] where the runtime refuses the values, fails or was interrupted.
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError>;

    /// The handle by which another thread ends a run of this session early.
    fn interrupt(&self) -> Arc<dyn Interrupt>;
}

/// What one run is given.
#[derive(Clone, Copy, Debug)]
pub struct RunInputs<'a> {
    /// One tensor per input of the signature, in its order; `None` where an optional one is left out.
    pub tensors: &'a [Option<Tensor>],
    /// Indices of the outputs wanted, in the order wanted.
    pub outputs: &'a [usize],
}

/// The outputs of one run, in the order asked for.
pub type RunOutputs = Vec<Tensor>;

/// Ends a run early, from any thread.
pub trait Interrupt: Send + Sync {
    /// Asks the current run, or the next one, to end as soon as it can.
    fn terminate(&self);

    /// Makes runs possible again.
    fn reset(&self);
}

/// Why a model cannot be loaded. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The runtime does not have an operator that the model uses.
    #[error("{engine} cannot run operator {operator}; {remedy}")]
    UnsupportedOperator {
        /// The runtime.
        engine: &'static str,
        /// The operator's name, with its domain where that is not the default one.
        operator: String,
        /// What the operator of the gateway can do about it.
        remedy: &'static str,
    },
    /// An input or output is of a kind that the V2 protocol cannot carry.
    #[error("{what} '{name}' is of type {kind}, which the V2 protocol cannot carry")]
    UnsupportedType {
        /// `input` or `output`.
        what: &'static str,
        /// The tensor's name.
        name: String,
        /// The runtime's description of its type.
        kind: String,
    },
    /// Anything else that the runtime said.
    #[error("{engine}: {reason}")]
    Refused {
        /// The runtime.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Why a run gave no outputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The runtime refused the values of the inputs. The text names internals: it is for the log.
    #[error("the runtime refused the inputs: {0}")]
    Rejected(String),
    /// The run was ended by [`Interrupt::terminate`].
    #[error("the run was interrupted")]
    Interrupted,
    /// Anything else.
    #[error("the run failed: {0}")]
    Failed(String),
}
