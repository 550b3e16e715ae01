//! A scenario with all that it takes: the server, the requests to it, and how a part of it is measured.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::ParameterValue;

use crate::accounting;
use crate::call::{Call, Input, Model, Wiring};
use crate::findings::{Figure, Part};
use crate::measure::{Client, Course, Load, Measured, Named, Watch, measure};
use crate::process::Usage;
use crate::ratio::ratio;
use crate::scenario::{ArrivalsKind, Scenario, Stream, Version};
use crate::target::Target;
use crate::watcher::Watcher;

/// A scenario that is measured on one server.
pub(crate) struct Bench<'a> {
    scenario: &'a Scenario,
    target: Target,
    /// The target's name, where there are several.
    name: Option<&'static str>,
    /// What is asked, and what asks it, for each stream.
    inputs: Vec<Vec<Input>>,
    clients: Vec<Arc<Client>>,
    watcher: &'a Watcher,
    /// Resident memory of a gateway that was started, before the first part.
    resident_bytes: Option<u64>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) parts: Vec<Part>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) doubts: Vec<String>,
}

impl<'a> Bench<'a> {
    /// Prepares all requests, with the inputs of another bench where both are to do the same work.
    ///
    /// # Errors
    /// Where the server does not have a model, or an input cannot be made or sent.
    pub(crate) fn new(
        scenario: &'a Scenario,
        target: Target,
        name: Option<&'static str>,
        like: Option<&Self>,
        watcher: &'a Watcher,
    ) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let (mut inputs, mut clients) = (Vec::new(), Vec::new());
        for (index, stream) in scenario.streams.iter().enumerate() {
            let same = like.and_then(|like| like.inputs.get(index)).cloned();
            let prepared = runtime.block_on(prepare(stream, scenario, &target, same));
            let (asked, client) =
                prepared.map_err(|problem| format!("stream {:?}: {problem}", stream.name()))?;
            inputs.push(asked);
            clients.push(Arc::new(client));
        }
        let gateway = target.gateway();
        let resident_bytes = gateway.map(|gateway| Usage::of(gateway.server.id())).transpose()?;
        let resident_bytes = resident_bytes.map(|usage| usage.resident_bytes);
        Ok(Self { scenario, target, name, inputs, clients, watcher, resident_bytes })
    }

    pub(crate) fn scenario(&self) -> &'a Scenario {
        self.scenario
    }

    /// Its name, where there are several.
    pub(crate) fn name(&self) -> &str {
        self.name.unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Every stream as the scenario has it.
    ///
    /// # Errors
    /// Where a trace cannot be read.
    pub(crate) fn loads(&self) -> Result<Vec<Load>, String> {
        (0..self.clients.len()).map(|stream| self.load(stream, &self.scenario.streams[stream])).collect()
    }

    /// Every stream, and one of them at another rate.
    ///
    /// # Errors
    /// Where a trace cannot be read.
    pub(crate) fn loads_at(&self, stream: usize, rate: f64) -> Result<Vec<Load>, String> {
        self.loads_as(stream, &self.scenario.streams[stream].at(rate))
    }

    /// Every stream, and one of them with other arrivals.
    ///
    /// # Errors
    /// Where a trace cannot be read.
    pub(crate) fn loads_as(&self, stream: usize, as_said: &Stream) -> Result<Vec<Load>, String> {
        let mut loads = self.loads()?;
        loads[stream] = self.load(stream, as_said)?;
        Ok(loads)
    }

    /// Every stream, and one of them as so many callers that wait for their answers, or as many as have a place.
    ///
    /// # Errors
    /// Where a trace cannot be read.
    pub(crate) fn loads_of_callers(&self, stream: usize, callers: usize) -> Result<Vec<Load>, String> {
        let mut loads = self.loads_as(stream, &self.scenario.streams[stream].closed())?;
        let places = callers.div_ceil(self.scenario.threads.0);
        loads[stream].in_flight_max = loads[stream].in_flight_max.min(places);
        Ok(loads)
    }

    fn load(&self, index: usize, stream: &Stream) -> Result<Load, String> {
        let closed = stream.arrivals == ArrivalsKind::Closed;
        let client = self.clients[index].clone();
        let wiring = &client.wiring;
        let places = wiring.connections * wiring.streams;
        Ok(Load {
            named: Named {
                name: stream.name().into(),
                model: stream.model.clone(),
                protocol: stream.kind().name(),
                arrivals: stream.arrivals_name(),
                closed,
            },
            pattern: stream.pattern(self.scenario.warm_up)?,
            client,
            in_flight_max: if closed { places } else { stream.in_flight_max.0 },
            timeout: stream.timeout.0,
        })
    }

    /// Measures one part.
    ///
    /// # Errors
    /// Where nothing could be: no connection was made, or the gateway ended.
    pub(crate) fn measure(&mut self, name: &str, loads: &[Load]) -> Result<Measured, String> {
        let Self { scenario, target, .. } = self;
        let course = Course {
            name: name.into(),
            target: self.name.map(str::to_owned),
            warm_up: scenario.warm_up.0,
            time: scenario.time(),
            threads: scenario.threads.0,
            seed: scenario.seed,
        };
        let cpu = |target: &Target| target.gateway().and_then(|gateway| gateway.server.cpu_time().ok());
        let before = cpu(target);
        let mut broken = || target.broken();
        self.watcher.begin();
        let mut watch = Watch { watcher: Some(self.watcher), broken: &mut broken };
        let mut measured = measure(&course, loads, &mut watch)?;
        let spent =
            before.zip(cpu(target)).map(|(before, after): (Duration, Duration)| after.saturating_sub(before));
        measured.cpu_us = spent.map(|spent| spent.as_secs_f64() * 1e6 / measured.sent.max(1) as f64);
        Ok(measured)
    }

    /// Whether a gateway that was started here accounts for every request, once it is at rest.
    ///
    /// # Errors
    /// Where it does not come to rest.
    pub(crate) fn account(&self, found: &mut Found) -> Result<(), String> {
        let Some(gateway) = self.target.gateway() else { return Ok(()) };
        let of = self.name.map_or(String::new(), |name| format!(" of {name}"));
        let unaccounted = accounting::unaccounted(gateway.metrics)?;
        found.figures.push(Figure::none(format!("unaccounted requests{of}"), unaccounted));
        Ok(())
    }

    /// The memory of a gateway that was started here, and how much that grew since.
    ///
    /// # Errors
    /// Where it is gone.
    pub(crate) fn weigh(&self, found: &mut Found) -> Result<(), String> {
        let Some((gateway, before)) = self.target.gateway().zip(self.resident_bytes) else { return Ok(()) };
        let after = Usage::of(gateway.server.id())?.resident_bytes;
        let growth = 100.0 * (after as f64 / before.max(1) as f64 - 1.0);
        found.figures.push(Figure::of("resident memory", after as f64 / f64::from(1 << 20), "MiB"));
        found.figures.push(Figure::of("growth of resident memory", growth, "%"));
        Ok(())
    }
}

impl Found {
    /// Keeps a part, and gives what is left to be looked at.
    ///
    /// # Errors
    /// Where it was ended before its time: there is nothing to go on with.
    pub(crate) fn keep(&mut self, measured: Measured) -> Result<&Part, String> {
        match measured.cut {
            Some(cut) => Err(cut),
            None => Ok(self.push(measured.part)),
        }
    }

    /// Keeps a part after which none is to come: one that was cut short says something as well.
    ///
    /// # Errors
    /// Where it was cut short before anything was measured.
    pub(crate) fn keep_last(&mut self, measured: Measured) -> Result<(), String> {
        match measured.cut {
            Some(cut) if measured.part.seconds <= 0.0 => return Err(cut),
            Some(cut) => self.doubts.push(cut),
            None => {}
        }
        self.push(measured.part);
        Ok(())
    }

    fn push(&mut self, mut part: Part) -> &Part {
        // A rate that is tried again has a name of its own.
        while self.parts.iter().any(|other| other.name == part.name && other.target == part.target) {
            part.name.push_str(", again");
        }
        self.parts.push(part);
        &self.parts[self.parts.len() - 1]
    }

    /// The ratio of a figure over rounds; a doubt where a round does not have it.
    pub(crate) fn ratio(&mut self, name: String, pairs: Vec<Option<(f64, f64)>>) {
        let pairs: Option<Vec<_>> = pairs.into_iter().collect();
        match pairs.as_deref().and_then(ratio) {
            Some(ratio) => self.figures.push(Figure::ratio(name, ratio)),
            None => self.doubts.push(format!("{name}: not every round has it on both sides")),
        }
    }

    /// That no answer of a run was wrong: a fast wrong answer is none.
    pub(crate) fn wrong(&mut self) {
        let streams = self.parts.iter().flat_map(|part| &part.streams);
        let wrong: u64 = streams.map(|stream| stream.counts.wrong).sum();
        self.figures.push(Figure::none("wrong answers", i64::try_from(wrong).unwrap_or(i64::MAX)));
    }
}

/// A stream's inputs, and what asks a server about them.
async fn prepare(
    stream: &Stream,
    scenario: &Scenario,
    target: &Target,
    same: Option<Vec<Input>>,
) -> Result<(Vec<Input>, Client), String> {
    let endpoint = &target.endpoint;
    let version = stream.version.as_ref().map(Version::text);
    let model = Model::read(endpoint, &stream.model, version.as_deref()).await?;
    let mut inputs = match same {
        Some(same) => same,
        None => stream.source(scenario.seed).inputs(&model)?,
    };
    for input in &mut inputs {
        let priority = stream.priority.map(|priority| ("priority".into(), ParameterValue::Uint(priority)));
        input.parameters.retain(|(name, _)| priority.is_none() || name != "priority");
        input.parameters.extend(priority);
    }
    let call = |input: &Input| Call::prepare(endpoint, &model, stream.kind(), input);
    let calls = inputs.iter().map(call).collect::<Result<_, _>>()?;
    let wiring = Wiring {
        connections: stream.connections.0.div_ceil(scenario.threads.0),
        streams: stream.streams_each(),
        timeout: stream.timeout.0,
        manner: stream.manner(),
    };
    Ok((inputs, Client { endpoint: endpoint.clone(), transport: stream.transport, wiring, calls }))
}
