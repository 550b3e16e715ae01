//! The sections `[model.NAME]`: what is declared of models in place of their cards.

use std::collections::BTreeMap;

use pointsman_core::ModelName;
use pointsman_registry::Card;

use super::reader::Section;

/// The cards below `[model.NAME]`, with the keys of `model.toml`.
pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<ModelName, Card> {
    let mut cards = BTreeMap::new();
    for (name, value) in root.named("model") {
        let key = format!("model.{name}");
        let Ok(model) = ModelName::new(&name) else {
            root.problem(&key, "is no name of a model".into());
            continue;
        };
        let toml::Value::Table(table) = value else {
            root.problem(&key, format!("expected a section [{key}] with keys of model.toml"));
            continue;
        };
        root.note_table(&key, &table);
        match Card::from_table(&key, table) {
            Ok(card) => {
                cards.insert(model, card);
            }
            Err(problems) => {
                for problem in problems {
                    root.problem(&key, format!("{}; {}", problem.what, problem.remedy));
                }
            }
        }
    }
    cards
}
