//! One kind of requests: what is asked, over which protocol, and when.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;

use super::{Count, Rate, Seconds};
use crate::call::{Body, Form, Kind, Manner, Source, Transport};
use crate::schedule::{Arrivals, Pattern, Rates, trace};

/// What made-up inputs have where nothing else is said.
const ROWS: u64 = 1;
const SIZE: u64 = 8;

/// The most steps of a rate.
const STEPS_MAX: usize = 1000;

/// A table `[[stream]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stream {
    /// What it is called in what is found; the model's name without it.
    name: Option<String>,
    /// The model that is asked.
    pub(crate) model: String,
    /// A version, by number or alias; the default one without it.
    pub(crate) version: Option<Version>,
    /// The form of paths and JSON.
    #[serde(default = "v2")]
    pub(crate) form: Form,
    /// What requests go over.
    #[serde(default = "http1")]
    pub(crate) transport: Transport,
    /// How tensors are written.
    #[serde(default = "json")]
    pub(crate) body: Body,
    /// Rows of inputs that are made up from the model's metadata.
    pub(crate) rows: Option<Count<65_536>>,
    /// The size of any other dimension that is not fixed, in those inputs.
    pub(crate) size: Option<Count<65_536>>,
    /// A `golden.json` whose cases are the inputs, and whose outputs are the right answers.
    pub(crate) golden: Option<PathBuf>,
    /// A file of V2 requests, one in each line, that are the inputs.
    pub(crate) replay: Option<PathBuf>,
    /// How requests are spread over time.
    #[serde(default = "constant")]
    pub(crate) arrivals: ArrivalsKind,
    /// Requests per second.
    pub(crate) rate: Option<Rate>,
    /// A rate that rises or falls.
    pub(crate) ramp: Option<Ramp>,
    /// Rates that follow each other.
    pub(crate) steps: Option<Vec<Step>>,
    /// A file of moments at which requests leave.
    pub(crate) trace: Option<PathBuf>,
    /// Connections, shared out among the threads.
    #[serde(default = "connections")]
    pub(crate) connections: Count<65_536>,
    /// Requests that share a connection of HTTP/2 or gRPC at the same time.
    #[serde(default = "streams")]
    pub(crate) streams: Count<1024>,
    /// How long an answer may take before it counts as lost.
    #[serde(default = "timeout")]
    pub(crate) timeout: Seconds,
    /// Requests of a thread that may be without an answer, before the generator waits.
    #[serde(default = "in_flight_max")]
    pub(crate) in_flight_max: Count<65_536>,
    /// The V2 parameter `priority` of its requests.
    pub(crate) priority: Option<u64>,
    /// How its client behaves.
    #[serde(default)]
    pub(crate) manner: Manners,
}

/// How the times between requests are spread, or that nothing is due before the last one was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ArrivalsKind {
    /// The same time between any two.
    Constant,
    /// Independent of each other, as many unrelated callers send.
    Poisson,
    /// A closed loop: the next request leaves when one was answered.
    Closed,
}

/// A version by its number or an alias.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a version is a number, or an alias in quotes")]
pub(crate) enum Version {
    Number(u64),
    Alias(String),
}

/// From one rate to another.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ramp {
    from: Rate,
    to: Rate,
    seconds: Seconds,
}

/// A rate for a time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    rate: Rate,
    seconds: Seconds,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manners {
    /// As it should.
    #[default]
    Normal,
    /// Sends so many bytes of its request a second.
    SlowSend(Count<1_000_000_000>),
    /// Reads so many bytes of the answer a second.
    SlowRead(Count<1_000_000_000>),
    /// Closes the connection so many seconds after it sent its request.
    VanishAfter(Seconds),
}

fn v2() -> Form {
    Form::V2
}

fn http1() -> Transport {
    Transport::Http1
}

fn json() -> Body {
    Body::Json
}

fn constant() -> ArrivalsKind {
    ArrivalsKind::Constant
}

fn connections() -> Count<65_536> {
    Count(16)
}

fn streams() -> Count<1024> {
    Count(16)
}

fn timeout() -> Seconds {
    Seconds(std::time::Duration::from_secs(10))
}

fn in_flight_max() -> Count<65_536> {
    Count(4096)
}

impl Version {
    /// As it stands in a path.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Alias(alias) => alias.clone(),
        }
    }
}

impl Stream {
    /// Requests to a model as they are without further keys, at no rate yet.
    pub(crate) fn of(model: &str) -> Self {
        Self {
            name: None,
            model: model.into(),
            version: None,
            form: v2(),
            transport: http1(),
            body: json(),
            rows: None,
            size: None,
            golden: None,
            replay: None,
            arrivals: constant(),
            rate: None,
            ramp: None,
            steps: None,
            trace: None,
            connections: connections(),
            streams: streams(),
            timeout: timeout(),
            in_flight_max: in_flight_max(),
            priority: None,
            manner: Manners::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.model)
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind { form: self.form, transport: self.transport, body: self.body }
    }

    /// Requests that share a connection at the same time.
    pub(crate) fn streams_each(&self) -> usize {
        if self.transport == Transport::Http1 { 1 } else { self.streams.0 }
    }

    pub(crate) fn manner(&self) -> Manner {
        match self.manner {
            Manners::Normal => Manner::Normal,
            Manners::SlowSend(bytes) => Manner::SlowSend { bytes_per_second: bytes.0 as u32 },
            Manners::SlowRead(bytes) => Manner::SlowRead { bytes_per_second: bytes.0 as u32 },
            Manners::VanishAfter(after) => Manner::Vanish { after: after.0 },
        }
    }

    /// Where its inputs come from.
    pub(crate) fn source(&self, seed: u64) -> Source {
        match (&self.golden, &self.replay) {
            (Some(golden), _) => Source::Golden(golden.clone()),
            (None, Some(replay)) => Source::File(replay.clone()),
            (None, None) => {
                let or =
                    |count: Option<Count<65_536>>, else_: u64| count.map_or(else_, |count| count.0 as u64);
                Source::Metadata { rows: or(self.rows, ROWS), size: or(self.size, SIZE), seed }
            }
        }
    }

    /// How it is called in what is found: "constant", "ramp, poisson", "trace", "closed".
    pub(crate) fn arrivals_name(&self) -> String {
        let spread = match self.arrivals {
            ArrivalsKind::Constant => "constant",
            ArrivalsKind::Poisson => "poisson",
            ArrivalsKind::Closed => "closed",
        };
        match (&self.ramp, &self.steps, &self.trace) {
            (Some(_), _, _) => format!("ramp, {spread}"),
            (_, Some(_), _) => format!("steps, {spread}"),
            (_, _, Some(_)) => "trace".into(),
            (None, None, None) => spread.into(),
        }
    }

    /// Whether its keys fit together.
    ///
    /// # Errors
    /// Those that do not, and what to do.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.kind().check()?;
        let rates = [
            ("rate", self.rate.is_some()),
            ("ramp", self.ramp.is_some()),
            ("steps", self.steps.is_some()),
            ("trace", self.trace.is_some()),
        ];
        one_of(&rates)?;
        let rated = rates.iter().find(|(_, given)| *given).map(|(key, _)| *key);
        match (self.arrivals, rated) {
            (ArrivalsKind::Closed, Some(key)) => Err(format!(
                "{key} with arrivals = \"closed\": answers set the pace of a closed loop: take {key} out"
            )),
            (ArrivalsKind::Constant | ArrivalsKind::Poisson, None) => {
                Err("nothing says when requests are due: give it a rate, or arrivals = \"closed\"".into())
            }
            _ => Ok(()),
        }?;
        if let Some(steps) = &self.steps
            && !(1..=STEPS_MAX).contains(&steps.len())
        {
            return Err(format!("steps has {} rates: between 1 and {STEPS_MAX} can be", steps.len()));
        }
        let made = [("rows", self.rows.is_some()), ("size", self.size.is_some())];
        let made = made.into_iter().find(|(_, given)| *given).unwrap_or(("rows", false));
        one_of(&[made, ("golden", self.golden.is_some()), ("replay", self.replay.is_some())])
    }

    /// When its requests are due, after a warm-up with the rate that it begins with. A trace warms up with its
    /// own first requests.
    ///
    /// # Errors
    /// Where the trace cannot be read.
    pub(crate) fn pattern(&self, warm_up: Seconds) -> Result<Pattern, String> {
        let arrivals = match self.arrivals {
            ArrivalsKind::Closed => return Ok(Pattern::Closed),
            ArrivalsKind::Constant => Arrivals::Constant,
            ArrivalsKind::Poisson => Arrivals::Poisson,
        };
        if let Some(file) = &self.trace {
            let trace = trace::read(file)?;
            let first = trace.iter().copied().take_while(|at| *at < warm_up.0);
            return Ok(Pattern::Trace(first.chain(trace.iter().map(|at| *at + warm_up.0)).collect()));
        }
        let rates = match (self.ramp, &self.steps) {
            (Some(Ramp { from, to, seconds }), _) => Rates::ramp(from.0, to.0, seconds.0),
            (None, Some(steps)) => Rates::steps(steps.iter().map(|step| (step.rate.0, step.seconds.0))),
            (None, None) => Rates::constant(self.rate.map_or(1.0, |rate| rate.0)),
        };
        Ok(Pattern::Rates(rates.after(warm_up.0), arrivals))
    }

    /// The same at another rate.
    pub(crate) fn at(&self, rate: f64) -> Self {
        Self { rate: Some(Rate(rate)), ..self.unpaced() }
    }

    /// The same as a closed loop.
    pub(crate) fn closed(&self) -> Self {
        Self { arrivals: ArrivalsKind::Closed, ..self.unpaced() }
    }

    /// The same without a word on when requests are due.
    fn unpaced(&self) -> Self {
        Self { rate: None, ramp: None, steps: None, trace: None, ..self.clone() }
    }

    /// The same at another rate, spread like this.
    pub(crate) fn spread(&self, arrivals: ArrivalsKind, rate: f64) -> Self {
        Self { arrivals, ..self.at(rate) }
    }
}

/// At most one of several keys.
fn one_of(keys: &[(&str, bool)]) -> Result<(), String> {
    let given: Vec<&str> = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    if given.len() > 1 {
        Err(format!("{} exclude each other: keep one", given.join(" and ")))
    } else {
        Ok(())
    }
}
