//! What is counted of notices. At rest `told = delivered + dropped + waiting`, exactly.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a notice never arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// Its address is not allowed.
    NotAllowed,
    /// As many wait as may.
    QueueFull,
    /// The receiver does not want it.
    Refused,
    /// It was tried as often as may be.
    TriesUsedUp,
    /// The gateway stopped.
    Stopped,
}

impl Dropped {
    const ALL: [Self; 5] =
        [Self::NotAllowed, Self::QueueFull, Self::Refused, Self::TriesUsedUp, Self::Stopped];

    const fn name(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::TriesUsedUp => "tries_used_up",
            Self::Stopped => "stopped",
        }
    }
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TryResult {
    Delivered,
    Refused,
    Failed,
    Timeout,
    Unreachable,
}

impl TryResult {
    const ALL: [Self; 5] = [Self::Delivered, Self::Refused, Self::Failed, Self::Timeout, Self::Unreachable];

    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The instruments. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    told: Counter,
    tries: Family<ResultLabels, Counter>,
    dropped: Family<ReasonLabels, Counter>,
    waiting: Gauge,
}

impl Counts {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counts = Self {
            told: Counter::default(),
            tries: Family::default(),
            dropped: Family::default(),
            waiting: Gauge::default(),
        };
        // So that every series can be read before the first notice.
        for result in TryResult::ALL {
            let _ = counts.tries.get_or_create(&ResultLabels { result: result.name() });
        }
        for reason in Dropped::ALL {
            let _ = counts.dropped.get_or_create(&ReasonLabels { reason: reason.name() });
        }
        let Self { told, tries, dropped, waiting } = counts.clone();
        registry.register("pointsman_webhook_told", "Notices for webhooks", told);
        registry.register("pointsman_webhook_tries", "Tries to deliver a notice, by result", tries);
        registry.register("pointsman_webhook_dropped", "Notices that never arrive, by reason", dropped);
        registry.register("pointsman_webhook_waiting", "Notices that wait or are under way", waiting);
        counts
    }

    pub(super) fn told(&self) {
        self.told.inc();
    }

    pub(super) fn tried(&self, result: TryResult) {
        self.tries.get_or_create(&ResultLabels { result: result.name() }).inc();
    }

    pub(super) fn dropped(&self, reason: Dropped) {
        self.dropped.get_or_create(&ReasonLabels { reason: reason.name() }).inc();
    }

    /// How many notices wait or are under way.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get().try_into().unwrap_or(0)
    }

    /// A place for one more.
    pub(super) fn wait(&self) -> Place {
        self.waiting.inc();
        Place { waiting: self.waiting.clone() }
    }
}

/// That a notice waits or is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Gauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.dec();
    }
}
