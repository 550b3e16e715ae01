//! Axes: what range they show, and where their ticks stand.

use std::ops::Range;

use crate::units;

/// Where times start on a logarithmic axis, in microseconds: shorter ones are drawn there.
const LEAST_US: f64 = 1.0;

/// The most ticks of an axis that leave room for their labels.
const TICKS_MAX: usize = 7;

/// The most of an axis of seconds, whose labels are longer.
const SECONDS_TICKS_MAX: usize = 5;

/// Steps between ticks of time, in seconds.
const TIME_STEPS: [f64; 22] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0,
    7_200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0,
];

/// An axis, in the numbers that are drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) range: Range<f64>,
    /// Where ticks stand, ascending, and what stands there.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From nothing to at least `max`.
    pub(super) fn upwards(max: f64, label: impl Fn(f64) -> String) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let step = round_step(max / (TICKS_MAX - 2) as f64);
        // A line at the very edge would not be seen whole.
        let steps = (1.02 * max / step).ceil().max(1.0) as usize;
        let ticks = (0..=steps).map(|n| n as f64 * step);
        Self { range: 0.0..steps as f64 * step, ticks: ticks.map(|at| (at, label(at))).collect() }
    }

    /// Seconds from the start of a part.
    pub(super) fn seconds(seconds: f64) -> Self {
        let end = if seconds.is_finite() { seconds.max(TIME_STEPS[0]) } else { 1.0 };
        let fits = |step: &&f64| end / **step <= SECONDS_TICKS_MAX as f64;
        let step = TIME_STEPS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or_else(|| round_step(end / SECONDS_TICKS_MAX as f64));
        let ticks = (0..=(end / step) as usize).map(|n| n as f64 * step);
        Self { range: 0.0..end, ticks: ticks.map(|at| (at, units::clock(at))).collect() }
    }

    /// Times in microseconds on a logarithmic scale: a number is drawn at [`log_us`] of it.
    pub(super) fn times(us: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(us).unwrap_or((100.0, 10_000.0));
        Self::logarithmic(low.max(LEAST_US), high.max(LEAST_US), units::time)
    }

    /// Ratios on a logarithmic scale, one among them: a number is drawn at its decimal logarithm.
    pub(super) fn ratios(ratios: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(ratios.chain([1.0])).unwrap_or((0.5, 2.0));
        Self::logarithmic(low, high, |ratio| units::figure(ratio, "ratio"))
    }

    /// Quantiles as far as these samples reach: a quantile is drawn at [`nines`] of it.
    pub(super) fn quantiles(samples: u64) -> Self {
        let end = (samples.max(10) as f64).log10();
        let named = [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];
        let more = [(0.99999, "99.999"), (0.999_999, "99.9999")];
        let within =
            named.into_iter().chain(more).map(|(quantile, label)| (nines(quantile), label.to_owned()));
        Self { range: 0.0..end, ticks: within.filter(|(at, _)| *at <= end).collect() }
    }

    /// From `low` to `high`, with a little room. Ticks at 1, 2 and 5 of each decade, or fewer where many are shown.
    fn logarithmic(low: f64, high: f64, label: impl Fn(f64) -> String) -> Self {
        // What has one value still needs an axis around it.
        let room = ((high / low).log10() * 0.06).max(0.05);
        let range = low.log10() - room..high.log10() + room;
        let decades = range.start.floor() as i32..=range.end.ceil() as i32;
        let fine: &[f64] = &[1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let choices: [&[f64]; 4] = [fine, &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0], &[1.0, 2.0, 5.0], &[1.0]];
        let ticks = |marks: &[f64], every: i32| -> Vec<f64> {
            let of = |decade: i32| marks.iter().map(move |mark| mark * 10_f64.powi(decade));
            let all = decades.clone().filter(|decade| decade.rem_euclid(every) == 0).flat_map(of);
            all.filter(|value| range.contains(&value.log10())).collect()
        };
        let fitting = choices.iter().map(|marks| ticks(marks, 1)).find(|ticks| ticks.len() <= TICKS_MAX);
        let every = (range.end - range.start) as i32 / TICKS_MAX as i32 + 1;
        let ticks = fitting.unwrap_or_else(|| ticks(&[1.0], every));
        Self { range, ticks: ticks.into_iter().map(|value| (value.log10(), label(value))).collect() }
    }
}

/// Where a time stands on an axis of times.
pub(super) fn log_us(us: f64) -> f64 {
    us.max(LEAST_US).log10()
}

/// Where a quantile stands on an axis of quantiles: each nine more is one further.
pub(super) fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile.clamp(0.0, 1.0)).log10()
}

/// The least and the greatest of those that have a logarithm.
fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite() && *value > 0.0).fold(None, |bounds, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// The least of 1, 2, 5, 10, 20, ... that is not below a step.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|mark| mark * decade).find(|mark| *mark >= step).unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_stand_at_round_numbers() {
        let times = |low, high| Axis::times([low, high].into_iter());
        assert_eq!(
            labels(&Axis::upwards(900.0, units::rate)),
            ["0/s", "200/s", "400/s", "600/s", "800/s", "1000/s"]
        );
        assert_eq!(labels(&Axis::seconds(60.0)), ["0 s", "15 s", "30 s", "45 s", "1 min"]);
        assert_eq!(labels(&Axis::seconds(10_800.0)), ["0 s", "1 h", "2 h", "3 h"]);
        assert_eq!(labels(&times(100.0, 5_000.0)), ["100 us", "200 us", "500 us", "1 ms", "2 ms", "5 ms"]);
        assert_eq!(labels(&times(10.0, 2e6)), ["10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(labels(&Axis::quantiles(5_000)), ["0", "50", "90", "99", "99.9"]);
        assert_eq!(labels(&Axis::ratios([1.3].into_iter())), ["0.9", "1", "1.2", "1.4"]);
    }

    #[test]
    fn nothing_to_show_is_an_axis_too() {
        for axis in [
            Axis::upwards(f64::NAN, units::rate),
            Axis::upwards(0.0, units::rate),
            Axis::seconds(f64::NAN),
            Axis::seconds(0.0),
            Axis::times([f64::NAN, 0.0, -1.0].into_iter()),
            Axis::ratios(std::iter::empty()),
            Axis::quantiles(0),
        ] {
            assert!(axis.range.end > axis.range.start && !axis.ticks.is_empty(), "{axis:?}");
        }
    }

    proptest! {
        #[test]
        fn ticks_ascend_within_the_axis_and_are_few(low in 1e-3_f64..1e9, factor in 1.0_f64..1e6, samples: u64) {
            let high = low * factor;
            for axis in [
                Axis::upwards(high, units::rate),
                Axis::seconds(high),
                Axis::times([low, high].into_iter()),
                Axis::ratios([low, high].into_iter()),
                Axis::quantiles(samples),
            ] {
                prop_assert!(axis.ticks.len() <= TICKS_MAX + 1, "{axis:?}");
                let ascends = |pair: &[(f64, String)]| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1;
                prop_assert!(axis.ticks.windows(2).all(ascends), "{axis:?}");
                let slack = 1e-9 * (axis.range.end - axis.range.start);
                let within = |at: f64| at >= axis.range.start - slack && at <= axis.range.end + slack;
                prop_assert!(axis.ticks.iter().all(|(at, _)| within(*at)), "{axis:?}");
            }
        }
    }
}
