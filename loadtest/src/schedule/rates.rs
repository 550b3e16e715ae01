//! How many requests a second are due, over time.

use std::time::Duration;

/// A rate over time, in stretches in which it stays or changes evenly. The last one has no end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rates(Vec<Stretch>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    /// When it begins, in seconds.
    begins: f64,
    /// How many requests are due before it.
    before: f64,
    /// Requests per second at its begin, and how that changes in a second.
    rate: f64,
    slope: f64,
}

impl Stretch {
    /// How many requests are due before a moment of this stretch.
    fn due_before(&self, seconds: f64) -> f64 {
        let time = seconds - self.begins;
        self.before + (self.rate + self.slope / 2.0 * time) * time
    }
}

impl Rates {
    /// The same all the time.
    pub(crate) fn constant(rate: f64) -> Self {
        Self(vec![Stretch { begins: 0.0, before: 0.0, rate, slope: 0.0 }])
    }

    /// From one rate to another, evenly, and then that.
    pub(crate) fn ramp(from: f64, to: f64, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        let slope = (to - from) / seconds;
        let rises = Stretch { begins: 0.0, before: 0.0, rate: from, slope };
        let stays = Stretch { begins: seconds, before: rises.due_before(seconds), rate: to, slope: 0.0 };
        Self(vec![rises, stays])
    }

    /// Each rate for its time; the last one stays.
    pub(crate) fn steps(steps: impl IntoIterator<Item = (f64, Duration)>) -> Self {
        let mut stretches = Vec::new();
        let (mut begins, mut before) = (0.0, 0.0);
        for (rate, time) in steps {
            stretches.push(Stretch { begins, before, rate, slope: 0.0 });
            begins += time.as_secs_f64();
            before += rate * time.as_secs_f64();
        }
        Self(stretches)
    }

    /// The same later, and until then the rate that it begins with.
    pub(crate) fn after(self, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        let rate = self.0.first().map_or(0.0, |first| first.rate);
        let before = rate * seconds;
        let later = self.0.into_iter().map(|stretch| Stretch {
            begins: stretch.begins + seconds,
            before: stretch.before + before,
            ..stretch
        });
        let first = Stretch { begins: 0.0, before: 0.0, rate, slope: 0.0 };
        Self(std::iter::once(first).chain(later).collect())
    }

    /// The moment, in seconds, before which this many requests are due.
    pub(crate) fn time_of(&self, requests: f64) -> f64 {
        let index = self.0.partition_point(|stretch| stretch.before <= requests).saturating_sub(1);
        let Some(Stretch { begins, before, rate, slope }) = self.0.get(index).copied() else { return 0.0 };
        let more = requests - before;
        if more <= 0.0 {
            return begins;
        }
        // Of the two solutions of more = rate t + slope t^2 / 2 the first to come, so written that nothing cancels.
        begins + 2.0 * more / (rate + (rate * rate + 2.0 * slope * more).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn due_before(rates: &Rates, at: f64) -> f64 {
        rates.0.iter().rfind(|stretch| stretch.begins <= at).expect("the first begins at 0").due_before(at)
    }

    #[test]
    fn a_ramp_has_the_mean_of_its_ends_and_then_stays() {
        for (from, to) in [(100.0, 300.0), (300.0, 100.0), (0.0, 400.0)] {
            let rates = Rates::ramp(from, to, seconds(10.0));
            let all = (from + to) / 2.0 * 10.0;
            assert!((rates.time_of(all) - 10.0).abs() < 1e-9, "{from} to {to}");
            assert!((rates.time_of(all + to) - 11.0).abs() < 1e-9, "{from} to {to}");
        }
    }

    #[test]
    fn steps_follow_each_other_and_the_last_one_stays() {
        let rates = Rates::steps([(10.0, seconds(2.0)), (100.0, seconds(1.0)), (1.0, seconds(1.0))]);
        for (requests, at) in [(10.0, 1.0), (20.0, 2.0), (70.0, 2.5), (120.0, 3.0), (130.0, 13.0)] {
            assert!((rates.time_of(requests) - at).abs() < 1e-9, "{requests}: {}", rates.time_of(requests));
        }
    }

    #[test]
    fn what_comes_after_a_warm_up_is_the_same_later() {
        let rates = Rates::ramp(50.0, 150.0, seconds(4.0));
        let after = rates.clone().after(seconds(3.0));
        assert!((after.time_of(100.0) - 2.0).abs() < 1e-9, "the first rate, before");
        for requests in [0.0, 1.0, 200.0, 999.0] {
            let (later, at) = (after.time_of(requests + 150.0), rates.time_of(requests) + 3.0);
            assert!((later - at).abs() < 1e-9, "{requests}: {later} and {at}");
        }
    }

    proptest! {
        /// Over any steps and ramps, the moments never go back, and hold as many requests as they are asked for.
        #[test]
        fn moments_hold_what_is_due_before_them(
            steps in prop::collection::vec((0.1f64..5000.0, 0.01f64..10.0), 1..6),
            ramp in (0.1f64..5000.0, 0.1f64..5000.0, 0.01f64..10.0),
            requests in prop::collection::vec(0.0f64..50_000.0, 2..20),
        ) {
            let steps = Rates::steps(steps.into_iter().map(|(rate, time)| (rate, seconds(time))));
            let ramp = Rates::ramp(ramp.0, ramp.1, seconds(ramp.2));
            let mut requests = requests;
            requests.sort_by(f64::total_cmp);
            for rates in [steps.clone().after(seconds(1.5)), steps, ramp.clone().after(seconds(0.5)), ramp] {
                let times: Vec<f64> = requests.iter().map(|&requests| rates.time_of(requests)).collect();
                prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
                for (&requests, &at) in requests.iter().zip(&times) {
                    let due = due_before(&rates, at);
                    prop_assert!((due - requests).abs() <= 1e-6 * requests.max(1.0), "{requests}, {due} at {at}");
                }
            }
        }
    }
}
