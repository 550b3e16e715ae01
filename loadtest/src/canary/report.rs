//! What rollouts under traffic did, and whether that is what was asked for.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::aborts::{Abort, CANDIDATE, Rollback};
use super::bad::{Bad, NAN};
use super::rise::Rise;
use super::{Arguments, Fault};
use crate::claim::Claim;
use crate::crowd::{Flown, Kept, Met, Window, kept};
use crate::latency::Latencies;
use crate::units;

/// The arm of who is not in the candidate's.
const DEFAULT: &str = "default";

/// Everything that a run found.
#[derive(Debug)]
pub(super) struct Report {
    arguments: Arguments,
    pub(super) rise: Option<Rise>,
    pub(super) aborts: Vec<Abort>,
    /// All requests beside both.
    pub(super) flown: Flown,
    pub(super) bad: Vec<Bad>,
}

/// Times of the aborts.
struct Rollbacks {
    answered: Latencies,
    begun: Latencies,
    last: Latencies,
    /// Aborts before which the candidate had answered nothing.
    idle: u64,
}

impl Report {
    /// Of a run that has found nothing yet.
    pub(super) fn new(arguments: &Arguments) -> Self {
        let (arguments, flown) = (arguments.clone(), Flown::default());
        Self { arguments, rise: None, aborts: Vec::new(), flown, bad: Vec::new() }
    }

    /// Whether a version is that of an arm: the candidate of the rise is the default after it, and the default before it
    /// is the candidate of the aborts.
    fn is_of(&self, met: &Met, arm: &str, version: u64) -> bool {
        let promoted = self.rise.as_ref().and_then(|rise| rise.promoted);
        let risen = promoted.is_some_and(|promoted| met.sent >= promoted.to);
        let rising = promoted.is_none_or(|promoted| met.ended <= promoted.from);
        match (arm, version) {
            (DEFAULT, 2) | (CANDIDATE, 3) => !risen,
            (DEFAULT, 3) | (CANDIDATE, 2) => !rising,
            _ => false,
        }
    }

    /// Answers that are not wholly those of their version, or whose version is not that of their arm.
    fn wrong(&self) -> u64 {
        self.flown.wrong(|met, arm, version| self.is_of(met, arm, version))
    }

    /// How units kept their arms during the rise.
    fn kept(&self) -> Option<Kept> {
        let rise = self.rise.as_ref()?;
        let windows: Vec<Window> = rise.stages.iter().map(|stage| stage.window).collect();
        Some(kept(&self.flown.met, &windows, DEFAULT, CANDIDATE))
    }

    fn rollbacks(&self) -> Option<Rollbacks> {
        let [answered, begun, last] = [(); 3].map(|()| Latencies::new().ok());
        let mut times = Rollbacks { answered: answered?, begun: begun?, last: last?, idle: 0 };
        for abort in &self.aborts {
            let Rollback { answered, begun, last, before } = abort.rollback(&self.flown);
            times.answered.record(answered);
            times.begun.record(begun);
            times.last.record(last);
            times.idle += u64::from(before == 0);
        }
        (!self.aborts.is_empty()).then_some(times)
    }

    /// The figures that decide, with their bounds.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let Arguments { rollback_max, nan_max, failures_max, .. } = &self.arguments;
        let mut claims = Vec::new();
        if !self.flown.met.is_empty() {
            claims.push(Claim::none("lost", self.flown.lost));
            claims.push(Claim::none("failed", self.flown.failed()));
            claims.push(Claim::none("wrong version or bytes", self.wrong()));
        }
        if let (Some(rise), Some(kept)) = (&self.rise, self.kept()) {
            let is_promoted = rise.promoted.is_some();
            claims.push(Claim::new("the rollout ends", rise.phase.clone(), "promoted".into(), is_promoted));
            claims.push(Claim::none("units that moved in a stage", kept.moved));
            claims.push(Claim::none("units that left the candidate", kept.strayed));
            claims.push(Claim::at_least("units that joined it later", kept.grown, 1));
        }
        if let Some(times) = self.rollbacks() {
            let bound = format!("<= {}", units::time(us(*rollback_max)));
            for (name, quantile) in [("rollback, median", 0.5), ("rollback, p99", 0.99)] {
                let found = times.begun.quantile_us(quantile).unwrap_or(f64::NAN);
                let held = found <= us(*rollback_max);
                claims.push(Claim::new(name, units::time(found), bound.clone(), held));
            }
            claims.push(Claim::none("aborts of idle candidates", times.idle));
        }
        for Bad { version, reason, answers, time, failed_before, lost } in &self.bad {
            let (name, is_quick, found, bound) = if *version == NAN {
                let bound = format!("<= {}", units::time(us(*nan_max)));
                ("from the first NaN to the last", time <= nan_max, units::time(us(*time)), bound)
            } else {
                let bound = format!("<= {failures_max}");
                ("answers of one that fails", answers <= failures_max, answers.to_string(), bound)
            };
            let is_back = reason.is_some() && *answers > 0;
            claims.push(Claim::new(name, found, bound, is_quick && is_back));
            let name = if *version == NAN { "other losses, NaN" } else { "other losses, failing" };
            claims.push(Claim::none(name, failed_before + lost));
        }
        claims
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let Self { arguments, rise, flown, bad, .. } = self;
        let claims = self.claims();
        let stages = rise.iter().flat_map(|rise| &rise.stages).map(|stage| {
            json!({
                "exposure": stage.exposure, "took_seconds": stage.took.as_secs_f64(),
                "planned_seconds": stage.planned.map(|planned| planned.as_secs_f64()),
            })
        });
        let rollbacks = self.rollbacks().map(|times| {
            json!({"call": times.answered.json(), "last_begun": times.begun.json(), "last_answer": times.last.json()})
        });
        let bad = bad.iter().map(|bad| {
            json!({
                "version": bad.version, "reason": bad.reason, "answers": bad.answers,
                "seconds": bad.time.as_secs_f64(),
            })
        });
        let latency = flown.latencies(Duration::ZERO, Duration::MAX).map(|latencies| latencies.json());
        json!({
            "scenario": "canary",
            "settings": {
                "rate": arguments.rate, "canary": arguments.canary, "aborts": arguments.aborts,
                "guards": arguments.guards, "fault": arguments.fault.map(Fault::name),
            },
            "held": Claim::missed(&claims).is_empty(),
            "figures": claims.iter().map(Claim::json).collect::<Vec<_>>(),
            "requests": flown.met.len(), "latency": latency.ok(),
            "stages": stages.collect::<Vec<_>>(), "rollbacks": rollbacks, "bad": bad.collect::<Vec<_>>(),
            "messages": flown.messages().collect::<Vec<_>>(),
        })
    }
}

/// In microseconds.
fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arguments, rise, aborts, flown, bad } = self;
        writeln!(f, "{} requests, {} a second\n", flown.met.len(), arguments.rate)?;
        if let Some(rise) = rise {
            writeln!(f, "  {:<10} {:>12} {:>12}   units of the candidate", "stage", "planned", "took")?;
            let kept = self.kept().unwrap_or_default();
            for (number, stage) in rise.stages.iter().enumerate() {
                let planned = stage.planned.map_or_else(|| "?".into(), |time| units::time(us(time)));
                let counted = kept.units.get(number);
                let of = |arm: &str| counted.and_then(|units| units.get(arm)).copied().unwrap_or(0);
                let (candidate, all) = (of(CANDIDATE), of(CANDIDATE) + of(DEFAULT));
                let (took, share) = (units::time(us(stage.took)), units::share(candidate, all));
                writeln!(
                    f,
                    "  {:<10} {planned:>12} {took:>12}   {candidate} of {all}, {share}",
                    stage.exposure
                )?;
            }
            writeln!(f)?;
        }
        if let Some(times) = self.rollbacks() {
            writeln!(f, "  {} aborts at 50 %, in ms              p50       p99       max", aborts.len())?;
            for (name, times) in [
                ("the call", &times.answered),
                ("the last that begins", &times.begun),
                ("the last answer", &times.last),
            ] {
                times.line(f, name, &[0.5, 0.99, 1.0])?;
            }
            writeln!(f)?;
        }
        for Bad { version, reason, answers, time, .. } in bad {
            let kind = if *version == NAN { "with NaN" } else { "with errors" };
            let (time, reason) = (units::time(us(*time)), reason.as_deref().unwrap_or("never"));
            writeln!(
                f,
                "  version {version} at 1 %: {answers} answers {kind} in {time}, taken back: {reason}\n"
            )?;
        }
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
