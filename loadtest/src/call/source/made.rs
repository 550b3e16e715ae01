//! Inputs that are made up to fit a signature.

use bytes::Bytes;
use fastrand::Rng;
use half::{bf16, f16};
use pointsman_core::{
    Datatype, Dim, InputTensor, Shape, StringTensorBuilder, Tensor, TensorError, TensorSpec,
};

use crate::call::input::Input;
use crate::call::model::Model;

/// Inputs that are made.
const INPUTS: u64 = 16;

/// The most elements of one tensor.
const ELEMENTS_MAX: usize = 1 << 24;

/// The longest string.
const STRING_BYTES_MAX: usize = 12;

/// Inputs of random values, the same for the same seed.
///
/// Fractions lie from 0 to 1. Whole numbers are 0 or 1, which any model takes: they may be the index
/// into a table of which nothing is known. Strings are of some letters.
pub(super) fn inputs(model: &Model, rows: u64, size: u64, seed: u64) -> Result<Vec<Input>, String> {
    let specs = &model.signature.inputs;
    if specs.is_empty() {
        let name = &model.name;
        return Err(format!("the server does not say what {name} takes: use golden cases or a file"));
    }
    let batched = |spec: &TensorSpec| matches!(spec.shape.as_deref(), Some([Dim::Dynamic(_), ..]));
    if rows != 1 && !specs.iter().any(batched) {
        return Err(format!(
            "{} has no input with a first dimension of any size: leave the rows at 1",
            model.name
        ));
    }
    let mut random = Rng::with_seed(seed);
    (1..=INPUTS)
        .map(|id| {
            let tensors = specs.iter().map(|spec| tensor(spec, rows, size, &mut random));
            Ok(Input {
                id: id.to_string(),
                tensors: tensors.collect::<Result<_, String>>()?,
                ..Input::default()
            })
        })
        .collect()
}

fn tensor(spec: &TensorSpec, rows: u64, size: u64, random: &mut Rng) -> Result<InputTensor, String> {
    let name = spec.name.to_string();
    let in_input = |what: String| format!("input {name}: {what}");
    let (shape, elements) = shape(spec, rows, size).map_err(in_input)?;
    let tensor = values(spec.datatype, elements, random)
        .and_then(|data| Tensor::new(spec.datatype, shape, data))
        .map_err(|e| in_input(e.to_string()))?;
    Ok(InputTensor { name, tensor })
}

/// The shape of an input, and how many elements it holds.
fn shape(spec: &TensorSpec, rows: u64, size: u64) -> Result<(Shape, usize), String> {
    let dims = spec.shape.iter().flatten().enumerate().map(|(place, dim)| match dim {
        Dim::Fixed(fixed) => *fixed,
        Dim::Dynamic(_) if place == 0 => rows,
        Dim::Dynamic(_) => size,
    });
    let shape = Shape::new(&dims.collect::<Vec<_>>())
        .ok_or_else(|| format!("it has more than {} dimensions", Shape::RANK_MAX))?;
    match shape.elements() {
        Some(elements) if elements <= ELEMENTS_MAX => Ok((shape, elements)),
        _ => Err(format!(
            "shape {shape} has more than {ELEMENTS_MAX} elements: use fewer rows, or a smaller size"
        )),
    }
}

fn values(datatype: Datatype, elements: usize, random: &mut Rng) -> Result<Bytes, TensorError> {
    fn each<const N: usize>(elements: usize, mut value: impl FnMut() -> [u8; N]) -> Bytes {
        (0..elements).flat_map(|_| value()).collect()
    }
    Ok(match datatype {
        Datatype::Bool | Datatype::Uint8 | Datatype::Int8 => each(elements, || [random.u8(..2)]),
        Datatype::Uint16 | Datatype::Int16 => each(elements, || random.u16(..2).to_le_bytes()),
        Datatype::Uint32 | Datatype::Int32 => each(elements, || random.u32(..2).to_le_bytes()),
        Datatype::Uint64 | Datatype::Int64 => each(elements, || random.u64(..2).to_le_bytes()),
        Datatype::Fp16 => each(elements, || f16::from_f32(random.f32()).to_le_bytes()),
        Datatype::Bf16 => each(elements, || bf16::from_f32(random.f32()).to_le_bytes()),
        Datatype::Fp32 => each(elements, || random.f32().to_le_bytes()),
        Datatype::Fp64 => each(elements, || random.f64().to_le_bytes()),
        Datatype::Bytes => {
            let mut strings = StringTensorBuilder::with_capacity(elements, elements * STRING_BYTES_MAX);
            for _ in 0..elements {
                let letters: String =
                    (0..random.usize(1..=STRING_BYTES_MAX)).map(|_| random.lowercase()).collect();
                strings.push(letters.as_bytes())?;
            }
            strings.finish()
        }
    })
}

#[cfg(test)]
mod tests {
    use pointsman_core::Signature;

    use super::*;

    fn model(inputs: &[(Datatype, &[i64])]) -> Model {
        let dim = |&dim: &i64| u64::try_from(dim).map_or(Dim::Dynamic(None), Dim::Fixed);
        let spec = |(index, (datatype, dims)): (usize, &(Datatype, &[i64]))| TensorSpec {
            name: format!("x{index}").into(),
            datatype: *datatype,
            shape: Some(dims.iter().map(dim).collect()),
            optional: false,
            labels: None,
        };
        let inputs = inputs.iter().enumerate().map(spec).collect();
        Model { name: "m".into(), version: None, signature: Signature { inputs, outputs: Vec::new() } }
    }

    #[test]
    fn every_datatype_is_made_and_the_seed_decides() {
        let dims: &[i64] = &[-1, 3, -1];
        let model = model(&Datatype::ALL.map(|datatype| (datatype, dims)));
        let made = inputs(&model, 2, 5, 7).expect("they fit");
        assert_eq!(made.len(), 16);
        for (made, datatype) in made[0].tensors.iter().zip(Datatype::ALL) {
            assert_eq!((made.tensor.datatype(), made.tensor.shape().dims()), (datatype, &[2, 3, 5][..]));
        }
        let tensors = |inputs: &[Input]| {
            let all = inputs.iter().flat_map(|input| &input.tensors);
            all.map(|input| input.tensor.clone()).collect::<Vec<_>>()
        };
        assert_eq!(tensors(&inputs(&model, 2, 5, 7).expect("they fit")), tensors(&made));
        assert_ne!(tensors(&inputs(&model, 2, 5, 8).expect("they fit")), tensors(&made));
        assert_ne!(tensors(&made[..1]), tensors(&made[1..2]));
        let floats = made[3].tensors[11].tensor.values::<f32>().expect("FP32").iter();
        assert!(floats.clone().all(|value| (0.0..1.0).contains(value)), "{floats:?}");
    }

    #[test]
    fn what_cannot_be_made_says_why() {
        for (model, rows, said) in [
            (model(&[]), 1, "does not say what m takes"),
            (model(&[(Datatype::Fp32, &[4])]), 2, "leave the rows at 1"),
            (model(&[(Datatype::Fp32, &[-1, 1 << 20])]), 17, "use fewer rows"),
            (model(&[(Datatype::Fp32, &[i64::MAX, i64::MAX])]), 1, "more than 16777216 elements"),
        ] {
            let error = inputs(&model, rows, 1, 0).expect_err(said);
            assert!(error.contains(said), "{error}");
        }
        let at_the_limit = model(&[(Datatype::Fp32, &[-1, 1 << 20])]);
        let elements = shape(&at_the_limit.signature.inputs[0], 16, 1).map(|(_, elements)| elements);
        assert_eq!(elements, Ok(ELEMENTS_MAX));
        assert!(inputs(&model(&[(Datatype::Fp32, &[])]), 1, 1, 0).is_ok(), "a scalar");
    }
}
