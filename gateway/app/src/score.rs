//! What is known of a version that the ML Test Score asks for, gathered from the parts that know it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use pointsman_control::{ModelStatus, Subject, What, Written};
use pointsman_core::{ColumnKind, ModelName, NumericFault, Redaction, VersionNumber};
use pointsman_observe::quality::{Ask, Window};
use pointsman_observe::{Score, ScoreFacts};
use pointsman_predict::{ServedModel, Version};
use pointsman_stats::Alpha;

use crate::gateway::Gateway;
use crate::labels::ALPHA;
use crate::monitoring::{Part, VersionHealth, Watcher};

/// The most versions of which it is known where they come from; past it those of the first model go.
const VERSIONS_MAX: usize = 65_536;

/// Where versions come from, as their manifests say it. It looks at no traffic.
#[derive(Default)]
pub(crate) struct Provenance {
    known: Mutex<BTreeMap<(ModelName, VersionNumber), Origins>>,
}

/// Where one version comes from.
#[derive(Clone, Debug, Default)]
struct Origins {
    has_digests: bool,
    has_lineage: bool,
    approved_by: Option<String>,
}

impl Part for Provenance {
    fn watcher(&self, subject: Subject<'_>, _: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        let origins = subject.manifest.map_or_else(Origins::default, |manifest| Origins {
            has_digests: manifest.files.is_some(),
            has_lineage: !manifest.lineage.is_empty(),
            approved_by: manifest.approved_by.clone(),
        });
        let mut known = self.known.lock();
        known.insert((subject.model.clone(), subject.number), origins);
        while known.len() > VERSIONS_MAX {
            known.pop_first();
        }
        None
    }
}

/// The score of a version that serves. Goes over labels and profiles, so it may take a while.
pub(crate) fn score(
    gateway: &Gateway,
    served: &ServedModel,
    version: &Version,
    status: Option<&ModelStatus>,
    journal: &[Written],
) -> Score {
    let monitors = &gateway.monitors;
    let (model, number) = (&served.name, version.spec().number);
    let health = monitors.health.versions().into_iter().map(|(health, _)| health);
    let health = health.into_iter().find(|health| health.model == *model && health.number == number);
    let schema = health.as_ref().and_then(|health| health.schema.clone());
    let origins = monitors.provenance.known.lock().get(&(model.clone(), number)).cloned().unwrap_or_default();
    let golden = monitors.same_score.record(model, number).filter(|record| record.cases > 0);
    let profile = monitors.profiles.list().into_iter();
    let profile = profile.into_iter().find(|of| of.model == model.as_str() && of.version == number.get());
    let previous = status.and_then(|status| status.previous);
    let age = monitors.ages.of(model, number).model_age(SystemTime::now());
    let days = |time: Duration| time.as_secs_f64() / 86_400.0;
    let mut facts = ScoreFacts {
        model: model.to_string(),
        version: number.get(),
        schema: health.as_ref().filter(|_| schema.is_some()).map(|health| broken(health)),
        sample_log: monitors.sample_log.as_ref().map(|_| {
            let columns = schema.iter().flat_map(|schema| schema.inputs.values());
            let keeps = |column: &&pointsman_core::ColumnSchema| {
                column.kind == Some(ColumnKind::String) && column.log == Some(Redaction::Keep)
            };
            columns.filter(keeps).count()
        }),
        slices: schema.iter().flat_map(|schema| &schema.slices).map(ToString::to_string).collect(),
        golden: golden.map(|record| (record.cases, record.asked, record.failed)),
        has_digests: origins.has_digests,
        has_quality_limits: gateway.monitors.labels.has_limits(&version.spec().model),
        approved_by: origins.approved_by,
        has_lineage: origins.has_lineage,
        is_replayable: monitors.sample_log.is_some(),
        rollout: rollout(journal, number),
        previous: previous.map(|previous| (previous.get(), served.versions.contains_key(&previous))),
        rollback_ms: last_rollback(journal).map(|took| took.as_secs_f64() * 1000.0),
        baseline: profile
            .filter(|profile| profile.has_baseline)
            .map(|profile| (profile.rows, profile.drifted.len())),
        age_days: (age.map(days), monitors.ages.limit().map(days)),
        numerics: health.as_ref().map(|health| numerics(health)),
        latency_ratio: previous.and_then(|previous| slower(version, served.versions.get(&previous)?)),
        ..ScoreFacts::default()
    };
    labels(gateway, &mut facts);
    Score::of(&facts)
}

/// Columns with rules, and requests that broke one.
fn broken(health: &VersionHealth) -> (usize, u64) {
    let mut columns: Vec<_> = health.rules.iter().map(|of| (of.rule.origin, &of.rule.column)).collect();
    columns.sort_unstable();
    columns.dedup();
    (columns.len(), health.flagged.get() + health.rejected.get())
}

/// Requests whose answers were looked at, and values in them that are no numbers to work with.
fn numerics(health: &VersionHealth) -> (u64, u64) {
    let of = |fault: NumericFault| {
        health.outputs.iter().map(|output| output.faults[fault as usize].get()).sum::<u64>()
    };
    (health.requests.get(), of(NumericFault::Nan) + of(NumericFault::Infinite))
}

/// The rollout that led to a version, where its last takeover was one's.
fn rollout(journal: &[Written], number: VersionNumber) -> Option<u64> {
    let takeovers = journal.iter().map(|written| &written.entry);
    let mut takeovers = takeovers.filter(|entry| entry.version == Some(number) && entry.what == What::Swap);
    takeovers.next_back()?.by.strip_prefix("rollout ")?.parse().ok()
}

fn last_rollback(journal: &[Written]) -> Option<Duration> {
    let mut rollbacks =
        journal.iter().map(|written| &written.entry).filter(|entry| entry.what == What::Rollback);
    rollbacks.next_back()?.took
}

/// How many times as long a run takes as one of another version.
fn slower(version: &Version, than: &Version) -> Option<f64> {
    let median = |version: &Version| Some(version.spec().findings.run_time()?.median.as_secs_f64());
    Some(median(version)? / median(than)?).filter(|ratio| ratio.is_finite())
}

/// What labels say.
fn labels(gateway: &Gateway, facts: &mut ScoreFacts) {
    let Ok(alpha) = Alpha::new(ALPHA) else { return };
    let version = Some(facts.version);
    let ask = Ask { alpha, window: Window::Days(30), champion: None, version, slice: None, by_arm: false };
    let Ok(report) = gateway.monitors.labels.report(&facts.model, &ask) else { return };
    let Some(series) = report.series.iter().find(|series| series.version == facts.version) else { return };
    let of_version = || report.coverage.iter().filter(|of| of.version == facts.version);
    let predicted: u64 = of_version().map(|of| of.predicted).sum();
    let labelled: f64 = of_version().map(|of| of.labelled).sum();
    facts.quality_windows = series.windows.len();
    // What was predicted in the last seconds before the process was killed is not known.
    facts.labels = Some((series.total.rows, (labelled / predicted.max(1) as f64).min(1.0)));
}
