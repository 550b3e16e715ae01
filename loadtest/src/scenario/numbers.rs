//! Numbers of a scenario with their bounds, so that a bad one is refused where it stands.

use std::time::Duration;

use serde::Deserialize;

/// Requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Rate(pub(crate) f64);

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) Duration);

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Share(pub(crate) f64);

/// A number of things, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub(crate) struct Count<const MAX: usize>(pub(crate) usize);

/// The highest rate.
const RATE_MAX: f64 = 10_000_000.0;

/// The longest time: a second has a row of its own in what is found.
const SECONDS_MAX: f64 = 4.0 * 3600.0;

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        let fits = rate > 0.0 && rate <= RATE_MAX;
        fits.then_some(Self(rate))
            .ok_or_else(|| format!("a rate is above 0 and at most {RATE_MAX} requests a second"))
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        let fits = (0.0..=SECONDS_MAX).contains(&seconds);
        fits.then(|| Self(Duration::from_secs_f64(seconds)))
            .ok_or_else(|| format!("a time is at least 0 and at most {SECONDS_MAX} seconds"))
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        let fits = share > 0.0 && share <= 1.0;
        fits.then_some(Self(share)).ok_or_else(|| "a share is above 0 and at most 1".to_owned())
    }
}

impl<const MAX: usize> TryFrom<usize> for Count<MAX> {
    type Error = String;

    fn try_from(count: usize) -> Result<Self, String> {
        let fits = (1..=MAX).contains(&count);
        fits.then_some(Self(count)).ok_or_else(|| format!("it is a whole number from 1 to {MAX}"))
    }
}

impl<const MAX: usize> Count<MAX> {
    pub(super) fn one() -> Self {
        Self(1)
    }
}

impl Seconds {
    pub(super) fn warm_up() -> Self {
        Self(Duration::from_secs(3))
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<f64>().map_err(|e| e.to_string())?.try_into()
    }
}

impl std::str::FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<f64>().map_err(|e| e.to_string())?.try_into()
    }
}

impl<const MAX: usize> std::str::FromStr for Count<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<usize>().map_err(|e| e.to_string())?.try_into()
    }
}
