//! Which requests are kept.

use super::class::{Class, Classes};
use super::gate::Gate;

/// How requests of one class are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Which share of them, from 0 to 1.
    pub rate: f64,
    /// The most that is kept in a window; nothing for as many as come.
    pub cap: Option<u64>,
}

/// How requests of a model are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Any request.
    pub uniform: Rule,
    /// What took longer than is usual.
    pub slow: Rule,
    /// What the schema flags.
    pub violation: Rule,
    /// What a shadow answers otherwise.
    pub disagree: Rule,
    /// What has a NaN or an infinity in an output.
    pub nan: Rule,
    /// What was not answered.
    pub error: Rule,
}

impl Default for Rates {
    /// One of a hundred, and of what is out of the ordinary all, up to a thousand in a window each.
    fn default() -> Self {
        let all = Rule { rate: 1.0, cap: Some(1000) };
        Self {
            uniform: Rule { rate: 0.01, cap: None },
            slow: all,
            violation: all,
            disagree: all,
            nan: all,
            error: all,
        }
    }
}

impl Rates {
    /// The rule of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> &Rule {
        match class {
            Class::Uniform => &self.uniform,
            Class::Slow => &self.slow,
            Class::Violation => &self.violation,
            Class::Disagree => &self.disagree,
            Class::Nan => &self.nan,
            Class::Error => &self.error,
        }
    }

    /// That, to be changed.
    pub fn of_mut(&mut self, class: Class) -> &mut Rule {
        match class {
            Class::Uniform => &mut self.uniform,
            Class::Slow => &mut self.slow,
            Class::Violation => &mut self.violation,
            Class::Disagree => &mut self.disagree,
            Class::Nan => &mut self.nan,
            Class::Error => &mut self.error,
        }
    }
}

/// How likely a request is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// With which probability it is: that of the likeliest of its classes.
    pub probability: f64,
    /// That class.
    pub class: Class,
    /// Whether it is.
    pub is_kept: bool,
}

/// Decides which requests of a model are kept. Shared by threads; it never waits.
///
/// A request has one point of `[0, 1)`, by the hash of its id, and is kept where that is below the probability of any of
/// its classes. As all classes share the point, the probability that it is kept by any is the largest of theirs.
#[derive(Debug)]
pub struct Sampler {
    gates: [Gate; Class::ALL.len()],
    /// The rate of what shadows answer otherwise. Only those that might be kept are shown to its gate, which therefore
    /// keeps all of them and knows of the cap alone.
    disagree_rate: f64,
}

impl Sampler {
    /// One that keeps requests as `rates` say.
    #[must_use]
    pub fn new(rates: &Rates) -> Self {
        let gate = |class| {
            let Rule { rate, cap } = *rates.of(class);
            Gate::new(if class == Class::Disagree { 1.0 } else { rate }, cap)
        };
        Self { gates: Class::ALL.map(gate), disagree_rate: rates.disagree.rate }
    }

    /// Whether a request whose hash is `point`, in steps of 2^-64, is kept for one of these classes. That a shadow
    /// answers otherwise is never known here yet.
    #[must_use]
    pub fn judge(&self, point: u64, classes: Classes) -> Chosen {
        let mut likeliest = Chosen { probability: 0.0, class: Class::Uniform, is_kept: false };
        for (class, gate) in Class::ALL.into_iter().zip(&self.gates) {
            if !classes.has(class) || class == Class::Disagree {
                continue;
            }
            let probability = gate.probability();
            let is_kept = is_below(point, probability);
            gate.count(is_kept);
            if probability >= likeliest.probability {
                likeliest = Chosen { probability, class, is_kept };
            }
        }
        likeliest
    }

    /// Whether a request might be kept yet, if it turns out that a shadow answers otherwise.
    #[must_use]
    pub fn may_disagree(&self, point: u64) -> bool {
        is_below(point, self.disagree_rate)
    }

    /// What becomes of a request that [may disagree](Sampler::may_disagree), now that a shadow answers otherwise; `before`
    /// is what it was without that.
    #[must_use]
    pub fn judge_disagreed(&self, point: u64, before: Chosen) -> Chosen {
        let gate = &self.gates[Class::Disagree as usize];
        let probability = gate.probability() * self.disagree_rate;
        let is_kept = is_below(point, probability);
        gate.count(is_kept);
        let now = Chosen { probability, class: Class::Disagree, is_kept };
        if probability >= before.probability { now } else { before }
    }

    /// Begins the next window of all caps.
    pub fn turn(&self) {
        self.gates.iter().for_each(Gate::turn);
    }
}

/// Whether a point, in steps of 2^-64, is below a probability.
fn is_below(point: u64, probability: f64) -> bool {
    // 2^64 times the probability, which a conversion would round to the largest number at 1.
    probability >= 1.0 || point < (probability * 18_446_744_073_709_551_616.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator whose sequence is told by its seed (splitmix64).
    struct Points(u64);

    impl Points {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn unit(&mut self) -> f64 {
            (self.next() >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    fn rule(rate: f64, cap: Option<u64>) -> Rule {
        Rule { rate, cap }
    }

    #[test]
    fn the_probability_is_that_of_the_likeliest_class_and_the_reason_is_that_class() {
        let rates = Rates { error: rule(0.5, None), slow: rule(0.25, None), ..Rates::default() };
        let sampler = Sampler::new(&rates);
        let (low, high) = (1 << 61, 3 << 61);
        let all = Classes::default().with(Class::Error, true).with(Class::Slow, true);
        let chosen = sampler.judge(low, all);
        assert_eq!(chosen, Chosen { probability: 0.5, class: Class::Error, is_kept: true });
        assert!(!sampler.judge(high * 2, all).is_kept);
        let slow = sampler.judge(high, Classes::default().with(Class::Slow, true));
        assert_eq!(slow, Chosen { probability: 0.25, class: Class::Slow, is_kept: false });
        assert_eq!(sampler.judge(high, Classes::default()).probability, 0.01);
        let certain = Sampler::new(&Rates { uniform: rule(1.0, None), ..rates });
        assert!(certain.judge(u64::MAX, Classes::default()).is_kept);
        assert!(
            !Sampler::new(&Rates { uniform: rule(0.0, Some(5)), ..rates })
                .judge(0, Classes::default())
                .is_kept
        );
    }

    #[test]
    fn no_window_keeps_more_than_its_cap_and_a_steady_stream_nearly_as_many() {
        let rates = Rates { uniform: rule(1.0, Some(400)), ..Rates::default() };
        let sampler = Sampler::new(&rates);
        let mut points = Points(7);
        for window in 0..20 {
            let kept =
                (0..50_000).filter(|_| sampler.judge(points.next(), Classes::default()).is_kept).count();
            assert!(kept <= 400, "{kept} in window {window}");
            assert!(window == 0 || kept >= 150, "{kept} in window {window}");
            sampler.turn();
        }
    }

    /// Horvitz and Thompson's estimate of a total, and its variance's.
    #[derive(Default)]
    struct Weighted {
        total: f64,
        variance: f64,
    }

    impl Weighted {
        fn add(&mut self, value: f64, probability: f64) {
            self.total += value / probability;
            self.variance += value * value * (1.0 - probability) / (probability * probability);
        }

        fn covers(&self, truth: f64) -> bool {
            (self.total - truth).abs() <= 1.96 * self.variance.sqrt() + 1e-9 * truth
        }
    }

    #[test]
    fn weighted_totals_lie_within_their_interval_in_95_of_100_runs_whatever_caps_do() {
        let rates = Rates {
            uniform: rule(0.05, Some(300)),
            slow: rule(0.5, None),
            error: rule(1.0, Some(120)),
            disagree: rule(0.8, Some(100)),
            ..Rates::default()
        };
        const RUNS: u64 = 400;
        let (mut covered, mut errors_covered, mut bias) = (0, 0, 0.0);
        for seed in 0..RUNS {
            let (sampler, mut points) = (Sampler::new(&rates), Points(seed));
            let (mut all, mut errors) = (Weighted::default(), Weighted::default());
            let (mut total, mut failed) = (0.0, 0.0);
            for window in 0..6 {
                // Bursts: the third window has five times as many.
                for _ in 0..if window == 2 { 10_000 } else { 2_000 } {
                    let (is_error, is_slow, disagrees) =
                        (points.unit() < 0.1, points.unit() < 0.05, points.unit() < 0.1);
                    let value = 1.0 + points.unit();
                    total += value;
                    failed += f64::from(u8::from(is_error));
                    let point = points.next();
                    let classes = Classes::default().with(Class::Error, is_error).with(Class::Slow, is_slow);
                    let mut chosen = sampler.judge(point, classes);
                    if disagrees && sampler.may_disagree(point) {
                        chosen = sampler.judge_disagreed(point, chosen);
                    } else if disagrees {
                        // It is not kept, and its probability does not matter.
                        assert!(chosen.is_kept || point > u64::MAX / 10 * 7);
                    }
                    if chosen.is_kept {
                        all.add(value, chosen.probability);
                        if is_error {
                            errors.add(1.0, chosen.probability);
                        }
                    }
                }
                sampler.turn();
            }
            covered += u64::from(all.covers(total));
            errors_covered += u64::from(errors.covers(failed));
            bias += (all.total - total) / total / RUNS as f64;
        }
        // 95 % of 400 are 380, with a standard deviation of 4.4.
        assert!(covered >= 367, "{covered} of {RUNS} intervals hold the total, seeds 0 to {RUNS}");
        assert!(errors_covered >= 367, "{errors_covered} of {RUNS} hold the number of errors");
        assert!(bias.abs() < 0.005, "{bias}");
    }
}
