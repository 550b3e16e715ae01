//! Special functions: those of `statrs`, and logarithms of tails where it has none.

mod beta;
mod chi_squared;
mod gamma;
mod normal;

pub(crate) use beta::{ln_beta_density, ln_lower_tail};
pub use chi_squared::chi_squared_upper_tail;
pub(crate) use gamma::{ln_gamma_lower, ln_gamma_upper};
pub use normal::{ln_normal_cdf, normal_cdf, normal_quantile};
