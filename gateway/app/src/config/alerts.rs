//! The sections `[alerts]` and `[alert.NAME]`: what somebody should know, and whom it is told.

use std::collections::BTreeSet;
use std::time::Duration;

use pointsman_observe::alert::{Rule, Severity, SignalKind};

use super::reader::Section;
use super::setting::Setting;
use crate::alerts::Settings;

/// How often sources may be asked.
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(3600);
/// The most rules, and the most entries of each of their lists.
const RULES_MAX: usize = 100;
const LIST_MAX: usize = 256;
/// The shortest time after which an alert is told again.
const REPEAT_MIN: Duration = Duration::from_secs(1);

impl Setting for Severity {
    const EXPECTED: &'static str = "\"info\", \"warning\" or \"critical\"";

    fn read(value: &toml::Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

/// Reads both.
pub(super) fn read(root: &mut Section<'_>) -> Settings {
    let mut settings = Settings::default();
    root.section("alerts", |section| {
        section.set("look", &mut settings.look);
        if !(LOOK_MIN..=LOOK_MAX).contains(&settings.look) {
            section.problem("look", "give a time from 50ms to 1h".into());
        }
    });
    root.sections("alert", |name, section| {
        if settings.rules.len() == RULES_MAX {
            section.problem("on", format!("expected at most {RULES_MAX} rules"));
        }
        let mut rule = Rule { name: name.to_owned(), ..Rule::default() };
        read_rule(&mut rule, section);
        settings.rules.push(rule);
    });
    settings
}

fn read_rule(rule: &mut Rule, section: &mut Section<'_>) {
    let kinds: Vec<&str> = SignalKind::ALL.into_iter().map(SignalKind::name).collect();
    for word in list(section, "on") {
        match SignalKind::parse(&word) {
            Some(kind) => drop(rule.on.insert(kind)),
            None => section.problem(
                "on",
                format!("expected any of {}, found `{}`", kinds.join(", "), pointsman_core::shown(&word)),
            ),
        }
    }
    rule.models = list(section, "models");
    rule.subjects = list(section, "subjects");
    section.set("for", &mut rule.hold);
    section.set("keep_firing_for", &mut rule.quiet);
    section.set("repeat", &mut rule.repeat);
    if rule.repeat < REPEAT_MIN {
        section.problem("repeat", "give a time of 1s at least".into());
    }
    section.set("severity", &mut rule.severity);
    rule.webhook = list(section, "webhook").into_iter().collect();
}

/// A list of texts that is bounded.
fn list(section: &mut Section<'_>, key: &'static str) -> BTreeSet<String> {
    let mut all: Vec<String> = Vec::new();
    section.set(key, &mut all);
    if all.len() > LIST_MAX {
        section.problem(key, format!("expected at most {LIST_MAX} entries, found {}", all.len()));
        all.truncate(LIST_MAX);
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn rules_are_read() {
        let text = "[alerts]\nlook = \"1s\"\n[alert.retrain]\non = [\"skew\", \"ranking\"]\nmodels = [\"flights\"]\n\
                    subjects = [\"temp\"]\nfor = \"1h\"\nkeep_firing_for = \"2h\"\nrepeat = \"1d\"\nseverity = \"critical\"\n\
                    webhook = [\"https://hooks.example.com/retrain\"]\n[alert.all]\n";
        let settings = Config::read(text).expect("good rules").alerts;
        assert_eq!((settings.look, settings.rules.len()), (Duration::from_secs(1), 2));
        let rule = settings.rules.iter().find(|rule| rule.name == "retrain").expect("it is there");
        assert_eq!(rule.on, BTreeSet::from([SignalKind::Skew, SignalKind::Ranking]));
        assert_eq!(rule.models, BTreeSet::from(["flights".to_owned()]));
        assert_eq!((rule.hold, rule.severity), (Duration::from_secs(3600), Severity::Critical));
        assert_eq!(rule.webhook, ["https://hooks.example.com/retrain"]);
        assert!(Config::read("").expect("nothing").alerts.rules.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("[alert.a]\non = [\"skw\"]", "alert.a.on: expected any of skew, drift"),
            ("[alert.a]\nseverity = \"loud\"", "alert.a.severity: expected \"info\""),
            ("[alert.a]\nrepeat = \"0s\"", "alert.a.repeat: give a time of 1s"),
            ("[alert.a]\nfor = \"400d\"", "alert.a.for: expected a time"),
            ("[alert.a]\nfro = \"1s\"", "alert.a.fro: unknown key, did you mean `for`?"),
            ("[alert]\na = 1", "alert.a: expected a section"),
            ("[alert.\"a b/c\"]", "is no name"),
            ("[alerts]\nlook = \"1ms\"", "alerts.look: give a time from"),
        ] {
            let problems = Config::read(text).expect_err(text);
            let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains(part), "{text}: {said:?}");
        }
        let many: String = (0..=RULES_MAX).map(|i| format!("[alert.a{i}]\n")).collect();
        assert_eq!(Config::read(&many).expect_err("too many").len(), 1);
        let long = format!("[alert.a]\nsubjects = {:?}", vec!["x"; LIST_MAX + 1]);
        assert_eq!(Config::read(&long).expect_err("too long").len(), 1);
    }
}
