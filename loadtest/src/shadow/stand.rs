//! A gateway whose model has a shadow or has none, and the load on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{Datatype, InputTensor, Shape, Tensor};
use serde_json::{Value, json};

use super::{Arguments, Fault, Kind};
use crate::admin::Admin;
use crate::call::{Body, Call, Endpoint, Form, Input, Kind as CallKind, Manner, Model, Transport, Wiring};
use crate::findings::Counts;
use crate::gateway::{Gateway, Start};
use crate::measure::{Client, Course, Load, Measured, Named, Watch, measure};
use crate::schedule::{Arrivals, Pattern, Rates};
use crate::watcher::Watcher;

/// The model.
const MODEL: &str = "steady";

/// The width of its input.
const WIDTH: usize = 64;

/// Requests that may be without an answer in an open loop, and that are in the closed one: enough for every core.
const IN_FLIGHT_MAX: usize = 512;
const CLOSED: usize = 8;

/// Connections.
const CONNECTIONS: usize = 32;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Before what is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long the search for what saturates takes.
const SATURATION: Duration = Duration::from_secs(3);

/// The gateway with what asks it.
pub(super) struct Stand<'a> {
    arguments: &'a Arguments,
    kind: Kind,
    gateway: Gateway,
    admin: Admin,
    primary: Arc<Client>,
    /// Asks for the shadow's work, for the fault.
    shadow: Arc<Client>,
    watcher: &'a Watcher,
}

/// What a time under load gave.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) lag_p99_us: f64,
    pub(super) counts: Counts,
}

impl<'a> Stand<'a> {
    /// Starts the gateway.
    ///
    /// # Errors
    /// Where it does not start, or has not the model.
    pub(super) fn start(
        arguments: &'a Arguments,
        kind: Kind,
        scratch: &Path,
        watcher: &'a Watcher,
    ) -> Result<Self, String> {
        std::fs::create_dir_all(scratch).map_err(|e| e.to_string())?;
        let config = scratch.join("pointsman.toml");
        std::fs::write(&config, kind.settings()).map_err(|e| e.to_string())?;
        let start = Start {
            binary: &arguments.gateway,
            core: None,
            registry: &arguments.models,
            config: Some(&config),
            state: Some(&scratch.join("state")),
            scratch,
            variables: &[],
        };
        let gateway = start.start()?;
        let admin = Admin::new(gateway.admin)?;
        // The gateway is ready with what serves; the others may still be loading.
        admin.post(&format!("/models/{MODEL}/load"), &json!({"version": kind.version()}))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let endpoint = gateway.endpoint();
        let client = |version: Option<u64>| {
            let version = version.map(|version| version.to_string());
            let model = runtime.block_on(Model::read(&endpoint, MODEL, version.as_deref()))?;
            client(&endpoint, &model)
        };
        let (primary, shadow) = (client(None)?, client(Some(2))?);
        Ok(Self { arguments, kind, gateway, admin, primary, shadow, watcher })
    }

    /// Lets the version shadow all requests, or none.
    ///
    /// # Errors
    /// Where the gateway refuses.
    pub(super) fn shadow(&self, is_on: bool) -> Result<(), String> {
        let (version, share) = (self.kind.version(), "100%");
        let shadows = json!([{"name": self.kind.name(), "version": version, "share": share}]);
        let is_on = is_on && self.arguments.fault.is_none();
        self.admin.apply(MODEL, &if is_on { json!({"shadows": shadows}) } else { json!({}) })
    }

    /// What the machine answers at most, per second.
    ///
    /// # Errors
    /// Where nothing is answered.
    pub(super) fn saturated(&mut self) -> Result<f64, String> {
        self.shadow(false)?;
        let load = load(&self.primary, "saturation", Pattern::Closed, CLOSED);
        let time = SATURATION.min(self.arguments.seconds);
        let measured = self.measure("saturation", &[load], time)?;
        let goodput = measured.part.streams[0].goodput;
        if goodput > 0.0 { Ok(goodput) } else { Err("no request was answered".into()) }
    }

    /// The latencies at a rate.
    ///
    /// # Errors
    /// Where nothing is answered, or the run is interrupted.
    pub(super) fn load(&mut self, rate: f64, is_on: bool) -> Result<Loaded, String> {
        let open = || Pattern::Rates(Rates::constant(rate), Arrivals::Poisson);
        let mut loads = vec![load(&self.primary, "primary", open(), IN_FLIGHT_MAX)];
        if is_on && self.arguments.fault == Some(Fault::Foreground) {
            loads.push(load(&self.shadow, "shadow", open(), IN_FLIGHT_MAX));
        }
        let part = format!("{}, shadow {}", self.kind.name(), if is_on { "on" } else { "off" });
        let measured = self.measure(&part, &loads, self.arguments.seconds)?;
        let stream = &measured.part.streams[0];
        // Of few requests the longest is all that is known.
        let quantile = |quantile| stream.latency.quantile(quantile).or_else(|| stream.latency.longest());
        let (p50, p99) = quantile(0.5)
            .zip(quantile(0.99))
            .ok_or_else(|| format!("{part}: nothing was answered right: {:?}", stream.errors))?;
        let lag = stream.lag.quantile(0.99).unwrap_or(0.0);
        Ok(Loaded { p50_us: p50, p99_us: p99, lag_p99_us: lag, counts: stream.counts })
    }

    /// What the gateway says of the shadow: how it ran, and what it cost. Nothing where a fault keeps it from having one.
    ///
    /// # Errors
    /// Where it knows of none.
    pub(super) fn compared(&self) -> Result<Value, String> {
        if self.arguments.fault.is_some() {
            return Ok(Value::Null);
        }
        let mut answer = self.admin.get(&format!("/v1/comparisons/{MODEL}"))?;
        match answer["comparisons"][0].take() {
            Value::Null => Err("the gateway compared nothing".into()),
            compared => Ok(compared),
        }
    }

    fn measure(&mut self, part: &str, loads: &[Load], time: Duration) -> Result<Measured, String> {
        let Self { arguments, gateway, watcher, .. } = self;
        let course = Course {
            name: part.into(),
            target: None,
            warm_up: WARM_UP,
            time,
            threads: 1,
            seed: arguments.seed,
        };
        let mut broken = || {
            let is_running = gateway.server.is_running();
            (!is_running).then(|| format!("the gateway ended:\n{}", gateway.end_of_log()))
        };
        watcher.begin();
        let measured = measure(&course, loads, &mut Watch { watcher: Some(watcher), broken: &mut broken })?;
        match measured.cut {
            Some(cut) => Err(cut),
            None => Ok(measured),
        }
    }
}

/// One request in binary, again and again over HTTP/1.1.
fn client(endpoint: &Endpoint, model: &Model) -> Result<Arc<Client>, String> {
    let numbers: Vec<f32> = (0..WIDTH).map(|place| 1.0 - place as f32 / WIDTH as f32).collect();
    let shape = |dims: &[u64]| Shape::new(dims).ok_or("a shape has too many dimensions");
    let x =
        Tensor::from_vec(Datatype::Fp32, shape(&[1, WIDTH as u64])?, numbers).map_err(|e| e.to_string())?;
    let more = Tensor::from_vec(Datatype::Int64, shape(&[1])?, vec![1_i64]).map_err(|e| e.to_string())?;
    let tensor = |(name, tensor): (&str, Tensor)| InputTensor { name: name.into(), tensor };
    let tensors = [("x", x), ("more", more)].map(tensor).into();
    let input = Input { tensors, ..Input::default() };
    let kind = CallKind { form: Form::V2, transport: Transport::Http1, body: Body::Binary };
    let calls = vec![Call::prepare(endpoint, model, kind, &input)?];
    let manner = Manner::Normal;
    let wiring = Wiring { connections: CONNECTIONS, streams: 1, timeout: TIMEOUT, manner };
    Ok(Arc::new(Client { endpoint: endpoint.clone(), transport: Transport::Http1, wiring, calls }))
}

fn load(client: &Arc<Client>, name: &str, pattern: Pattern, in_flight_max: usize) -> Load {
    let closed = matches!(pattern, Pattern::Closed);
    let named = Named { name: name.into(), model: MODEL.into(), closed, ..Named::default() };
    Load { named, pattern, client: client.clone(), in_flight_max, timeout: TIMEOUT }
}
