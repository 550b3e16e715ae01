//! Names in a card for tensors that a version does not have.

use pointsman_core::{Dim, ModelName, Signature, TensorSpec};

use crate::listing::Settings;
use crate::problem::Problem;

/// What a card names, and a version with this signature has not: inputs with features, outputs with
/// labels, and features that are not as many as the input has columns. It does not keep the version
/// from serving; the names stand for nothing, or for something else than was meant.
#[must_use]
pub fn unmatched(model: &ModelName, settings: &Settings, signature: &Signature) -> Vec<Problem> {
    let file = format!("{model}/model.toml");
    let mut problems = Vec::new();
    for (name, features) in &settings.features {
        let Some(input) = find(&signature.inputs, name) else {
            problems.push(unknown(&file, "inputs", name, "input", &signature.inputs));
            continue;
        };
        if let Some(columns) = columns(input)
            && columns != features.len() as u64
        {
            let what = format!(
                "inputs.{name}.features has {} names, and the input {columns} columns",
                features.len()
            );
            problems.push(Problem::new(&file, what, "name each column, in their order"));
        }
    }
    for name in settings.labels.keys().filter(|name| find(&signature.outputs, name).is_none()) {
        problems.push(unknown(&file, "outputs", name, "output", &signature.outputs));
    }
    problems
}

fn find<'s>(specs: &'s [TensorSpec], name: &str) -> Option<&'s TensorSpec> {
    specs.iter().find(|spec| *spec.name == *name)
}

/// The size of the last dimension, where it is declared.
fn columns(input: &TensorSpec) -> Option<u64> {
    match input.shape.as_ref()?.last()? {
        Dim::Fixed(columns) => Some(*columns),
        Dim::Dynamic(_) => None,
    }
}

fn unknown(file: &str, table: &str, name: &str, kind: &str, specs: &[TensorSpec]) -> Problem {
    let names: Vec<&str> = specs.iter().map(|spec| &*spec.name).collect();
    let what = format!("{table}.{name} is no {kind} of this version");
    Problem::new(file, what, format!("its {kind}s are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use pointsman_core::Datatype;

    use super::*;

    fn spec(name: &str, shape: Option<Vec<Dim>>) -> TensorSpec {
        TensorSpec { name: name.into(), datatype: Datatype::Fp32, shape, optional: false, labels: None }
    }

    fn names(of: &str, count: usize) -> BTreeMap<String, Arc<[String]>> {
        BTreeMap::from([(of.to_owned(), (0..count).map(|i| format!("n{i}")).collect())])
    }

    fn found(settings: &Settings) -> Vec<String> {
        let signature = Signature {
            inputs: vec![
                spec("x", Some(vec![Dim::Dynamic(None), Dim::Fixed(4)])),
                spec("open", Some(vec![Dim::Dynamic(None)])),
                spec("scalar", Some(vec![])),
                spec("loose", None),
            ],
            outputs: vec![spec("y", Some(vec![Dim::Fixed(2)])), spec("z", None)],
        };
        let model = ModelName::new("iris").expect("a name");
        unmatched(&model, settings, &signature).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_for_tensors_that_are_not_there_are_found() {
        let features = |of, count| found(&Settings { features: names(of, count), ..Settings::default() });
        assert_eq!(
            features("X", 4),
            ["iris/model.toml: inputs.X is no input of this version; its inputs are x, open, scalar, loose"]
        );
        assert_eq!(
            features("x", 3),
            [
                "iris/model.toml: inputs.x.features has 3 names, and the input 4 columns; name each column, in \
              their order"
            ]
        );
        for (of, count) in [("x", 4), ("open", 9), ("scalar", 1), ("loose", 9)] {
            assert_eq!(features(of, count), [] as [&str; 0], "{of}");
        }
        let labels = |of| found(&Settings { labels: names(of, 3), ..Settings::default() });
        assert_eq!(
            labels("x"),
            ["iris/model.toml: outputs.x is no output of this version; its outputs are y, z"]
        );
        // What a model declares of its outputs is a claim that real models do not keep.
        assert_eq!(labels("y"), [] as [&str; 0]);
    }
}
