//! Conditions under which a run counts as failed: `p99 > 5ms`.

use std::fmt;
use std::str::FromStr;

use crate::findings::{Figure, Findings, Latency, Part, Stream};
use crate::readings::Known;
use crate::units;

/// The most names that an error lists.
const NAMES_MAX: usize = 20;

/// What the metrics are, for errors and for the help of the command line.
pub(crate) const METRICS: &str = "p50 to p99.99 (any percentile), max, mean, lag_p99 (times: 5ms, 300us, 1s); goodput, \
     rate (per second: 900/s); errors, refused, failed, wrong, lost (counts: 0, or shares of what was sent: 0.1%); \
     figure:NAME (a figure of the run, in its own unit)";

/// A condition on the findings of a run: `[part:NAME] [stream:NAME] METRIC COMPARISON VALUE`.
///
/// Without a part or a stream it is on each of them. Spaces in names do not matter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Threshold {
    part: Option<String>,
    stream: Option<String>,
    metric: Metric,
    comparison: Comparison,
    value: Value,
    /// As it was written.
    text: String,
}

/// What became of a condition, with a sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The condition is true: the run counts as failed.
    Met(String),
    /// It is false, wherever it was looked at.
    NotMet(String),
    /// The findings do not say.
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Metric {
    /// Latency at a quantile.
    Quantile(f64),
    Max,
    Mean,
    Goodput,
    Rate,
    Errors,
    Refused,
    Failed,
    Wrong,
    Lost,
    /// How late requests left.
    LagP99,
    /// A figure of the run, by its name.
    Figure(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// A number with the unit in which it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Plain(f64),
    Micros(f64),
    PerSecond(f64),
    Percent(f64),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((left, comparison, right)) = Comparison::split(text) else {
            return Err(
                "no comparison: write a metric, one of > >= < <= and a value, as in 'p99 > 5ms'".into()
            );
        };
        let value: Value = right.parse()?;
        let (scope, metric) = match left.find("figure:") {
            Some(at) => left.split_at(at),
            None => left.rsplit_once(char::is_whitespace).unwrap_or(("", left)),
        };
        let metric: Metric = metric.parse()?;
        let (part, stream) = scope_of(scope)?;
        if matches!(metric, Metric::Figure(_)) && (part.is_some() || stream.is_some()) {
            return Err("a figure is of the whole run: leave out part: and stream:".into());
        }
        metric.agrees_with(value)?;
        Ok(Self { part, stream, metric, comparison, value, text: text.into() })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Threshold {
    /// What the findings say to it. Met anywhere is met; else what is unknown anywhere is unknown.
    pub(crate) fn check(&self, findings: &Findings) -> Outcome {
        if let Metric::Figure(name) = &self.metric {
            return self.check_figure(name, &findings.figures);
        }
        let places = match self.places(findings) {
            Ok(places) => places,
            Err(missing) => return Outcome::Unknown(format!("{self}: {missing}")),
        };
        let (mut met, mut not_met, mut unknown) = (None, None, None);
        for (part, stream) in places {
            let place = format!("{} in {}", units::name(&stream.name), units::name(&part.name));
            let Some(known) = self.metric.of(part, stream, self.value) else {
                unknown.get_or_insert_with(|| {
                    format!("{self}: not known of {place}, {}", self.metric.why_none())
                });
                continue;
            };
            let sentence = format!("{} of {place}", self.shown(known));
            let furthest = match self.comparison.holds(known, self.value.number()) {
                Some(true) => &mut met,
                Some(false) => &mut not_met,
                None => {
                    unknown.get_or_insert_with(|| format!("{self}: {sentence}"));
                    continue;
                }
            };
            let found = self.comparison.nearest_of(known);
            if furthest.as_ref().is_none_or(|(best, _)| self.comparison.nearer(found, *best)) {
                *furthest = Some((found, sentence));
            }
        }
        match (met, unknown, not_met) {
            (Some((_, furthest)), ..) => Outcome::Met(format!("{self}: {furthest}")),
            (None, Some(unknown), _) => Outcome::Unknown(unknown),
            (None, None, Some((_, nearest))) => Outcome::NotMet(format!("{self}: nearest is {nearest}")),
            (None, None, None) => Outcome::Unknown(format!("{self}: nothing was measured")),
        }
    }

    /// Notes at the figure that it is about, where it is about one, what is asked of that.
    pub(crate) fn note(&self, figures: &mut [Figure]) {
        let Metric::Figure(name) = &self.metric else { return };
        let outcome = self.check_figure(name, figures);
        let (Some(figure), Some(at)) =
            (figures.iter_mut().find(|figure| same(&figure.name, name)), self.text.rfind(['<', '>']))
        else {
            return;
        };
        figure.asked = Some(format!("not {}", &self.text[at..]));
        figure.holds = match outcome {
            Outcome::Met(_) => Some(false),
            Outcome::NotMet(_) => Some(true),
            Outcome::Unknown(_) => None,
        };
    }

    fn check_figure(&self, name: &str, figures: &[Figure]) -> Outcome {
        let Some(figure) = figures.iter().find(|figure| same(&figure.name, name)) else {
            let names = listed(figures.iter().map(|figure| figure.name.as_str()));
            return Outcome::Unknown(format!("{self}: no figure has this name; there are: {names}"));
        };
        let agrees = match self.value {
            Value::Micros(_) => figure.unit == "us",
            Value::PerSecond(_) => figure.unit == "/s",
            Value::Percent(_) => figure.unit == "%",
            Value::Plain(_) => figure.unit != "us",
        };
        let found = units::figure(figure.value, &figure.unit);
        if !agrees {
            return Outcome::Unknown(format!(
                "{self}: the figure is {found}; give the value in the same unit"
            ));
        }
        let sentence = format!("{self}: {found}");
        match self.comparison.holds(Known::Exactly(figure.value), self.value.number()) {
            Some(true) => Outcome::Met(sentence),
            Some(false) => Outcome::NotMet(sentence),
            None => Outcome::Unknown(format!("{self}: the figure has no value")),
        }
    }

    /// Each part and stream that it is about.
    fn places<'a>(&self, findings: &'a Findings) -> Result<Vec<(&'a Part, &'a Stream)>, String> {
        let is = |asked: &Option<String>, name: &str| asked.as_ref().is_none_or(|asked| same(asked, name));
        let parts: Vec<&Part> = findings.parts.iter().filter(|part| is(&self.part, &part.name)).collect();
        if parts.is_empty() {
            let names = listed(findings.parts.iter().map(|part| part.name.as_str()));
            return Err(format!("no part has this name; there are: {names}"));
        }
        let each = |part: &&'a Part| {
            let part: &'a Part = part;
            part.streams.iter().map(move |stream| (part, stream))
        };
        let streams: Vec<_> =
            parts.iter().flat_map(each).filter(|(_, s)| is(&self.stream, &s.name)).collect();
        if streams.is_empty() {
            let names =
                listed(parts.iter().flat_map(|part| &part.streams).map(|stream| stream.name.as_str()));
            return Err(format!("no stream has this name; there are: {names}"));
        }
        Ok(streams)
    }

    fn shown(&self, known: Known) -> String {
        let shown = |value: f64| match self.value {
            Value::Micros(_) => units::time(value),
            Value::PerSecond(_) => units::rate(value),
            Value::Percent(_) => units::figure(value, "%"),
            Value::Plain(_) => units::figure(value, ""),
        };
        match known {
            Known::Exactly(value) => shown(value),
            Known::Between(low, high) => format!("between {} and {}", shown(low), shown(high)),
        }
    }
}

/// The names after `part:` and `stream:`, each up to the other or the end.
fn scope_of(text: &str) -> Result<(Option<String>, Option<String>), String> {
    let (mut part, mut stream) = (None, None);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (slot, after) = if let Some(after) = rest.strip_prefix("part:") {
            (&mut part, after)
        } else if let Some(after) = rest.strip_prefix("stream:") {
            (&mut stream, after)
        } else {
            return Err(format!(
                "'{rest}' before the metric: only part:NAME and stream:NAME may stand there"
            ));
        };
        let end =
            [" part:", " stream:"].iter().filter_map(|next| after.find(next)).min().unwrap_or(after.len());
        let name = after[..end].trim();
        if name.is_empty() || slot.is_some() {
            return Err(format!(
                "'{rest}': part: and stream: each take one name, as in 'stream:iris p99 > 5ms'"
            ));
        }
        *slot = Some(name.to_owned());
        rest = after[end..].trim();
    }
    Ok((part, stream))
}

/// Whether two names are the same but for spaces: "10x" and "10 x".
fn same(a: &str, b: &str) -> bool {
    let letters = |text: &'_ str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    letters(a) == letters(b)
}

/// Names without repetition, for an error.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<String> = Vec::new();
    for name in names.map(units::name) {
        if !all.contains(&name) {
            all.push(name);
        }
        if all.len() > NAMES_MAX {
            all[NAMES_MAX] = "...".into();
            break;
        }
    }
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

impl Metric {
    /// Its value for a stream, in the unit of `unit`; nothing where it is not known.
    fn of(&self, part: &Part, stream: &Stream, unit: Value) -> Option<Known> {
        let counts = &stream.counts;
        let of_sent = |count: u64| match unit {
            Value::Percent(_) => (counts.sent > 0).then(|| 100.0 * count as f64 / counts.sent as f64),
            _ => Some(count as f64),
        };
        let at = |latency: &Latency, quantile| latency.known(quantile);
        let exact = match self {
            Self::Quantile(quantile) => return at(&stream.latency, *quantile),
            Self::LagP99 => return at(&stream.lag, 0.99),
            Self::Max => stream.latency.longest(),
            Self::Mean => stream.latency.mean(),
            Self::Goodput => Some(stream.goodput),
            Self::Rate => (part.seconds > 0.0).then(|| counts.sent as f64 / part.seconds),
            Self::Errors => of_sent(counts.errors()),
            Self::Refused => of_sent(counts.refused),
            Self::Failed => of_sent(counts.failed),
            Self::Wrong => of_sent(counts.wrong),
            Self::Lost => of_sent(counts.lost),
            Self::Figure(_) => None,
        };
        exact.filter(|value| value.is_finite()).map(Known::Exactly)
    }

    /// Why a stream may have no such value.
    fn why_none(&self) -> &'static str {
        match self {
            Self::Quantile(_) | Self::Max | Self::Mean => "which has no right answer",
            Self::LagP99 | Self::Errors | Self::Refused | Self::Failed | Self::Wrong | Self::Lost => {
                "which sent nothing"
            }
            Self::Goodput | Self::Rate | Self::Figure(_) => "which took no time",
        }
    }

    /// Whether a value of this unit can be compared with it.
    fn agrees_with(&self, value: Value) -> Result<(), String> {
        let (agrees, remedy) = match self {
            Self::Quantile(_) | Self::Max | Self::Mean | Self::LagP99 => {
                (matches!(value, Value::Micros(_)), "is a time: write the value as 300us, 5ms or 1s")
            }
            Self::Goodput | Self::Rate => (
                matches!(value, Value::Plain(_) | Value::PerSecond(_)),
                "is per second: write the value as 900 or 900/s",
            ),
            Self::Errors | Self::Refused | Self::Failed | Self::Wrong | Self::Lost => (
                matches!(value, Value::Plain(_) | Value::Percent(_)),
                "is a count, or a share of what was sent: write the value as 0 or 0.1%",
            ),
            Self::Figure(_) => (true, ""),
        };
        if agrees { Ok(()) } else { Err(format!("{self} {remedy}")) }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile(quantile) => write!(f, "p{}", (quantile * 1e8).round() / 1e6),
            Self::Figure(name) => write!(f, "figure:{name}"),
            Self::Max => f.write_str("max"),
            Self::Mean => f.write_str("mean"),
            Self::Goodput => f.write_str("goodput"),
            Self::Rate => f.write_str("rate"),
            Self::Errors => f.write_str("errors"),
            Self::Refused => f.write_str("refused"),
            Self::Failed => f.write_str("failed"),
            Self::Wrong => f.write_str("wrong"),
            Self::Lost => f.write_str("lost"),
            Self::LagP99 => f.write_str("lag_p99"),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = || text.strip_prefix('p')?.parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 100.0);
        Ok(match text {
            "max" => Self::Max,
            "mean" => Self::Mean,
            "goodput" => Self::Goodput,
            "rate" => Self::Rate,
            "errors" => Self::Errors,
            "refused" => Self::Refused,
            "failed" => Self::Failed,
            "wrong" => Self::Wrong,
            "lost" => Self::Lost,
            "lag_p99" => Self::LagP99,
            _ => match (text.strip_prefix("figure:").map(str::trim), percent()) {
                (Some(name), _) if !name.is_empty() => Self::Figure(name.into()),
                (None, Some(percent)) => Self::Quantile(percent / 100.0),
                _ => return Err(format!("'{text}' is no metric; metrics are: {METRICS}")),
            },
        })
    }
}

impl Comparison {
    /// What stands before the last comparison of a text, it, and what stands after it.
    fn split(text: &str) -> Option<(&str, Self, &str)> {
        let at = text.rfind(['<', '>'])?;
        let (left, right) = text.split_at(at);
        let (above, right) = (right.starts_with('>'), &right[1..]);
        let (comparison, right) = match (above, right.strip_prefix('=')) {
            (true, None) => (Self::Above, right),
            (true, Some(right)) => (Self::AtLeast, right),
            (false, None) => (Self::Below, right),
            (false, Some(right)) => (Self::AtMost, right),
        };
        Some((left.trim(), comparison, right.trim()))
    }

    /// Whether it holds; nothing where what is known does not decide it.
    fn holds(self, known: Known, value: f64) -> Option<bool> {
        let (low, high) = match known {
            Known::Exactly(found) => (found, found),
            Known::Between(low, high) => (low, high),
        };
        if !(low.is_finite() && high.is_finite()) {
            return None;
        }
        let holds = |found: f64| match self {
            Self::Above => found > value,
            Self::AtLeast => found >= value,
            Self::Below => found < value,
            Self::AtMost => found <= value,
        };
        (holds(low) == holds(high)).then(|| holds(low))
    }

    /// Of what is known, the end that is nearest to making it true.
    fn nearest_of(self, known: Known) -> f64 {
        match (self, known) {
            (_, Known::Exactly(found)) => found,
            (Self::Above | Self::AtLeast, Known::Between(_, high)) => high,
            (Self::Below | Self::AtMost, Known::Between(low, _)) => low,
        }
    }

    /// Whether one number is nearer than another to making it true.
    fn nearer(self, one: f64, other: f64) -> bool {
        match self {
            Self::Above | Self::AtLeast => one > other,
            Self::Below | Self::AtMost => one < other,
        }
    }
}

impl Value {
    fn number(self) -> f64 {
        let (Self::Plain(number) | Self::Micros(number) | Self::PerSecond(number) | Self::Percent(number)) =
            self;
        number
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' is no value: write a number with us, ms, s, % or /s, as in 5ms, or without a unit"
            )
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        match unit.trim() {
            "" => Ok(Self::Plain(number)),
            "us" => Ok(Self::Micros(number)),
            "ms" => Ok(Self::Micros(number * 1e3)),
            "s" => Ok(Self::Micros(number * 1e6)),
            "%" => Ok(Self::Percent(number)),
            "/s" => Ok(Self::PerSecond(number)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests;
