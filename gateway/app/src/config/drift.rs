//! Windows of traffic and when their drift is an alarm: `[drift]`, and `[drift.models.NAME]` for one model.

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman_core::ModelName;
use pointsman_observe::drift::{ColumnLimits, Limits, Rules};

use super::reader::Section;

/// The shortest and the longest window.
const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The fewest and the most rows from which on one is closed.
const WINDOW_ROWS_MIN: usize = 100;
const WINDOW_ROWS_MAX: usize = 1_000_000_000;
/// How often windows are looked at, at least and at most.
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(3600);

/// Windows of traffic, and what is held against them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drift {
    /// Whether traffic is profiled.
    pub(crate) enabled: bool,
    /// How often windows are looked at and written.
    pub(crate) look: Duration,
    /// The most bytes that the windows of an arm take.
    pub(crate) memory_max: usize,
    /// Where a model has nothing of its own.
    pub(crate) of_all: OfModel,
    /// What models have of their own.
    pub(crate) models: BTreeMap<ModelName, OfModel>,
}

/// What may be said for one model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OfModel {
    /// How long a window is.
    pub(crate) window: Duration,
    /// From so many rows on it is closed before its time.
    pub(crate) window_rows: Option<u64>,
    /// The most windows of an arm that are kept.
    pub(crate) windows_max: usize,
    /// When drift is an alarm.
    pub(crate) rules: Rules,
}

impl Default for Drift {
    fn default() -> Self {
        let of_all = OfModel {
            window: Duration::from_secs(24 * 3600),
            window_rows: None,
            windows_max: 60,
            rules: Rules::default(),
        };
        let (look, memory_max) = (Duration::from_secs(10), 64 << 20);
        Self { enabled: true, look, memory_max, of_all, models: BTreeMap::new() }
    }
}

impl Drift {
    /// What counts for a model.
    pub(crate) fn of(&self, model: &str) -> &OfModel {
        self.models.get(model).unwrap_or(&self.of_all)
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.set("enabled", &mut self.enabled);
        section.set("look", &mut self.look);
        if !(LOOK_MIN..=LOOK_MAX).contains(&self.look) {
            section.problem("look", "give a time from 50ms to 1h".into());
        }
        section.set_bytes("memory_max", &mut self.memory_max);
        self.of_all.read(section);
        let Self { of_all, models, .. } = self;
        section.sections("models", |name, section| {
            let mut own = of_all.clone();
            own.read(section);
            own.read_columns(section);
            if let Ok(model) = ModelName::new(name) {
                models.insert(model, own);
            }
        });
    }
}

impl OfModel {
    fn read(&mut self, section: &mut Section<'_>) {
        section.set("window", &mut self.window);
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&self.window) || self.window.subsec_nanos() > 0 {
            section.problem("window", "give whole seconds, from 1s to 366d, such as \"1d\"".into());
        }
        let mut rows = self.window_rows.and_then(|rows| usize::try_from(rows).ok());
        section.set_optional_within("window_rows", &mut rows, WINDOW_ROWS_MIN..=WINDOW_ROWS_MAX);
        self.window_rows = rows.map(|rows| rows as u64);
        section.set_within("windows_max", &mut self.windows_max, 2..=10_000);
        let Rules { false_alarm_every, rows_min, limits, .. } = &mut self.rules;
        let mut every = usize::try_from(*false_alarm_every).unwrap_or(usize::MAX);
        section.set_within("false_alarm_every", &mut every, 1..=usize::MAX);
        *false_alarm_every = every as u64;
        let mut least = usize::try_from(*rows_min).unwrap_or(usize::MAX);
        section.set_within("rows_min", &mut least, 20..=usize::MAX);
        *rows_min = least as u64;
        let Limits { psi, ks, missing, out_of_domain } = limits;
        section.set_within("psi", psi, 0.0..=100.0);
        section.set_within("ks", ks, 0.0..=1.0);
        section.set_within("missing", missing, 0.0..=1.0);
        section.set_within("out_of_domain", out_of_domain, 0.0..=1.0);
    }

    /// Limits of columns, a table for each: `columns.temp = { psi = 0.3 }`.
    fn read_columns(&mut self, section: &mut Section<'_>) {
        for (name, value) in section.named("columns") {
            let key = format!("columns.{name}");
            match value.clone().try_into::<ColumnLimits>() {
                Ok(limits) => drop(self.rules.columns.insert(name, limits)),
                Err(error) => section.problem(&key, error.message().to_owned()),
            }
            if let toml::Value::Table(table) = &value {
                section.note_table(&key, table);
            }
        }
        if let Err(what) = self.rules.check() {
            section.problem("columns", what);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_model_has_what_all_have_where_it_says_nothing() {
        let text = "[drift]\nwindow = \"7d\"\npsi = 0.3\n\
                    [drift.models.flights]\nwindow = \"30d\"\nwindow_rows = 5000\ncolumns.temp = { ks = 0.2 }\n";
        let drift = Config::read(text).expect("good").drift;
        let (flights, other) = (drift.of("flights"), drift.of("iris"));
        assert_eq!((flights.window.as_secs(), other.window.as_secs()), (30 * 86_400, 7 * 86_400));
        assert_eq!((flights.window_rows, other.window_rows), (Some(5000), None));
        assert_eq!((flights.rules.of("temp").ks, flights.rules.of("temp").psi), (0.2, 0.3));
        assert_eq!((flights.rules.of("hour").ks, other.rules.of("temp").ks), (0.1, 0.1));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, part) in [
            ("[drift]\nwindow = \"0s\"", "drift.window: give whole seconds"),
            ("[drift]\nwindow = \"5ms\"", "drift.window: give whole seconds, from 1s to 366d"),
            ("[drift]\nwindows_max = 1", "drift.windows_max: expected 2 to 10000"),
            ("[drift]\nwindow_rows = 99", "drift.window_rows: expected 100 to 1000000000"),
            ("[drift]\nks = 1.5", "drift.ks: expected 0 to 1"),
            ("[drift]\nlook = \"1ms\"", "drift.look: give a time"),
            ("[drift.models.m]\ncolumns.t = { psy = 1 }", "drift.models.m.columns.t: unknown field `psy`"),
            ("[drift.models.m]\ncolumns.t = { ks = 2 }", "columns.t.ks is 2"),
            ("[drift.models.\"a/b\"]\nks = 1", "is no name"),
        ] {
            let problems = Config::read(text).expect_err(text);
            let said = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
