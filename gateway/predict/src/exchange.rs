//! A request with its answer, kept to be shown to other versions.

use pointsman_core::{Code, OutputTensor, RequestId, StageTimes, Tensor};

/// What a caller asked and was answered. Tensors are shared, not copied.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) id: RequestId,
    /// In the order of the version that answered.
    pub(crate) inputs: Vec<Option<Tensor>>,
    /// The outputs, or why there are none.
    pub(crate) outputs: Result<Vec<OutputTensor>, Code>,
    pub(crate) times: StageTimes,
}

impl Exchange {
    /// Bytes of its tensors. Those that are cut from a larger one keep all of that.
    pub(crate) fn bytes(&self) -> usize {
        let inputs = self.inputs.iter().flatten();
        let outputs = self.outputs.iter().flatten().map(|output| &output.tensor);
        inputs.chain(outputs).map(|tensor| tensor.data().len()).sum()
    }
}
