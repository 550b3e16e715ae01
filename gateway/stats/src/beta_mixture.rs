//! The likelihood of what came of some tries, averaged over a beta prior, over that under one probability: the
//! e-value behind the tests of errors and of proportions.

use crate::special::{ln_beta_density, ln_lower_tail};

/// A beta prior of the probability of a hit, and the probability that is tested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BetaMixture {
    pub(crate) hits: f64,
    pub(crate) misses: f64,
    pub(crate) tested: f64,
}

impl BetaMixture {
    /// ln of B(a + x, b + y) / B(a, b) / (p^x (1 - p)^y): with the densities of prior and posterior at p, so that
    /// large terms cancel before they are rounded.
    pub(crate) fn two_sided(&self, hits: f64, misses: f64) -> f64 {
        ln_beta_density(self.hits, self.misses, self.tested)
            - ln_beta_density(self.hits + hits, self.misses + misses, self.tested)
    }

    /// The same with the prior cut off where the probability is over the tested one: it is a bet on fewer hits alone,
    /// and is fair or worse wherever the true probability is the tested one or higher.
    pub(crate) fn fewer_hits(&self, hits: f64, misses: f64) -> f64 {
        self.two_sided(hits, misses) + ln_lower_tail(self.hits + hits, self.misses + misses, self.tested)
            - ln_lower_tail(self.hits, self.misses, self.tested)
    }
}
