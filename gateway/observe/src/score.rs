//! The tests of the ML Test Score that a gateway can attest to, each with its evidence or what is missing.
//!
//! Breck, Cai, Nielsen, Salib, Sculley, "The ML Test Score: A Rubric for ML Production Readiness and Technical Debt
//! Reduction" (IEEE Big Data 2017): 28 tests in four groups, half a point where one is done by hand and written down, a
//! whole one where it is automated; the score is the least of the four groups' sums. A gateway sees what serves. So it
//! says nothing of the tests of training code, and the sums here are what it can attest to, not the score.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Fewer labels say nothing of a regression.
const LABELS_MIN: u64 = 100;

/// The groups of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Features and data.
    Data,
    /// Model development.
    Model,
    /// Infrastructure.
    Infra,
    /// Monitoring.
    Monitor,
}

impl Group {
    const ALL: [Self; 4] = [Self::Data, Self::Model, Self::Infra, Self::Monitor];

    fn name(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Model => "Model",
            Self::Infra => "Infra",
            Self::Monitor => "Monitor",
        }
    }
}

/// What is known of a version that serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreFacts {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u64,
    /// Columns that the schema has rules for, and requests that broke one; nothing without a schema.
    pub schema: Option<(usize, u64)>,
    /// Whether requests are written down, and how many text columns are kept as they came.
    pub sample_log: Option<usize>,
    /// By what examples are told apart.
    pub slices: Vec<String>,
    /// Labels that were joined, and the share of predictions that got one.
    pub labels: Option<(u64, f64)>,
    /// Windows with quality, over which the model grew older.
    pub quality_windows: usize,
    /// Golden cases, how many were asked again since the load, and how many of these failed.
    pub golden: Option<(usize, u64, u64)>,
    /// Whether the manifest lists the digests of all files.
    pub has_digests: bool,
    /// Whether the configuration says what its quality should reach.
    pub has_quality_limits: bool,
    /// Who approved the version.
    pub approved_by: Option<String>,
    /// Whether the manifest says from what the version was made.
    pub has_lineage: bool,
    /// Whether requests can be found and run again.
    pub is_replayable: bool,
    /// The rollout by which the version took over.
    pub rollout: Option<u64>,
    /// The version that a rollback would lead to, and whether it is loaded.
    pub previous: Option<(u64, bool)>,
    /// How long the last rollback of the model took, in milliseconds.
    pub rollback_ms: Option<f64>,
    /// With a baseline of the training data: rows of traffic that are profiled, and columns that have drifted.
    pub baseline: Option<(u64, usize)>,
    /// Days since training, and after how many it counts as old.
    pub age_days: (Option<f64>, Option<f64>),
    /// Requests whose answers were looked at, and values in them that were NaN or infinite.
    pub numerics: Option<(u64, u64)>,
    /// How many times as long as that of the version before a run takes.
    pub latency_ratio: Option<f64>,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreTest {
    /// Its group.
    pub group: Group,
    /// Its number in the group.
    pub number: u8,
    /// What it asks.
    pub name: String,
    /// 1 where it is attested to, a half where a part is, else 0.
    pub points: f64,
    /// The evidence, or what is missing and what to do.
    pub says: String,
}

/// All tests that a gateway can attest to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u64,
    /// The tests, in the order of the paper.
    pub tests: Vec<ScoreTest>,
}

/// How a test stands.
enum Stands {
    Attested(String),
    Partly(String),
    Missing(String),
}

use Stands::{Attested, Missing, Partly};

impl Score {
    /// What `facts` attest to.
    #[must_use]
    pub fn of(facts: &ScoreFacts) -> Self {
        let all = [
            (Group::Data, 1, "expectations of features are in a schema", schema(facts)),
            (Group::Data, 5, "the pipeline has privacy controls", privacy(facts)),
            (Group::Model, 4, "the impact of staleness is known", staleness_impact(facts)),
            (Group::Model, 6, "quality is sufficient on all important slices", slices(facts)),
            (Group::Infra, 4, "quality is validated before serving", validated(facts)),
            (Group::Infra, 5, "the model can be debugged on a single example", debuggable(facts)),
            (Group::Infra, 6, "models are tested by a canary before they serve", canary(facts)),
            (Group::Infra, 7, "models can be rolled back quickly and safely", rollback(facts)),
            (Group::Monitor, 1, "dependency changes result in notification", dependencies(facts)),
            (Group::Monitor, 2, "data invariants hold in training and serving", invariants(facts)),
            (Group::Monitor, 3, "training and serving are not skewed", skew(facts)),
            (Group::Monitor, 4, "models are not too stale", stale(facts)),
            (Group::Monitor, 5, "the model is numerically stable", numerics(facts)),
            (Group::Monitor, 6, "there is no regression in computing performance", performance(facts)),
            (Group::Monitor, 7, "there is no regression in quality on served data", quality(facts)),
        ];
        let tests = all.into_iter().map(|(group, number, name, stands)| {
            let (points, says) = match stands {
                Attested(says) => (1.0, says),
                Partly(says) => (0.5, says),
                Missing(says) => (0.0, says),
            };
            ScoreTest { group, number, name: name.into(), points, says }
        });
        Self { model: facts.model.clone(), version: facts.version, tests: tests.collect() }
    }

    /// The points of a group, and how many there could be.
    #[must_use]
    pub fn group(&self, group: Group) -> (f64, usize) {
        let of = || self.tests.iter().filter(|test| test.group == group);
        (of().map(|test| test.points).sum(), of().count())
    }
}

fn schema(facts: &ScoreFacts) -> Stands {
    match facts.schema {
        Some((columns, broken)) => Attested(format!(
            "schema.toml has {columns} columns; {broken} requests broke a rule since the start"
        )),
        None => Missing("there is no schema.toml: learn one by `pointsman baseline build DATA`".into()),
    }
}

fn privacy(facts: &ScoreFacts) -> Stands {
    match (facts.sample_log, facts.schema) {
        (None, _) => Attested("nothing of requests is written down: [sample_log] is off".into()),
        (Some(0), _) => {
            Attested("columns are redacted before a byte is stored, and no text is kept as it came".into())
        }
        (Some(texts), Some(_)) => {
            Partly(format!("the schema lets {texts} columns of texts be stored as they came"))
        }
        (Some(texts), None) => {
            Missing(format!("{texts} columns of texts are stored, and no schema says why"))
        }
    }
}

fn staleness_impact(facts: &ScoreFacts) -> Stands {
    match (facts.quality_windows, facts.age_days.0) {
        (2.., Some(_)) => Attested(format!(
            "quality is known over {} windows in which the model grew older (`pointsman quality`)",
            facts.quality_windows
        )),
        (2.., None) => Partly("quality is known over time, and manifest.toml has no trained_at".into()),
        _ => Missing("labels of at least two windows have to come in (POST /v1/feedback)".into()),
    }
}

fn slices(facts: &ScoreFacts) -> Stands {
    match (facts.slices.is_empty(), facts.labels) {
        (false, Some((1.., _))) if facts.has_quality_limits => Attested(format!(
            "quality is known by {}, and what is enough is configured",
            facts.slices.join(", ")
        )),
        (false, Some((1.., _))) => Partly(format!(
            "quality is known by {}; [quality.{}] does not say what is enough",
            facts.slices.join(", "),
            facts.model
        )),
        (false, _) => {
            Partly(format!("slices are declared ({}), and there are no labels", facts.slices.join(", ")))
        }
        (true, _) => Missing("schema.toml declares no slices".into()),
    }
}

fn validated(facts: &ScoreFacts) -> Stands {
    let Some((cases, ..)) = facts.golden else {
        return Missing("the version has no golden.json: it was loaded on trust".into());
    };
    let by = facts.approved_by.as_ref().map_or_else(String::new, |by| format!(", approved by {by}"));
    match facts.has_digests {
        true => Attested(format!(
            "it answered {cases} golden cases as training did, its files are those of manifest.toml{by}"
        )),
        false => Partly(format!(
            "it answered {cases} golden cases as training did; manifest.toml lists no digests"
        )),
    }
}

fn debuggable(facts: &ScoreFacts) -> Stands {
    match facts.is_replayable {
        true => Attested(
            "sampled requests can be shown and run again (`pointsman log show`, `log replay`)".into(),
        ),
        false => Partly("examples of comparisons can be run again; [sample_log] is off".into()),
    }
}

fn canary(facts: &ScoreFacts) -> Stands {
    match facts.rollout {
        Some(rollout) => {
            Attested(format!("rollout {rollout} led to it (`pointsman journal verify {rollout}`)"))
        }
        None => Missing("it took over at once: let the next one by `pointsman rollout start`".into()),
    }
}

fn rollback(facts: &ScoreFacts) -> Stands {
    let took =
        facts.rollback_ms.map_or_else(String::new, |ms| format!("; the last rollback took {ms:.1} ms"));
    match facts.previous {
        Some((previous, true)) => Attested(format!("version {previous} is loaded and a pointer away{took}")),
        Some((previous, false)) => Partly(format!("version {previous} would have to be loaded{took}")),
        None => Missing("there is no version to go back to".into()),
    }
}

fn dependencies(facts: &ScoreFacts) -> Stands {
    match facts.has_lineage {
        true => Partly("signatures are compared at each load, and manifest.toml has the lineage; changes of data sources are not seen here".into()),
        false => Missing("manifest.toml has no [lineage]".into()),
    }
}

fn invariants(facts: &ScoreFacts) -> Stands {
    match (facts.schema, facts.baseline) {
        (Some(_), Some(_)) => Attested(
            "one schema.toml holds for the training data of baseline.json and for every request".into(),
        ),
        (Some(_), None) => Partly(
            "the schema holds for every request; there is no baseline.json of the training data".into(),
        ),
        (None, _) => Missing("there is no schema.toml".into()),
    }
}

fn skew(facts: &ScoreFacts) -> Stands {
    match facts.baseline {
        Some((rows, 0)) => {
            Attested(format!("no column has drifted, of {rows} rows held against the training data"))
        }
        Some((rows, drifted)) => Partly(format!(
            "{drifted} columns have drifted, of {rows} rows held against the training data (`pointsman drift`)"
        )),
        None => Missing("there is no baseline.json: make one by `pointsman baseline build DATA`".into()),
    }
}

fn stale(facts: &ScoreFacts) -> Stands {
    match facts.age_days {
        (Some(age), Some(limit)) if age <= limit => {
            Attested(format!("it is {age:.0} days old, of {limit:.0} at most"))
        }
        (Some(age), Some(limit)) => {
            Missing(format!("it is {age:.0} days old, and counts as old after {limit:.0}"))
        }
        (Some(age), None) => Partly(format!("it is {age:.0} days old, and [staleness] sets no limit")),
        (None, _) => Missing("manifest.toml has no trained_at".into()),
    }
}

fn numerics(facts: &ScoreFacts) -> Stands {
    match facts.numerics {
        Some((requests, bad)) => {
            Attested(format!("{bad} values in the answers of {requests} requests were NaN or infinite"))
        }
        None => Missing("no output was looked at yet".into()),
    }
}

fn performance(facts: &ScoreFacts) -> Stands {
    match facts.latency_ratio {
        Some(ratio) => {
            Attested(format!("a run takes {ratio:.2} times as long as that of the version before"))
        }
        None => Partly("run times are measured at each load; there was no version before".into()),
    }
}

fn quality(facts: &ScoreFacts) -> Stands {
    match facts.labels {
        Some((labels @ LABELS_MIN.., coverage)) => {
            Attested(format!("{labels} labels came for {:.1} % of the predictions", coverage * 100.0))
        }
        Some((labels @ 1.., coverage)) => Partly(format!(
            "{labels} labels came for {:.1} % of the predictions: fewer than {LABELS_MIN} show no regression",
            coverage * 100.0
        )),
        _ => Missing("no label came yet (POST /v1/feedback)".into()),
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}/{}: what the gateway attests to of the ML Test Score", self.model, self.version)?;
        for group in Group::ALL {
            let (points, most) = self.group(group);
            writeln!(f, "\n{} {points} of {most}", group.name())?;
            for test in self.tests.iter().filter(|test| test.group == group) {
                let mark = if test.points == 1.0 {
                    "yes"
                } else if test.points > 0.0 {
                    "half"
                } else {
                    "no"
                };
                writeln!(f, "  {mark:>4}  {}. {}: {}", test.number, test.name, test.says)?;
            }
        }
        writeln!(
            f,
            "\nThe score is the least of the four groups over all 28 tests; those of training are not seen here."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> ScoreFacts {
        ScoreFacts {
            model: "flights".into(),
            version: 2,
            schema: Some((11, 3)),
            sample_log: Some(0),
            slices: vec!["carrier".into()],
            labels: Some((1000, 0.5)),
            quality_windows: 3,
            golden: Some((20, 40, 0)),
            has_digests: true,
            has_quality_limits: true,
            approved_by: Some("ada".into()),
            has_lineage: true,
            is_replayable: true,
            rollout: Some(7),
            previous: Some((1, true)),
            rollback_ms: Some(0.4),
            baseline: Some((20_000, 2)),
            age_days: (Some(10.0), Some(90.0)),
            numerics: Some((10_000, 0)),
            latency_ratio: Some(1.1),
        }
    }

    #[test]
    fn what_is_attested_to_has_its_evidence() {
        let score = Score::of(&whole());
        let sums: Vec<(f64, usize)> = Group::ALL.into_iter().map(|group| score.group(group)).collect();
        assert_eq!(sums, [(2.0, 2), (2.0, 2), (4.0, 4), (6.0, 7)]);
        let text = score.to_string();
        for part in
            ["rollout 7 led to it", "2 columns have drifted, of 20000 rows", "approved by ada", "0.4 ms"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_is_missing_says_what_to_do() {
        let score = Score::of(&ScoreFacts { model: "m".into(), version: 1, ..ScoreFacts::default() });
        for test in score.tests.iter().filter(|test| test.points == 0.0) {
            assert!(!test.says.is_empty(), "{test:?}");
        }
        // What is not written down cannot leak; run times are measured whatever there is.
        let points: Vec<f64> = Group::ALL.into_iter().map(|group| score.group(group).0).collect();
        assert_eq!(points, [1.0, 0.0, 0.5, 0.5]);
        assert!(score.to_string().contains("baseline build"));
    }

    #[test]
    fn parts_are_half_a_point() {
        let of = |change: fn(&mut ScoreFacts), group, number| {
            let mut facts = whole();
            change(&mut facts);
            let score = Score::of(&facts);
            score
                .tests
                .iter()
                .find(|test| (test.group, test.number) == (group, number))
                .expect("a test")
                .points
        };
        assert_eq!(of(|facts| facts.has_digests = false, Group::Infra, 4), 0.5);
        assert_eq!(of(|facts| facts.previous = Some((1, false)), Group::Infra, 7), 0.5);
        assert_eq!(of(|facts| facts.age_days = (Some(100.0), Some(90.0)), Group::Monitor, 4), 0.0);
        assert_eq!(of(|facts| facts.age_days = (Some(100.0), None), Group::Monitor, 4), 0.5);
        assert_eq!(of(|facts| facts.sample_log = Some(2), Group::Data, 5), 0.5);
        assert_eq!(of(|facts| facts.labels = Some((0, 0.0)), Group::Monitor, 7), 0.0);
        assert_eq!(of(|facts| facts.labels = Some((6, 0.01)), Group::Monitor, 7), 0.5);
        assert_eq!(of(|facts| facts.has_quality_limits = false, Group::Model, 6), 0.5);
    }
}
