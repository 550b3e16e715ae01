//! The clients of the mix.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::yield_now;

use super::asked::{Asked, Fate, KINDS, Shares};
use crate::call::{Call, Connections, Endpoint, Model, Transport, Verdict, Wiring};
use crate::clock::Clock;
use crate::traffic::{Caller, Turn};

/// Who asks, and what.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) endpoint: Endpoint,
    /// As [`super::asked::MODELS`].
    pub(super) models: Vec<Model>,
    pub(super) shares: Shares,
    pub(super) seed: u64,
    /// For one transport on one thread.
    pub(super) wiring: Wiring,
    /// The number of the next request.
    pub(super) next: AtomicU64,
}

/// The connections of one thread, by transport.
#[derive(Debug)]
pub(super) struct Lines([Connections; 3]);

/// One request that has ended.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) kind: usize,
    pub(super) fate: Fate,
    /// What came; nothing where its client left before.
    pub(super) verdict: Option<Verdict>,
}

impl Lines {
    fn over(&self, transport: Transport) -> &Connections {
        let [http1, http2, grpc] = &self.0;
        match transport {
            Transport::Http1 => http1,
            Transport::Http2 => http2,
            Transport::Grpc => grpc,
        }
    }
}

impl Caller for Asker {
    type Connections = Lines;
    type Record = Result<Record, String>;

    async fn connect(&self, clock: Clock) -> Result<Lines, String> {
        let open = |transport, wiring: Wiring| async move {
            Connections::open(&self.endpoint, transport, &wiring, clock).await
        };
        let alone = Wiring { connections: self.wiring.connections * self.wiring.streams, ..self.wiring };
        Ok(Lines([
            open(Transport::Http1, alone).await?,
            open(Transport::Http2, self.wiring).await?,
            open(Transport::Grpc, self.wiring).await?,
        ]))
    }

    async fn call(&self, lines: &Lines, _: Turn) -> Result<Record, String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let asked = Asked::draw(&self.shares, self.seed, number)?;
        let call = Call::prepare(&self.endpoint, &self.models[asked.model], asked.kind(), &asked.input)?;
        let lines = lines.over(KINDS[asked.kind].0);
        let verdict = match asked.fate {
            Fate::Cancelled { turns } => tokio::select! {
                biased;
                sent = lines.send(&call) => Some(sent.verdict),
                () = leave(turns) => None,
            },
            _ => Some(lines.send(&call).await.verdict),
        };
        Ok(Record { number, kind: asked.kind, fate: asked.fate, verdict })
    }
}

/// Waits so many turns of this thread: a time that grows with how much there is to do, as that of answers.
async fn leave(turns: u32) {
    for _ in 0..turns {
        yield_now().await;
    }
}
