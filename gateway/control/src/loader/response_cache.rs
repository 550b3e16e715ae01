//! Whether a version may keep its answers.

use pointsman_registry::{OnnxSummary, Settings};

/// The bytes of its response cache, where its card or configuration asks for one. A model whose equal requests have
/// other answers each time gets none, and its owner is told why.
pub(super) fn bytes_max(
    settings: &Settings,
    onnx: &OnnxSummary,
    warnings: &mut Vec<String>,
) -> Option<usize> {
    let wanted = settings.cache_bytes_max?;
    if onnx.random.is_empty() {
        return Some(wanted);
    }
    let random: Vec<String> = onnx.random.iter().map(ToString::to_string).collect();
    let random = random.join(", ");
    warnings
        .push(format!("it has no response cache, which it is to have: it draws random numbers ({random})"));
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pointsman_registry::Operator;

    use super::*;

    #[test]
    fn what_draws_random_numbers_keeps_no_answers_and_says_so() {
        let operator = |name: &str| Operator { domain: "ai.onnx".into(), name: name.into() };
        let onnx = |random: &[&str]| OnnxSummary {
            random: random.iter().map(|name| operator(name)).collect::<BTreeSet<_>>(),
            ..OnnxSummary::default()
        };
        let decided = |cache_bytes_max, onnx: &OnnxSummary| {
            let mut warnings = Vec::new();
            let settings = Settings { cache_bytes_max, ..Settings::default() };
            (bytes_max(&settings, onnx, &mut warnings), warnings)
        };
        assert_eq!(decided(Some(9), &onnx(&[])), (Some(9), Vec::new()));
        assert_eq!(decided(None, &onnx(&["Bernoulli"])), (None, Vec::new()));
        let warning = "it has no response cache, which it is to have: it draws random numbers (ai.onnx.Bernoulli, \
                       ai.onnx.Dropout)";
        assert_eq!(decided(Some(9), &onnx(&["Dropout", "Bernoulli"])), (None, vec![warning.to_owned()]));
    }
}
