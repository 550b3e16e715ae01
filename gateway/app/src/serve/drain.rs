//! The way down: readiness first, then the listeners, then what was accepted.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Shutdown;
use crate::listen::Phase;

/// Waits for the signal and leads the gateway down.
pub(super) struct Drain {
    phase: watch::Sender<Phase>,
    shutdown: Shutdown,
    terminate: Signal,
    interrupt: Signal,
}

impl Drain {
    pub(super) fn new(phase: watch::Sender<Phase>, shutdown: Shutdown) -> Result<Self, String> {
        let on = |kind| signal(kind).map_err(|e| format!("cannot wait for signals: {e}"));
        let (terminate, interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
        Ok(Self { phase, shutdown, terminate, interrupt })
    }

    /// Ends when somebody wants the gateway to stop (SIGTERM, or SIGINT from a keyboard).
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Answers what was accepted and says whether that was done in time. A second signal ends it.
    pub(super) async fn run(mut self, mut listening: JoinSet<()>, was_up: bool) -> bool {
        let Shutdown { drain_delay, drain_timeout } = self.shutdown.clone();
        // Nobody was told to send anything to a gateway that was never up.
        let drain_delay = if was_up { drain_delay } else { Duration::ZERO };
        tracing::info!(
            ?drain_delay,
            ?drain_timeout,
            "draining: not ready any more, still accepting; a second signal stops at once"
        );
        self.phase.send_replace(Phase::Draining);
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            () = self.asked() => return self.at_once(),
        }
        tracing::info!("closing: what was accepted is answered");
        self.phase.send_replace(Phase::Closing);
        let ended = async { while listening.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => true,
            () = tokio::time::sleep(drain_timeout) => {
                tracing::warn!(?drain_timeout, "not everything was answered in time (shutdown.drain_timeout)");
                false
            }
            () = self.asked() => self.at_once(),
        }
    }

    fn at_once(&self) -> bool {
        tracing::warn!("a second signal: stopping at once");
        false
    }
}
