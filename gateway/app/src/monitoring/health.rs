//! What schemas and numerics find in the traffic of each version: counters, and the first example of each fault.

mod example;
mod metrics;
mod signals;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pointsman_control::Subject;
use pointsman_core::{
    Action, Anomaly, Columns, ModelName, NumericFault, NumericFaults, Origin, Rule, Schema, Validator,
    VersionNumber, has_infinity,
};
use prometheus_client::registry::Registry;

pub(crate) use self::example::Example;
use self::metrics::HealthMetrics;
use self::signals::Looks;
use super::{NoEventTime, Part, Seen, Watcher};

/// The most versions that have left and are remembered; of more, those go that came first.
const LEFT_MAX: usize = 16;

/// The most examples of one version: one for each output and fault.
const EXAMPLES_MAX: usize = 64;

/// Of all versions.
#[derive(Debug, Default)]
pub(crate) struct Health {
    versions: Mutex<Vec<Arc<VersionHealth>>>,
    /// What was counted when it was asked last whether somebody should know.
    looks: Mutex<Looks>,
}

/// What was found in the traffic of one version since it was loaded.
#[derive(Debug)]
pub(crate) struct VersionHealth {
    pub(crate) model: ModelName,
    pub(crate) number: VersionNumber,
    pub(crate) digest: String,
    pub(crate) schema: Option<Arc<Schema>>,
    pub(crate) rules: Vec<RuleCount>,
    /// Where a rule stands among them.
    places: HashMap<(Origin, Arc<str>, Anomaly), usize>,
    /// Requests that were held against the schema, or would have been.
    pub(crate) requests: Count,
    /// Those that broke a rule and were answered.
    pub(crate) flagged: Count,
    /// Those that were refused for one.
    pub(crate) rejected: Count,
    /// Of those that should say when their example is from.
    pub(crate) absent_event_times: Count,
    pub(crate) malformed_event_times: Count,
    pub(crate) outputs: Vec<OutputHealth>,
    columns: Columns,
    /// Monitors that tell of it: more than one where it is loaded again and requests of before are under way.
    watching: AtomicUsize,
    examples: Mutex<BTreeMap<(usize, NumericFault), Example>>,
}

/// What broke one rule.
#[derive(Debug)]
pub(crate) struct RuleCount {
    pub(crate) rule: Rule,
    /// Values.
    pub(crate) values: Count,
    /// Requests that had any.
    pub(crate) requests: Count,
}

/// The numbers of one output.
#[derive(Debug)]
pub(crate) struct OutputHealth {
    pub(crate) name: Arc<str>,
    /// How many have each fault, in the order of [`NumericFault::ALL`].
    pub(crate) faults: [Count; NumericFault::ALL.len()],
}

/// A number that goes up.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }
}

impl Health {
    /// Counts in series of its own.
    #[must_use]
    pub(crate) fn new(instruments: &mut Registry) -> Arc<Self> {
        let health = Arc::new(Self::default());
        instruments.register_collector(Box::new(HealthMetrics(health.clone())));
        health
    }

    /// What was found, by model and version; with whether the version is still in memory.
    #[must_use]
    pub(crate) fn versions(&self) -> Vec<(Arc<VersionHealth>, bool)> {
        let kept = self.versions.lock();
        let with = |version: &Arc<VersionHealth>| (version.clone(), version.is_watched());
        let mut versions: Vec<_> = kept.iter().map(with).collect();
        drop(kept);
        versions.sort_by(|(a, _), (b, _)| (&a.model, a.number).cmp(&(&b.model, b.number)));
        versions
    }

    /// Remembers a version in place of what was known of its number; where nothing about it has changed, that is gone on
    /// with.
    fn keep(&self, new: VersionHealth) -> Arc<VersionHealth> {
        let mut kept = self.versions.lock();
        let is_it = |known: &Arc<VersionHealth>| known.model == new.model && known.number == new.number;
        if let Some(place) = kept.iter().position(is_it) {
            let known = kept.remove(place);
            let new = if known.counts_for(&new) { known } else { Arc::new(new) };
            kept.push(new.clone());
            return new;
        }
        let left = kept.iter().filter(|known| !known.is_watched()).count();
        if left >= LEFT_MAX
            && let Some(place) = kept.iter().position(|known| !known.is_watched())
        {
            kept.remove(place);
        }
        let new = Arc::new(new);
        kept.push(new.clone());
        new
    }
}

/// The word for where a column is from, in labels and documents.
#[must_use]
pub(crate) fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Input => "input",
        Origin::Output => "output",
    }
}

impl Part for Health {
    fn watcher(&self, subject: Subject<'_>, _: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        Some(Arc::new(Watching::of(self.keep(VersionHealth::new(subject)))))
    }
}

impl VersionHealth {
    fn new(subject: Subject<'_>) -> Self {
        let schema = subject.schema.cloned();
        // What does not count of it was told when the version was loaded.
        let rules = schema.as_ref().map(|schema| Validator::compile(schema, subject.signature).0.rules());
        let rules = rules.unwrap_or_default();
        let place = |(place, rule): (usize, &Rule)| ((rule.origin, rule.column.clone(), rule.anomaly), place);
        let places = rules.iter().enumerate().map(place).collect();
        let count = |rule| RuleCount { rule, values: Count::default(), requests: Count::default() };
        let outputs = subject.signature.outputs.iter();
        let outputs =
            outputs.map(|output| OutputHealth { name: output.name.clone(), faults: Default::default() });
        Self {
            model: subject.model.clone(),
            number: subject.number,
            digest: subject.digest.to_owned(),
            schema,
            rules: rules.into_iter().map(count).collect(),
            places,
            requests: Count::default(),
            flagged: Count::default(),
            rejected: Count::default(),
            absent_event_times: Count::default(),
            malformed_event_times: Count::default(),
            outputs: outputs.collect(),
            columns: Columns::of(subject.signature),
            watching: AtomicUsize::new(0),
            examples: Mutex::default(),
        }
    }

    /// Whether the version is in memory still.
    fn is_watched(&self) -> bool {
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// Whether what it counts is the same as what `other` would count.
    fn counts_for(&self, other: &Self) -> bool {
        let is_schema = self.schema.as_ref().map(|schema| &schema.digest)
            == other.schema.as_ref().map(|schema| &schema.digest);
        is_schema && self.digest == other.digest && self.columns == other.columns
    }

    /// The first example of each fault that outputs had.
    #[must_use]
    pub(crate) fn examples(&self) -> Vec<Example> {
        self.examples.lock().values().cloned().collect()
    }

    fn count_violations(&self, seen: &Seen) {
        let mut is_rejected = false;
        for violation in &seen.exchange.violations {
            let key = (violation.origin, violation.column.clone(), violation.anomaly);
            let Some(rule) = self.places.get(&key).and_then(|place| self.rules.get(*place)) else { continue };
            rule.values.add(violation.values);
            rule.requests.add(1);
            is_rejected |= rule.rule.action == Action::Reject;
        }
        if is_rejected {
            self.rejected.add(1);
        } else if !seen.exchange.violations.is_empty() {
            self.flagged.add(1);
        }
    }

    fn count_event_time(&self, seen: &Seen) {
        match seen.no_event_time {
            None => {}
            Some(NoEventTime::Absent) => self.absent_event_times.add(1),
            Some(NoEventTime::Malformed) => self.malformed_event_times.add(1),
        }
    }

    fn count_faults(&self, seen: &Seen) {
        let Ok(outputs) = &seen.exchange.outputs else { return };
        for output in outputs {
            let faults = NumericFaults::of(&output.tensor, || has_infinity(&seen.exchange.inputs));
            let Some(faults) = faults else { continue };
            let named = self.outputs.iter().enumerate().find(|(_, known)| known.name == output.name);
            let Some((place, known)) = named else { continue };
            for (fault, count, first) in faults.each() {
                known.faults[fault as usize].add(count);
                let mut examples = self.examples.lock();
                if examples.len() < EXAMPLES_MAX && !examples.contains_key(&(place, fault)) {
                    let example =
                        Example::of(seen, output, fault, first, &self.columns, self.schema.as_deref());
                    examples.insert((place, fault), example);
                }
            }
        }
    }
}

/// The monitor of a version.
struct Watching(Arc<VersionHealth>);

impl Watching {
    fn of(version: Arc<VersionHealth>) -> Self {
        version.watching.fetch_add(1, Ordering::Relaxed);
        Self(version)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watcher for Watching {
    fn saw(&self, seen: &Arc<Seen>) {
        self.0.saw(seen);
    }
}

impl VersionHealth {
    /// Counts an exchange.
    fn saw(&self, seen: &Seen) {
        let exchange = &seen.exchange;
        // Before that nothing is known of it but that it is refused.
        if exchange.inputs.is_empty() && exchange.outputs.is_err() {
            return;
        }
        self.requests.add(1);
        if !exchange.violations.is_empty() {
            self.count_violations(seen);
        }
        self.count_event_time(seen);
        self.count_faults(seen);
    }
}

#[cfg(test)]
mod tests;
