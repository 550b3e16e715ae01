//! Whether what is predicted with a probability happens that often.

use pointsman_core::Answer;
use pointsman_stats::{Alpha, WeightedRatio};

use super::figures::{Weighed, is_right, probability};
use super::report::CalibrationBin;

/// Bins of equal width.
const BINS: usize = 10;

/// Probabilities against how often it happened: of two classes that of the second one, of more that of the class which
/// was predicted (Guo et al., "On calibration of modern neural networks", ICML 2017).
pub(super) struct Calibration {
    bins: [(WeightedRatio, WeightedRatio); BINS],
    alpha: Alpha,
}

impl Calibration {
    pub(super) fn of(pairs: &[Weighed<'_>], alpha: Alpha) -> Self {
        let mut bins = [(WeightedRatio::default(), WeightedRatio::default()); BINS];
        for (joined, included) in pairs {
            let of_predicted = || match &joined.answer {
                Answer::Class { class, scores } => {
                    Some((*scores.get(*class as usize)?, is_right(joined)? > 0.0))
                }
                Answer::Number(_) => None,
            };
            let Some((p, happened)) = probability(joined).or_else(of_predicted) else { continue };
            let bin = ((p * BINS as f64) as usize).min(BINS - 1);
            bins[bin].0.push(*included, p, 1.0);
            bins[bin].1.push(*included, f64::from(u8::from(happened)), 1.0);
        }
        Self { bins, alpha }
    }

    /// The expected calibration error: how far both are apart, each bin by what it stands for.
    pub(super) fn error(&self) -> Option<f64> {
        let total: f64 = self.bins.iter().map(|(p, _)| p.total()).sum();
        let apart =
            |(p, rate): &(WeightedRatio, WeightedRatio)| Some((p.value()? - rate.value()?).abs() * p.total());
        (total > 0.0).then(|| self.bins.iter().filter_map(apart).sum::<f64>() / total)
    }

    /// The bins that are not empty; their intervals hold together.
    pub(super) fn bins(&self) -> Vec<CalibrationBin> {
        let alpha = self.alpha.shared_by(BINS);
        let bin = |(at, (p, rate)): (usize, &(WeightedRatio, WeightedRatio))| {
            let found = rate.share(alpha)?;
            Some(CalibrationBin {
                from: at as f64 / BINS as f64,
                rows: p.count(),
                probability: p.value()?,
                rate: found.value,
                lower: found.lower,
                upper: found.upper,
            })
        };
        self.bins.iter().enumerate().filter_map(bin).collect()
    }
}
