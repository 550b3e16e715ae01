//! Which columns of a window have drifted.

use pointsman_stats::{Alpha, benjamini_hochberg};
use serde::{Deserialize, Serialize};

use super::distance::{Distances, distances};
use super::settings::{Look, Rules, Statistic};
use crate::profile::{Layout, Profile};

/// What is said of a column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// What differs is no more than chance, or too little to matter.
    Ok,
    /// It differs: by more than chance and by more than its limit.
    Drifted {
        /// In what, the farthest over its limit.
        statistic: Statistic,
        /// How far.
        effect: f64,
        /// The limit.
        limit: f64,
        /// How probable that is where nothing has changed.
        p: f64,
    },
    /// There are too few rows to say.
    Insufficient {
        /// How many more it takes.
        needed: u64,
    },
    /// There is nothing to hold it against.
    Unknown,
}

impl Verdict {
    /// Whether it has drifted.
    #[must_use]
    pub fn is_drifted(&self) -> bool {
        matches!(self, Self::Drifted { .. })
    }
}

/// A column of a window, judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What is said.
    pub verdict: Verdict,
    /// From what; nothing where there is nothing to compare.
    pub distances: Option<Distances>,
}

/// The effects and p-values of a column that are held against limits. A rate that is 0 on both sides is none.
fn hypotheses(distances: &Distances) -> impl Iterator<Item = (Statistic, f64, f64)> {
    let ks = distances.numbers.map(|numbers| (Statistic::Ks, numbers.ks, numbers.ks_p));
    let (missing, outside) = (distances.missing, distances.out_of_domain);
    let some = |rates: (f64, f64)| rates.0 + rates.1 > 0.0;
    let missing =
        some(missing).then(|| (Statistic::Missing, (missing.1 - missing.0).abs(), distances.missing_p));
    let outside =
        some(outside).then_some((Statistic::OutOfDomain, outside.1 - outside.0, distances.out_of_domain_p));
    [Some((Statistic::Psi, distances.psi, distances.psi_p)), ks, missing, outside].into_iter().flatten()
}

/// All columns of `current` against `reference`, in the order of their layout.
///
/// A column has drifted where a statistic is significant by the procedure of Benjamini and Hochberg over all statistics
/// of all columns, at the level that this window may spend ([`Rules::level`]), and is over its limit as well.
#[must_use]
pub fn judge(
    layout: &Layout,
    reference: &Profile,
    current: &Profile,
    rules: &Rules,
    look: Look,
) -> Vec<Judged> {
    let found = columns(layout, reference, current);
    let mut p_values = Vec::new();
    for (_, distances) in &found {
        p_values.extend(distances.iter().flat_map(hypotheses).map(|(_, _, p)| p));
    }
    let level = Alpha::new(rules.level(current.rows(), look)).ok();
    let believed = level.map(|level| benjamini_hochberg(&p_values, level));
    let mut believed = believed.into_iter().flatten();
    let mut judged = Vec::with_capacity(found.len());
    for (of, (rows, distances)) in layout.columns().iter().zip(found) {
        let limits = rules.of(&of.column.name);
        let drifted = distances.iter().flat_map(hypotheses).filter(|_| believed.next().unwrap_or(false));
        let over = drifted.filter(|(statistic, effect, _)| *effect >= limits.of(*statistic));
        // By how many times over the limit; one of 0 is passed by anything.
        let times = |(statistic, effect, _): &(Statistic, f64, f64)| effect / limits.of(*statistic).max(1e-9);
        let farthest = over.collect::<Vec<_>>();
        let farthest = farthest.into_iter().max_by(|a, b| times(a).total_cmp(&times(b)));
        let fewest = rows.0.min(rows.1);
        let verdict = match farthest {
            _ if rows.0 == 0 => Verdict::Unknown,
            _ if fewest < rules.rows_min => Verdict::Insufficient { needed: rules.rows_min - fewest },
            Some((statistic, effect, p)) => {
                Verdict::Drifted { statistic, effect, limit: limits.of(statistic), p }
            }
            None => Verdict::Ok,
        };
        judged.push(Judged { verdict, distances });
    }
    judged
}

/// Rows on both sides and distances of each column; of columns with too few rows none, so that they are no hypotheses.
fn columns(layout: &Layout, reference: &Profile, current: &Profile) -> Vec<((u64, u64), Option<Distances>)> {
    let column = |at: usize| {
        let (before, now) = (reference.column(layout, at), current.column(layout, at));
        let distances = distances(&layout.columns()[at].frame, &before, &now);
        ((before.rows(), now.rows()), distances)
    };
    (0..layout.columns().len()).map(column).collect()
}
