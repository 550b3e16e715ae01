//! Findings as runs give them, for tests: drawn latencies, counted as the engine counts.

use std::collections::BTreeMap;

use fastrand::Rng;
use hdrhistogram::Histogram;

use crate::findings::{About, Counts, Figure, Findings, Latency, Machine, Own, Part, Second, Stream};

/// Bounds of the buckets: from 50 us to about 10 s, eight to a decade.
fn edges() -> Vec<f64> {
    (0..=42).map(|step| 50.0 * 10_f64.powf(f64::from(step) / 8.0)).collect()
}

/// A stream to draw.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) name: &'static str,
    pub(crate) seconds: u64,
    pub(crate) rate: u64,
    /// The share of requests that is refused, and the share that fails.
    pub(crate) refused: f64,
    pub(crate) failed: f64,
    /// The time that half of the answers take.
    pub(crate) median_us: f64,
}

impl Drawn {
    pub(crate) fn stream(&self) -> Stream {
        let mut random = Rng::with_seed(self.rate ^ (self.seconds << 32));
        let [mut latency, mut of_second, mut refusals, mut lag] = [(); 4].map(|()| nanos());
        let (mut counts, mut errors, mut over_time) = (Counts::default(), BTreeMap::new(), Vec::new());
        for at in 0..self.seconds {
            let mut second = Second {
                at_s: at as f64,
                sent: self.rate,
                ok: 0,
                errors: BTreeMap::new(),
                quantiles_us: None,
                buckets: vec![0; edges().len() + 1],
            };
            of_second.reset();
            // Now and then the server stalls.
            let stall = if at % 17 == 11 { 4.0 } else { 1.0 };
            for _ in 0..self.rate {
                lag.saturating_record((20_000.0 * spread(&mut random, 0.6)) as u64);
                let fate = random.f64();
                let code = match fate {
                    _ if fate < self.refused => Some("OVERLOADED"),
                    _ if fate < self.refused + self.failed * 0.8 => Some("HTTP 500"),
                    _ if fate < self.refused + self.failed => Some("timeout"),
                    _ => None,
                };
                let Some(code) = code else {
                    let us = self.median_us * stall * spread(&mut random, 0.35);
                    of_second.saturating_record((us * 1e3) as u64);
                    latency.saturating_record((us * 1e3) as u64);
                    second.buckets[edges().partition_point(|edge| *edge <= us)] += 1;
                    second.ok += 1;
                    continue;
                };
                *second.errors.entry(code.to_owned()).or_default() += 1;
                *errors.entry(code.to_owned()).or_default() += 1;
                match code {
                    "OVERLOADED" => {
                        counts.refused += 1;
                        refusals.saturating_record((300_000.0 * spread(&mut random, 0.3)) as u64);
                    }
                    "timeout" => counts.lost += 1,
                    _ => counts.failed += 1,
                }
            }
            if second.ok > 0 {
                let at = |quantile| of_second.value_at_quantile(quantile) as f64 / 1e3;
                second.quantiles_us = Some([at(0.5), at(0.9), at(0.99), at(1.0)]);
            }
            counts.sent += self.rate;
            counts.ok += second.ok;
            over_time.push(second);
        }
        Stream {
            name: self.name.into(),
            model: "digits".into(),
            protocol: "V2 binary over HTTP/1.1".into(),
            arrivals: "poisson".into(),
            offered_rate: Some(self.rate as f64),
            counts,
            said: errors.keys().map(|code| (code.clone(), format!("{code}, and why"))).collect(),
            errors,
            goodput: if self.seconds > 0 { counts.ok as f64 / self.seconds as f64 } else { 0.0 },
            latency: quantiles(&latency),
            refusal_latency: (counts.refused > 0).then(|| quantiles(&refusals)),
            lag: quantiles(&lag),
            edges_us: edges(),
            over_time,
        }
    }

    /// A part with this stream alone.
    pub(crate) fn part(&self, name: &str) -> Part {
        Part { name: name.into(), target: None, seconds: self.seconds as f64, streams: vec![self.stream()] }
    }
}

/// A histogram of nanoseconds, up to a minute; of so few digits that hours are drawn in a moment.
fn nanos() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("bounds")
}

/// A factor around one, as times of answers are spread: skewed, with a long tail.
fn spread(random: &mut Rng, width: f64) -> f64 {
    let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    let tail = if random.u32(0..200) == 0 { 1.0 + 9.0 * random.f64() } else { 1.0 };
    (normal * width).exp() * tail
}

fn quantiles(histogram: &Histogram<u64>) -> Latency {
    let samples = histogram.len();
    let kept = (0..10).map(|tenth| f64::from(tenth) / 10.0).chain([0.99, 0.999, 0.9999]);
    let reached = kept.filter(|quantile| samples > 0 && (1.0 - quantile) * samples as f64 >= 1.0);
    Latency {
        samples,
        mean_us: if samples > 0 { histogram.mean() / 1e3 } else { 0.0 },
        max_us: histogram.max() as f64 / 1e3,
        quantiles_us: reached.map(|q| (q, histogram.value_at_quantile(q) as f64 / 1e3)).collect(),
    }
}

fn about(scenario: &str, purpose: &str) -> About {
    About {
        scenario: scenario.into(),
        purpose: purpose.into(),
        started_at: "2026-11-26T03:00:00Z".into(),
        seconds: 190.0,
        targets: BTreeMap::from([("A".into(), "http://127.0.0.1:8000".into())]),
        command: format!("pointsman-loadtest run loadtest/scenarios/{scenario}.toml"),
        machine: Machine { processor: "a processor".into(), cores: 2, system: "Linux 6.1".into() },
    }
}

/// One steady stream: nothing asked, nothing doubtful.
pub(crate) fn steady() -> Findings {
    let drawn = Drawn { name: "digits", seconds: 60, rate: 800, refused: 0.0, failed: 0.0, median_us: 900.0 };
    Findings { parts: vec![drawn.part("steady")], ..nothing() }
}

/// Overload of a model: refusals, failures, a figure that is missed, a generator that lagged.
pub(crate) fn overload() -> Findings {
    let at_peak =
        Drawn { name: "digits", seconds: 40, rate: 400, refused: 0.0, failed: 0.001, median_us: 4_000.0 };
    let parts = [(1, 0.0), (2, 0.5), (5, 0.8), (10, 0.9)].map(|(times, refused)| {
        let drawn = Drawn {
            rate: 400 * times,
            refused,
            median_us: 4_000.0 * (1.0 + times as f64 / 5.0),
            ..at_peak.clone()
        };
        drawn.part(&if times == 1 { "peak".into() } else { format!("{times} x") })
    });
    let figure = |name: &str, value, unit: &str, asked: &str, holds| Figure {
        name: name.into(),
        value,
        interval: None,
        unit: unit.into(),
        asked: Some(asked.into()),
        holds: Some(holds),
    };
    Findings {
        format: 1,
        about: about("overload", "Twice, five and ten times the peak: refused cheaply, never slowed down"),
        parts: parts.to_vec(),
        figures: vec![
            figure("goodput at 10 x over peak", 0.97, "ratio", ">= 0.9", true),
            figure("p50 of refusals at 10 x", 312.0, "us", "<= 1 ms", true),
            figure("p99 at 10 x over 80 % load", 2.4, "ratio", "<= 2", false),
            Figure {
                name: "peak".into(),
                value: 400.0,
                interval: None,
                unit: "/s".into(),
                asked: None,
                holds: None,
            },
        ],
        own: Some(Own { cpu_us: 14.2, p50_us: 41.0, p99_us: 96.0, rate_max: 61_000.0 }),
        doubts: vec!["the generator lagged in 10 x: p99 of the lag is 3.1 ms, at most 1 ms is sound".into()],
    }
}

/// Two targets in turn, with ratios and their intervals.
pub(crate) fn comparison() -> Findings {
    let drawn = Drawn { name: "digits", seconds: 20, rate: 500, refused: 0.0, failed: 0.0, median_us: 900.0 };
    let parts = (1..=3).flat_map(|round| [("A", round, 900.0), ("B", round, 1_150.0)]);
    let parts = parts.map(|(target, round, median_us)| {
        let mut part = Drawn { median_us, ..drawn.clone() }.part(&format!("round {round} of {target}"));
        part.target = Some(target.into());
        part
    });
    let ratio = |name: &str, value, interval| Figure {
        name: name.into(),
        value,
        interval: Some(interval),
        unit: "ratio".into(),
        asked: None,
        holds: None,
    };
    let mut about = about("compare", "Two targets in turn, the same work");
    about.targets.insert("B".into(), "http://127.0.0.1:9000".into());
    Findings {
        format: 1,
        about,
        parts: parts.collect(),
        figures: vec![
            ratio("p50 of B over A", 1.28, (1.24, 1.32)),
            ratio("p99 of B over A", 1.31, (1.12, 1.54)),
            ratio("p99.9 of B over A", 1.05, (0.81, 1.43)),
            ratio("goodput of B over A", 0.998, (0.991, 1.004)),
            ratio("CPU per request of B over A", 0.62, (0.6, 0.65)),
        ],
        own: None,
        doubts: Vec::new(),
    }
}

/// A run without a part.
pub(crate) fn nothing() -> Findings {
    Findings {
        format: 1,
        about: about("steady", "One rate, for a time"),
        parts: Vec::new(),
        figures: Vec::new(),
        own: None,
        doubts: Vec::new(),
    }
}

/// A run that ended before it measured anything: no samples, and numbers that are none.
pub(crate) fn empty() -> Findings {
    let none =
        Latency { samples: 0, mean_us: f64::NAN, max_us: f64::NAN, quantiles_us: vec![(0.5, f64::NAN)] };
    let mut findings = nothing();
    let drawn = Drawn { name: "digits", seconds: 0, rate: 0, refused: 0.0, failed: 0.0, median_us: 1.0 };
    let mut part = drawn.part("nothing");
    part.seconds = 0.0;
    part.streams[0].goodput = f64::NAN;
    part.streams[0].latency = none.clone();
    part.streams[0].lag = none;
    findings.parts = vec![part];
    findings.figures = vec![Figure {
        name: "peak".into(),
        value: f64::NAN,
        interval: Some((f64::NAN, f64::INFINITY)),
        unit: "/s".into(),
        asked: None,
        holds: None,
    }];
    findings
}
