//! What holds of each column of each arm, as the last windows say.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::Origin;
use pointsman_observe::alert::{Signal, SignalKind};
use pointsman_observe::drift::{Against, Look, Point, Rules, Series, Statistic, Verdict as Said, onset};
use pointsman_observe::profile::{Kept, Span};
use serde_json::json;

/// A column that has drifted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) model: String,
    pub(crate) version: u64,
    pub(crate) arm: Arc<str>,
    pub(crate) column: Arc<str>,
    pub(crate) origin: Origin,
    pub(crate) against: Against,
    /// The beginning of the first window from which on it holds, in seconds since 1970.
    pub(crate) since: u64,
    pub(crate) statistic: Statistic,
    pub(crate) effect: f64,
    pub(crate) limit: f64,
    pub(crate) p: f64,
    /// Rows of the window.
    pub(crate) rows: u64,
}

/// What is measured of a column in the newest window that says something.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) arm: Arc<str>,
    pub(super) column: Arc<str>,
    pub(super) against: Against,
    pub(super) psi: f64,
    pub(super) ks: Option<f64>,
}

/// All verdicts on a version.
#[derive(Default)]
pub(super) struct Verdicts {
    series: BTreeMap<(Arc<str>, Against), BTreeMap<i64, Judged>>,
    /// Names of columns, in the order of the layout.
    columns: Vec<(Origin, Arc<str>)>,
}

/// A window that was looked at.
struct Judged {
    /// Rows at the last look that judged it.
    judged_rows: u64,
    /// Rows at the last look.
    seen_rows: u64,
    look: Look,
    point: Option<Point>,
}

impl Verdicts {
    /// Judges what has changed: windows that are over, once and where late rows came, and the newest one when its rows
    /// have doubled.
    pub(super) fn look(&mut self, kept: &Kept, rules: &Rules, span: Span, now: u64) {
        let columns = kept.layout.columns().iter();
        self.columns = columns.map(|of| (of.column.origin, of.column.name.clone())).collect();
        let mut arms: Vec<Arc<str>> = kept.windows.iter().map(|((arm, _), _)| arm.clone()).collect();
        arms.dedup();
        self.series.retain(|(arm, _), _| arms.contains(arm));
        for arm in arms {
            let series = Series::new(kept, Some(&arm));
            for against in [Against::Training, Against::Previous] {
                let judged = self.series.entry((arm.clone(), against)).or_default();
                let places: Vec<i64> = series.places().collect();
                judged.retain(|place, _| places.binary_search(place).is_ok());
                for place in &places {
                    let rows = series.window(*place).map_or(0, pointsman_observe::profile::Profile::rows);
                    let seconds = span.seconds.max(1);
                    let ends = (u64::try_from(*place).unwrap_or(0) / seconds + 1).saturating_mul(seconds);
                    let is_full = span.rows_max.is_some_and(|most| rows >= most);
                    let is_newest = places.last() == Some(place);
                    let before = judged.get_mut(place);
                    // While rows come to the newest one it is open, also where its time is over.
                    let is_still = before.as_ref().is_some_and(|before| before.seen_rows == rows);
                    let look = if is_newest && !is_full && !(ends <= now && is_still) {
                        Look::Open
                    } else {
                        Look::Closed
                    };
                    let is_due = before.as_ref().is_none_or(|before| match look {
                        Look::Open => rows >= before.judged_rows.saturating_mul(2).max(rules.rows_min),
                        Look::Closed => before.look == Look::Open || before.judged_rows != rows,
                    });
                    if let (Some(before), false) = (before, is_due) {
                        before.seen_rows = rows;
                        continue;
                    }
                    let point = series.point(*place, against, rules, look);
                    judged.insert(*place, Judged { judged_rows: rows, seen_rows: rows, look, point });
                }
            }
        }
    }

    /// The columns that have drifted.
    pub(super) fn drifted(&self, model: &str, version: u64) -> Vec<Verdict> {
        let mut found = Vec::new();
        for ((arm, against), judged) in &self.series {
            for (at, (origin, column)) in self.columns.iter().enumerate() {
                let points = || judged.values().filter_map(|judged| judged.point.as_ref());
                let verdicts = points().map(|point| (point.window, point.columns[at].verdict));
                let Some(since) = onset(verdicts) else { continue };
                let last = points().rev().find(|point| point.columns[at].verdict.is_drifted());
                let Some(last) = last else { continue };
                let Said::Drifted { statistic, effect, limit, p } = last.columns[at].verdict else {
                    continue;
                };
                found.push(Verdict {
                    model: model.into(),
                    version,
                    arm: arm.clone(),
                    column: column.clone(),
                    origin: *origin,
                    against: *against,
                    since: u64::try_from(since).unwrap_or(0),
                    statistic,
                    effect,
                    limit,
                    p,
                    rows: last.rows,
                });
            }
        }
        found
    }

    /// What was measured last of each column.
    pub(super) fn measured(&self) -> impl Iterator<Item = Measured> {
        self.series.iter().flat_map(|((arm, against), judged)| {
            self.columns.iter().enumerate().filter_map(|(at, (_, column))| {
                let mut points = judged.values().rev().filter_map(|judged| judged.point.as_ref());
                let says = |point: &&Point| {
                    let verdict = point.columns[at].verdict;
                    matches!(verdict, Said::Ok | Said::Drifted { .. })
                };
                let distances = points.find(says)?.columns[at].distances?;
                Some(Measured {
                    arm: arm.clone(),
                    column: column.clone(),
                    against: *against,
                    psi: distances.psi,
                    ks: distances.numbers.map(|numbers| numbers.ks),
                })
            })
        })
    }
}

impl Verdict {
    /// What alerts are told.
    pub(crate) fn signal(&self) -> Signal {
        let Self { model, version, arm, column, since, statistic, effect, limit, p, rows, .. } = self;
        let (kind, from) = match self.against {
            Against::Training => (SignalKind::Skew, "training"),
            Against::Previous => (SignalKind::Drift, "what came before"),
        };
        Signal {
            kind,
            model: model.clone(),
            version: Some(*version),
            subject: if &**arm == pointsman_core::Arm::DEFAULT {
                column.to_string()
            } else {
                format!("{column} ({arm})")
            },
            value: *effect,
            threshold: *limit,
            onset_ms: Some(since.saturating_mul(1000)),
            says: format!(
                "{column} differs from {from}: {statistic} {effect:.3} over {limit} in {rows} rows"
            ),
            evidence: json!({
                "arm": &**arm, "column": &**column, "origin": self.origin, "against": self.against,
                "since": since, "statistic": statistic, "effect": effect, "limit": limit, "p": p, "rows": rows,
            }),
        }
    }
}

impl crate::alerts::Source for super::Profiles {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::Skew, SignalKind::Drift]
    }

    fn signals(&self) -> Option<Vec<Signal>> {
        Some(self.verdicts().iter().map(Verdict::signal).collect())
    }
}
