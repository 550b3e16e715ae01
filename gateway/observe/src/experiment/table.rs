//! The sums of an experiment at one moment, by arm and bucket.

use pointsman_stats::Moments;

use super::BUCKETS;
use super::recorder::{History, Times};
use super::strata::Strata;

/// All sums.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) arms: Vec<ArmTable>,
    pub(super) width: usize,
    pub(super) columns: usize,
    pub(super) strata: Strata,
    /// Whether some part knows as many units as it may.
    pub(super) is_full: bool,
    pub(super) history: History,
}

/// Those of one arm.
#[derive(Clone, Debug)]
pub(super) struct ArmTable {
    /// By bucket and column.
    pub(super) rows: Vec<f64>,
    pub(super) times: Times,
}

impl ArmTable {
    pub(super) fn new(times: &Times) -> Self {
        Self { rows: Vec::new(), times: times.clone() }
    }
}

impl Table {
    /// The sums of a column by bucket: what there was, and how much of it counts. Buckets without any are none.
    pub(super) fn column(&self, arm: usize, column: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pairs(arm, 2 * column).filter(|(all, _)| *all > 0.0)
    }

    /// The same as moments over buckets.
    pub(super) fn moments(&self, arm: usize, column: usize) -> Moments {
        moments(self.column(arm, column))
    }

    /// The covariate by bucket: requests that have one, and its sum.
    pub(super) fn covariate(&self, arm: usize) -> Moments {
        moments(self.pairs(arm, 2 * self.columns).filter(|(all, _)| *all > 0.0))
    }

    /// Covariate and metric by bucket, of the requests that have a covariate, each with its ratio for a mean: the ratio
    /// and, in units of the mean, what the bucket adds to it. So a difference of their means is one of ratios, and
    /// their variances are those of the delta method (Deng, Knoblich and Lu, KDD 2018, section 4).
    pub(super) fn linearised(&self, arm: usize, column: usize) -> Option<Moments> {
        let offset = 2 * self.columns;
        let of_covariate = self.pairs(arm, offset);
        let of_metric = self.pairs(arm, offset + 2 + 2 * column);
        let buckets: Vec<_> =
            of_covariate.zip(of_metric).filter(|(covariate, _)| covariate.0 > 0.0).collect();
        let (mut x, mut y) = ((0.0, 0.0), (0.0, 0.0));
        for (covariate, metric) in &buckets {
            x = (x.0 + covariate.0, x.1 + covariate.1);
            y = (y.0 + metric.0, y.1 + metric.1);
        }
        if x.0 <= 0.0 || y.0 <= 0.0 {
            return None;
        }
        let count = buckets.len() as f64;
        let linear = |(all, part): (f64, f64), sums: (f64, f64)| {
            let ratio = sums.1 / sums.0;
            ratio + (part - ratio * all) * count / sums.0
        };
        Some(moments(
            buckets.into_iter().map(|(covariate, metric)| (linear(covariate, x), linear(metric, y))),
        ))
    }

    /// What there was in an arm by a column, and how much of it counts.
    pub(super) fn total(&self, arm: usize, column: usize) -> (f64, f64) {
        self.pairs(arm, 2 * column).fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
    }

    /// Requests of an arm that have a covariate.
    pub(super) fn with_covariate(&self, arm: usize) -> f64 {
        self.pairs(arm, 2 * self.columns).map(|(all, _)| all).sum()
    }

    fn pairs(&self, arm: usize, offset: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        let rows = self.arms.get(arm).map_or(&[][..], |arm| &arm.rows);
        let pair = move |row: &[f64]| match row.get(offset..offset + 2) {
            Some([all, part]) => (*all, *part),
            _ => (0.0, 0.0),
        };
        rows.chunks_exact(self.width).take(BUCKETS).map(pair)
    }
}

fn moments(pairs: impl Iterator<Item = (f64, f64)>) -> Moments {
    let mut moments = Moments::default();
    // A sum that is too large says nothing any more, and is left out.
    pairs.for_each(|(x, y)| drop(moments.push(x, y)));
    moments
}
