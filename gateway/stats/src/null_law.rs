//! What divergences are where nothing has changed.
//!
//! They are never 0: two samples of the same distribution differ, the more the fewer they are and the more bins there
//! are. With multinomial counts, PSI is about χ²(B-1)·(1/n + 1/m) and Jensen and Shannon's divergence in nats an
//! eighth of it. So a fixed threshold alarms on every small sample and sleeps on large ones; what is over the mean of
//! this law, and how probable it is under it, does neither.

use crate::number::{OutOfRange, positive};
use crate::special::chi_squared_upper_tail;

/// The law of divergences between two samples of one distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NullLaw {
    degrees: usize,
    /// 1/n + 1/m.
    scale: f64,
}

impl NullLaw {
    /// For `bins` bins that are not empty in both, and the sizes of the two samples.
    ///
    /// # Errors
    /// Where a sample is empty.
    pub fn new(bins: usize, reference: u64, current: u64) -> Result<Self, OutOfRange> {
        let reference = positive("the size of the reference", reference as f64)?;
        let current = positive("the size of the current sample", current as f64)?;
        Ok(Self { degrees: bins.saturating_sub(1), scale: 1.0 / reference + 1.0 / current })
    }

    /// The PSI to expect.
    #[must_use]
    pub fn psi_mean(&self) -> f64 {
        self.degrees as f64 * self.scale
    }

    /// How probable a PSI at least as large is.
    #[must_use]
    pub fn psi_p(&self, psi: f64) -> f64 {
        chi_squared_upper_tail(psi / self.scale, self.degrees)
    }

    /// Jensen and Shannon's divergence to expect, in nats.
    #[must_use]
    pub fn jensen_shannon_mean(&self) -> f64 {
        self.psi_mean() / 8.0
    }

    /// How probable a divergence of Jensen and Shannon at least as large is, in nats.
    #[must_use]
    pub fn jensen_shannon_p(&self, divergence: f64) -> f64 {
        self.psi_p(divergence * 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::Distribution;

    #[test]
    fn known_answers() {
        let law = NullLaw::new(10, 1000, 1000).expect("sizes");
        assert!(
            (law.psi_mean() - 0.018).abs() < 1e-12 && (law.jensen_shannon_mean() - 0.002_25).abs() < 1e-12
        );
        assert!((law.psi_p(0.0338) - 0.05).abs() < 5e-4);
        assert!((law.jensen_shannon_p(0.0650 * 0.0650) - 0.05).abs() < 1e-3);
        assert!((NullLaw::new(10, 100, 100).expect("sizes").psi_mean() - 0.18).abs() < 1e-12);
    }

    #[test]
    fn simulated_samples_follow_it() {
        let law = NullLaw::new(10, 1000, 1000).expect("sizes");
        let mut random = fastrand::Rng::with_seed(5);
        let mut sample = || {
            let mut counts = [0; 10];
            (0..1000).for_each(|_| counts[random.usize(0..10)] += 1);
            Distribution::of_counts(&counts).expect("counts")
        };
        let (mut psi, mut js, mut rejected) = (0.0, 0.0, 0.0);
        for _ in 0..400 {
            let (p, q) = (sample(), sample());
            let compared = p.against(&q).expect("classes");
            psi += compared.psi() / 400.0;
            js += compared.jensen_shannon() / 400.0;
            rejected += f64::from(u8::from(law.jensen_shannon_p(compared.jensen_shannon()) < 0.05)) / 400.0;
        }
        // Three standard errors: √(2·9)/√400 of the scale, and of a share of 5 %.
        assert!((psi - 0.018).abs() < 3.0 * 18_f64.sqrt() / 20.0 * 0.002, "{psi} (seed 5)");
        assert!((js * 8.0 - 0.018).abs() < 3.0 * 18_f64.sqrt() / 20.0 * 0.002, "{js} (seed 5)");
        assert!((rejected - 0.05).abs() < 3.0 * (0.05_f64 * 0.95 / 400.0).sqrt(), "{rejected} (seed 5)");
    }

    #[test]
    fn without_bins_nothing_can_change_and_without_numbers_nothing_is_known() {
        let law = NullLaw::new(1, 10, 10).expect("sizes");
        assert_eq!((law.psi_mean(), law.psi_p(3.0)), (0.0, 1.0));
        assert_eq!(NullLaw::new(0, 10, 10).expect("sizes").psi_p(3.0), 1.0);
        assert!(NullLaw::new(10, 0, 10).is_err() && NullLaw::new(10, 10, 0).is_err());
        let law = NullLaw::new(10, 10, 10).expect("sizes");
        assert_eq!((law.psi_p(f64::NAN), law.psi_p(f64::INFINITY), law.psi_p(-1.0)), (1.0, 0.0, 1.0));
    }
}
