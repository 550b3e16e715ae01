//! Inputs whose answers are known.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pointsman_registry::{GoldenCases, Limits};

use crate::call::input::{Expected, Input};

/// An input for each golden case of a file.
pub(super) fn inputs(path: &Path) -> Result<Vec<Input>, String> {
    let shown = path.display().to_string();
    let max = Limits::default().golden_bytes_max;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| format!("{shown}: {e}"))?;
    file.take(max + 1).read_to_end(&mut bytes).map_err(|e| format!("{shown}: {e}"))?;
    if bytes.len() as u64 > max {
        return Err(format!("{shown} is longer than the {max} bytes that golden cases may have"));
    }
    let GoldenCases { rtol, atol, cases } = GoldenCases::parse(&shown, &bytes).map_err(|e| e.to_string())?;
    if cases.is_empty() {
        return Err(format!("{shown} has no golden case"));
    }
    let input = |(index, case): (usize, pointsman_registry::GoldenCase)| Input {
        id: (index + 1).to_string(),
        tensors: case.inputs,
        expected: Some(Expected { outputs: case.outputs, rtol, atol }),
        ..Input::default()
    };
    Ok(cases.into_iter().enumerate().map(input).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_cases_are_inputs_with_answers() {
        let iris = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/iris/3/golden.json");
        let inputs = inputs(&iris).expect("iris has golden cases");
        assert!(inputs.len() >= 2, "{}", inputs.len());
        assert_eq!(inputs[1].id, "2");
        let expected = inputs[0].expected.as_ref().expect("it is known");
        assert_eq!((expected.rtol, expected.outputs[0].name.as_str()), (1e-4, "label"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("golden.json");
        assert!(inputs(&file).expect_err("it is not there").contains("golden.json"));
        std::fs::write(&file, r#"{"cases": []}"#).expect("it is written");
        assert!(inputs(&file).expect_err("it is empty").contains("no golden case"));
        let long = File::create(&file).expect("it is made");
        long.set_len(Limits::default().golden_bytes_max + 1).expect("a file with a hole");
        assert!(inputs(&file).expect_err("it is too long").contains("is longer than"));
    }
}
