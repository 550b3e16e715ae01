//! Which of two versions is better, window by window, and where that turned.

use std::collections::HashMap;

use pointsman_core::RequestId;
use pointsman_stats::{
    Alpha, CONCENTRATION, Discordant, Errors, Estimate, Weight, WeightedRatio, auc, auc_difference,
    errors_differ, normal_cdf, normal_quantile,
};

use super::figures::{Weighed, is_right, mean_of, probability, scored};
use super::report::{Contest, Flip, Lead, Ranking};

/// Pairs that each version has at least in a window that is ranked.
const ROWS_MIN: usize = 30;
/// From this share of the smaller side on, what both predicted is what they are compared on.
const PAIRED_FROM: f64 = 0.5;
/// Standard errors that two versions are apart at least where one of them leads.
const LEADS_FROM: f64 = 1.0;

/// By what two versions are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// Two classes with probabilities.
    Auc,
    /// Other classes.
    Accuracy,
    /// Numbers, of which less is better.
    Mae,
}

impl Metric {
    pub(super) fn of(pairs: &[Weighed<'_>]) -> Option<Self> {
        let (first, _) = pairs.first()?;
        Some(if probability(first).is_some() {
            Self::Auc
        } else if is_right(first).is_some() {
            Self::Accuracy
        } else {
            Self::Mae
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auc => "auc",
            Self::Accuracy => "accuracy",
            Self::Mae => "mae",
        }
    }
}

/// The pairs of both versions on the same rows, in the same order; nothing where they have too few in common.
fn in_common<'a>(one: &[Weighed<'a>], other: &[Weighed<'a>]) -> Option<[Vec<Weighed<'a>>; 2]> {
    let places: HashMap<(RequestId, u32), usize> =
        one.iter().enumerate().map(|(at, (joined, _))| ((joined.id, joined.row), at)).collect();
    let both = other.iter().filter_map(|weighed| {
        let at = places.get(&(weighed.0.id, weighed.0.row))?;
        Some((one[*at], *weighed))
    });
    let (first, second): (Vec<_>, Vec<_>) = both.unzip();
    let least = one.len().min(other.len()) as f64 * PAIRED_FROM;
    (first.len() as f64 >= least && !first.is_empty()).then_some([first, second])
}

/// The difference of two means: of the same rows in the same order where `paired`.
fn difference(
    [one, other]: [&[Weighed<'_>]; 2],
    value: impl Fn(&crate::labels::Joined) -> Option<f64> + Copy,
    paired: bool,
    alpha: Alpha,
) -> Option<([f64; 2], Estimate, f64)> {
    let means = [mean_of(one, value), mean_of(other, value)];
    let values = [means[0].value()?, means[1].value()?];
    let variance = if paired {
        let mut apart = WeightedRatio::default();
        for ((a, included), (b, _)) in one.iter().zip(other) {
            apart.push(*included, value(b)? - value(a)?, 1.0);
        }
        apart.variance()?
    } else {
        means[0].variance()? + means[1].variance()?
    };
    let (apart, error) = (values[1] - values[0], variance.sqrt());
    let reach = -normal_quantile(alpha.get() / 2.0) * error;
    let count = means[0].count() + means[1].count();
    let estimate = Estimate { value: apart, error, lower: apart - reach, upper: apart + reach, count };
    Some((values, estimate, p_of(apart, error)))
}

/// The two-sided p-value of a difference with its standard error.
fn p_of(difference: f64, error: f64) -> f64 {
    let z = if error > 0.0 { difference.abs() / error } else { difference.abs() * f64::MAX };
    (2.0 * normal_cdf(-z)).min(1.0)
}

/// The pairs of the version that serves against those of another one; nothing with too few of either.
pub(super) fn contest(
    window: String,
    champion: &[Weighed<'_>],
    challenger: &[Weighed<'_>],
    metric: Metric,
    alpha: Alpha,
) -> Option<Contest> {
    if champion.len() < ROWS_MIN || challenger.len() < ROWS_MIN {
        return None;
    }
    let common = in_common(champion, challenger);
    let paired = common.is_some();
    let [one, other] = common.unwrap_or_else(|| [champion.to_vec(), challenger.to_vec()]);
    if one.len() < ROWS_MIN {
        return None;
    }
    let (values, apart, p) = match metric {
        Metric::Auc => {
            let (a, b) = (auc(&scored(&one))?, auc(&scored(&other))?);
            let (apart, p) = auc_difference(&a, &b, paired, alpha);
            ([a.value(), b.value()], apart, p)
        }
        Metric::Accuracy => difference([&one, &other], is_right, paired, alpha)?,
        Metric::Mae => difference([&one, &other], |joined| joined.off().map(f64::abs), paired, alpha)?,
    };
    let turned = if metric == Metric::Mae { -1.0 } else { 1.0 };
    let bounds = [turned * apart.lower, turned * apart.upper];
    let discordant = paired.then(|| discordant(&one, &other)).flatten();
    let half = Weight::new(0.5).ok();
    let log_e = discordant.zip(half).and_then(|(alone, half)| {
        let errors = Errors { canary: alone.first, primary: alone.second };
        errors_differ(errors, half, CONCENTRATION).ok()
    });
    let better_by = turned * apart.value;
    let lead = match better_by {
        _ if better_by.abs() < LEADS_FROM * apart.error || better_by == 0.0 => Lead::Level,
        better_by if better_by > 0.0 => Lead::Challenger,
        _ => Lead::Champion,
    };
    Some(Contest {
        window,
        rows: [one.len() as u64, other.len() as u64],
        paired,
        values,
        better_by,
        error: apart.error,
        lower: bounds[0].min(bounds[1]),
        upper: bounds[0].max(bounds[1]),
        p,
        alone_right: discordant.map(|alone| [alone.first, alone.second]),
        mcnemar_p: discordant.map(Discordant::exact_p),
        log_e: log_e.map(|log_e| log_e.get()),
        lead,
    })
}

/// Rows on which one of both alone was right. Each counts as one, so those are left out that the sample log keeps the more
/// often the more they are out of the ordinary.
fn discordant(one: &[Weighed<'_>], other: &[Weighed<'_>]) -> Option<Discordant> {
    let mut found = Discordant::default();
    let all = one.iter().zip(other).filter(|((a, _), _)| !a.from_log);
    // Nothing is to be said of none.
    all.clone().next()?;
    for ((a, _), (b, _)) in all {
        let (here, there) = (is_right(a)? > 0.0, is_right(b)? > 0.0);
        found.first += u64::from(here && !there);
        found.second += u64::from(!here && there);
    }
    Some(found)
}

/// Differences of several windows in one, each by what it is worth.
struct Pooled {
    value: f64,
    variance: f64,
}

fn pooled(contests: &[Contest]) -> Option<Pooled> {
    let worth: Vec<(f64, f64)> = contests
        .iter()
        .filter(|contest| contest.error > 0.0)
        .map(|contest| (contest.better_by, contest.error.powi(-2)))
        .collect();
    let all: f64 = worth.iter().map(|(_, worth)| worth).sum();
    let value = worth.iter().map(|(value, worth)| value * worth).sum::<f64>() / all;
    (all > 0.0).then_some(Pooled { value, variance: 1.0 / all })
}

/// Where the ranking turned. A turn is a window in which the other one leads, by a standard error at least, after a lead
/// that was certain, and which certainly differs from that lead. Of several turns each is held against the windows since
/// the one before. All p-values are for all windows together (Bonferroni).
pub(super) fn flips(contests: &[Contest], alpha: Alpha) -> Vec<Flip> {
    let each = alpha.shared_by(contests.len().max(1));
    let certain_z = -normal_quantile(each.get() / 2.0);
    let mut found: Vec<Flip> = Vec::new();
    let mut from = 0;
    for at in 1..contests.len() {
        let contest = &contests[at];
        let Some(before) = pooled(&contests[from..at]) else { continue };
        let is_certain = before.value.abs() >= certain_z * before.variance.sqrt();
        let turns = match contest.lead {
            Lead::Champion => before.value > 0.0,
            Lead::Challenger => before.value < 0.0,
            Lead::Level => false,
        };
        let change = (before.variance + contest.error.powi(2)).sqrt();
        let change_p = (p_of(contest.better_by - before.value, change) * contests.len() as f64).min(1.0);
        if !(is_certain && turns && change_p < alpha.get()) {
            continue;
        }
        // The lead is lost with the first of the windows up to here in which its leader did not lead any more.
        let leader = if before.value > 0.0 { Lead::Challenger } else { Lead::Champion };
        let held = contests[from..at].iter().rposition(|contest| contest.lead == leader);
        let lost = held.map_or(at, |held| from + held + 1);
        found.push(Flip {
            since: contest.window.clone(),
            to: contest.lead,
            lost_since: contests[lost].window.clone(),
            before: before.value,
            since_then: contest.better_by,
            change_p,
            certain: p_of(contest.better_by, contest.error) < each.get(),
        });
        from = at;
    }
    found
}

/// A ranking in a sentence.
pub(super) fn verdict(ranking: &Ranking, alpha: Alpha) -> String {
    let Ranking { champion, challenger, metric, .. } = ranking;
    let named = |lead: Lead| match lead {
        Lead::Champion => format!("version {champion}"),
        Lead::Challenger => format!("version {challenger}"),
        Lead::Level => "neither".into(),
    };
    let Some(last) = ranking.windows.last().or(ranking.total.as_ref()) else {
        return format!("Too few labels to rank version {challenger} against version {champion}.");
    };
    let mut text = match ranking.flips.last() {
        Some(flip) => {
            let [a, b] = ranking
                .windows
                .iter()
                .find(|contest| contest.window == flip.since)
                .map_or([f64::NAN; 2], |contest| contest.values);
            let certain = if flip.certain { "certain by itself" } else { "not certain by itself" };
            format!(
                "In {} the ranking turned: {} became the better one by {metric} ({a:.3} of version {champion}, {b:.3} of \
                 version {challenger}; that it leads is {certain}). The lead of before, {:.3}, was certain, and that it is \
                 gone since {} is so too (p {:.2e}).",
                flip.since,
                named(flip.to),
                flip.before.abs(),
                flip.lost_since,
                flip.change_p
            )
        }
        None => {
            let whole = ranking.total.as_ref().unwrap_or(last);
            if whole.p < alpha.get() {
                let better = if whole.better_by > 0.0 { Lead::Challenger } else { Lead::Champion };
                format!(
                    "{} is better by {metric}, over all by {:.3} (p {:.2e}).",
                    capital(&named(better)),
                    whole.better_by.abs(),
                    whole.p
                )
            } else {
                format!(
                    "No difference between version {champion} and version {challenger} by {metric} can be told (p {:.2}).",
                    whole.p
                )
            }
        }
    };
    if ranking.flips.last().is_some_and(|flip| flip.since != last.window) {
        text += &format!(" In {}, the last window, {} leads.", last.window, named(last.lead));
    }
    text
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Joined;
    use crate::quality::build::tests::{alpha, numbers, pair, weighed};

    fn window(at: usize, better_by: f64, error: f64) -> Contest {
        let lead = match better_by {
            x if x.abs() < error => Lead::Level,
            x if x > 0.0 => Lead::Challenger,
            _ => Lead::Champion,
        };
        Contest {
            window: format!("2013-{at:02}"),
            rows: [3000, 3000],
            paired: true,
            values: [0.7, 0.7 + better_by],
            better_by,
            error,
            lower: better_by - 1.96 * error,
            upper: better_by + 1.96 * error,
            p: p_of(better_by, error),
            alone_right: None,
            mcnemar_p: None,
            log_e: None,
            lead,
        }
    }

    #[test]
    fn a_challenger_that_loses_is_worse_in_words() {
        let lost = window(3, -0.088, 0.01).to_string();
        assert!(lost.contains("0.612 against 0.7: worse by 0.088 (0.0684 to 0.1076)"), "{lost}");
        assert!(lost.ends_with("the champion leads"), "{lost}");
        let won = Contest { alone_right: Some([5, 9]), mcnemar_p: Some(0.4), ..window(3, 0.05, 0.01) };
        let won = won.to_string();
        assert!(won.contains("0.75 against 0.7: better by 0.05 (") && won.contains("right 9 to 5"), "{won}");
    }

    /// What the flights of the fixtures give by scikit-learn and DeLong's variance, from July on.
    const FLIGHTS: [(f64, f64); 6] = [
        (0.0287, 0.0065),
        (0.0107, 0.0063),
        (0.0166, 0.0089),
        (-0.0044, 0.0082),
        (-0.0169, 0.0108),
        (0.0108, 0.0066),
    ];

    #[test]
    fn the_ranking_of_the_flights_turns_in_november() {
        let windows: Vec<Contest> =
            FLIGHTS.iter().enumerate().map(|(at, (x, se))| window(at + 7, *x, *se)).collect();
        let found = flips(&windows, alpha());
        assert_eq!(found.len(), 1, "{found:#?}");
        let flip = &found[0];
        assert_eq!(
            (flip.since.as_str(), flip.lost_since.as_str(), flip.to),
            ("2013-11", "2013-10", Lead::Champion)
        );
        assert!(!flip.certain && flip.change_p < 0.05 && flip.before > 0.0, "{flip:?}");
        let ranking = Ranking {
            metric: "auc".into(),
            champion: 1,
            challenger: 2,
            total: None,
            windows,
            flips: found,
            verdict: String::new(),
        };
        let text = verdict(&ranking, alpha());
        assert!(
            text.starts_with("In 2013-11 the ranking turned: version 1 became the better one by auc"),
            "{text}"
        );
        assert!(text.ends_with("In 2013-12, the last window, version 2 leads."), "{text}");
    }

    #[test]
    fn noise_turns_nothing() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut turned = 0;
        for _ in 0..200 {
            let windows: Vec<Contest> = (1..13)
                .map(|at| {
                    let z: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                    window(at, 0.01 + 0.01 * z, 0.01)
                })
                .collect();
            turned += usize::from(!flips(&windows, alpha()).is_empty());
        }
        assert!(turned <= 10, "{turned} of 200");
    }

    /// Two versions on the same rows, of which the second is right where the first is in `agree` of ten.
    fn both(rows: usize, agree: usize) -> (Vec<Joined>, Vec<Joined>) {
        let mut random = fastrand::Rng::with_seed(1);
        let one: Vec<Joined> = (0..rows)
            .map(|row| pair(1, row as u32, if random.bool() { 0.8 } else { 0.3 }, u32::from(row % 2 == 0)))
            .collect();
        let other = one.iter().enumerate().map(|(row, joined)| {
            let p = probability(joined).expect("two classes").0;
            let p = if row % 10 < agree { p } else { f64::from(u8::from(row % 2 == 0)) * 0.8 + 0.1 };
            pair(2, row as u32, p, u32::from(row % 2 == 0))
        });
        let other = other.map(|joined| Joined { id: one[joined.row as usize].id, ..joined }).collect();
        (one, other)
    }

    #[test]
    fn versions_that_predicted_the_same_rows_are_compared_on_these() {
        let (one, other) = both(200, 5);
        let found =
            |metric| contest("w".into(), &weighed(&one), &weighed(&other), metric, alpha()).expect("enough");
        let by_auc = found(Metric::Auc);
        assert!(by_auc.paired && by_auc.lead == Lead::Challenger && by_auc.p < 1e-6, "{by_auc:?}");
        let [alone, other_alone] = by_auc.alone_right.expect("classes");
        assert_eq!(alone, 0);
        assert!(other_alone > 30 && by_auc.log_e.is_some_and(|log_e| log_e > 9.0), "{by_auc:?}");
        let by_accuracy = found(Metric::Accuracy);
        let apart = by_accuracy.values[1] - by_accuracy.values[0];
        assert!((apart - other_alone as f64 / 200.0).abs() < 1e-12);
        // Of other rows only the values are the same.
        let (stranger, _) = both(200, 5);
        let apart =
            contest("w".into(), &weighed(&stranger), &weighed(&other), Metric::Auc, alpha()).expect("enough");
        assert!(!apart.paired && apart.error > by_auc.error && apart.alone_right.is_none());
        let few = contest("w".into(), &weighed(&one[..29]), &weighed(&other), Metric::Auc, alpha());
        assert_eq!(few, None);
    }

    #[test]
    fn of_errors_less_is_better() {
        let near: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i) + 0.1, f64::from(i))).collect();
        let far: Vec<(f64, f64)> =
            (0..40).map(|i| (f64::from(i) + 2.0 + f64::from(i % 3), f64::from(i))).collect();
        let (near, far) = (numbers(&near), numbers(&far));
        let found =
            contest("w".into(), &weighed(&far), &weighed(&near), Metric::Mae, alpha()).expect("enough");
        assert!(found.better_by > 1.5 && found.lower > 1.0 && found.lead == Lead::Challenger, "{found:?}");
    }
}
