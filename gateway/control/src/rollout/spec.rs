//! What an operator asks for: how a version takes over from the one that serves.

use std::time::Duration;

use pointsman_core::{ModelName, VersionNumber, shown};
use pointsman_route::limits::UNITS_MAX;
use pointsman_route::{Share, UnitSource};
use pointsman_stats::Alpha;
use serde::{Deserialize, Serialize};

use super::guard::{Guard, PART_MAX};
use super::time::{millis, optional_millis};

/// The most stages.
pub const STAGES_MAX: usize = 32;
/// The longest that a stage may have to last, and the longest deadline.
pub(super) const TIME_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// The most that a stage may have to see.
pub(super) const COUNT_MAX: u64 = 1_000_000_000;
/// The most bytes of a webhook's address.
pub(super) const WEBHOOK_BYTES_MAX: usize = 2048;

/// How much callers are exposed to the candidate, from nothing to everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Not at all.
    #[default]
    None,
    /// It sees so many requests after they were answered.
    Shadow(Share),
    /// It answers so many units.
    Canary(Share),
    /// It answers everybody.
    All,
}

impl std::fmt::Display for Exposure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Shadow(share) => write!(f, "shadow of {share}"),
            Self::Canary(share) => share.fmt(f),
            Self::All => f.write_str("100%"),
        }
    }
}

/// One stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How much callers are exposed.
    pub exposure: Exposure,
    /// How long it lasts at least.
    #[serde(with = "millis")]
    pub time_min: Duration,
    /// How many requests or units the candidate sees at least.
    pub count_min: u64,
    /// Whether somebody has to approve of what follows.
    pub approval: bool,
}

impl Stage {
    /// How long a stage lasts at least, unless somebody says otherwise.
    pub const TIME_MIN: Duration = Duration::from_secs(60);
    /// How much the candidate sees at least, unless somebody says otherwise.
    pub const COUNT_MIN: u64 = 100;

    /// A stage without an approval.
    #[must_use]
    pub fn new(exposure: Exposure) -> Self {
        Self { exposure, time_min: Self::TIME_MIN, count_min: Self::COUNT_MIN, approval: false }
    }
}

/// What becomes of a rollout that is not decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It stays where it is.
    Hold,
    /// The candidate leaves.
    Rollback,
    /// It stays where it is, and somebody is asked.
    Ask,
}

impl Outcome {
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("hold", Self::Hold), ("rollback", Self::Rollback), ("ask", Self::Ask)];
}

/// When a rollout is to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// How long after its start.
    #[serde(with = "millis")]
    pub after: Duration,
    /// What happens then.
    pub outcome: Outcome,
}

/// What becomes of a rollout while which a newer version arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewVersion {
    /// It ends, and the newer one takes its place.
    Supersede,
    /// The newer one waits for its end. Of several the newest does.
    Queue,
}

impl OnNewVersion {
    pub(crate) const ALL: [(&'static str, Self); 2] =
        [("supersede", Self::Supersede), ("queue", Self::Queue)];
}

/// What a fresh version does that says nothing about it: caches are cold, memory grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// For how long after its start.
    #[serde(with = "millis")]
    pub time: Duration,
    /// For how many of its requests.
    pub count: u64,
}

/// What ends a rollout at once, without statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// So many panics.
    pub panics: u64,
    /// So many errors in a row.
    pub errors_in_a_row: u64,
    /// So many outputs that are not finite, while the primary has none.
    pub invalid: u64,
}

/// How a version takes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The model.
    pub model: String,
    /// The version.
    pub candidate: VersionNumber,
    /// Where a request says its unit, which stays with its version: the first that it has counts. Each request is a unit
    /// of its own where none is named, or where it has none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitSource>,
    /// Whether a second copy of the version that serves runs beside a shadow, to show how far it is from itself.
    #[serde(default)]
    pub floor: bool,
    /// How long an answer may take in any case, be it slower than the primary's; [`Spec::LATENCY_OBJECTIVE`] where nothing
    /// is said.
    #[serde(default, with = "optional_millis")]
    pub latency_objective: Option<Duration>,
    /// The stages in their order, with less exposure before more. After the last the candidate answers everybody.
    pub stages: Vec<Stage>,
    /// The guards, each question once.
    pub guards: Vec<Guard>,
    /// How often a version that is no worse than the margins may be rolled back.
    pub alpha: Alpha,
    /// When it is to be decided; never where nothing is said.
    pub deadline: Option<Deadline>,
    /// What becomes of it while which a newer version arrives.
    pub on_new: OnNewVersion,
    /// What is left out of the evidence.
    pub warm_up: WarmUp,
    /// What ends it at once.
    pub limits: Limits,
    /// How far behind what is seen may be for it still to move on.
    #[serde(with = "millis")]
    pub lag_max: Duration,
    /// Whom every transition is told.
    pub webhook: Option<String>,
}

/// Why something cannot be asked for: what was said, and what to say instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}; {remedy}")]
pub struct Wrong {
    /// What was said: a flag or a key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What to say instead.
    pub remedy: String,
}

impl Wrong {
    pub(crate) fn new(key: &str, value: &str, remedy: impl Into<String>) -> Self {
        Self { key: key.into(), value: format!("\"{}\"", shown(value)), remedy: remedy.into() }
    }
}

impl Spec {
    /// How long an answer may take in any case, unless somebody says otherwise: a version that gets a hundredth of the
    /// requests has colder caches than the one that gets the rest, and some tenths of a millisecond matter to nobody.
    pub const LATENCY_OBJECTIVE: Duration = Duration::from_millis(5);

    /// The same in microseconds.
    #[must_use]
    pub fn latency_objective_us(&self) -> u64 {
        let objective = self.latency_objective.unwrap_or(Self::LATENCY_OBJECTIVE);
        u64::try_from(objective.as_micros()).unwrap_or(u64::MAX)
    }

    /// A rollout with what is said nowhere else: the default guards, 5 %, and nothing but the canary's shares.
    #[must_use]
    pub fn new(model: &ModelName, candidate: VersionNumber, stages: Vec<Stage>) -> Self {
        Self {
            model: model.to_string(),
            candidate,
            units: Vec::new(),
            floor: false,
            latency_objective: None,
            stages,
            guards: Guard::default_set(),
            alpha: Alpha::new(0.05).unwrap_or_else(|_| unreachable!("0.05 is a level")),
            deadline: None,
            on_new: OnNewVersion::Supersede,
            warm_up: WarmUp { time: Duration::ZERO, count: 20 },
            limits: Limits { panics: 1, errors_in_a_row: 10, invalid: 1 },
            lag_max: Duration::from_secs(5),
            webhook: None,
        }
    }

    /// The guard of a question.
    #[must_use]
    pub fn guard(&self, question: super::Question) -> Option<&Guard> {
        self.guards.iter().find(|guard| guard.question == question)
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key, its value and the remedy.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, value: String, remedy: String| Err(Wrong::new(key, &value, remedy));
        if ModelName::new(&self.model).is_err() {
            return wrong("model", self.model.clone(), "give the name of a model".into());
        }
        self.check_stages()?;
        if self.units.len() > UNITS_MAX {
            return wrong("units", self.units.len().to_string(), format!("give at most {UNITS_MAX}"));
        }
        if self.guards.is_empty() {
            return wrong("guards", String::new(), "give at least one, or \"default\"".into());
        }
        for (at, guard) in self.guards.iter().enumerate() {
            let name = guard.question.name();
            if self.guards[..at].iter().any(|earlier| earlier.question == guard.question) {
                return wrong("guards", name.into(), "give each question once".into());
            }
            if !(1..=PART_MAX).contains(&guard.part) {
                let remedy = format!("give from 1 to {PART_MAX}");
                return wrong(&format!("guards.{name}.part"), guard.part.to_string(), remedy);
            }
        }
        if let Some(deadline) =
            self.deadline.filter(|deadline| deadline.after.is_zero() || deadline.after > TIME_MAX)
        {
            let remedy = format!("give a time of at most {}", super::time::shown(TIME_MAX));
            return wrong("deadline", super::time::shown(deadline.after), remedy);
        }
        let limits = [
            ("limits.panics", self.limits.panics),
            ("limits.errors_in_a_row", self.limits.errors_in_a_row),
            ("limits.invalid", self.limits.invalid),
        ];
        if let Some((key, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return wrong(key, "0".into(), "give at least 1".into());
        }
        if self.warm_up.time > TIME_MAX || self.warm_up.count > COUNT_MAX {
            let value = super::time::shown(self.warm_up.time);
            return wrong("warm_up", value, format!("give at most {COUNT_MAX} requests and 90 days"));
        }
        if let Some(webhook) = &self.webhook {
            let is_address = webhook.starts_with("https://") || webhook.starts_with("http://");
            if !is_address || webhook.len() > WEBHOOK_BYTES_MAX || webhook.chars().any(char::is_control) {
                let remedy =
                    format!("give an address with http:// or https:// of at most {WEBHOOK_BYTES_MAX} bytes");
                return wrong("webhook", webhook.clone(), remedy);
            }
        }
        Ok(())
    }

    fn check_stages(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, value: String, remedy: String| Err(Wrong::new(key, &value, remedy));
        let count = self.stages.len();
        if !(1..=STAGES_MAX).contains(&count) {
            return wrong("stages", count.to_string(), format!("give from 1 to {STAGES_MAX} stages"));
        }
        for (at, stage) in self.stages.iter().enumerate() {
            let exposure = stage.exposure;
            let can_be = match exposure {
                Exposure::None | Exposure::All => false,
                Exposure::Shadow(share) => share > Share::NONE,
                Exposure::Canary(share) => share > Share::NONE && share < Share::ALL,
            };
            if !can_be {
                let remedy =
                    "give a share above 0% and, of answers, below 100%: after the last stage it has all";
                return wrong(&format!("stages[{at}]"), exposure.to_string(), remedy.into());
            }
            if at > 0 && self.stages[at - 1].exposure >= exposure {
                let remedy = format!("give more than {} of the stage before", self.stages[at - 1].exposure);
                return wrong(&format!("stages[{at}]"), exposure.to_string(), remedy);
            }
            if stage.time_min > TIME_MAX {
                let remedy = format!("give at most {}", super::time::shown(TIME_MAX));
                return wrong(&format!("stages[{at}].time_min"), super::time::shown(stage.time_min), remedy);
            }
            if !(1..=COUNT_MAX).contains(&stage.count_min) {
                let remedy = format!("give from 1 to {COUNT_MAX}");
                return wrong(&format!("stages[{at}].count_min"), stage.count_min.to_string(), remedy);
            }
        }
        Ok(())
    }
}
