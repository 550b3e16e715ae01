//! What shadows cost, and whether that is what was asked for.

use std::fmt;

use serde_json::{Value, json};

use super::ran::Ran;
use super::stand::Loaded;
use super::{Arguments, Fault, Kind};
use crate::claim::Claim;
use crate::findings::Counts;
use crate::ratio::{median, ratio};
use crate::units;

/// How far the gateway's own ratio may be from the measured one, at most, where the rounds lie closer together.
const APART_MAX: f64 = 0.10;

/// Everything that a run found.
#[derive(Debug)]
pub(super) struct Report {
    arguments: Arguments,
    /// What the machine answered at most, per second, where that was looked for; and the rate of the load.
    pub(super) saturated: Option<f64>,
    pub(super) rate: Option<f64>,
    /// With each kind of shadow.
    pub(super) rounds: Vec<Rounds>,
    /// What the gateway says itself.
    pub(super) own: Option<Own>,
    /// Of the load beside that.
    pub(super) counts: Vec<Counts>,
}

/// Times without a shadow and with one, in pairs.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) kind: Kind,
    /// Without, and with.
    pub(super) rounds: Vec<(Loaded, Loaded)>,
    /// How the shadow ran.
    pub(super) ran: Ran,
}

/// What the gateway says of its shadow.
#[derive(Debug)]
pub(super) struct Own {
    /// How it ran.
    pub(super) ran: Ran,
    /// What it cost.
    pub(super) cost: Value,
}

impl Rounds {
    /// The ratios of p99, with over without, in order of size.
    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> = self.rounds.iter().map(|(off, on)| on.p99_us / off.p99_us).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }

    /// Their median.
    fn median(&self) -> Option<f64> {
        median(self.ratios())
    }
}

impl Report {
    /// Of a run that has found nothing yet.
    pub(super) fn new(arguments: &Arguments) -> Self {
        let (arguments, rounds, counts) = (arguments.clone(), Vec::new(), Vec::new());
        Self { arguments, saturated: None, rate: None, rounds, own: None, counts }
    }

    /// The figures that decide, with their bounds.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let counts = || {
            let pairs = self.rounds.iter().flat_map(|rounds| &rounds.rounds);
            pairs.flat_map(|(off, on)| [&off.counts, &on.counts]).chain(&self.counts)
        };
        let sum = |of: fn(&Counts) -> u64| counts().map(of).sum::<u64>();
        let mut claims = vec![
            Claim::none("refused", sum(|counts| counts.refused)),
            Claim::none("failed", sum(|counts| counts.failed)),
            Claim::none("wrong", sum(|counts| counts.wrong)),
            Claim::none("lost", sum(|counts| counts.lost)),
        ];
        for rounds in &self.rounds {
            let Arguments { slow_ratio_max, hung_ratio_max, fault, .. } = self.arguments;
            let (name, most) = match rounds.kind {
                Kind::Hung => ("p99 with a shadow that hangs", hung_ratio_max),
                Kind::Slow | Kind::Own => ("p99 with a slow shadow", slow_ratio_max),
            };
            let median = rounds.median().unwrap_or(f64::NAN);
            claims.push(Claim::new(name, format!("{median:.3} x"), format!("<= {most}"), median <= most));
            // What is not done costs nothing.
            if fault.is_none() {
                let (ran, answered) = (&rounds.ran, rounds.ran.answered);
                claims.push(match rounds.kind {
                    Kind::Hung => Claim::none("answered by a shadow that hangs", answered),
                    Kind::Slow | Kind::Own => Claim::at_least("answered by a slow shadow", answered, 1),
                });
                claims.push(Claim::at_least("offered to it", ran.offered, 1));
            }
        }
        claims.extend(self.agreement());
        claims
    }

    /// Whether the gateway's own ratio is one that the rounds could have had.
    fn agreement(&self) -> Option<Claim> {
        let slow = self.rounds.iter().find(|rounds| rounds.kind == Kind::Slow)?;
        let own = self.own.as_ref()?.cost["p99_ratio"].as_f64().unwrap_or(f64::NAN);
        let ratios = slow.ratios();
        let (least, most, median) = (*ratios.first()?, *ratios.last()?, slow.median()?);
        let (from, to) = (least.min(median - APART_MAX), most.max(median + APART_MAX));
        let bound = format!("{from:.2} to {to:.2}");
        Some(Claim::new("the gateway's own ratio", format!("{own:.3} x"), bound, from <= own && own <= to))
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let Self { arguments, saturated, rate, rounds, own, .. } = self;
        let claims = self.claims();
        let loaded = |loaded: &Loaded| {
            let Loaded { p50_us, p99_us, lag_p99_us, counts } = loaded;
            json!({"p50_us": p50_us, "p99_us": p99_us, "lag_p99_us": lag_p99_us, "counts": counts})
        };
        let one = |of: &Rounds| {
            let pairs: Vec<_> = of.rounds.iter().map(|(off, on)| (off.p99_us, on.p99_us)).collect();
            let interval = ratio(&pairs).and_then(|ratio| ratio.interval);
            let rounds = of.rounds.iter().map(|(off, on)| json!({"off": loaded(off), "on": loaded(on)}));
            json!({
                "part": of.kind.name(), "median": of.median(), "ratios": of.ratios(), "interval": interval,
                "rounds": rounds.collect::<Vec<_>>(), "shadow": of.ran.json(),
            })
        };
        json!({
            "scenario": "shadow",
            "settings": {
                "rounds": arguments.rounds, "seconds": arguments.seconds.as_secs_f64(),
                "load": arguments.load, "seed": arguments.seed, "fault": arguments.fault.map(Fault::name),
            },
            "held": Claim::missed(&claims).is_empty(),
            "figures": claims.iter().map(Claim::json).collect::<Vec<_>>(),
            "saturated": saturated, "rate": rate,
            "parts": rounds.iter().map(one).collect::<Vec<_>>(),
            "own": own.as_ref().map(|own| json!({"cost": own.cost, "shadow": own.ran.json()})),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arguments, saturated, rate, rounds, own, .. } = self;
        let per_second = |rate: &Option<f64>| rate.map_or_else(|| "?".into(), units::rate);
        write!(f, "{} requests a second", per_second(rate))?;
        if saturated.is_some() {
            write!(f, ", {:.0} % of the {} that saturate", 100.0 * arguments.load, per_second(saturated))?;
        }
        writeln!(f, "; p99 with the shadow over that without, {} rounds\n", arguments.rounds)?;
        for of in rounds {
            let title = format!("shadow: {}", of.kind.name());
            writeln!(
                f,
                "{title:<18} {:>10} {:>10} {:>10} {:>10} {:>8}",
                "p50 off", "p50 on", "p99 off", "p99 on", "ratio"
            )?;
            for (off, on) in &of.rounds {
                let [a, b, c, d] = [off.p50_us, on.p50_us, off.p99_us, on.p99_us].map(units::time);
                writeln!(f, "{:<18} {a:>10} {b:>10} {c:>10} {d:>10} {:>8.3}", "", on.p99_us / off.p99_us)?;
            }
            let ratios = of.ratios();
            if let [least, .., most] = ratios[..] {
                let median = of.median().unwrap_or(f64::NAN);
                writeln!(f, "  median {median:.3}, from {least:.3} to {most:.3}")?;
            }
            writeln!(f, "  {}\n", of.ran)?;
        }
        if let Some(own) = own {
            let part = |part: &str, what: &str| own.cost[part][what].as_f64().unwrap_or(f64::NAN);
            let p99 = |of: &str| units::time(part(of, "p99") * 1e6);
            writeln!(
                f,
                "the gateway itself: p99 {} in {} requests with the shadow, {} in {} without, ratio {:.3}",
                p99("on"),
                part("on", "requests"),
                p99("off"),
                part("off", "requests"),
                own.cost["p99_ratio"].as_f64().unwrap_or(f64::NAN)
            )?;
            writeln!(f, "  {}\n", own.ran)?;
        }
        let claims = self.claims();
        claims.iter().try_for_each(|claim| writeln!(f, "{claim}"))?;
        let missed = Claim::missed(&claims).join(", ");
        match (arguments.fault, missed.is_empty()) {
            (None, true) => write!(f, "\nall figures held"),
            (None, false) => write!(f, "\nmissed: {missed}"),
            (Some(fault), true) => write!(f, "\nthe fault {} was NOT CAUGHT by any figure", fault.name()),
            (Some(fault), false) => write!(f, "\nthe fault {} was caught by: {missed}", fault.name()),
        }
    }
}
