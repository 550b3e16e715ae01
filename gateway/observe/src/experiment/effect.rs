//! An arm against the default one, by one metric.

use pointsman_stats::{
    Alpha, AsymptoticTest, Difference, Moments, Proportion, RatioOfMeans, UNITS_BEST,
    clustered_quantile_variance, cuped, quantile_neighbours, quantile_variance, ratio_difference,
};

use super::measure::LATENCY;
use super::report::{AdjustedReport, EffectReport, EstimateReport, NeedReport};
use super::table::Table;
use crate::quantiles::ACCURACY;

/// The fewest buckets of each arm: below, their variance is hardly known.
const BUCKETS_MIN: u64 = 30;

/// A difference that is to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mde {
    /// In the unit of the metric.
    Absolute(f64),
    /// As a part of the default's value.
    Relative(f64),
}

impl Mde {
    /// Reads `0.01`, or `5%` of the default's value; above 0.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        match text.strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| Self::Relative(percent / 100.0)),
            None => number(text).map(Self::Absolute),
        }
    }

    fn of(self, value: f64) -> f64 {
        match self {
            Self::Absolute(difference) => difference,
            Self::Relative(part) => part * value.abs(),
        }
    }
}

/// What an effect is told by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// For one difference.
    pub(super) alpha: Alpha,
    /// For all of them.
    pub(super) all: f64,
    pub(super) mde: Option<Mde>,
    pub(super) pace: Option<f64>,
    /// Whether the covariate may be used.
    pub(super) adjusts: bool,
    /// Whether time is counted in labels, which may come when no request does any more.
    pub(super) by_labels: bool,
}

/// A difference that can be tested, and by how much its two values may be wrong by being rounded.
#[derive(Clone, Copy, Debug)]
struct Told {
    difference: Difference,
    rounding: f64,
}

impl Terms {
    fn test(&self) -> Option<AsymptoticTest> {
        AsymptoticTest::new(self.alpha, UNITS_BEST).ok()
    }

    fn estimate(&self, told: &Told, base: f64) -> Option<EstimateReport> {
        let Told { difference, rounding } = *told;
        let test = self.test()?;
        let half = test.half_width(&difference) + rounding;
        let beyond = difference.with_value((difference.value().abs() - rounding).max(0.0));
        Some(EstimateReport {
            difference: difference.value(),
            relative: (base != 0.0).then(|| difference.value() / base.abs()),
            lower: difference.value() - half,
            upper: difference.value() + half,
            p: (test.log_e(&beyond).p() * self.all / self.alpha.get()).min(1.0),
        })
    }

    fn needed(&self, told: &Told, base: f64) -> Option<NeedReport> {
        let Told { difference, rounding } = *told;
        let value = self.mde.map_or(difference.value().abs(), |mde| mde.of(base));
        let sought = difference.with_value((value - rounding).max(0.0));
        let requests = self.test()?.units_needed(&sought).map(|units| units - difference.units());
        let seconds = requests.zip(self.pace.filter(|pace| *pace > 0.0)).map(|(more, pace)| more / pace);
        Some(NeedReport { difference: value, requests, seconds })
    }
}

/// An arm against the default one by a column of the sums.
///
/// Time is counted in requests, variance between buckets. The interval stays valid where information comes more slowly
/// than requests do, as where the same units come again and again: then what was seen at two times is more alike than
/// the bound takes it for, and the probability of ever crossing it is lower (Slepian's inequality). Counted in units,
/// time would stand still while the variance fell, and a bound that no more widens is crossed in the end. Of labels, which come
/// later than requests, time is their own number for the same reason.
pub(super) fn of_column(table: &Table, arm: usize, column: usize, name: &str, terms: &Terms) -> EffectReport {
    let mut effect = EffectReport {
        arm: name.into(),
        plain: None,
        adjusted: None,
        note: String::new(),
        differs: false,
        needed: None,
    };
    let (here, there) = (table.moments(arm, column), table.moments(0, column));
    let least = here.count().min(there.count());
    if least < BUCKETS_MIN {
        effect.note =
            format!("too few units yet: the smaller arm has some {least}, and {BUCKETS_MIN} are needed");
        return effect;
    }
    let Some(found) = ratio_difference(&here, &there) else { return effect };
    let base = ratio(&there);
    let counted = |arm: usize| table.total(arm, column).0 as u64;
    let time = if terms.by_labels { counted(arm) + counted(0) } else { requests(table, arm) };
    let Some(difference) = found.difference(time) else {
        effect.note = "the same in all requests".into();
        return effect;
    };
    let plain = Told { difference, rounding: 0.0 };
    effect.plain = terms.estimate(&plain, base);
    let raised = found.variance() / found.own_variance;
    let adjusted = terms.adjusts.then(|| adjusted(table, arm, column, raised)).flatten();
    effect.adjusted = adjusted.and_then(|(told, theta, variance_kept)| {
        let requests = (table.with_covariate(arm) + table.with_covariate(0)) as u64;
        Some(AdjustedReport { theta, requests, variance_kept, estimate: terms.estimate(&told, base)? })
    });
    let decisive = adjusted.map_or(plain, |(told, ..)| told);
    conclude(&mut effect, &decisive, base, terms);
    effect
}

/// Says whether there is a difference, and what is needed where there is none.
fn conclude(effect: &mut EffectReport, told: &Told, base: f64, terms: &Terms) {
    let adjusted = effect.adjusted.map(|adjusted| adjusted.estimate);
    effect.differs = adjusted.or(effect.plain).is_some_and(|found| found.lower > 0.0 || found.upper < 0.0);
    if !effect.differs || terms.mde.is_some() {
        effect.needed = terms.needed(told, base);
    }
}

/// The same without what the covariate tells of it, with theta and the part of the variance that is left. The variance
/// is raised as that of the plain difference was.
fn adjusted(table: &Table, arm: usize, column: usize, raised: f64) -> Option<(Told, f64, f64)> {
    let (here, there) = (table.linearised(arm, column)?, table.linearised(0, column)?);
    if here.count().min(there.count()) < BUCKETS_MIN || !raised.is_finite() {
        return None;
    }
    let found = cuped(&here, &there)?;
    let variance = |arm: &Moments| Some(arm.variances()?.1 / arm.count() as f64);
    let before = variance(&here)? + variance(&there)?;
    let requests = (table.with_covariate(arm) + table.with_covariate(0)) as u64;
    let difference = Difference::new(found.difference, found.variance * raised, requests).ok()?;
    Some((Told { difference, rounding: 0.0 }, found.theta, found.variance / before))
}

/// Whether the covariate itself differs between an arm and the default one: then arms have a part in it.
pub(super) fn covariate_differs(table: &Table, arm: usize, alpha: Alpha) -> bool {
    let found = ratio_difference(&table.covariate(arm), &table.covariate(0));
    let requests = (table.with_covariate(arm) + table.with_covariate(0)) as u64;
    let difference = found.and_then(|found| found.difference(requests));
    let test = AsymptoticTest::new(alpha, UNITS_BEST);
    difference.zip(test.ok()).is_some_and(|(difference, test)| test.log_e(&difference).rejects(alpha))
}

/// An arm against the default one by a quantile of times. Its variance is that between order statistics (F16), times by
/// how much more the mean varies between buckets than independent times would.
pub(super) fn of_quantile(table: &Table, arm: usize, level: f64, name: &str, terms: &Terms) -> EffectReport {
    let mut effect = EffectReport {
        arm: name.into(),
        plain: None,
        adjusted: None,
        note: String::new(),
        differs: false,
        needed: None,
    };
    let told = || {
        let (here, there) = (quantile(table, arm, level)?, quantile(table, 0, level)?);
        let difference = Difference::new(here.0 - there.0, here.1 + there.1, requests(table, arm)).ok()?;
        Some((Told { difference, rounding: ACCURACY * (here.0 + there.0) }, there.0))
    };
    let Some((told, base)) = told() else {
        effect.note = "too few answers for this quantile".into();
        return effect;
    };
    effect.plain = terms.estimate(&told, base);
    conclude(&mut effect, &told, base, terms);
    effect
}

/// A quantile of the times of an arm with its variance; nothing where the order statistics beside it are not there.
fn quantile(table: &Table, arm: usize, level: f64) -> Option<(f64, f64)> {
    let times = &table.arms.get(arm)?.times;
    let (level, count) = (Proportion::new(level).ok()?, times.moments.count());
    let (below, above) = quantile_neighbours(level, count).ok()?;
    let buckets = table.moments(arm, LATENCY);
    if below <= 0.0 || above >= 1.0 || buckets.count() < BUCKETS_MIN {
        return None;
    }
    let at = |level| times.quantiles.at(level);
    let variance = quantile_variance(count, count, at(above)? - at(below)?).ok()?;
    let alone = times.moments.variances()?.0 / count as f64;
    let clustered = RatioOfMeans::of(&buckets)?.variance;
    let alike = if alone > 0.0 { (clustered / alone).max(1.0) } else { 1.0 };
    let of_share = alike * level.get() * (1.0 - level.get()) / count as f64;
    let value = at(level.get())?;
    // What lies in one bin is not told apart: its width is the least that a quantile varies by.
    let bin = (ACCURACY * value).powi(2) / 3.0;
    Some((value, clustered_quantile_variance(variance, level, count, of_share).ok()? + bin))
}

/// Requests of an arm and the default one.
fn requests(table: &Table, arm: usize) -> u64 {
    (table.total(arm, 0).0 + table.total(0, 0).0) as u64
}

fn ratio(moments: &Moments) -> f64 {
    let (x, y) = moments.means();
    if x > 0.0 { y / x } else { 0.0 }
}
