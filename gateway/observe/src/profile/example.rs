//! What a profile is shown: the tensors of one request, or of a batch of training data.

use pointsman_core::{Elements, OutputTensor, Tensor};

use super::layout::Group;

/// Some rows, with their answers.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// In the order of the signature.
    pub inputs: &'a [Option<Tensor>],
    /// By name; nothing where there was no answer, and an output that was not asked for is none.
    pub outputs: Option<&'a [OutputTensor]>,
    /// How many rows.
    pub rows: u64,
}

/// The values of all columns of one tensor.
pub(super) enum Values<'a> {
    /// There is no such tensor, and none was wanted.
    Unasked,
    /// It was left out, or has no place for the columns.
    Missing,
    Numbers(Elements<'a>),
    Texts(&'a Tensor),
}

impl<'a> Example<'a> {
    pub(super) fn values(&self, group: &Group) -> Values<'a> {
        let tensor = match group.origin {
            pointsman_core::Origin::Input => match self.inputs.get(group.tensor) {
                Some(Some(tensor)) => tensor,
                Some(None) => return Values::Missing,
                None => return Values::Unasked,
            },
            pointsman_core::Origin::Output => {
                let outputs = self.outputs.unwrap_or_default();
                match outputs.iter().find(|output| output.name == group.name) {
                    Some(output) => &output.tensor,
                    None => return Values::Unasked,
                }
            }
        };
        let elements = tensor.elements() as u64;
        let fits = if group.width == 0 {
            elements == 1
        } else {
            self.rows.checked_mul(group.width as u64) == Some(elements)
        };
        match Elements::of(tensor) {
            _ if !fits => Values::Missing,
            Some(elements) => Values::Numbers(elements),
            None => Values::Texts(tensor),
        }
    }
}
