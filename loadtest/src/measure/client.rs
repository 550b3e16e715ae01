//! The client of one stream: its requests take turns over its connections.

use std::sync::Arc;

use super::Record;
use crate::call::{Call, Connections, Endpoint, Sent, Transport, Wiring};
use crate::clock::Clock;
use crate::traffic::{Caller, Turn};

/// What a stream sends, over what.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) transport: Transport,
    /// Of each thread.
    pub(crate) wiring: Wiring,
    /// The requests, which take turns.
    pub(crate) calls: Vec<Call>,
}

/// A client in its place among the streams of a part.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stream: usize,
    pub(super) client: Arc<Client>,
}

impl Caller for Lane {
    type Connections = (Connections, Clock);
    type Record = Record;

    async fn connect(&self, clock: Clock) -> Result<Self::Connections, String> {
        let Client { endpoint, transport, wiring, .. } = &*self.client;
        Ok((Connections::open(endpoint, *transport, wiring, clock).await?, clock))
    }

    async fn call(&self, (connections, clock): &Self::Connections, turn: Turn) -> Record {
        let Turn { number, due, fired } = turn;
        let calls = &self.client.calls;
        let Sent { at, verdict, .. } = connections.send(&calls[number % calls.len()]).await;
        Record { stream: self.stream, due, fired, sent: at, ended: clock.now(), verdict }
    }
}
