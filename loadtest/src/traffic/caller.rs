//! Who sends a request, and what is kept of it.

use std::time::Duration;

use crate::clock::Clock;

/// When a request is sent, and which it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Its number among those of its lane on its thread.
    pub(crate) number: usize,
    /// When it was to leave.
    pub(crate) due: Duration,
    /// When the generator took it up: later than due where the generator lags.
    pub(crate) fired: Duration,
}

/// What sends the requests of a lane. The generator knows when; this knows what, and what came of it.
pub(crate) trait Caller: Send + Sync + 'static {
    /// The connections of one thread.
    type Connections: 'static;
    /// What is kept of a request that has ended.
    type Record: Send + 'static;

    /// Opens the connections of one thread.
    ///
    /// # Errors
    /// Where one cannot be made.
    fn connect(&self, clock: Clock) -> impl Future<Output = Result<Self::Connections, String>>;

    /// Sends one request, and waits for its answer or gives it up.
    fn call(&self, connections: &Self::Connections, turn: Turn) -> impl Future<Output = Self::Record>;
}
