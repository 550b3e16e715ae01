//! Makes the report of a model's pairs and days.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::Answer;
use pointsman_stats::normal_quantile;

use super::compare::{Metric, contest, flips, verdict};
use super::coverage::{coverage, differs};
use super::day::{DAY_MS, Day, Days};
use super::figures::{Weighed, figures};
use super::pairs::Pairs;
use super::report::{Ask, Estimated, Figure, QualityReport, Ranking, Series, Windowed};
use super::window::ALL;

/// The most windows that are shown, the latest.
const WINDOWS_MAX: usize = 400;
/// The most series: versions, arms or slices, those with the most pairs first.
const SERIES_MAX: usize = 64;

/// What tells a series from others.
type Key = (u64, Option<Arc<str>>, Option<Arc<str>>);

impl QualityReport {
    /// What pairs and days say of a model.
    #[must_use]
    pub fn new(model: &str, pairs: &Pairs, days: &Days, ask: &Ask) -> Self {
        let mut all = pairs.sorted();
        let names = all.iter().find_map(|(joined, _)| joined.source.names.clone());
        let names: Vec<String> = names.map(|names| names.to_vec()).unwrap_or_default();
        let coverage = coverage(&all, days, ask.alpha);
        let coverage_differs = differs(&all, days).map(|log_e| log_e.get());
        let metric = Metric::of(&all);
        let ranking = metric.map(|metric| ranking(&all, metric, ask)).unwrap_or_default();
        let estimated = estimated(days, ask);
        let kept = all.len() as u64;
        let of_shadows = all.iter().filter(|(joined, _)| joined.source.is_shadow).count() as u64;
        let from_log = all.iter().filter(|(joined, _)| joined.from_log).count() as u64;
        if let Some(version) = ask.version {
            all.retain(|(joined, _)| joined.source.version == version);
        }
        let kind = all.first().map(|(joined, _)| match joined.answer {
            Answer::Class { .. } => "classes".to_owned(),
            Answer::Number(_) => "numbers".to_owned(),
        });
        let mut report = Self {
            model: model.into(),
            kind,
            window: ask.window.to_string(),
            alpha: ask.alpha.get(),
            pairs: kept,
            shadow_pairs: of_shadows,
            pairs_from_log: from_log,
            series: series(&all, &names, ask),
            ranking,
            coverage,
            coverage_differs,
            estimated,
            notes: Vec::new(),
            classes: names,
        };
        report.notes = report.say_notes(&all, ask);
        report
    }

    fn say_notes(&self, all: &[Weighed<'_>], ask: &Ask) -> Vec<String> {
        let mut notes = Vec::new();
        if all.iter().any(|(_, included)| included.get() < 1.0) {
            notes.push(
                "A sample is kept: figures are weighed by the probability that each pair is in it (Hájek), and intervals \
                 are those of the linearised variance."
                    .into(),
            );
        }
        if self.pairs_from_log > 0 {
            notes.push(format!(
                "{} pairs are of predictions that memory had let go, and of the sample log, where each stands for as many as its \
                 probability of being there says. McNemar's test and the coverage of arms leave them out, as the log keeps what \
                 is out of the ordinary more often.",
                self.pairs_from_log
            ));
        }
        notes.push(format!("Each interval is of one look, and wrong with a probability of {}.", self.alpha));
        if !self.estimated.is_empty() {
            notes.push(
                "What is estimated before labels takes the probabilities for calibrated and the concept for unchanged \
                 (CBPE): it sees other inputs, and not that the same inputs mean something else."
                    .into(),
            );
        }
        if let Some(slice) = &ask.slice
            && !all.iter().any(|(joined, _)| joined.source.slices.contains(&slice.as_str().into()))
        {
            notes.push(format!("No pair has a slice {slice}: `slices` of schema.toml declares them."));
        }
        notes
    }
}

/// Pairs window by window, the oldest first.
fn by_window<'a>(pairs: &[Weighed<'a>], ask: &Ask) -> BTreeMap<u64, Vec<Weighed<'a>>> {
    let mut windows: BTreeMap<u64, Vec<Weighed<'a>>> = BTreeMap::new();
    for weighed in pairs {
        let (first, _) = ask.window.around(weighed.0.at_ms / DAY_MS);
        windows.entry(first).or_default().push(*weighed);
    }
    while windows.len() > WINDOWS_MAX {
        windows.pop_first();
    }
    windows
}

fn series(all: &[Weighed<'_>], names: &[String], ask: &Ask) -> Vec<Series> {
    let mut groups: BTreeMap<Key, Vec<Weighed<'_>>> = BTreeMap::new();
    for (joined, included) in all {
        let arm = ask.by_arm.then(|| joined.arm.clone());
        let slice = match &ask.slice {
            None => None,
            Some(name) => {
                let place = joined.source.slices.iter().position(|slice| **slice == **name);
                let Some(value) = place.and_then(|place| joined.slices.get(place)) else { continue };
                Some(value.clone())
            }
        };
        groups.entry((joined.source.version, arm, slice)).or_default().push((joined, *included));
    }
    let mut groups: Vec<(Key, Vec<Weighed<'_>>)> = groups.into_iter().collect();
    if groups.len() > SERIES_MAX {
        groups.sort_by_key(|(_, pairs)| std::cmp::Reverse(pairs.len()));
        groups.truncate(SERIES_MAX);
        groups.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    let one = |((version, arm, slice), pairs): (Key, Vec<Weighed<'_>>)| Series {
        version,
        arm: arm.map(|arm| arm.to_string()),
        slice: slice.map(|slice| slice.to_string()),
        total: figures(&pairs, names, ask.alpha),
        windows: by_window(&pairs, ask)
            .into_iter()
            .map(|(first, pairs)| Windowed {
                window: ask.window.name(first),
                figures: figures(&pairs, names, ask.alpha),
            })
            .collect(),
    };
    groups.into_iter().map(one).collect()
}

fn ranking(all: &[Weighed<'_>], metric: Metric, ask: &Ask) -> Vec<Ranking> {
    let mut versions: BTreeMap<u64, Vec<Weighed<'_>>> = BTreeMap::new();
    for weighed in all {
        versions.entry(weighed.0.source.version).or_default().push(*weighed);
    }
    let champion = ask.champion.filter(|champion| versions.contains_key(champion));
    let Some(champion) = champion.or_else(|| versions.keys().next().copied()) else { return Vec::new() };
    let Some(of_champion) = versions.remove(&champion) else { return Vec::new() };
    let here = by_window(&of_champion, ask);
    let against = |(challenger, pairs): (u64, Vec<Weighed<'_>>)| {
        let there = by_window(&pairs, ask);
        let windows = there.iter().filter_map(|(first, pairs)| {
            contest(ask.window.name(*first), here.get(first)?, pairs, metric, ask.alpha)
        });
        let windows: Vec<_> = windows.collect();
        let mut ranking = Ranking {
            metric: metric.name().into(),
            champion,
            challenger,
            total: contest(ALL.into(), &of_champion, &pairs, metric, ask.alpha),
            flips: flips(&windows, ask.alpha),
            windows,
            verdict: String::new(),
        };
        ranking.verdict = verdict(&ranking, ask.alpha);
        ranking
    };
    versions.into_iter().map(against).collect()
}

/// What probabilities let expect, by version and window.
fn estimated(days: &Days, ask: &Ask) -> Vec<Estimated> {
    let mut windows: BTreeMap<(u64, u64), Day> = BTreeMap::new();
    let wanted = |version: u64| ask.version.is_none_or(|wanted| wanted == version);
    for (day, source, _, sums) in days.all().filter(|(_, source, ..)| wanted(source.version)) {
        let (first, _) = ask.window.around(day.into());
        windows.entry((source.version, first)).or_default().add(sums);
    }
    let z = -normal_quantile(ask.alpha.get() / 2.0);
    let one = |((version, first), sums): ((u64, u64), Day)| {
        let plain = |name: &str, value: Option<f64>| {
            Some(Figure { name: name.into(), value: value?, lower: None, upper: None })
        };
        let around = |name: &str, found: Option<(f64, f64)>| {
            let (value, reach) = found?;
            let (lower, upper) = ((value - reach).max(0.0), (value + reach).min(1.0));
            Some(Figure { name: name.into(), value, lower: Some(lower), upper: Some(upper) })
        };
        let accuracy = sums.accuracy().map(|(value, error)| (value, z * error));
        let [precision, recall, f1] = sums.precision_recall_f1();
        let figures = [
            around("accuracy", accuracy),
            plain("precision", precision),
            plain("recall", recall),
            plain("f1", f1),
            // Its bounds are what binning may do to it.
            around("auc", sums.auc()),
        ];
        let figures: Vec<Figure> = figures.into_iter().flatten().collect();
        (sums.scored > 0).then(|| Estimated {
            version,
            window: ask.window.name(first),
            rows: sums.scored,
            figures,
        })
    };
    let all: Vec<Estimated> = windows.into_iter().filter_map(one).collect();
    let skip = all.len().saturating_sub(WINDOWS_MAX);
    all.into_iter().skip(skip).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use pointsman_core::RequestId;
    use pointsman_stats::{Alpha, Inclusion};

    use super::*;
    use crate::labels::{Joined, Label, Predicted, Source};
    use crate::quality::{Concern, ConcernLimits, Lead, Window, concerns};

    pub(crate) fn alpha() -> Alpha {
        Alpha::new(0.05).expect("a level")
    }

    /// A prediction that something happens with this probability, and whether it did.
    pub(crate) fn pair(version: u64, row: u32, p: f64, happened: u32) -> Joined {
        let (model, slices) = ("m".into(), Arc::new(["origin".into()]));
        let source = Source { model, version, is_shadow: false, names: None, classes: Some(2), slices };
        Joined {
            id: RequestId::generate(),
            row,
            at_ms: 0,
            label_at_ms: 0,
            included: Inclusion::ALL,
            from_log: false,
            source: Arc::new(source),
            arm: "default".into(),
            answer: Answer::Class { class: u32::from(p >= 0.5), scores: [p].into() },
            label: Label::Class(happened),
            slices: [if row.is_multiple_of(2) { "EWR" } else { "JFK" }.into()].into(),
        }
    }

    /// Numbers that were predicted, and those that were so.
    pub(crate) fn numbers(all: &[(f64, f64)]) -> Vec<Joined> {
        let one = |(answer, label): &(f64, f64)| Joined {
            answer: Answer::Number(*answer),
            label: Label::Number(*label),
            ..pair(1, 0, 0.5, 0)
        };
        all.iter().map(one).collect()
    }

    pub(crate) fn weighed(pairs: &[Joined]) -> Vec<Weighed<'_>> {
        pairs.iter().map(|joined| (joined, joined.included)).collect()
    }

    fn ask(window: Window) -> Ask {
        Ask { alpha: alpha(), window, champion: Some(1), version: None, slice: None, by_arm: false }
    }

    /// Two versions on the same rows over four months of 2013, of which the second ranks well in all but the last.
    fn two_versions() -> (Pairs, Days) {
        let mut random = fastrand::Rng::with_seed(4);
        let (mut pairs, mut days) = (Pairs::new(1 << 20), Days::default());
        for month in 0..4_u64 {
            for row in 0..600_u32 {
                let happened = u32::from(random.f64() < 0.3);
                let signal = f64::from(happened);
                let noisy = |skill: f64, noise: f64| (0.2 + skill * signal + noise * 0.5).clamp(0.01, 0.99);
                let skills = [0.15, if month == 3 { 0.0 } else { 0.4 }];
                let id = RequestId::generate();
                for (version, skill) in (1..).zip(skills) {
                    let p = noisy(skill, random.f64());
                    let at_ms = (15_949 + 31 * month) * DAY_MS + u64::from(row);
                    let joined =
                        Joined { id, at_ms, label_at_ms: at_ms + 5000, ..pair(version, row, p, happened) };
                    let mut sums = Day::default();
                    sums.push(Some(joined.answer.view()));
                    let day = u32::try_from(at_ms / DAY_MS).expect("a day");
                    days.add(&Predicted {
                        source: joined.source.clone(),
                        arm: joined.arm.clone(),
                        day,
                        sums,
                    });
                    pairs.push(joined);
                }
            }
        }
        (pairs, days)
    }

    #[test]
    fn the_report_says_since_when_another_version_is_better() {
        let (pairs, days) = two_versions();
        let report = QualityReport::new("m", &pairs, &days, &ask(Window::Month));
        assert_eq!((report.kind.as_deref(), report.pairs, report.series.len()), (Some("classes"), 4800, 2));
        let windows: Vec<&str> =
            report.series[0].windows.iter().map(|window| window.window.as_str()).collect();
        assert_eq!(windows, ["2013-09", "2013-10", "2013-11", "2013-12"]);
        let ranking = &report.ranking[0];
        assert!(ranking.windows.iter().all(|contest| contest.paired && contest.rows == [600, 600]));
        let flip = &ranking.flips[0];
        assert_eq!(
            (flip.since.as_str(), flip.to, ranking.flips.len()),
            ("2013-12", Lead::Champion, 1),
            "{flip:?}"
        );
        assert!(
            ranking.verdict.starts_with("In 2013-12 the ranking turned: version 1"),
            "{}",
            ranking.verdict
        );
        assert!(report.coverage.iter().all(|arm| arm.coverage == 1.0 && arm.delay_p95 == Some(5.0)));
        assert_eq!(report.estimated.len(), 8);
        let limits =
            ConcernLimits { ece_max: 0.05, floors: vec![("auc".into(), 0.9)], ..ConcernLimits::default() };
        let found = concerns(&report, &limits);
        let codes: Vec<&str> = found.iter().map(|concern: &Concern| concern.code).collect();
        assert_eq!(
            codes,
            ["quality_low", "calibration_off", "quality_low", "calibration_off", "ranking_turned"]
        );
        assert_eq!(concerns(&report, &ConcernLimits { ece_max: 1.0, ..limits.clone() }).len(), 3);
        let text = report.to_string();
        assert!(text.contains("In 2013-12 the ranking turned") && text.contains("2013-11"), "{text}");
        let page = report.page();
        assert!(page.contains("<svg") && !page.contains("<script") && page.contains("version 2"), "{page}");
        let json = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<QualityReport>(&json).expect("a report"), report);
    }

    #[test]
    fn a_version_an_arm_and_a_slice_can_be_asked_for() {
        let (pairs, days) = two_versions();
        let by_slice =
            Ask { slice: Some("origin".into()), version: Some(2), by_arm: true, ..ask(Window::All) };
        let report = QualityReport::new("m", &pairs, &days, &by_slice);
        let keys: Vec<_> =
            report.series.iter().map(|s| (s.version, s.arm.as_deref(), s.slice.as_deref())).collect();
        assert_eq!(keys, [(2, Some("default"), Some("EWR")), (2, Some("default"), Some("JFK"))]);
        assert_eq!(report.series.iter().map(|series| series.total.rows).sum::<u64>(), 2400);
        // All time is told once.
        let text = report.to_string();
        assert_eq!(text.lines().filter(|line| line.starts_with("  all ")).count(), 3, "{text}");
        let unknown = Ask { slice: Some("colour".into()), ..ask(Window::All) };
        let report = QualityReport::new("m", &pairs, &days, &unknown);
        assert!(report.series.is_empty() && report.notes.iter().any(|note| note.contains("slice colour")));
    }

    #[test]
    fn predictions_of_shadows_are_counted_by_themselves() {
        let mut pairs = Pairs::new(100);
        let shadow = |joined: Joined| {
            let source = Source { is_shadow: true, ..(*joined.source).clone() };
            Joined { source: Arc::new(source), ..joined }
        };
        for row in 0..4 {
            let joined = pair(1, row, 0.4, 0);
            pairs.push(joined.clone());
            if row < 3 {
                pairs.push(shadow(Joined { id: joined.id, ..pair(2, row, 0.6, 0) }));
            }
        }
        let report = QualityReport::new("m", &pairs, &Days::default(), &ask(Window::All));
        assert_eq!((report.pairs, report.shadow_pairs), (7, 3));
        let text = report.to_string();
        assert!(text.starts_with("m: 4 labelled predictions and 3 of shadows, by all"), "{text}");
    }

    #[test]
    fn a_corrected_label_is_corrected_in_every_figure() {
        let (mut one, mut other) = (Pairs::new(100), Pairs::new(100));
        let joined: Vec<Joined> =
            (0..20).map(|row| pair(1, row, f64::from(row) / 20.0, u32::from(row > 9))).collect();
        for pair in &joined {
            one.push(Joined { label: Label::Class(0), ..pair.clone() });
        }
        for pair in joined.iter().rev() {
            one.push(pair.clone());
            other.push(pair.clone());
        }
        let report = |pairs| QualityReport::new("m", pairs, &Days::default(), &ask(Window::All));
        assert_eq!(report(&one), report(&other));
    }

    #[test]
    fn without_labels_there_is_a_report_too() {
        let report = QualityReport::new("m", &Pairs::new(9), &Days::default(), &ask(Window::Days(7)));
        assert!(report.series.is_empty() && report.ranking.is_empty() && report.kind.is_none());
        assert!(report.to_string().contains("No labels"), "{report}");
    }
}
