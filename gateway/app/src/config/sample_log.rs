//! What of the traffic is logged, and how: `[sample_log]`, and `[sample_log.model.NAME]` for single models.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pointsman_core::ModelName;
use pointsman_observe::sample_log::{Bounds, Class, Rates, Retention};

use super::reader::Section;

/// The most requests of a class that may be asked for in a window, which stands for as many as come.
const CAP_MAX: usize = 1_000_000_000;

/// The sample log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SampleLog {
    /// Where it lies; there is none where nothing is named.
    pub(crate) directory: Option<PathBuf>,
    /// What the choice of requests is salted with; nothing for one that is drawn once and kept with the state.
    pub(crate) salt: Option<String>,
    /// What is kept where a model does not say.
    pub(crate) sampling: Sampling,
    /// And where it does.
    pub(crate) models: BTreeMap<ModelName, Sampling>,
    /// How long the windows of caps are.
    pub(crate) window: Duration,
    /// Requests that may wait for the log's thread.
    pub(crate) queue_max: usize,
    /// Bytes of their tensors.
    pub(crate) queue_bytes_max: usize,
    /// How long a request waits for the answers of shadows.
    pub(crate) shadow_wait: Duration,
    /// Bounds of what is collected and written.
    pub(crate) bounds: Bounds,
    /// How often it is seen to that what is written is on the disk.
    pub(crate) sync: Duration,
    /// How much is kept, and for how long.
    pub(crate) retention: Retention,
    /// What is to stay free on the disk.
    pub(crate) disk_reserve: u64,
    /// By how much the log's threads are nicer than those that serve connections.
    pub(crate) niceness: u32,
}

/// What is kept of a model's requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// Whether anything is.
    pub(crate) enabled: bool,
    /// How much of each class.
    pub(crate) rates: Rates,
    /// From when on a request is slow.
    pub(crate) slow_from: Duration,
}

impl Default for SampleLog {
    fn default() -> Self {
        Self {
            directory: None,
            salt: None,
            sampling: Sampling { enabled: true, rates: Rates::default(), slow_from: Duration::from_secs(1) },
            models: BTreeMap::new(),
            window: Duration::from_secs(60),
            queue_max: 4096,
            queue_bytes_max: 64 << 20,
            shadow_wait: Duration::from_secs(3),
            bounds: Bounds::default(),
            sync: Duration::from_secs(1),
            retention: Retention { bytes_max: Some(10 << 30), ..Retention::default() },
            disk_reserve: 1 << 30,
            niceness: 10,
        }
    }
}

impl SampleLog {
    /// What is kept of a model's requests; nothing where nothing is.
    pub(crate) fn of(&self, model: &ModelName) -> Option<&Sampling> {
        let sampling = self.models.get(model).unwrap_or(&self.sampling);
        Some(sampling).filter(|sampling| sampling.enabled)
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.set_optional("directory", &mut self.directory);
        section.set_optional("salt", &mut self.salt);
        self.sampling.read(section);
        set_time(section, "window", &mut self.window, Duration::from_secs(1), 86_400);
        section.set_within("queue_max", &mut self.queue_max, 1..=1_000_000);
        section.set_bytes("queue_bytes_max", &mut self.queue_bytes_max);
        set_time(section, "shadow_wait", &mut self.shadow_wait, Duration::ZERO, 60);
        let bounds = &mut self.bounds;
        section.set_within("batch_rows", &mut bounds.batch_rows, 1..=65_536);
        set_time(section, "batch_wait", &mut bounds.batch_wait, Duration::ZERO, 60);
        section.set_bytes("batch_bytes_max", &mut bounds.batch_bytes);
        section.set_within("record_rows_max", &mut bounds.record_rows_max, 1..=1_000_000);
        section.set_bytes("record_bytes_max", &mut bounds.record_bytes_max);
        set_size(section, "part_bytes", &mut bounds.part_bytes);
        section.set("part_age", &mut bounds.part_age);
        section.set_within("open_max", &mut bounds.open_max, 1..=1024);
        set_size(section, "spool_bytes_max", &mut bounds.spool_bytes_max);
        set_time(section, "sync", &mut self.sync, Duration::from_millis(10), 3600);
        let mut bytes_max =
            self.retention.bytes_max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        section.set_bytes("bytes_max", &mut bytes_max);
        self.retention.bytes_max = Some(bytes_max as u64);
        section.set_optional("age_max", &mut self.retention.age_max);
        let mut when_full = if self.retention.stops_when_full { "stop" } else { "delete_oldest" }.to_owned();
        section.set("when_full", &mut when_full);
        match when_full.as_str() {
            "stop" => self.retention.stops_when_full = true,
            "delete_oldest" => self.retention.stops_when_full = false,
            other => {
                let found = pointsman_core::shown(other);
                section
                    .problem("when_full", format!("expected \"delete_oldest\" or \"stop\", found `{found}`"));
            }
        }
        set_size(section, "disk_reserve", &mut self.disk_reserve);
        section.set_within("niceness", &mut self.niceness, 0..=19);
        if self.bounds.record_bytes_max > MAX_RECORD {
            section.problem("record_bytes_max", "expected 1GiB at most".into());
        }
        for (name, value) in section.named("model") {
            let key = format!("model.{name}");
            let Ok(model) = ModelName::new(&name) else {
                section.problem(&key, "is no name of a model".into());
                continue;
            };
            let toml::Value::Table(table) = value else {
                section.problem(&key, format!("expected a section [sample_log.{key}] with rates"));
                continue;
            };
            let mut sampling = self.sampling.clone();
            section.below(&key, table, |section| {
                section.set("enabled", &mut sampling.enabled);
                sampling.read(section);
            });
            self.models.insert(model, sampling);
        }
    }
}

/// The largest record that may be asked for: offsets in a batch have 32 bits.
const MAX_RECORD: usize = 1 << 30;

impl Sampling {
    fn read(&mut self, section: &mut Section<'_>) {
        for class in Class::ALL {
            let rule = self.rates.of_mut(class);
            let [rate, max] = keys(class);
            section.set_within(rate, &mut rule.rate, 0.0..=1.0);
            let mut cap = rule.cap.and_then(|cap| usize::try_from(cap).ok()).unwrap_or(CAP_MAX);
            section.set_within(max, &mut cap, 1..=CAP_MAX);
            rule.cap = (cap < CAP_MAX).then_some(cap as u64);
        }
        section.set("slow_from", &mut self.slow_from);
    }

    /// All of it as JSON, which rows and files say they were sampled by.
    pub(crate) fn shown(&self, salt: &str, window: Duration) -> String {
        let mut rates = serde_json::Map::new();
        for class in Class::ALL {
            let rule = self.rates.of(class);
            let [rate, max] = keys(class);
            rates.insert(rate.into(), rule.rate.into());
            rates.insert(max.into(), rule.cap.into());
        }
        rates.insert("slow_from_ms".into(), (self.slow_from.as_secs_f64() * 1000.0).into());
        rates.insert("window_ms".into(), (window.as_secs_f64() * 1000.0).into());
        rates.insert("salt".into(), salt.into());
        serde_json::Value::Object(rates).to_string()
    }
}

/// The keys of a class: its rate, and its cap.
fn keys(class: Class) -> [&'static str; 2] {
    match class {
        Class::Uniform => ["uniform_rate", "uniform_max"],
        Class::Slow => ["slow_rate", "slow_max"],
        Class::Violation => ["violation_rate", "violation_max"],
        Class::Disagree => ["disagree_rate", "disagree_max"],
        Class::Nan => ["nan_rate", "nan_max"],
        Class::Error => ["error_rate", "error_max"],
    }
}

/// Sets a time that has a least and a greatest value, the latter in seconds.
fn set_time(section: &mut Section<'_>, key: &'static str, time: &mut Duration, least: Duration, most: u64) {
    section.set(key, time);
    if *time < least || *time > Duration::from_secs(most) {
        section.problem(key, format!("expected {} to {most}s", pointsman_core::show_duration(least)));
    }
}

/// Sets a number of bytes of files.
fn set_size(section: &mut Section<'_>, key: &'static str, size: &mut u64) {
    let mut bytes = usize::try_from(*size).unwrap_or(usize::MAX);
    section.set_bytes(key, &mut bytes);
    *size = bytes as u64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn models_begin_with_what_holds_for_all_and_faults_are_named() {
        let text = "[sample_log]\ndirectory = \"log\"\nuniform_rate = 0.5\nage_max = \"60m\"\nwhen_full = \"stop\"\n\
                    [sample_log.model.iris]\nerror_rate = 0.1\nslow_from = \"2s\"\n\
                    [sample_log.model.digits]\nenabled = false\n";
        let config = Config::read(text).expect("good settings").sample_log;
        let [iris, digits, other] =
            ["iris", "digits", "other"].map(|name| ModelName::new(name).expect("a name"));
        let iris = config.of(&iris).expect("it is logged");
        assert_eq!((iris.rates.uniform.rate, iris.rates.error.rate), (0.5, 0.1));
        assert_eq!((iris.slow_from, config.of(&digits)), (Duration::from_secs(2), None));
        assert_eq!(config.of(&other).map(|other| other.rates.error.rate), Some(1.0));
        assert!(config.retention.stops_when_full && config.retention.age_max.is_some());
        let shown = iris.shown("s", config.window);
        assert!(shown.contains("\"error_rate\":0.1") && shown.contains("\"salt\":\"s\""), "{shown}");
        for (text, part) in [
            ("uniform_rate = 1.5", "sample_log.uniform_rate: expected 0 to 1"),
            ("uniform_max = 0", "sample_log.uniform_max: expected 1 to"),
            ("when_full = \"ignore\"", "sample_log.when_full: expected \"delete_oldest\" or \"stop\""),
            ("record_bytes_max = \"2GiB\"", "sample_log.record_bytes_max: expected 1GiB at most"),
            ("niceness = 20", "sample_log.niceness: expected 0 to 19"),
            ("[sample_log.model.iris]\nuniform_rte = 1", "sample_log.model.iris.uniform_rte: unknown key"),
            ("[sample_log.model.\"a/b\"]", "is no name of a model"),
            ("model = 1", "expected sections [model.NAME]"),
        ] {
            let problems = Config::read(&format!("[sample_log]\n{text}")).expect_err(text);
            let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(said.iter().any(|said| said.contains(part)), "{text}: {said:#?}");
        }
    }
}
