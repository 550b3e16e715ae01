//! What is asked of a session.

use pointsman_core::Tensor;

/// What a tensor takes beside its bytes: itself, the header of its memory, and what allocators round up.
const TENSOR_BYTES: usize = size_of::<Option<Tensor>>() + 64;

/// All that can change an answer, with its digest.
#[derive(Debug, PartialEq)]
pub(crate) struct Key {
    pub(super) digest: u128,
    /// In the order of the signature. Tensors are equal where their datatypes, shapes and bytes are.
    pub(super) inputs: Vec<Option<Tensor>>,
    outputs: Vec<usize>,
}

impl Key {
    pub(super) fn new(digest: u128, inputs: Vec<Option<Tensor>>, outputs: Vec<usize>) -> Self {
        Self { digest, inputs, outputs }
    }

    /// What it takes to keep it.
    pub(super) fn bytes(&self) -> usize {
        bytes(&self.inputs, &self.outputs)
    }

    /// A copy in memory of its own.
    pub(super) fn detached(&self) -> Self {
        let inputs = self.inputs.iter().map(|input| input.as_ref().map(Tensor::detached)).collect();
        Self { digest: self.digest, inputs, outputs: self.outputs.clone() }
    }
}

/// What it takes to keep a key of these.
pub(super) fn bytes(inputs: &[Option<Tensor>], outputs: &[usize]) -> usize {
    let absent = inputs.iter().filter(|input| input.is_none()).count() * size_of::<Option<Tensor>>();
    tensors_bytes(inputs.iter().flatten()).saturating_add(absent).saturating_add(size_of_val(outputs))
}

/// What it takes to keep tensors.
pub(super) fn tensors_bytes<'t>(tensors: impl IntoIterator<Item = &'t Tensor>) -> usize {
    let of = |tensor: &Tensor| TENSOR_BYTES + size_of_val(tensor.shape().dims()) + tensor.data().len();
    tensors.into_iter().map(of).fold(0, usize::saturating_add)
}
