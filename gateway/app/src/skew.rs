//! `pointsman skew join`: logged inputs against features that were computed afterwards.

use pointsman_core::ModelName;
use pointsman_observe::sample_log::Reader;
use pointsman_observe::skew_join::{Joining, Offline, SkewJoin};
use pointsman_observe::table::Table;
use pointsman_stats::Alpha;

use crate::End;
use crate::cli::{JoinSkew, SkewVerb};
use crate::known::known;

/// Rows that are read at once.
const BATCH: usize = 8192;

/// `pointsman skew`.
pub(crate) fn run(verb: &SkewVerb) -> End {
    let SkewVerb::Join(arguments) = verb;
    match join(arguments) {
        Ok(found) if arguments.json => {
            // Texts, whole numbers and finite floats are all that it holds.
            println!("{}", serde_json::to_string(&found).unwrap_or_default());
            End::Done
        }
        Ok(found) => {
            print!("{found}");
            End::Done
        }
        Err(problem) => {
            eprintln!("pointsman: {problem}");
            End::Refused
        }
    }
}

fn join(arguments: &JoinSkew) -> Result<SkewJoin, String> {
    let JoinSkew { log, model, features, on, rtol, alpha, .. } = arguments;
    let alpha = Alpha::new(*alpha).map_err(|e| format!("--alpha: {e}"))?;
    let of_table = |e: &dyn std::fmt::Display| format!("{}: {e}", features.display());
    let of_log = |e: &dyn std::fmt::Display| format!("{}: {e}", log.display());
    if !log.is_dir() {
        return Err(of_log(&"it is no directory: name that of sample_log.directory"));
    }
    let mut table = Table::open(features, BATCH).map_err(|e| of_table(&e))?;
    let offline = Offline::read(&mut table, on, BATCH).map_err(|e| of_table(&e))?;
    let mut reader = Reader::open(log).columns(&offline.columns());
    if let Some(model) = model {
        let model = ModelName::new(model).map_err(|e| format!("--model: {e}"))?;
        let models = reader.models().map_err(|e| of_log(&e))?;
        if !models.contains(&model) {
            return Err(format!("--model: the log has no model '{model}'; {}", known(models)));
        }
        reader = reader.model(model);
    }
    let mut joining = Joining::new(&offline, *rtol);
    for batch in reader.batches().map_err(|e| of_log(&e))? {
        joining.add(&batch.map_err(|e| of_log(&e))?);
    }
    let found = joining.found(alpha);
    if found.joined == 0 {
        return Err(format!(
            "{}: nothing to compare: none of its requests, by column '{on}', is among the {} logged rows that were looked at; \
             --on names the column with the ids that answers have as pointsman-request-id",
            features.display(),
            found.unmatched
        ));
    }
    if found.features.is_empty() {
        let absent =
            if found.absent.is_empty() { "it has no others".into() } else { found.absent.join(", ") };
        return Err(format!(
            "{}: nothing to compare: none of its columns beside '{on}' is an input that the log has as it was ({absent})",
            features.display()
        ));
    }
    Ok(found)
}
