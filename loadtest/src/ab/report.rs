//! What an experiment under traffic did, and whether that is what was asked for.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{ARMS, Arguments, DEFAULT, Fault, GROWS, shares};
use crate::claim::Claim;
use crate::crowd::{Flown, Kept, Window, kept};
use crate::ratio::median;
use crate::units;

/// The least probability of shares that are so far from their weights by chance. The units are the same in every run.
const P_MIN: f64 = 1e-4;

/// The weight of an arm, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) arm: &'static str,
    pub(super) percent: u32,
}

/// A time without the experiment and one with it, each with the gateway's CPU time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) off: (Window, Duration),
    pub(super) on: (Window, Duration),
}

/// Everything that a run found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) arguments: Arguments,
    /// All requests.
    pub(super) flown: Flown,
    pub(super) rounds: Vec<Round>,
    /// With the weights before and after.
    pub(super) windows: Vec<Window>,
}

/// What requests of a time cost, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Cost {
    p50: f64,
    cpu: f64,
}

impl Report {
    /// Answers that are not wholly those of their version, or whose version is not that of their arm.
    fn wrong(&self) -> u64 {
        let all = || ARMS.map(|(arm, version, ..)| (arm, version)).into_iter().chain([DEFAULT]);
        self.flown.wrong(|_, arm, version| all().any(|of| of == (arm, version)))
    }

    fn kept(&self) -> Kept {
        kept(&self.flown.met, &self.windows, DEFAULT.0, GROWS)
    }

    fn cost(&self, (window, cpu): (Window, Duration)) -> Option<Cost> {
        let latencies = self.flown.latencies(window.from, window.to).ok()?;
        let samples = latencies.samples();
        let cpu = cpu.as_secs_f64() * 1e6 / samples.max(1) as f64;
        Some(Cost { p50: latencies.quantile_us(0.5)?, cpu })
    }

    /// Of each round, without and with.
    fn costs(&self) -> Vec<(Cost, Cost)> {
        self.rounds.iter().filter_map(|round| self.cost(round.off).zip(self.cost(round.on))).collect()
    }

    /// Units by arm, with the weights, before or after.
    fn counted(&self, kept: &Kept, is_raised: bool) -> Vec<(Share, u64)> {
        let arms = shares(is_raised);
        let rest = 100 - arms.iter().map(|share| share.percent).sum::<u32>();
        let all = arms.into_iter().chain([Share { arm: DEFAULT.0, percent: rest }]);
        let units = kept.units.get(usize::from(is_raised));
        let of = |arm: &str| units.and_then(|units| units.get(arm)).copied().unwrap_or(0);
        all.map(|share| (share, of(share.arm))).collect()
    }

    /// The figures that decide, with their bounds.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let (kept, Self { arguments, flown, .. }) = (self.kept(), self);
        let mut claims = vec![
            Claim::none("lost", flown.lost),
            Claim::none("failed", flown.failed()),
            Claim::none("wrong version or bytes", self.wrong()),
            Claim::none("units in two arms", kept.moved),
            Claim::none("units that moved otherwise", kept.strayed),
            Claim::at_least("units that joined the larger arm", kept.grown, 1),
        ];
        for (is_raised, name) in [(false, "shares before, p"), (true, "shares after, p")] {
            let p = p_of_shares(&self.counted(&kept, is_raised)).unwrap_or(f64::NAN);
            claims.push(Claim::new(name, format!("{p:.4}"), format!(">= {P_MIN}"), p >= P_MIN));
        }
        let costs = self.costs();
        if !costs.is_empty() {
            for (name, of, most) in [
                (
                    "p50 with over without",
                    (|cost: &Cost| cost.p50) as fn(&Cost) -> f64,
                    arguments.p50_ratio_max,
                ),
                ("CPU with over without", |cost| cost.cpu, arguments.cpu_ratio_max),
            ] {
                let ratio =
                    median(costs.iter().map(|(off, on)| of(on) / of(off)).collect()).unwrap_or(f64::NAN);
                claims.push(Claim::new(name, format!("{ratio:.3} x"), format!("<= {most}"), ratio <= most));
            }
        }
        claims
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let Self { arguments, flown, .. } = self;
        let (claims, kept) = (self.claims(), self.kept());
        let costs = self
            .costs()
            .into_iter()
            .map(|(off, on)| json!({"p50_us": [off.p50, on.p50], "cpu_us": [off.cpu, on.cpu]}));
        let arms = [false, true].map(|is_raised| {
            let counted = self.counted(&kept, is_raised).into_iter();
            counted
                .map(|(share, units)| json!({"arm": share.arm, "percent": share.percent, "units": units}))
                .collect::<Vec<_>>()
        });
        json!({
            "scenario": "ab",
            "settings": {
                "rate": arguments.rate, "units": arguments.units, "rounds": arguments.rounds,
                "seconds": arguments.seconds.as_secs_f64(), "fault": arguments.fault.map(Fault::name),
            },
            "held": Claim::missed(&claims).is_empty(),
            "figures": claims.iter().map(Claim::json).collect::<Vec<_>>(),
            "requests": flown.met.len(), "arms": arms, "grown": kept.grown,
            "rounds": costs.collect::<Vec<_>>(), "messages": flown.messages().collect::<Vec<_>>(),
        })
    }
}

/// The probability that units are so far from their weights, or farther, by chance: Pearson's chi-squared test (Pearson,
/// On the criterion that a given system of deviations, Philosophical Magazine 50, 1900). Nothing without units.
fn p_of_shares(counted: &[(Share, u64)]) -> Option<f64> {
    let all = counted.iter().map(|(_, units)| units).sum::<u64>() as f64;
    let terms = counted.iter().map(|(share, units)| {
        let expected = all * f64::from(share.percent) / 100.0;
        (*units as f64 - expected).powi(2) / expected
    });
    let chi_squared: f64 = terms.sum();
    let distribution = ChiSquared::new(counted.len().checked_sub(1)? as f64).ok()?;
    (all > 0.0).then(|| distribution.sf(chi_squared))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, Self { arguments, flown, .. }) = (self.kept(), self);
        writeln!(
            f,
            "{} requests, {} a second, over JSON, binary and gRPC\n",
            flown.met.len(),
            arguments.rate
        )?;
        for (is_raised, when) in [(false, "before"), (true, "after")] {
            let counted = self.counted(&kept, is_raised);
            let all = counted.iter().map(|(_, units)| units).sum();
            for (Share { arm, percent }, units) in counted {
                let share = units::share(units, all);
                writeln!(f, "  {when:<8} {arm:<10} {percent:>3} %   {units:>8} of {all} units, {share}")?;
            }
        }
        writeln!(f, "  {} units joined {GROWS}\n", kept.grown)?;
        let costs = self.costs();
        if !costs.is_empty() {
            writeln!(f, "  {:>10} {:>10} {:>10} {:>10}", "p50 off", "p50 on", "CPU off", "CPU on")?;
        }
        for (off, on) in costs {
            let [a, b, c, d] = [off.p50, on.p50, off.cpu, on.cpu].map(units::time);
            writeln!(f, "  {a:>10} {b:>10} {c:>10} {d:>10}")?;
        }
        writeln!(f)?;
        let claims = self.claims();
        claims.iter().try_for_each(|claim| writeln!(f, "{claim}"))?;
        flown.messages().try_for_each(|message| writeln!(f, "  ! {message}"))?;
        let missed = Claim::missed(&claims).join(", ");
        match (arguments.fault, missed.is_empty()) {
            (None, true) => write!(f, "\nall figures held"),
            (None, false) => write!(f, "\nmissed: {missed}"),
            (Some(fault), true) => write!(f, "\nthe fault {} was NOT CAUGHT by any figure", fault.name()),
            (Some(fault), false) => write!(f, "\nthe fault {} was caught by: {missed}", fault.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_tested_by_chi_squared() {
        let counted = |counts: [u64; 3]| {
            let share = |percent| Share { arm: "a", percent };
            [30, 20, 50].map(share).into_iter().zip(counts).collect::<Vec<_>>()
        };
        // Expected 300, 200, 500; (10^2 / 300) + (10^2 / 200) + 0 = 5 / 6, and exp(-x / 2) is what lies beyond.
        let p = p_of_shares(&counted([310, 190, 500])).expect("units");
        assert!((p - (-5.0_f64 / 12.0).exp()).abs() < 1e-12, "{p}");
        assert!(p_of_shares(&counted([400, 100, 500])).is_some_and(|p| p < P_MIN));
        assert_eq!(p_of_shares(&counted([0, 0, 0])), None);
    }
}
