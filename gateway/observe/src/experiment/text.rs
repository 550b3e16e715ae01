//! The report as text, for a terminal.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, UNIX_EPOCH};

use super::report::{EffectReport, EstimateReport, ExperimentReport, MetricReport, NeedReport};
use crate::report::{number, percent, seconds};

impl ExperimentReport {
    /// What can be told, in a sentence.
    pub(super) fn said(&self) -> String {
        if self.split.is_mismatch {
            return format!(
                "The arms do not get the units that they should (p = {}), so that no difference can be trusted: look \
                 for requests that are dropped, repeated or never sent because of their arm",
                number(self.split.p)
            );
        }
        if self.arms.iter().all(|arm| arm.requests == 0) {
            return "Nothing has been counted yet".into();
        }
        if let Some(empty) = self.arms.iter().find(|arm| arm.requests == 0) {
            return format!("Nothing can be told yet: arm {} has had no requests", empty.name);
        }
        // Arm by arm, as a reader chooses between them.
        let found: Vec<String> = self.arms.iter().filter_map(|arm| self.said_of(&arm.name)).collect();
        if found.is_empty() { "No difference can be told yet".into() } else { found.join("; ") }
    }

    /// Where an arm differs from the default one; nothing where that cannot be told of any metric.
    fn said_of(&self, arm: &str) -> Option<String> {
        let effect = |metric: &MetricReport| {
            let effect = metric.effects.iter().find(|effect| effect.arm == arm && effect.differs)?;
            Some(metric.difference(effect.decisive()?))
        };
        let found: Vec<String> = self.metrics.iter().filter_map(effect).collect();
        (!found.is_empty()).then(|| format!("Against the default, arm {arm} is {}", found.join(", ")))
    }

    /// Since when, in words.
    pub(super) fn since(&self) -> String {
        format!("{} ({})", moment(self.since_ms), self.why)
    }

    /// What is left out or not known, a line each.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(paused) = &self.paused {
            notes.push(format!("Nothing is counted at present: {paused}."));
        }
        for gap in &self.gaps {
            let (from, to) = (moment(gap.from_ms), moment(gap.to_ms));
            notes.push(format!(
                "The gateway ended without notice: what came from {from} to {to} is not known."
            ));
        }
        for (count, what) in [
            (self.left_out, "were drawn with earlier weights"),
            (self.other_version, "reached an earlier version of their arm"),
            (self.by_caller, "failed by their callers"),
        ] {
            if count > 0 {
                notes.push(format!("Requests left out, as they {what}: {count}."));
            }
        }
        if let Some(covariate) = &self.covariate {
            let source = &covariate.source;
            if covariate.missing > 0 {
                notes.push(format!(
                    "{} of {} requests have no number in {source}: the adjusted differences are without them.",
                    covariate.missing,
                    covariate.missing + covariate.requests
                ));
            }
            if covariate.differs {
                notes.push(format!(
                    "The covariate {source} differs between arms, so that it is not used: take one that was known before."
                ));
            }
        }
        notes
    }

    /// What the check of the split says.
    pub(super) fn split_line(&self) -> String {
        let split = &self.split;
        let verdict =
            if split.is_mismatch { "the arms do not get what they should" } else { "no sign of a fault" };
        let steps = match split.strata.len() {
            0 | 1 => String::new(),
            steps => format!(", over {steps} sets of weights"),
        };
        let full = if split.is_full { "; it covers the first units, as no more are kept" } else { "" };
        let unchecked = match split.unchecked {
            0 => String::new(),
            units => format!("; {units} units of further weights are not checked"),
        };
        format!("{verdict} (p = {}{steps}){full}{unchecked}", number(split.p))
    }
}

impl EffectReport {
    /// The difference that counts.
    pub(super) fn decisive(&self) -> Option<&EstimateReport> {
        self.adjusted.as_ref().map(|adjusted| &adjusted.estimate).or(self.plain.as_ref())
    }
}

impl MetricReport {
    /// A value of it.
    pub(super) fn shown(&self, value: f64) -> String {
        match (self.is_time, self.is_share) {
            (true, _) => seconds(value),
            (_, true) => percent(value),
            _ => number(value),
        }
    }

    /// A difference of two values.
    pub(super) fn signed(&self, value: f64) -> String {
        let plus = if value > 0.0 { "+" } else { "" };
        // Differences of shares are in points of a hundred, and not in parts of a share.
        let shown = self.shown(value);
        format!("{plus}{}", if self.is_share { shown.replace(" %", " points") } else { shown })
    }

    fn difference(&self, found: &EstimateReport) -> String {
        let direction = match (self.less_is_better, found.difference < 0.0) {
            (Some(less), is_less) if less == is_less => "better",
            (Some(_), _) => "worse",
            (None, true) => "lower",
            (None, false) => "higher",
        };
        let [from, to] = [found.lower, found.upper].map(|value| self.signed(value));
        let by = self.signed(found.difference.abs());
        format!("{direction} in {} by {} (from {from} to {to})", self.name, by.trim_start_matches('+'))
    }

    /// A difference with its interval.
    pub(super) fn estimate(&self, found: &EstimateReport) -> String {
        let relative = found
            .relative
            .map_or_else(String::new, |part| format!(", {:+.1} %", (1000.0 * part).round() / 10.0 + 0.0));
        format!(
            "{}{relative} (from {} to {}), p {}",
            self.signed(found.difference),
            self.signed(found.lower),
            self.signed(found.upper),
            number(found.p)
        )
    }

    /// What is still needed.
    pub(super) fn need(&self, need: &NeedReport) -> String {
        let difference = self.signed(need.difference);
        let difference = difference.trim_start_matches('+');
        let Some(requests) = need.requests else {
            return format!("no number of requests tells a difference of {difference}");
        };
        if requests <= 0.0 {
            return format!("enough for a difference of {difference}");
        }
        let time =
            need.seconds.map_or_else(String::new, |time| format!(" ({} at the present pace)", long(time)));
        format!("{}{time} tell a difference of {difference}", more(requests))
    }
}

impl Display for ExperimentReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: experiment {}", self.model, self.experiment)?;
        writeln!(f, "{}.\n", self.verdict)?;
        writeln!(f, "  {:<14} {:>7} {:>8} {:>10} {:>10}", "arm", "version", "weight", "units", "requests")?;
        for arm in &self.arms {
            let weight = percent(arm.weight);
            writeln!(
                f,
                "  {:<14} {:>7} {weight:>8} {:>10} {:>10}",
                arm.name, arm.version, arm.units, arm.requests
            )?;
        }
        writeln!(f, "\n  split          {}", self.split_line())?;
        writeln!(f, "  units          {}", self.units.join(", "))?;
        writeln!(f, "  since          {}", self.since())?;
        if let Some(pace) = self.pace {
            writeln!(f, "  pace           {} requests a second", number(pace))?;
        }
        for line in self.notes() {
            writeln!(f, "  {line}")?;
        }
        for metric in &self.metrics {
            metric.write(f, self)?;
        }
        writeln!(
            f,
            "\nAll intervals hold together and at any time: with a probability of {} at most any of them is wrong.",
            self.alpha
        )
    }
}

impl MetricReport {
    fn write(&self, f: &mut Formatter<'_>, report: &ExperimentReport) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.name, self.about)?;
        for (arm, figure) in report.arms.iter().zip(&self.figures) {
            let value = figure.value.map_or_else(|| "-".into(), |value| self.shown(value));
            writeln!(f, "  {:<14} {value}, of {}", arm.name, figure.count)?;
        }
        // Of what cannot be trusted no difference is shown.
        for effect in self.effects.iter().filter(|_| !report.split.is_mismatch) {
            let name = &effect.arm;
            if let Some(plain) = &effect.plain {
                writeln!(f, "  {name:<14} by {}", self.estimate(plain))?;
            }
            if let Some(adjusted) = &effect.adjusted {
                let note = adjusted_note(adjusted.variance_kept, adjusted.requests);
                writeln!(f, "  {:<14} by {}", "  adjusted", self.estimate(&adjusted.estimate))?;
                writeln!(f, "  {:<14} {note}", "")?;
            }
            if !effect.note.is_empty() {
                writeln!(f, "  {:<14} {}", "", effect.note)?;
            }
            if let Some(need) = &effect.needed {
                writeln!(f, "  {:<14} {}", "", self.need(need))?;
            }
        }
        Ok(())
    }
}

/// By how much the variance fell.
pub(super) fn adjusted_note(kept: f64, requests: u64) -> String {
    format!("the covariate takes {} of the variance away, of {requests} requests", percent(1.0 - kept))
}

/// A moment in UTC, to the second.
fn moment(ms: u64) -> String {
    // What is later than the year 9999 comes from a damaged clock.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms).min(LAST)).to_string()
}

/// A number of requests in two digits that count.
fn more(requests: f64) -> String {
    let digits = 10_f64.powf(requests.max(1.0).log10().floor() - 1.0).max(1.0);
    let rounded = (requests / digits).ceil() * digits;
    format!("about {rounded} requests more")
}

/// A time of minutes and more.
fn long(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{} s", s.ceil()),
        s if s < 7200.0 => format!("{} min", (s / 60.0).ceil()),
        s if s < 172_800.0 => format!("{} h", (s / 3600.0).ceil()),
        s => format!("{} days", (s / 86_400.0).ceil()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_requests_and_times_are_short() {
        assert_eq!(
            [3.2, 12_824.9, 99_999.0].map(more),
            ["about 4 requests more", "about 13000 requests more", "about 100000 requests more"]
        );
        assert_eq!([0.2, 90.0, 600.0, 7300.0, 1e6].map(long), ["1 s", "90 s", "10 min", "3 h", "12 days"]);
        assert_eq!(moment(1_700_000_000_123), "2023-11-14T22:13:20Z");
    }
}
