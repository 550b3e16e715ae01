//! The plans below `[plan.NAME]`.

use std::collections::BTreeMap;

use pointsman_core::ModelName;
use pointsman_route::{Document, Salts, Settled};

use super::reader::Section;

/// Reads the plans, each with everything that is wrong with it.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<ModelName, Document> {
    let mut plans = BTreeMap::new();
    for (name, value) in root.named("plan") {
        let key = format!("plan.{name}");
        let Ok(model) = ModelName::new(&name) else {
            root.problem(&key, "is no name of a model".into());
            continue;
        };
        let toml::Value::Table(table) = value else {
            root.problem(&key, format!("expected a section [{key}] with a plan"));
            continue;
        };
        root.note_table(&key, &table);
        let document = Document::read(toml::Value::Table(table)).map_err(|finding| vec![finding]);
        let checked = document.and_then(|document| {
            Settled::new(model.as_str(), document.clone(), &Salts::new()).map(|_| document)
        });
        match checked {
            Ok(document) => {
                plans.insert(model, document);
            }
            Err(findings) => findings.iter().for_each(|finding| root.problem(&key, finding.to_string())),
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_plan_is_read_and_its_faults_are_all_reported() {
        let good =
            "[plan.iris.experiment]\nname = \"e\"\narms = [{ name = \"a\", version = 2, weight = \"5%\" }]\n";
        let config = Config::read(good).expect("a good plan");
        assert_eq!(config.plan["iris"].arms().count(), 1);
        let bad = good.replace("\"e\"", "\"e e\"").replace("5%", "50%").replace("\"a\"", "\"default\"");
        let problems: Vec<String> =
            Config::read(&bad).expect_err("bad").iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(
            problems.iter().all(|problem| problem.starts_with("plan.iris: key experiment.")),
            "{problems:#?}"
        );
        for text in ["[plan.iris]\nexperimnt = 1", "[plan]\niris = 1", "[plan.\"a/b\"]", "plan = 1"] {
            assert_eq!(Config::read(text).map_err(|problems| problems.len()), Err(1), "{text}");
        }
    }
}
