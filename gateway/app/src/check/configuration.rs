//! What is wrong with a configuration that could be read: what the gateway would refuse it for, and names that no model has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pointsman_core::{ModelName, shown};
use pointsman_observe::alert::{Rule, SignalKind};

use crate::config::Config;
use crate::known::known;
use crate::telemetry::check_log;
use crate::webhook;

/// The columns of each model of a registry; nothing of one none of whose versions could be loaded.
pub(super) type Models = BTreeMap<ModelName, Option<BTreeSet<String>>>;

/// What the gateway would not start for, in the same words.
pub(super) fn refusals(config: &Config) -> Vec<String> {
    let allowed = &config.webhook.allowed;
    let checks = [
        check_log(&config.log),
        webhook::check(&config.webhook),
        config.alerts.check(|address| webhook::find(allowed, address).map(drop)),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// What the gateway would start with, and what would have no effect.
pub(super) fn warnings(config: &Config, models: &Models) -> Vec<String> {
    let mut warnings: Vec<String> =
        config.sample_log.directory.as_deref().and_then(unusable).into_iter().collect();
    let sections = [
        ("compare", config.compare.keys().collect::<Vec<_>>()),
        ("drift.models", config.drift.models.keys().collect()),
        ("quality", config.quality.keys().collect()),
        ("sample_log.model", config.sample_log.models.keys().collect()),
    ];
    for (section, names) in sections {
        let unknown = names.into_iter().filter(|name| !models.contains_key(*name));
        warnings.extend(unknown.map(|name| {
            format!("{section}.{name}: there is no such model in the registry; {}", known(models.keys()))
        }));
    }
    for (model, of) in &config.drift.models {
        let Some(Some(columns)) = models.get(model) else { continue };
        let unknown = of.rules.columns.keys().filter(|column| !columns.contains(*column));
        warnings.extend(unknown.map(|column| {
            let column = shown(column);
            format!(
                "drift.models.{model}.columns.{column}: no version of the model has this column; {}",
                known(columns)
            )
        }));
    }
    config.alerts.rules.iter().for_each(|rule| warnings.extend(of_rule(rule, models)));
    warnings
}

/// Names of a rule for alerts that pick nothing.
fn of_rule(rule: &Rule, models: &Models) -> Vec<String> {
    let is_known = |name: &String| models.keys().any(|model| model.as_str() == name);
    let unknown = rule.models.iter().filter(|name| !is_known(name));
    let mut warnings: Vec<String> = unknown
        .map(|name| {
            let (rule, name) = (&rule.name, shown(name));
            format!("alert.{rule}.models: there is no model {name} in the registry; {}", known(models.keys()))
        })
        .collect();
    // Subjects of other kinds are no columns.
    let of_columns = [SignalKind::Skew, SignalKind::Drift];
    if rule.on.is_empty() || !rule.on.iter().all(|kind| of_columns.contains(kind)) {
        return warnings;
    }
    let picked = |name: &ModelName| rule.models.is_empty() || rule.models.contains(name.as_str());
    let picked = models.iter().filter(|(name, _)| picked(name)).map(|(_, columns)| columns.as_ref());
    let Some(columns) = picked.collect::<Option<Vec<_>>>() else { return warnings };
    let columns: BTreeSet<&String> = columns.into_iter().flatten().collect();
    let unknown = rule.subjects.iter().filter(|subject| !columns.contains(subject));
    warnings.extend(unknown.map(|subject| {
        let (rule, subject) = (&rule.name, shown(subject));
        format!("alert.{rule}.subjects: no model of the rule has a column {subject}; {}", known(&columns))
    }));
    warnings
}

/// Why nothing can be logged in a directory. The gateway would make it where there is none.
fn unusable(directory: &Path) -> Option<String> {
    let there = directory.ancestors().find(|path| path.as_os_str().is_empty() || path.exists())?;
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let found = std::fs::metadata(there);
    let what = match found {
        Ok(found) if !found.is_dir() => "is no directory",
        Ok(found) if found.permissions().readonly() => "may not be written",
        Ok(_) => return None,
        Err(_) => "cannot be read",
    };
    Some(format!(
        "sample_log.directory: nothing would be logged in {}, as {} {what}",
        directory.display(),
        there.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::read(text).expect(text)
    }

    fn models() -> Models {
        let name = |name: &str| ModelName::new(name).expect("a name");
        let columns = ["temp", "hour"].map(str::to_owned);
        BTreeMap::from([(name("flights"), Some(BTreeSet::from(columns))), (name("broken"), None)])
    }

    #[test]
    fn names_that_no_model_has_are_told_with_those_that_there_are() {
        for (text, said) in [
            (
                "[quality.flihgts]\nauc = 0.6",
                "quality.flihgts: there is no such model in the registry; there are broken, flights",
            ),
            ("[drift.models.iris]\npsi = 0.3", "drift.models.iris: there is no such model"),
            ("[sample_log.model.iris]\nenabled = false", "sample_log.model.iris: there is no such model"),
            ("[compare.iris]\nrtol = 0.1", "compare.iris: there is no such model"),
            (
                "[drift.models.flights]\ncolumns.tmep = { psi = 0.3 }",
                "drift.models.flights.columns.tmep: no version of the model has this column; there are hour, temp",
            ),
            ("[alert.a]\nmodels = [\"iris\"]", "alert.a.models: there is no model iris in the registry"),
            (
                "[alert.a]\non = [\"skew\"]\nmodels = [\"flights\"]\nsubjects = [\"tmep\", \"temp\"]",
                "alert.a.subjects: no model of the rule has a column tmep; there are hour, temp",
            ),
        ] {
            let found = warnings(&config(text), &models());
            assert!(found.len() == 1 && found[0].starts_with(said), "{text}: {found:?}");
        }
        for good in [
            "[drift.models.broken]\ncolumns.any = { psi = 0.3 }",
            "[quality.flights]\nauc = 0.6",
            "[alert.a]\non = [\"same_score\"]\nsubjects = [\"golden\"]",
            "[alert.a]\non = [\"skew\"]\nsubjects = [\"any\"]",
        ] {
            assert_eq!(warnings(&config(good), &models()), [""; 0], "{good}");
        }
    }

    #[test]
    fn a_directory_of_the_log_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(unusable(&folder.path().join("new/log")), None);
        assert_eq!(unusable(Path::new("nowhere/yet")), None);
        for path in [file.clone(), file.join("log")] {
            let said = unusable(&path).expect("a file is none");
            assert!(said.ends_with("file is no directory"), "{said}");
        }
    }
}
