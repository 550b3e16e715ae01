//! The mathematics that decides: tests and bounds that stay valid however often one looks, and measures of
//! difference.
//!
//! Pure: no input or output, no clock, nothing random. Every answer is a function of counts, weights and levels, so
//! that whoever has a journal can compute it again. Numbers are checked once, when they become an [`Alpha`], a
//! [`Weight`] and so on; after that nothing fails, overflows or is no number.
//!
//! | question | answer |
//! | --- | --- |
//! | does the canary err more than a margin allows, while its weight changes? | [`RampTest`], or for one level [`BoostedRampTest`]; with one weight, [`canary_errs_more`] |
//! | is it certain that it does not? | [`not_worse`], [`ratio_upper_bound`]; [`rate_below`], [`rate_upper_bound`] |
//! | how long will that take? | [`until_not_worse`], [`until_below_floor`] |
//! | how often, and how many times as often? | [`rate_interval`], [`rate_lower_bound`]; [`ratio_interval`] |
//! | does each arm get the units that it should? | [`multinomial_log_e`]; once, [`goodness_of_fit`] |
//! | do means or rates differ between units? | [`AsymptoticTest`] of [`ratio_difference`] or [`cuped`]; [`BoundedMean`]; [`mixture_sprt`] |
//! | do quantiles or whole distributions? | [`quantiles_differ`], [`quantile_bound`], [`distribution_band`] |
//! | is one version right more often? | [`errors_differ`] with a weight of a half; once, [`Discordant`] |
//! | how good is a model, by labels of a sample? | [`WeightedRatio`]; [`auc()`] |
//! | which of two ranks better? | [`auc_difference`] |
//! | which of many findings to believe? | [`Alpha::shared_by`], [`LogE::average`], [`benjamini_hochberg`] |
//! | how far are two distributions apart, and two samples of one? | [`Compared`], [`NullLaw`]; [`homogeneity`], [`likelihood_ratio`], [`fisher_exact`], [`kolmogorov_upper_tail`], [`largest_gap`], [`wasserstein`] |
//! | how far are two versions apart on the same inputs? | [`Paired`], [`spearman`], [`kendall`], [`ulp_distance_f32`] |
//!
//! Online states are serialised as they are. Their floats come back as they went in where JSON is read with correct
//! rounding (`float_roundtrip` of serde_json); infinities and NaN never get into them.

mod asymptotic;
mod auc;
mod bernoulli;
mod beta_binomial;
mod beta_mixture;
mod boosted_ramp;
mod contingency;
mod cuped;
mod distribution;
mod errors;
mod errors_only;
mod false_discoveries;
mod fisher;
mod gamma_mixture;
mod goodness_of_fit;
mod kolmogorov;
mod likelihood_ratio;
mod log_e;
mod mcnemar;
mod mixture_sprt;
mod moments;
mod multinomial;
mod normal_mixture;
mod null_law;
mod number;
mod paired;
mod planner;
mod quantile_test;
mod quantile_variance;
mod ramp_test;
mod rank_correlation;
mod rate_ratio;
mod rate_ratio_fixed;
mod ratio_difference;
mod ratio_of_means;
mod root;
mod sample;
mod special;
mod stitching;
mod strata;
mod tally;
mod two_samples;
mod ulp;
mod weighted_ratio;

pub use asymptotic::{AsymptoticTest, Difference, UNITS_BEST};
pub use auc::{Auc, Scored, auc, auc_difference};
pub use bernoulli::{rate_below, rate_interval, rate_lower_bound, rate_upper_bound};
pub use beta_binomial::BetaBinomial;
pub use boosted_ramp::BoostedRampTest;
pub use cuped::{Adjusted, cuped};
pub use distribution::{Compared, Distribution};
pub use errors::Errors;
pub use errors_only::{CONCENTRATION, canary_errs_more, errors_differ};
pub use false_discoveries::benjamini_hochberg;
pub use fisher::{FISHER_OUTCOMES_MAX, fisher_exact};
pub use gamma_mixture::{BoundedMean, GammaMixture, Tail};
pub use goodness_of_fit::{ChiSquared, goodness_of_fit};
pub use kolmogorov::kolmogorov_upper_tail;
pub use likelihood_ratio::likelihood_ratio;
pub use log_e::{Evidence, LogE};
pub use mcnemar::Discordant;
pub use mixture_sprt::mixture_sprt;
pub use moments::{Moments, NUMBER_MAX};
pub use multinomial::{CLASSES_MAX, ClassesError, ExpectedShares, Prior, multinomial_log_e};
pub use normal_mixture::{NormalMixture, Sides};
pub use null_law::NullLaw;
pub use number::{Alpha, Inclusion, OutOfRange, Proportion, Rate, Ratio, Weight};
pub use paired::{LimitsOfAgreement, Paired};
pub use planner::{ExpectedRates, Need, until_below_floor, until_not_worse};
pub use quantile_test::quantiles_differ;
pub use quantile_variance::{clustered_quantile_variance, quantile_neighbours, quantile_variance};
pub use ramp_test::RampTest;
pub use rank_correlation::{PAIRS_MAX, PairsError, kendall, spearman};
pub use rate_ratio::{RatioInterval, not_worse, ratio_interval, ratio_upper_bound};
pub use rate_ratio_fixed::fixed_weight_ratio_interval;
pub use ratio_difference::{RatioDifference, ratio_difference};
pub use ratio_of_means::RatioOfMeans;
pub use sample::{SAMPLE_MAX, Sample, SampleError};
pub use special::{chi_squared_upper_tail, ln_normal_cdf, normal_cdf, normal_quantile};
pub use stitching::{distribution_band, is_larger, quantile_bound, stitched_bound};
pub use strata::{Strata, Stratum, TooManyWeights, WEIGHTS_MAX};
pub use tally::{Tally, TooManyHits};
pub use two_samples::{Gap, homogeneity, kolmogorov_smirnov_p, largest_gap, wasserstein};
pub use ulp::{ulp_distance_f32, ulp_distance_f64};
pub use weighted_ratio::{Estimate, WeightedRatio};
