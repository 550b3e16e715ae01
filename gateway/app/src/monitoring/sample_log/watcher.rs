//! Decides which requests of a version are kept, on their threads.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pointsman_core::{Elements, OutputTensor};
use pointsman_observe::sample_log::{Chosen, Class, Classes, Layout, Loss, Sampler};
use pointsman_predict::{Monitored, RingFull};
use pointsman_route::Salted;

use super::Shared;
use crate::monitoring::{Seen, Watcher};

/// The most elements of one output that are looked at for NaN.
const LOOKED_AT_MAX: usize = 4096;

/// A request that is left for the log's thread.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) seen: Arc<Seen>,
    pub(super) layout: Arc<Layout>,
    pub(super) sampler: Arc<Sampler>,
    /// The hash of its id.
    pub(super) point: u64,
    pub(super) chosen: Chosen,
    /// Bytes of its tensors.
    pub(super) bytes: usize,
}

/// Looks at the requests of one version.
pub(super) struct LogWatcher {
    pub(super) shared: Arc<Shared>,
    pub(super) layout: Arc<Layout>,
    pub(super) sampler: Arc<Sampler>,
    pub(super) salted: Salted,
    /// From when on a request is slow.
    pub(super) slow_from: Duration,
}

impl Watcher for LogWatcher {
    fn saw(&self, seen: &Arc<Seen>) {
        let exchange = &seen.exchange;
        let point = self.salted.point(&exchange.id.bytes());
        let chosen = self.sampler.judge(point, classes(exchange, self.slow_from));
        let may_disagree = exchange.is_shadowed && self.sampler.may_disagree(point);
        if !chosen.is_kept && !may_disagree {
            return;
        }
        let account = self.layout.account();
        if chosen.is_kept {
            // Before it is there for the other thread, which takes it off again.
            account.queued();
        }
        if self.shared.is_closed.load(Ordering::Acquire) {
            if chosen.is_kept {
                account.lost(Loss::Stopped, 1);
            }
            return;
        }
        let bytes = bytes(exchange);
        let (layout, sampler) = (self.layout.clone(), self.sampler.clone());
        let offer = Offer { seen: seen.clone(), layout, sampler, point, chosen, bytes };
        if let Err(full) = self.shared.ring.push(offer, bytes) {
            lose(
                &self.layout,
                chosen,
                match full {
                    RingFull::Count => Loss::QueueFull,
                    RingFull::Bytes => Loss::QueueBytes,
                },
            );
        }
    }
}

/// Counts a request that there is no room for. One that is kept only if a shadow answers otherwise counts as well:
/// whether it would have been nobody will know.
pub(super) fn lose(layout: &Layout, chosen: Chosen, loss: Loss) {
    if !chosen.is_kept {
        layout.account().queued();
    }
    layout.account().lost(loss, 1);
}

/// What the request is, so that it may be kept.
fn classes(exchange: &Monitored, slow_from: Duration) -> Classes {
    let outputs = exchange.outputs.as_deref();
    Classes::default()
        .with(Class::Error, outputs.is_err())
        .with(Class::Slow, exchange.total >= slow_from)
        .with(Class::Violation, !exchange.violations.is_empty())
        .with(Class::Nan, outputs.is_ok_and(|outputs| outputs.iter().any(has_nan)))
}

fn has_nan(output: &OutputTensor) -> bool {
    Elements::of(&output.tensor).is_some_and(|elements| !elements.are_finite_within(LOOKED_AT_MAX))
}

fn bytes(exchange: &Monitored) -> usize {
    let inputs = exchange.inputs.iter().flatten().map(|tensor| tensor.data().len());
    let outputs = exchange.outputs.iter().flatten().map(|output| output.tensor.data().len());
    inputs.chain(outputs).sum()
}
