//! What a version takes and gives, and the check of a request against it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::mismatch::InputMismatch;
use crate::request::InputTensor;
use crate::shape::Shape;
use crate::tensor::{Datatype, Tensor};

/// The inputs and outputs of one version, in the order in which its session takes and gives them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Signature {
    /// What the version takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives. Declared shapes of outputs are the model's claim and are never enforced:
    /// real models give other ranks and sizes than they declare.
    pub outputs: Vec<TensorSpec>,
}

/// One input or output of a signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// The name.
    pub name: Arc<str>,
    /// The datatype of the elements.
    pub datatype: Datatype,
    /// The declared dimensions; nothing where not even the rank is declared.
    pub shape: Option<Vec<Dim>>,
    /// Whether a request may leave it out (the model has a default for it).
    pub optional: bool,
    /// Names along the last dimension: the features of an input, the classes of an output.
    pub labels: Option<Arc<[String]>>,
}

/// One declared dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dim {
    /// Exactly this size.
    Fixed(u64),
    /// Any size; the model's name for it where it has one.
    Dynamic(Option<Arc<str>>),
}

impl TensorSpec {
    /// The dimensions in the form of the V2 protocol: −1 stands for any size.
    #[must_use]
    pub fn wire_shape(&self) -> Vec<i64> {
        let wire = |d: &Dim| match d {
            Dim::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
            Dim::Dynamic(_) => -1,
        };
        self.shape.iter().flatten().map(wire).collect()
    }

    /// Whether a tensor of this shape may be given here.
    #[must_use]
    pub fn accepts(&self, shape: &Shape) -> bool {
        let Some(declared) = &self.shape else {
            return true;
        };
        declared.len() == shape.dims().len()
            && declared.iter().zip(shape.dims()).all(|(declared, &size)| match declared {
                Dim::Fixed(fixed) => *fixed == size,
                Dim::Dynamic(_) => true,
            })
    }
}

/// A specification's shape as text, `[-1,4]`.
pub(crate) struct WireShape<'a>(pub(crate) &'a TensorSpec);

impl fmt::Display for WireShape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.wire_shape().iter().map(i64::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

impl Signature {
    /// Checks names, datatypes and shapes, and puts the inputs in the signature's order.
    /// An optional input that was left out is `None`.
    ///
    /// # Errors
    /// [`InputMismatch`] with the first disagreement found.
    pub fn check(&self, inputs: Vec<InputTensor>) -> Result<Vec<Option<Tensor>>, InputMismatch> {
        let mut ordered: Vec<Option<Tensor>> = vec![None; self.inputs.len()];
        for input in inputs {
            let Some(index) = self.inputs.iter().position(|spec| *spec.name == *input.name) else {
                return Err(InputMismatch::unexpected_input(&input.name, &self.inputs));
            };
            let spec = &self.inputs[index];
            if ordered[index].is_some() {
                return Err(InputMismatch::DuplicateInput { name: spec.name.clone() });
            }
            if input.tensor.datatype() != spec.datatype {
                return Err(InputMismatch::Datatype {
                    name: spec.name.clone(),
                    expected: spec.datatype,
                    found: input.tensor.datatype(),
                });
            }
            if !spec.accepts(input.tensor.shape()) {
                return Err(InputMismatch::Shape {
                    name: spec.name.clone(),
                    expected: WireShape(spec).to_string(),
                    found: input.tensor.shape().clone(),
                });
            }
            ordered[index] = Some(input.tensor);
        }
        let lacking = |(spec, tensor): (&TensorSpec, &Option<Tensor>)| tensor.is_none() && !spec.optional;
        if self.inputs.iter().zip(&ordered).any(lacking) {
            return Err(InputMismatch::missing_inputs(&self.inputs, &ordered));
        }
        Ok(ordered)
    }

    /// Resolves the names of requested outputs to indices; all outputs where none is named.
    ///
    /// # Errors
    /// [`InputMismatch`] for an unknown name or one that stands twice.
    pub fn select_outputs(&self, names: &[String]) -> Result<Vec<usize>, InputMismatch> {
        if names.is_empty() {
            return Ok((0..self.outputs.len()).collect());
        }
        let mut selected = Vec::with_capacity(names.len().min(self.outputs.len()));
        for name in names {
            let Some(index) = self.outputs.iter().position(|spec| *spec.name == **name) else {
                return Err(InputMismatch::unexpected_output(name, &self.outputs));
            };
            if selected.contains(&index) {
                return Err(InputMismatch::DuplicateOutput { name: self.outputs[index].name.clone() });
            }
            selected.push(index);
        }
        Ok(selected)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn spec(name: &str, optional: bool) -> TensorSpec {
        let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(2)]);
        TensorSpec { name: name.into(), datatype: Datatype::Uint8, shape, optional, labels: None }
    }

    fn input(name: &str, dims: &[u64]) -> InputTensor {
        let shape = Shape::new(dims).expect("small");
        let data = Bytes::from(vec![0; shape.elements().expect("small")]);
        let tensor = Tensor::new(Datatype::Uint8, shape, data).expect("fits");
        InputTensor { name: name.into(), tensor }
    }

    fn signature() -> Signature {
        Signature {
            inputs: vec![spec("a", false), spec("b", true)],
            outputs: vec![spec("y", false), spec("z", false)],
        }
    }

    #[test]
    fn inputs_are_ordered_and_optional_ones_may_be_left_out() {
        let ordered = signature().check(vec![input("b", &[1, 2]), input("a", &[0, 2])]).expect("fits");
        assert_eq!(ordered[0].as_ref().map(Tensor::elements), Some(0));
        assert_eq!(ordered[1].as_ref().map(Tensor::elements), Some(2));
        let ordered = signature().check(vec![input("a", &[3, 2])]).expect("fits");
        assert!(ordered[1].is_none());
    }

    #[test]
    fn each_disagreement_is_named() {
        let check = |inputs| signature().check(inputs).unwrap_err().describe("m");
        assert_eq!(
            check(vec![input("c", &[1, 2])]),
            "unexpected inference input 'c' for model 'm'. Its inputs are ['a','b']"
        );
        assert_eq!(
            check(vec![input("b", &[1, 2])]),
            "expected 1 inputs but got 1 inputs for model 'm'. Got input(s) ['b'], but missing required input(s) ['a']. Please provide all required input(s)."
        );
        assert_eq!(
            check(vec![input("a", &[2])]),
            "unexpected shape for input 'a' for model 'm'. Expected [-1,2], got [2]"
        );
        assert_eq!(
            check(vec![input("a", &[1, 2]), input("a", &[1, 2])]),
            "input 'a' appears more than once in the request for model 'm'"
        );
    }

    #[test]
    fn outputs_are_selected_by_name() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(signature().select_outputs(&[]), Ok(vec![0, 1]));
        assert_eq!(signature().select_outputs(&names(&["z"])), Ok(vec![1]));
        assert!(matches!(
            signature().select_outputs(&names(&["q"])),
            Err(InputMismatch::UnexpectedOutput { .. })
        ));
        assert!(matches!(
            signature().select_outputs(&names(&["z", "z"])),
            Err(InputMismatch::DuplicateOutput { .. })
        ));
    }
}
