//! The configuration of a gateway that runs: what counts, where it comes from, and reading it again.

use std::sync::{PoisonError, RwLock};

use pointsman_control::Policy;
use pointsman_core::{Code, PredictError};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::cli;
use crate::config::{Config, Effective, Origin};
use crate::control::Control;
use crate::telemetry::LogLevel;

/// Sections whose keys count from the moment they are read again; the others are read at a start alone.
const LIVE: [&str; 6] = ["registry.", "gates.", "trial.", "model.", "plan.", "rollout."];
/// Single keys that do, too. Of `serving` they count for versions that are loaded from then on.
const LIVE_KEYS: [&str; 9] = [
    "log.level",
    "serving.engine",
    "serving.workers",
    "serving.queue_max",
    "serving.queue_delay",
    "serving.inline",
    "serving.intra_op_threads",
    "serving.spinning",
    "serving.niceness",
];
/// Keys of live sections that count at a start alone.
const STARTED_WITH: [&str; 1] = ["registry.loads_max"];

/// How a configuration becomes a policy of the control path.
pub(crate) type MakePolicy = Box<dyn Fn(&Config) -> Policy + Send + Sync>;

/// The configuration that counts, and how it is read again.
pub(crate) struct Reload {
    source: cli::Serve,
    make_policy: MakePolicy,
    log_level: LogLevel,
    reloads: Family<ResultLabels, Counter>,
    running: RwLock<Vec<Effective>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

impl Reload {
    pub(crate) fn new(
        source: cli::Serve,
        effective: Vec<Effective>,
        make_policy: MakePolicy,
        log_level: LogLevel,
        registry: &mut Registry,
    ) -> Self {
        let reloads = Family::<ResultLabels, Counter>::default();
        registry.register(
            "pointsman_config_reloads",
            "Times that the configuration was read again, by result: taken or kept (the old one)",
            reloads.clone(),
        );
        for result in ["taken", "kept"] {
            // So that both can be read before the first time.
            let _ = reloads.get_or_create(&ResultLabels { result });
        }
        Self { source, make_policy, log_level, reloads, running: RwLock::new(effective) }
    }

    /// Every key with its value and where that comes from.
    #[must_use]
    pub(crate) fn effective(&self) -> Value {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Value> = running
            .iter()
            .map(|key| json!({"key": key.key, "value": key.value, "origin": origin(&key.origin)}))
            .collect();
        json!({"config": keys})
    }

    /// Reads the configuration again. Where anything is wrong with it, the old one goes on counting.
    ///
    /// # Errors
    /// [`PredictError::Control`] with every problem.
    pub(crate) fn reload(&self, control: &Control) -> Result<Value, PredictError> {
        let taken = self.take(control);
        let result = if taken.is_ok() { "taken" } else { "kept" };
        self.reloads.get_or_create(&ResultLabels { result }).inc();
        taken.map_err(|reason| {
            tracing::error!("the configuration was read again and is not taken: {reason}");
            PredictError::Control { code: Code::Refused, reason }
        })
    }

    fn take(&self, control: &Control) -> Result<Value, String> {
        let (config, effective) = self.source.config().map_err(|problems| problems.join(" | "))?;
        self.log_level.set(&config.log)?;
        control.handle().configure((self.make_policy)(&config));
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        let mut at_a_start = Vec::new();
        let mut merged = Vec::new();
        for new in effective {
            let old = running.iter().find(|old| old.key == new.key);
            let same = old.is_some_and(|old| old.value == new.value);
            if !same && !is_live(&new.key) {
                at_a_start.push(new.key);
                merged.extend(old.cloned());
                continue;
            }
            if !same {
                changed.push(new.key.clone());
            }
            merged.push(new);
        }
        let gone = |old: &&Effective| is_live(&old.key) && !merged.iter().any(|new| new.key == old.key);
        changed.extend(running.iter().filter(gone).map(|old| old.key.clone()));
        *running = merged;
        tracing::info!(
            changed = changed.join(", "),
            restart_needed = at_a_start.join(", "),
            "the configuration was read again"
        );
        Ok(json!({"changed": changed, "restart_needed": at_a_start}))
    }
}

fn is_live(key: &str) -> bool {
    let live = LIVE.iter().any(|section| key.starts_with(section)) || LIVE_KEYS.contains(&key);
    live && !STARTED_WITH.contains(&key)
}

fn origin(origin: &Origin) -> &str {
    match origin {
        Origin::Default => "default",
        Origin::File => "file",
        Origin::Given(name) => name,
    }
}
