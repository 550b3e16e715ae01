//! From sums to what is said of them.

use std::sync::atomic::Ordering;

use pointsman_stats::Alpha;

use super::effect::{Mde, Terms, covariate_differs, of_column, of_quantile};
use super::measure::{COMMON, ERRORS, LATENCY};
use super::recorder::Recorder;
use super::report::{
    ArmReport, CovariateReport, ExperimentReport, FigureReport, MetricReport, StratumReport, UnitsReport,
};
use super::setup::{OutputMetric, Place, Setup};
use super::table::Table;

/// The quantiles of times that every experiment has, with their names.
const QUANTILES: [(&str, f64); 3] = [("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99)];
/// The level at which a covariate is taken to differ between arms.
const COVARIATE_LEVEL: f64 = 0.001;

/// How an experiment is to be looked at.
#[derive(Clone, Debug)]
pub struct Ask {
    /// With what probability any difference that is told may be none.
    pub alpha: Alpha,
    /// The one metric that counts; all of them where nothing stands.
    pub metric: Option<String>,
    /// The difference that is to be told; the one that there is where nothing stands.
    pub mde: Option<Mde>,
    /// Requests a second of late.
    pub pace: Option<f64>,
    /// Why nothing is counted at present.
    pub paused: Option<String>,
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A metric as it is to be looked at.
struct Column {
    name: String,
    about: String,
    of: Of,
    less_is_better: Option<bool>,
    is_share: bool,
    /// Whether it is one that somebody named.
    is_goal: bool,
    /// Whether labels say it.
    by_labels: bool,
}

#[derive(Clone, Copy)]
enum Of {
    Column(usize),
    Quantile(f64),
}

impl Setup {
    /// The names of its metrics, those of outputs first.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        let outputs = self.metrics.iter().map(|metric| metric.name.as_str());
        outputs.chain(COMMON).chain(QUANTILES.iter().map(|(name, _)| *name))
    }

    fn columns(&self) -> Vec<Column> {
        let output = |(at, metric): (usize, &OutputMetric)| {
            let less_is_better = matches!(metric.place, Place::Wrong | Place::Off).then_some(true);
            let (about, is_share) = match metric.place {
                Place::Wrong => ("the share of labelled requests whose answer was wrong".into(), true),
                Place::Off => ("by how much answers are off by their labels, in the mean".into(), false),
                Place::Index(index) => {
                    (format!("the mean of element {index} of the rows of {}", metric.output), false)
                }
                Place::Class(class) => {
                    (format!("the share of rows of {} that are class {class}", metric.output), true)
                }
            };
            let of = Of::Column(COMMON.len() + at);
            Column {
                name: metric.name.clone(),
                about,
                of,
                less_is_better,
                is_share,
                is_goal: true,
                by_labels: less_is_better.is_some(),
            }
        };
        let about = [
            "the share of requests that failed by the version or the gateway",
            "the share of answers with NaN or an infinity",
            "the share of requests whose callers left",
            "the mean time of answers",
        ];
        let common = COMMON.iter().zip(about).enumerate().map(|(column, (name, about))| Column {
            name: (*name).into(),
            about: about.into(),
            of: Of::Column(column),
            less_is_better: Some(true),
            is_share: column != LATENCY,
            is_goal: false,
            by_labels: false,
        });
        let quantiles = QUANTILES.iter().map(|(name, level)| Column {
            name: (*name).into(),
            about: format!("the time within which {} % of answers are given", 100.0 * level),
            of: Of::Quantile(*level),
            less_is_better: Some(true),
            is_share: false,
            is_goal: false,
            by_labels: false,
        });
        self.metrics.iter().enumerate().map(output).chain(common).chain(quantiles).collect()
    }
}

impl Recorder {
    /// What is known so far. All intervals hold at any time and together: with a probability of at most alpha any of them
    /// is wrong. Where there are metrics of outputs, they have half of alpha, and what every experiment measures the
    /// other half: so a guard costs the goal little. The split is checked first, and by a level of its own.
    #[must_use]
    pub fn report(&self, ask: &Ask) -> ExperimentReport {
        let (setup, table) = (self.setup(), self.table());
        let counts = self.counts().all().map(|counter| counter.load(Ordering::Relaxed));
        let [_, left_out, other_version, by_caller, without_covariate] = counts;
        let covariate = setup.covariate.as_ref().map(|source| CovariateReport {
            source: source.clone(),
            requests: (0..setup.arms.len()).map(|arm| table.with_covariate(arm) as u64).sum(),
            missing: without_covariate,
            differs: differs(&table, setup.arms.len()),
        });
        let weights = &table.history.weights;
        let share = |weight: &u16| f64::from(*weight) / 10_000.0;
        let arms = setup.arms.iter().enumerate().map(|(at, arm)| ArmReport {
            name: arm.name.clone(),
            version: arm.version,
            weight: weights.get(at).map_or(0.0, share),
            units: table.strata.units(at),
            requests: table.total(at, ERRORS).0 as u64,
        });
        let mut report = ExperimentReport {
            model: setup.model.clone(),
            experiment: setup.name.clone(),
            verdict: String::new(),
            alpha: ask.alpha.get(),
            salt: setup.salt.clone(),
            units: setup.units.clone(),
            since_ms: table.history.since_ms,
            now_ms: ask.now_ms,
            why: table.history.why.clone(),
            paused: ask.paused.clone(),
            gaps: table.history.gaps.clone(),
            pace: ask.pace,
            arms: arms.collect(),
            split: split(&table),
            metrics: Vec::new(),
            covariate,
            left_out,
            other_version,
            by_caller,
        };
        let adjusts = report.covariate.as_ref().is_some_and(|covariate| !covariate.differs);
        report.metrics = metrics(setup, &table, ask, adjusts);
        report.verdict = report.said();
        report
    }
}

fn metrics(setup: &Setup, table: &Table, ask: &Ask, adjusts: bool) -> Vec<MetricReport> {
    let columns = setup.columns();
    let asked = |column: &&Column| ask.metric.as_ref().is_none_or(|name| *name == column.name);
    let chosen: Vec<&Column> = columns.iter().filter(asked).collect();
    let goals = chosen.iter().filter(|column| column.is_goal).count();
    let guards = chosen.len() - goals;
    let halves = if goals > 0 && guards > 0 { 2 } else { 1 };
    let others = setup.arms.len() - 1;
    let metric = |column: &&Column| {
        let alike = if column.is_goal { goals } else { guards };
        let alpha = ask.alpha.shared_by(halves * alike * others);
        let terms = Terms {
            alpha,
            all: ask.alpha.get(),
            mde: ask.mde,
            pace: ask.pace,
            adjusts,
            by_labels: column.by_labels,
        };
        let figure = |arm: usize| match column.of {
            Of::Column(at) => {
                let (count, sum) = table.total(arm, at);
                FigureReport { count: count as u64, value: (count > 0.0).then(|| sum / count) }
            }
            Of::Quantile(level) => {
                let quantiles = table.arms.get(arm).map(|arm| &arm.times.quantiles);
                let value = quantiles.and_then(|quantiles| quantiles.at(level));
                FigureReport { count: quantiles.map_or(0, |quantiles| quantiles.count()), value }
            }
        };
        let effect = |arm: usize| {
            let name = &setup.arms[arm].name;
            match column.of {
                Of::Column(at) => of_column(table, arm, at, name, &terms),
                Of::Quantile(level) => of_quantile(table, arm, level, name, &terms),
            }
        };
        MetricReport {
            name: column.name.clone(),
            about: column.about.clone(),
            is_time: matches!(column.of, Of::Column(LATENCY) | Of::Quantile(_)),
            is_share: column.is_share,
            less_is_better: column.less_is_better,
            alpha: alpha.get(),
            figures: (0..setup.arms.len()).map(figure).collect(),
            effects: (1..setup.arms.len()).map(effect).collect(),
        }
    };
    chosen.iter().map(metric).collect()
}

fn differs(table: &Table, arms: usize) -> bool {
    let level = Alpha::new(COVARIATE_LEVEL).map(|level| level.shared_by(arms.saturating_sub(1).max(1)));
    level.is_ok_and(|level| (1..arms).any(|arm| covariate_differs(table, arm, level)))
}

fn split(table: &Table) -> UnitsReport {
    let (log_e, is_mismatch) = table.strata.mismatch();
    let strata = table.strata.get();
    let stratum = |stratum: &super::strata::Stratum| StratumReport {
        weights: stratum.weights.iter().map(|weight| f64::from(*weight) / 10_000.0).collect(),
        units: stratum.counts.clone(),
    };
    UnitsReport {
        p: log_e.p(),
        log_e: log_e.get(),
        is_mismatch,
        is_full: table.is_full,
        unchecked: table.strata.unchecked(),
        strata: strata.iter().map(stratum).collect(),
    }
}
