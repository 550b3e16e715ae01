//! What a model is asked about: the real rows of its golden cases.

use std::path::Path;

use bytes::Bytes;
use pointsman_core::{Datatype, InputTensor, ModelName, Tensor, VersionNumber};
use pointsman_registry::{DirectoryRegistry, Limits, Registry};

/// The most inputs that are taken.
const INPUTS_MAX: usize = 32;

/// Distinct inputs of several rows, from the golden cases of these versions. Each rotation of the
/// rows is an input of its own: its answer holds the same rows at other places, so that an answer to
/// another request is told from the right one.
///
/// # Errors
/// Where a version cannot be read, or none has a case of several rows.
pub(crate) fn of_golden_cases(
    models: &Path,
    model: &str,
    versions: &[u64],
) -> Result<Vec<Vec<InputTensor>>, String> {
    let registry = DirectoryRegistry::open(models, Limits::default()).map_err(|e| e.to_string())?;
    let name = ModelName::new(model).map_err(|e| e.to_string())?;
    let mut inputs: Vec<Vec<InputTensor>> = Vec::new();
    for number in versions.iter().copied().filter_map(VersionNumber::new) {
        let files = registry.read(&name, number).map_err(|e| e.to_string())?;
        for case in files.golden.into_iter().flat_map(|golden| golden.cases) {
            for shift in 0..rows(&case.inputs).unwrap_or(1) {
                let rotated: Option<Vec<_>> = case.inputs.iter().map(|i| rotated(i, shift)).collect();
                let new =
                    |rotated: &Vec<_>| several_rows(rotated) && !inputs.iter().any(|i| same(i, rotated));
                inputs.extend(rotated.filter(new));
            }
        }
    }
    inputs.truncate(INPUTS_MAX);
    if inputs.is_empty() {
        return Err(format!("no golden case of {model} has several rows, so there is nothing to send"));
    }
    Ok(inputs)
}

fn same(one: &[InputTensor], other: &[InputTensor]) -> bool {
    one.iter().map(|i| (&i.name, &i.tensor)).eq(other.iter().map(|i| (&i.name, &i.tensor)))
}

fn several_rows(inputs: &[InputTensor]) -> bool {
    rows(inputs).is_some_and(|rows| rows > 1)
}

/// The first dimension, where all inputs share it.
fn rows(inputs: &[InputTensor]) -> Option<usize> {
    let first = |input: &InputTensor| input.tensor.shape().dims().first().copied();
    let rows = first(inputs.first()?)?;
    inputs.iter().all(|input| first(input) == Some(rows)).then(|| usize::try_from(rows).ok()).flatten()
}

/// The same rows, `shift` of them moved from the front to the end; nothing for strings, whose rows
/// differ in length.
fn rotated(input: &InputTensor, shift: usize) -> Option<InputTensor> {
    let tensor = &input.tensor;
    let rows = usize::try_from(*tensor.shape().dims().first()?).ok().filter(|&rows| rows > 0)?;
    if tensor.datatype() == Datatype::Bytes {
        return (shift == 0).then(|| input.clone());
    }
    let mut data = tensor.data().to_vec();
    let row_bytes = data.len() / rows;
    data.rotate_left(shift % rows * row_bytes);
    let tensor = Tensor::new(tensor.datatype(), tensor.shape().clone(), Bytes::from(data)).ok()?;
    Some(InputTensor { name: input.name.clone(), tensor })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
    }

    #[test]
    fn the_shipped_iris_gives_distinct_inputs_of_several_rows() {
        let inputs = of_golden_cases(&shipped(), "iris", &[1, 2, 3]).expect("iris has golden cases");
        assert!(inputs.len() >= 10, "{}", inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            assert!(several_rows(input), "{input:?}");
            assert!(!inputs[..index].iter().any(|other| same(other, input)), "{input:?} is there twice");
        }
    }

    #[test]
    fn a_version_that_is_not_there_is_named() {
        let error = of_golden_cases(&shipped(), "iris", &[9]).expect_err("there is no version 9");
        assert!(error.contains('9'), "{error}");
    }
}
