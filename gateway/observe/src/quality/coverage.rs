//! How many predictions have labels: by version and arm, and whether labels come for all arms alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::Arm;
use pointsman_stats::{Alpha, ExpectedShares, LogE, Prior, multinomial_log_e, normal_quantile};

use super::day::{DAY_MS, Days};
use super::figures::Weighed;
use super::report::CoverageReport;

/// How firmly bets lie around the shares of predictions.
const FIRMNESS: f64 = 100.0;

/// A version and an arm.
type Key = (u64, Arc<str>, bool);

/// Labels of a version and an arm.
#[derive(Default)]
struct Labelled {
    total: f64,
    /// Of the square of weights: what the uncertainty goes by.
    squared: f64,
    delays: Vec<u64>,
}

/// The coverage of each version and arm.
pub(super) fn coverage(pairs: &[Weighed<'_>], days: &Days, alpha: Alpha) -> Vec<CoverageReport> {
    let mut predicted: BTreeMap<Key, u64> = BTreeMap::new();
    for (_, source, arm, day) in days.all() {
        *predicted.entry((source.version, arm.clone(), source.is_shadow)).or_default() += day.rows;
    }
    let mut labelled: BTreeMap<Key, Labelled> = BTreeMap::new();
    for (joined, included) in pairs {
        let key = (joined.source.version, joined.arm.clone(), joined.source.is_shadow);
        let sums = labelled.entry(key).or_default();
        sums.total += included.weight();
        sums.squared += included.weight().powi(2);
        sums.delays.push(joined.label_at_ms.saturating_sub(joined.at_ms));
    }
    let keys: std::collections::BTreeSet<Key> = predicted.keys().chain(labelled.keys()).cloned().collect();
    let report = |key: Key| {
        let Labelled { total, squared, mut delays } = labelled.remove(&key).unwrap_or_default();
        // What was predicted before the last start may be known some seconds less than what was labelled.
        let predicted = predicted.get(&key).copied().unwrap_or(0).max(delays.len() as u64);
        let all = (predicted as f64).max(1.0);
        let coverage = (total / all).min(1.0);
        // Of a sample, what was not kept adds to what a share of so many is uncertain by.
        let variance = coverage * (1.0 - coverage) / all + (squared - total).max(0.0) / (all * all);
        let reach = -normal_quantile(alpha.get() / 2.0) * variance.sqrt();
        delays.sort_unstable();
        let at = |share: f64| {
            let place = (share * delays.len() as f64).ceil() as usize;
            delays.get(place.saturating_sub(1)).map(|ms| *ms as f64 / 1000.0)
        };
        CoverageReport {
            version: key.0,
            arm: key.1.to_string(),
            is_shadow: key.2,
            predicted,
            labelled: total,
            coverage,
            lower: (coverage - reach).max(0.0),
            upper: (coverage + reach).min(1.0),
            delay_p50: at(0.5),
            delay_p95: at(0.95),
            delay_max: at(1.0),
        }
    };
    keys.into_iter().map(report).collect()
}

/// The e-value against "labels come for all arms alike": of each day by itself, as arms have other ages and labels come
/// late. Nothing where there were never two arms at once. Callers who name a version are not drawn, and no arm.
pub(super) fn differs(pairs: &[Weighed<'_>], days: &Days) -> Option<LogE> {
    let mut predicted: BTreeMap<u32, BTreeMap<(u64, Arc<str>), u64>> = BTreeMap::new();
    for (day, source, arm, sums) in
        days.all().filter(|(_, source, arm, _)| !source.is_shadow && ***arm != *Arm::DIRECT)
    {
        *predicted.entry(day).or_default().entry((source.version, arm.clone())).or_default() += sums.rows;
    }
    let mut labelled: BTreeMap<(u32, u64, Arc<str>), u64> = BTreeMap::new();
    // The log may have more of one arm than of another, as it has more of what is slow.
    for (joined, _) in pairs.iter().filter(|(joined, _)| !joined.source.is_shadow && !joined.from_log) {
        let day = u32::try_from(joined.at_ms / DAY_MS).unwrap_or(u32::MAX);
        *labelled.entry((day, joined.source.version, joined.arm.clone())).or_default() += 1;
    }
    let of_day = |(day, arms): (&u32, &BTreeMap<(u64, Arc<str>), u64>)| {
        let all: u64 = arms.values().sum();
        let shares: Vec<f64> = arms.values().map(|rows| *rows as f64 / all as f64).collect();
        let counts: Vec<u64> = arms
            .keys()
            .map(|(version, arm)| labelled.get(&(*day, *version, arm.clone())).copied().unwrap_or(0))
            .collect();
        let expected = ExpectedShares::new(&shares).ok()?;
        multinomial_log_e(&expected, &counts, Prior::Around(FIRMNESS)).ok()
    };
    predicted.iter().filter_map(of_day).reduce(LogE::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{Joined, Predicted};
    use crate::quality::Day;
    use crate::quality::build::tests::{alpha, pair, weighed};

    fn predicted(version: u64, arm: &str, rows: u64) -> Predicted {
        let mut sums = Day::default();
        (0..rows).for_each(|_| sums.push(None));
        Predicted { source: pair(version, 0, 0.5, 1).source, arm: arm.into(), day: 0, sums }
    }

    fn labelled(version: u64, arm: &str, count: u32) -> Vec<Joined> {
        (0..count)
            .map(|row| Joined {
                arm: arm.into(),
                label_at_ms: 1000 * u64::from(row),
                ..pair(version, row, 0.5, 1)
            })
            .collect()
    }

    #[test]
    fn labels_that_one_arm_lacks_are_noticed() {
        let mut days = Days::default();
        days.add(&predicted(1, "default", 900));
        days.add(&predicted(2, "candidate", 100));
        let alike = [labelled(1, "default", 450), labelled(2, "candidate", 52)].concat();
        let found = differs(&weighed(&alike), &days).expect("two arms");
        assert!(found.get() < 1.0, "{found:?}");
        let unlike = [labelled(1, "default", 450), labelled(2, "candidate", 5)].concat();
        let found = differs(&weighed(&unlike), &days).expect("two arms");
        assert!(found.get() > 10.0, "{found:?}");
        let reports = coverage(&weighed(&unlike), &days, alpha());
        let of = |arm: &str| reports.iter().find(|report| report.arm == arm).expect("there");
        assert_eq!((of("default").coverage, of("candidate").labelled), (0.5, 5.0));
        assert_eq!((of("candidate").delay_p50, of("candidate").delay_max), (Some(2.0), Some(4.0)));
        let mut alone = Days::default();
        alone.add(&predicted(1, "default", 9));
        assert_eq!(differs(&[], &alone), None);
    }
}
