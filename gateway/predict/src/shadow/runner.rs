//! The thread that runs a shadow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use pointsman_core::{Inputs, ModelName, Pair, ShadowDrop, Side, Signature, VersionNumber};

use super::seat::{Answer, Seat, Unable};
use super::{Observer, Offered, Shared};
use crate::admission::Admission;
use crate::exchange::Exchange;
use crate::tee::{Phase, Windows};

/// Takes what is offered, one after the other.
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) shadow: Seat,
    pub(super) floor: Option<Seat>,
    /// The model, and the version whose exchanges these are.
    pub(super) primary: (ModelName, VersionNumber, Arc<Signature>),
    pub(super) wait_max: Duration,
    pub(super) windows: Windows,
    pub(super) admission: Arc<Admission>,
    pub(super) observer: Arc<dyn Observer>,
}

impl Runner {
    /// Works until the shadow is dropped, then frees what it has, here.
    pub(super) fn work(mut self) {
        while !self.shared.closed.load(Ordering::Acquire) {
            match self.shared.ring.pop() {
                Some(offered) => self.take(offered),
                // What is offered from here on wakes it.
                None => thread::park(),
            }
        }
        while let Some(offered) = self.shared.ring.pop() {
            self.shared.dropped(ShadowDrop::Closed, offered.load);
            self.shared.release(offered.bytes);
        }
        self.shared.watch.close();
        self.shadow.clear();
        self.floor.iter_mut().for_each(Seat::clear);
        self.shared.metrics.broken.set(0);
        let accounting = self.shared.accounting();
        if catch_unwind(AssertUnwindSafe(|| self.observer.ended(&accounting))).is_err() {
            tracing::warn!(model = %self.primary.0, "what became of a shadow's exchanges could not be noted");
        }
    }

    fn take(&mut self, offered: Offered) {
        let Offered { exchange, load, offered_at, bytes } = offered;
        let missed = match self.reason_not_to_run(offered_at) {
            Some(reason) => Some(reason),
            None => self.run(&exchange, offered_at),
        };
        // What it held is free before it counts as done with.
        drop(exchange);
        match missed {
            Some(reason) => self.shared.dropped(reason, load),
            None => self.shared.answered(),
        }
        self.shared.release(bytes);
    }

    fn reason_not_to_run(&self, offered_at: Instant) -> Option<ShadowDrop> {
        let now = Instant::now();
        if now.saturating_duration_since(offered_at) > self.wait_max {
            Some(ShadowDrop::Expired)
        } else if self.windows.phase(now) != Phase::On {
            Some(ShadowDrop::Off)
        } else if self.admission.is_memory_low() {
            Some(ShadowDrop::Shed)
        } else {
            self.shared.breaker.is_open(now).then_some(ShadowDrop::Breaker)
        }
    }

    /// Runs the shadow, and tells what came of it. Why it has no answer, where it has none.
    fn run(&mut self, exchange: &Exchange, offered_at: Instant) -> Option<ShadowDrop> {
        let (model, primary, signature) = &self.primary;
        let watch = &self.shared.watch;
        let shadow = self.shadow.answer(exchange, signature, offered_at, watch);
        self.shared.metrics.run(shadow.times.run);
        let missed = self.judge(&shadow);
        let Some(told) = shadow.told() else { return missed };
        let floor = self.floor.as_mut().map(|floor| floor.answer(exchange, signature, offered_at, watch));
        let pair = Pair {
            model,
            id: exchange.id,
            inputs: Inputs { signature, tensors: &exchange.inputs },
            primary: Side {
                version: *primary,
                outputs: exchange.outputs.as_deref().map_err(|code| *code),
                times: exchange.times,
            },
            shadow: told,
            floor: floor.as_ref().and_then(Answer::told),
        };
        if catch_unwind(AssertUnwindSafe(|| self.observer.paired(&pair))).is_err() {
            tracing::warn!(%model, version = shadow.number.get(), "what a shadow answered could not be compared");
        }
        missed
    }

    /// Counts how the shadow's run ended, and lets it rest where it keeps failing.
    fn judge(&self, answer: &Answer) -> Option<ShadowDrop> {
        let (missed, why) = match &answer.outputs {
            Ok(_) | Err(Unable::Refused(_)) => {
                if self.shared.breaker.succeeded() {
                    self.shared.metrics.broken.set(0);
                    tracing::info!(model = %self.primary.0, version = answer.number.get(), "a shadow runs again");
                }
                return None;
            }
            Err(Unable::Failed(reason)) => (ShadowDrop::Failed, reason.as_str()),
            // It was ended with the shadow.
            Err(Unable::Hung) if self.shared.closed.load(Ordering::Acquire) => {
                return Some(ShadowDrop::Closed);
            }
            Err(Unable::Hung) => (ShadowDrop::Hung, "its run was past its deadline"),
            Err(Unable::Gone) => return Some(ShadowDrop::Closed),
        };
        if let Some(rest) = self.shared.breaker.failed(Instant::now()) {
            self.shared.metrics.broken.set(1);
            tracing::warn!(
                model = %self.primary.0,
                version = answer.number.get(),
                ?rest,
                "a shadow keeps failing and rests: {why}"
            );
        }
        Some(missed)
    }
}
