//! How old versions are, and the data that they were trained on.

mod signals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use pointsman_control::Subject;
use pointsman_core::{ModelName, VersionNumber};
use pointsman_registry::read_moment;

use super::{Part, Watcher};

/// The most versions whose moments are known; past it those of the first model go.
const VERSIONS_MAX: usize = 65_536;

/// When a version was trained, and until when its data goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moments {
    trained_at: Option<SystemTime>,
    data_until: Option<SystemTime>,
}

/// From what age on something is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgeLimits {
    /// That of a version, from its training on.
    pub(crate) model: [Option<Duration>; 2],
    /// That of its data.
    pub(crate) data: [Option<Duration>; 2],
}

/// How old something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staleness {
    /// Past the first limit.
    Warn,
    /// Past the second one.
    Critical,
}

/// What the manifests of versions say of their age. It looks at no traffic.
pub(crate) struct Ages {
    limits: AgeLimits,
    known: Mutex<BTreeMap<(ModelName, VersionNumber), Moments>>,
}

impl Ages {
    pub(crate) fn new(limits: AgeLimits) -> Arc<Self> {
        Arc::new(Self { limits, known: Mutex::default() })
    }

    /// What is known of a version.
    pub(crate) fn of(&self, model: &ModelName, number: VersionNumber) -> Moments {
        self.known.lock().get(&(model.clone(), number)).copied().unwrap_or_default()
    }

    /// From what age on a version is too old, first.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.limits.model.into_iter().flatten().min()
    }

    /// Whether a version, or its data, is too old at a moment: the worse of both.
    pub(crate) fn staleness(&self, moments: Moments, now: SystemTime) -> Option<Staleness> {
        let past = |age: Option<Duration>, [warn, critical]: [Option<Duration>; 2]| {
            let age = age?;
            let is_past = |limit: Option<Duration>| limit.is_some_and(|limit| age >= limit);
            if is_past(critical) {
                Some(Staleness::Critical)
            } else {
                is_past(warn).then_some(Staleness::Warn)
            }
        };
        let both =
            [past(moments.model_age(now), self.limits.model), past(moments.data_age(now), self.limits.data)];
        if both.contains(&Some(Staleness::Critical)) {
            Some(Staleness::Critical)
        } else {
            both[0].or(both[1])
        }
    }
}

impl Staleness {
    /// The word in answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Critical => "critical",
        }
    }
}

impl Moments {
    /// How long ago it was trained; nothing where that is not known.
    pub(crate) fn model_age(self, now: SystemTime) -> Option<Duration> {
        Some(now.duration_since(self.trained_at?).unwrap_or_default())
    }

    /// How long ago its data ends.
    pub(crate) fn data_age(self, now: SystemTime) -> Option<Duration> {
        Some(now.duration_since(self.data_until?).unwrap_or_default())
    }
}

impl Part for Ages {
    fn watcher(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        let mut moment = |key: &str, text: Option<&String>| {
            let read = read_moment(text?);
            read.map_err(|what| warnings.push(format!("manifest.toml: {key} = {what}"))).ok()
        };
        let manifest = subject.manifest;
        let trained_at = moment("trained_at", manifest.and_then(|manifest| manifest.trained_at.as_ref()));
        let data_until = moment("data_until", manifest.and_then(|manifest| manifest.data_until.as_ref()));
        let mut known = self.known.lock();
        known.insert((subject.model.clone(), subject.number), Moments { trained_at, data_until });
        while known.len() > VERSIONS_MAX {
            known.pop_first();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_both_ages_counts() {
        let day = |days: u64| Duration::from_secs(days * 24 * 3600);
        let limits = AgeLimits { model: [Some(day(30)), Some(day(90))], data: [None, Some(day(200))] };
        let (ages, now) = (Ages::new(limits), SystemTime::UNIX_EPOCH + day(1000));
        let of = |trained: Option<u64>, data: Option<u64>| {
            let before = |days: u64| now - day(days);
            let moments = Moments { trained_at: trained.map(before), data_until: data.map(before) };
            ages.staleness(moments, now)
        };
        assert_eq!([of(None, None), of(Some(29), Some(199))], [None, None]);
        assert_eq!([of(Some(30), None), of(Some(89), Some(1))], [Some(Staleness::Warn); 2]);
        assert_eq!([of(Some(90), None), of(Some(31), Some(200))], [Some(Staleness::Critical); 2]);
        let later = Moments { trained_at: Some(now + day(1)), data_until: None };
        assert_eq!(later.model_age(now), Some(Duration::ZERO));
    }
}
