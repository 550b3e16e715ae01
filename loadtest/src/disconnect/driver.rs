//! Takes clients as far as their stage, lets them vanish, and looks how long the gateway holds on to them.

use std::time::Duration;

use pointsman_core::{Datatype, InputTensor, Shape, Tensor};
use tokio::time::timeout;

use super::client::Client;
use super::plan::{Plan, Stage};
use super::tally::Tally;
use super::watch::{Seen, Watch};
use crate::call::{Body, Call, Endpoint, Form, Input, Kind, Model, Request, Transport};
use crate::client::http1::Connection;
use crate::client::line::Manner;
use crate::clock::Clock;

/// How long clients may take to come to their stage, and a probe to be answered.
const STAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Iterations of `turns` that take years.
const FOREVER: i64 = 1 << 50;

/// Zeros of `blank`, of four bytes each: twice what the system keeps of what a client does not read.
const ZEROS: i64 = 1 << 21;

/// The requests of one transport.
#[derive(Debug)]
struct Calls {
    transport: Transport,
    short: Call,
    forever: Call,
    long_answer: Call,
}

/// What clients vanish from.
#[derive(Debug)]
pub(super) struct Driver {
    endpoint: Endpoint,
    calls: Vec<Calls>,
    pub(super) watch: Watch,
    clock: Clock,
    /// How long a gateway may hold on to a client that vanished before it counts as not noticed.
    pub(super) give_up: Duration,
    /// The clients do not vanish: a control of whether that is seen.
    pub(super) stay: bool,
}

impl Driver {
    /// Prepares all requests.
    ///
    /// # Errors
    /// Where the gateway does not have the models.
    pub(super) async fn new(
        endpoint: Endpoint,
        watch: Watch,
        give_up: Duration,
        stay: bool,
    ) -> Result<Self, String> {
        let turns = Model::read(&endpoint, "turns", None).await?;
        let blank = Model::read(&endpoint, "blank", None).await?;
        let calls = [Transport::Http1, Transport::Http2, Transport::Grpc].map(|transport| {
            let call = |model, input, number| prepare(&endpoint, model, transport, input, number);
            Ok(Calls {
                transport,
                short: call(&turns, "trips", 1)?,
                forever: call(&turns, "trips", FOREVER)?,
                long_answer: call(&blank, "size", ZEROS)?,
            })
        });
        let calls = calls.into_iter().collect::<Result<_, String>>()?;
        Ok(Self { endpoint, calls, watch, clock: Clock::start(), give_up, stay })
    }

    /// Has clients vanish by each plan once.
    ///
    /// # Errors
    /// Where the gateway does not answer, or clients do not come to their stage.
    pub(super) async fn cycle(&mut self, wave: usize, tally: &mut Tally) -> Result<(), String> {
        for plan in Plan::all() {
            for _ in 0..plan.times(wave) {
                let Plan { stage, transport, way } = plan;
                let done = self.wave(plan, plan.clients(wave), tally).await;
                done.map_err(|why| format!("{} over {transport:?} by {way:?}: {why}", stage.name()))?;
            }
        }
        Ok(())
    }

    /// Has clients vanish together.
    async fn wave(&mut self, plan: Plan, count: usize, tally: &mut Tally) -> Result<(), String> {
        let idle = self.watch.look().await?;
        let blocker = if plan.stage == Stage::Queued { Some(self.block().await?) } else { None };
        let before = self.watch.look().await?;
        let clients = timeout(STAGE_TIMEOUT, self.open(plan, count)).await;
        let clients = clients.map_err(|_| format!("no client came to its stage in {STAGE_TIMEOUT:?}"))??;
        let (connections, requests) = (clients.len() as u64, count as i64);
        let there = move |seen: &Seen| match plan.stage {
            Stage::Headers | Stage::Answer | Stage::Idle => seen.sockets == before.sockets + connections,
            Stage::Body => seen.in_flight == requests,
            Stage::Queued => seen.queued == requests,
            Stage::Running => seen.in_flight == requests && seen.runs == 1 && seen.queued == 0,
        };
        let came = self.watch.until(STAGE_TIMEOUT, there).await?;
        came.map_err(|seen| format!("{count} clients are not where they should be: {seen:?}"))?;
        let (mut vanished, mut held) = (Vec::with_capacity(count), Vec::new());
        let shared = Client::shared_by(plan);
        for (index, client) in clients.into_iter().enumerate() {
            let of_connection = shared.min(count - index * shared);
            vanished.extend(std::iter::repeat_n(self.clock.now(), of_connection));
            held.extend(if self.stay { Some(client) } else { client.vanish(plan.way).await });
        }
        let gone = move |seen: &Seen| match plan.stage {
            Stage::Headers | Stage::Idle => seen.sockets <= before.sockets,
            Stage::Answer if plan.is_shown() => seen.sockets <= before.sockets && seen.in_flight == 0,
            _ => seen.in_flight == before.in_flight && seen.queued == 0,
        };
        let noticed = self.watch.until(self.give_up, gone).await?.is_ok();
        // None of them can have been held longer than until none of them was.
        let now = self.clock.now();
        let times = vanished.into_iter().map(|at| now - at);
        times.for_each(|time| tally.vanished(plan, noticed.then_some(time)));
        drop(blocker);
        if plan.stage != Stage::Queued {
            held.clear();
        }
        match plan.stage {
            // A worker that runs what nobody waits for would not come to this.
            Stage::Queued | Stage::Running => {
                self.probe().await?;
                tally.runs_due += 1;
            }
            Stage::Answer | Stage::Idle => tally.runs_due += requests,
            Stage::Headers | Stage::Body => {}
        }
        drop(held);
        let rest = |seen: &Seen| *seen == Seen { sockets: idle.sockets, ..Seen::default() };
        let rested = self.watch.until(STAGE_TIMEOUT, rest).await?;
        rested.map_err(|seen| format!("something is left behind: {seen:?}, before {idle:?}"))
    }

    /// Takes clients to the stage of a plan.
    async fn open(&self, plan: Plan, count: usize) -> Result<Vec<Client>, String> {
        let calls = self.calls.iter().find(|calls| calls.transport == plan.transport);
        let calls = calls.ok_or("there is no call for this transport")?;
        let call = match plan.stage {
            Stage::Headers | Stage::Body | Stage::Queued | Stage::Idle => &calls.short,
            Stage::Running => &calls.forever,
            Stage::Answer => &calls.long_answer,
        };
        let grpc = plan.transport == Transport::Grpc;
        let address = if grpc { self.endpoint.grpc } else { self.endpoint.http };
        let address = address.ok_or("there is no listener for this transport")?;
        let (shared, mut clients) = (Client::shared_by(plan), Vec::new());
        for from in (0..count).step_by(shared) {
            clients.push(Client::open(address, plan, call, shared.min(count - from)).await?);
        }
        Ok(clients)
    }

    /// Occupies the worker of `turns` until what is returned is dropped.
    async fn block(&mut self) -> Result<Connection, String> {
        let line = self.send(|calls| &calls.forever).await?;
        let runs = |seen: &Seen| seen.in_flight == 1 && seen.runs == 1 && seen.queued == 0;
        let runs = self.watch.until(STAGE_TIMEOUT, runs).await?;
        runs.map_err(|seen| format!("the worker was not occupied: {seen:?}"))?;
        Ok(line)
    }

    /// Has the worker of `turns` do something short.
    async fn probe(&self) -> Result<(), String> {
        let mut line = self.send(|calls| &calls.short).await?;
        let answer = timeout(STAGE_TIMEOUT, line.begins()).await;
        answer.map_err(|_| format!("the worker was not free within {STAGE_TIMEOUT:?}"))?
    }

    /// Sends a request over a connection of its own.
    async fn send(&self, which: impl Fn(&Calls) -> &Call) -> Result<Connection, String> {
        let address = self.endpoint.http.ok_or("there is no listener for HTTP")?;
        let mut line = Connection::open(address, Manner::Normal).await?;
        let calls = self.calls.iter().map(|calls| which(calls).request());
        let bytes = calls.filter_map(|request| match request {
            Request::Http1(bytes) => Some(bytes),
            _ => None,
        });
        line.send(bytes.into_iter().next().ok_or("there is no call over HTTP/1.1")?).await?;
        Ok(line)
    }
}

/// A request about one number.
fn prepare(
    endpoint: &Endpoint,
    model: &Model,
    transport: Transport,
    input: &str,
    number: i64,
) -> Result<Call, String> {
    let shape = Shape::new(&[1]).ok_or("a shape of one dimension")?;
    let tensor = Tensor::from_vec(Datatype::Int64, shape, vec![number]).map_err(|e| e.to_string())?;
    let tensors = vec![InputTensor { name: input.into(), tensor }];
    let kind = Kind { form: Form::V2, transport, body: Body::Binary };
    Call::prepare(endpoint, model, kind, &Input { tensors, ..Input::default() })
}
