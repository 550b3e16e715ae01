//! The mathematics that decides: tests and bounds that stay valid however often one looks, and measures of difference.
//!
//! Pure: no input or output, no clock, nothing random. Every answer is a function of counts, weights and levels, so that
//! whoever has a journal can compute it again. Numbers are checked once, when they become an [`Alpha`], a [`Weight`] and so
//! on; after that nothing fails, overflows or is no number.
//!
//! | question | answer |
//! | --- | --- |
//! | does the canary err more than a margin allows, while its weight changes? | [`RampTest`] |
//! | is it certain that it does not? | [`not_worse`], [`ratio_upper_bound`]; [`rate_below`], [`rate_upper_bound`] |
//! | how often, and how many times as often? | [`rate_interval`], [`ratio_interval`] |
//! | does each arm get the units that it should? | [`multinomial_log_e`]; once, [`goodness_of_fit`] |

mod bernoulli;
mod beta_binomial;
mod beta_mixture;
mod errors;
mod errors_only;
mod goodness_of_fit;
mod log_e;
mod multinomial;
mod normal_mixture;
mod number;
mod ramp_test;
mod rate_ratio;
mod rate_ratio_fixed;
mod root;
mod special;
mod strata;
mod tally;

pub use bernoulli::{rate_below, rate_interval, rate_lower_bound, rate_upper_bound};
pub use beta_binomial::BetaBinomial;
pub use errors::Errors;
pub use errors_only::{CONCENTRATION, canary_errs_more, errors_differ};
pub use goodness_of_fit::{ChiSquared, goodness_of_fit};
pub use log_e::{Evidence, LogE};
pub use multinomial::{CLASSES_MAX, ClassesError, ExpectedShares, Prior, multinomial_log_e};
pub use normal_mixture::{NormalMixture, Sides};
pub use number::{Alpha, OutOfRange, Proportion, Rate, Ratio, Weight};
pub use ramp_test::RampTest;
pub use rate_ratio::{RatioInterval, not_worse, ratio_interval, ratio_upper_bound};
pub use rate_ratio_fixed::fixed_weight_ratio_interval;
pub use special::{chi_squared_upper_tail, ln_normal_cdf, normal_cdf, normal_quantile};
pub use strata::{Strata, Stratum, TooManyWeights, WEIGHTS_MAX};
pub use tally::{Tally, TooManyHits};
