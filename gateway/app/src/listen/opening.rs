//! The first bytes of a connection, which have to come in time.
//!
//! By them HTTP/2 is told from HTTP/1; until they are there no other timeout runs, so a client that
//! sends none, or half of HTTP/2's preface, would hold its place for ever.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::Sleep;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4), and no HTTP/1 request does.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is known of a connection by its first bytes.
pub(super) struct Opening {
    /// Until the protocol can be told.
    limit: Option<Pin<Box<Sleep>>>,
    /// Bytes of the preface that have come.
    matched: usize,
}

impl Opening {
    /// Gives the connection this long to begin.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit: Some(Box::pin(tokio::time::sleep(limit))), matched: 0 }
    }

    /// Whether it takes too long.
    pub(super) fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        self.limit.as_mut().is_some_and(|limit| limit.as_mut().poll(context).is_ready())
    }

    /// Whether more bytes are needed to tell the protocol.
    pub(super) fn is_open(&self) -> bool {
        self.limit.is_some()
    }

    /// Looks at the next bytes that came. Says whether they tell that it is HTTP/2.
    pub(super) fn came(&mut self, bytes: &[u8]) -> bool {
        let rest = &PREFACE[self.matched..];
        let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        self.matched += same;
        let whole = self.matched == PREFACE.len();
        if whole || same < bytes.len() {
            self.limit = None;
        }
        whole
    }
}
