//! The rules of a model's schema, compiled for one of its versions.

use std::sync::Arc;

use pointsman_core::{Signature, Validator};

use super::LoadJob;

/// The most warnings of one schema that are told one by one.
const WARNINGS_MAX: usize = 16;

/// Compiles them; nothing where there is none. What cannot count for this version, such as a rule for a column that it
/// does not have, is a warning: versions of a model may differ, and one schema is for all of them.
pub(super) fn compile(
    job: &LoadJob,
    signature: &Signature,
    warnings: &mut Vec<String>,
) -> Option<Arc<Validator>> {
    let (validator, unfit) = Validator::compile(job.settings.schema.as_ref()?, signature);
    let more = unfit.len().saturating_sub(WARNINGS_MAX);
    warnings.extend(unfit.iter().take(WARNINGS_MAX).map(|line| format!("{}/schema.toml: {line}", job.model)));
    if more > 0 {
        warnings.push(format!("{}/schema.toml: {more} more lines do not count for this version", job.model));
    }
    (!validator.is_idle()).then(|| Arc::new(validator))
}
