//! How shadows run, `[shadow]`, and what their answers are held to, `[compare.MODEL]`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pointsman_core::{LoadTenth, ModelName};
use pointsman_observe::Settings;
use pointsman_predict::{ShadowLimits, Windows, WindowsError};

use super::reader::Section;

/// How shadows run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shadow {
    /// The bounds of each.
    pub(crate) limits: ShadowLimits,
    /// How long the windows are of which some are without shadows.
    pub(crate) window: Duration,
    /// Which share of them is.
    pub(crate) window_off_share: f64,
}

impl Default for Shadow {
    fn default() -> Self {
        Self {
            limits: ShadowLimits::default(),
            window: Windows::LENGTH,
            window_off_share: Windows::OFF_SHARE,
        }
    }
}

impl Shadow {
    /// When shadows run from now on.
    ///
    /// # Errors
    /// Where windows are not longer than what may still run at their beginning.
    pub(crate) fn windows(&self, seed: u64) -> Result<Windows, WindowsError> {
        // A shadow may run, and after it the second copy of the primary.
        let settling = self.limits.run_max.saturating_mul(2);
        Windows::new(seed, Instant::now(), self.window, self.window_off_share, settling)
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        let Self { limits, window, window_off_share } = self;
        section.set_within("waiting_max", &mut limits.waiting_max, 1..=65_536);
        section.set_bytes("waiting_bytes_max", &mut limits.waiting_bytes_max);
        section.set("wait_max", &mut limits.wait_max);
        section.set("run_max", &mut limits.run_max);
        let mut busy = limits.shed_from_tenth as f64 / LoadTenth::COUNT as f64;
        section.set_within("busy_from", &mut busy, 0.1..=1.0);
        limits.shed_from_tenth = (busy * LoadTenth::COUNT as f64).round() as usize;
        section.set_within("failures_max", &mut limits.failures_max, 1..=1_000_000);
        section.set("rest", &mut limits.rest);
        section.set("rest_max", &mut limits.rest_max);
        section.set("window", window);
        section.set_within("window_off_share", window_off_share, 0.0..=1.0);
        if limits.run_max.is_zero() {
            section.problem("run_max", "no run ends in no time: give a time above 0, such as \"1s\"".into());
        }
        if self.windows(0).is_err() {
            let what = "must be longer than twice shadow.run_max, since what was begun before a window without \
                        shadows may run on into it; give a longer window, or a shorter run_max";
            section.problem("window", what.into());
        }
    }
}

/// Reads what the answers of models are held to, each with everything that is wrong with it.
pub(super) fn read_compare(root: &mut Section<'_>) -> BTreeMap<ModelName, Settings> {
    let mut compare = BTreeMap::new();
    for (name, value) in root.named("compare") {
        let key = format!("compare.{name}");
        let Ok(model) = ModelName::new(&name) else {
            root.problem(&key, "is no name of a model".into());
            continue;
        };
        let toml::Value::Table(table) = value else {
            root.problem(&key, format!("expected a section [{key}] with tolerances"));
            continue;
        };
        root.note_table(&key, &table);
        match toml::Value::Table(table).try_into::<Settings>() {
            Ok(settings) => match settings.check() {
                Ok(()) => drop(compare.insert(model, settings)),
                Err(error) => root.problem(&key, error.to_string()),
            },
            Err(error) => root.problem(&key, error.message().to_owned()),
        }
    }
    compare
}

#[cfg(test)]
mod tests {
    use pointsman_observe::Kind;

    use crate::config::Config;

    fn refused(text: &str) -> String {
        let problems = Config::read(text).expect_err(text);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn what_answers_are_held_to_is_read_and_its_faults_are_named() {
        let text = "[compare.iris]\nrtol = 0.01\nthreshold = 0.4\noutputs = { label = \"labels\" }\n";
        let config = Config::read(text).expect("good settings");
        let settings = &config.compare["iris"];
        assert_eq!((settings.rtol, settings.threshold, settings.outputs["label"]), (0.01, 0.4, Kind::Labels));
        for (text, part) in [
            ("[compare.iris]\nrtol = -1.0", "compare.iris: rtol is -1"),
            ("[compare.iris]\ntop = 11", "compare.iris: top is 11"),
            ("[compare.iris]\nrtoll = 1", "unknown field `rtoll`"),
            ("[compare.iris]\noutputs = { y = \"colours\" }", "unknown variant `colours`"),
            ("[compare.\"a/b\"]", "is no name of a model"),
            ("[compare]\niris = 1", "compare.iris: expected a section"),
            ("compare = 1", "expected sections [compare.NAME]"),
        ] {
            let said = refused(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn limits_of_shadows_are_read_and_windows_that_cannot_be_are_refused() {
        let config =
            Config::read("[shadow]\nbusy_from = 0.3\nwaiting_bytes_max = \"1MiB\"\nwindow = \"3s\"\n");
        let limits = config.expect("good limits").shadow.limits;
        assert_eq!((limits.shed_from_tenth, limits.waiting_bytes_max), (3, 1 << 20));
        for (text, part) in [
            ("[shadow]\nrun_max = \"3s\"", "shadow.window: must be longer than twice"),
            ("[shadow]\nrun_max = \"0s\"", "shadow.run_max: no run ends"),
            ("[shadow]\nwindow_off_share = 1.5", "shadow.window_off_share: expected 0 to 1"),
            ("[shadow]\nbusy_from = 0", "shadow.busy_from: expected 0.1 to 1"),
            ("[shadow]\nwaiting_max = 65537", "shadow.waiting_max: expected 1 to 65536"),
        ] {
            let said = refused(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
