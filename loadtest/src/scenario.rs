//! What is to be measured: a file of `loadtest/scenarios/`, or the flags of the command line.

mod gateway;
mod numbers;
mod objective;
mod parts;
mod stream;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

pub(crate) use self::gateway::GatewayTable;
pub(crate) use self::numbers::{Count, Rate, Seconds, Share};
pub(crate) use self::objective::Objective;
pub(crate) use self::parts::{Alone, Neighbour, Overload, Search};
pub(crate) use self::stream::{ArrivalsKind, Stream, Version};
use crate::call::Transport;
use crate::threshold::Threshold;

/// The most streams of a scenario.
const STREAMS_MAX: usize = 64;

/// How long a part is measured where nothing else is said.
const MEASURED: Duration = Duration::from_secs(30);

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A scenario. Without one of the tables at its end it is a single part with the same load all the time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub(crate) name: String,
    /// What it is for, in a sentence.
    pub(crate) purpose: String,
    /// Where the server listens for HTTP: `http://HOST:PORT`.
    pub(crate) url: Option<String>,
    /// Where it listens for gRPC: `HOST:PORT`.
    pub(crate) grpc: Option<String>,
    /// A gateway that is started for the scenario, where no `url` is given.
    pub(crate) gateway: Option<GatewayTable>,
    /// Threads that send; each has its share of every stream.
    #[serde(default = "Count::one")]
    pub(crate) threads: Count<64>,
    /// What random inputs and times are made from.
    #[serde(default)]
    pub(crate) seed: u64,
    /// How long each part is loaded before it is measured.
    #[serde(default = "Seconds::warm_up")]
    pub(crate) warm_up: Seconds,
    /// How long each part is measured.
    pub(crate) seconds: Option<Seconds>,
    /// What makes the run fail.
    #[serde(default, deserialize_with = "thresholds")]
    pub(crate) fail_if: Vec<Threshold>,
    /// What is sent, side by side.
    #[serde(default, rename = "stream")]
    pub(crate) streams: Vec<Stream>,
    /// Looks for the highest rate that holds an objective.
    pub(crate) search: Option<Search>,
    /// Then offers multiples of it.
    pub(crate) overload: Option<Overload>,
    /// Measures one stream alone, and then with all others beside it.
    pub(crate) neighbour: Option<Neighbour>,
    /// Measures the only stream beside ONNX Runtime alone.
    pub(crate) alone: Option<Alone>,
    /// Flags of the command `swap`, which this scenario stands for.
    pub(crate) swap: Option<toml::Table>,
}

impl Scenario {
    /// Reads a file. What is to hold between its keys is asked by [`Self::check`], once flags have been applied.
    ///
    /// # Errors
    /// Where it cannot be read, or says what no scenario does; with file, line, key and value.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let named = |problem: String| format!("{}: {problem}", path.display());
        let bytes = std::fs::metadata(path).map_err(|e| named(e.to_string()))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(named(format!("{bytes} bytes are over {FILE_BYTES_MAX}: this is no scenario")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?;
        let mut scenario: Self = toml::from_str(&text).map_err(|e| named(e.to_string()))?;
        scenario.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(scenario)
    }

    /// One stream of requests to a model, as the command line describes it.
    pub(crate) fn of_flags(model: &str) -> Self {
        Self {
            name: "run".into(),
            purpose: "What the flags of the command line say".into(),
            url: None,
            grpc: None,
            gateway: None,
            threads: Count::one(),
            seed: 0,
            warm_up: Seconds::warm_up(),
            seconds: None,
            fail_if: Vec::new(),
            streams: vec![Stream::of(model)],
            search: None,
            overload: None,
            neighbour: None,
            alone: None,
            swap: None,
        }
    }

    /// How long each part is measured.
    pub(crate) fn time(&self) -> Duration {
        self.seconds.map_or(MEASURED, |seconds| seconds.0)
    }

    /// Whether its keys fit together.
    ///
    /// # Errors
    /// Those that do not, and what to do.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.swap.is_some() {
            return self.check_swap();
        }
        if self.url.is_none() && self.grpc.is_none() && self.gateway.is_none() {
            return Err(
                "nothing says what to load: name a server by url (or --url), or a gateway in [gateway]"
                    .into(),
            );
        }
        if self.streams.is_empty() || self.streams.len() > STREAMS_MAX {
            let streams = self.streams.len();
            return Err(format!("{streams} tables [[stream]]: a scenario has between 1 and {STREAMS_MAX}"));
        }
        for (index, stream) in self.streams.iter().enumerate() {
            let reached = self.check_reached(stream);
            stream
                .check()
                .and(reached)
                .map_err(|problem| format!("stream {:?}: {problem}", stream.name()))?;
            if self.streams[..index].iter().any(|other| other.name() == stream.name()) {
                return Err(format!(
                    "two streams are named {:?}: give each a name of its own",
                    stream.name()
                ));
            }
        }
        self.check_tables()
    }

    /// Whether there is an address for what a stream goes over.
    fn check_reached(&self, stream: &Stream) -> Result<(), String> {
        let (url, grpc) = (self.url.is_some(), self.grpc.is_some());
        match stream.transport {
            _ if !url && !grpc => Ok(()),
            Transport::Grpc if !grpc => {
                Err("transport = \"grpc\": say where the server listens for it: grpc, or --grpc".into())
            }
            Transport::Http1 | Transport::Http2 if !url => {
                Err("it goes over HTTP: say where the server listens for it: url, or --url".into())
            }
            _ => Ok(()),
        }
    }

    /// What the tables at the end ask of the streams.
    fn check_tables(&self) -> Result<(), String> {
        let search = self.search.as_ref().map(|table| ("search", &table.stream));
        let overload = self.overload.as_ref().map(|table| ("overload", &table.stream));
        if search.is_some() && overload.is_some() {
            return Err("[search] and [overload] exclude each other: keep one".into());
        }
        if let Some((table, name)) = search.or(overload) {
            let changed = &self.streams[self.stream(&format!("{table}.stream"), name.as_deref())?];
            if changed.rate.is_none() || changed.arrivals == ArrivalsKind::Closed {
                return Err(format!(
                    "stream {:?}: [{table}] changes its rate: name the first one in rate, with constant or poisson arrivals",
                    changed.name()
                ));
            }
        }
        if let Some(neighbour) = &self.neighbour {
            self.stream("neighbour.measured", Some(&neighbour.measured))?;
            if search.or(overload).is_some() || self.streams.len() < 2 {
                return Err(
                    "[neighbour] is for a stream beside others, without [search] and [overload]: add a [[stream]]"
                        .into(),
                );
            }
        }
        if self.alone.is_some() {
            let others = search.or(overload).is_some() || self.neighbour.is_some();
            let gateway = self.gateway.is_some() && self.url.is_none() && self.grpc.is_none();
            if others || !gateway || self.streams.len() != 1 {
                return Err(
                    "[alone] is for one [[stream]] to a gateway that it starts, without [search], [overload] and [neighbour]"
                        .into(),
                );
            }
        }
        Ok(())
    }

    /// A scenario of swaps is the command `swap`: nothing else in the file has a meaning.
    fn check_swap(&self) -> Result<(), String> {
        let tables = !self.streams.is_empty()
            || self.search.is_some()
            || self.overload.is_some()
            || self.neighbour.is_some();
        match self.url.as_ref().or(self.grpc.as_ref()) {
            Some(url) => Err(format!(
                "url = {url:?}: versions are swapped in a gateway that is started for that: name its binary in [gateway]"
            )),
            None if tables => {
                Err("[swap] sends requests of its own: take [[stream]] and the other tables out".into())
            }
            None if self.seconds.is_some() => {
                Err("seconds with [swap]: it ends with its requests: name those in swap.requests".into())
            }
            None if !self.fail_if.is_empty() => {
                Err("fail_if with [swap]: its own bounds are swap.p99_ratio_max and swap.rss_growth_max"
                    .into())
            }
            None => Ok(()),
        }
    }

    /// The place of a stream among the streams. Without a name, that of the only one.
    ///
    /// # Errors
    /// Where there is none of that name, or several and no name.
    pub(crate) fn stream(&self, key: &str, name: Option<&str>) -> Result<usize, String> {
        let names: Vec<&str> = self.streams.iter().map(Stream::name).collect();
        match name {
            None if names.len() == 1 => Ok(0),
            None => Err(format!("{key} has to say which stream is meant: {}", names.join(", "))),
            Some(name) => names.iter().position(|known| *known == name).ok_or_else(|| {
                format!("{key} = {name:?}: there is no such stream, only {}", names.join(", "))
            }),
        }
    }
}

/// Conditions, each of which says what is wrong with it.
fn thresholds<'de, D: Deserializer<'de>>(texts: D) -> Result<Vec<Threshold>, D::Error> {
    let texts = Vec::<String>::deserialize(texts)?;
    let parse = |text: String| text.parse().map_err(|e| de::Error::custom(format!("{text:?}: {e}")));
    texts.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
