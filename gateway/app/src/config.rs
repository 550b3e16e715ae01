//! The configuration: one TOML file, every key with a default.
//!
//! [`Config::read_with_origins`] refuses unknown keys and reports every problem at once, each with its key.
//! `deploy/pointsman.toml` lists all keys with their defaults; a test holds the two together.

mod alerts;
mod drift;
mod labels;
mod limits;
mod listen;
mod models;
mod plans;
mod quality;
mod reader;
mod sample_log;
mod serving;
mod setting;
mod shadows;
mod staleness;
mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pointsman_control::Gates;
use pointsman_core::ModelName;
use pointsman_observe::Settings;
use pointsman_observe::quality::ConcernLimits;
use pointsman_predict::AdmissionLimits;
use pointsman_registry::Card;
use pointsman_route::Document;
use pointsman_wire::limits::Limits;

pub(crate) use self::drift::Drift;
pub(crate) use self::labels::Labels;
pub(crate) use self::limits::Connections;
pub(crate) use self::listen::{Listen, not_loopback};
pub(crate) use self::reader::{Effective, Origin, Problem};
use self::reader::{Notes, Section};
pub(crate) use self::sample_log::SampleLog;
pub(crate) use self::serving::Serving;
use self::setting::Setting;
pub(crate) use self::setting::{LogFormat, Readiness};
pub(crate) use self::shadows::Shadow;
pub(crate) use self::webhook::Webhook;
use crate::monitoring::AgeLimits;

/// How often a rollout is looked at, at least and at most.
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(3600);

/// How often golden cases may be asked again.
const SAME_SCORE_MIN: Duration = Duration::from_millis(100);

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// The registry's directory.
    pub(crate) models: PathBuf,
    /// Where state is kept; nowhere where nothing is named.
    pub(crate) state: Option<PathBuf>,
    /// The addresses to listen on.
    pub(crate) listen: Listen,
    /// How models are run.
    pub(crate) serving: Serving,
    /// How the registry is followed.
    pub(crate) registry: Registry,
    /// What is declared of models in place of their cards.
    pub(crate) model: BTreeMap<ModelName, Card>,
    /// How callers of models are split who name no version.
    pub(crate) plan: BTreeMap<ModelName, Document>,
    /// How versions take over.
    pub(crate) rollout: Rollout,
    /// How shadows run.
    pub(crate) shadow: Shadow,
    /// What the answers of shadows are held to.
    pub(crate) compare: BTreeMap<ModelName, Settings>,
    /// The path of the ONNX Runtime library, before any other place is looked at.
    pub(crate) onnxruntime_library: Option<PathBuf>,
    /// What a version has to pass before it serves.
    pub(crate) gates: Gates,
    /// The trial of versions in a process of their own.
    pub(crate) trial: Trial,
    /// What one request may be made of.
    pub(crate) limits: Limits,
    /// What may be in flight.
    pub(crate) admission: AdmissionLimits,
    /// The most that the process may have in memory before requests are refused; nothing leaves it to the system.
    pub(crate) memory_max: Option<usize>,
    /// Bounds of connections.
    pub(crate) connections: Connections,
    /// Refusals a second, for each core, that are answered at once.
    pub(crate) refusals_max: usize,
    /// The way down.
    pub(crate) shutdown: Shutdown,
    /// The log.
    pub(crate) log: Log,
    /// OpenTelemetry.
    pub(crate) telemetry: Telemetry,
    /// What becomes of labels.
    pub(crate) labels: Labels,
    /// What figures of models should reach.
    pub(crate) quality: BTreeMap<ModelName, ConcernLimits>,
    /// From what age on versions and their data are too old.
    pub(crate) staleness: AgeLimits,
    /// Who may be told of rollouts and alerts.
    pub(crate) webhook: Webhook,
    /// How often versions that serve are asked their golden cases again; never where it is no time.
    pub(crate) same_score_every: Duration,
    /// What somebody should know.
    pub(crate) alerts: crate::alerts::Settings,
    /// Windows of traffic, and when their drift is an alarm.
    pub(crate) drift: Drift,
    /// What of the traffic is logged.
    pub(crate) sample_log: SampleLog,
}

/// How the registry is followed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Registry {
    /// How long a folder without a manifest has to be quiet before it counts as complete.
    pub(crate) settle: Duration,
    /// How often it is looked at where no file event came.
    pub(crate) poll: Duration,
    /// How long the version that served before stays loaded.
    pub(crate) previous_kept: Duration,
    /// Loads at the same time.
    pub(crate) loads_max: usize,
    /// How long one may take before it counts as failed.
    pub(crate) load_timeout: Duration,
    /// Failed tries in a row after which a version is left alone.
    pub(crate) attempts_max: u32,
}

/// How versions take over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rollout {
    /// How often what was seen is looked at.
    pub(crate) look: Duration,
}

/// The trial of versions in a process of their own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trial {
    /// Whether there is one.
    pub(crate) enabled: bool,
    /// Bytes of memory that the process may write to.
    pub(crate) memory_max: usize,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

/// The way down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shutdown {
    /// How long connections are accepted after readiness went false.
    pub(crate) drain_delay: Duration,
    /// How long requests that were accepted may take after that.
    pub(crate) drain_timeout: Duration,
}

/// The log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Log {
    /// A filter in the syntax of `tracing_subscriber::EnvFilter`.
    pub(crate) level: String,
    /// Text or JSON.
    pub(crate) format: LogFormat,
    /// Whether every request is logged.
    pub(crate) requests: bool,
}

/// OpenTelemetry traces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Telemetry {
    /// The OTLP (gRPC) endpoint; off where none is named.
    pub(crate) otlp_endpoint: Option<String>,
    /// The share of requests without a sampled parent that are traced.
    pub(crate) sample_ratio: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            models: "models".into(),
            state: None,
            listen: Listen::default(),
            serving: Serving::default(),
            registry: Registry {
                settle: Duration::from_secs(2),
                poll: Duration::from_secs(5),
                previous_kept: Duration::from_secs(600),
                loads_max: 1,
                load_timeout: Duration::from_secs(600),
                attempts_max: 5,
            },
            model: BTreeMap::new(),
            plan: BTreeMap::new(),
            rollout: Rollout { look: Duration::from_secs(10) },
            shadow: Shadow::default(),
            compare: BTreeMap::new(),
            onnxruntime_library: None,
            gates: Gates::default(),
            trial: Trial { enabled: false, memory_max: 4 << 30, timeout: Duration::from_secs(60) },
            limits: Limits::default(),
            admission: AdmissionLimits::default(),
            memory_max: None,
            connections: Connections::default(),
            refusals_max: 2000,
            shutdown: Shutdown {
                drain_delay: Duration::from_secs(5),
                drain_timeout: Duration::from_secs(30),
            },
            log: Log { level: "info".into(), format: LogFormat::Text, requests: false },
            telemetry: Telemetry { otlp_endpoint: None, sample_ratio: 1.0 },
            labels: Labels::default(),
            quality: BTreeMap::new(),
            staleness: AgeLimits::default(),
            webhook: Webhook::default(),
            same_score_every: Duration::from_secs(3600),
            alerts: crate::alerts::Settings::default(),
            drift: Drift::default(),
            sample_log: SampleLog::default(),
        }
    }
}

impl Config {
    /// Reads a configuration file's text.
    ///
    /// # Errors
    /// Every problem of the text, in the order of the keys.
    #[cfg(test)]
    pub(crate) fn read(text: &str) -> Result<Self, Vec<Problem>> {
        Self::read_with_origins(text).map(|(config, _)| config)
    }

    /// Reads a configuration file's text, and says of every key where its value comes from.
    ///
    /// # Errors
    /// Every problem of the text, in the order of the keys.
    pub(crate) fn read_with_origins(text: &str) -> Result<(Self, Vec<Effective>), Vec<Problem>> {
        let mut notes = Notes::default();
        let mut config = Self::default();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => return Err(vec![Problem::syntax(&error)]),
        };
        let mut root = Section::root(table, &mut notes);
        root.set("models", &mut config.models);
        root.set_optional("state", &mut config.state);
        root.section("listen", |s| config.listen.read(s));
        root.section("serving", |s| config.serving.read(s));
        root.section("registry", |s| config.registry.read(s));
        config.model = models::read(&mut root);
        config.plan = plans::read(&mut root);
        root.section("rollout", |s| {
            s.set("look", &mut config.rollout.look);
            if !(LOOK_MIN..=LOOK_MAX).contains(&config.rollout.look) {
                s.problem("look", "give a time from 50ms to 1h".into());
            }
        });
        root.section("shadow", |s| config.shadow.read(s));
        root.section("drift", |s| config.drift.read(s));
        config.compare = shadows::read_compare(&mut root);
        root.section("onnxruntime", |s| s.set_optional("library", &mut config.onnxruntime_library));
        root.section("gates", |s| read_gates(s, &mut config.gates));
        root.section("trial", |s| {
            s.set("enabled", &mut config.trial.enabled);
            s.set_bytes("memory_max", &mut config.trial.memory_max);
            s.set("timeout", &mut config.trial.timeout);
        });
        root.section("limits", |s| {
            limits::read(s, &mut config.limits, &mut config.admission, &mut config.connections);
            s.set_within("refusals_max", &mut config.refusals_max, 1..=10_000_000);
            s.set_optional_bytes("memory_max", &mut config.memory_max);
        });
        root.section("shutdown", |s| {
            s.set("drain_delay", &mut config.shutdown.drain_delay);
            s.set("drain_timeout", &mut config.shutdown.drain_timeout);
        });
        root.section("log", |s| {
            s.set("level", &mut config.log.level);
            s.set("format", &mut config.log.format);
            s.set("requests", &mut config.log.requests);
        });
        root.section("telemetry", |s| {
            s.set_optional("otlp_endpoint", &mut config.telemetry.otlp_endpoint);
            s.set_within("sample_ratio", &mut config.telemetry.sample_ratio, 0.0..=1.0);
        });
        root.section("labels", |s| config.labels.read(s));
        config.quality = quality::read(&mut root);
        root.section("staleness", |s| staleness::read(s, &mut config.staleness));
        root.section("webhook", |s| config.webhook.read(s));
        root.section("same_score", |s| {
            s.set("every", &mut config.same_score_every);
            if !config.same_score_every.is_zero() && config.same_score_every < SAME_SCORE_MIN {
                s.problem("every", "give a time of 100ms at least, or 0s for never".into());
            }
        });
        config.alerts = alerts::read(&mut root);
        root.section("sample_log", |s| config.sample_log.read(s));
        root.finish();
        if notes.problems.is_empty() { Ok((config, notes.effective)) } else { Err(notes.problems) }
    }
}

impl Config {
    /// The value of a key that a flag can give, as it would stand in the file.
    pub(crate) fn shown(&self, key: &str) -> Option<String> {
        let listen = &self.listen;
        match key {
            "models" => Some(self.models.show()),
            "state" => self.state.as_ref().map(Setting::show),
            "onnxruntime.library" => self.onnxruntime_library.as_ref().map(Setting::show),
            "listen.http" => Some(listen.http.show()),
            "listen.grpc" => Some(listen.grpc.show()),
            "listen.metrics" => Some(listen.metrics.show()),
            "listen.admin" => Some(listen.admin.show()),
            _ => None,
        }
    }
}

impl Registry {
    fn read(&mut self, section: &mut Section<'_>) {
        section.set("settle", &mut self.settle);
        section.set("poll", &mut self.poll);
        section.set("previous_kept", &mut self.previous_kept);
        section.set_within("loads_max", &mut self.loads_max, 1..=64);
        section.set("load_timeout", &mut self.load_timeout);
        section.set_within("attempts_max", &mut self.attempts_max, 1..=1000);
    }
}

fn read_gates(section: &mut Section<'_>, gates: &mut Gates) {
    section.set("integer_division", &mut gates.integer_division);
    section.set("breaking", &mut gates.breaking);
    section.set("latency", &mut gates.latency);
    section.set_within("latency_ratio_max", &mut gates.latency_ratio_max, 1.0..=1000.0);
    section.set_bytes("memory_reserve", &mut gates.memory_reserve);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_configuration_is_the_default() {
        let reference = include_str!("../../../deploy/pointsman.toml");
        assert_eq!(Config::read(reference), Ok(Config::default()));
        // With the optional keys uncommented every key stands in it, and none that does not exist.
        let all: String =
            reference.lines().map(|l| l.strip_prefix("#: ").unwrap_or(l).to_owned() + "\n").collect();
        let config = Config::read(&all).unwrap();
        assert!(config.state.is_some() && config.onnxruntime_library.is_some());
        assert!(config.telemetry.otlp_endpoint.is_some());
        assert!(config.webhook.allowed.len() == 1 && config.webhook.ca_file.is_some());
        assert!(config.admission.requests_per_caller_max.is_some() && config.serving.workers.is_some());
        assert!(config.serving.cores.is_some() && config.memory_max.is_some());
        assert!(config.sample_log.directory.is_some() && config.sample_log.models.len() == 1);
    }

    #[test]
    fn the_reference_configuration_lists_every_key() {
        let reference = include_str!("../../../deploy/pointsman.toml");
        // An unknown key in each section makes the reader name the known ones.
        let sections = [
            "listen",
            "serving",
            "registry",
            "rollout",
            "shadow",
            "drift",
            "onnxruntime",
            "gates",
            "trial",
            "limits",
            "shutdown",
            "log",
            "telemetry",
            "labels",
            "staleness",
            "webhook",
            "same_score",
            "alerts",
            "sample_log",
        ];
        let probe: String = sections.iter().map(|s| format!("[{s}]\nzzzzzzzzzz = 1\n")).collect();
        let problems = Config::read(&format!("zzzzzzzzzz = 1\n{probe}")).unwrap_err();
        assert_eq!(problems.len(), sections.len() + 1);
        for problem in problems {
            let text = problem.to_string();
            let (_, keys) = text.split_once("the keys here are ").unwrap();
            for key in keys.split(", ") {
                let stands = |line: &str| {
                    let line = line.trim_start_matches("#: ");
                    line.starts_with(&format!("{key} ="))
                        || line == format!("[{key}]")
                        || line.starts_with(&format!("[{key}."))
                };
                assert!(reference.lines().any(stands), "{key} is not in deploy/pointsman.toml");
            }
        }
    }

    #[test]
    fn every_problem_is_reported_with_its_key() {
        let text = "modles = \"x\"\n[listen]\nhttp = \"nowhere\"\n[serving]\nworkers = 0\nengine = \"tensorrt\"\n\
                    [limits]\nbody_bytes_max = \"64 parsecs\"\n[shutdown]\ndrain_delay = 5\n[logg]\n";
        let problems = Config::read(text).unwrap_err();
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for key in [
            "modles",
            "listen.http",
            "serving.workers",
            "serving.engine",
            "limits.body_bytes_max",
            "shutdown.drain_delay",
            "logg",
        ] {
            assert!(text.iter().any(|t| t.starts_with(&format!("{key}:"))), "{key} in {text:#?}");
        }
        assert_eq!(text.len(), 7, "{text:#?}");
        assert!(text.iter().any(|t| t.contains("did you mean `models`")), "{text:#?}");
    }
}
