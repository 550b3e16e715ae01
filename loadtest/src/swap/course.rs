//! The course of a run, which one thread makes and another judges by.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::timeline::Timeline;
use crate::clock::Clock;

/// What has happened so far.
///
/// A moment is taken while the lock is held. So whoever looks after a request was answered sees every
/// swap that was called for before that.
#[derive(Debug)]
pub(super) struct Course {
    clock: Clock,
    state: Mutex<State>,
}

/// What a request is judged by.
#[derive(Debug)]
pub(super) struct State {
    /// The swaps so far.
    pub(super) timeline: Timeline,
    /// Since when latencies count: the end of the warm-up.
    pub(super) measured_from: Option<Duration>,
}

impl Course {
    /// Before any swap, with this version as the default one.
    pub(super) fn new(clock: Clock, first: u64) -> Self {
        let state = State { timeline: Timeline::new(first), measured_from: None };
        Self { clock, state: Mutex::new(state) }
    }

    /// What has happened so far.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A swap is about to be called for.
    pub(super) fn begin(&self, to: u64) {
        let mut state = self.state();
        let now = self.clock.now();
        state.timeline.begin(to, now);
    }

    /// The swap has got its final answer.
    pub(super) fn end(&self, landed: bool) {
        let mut state = self.state();
        let now = self.clock.now();
        state.timeline.end(landed, now);
    }

    /// The warm-up is over.
    pub(super) fn measure(&self) {
        let mut state = self.state();
        state.measured_from = Some(self.clock.now());
    }
}
