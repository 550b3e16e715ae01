//! The thread that delivers notices: those for one address in their order, those for several at once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::Letter;
use super::address::Address;
use super::backoff::Backoff;
use super::call::{Caller, Sent, Tried};
use super::counts::{Counts, Dropped, Place};
use super::secrets::Secrets;

/// Tries that are under way at the same time.
pub(super) const TRIES_AT_ONCE_MAX: usize = 16;

/// A notice on its way.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) address: Arc<Address>,
    /// The same for every try.
    pub(super) id: String,
    pub(super) letter: Letter,
    pub(super) place: Place,
}

/// What every try needs.
pub(super) struct Courier {
    pub(super) caller: Caller,
    pub(super) secrets: Secrets,
    pub(super) backoff: Backoff,
    pub(super) tries_max: u32,
    pub(super) drain_timeout: Duration,
    pub(super) counts: Counts,
}

/// How a notice ended that has not arrived.
type Ended = Result<(), Dropped>;

/// What is under way, and what waits behind it.
struct Lanes {
    courier: Arc<Courier>,
    at_once: Arc<Semaphore>,
    draining: watch::Sender<bool>,
    /// What waits for each address of which a notice is under way.
    behind: HashMap<Arc<Address>, VecDeque<Message>>,
    under_way: JoinSet<(Arc<Address>, Ended)>,
    lost: usize,
}

/// Delivers what comes until nobody can send any more, and then what is left within a bound.
pub(super) async fn run(courier: Courier, mut told: mpsc::UnboundedReceiver<Message>) {
    let drain_timeout = courier.drain_timeout;
    let mut lanes = Lanes {
        courier: Arc::new(courier),
        at_once: Arc::new(Semaphore::new(TRIES_AT_ONCE_MAX)),
        draining: watch::Sender::new(false),
        behind: HashMap::new(),
        under_way: JoinSet::new(),
        lost: 0,
    };
    loop {
        tokio::select! {
            message = told.recv() => match message {
                Some(message) => lanes.take(message),
                None => break,
            },
            Some(ended) = lanes.under_way.join_next() => lanes.ended(ended),
        }
    }
    lanes.drain(drain_timeout).await;
}

impl Lanes {
    fn take(&mut self, message: Message) {
        match self.behind.get_mut(&message.address) {
            Some(behind) => behind.push_back(message),
            None => {
                self.behind.insert(message.address.clone(), VecDeque::new());
                self.start(message);
            }
        }
    }

    fn start(&mut self, message: Message) {
        let (courier, at_once) = (self.courier.clone(), self.at_once.clone());
        let draining = self.draining.subscribe();
        let _: AbortHandle = self.under_way.spawn(async move {
            let ended = courier.deliver(&message, &at_once, draining).await;
            drop(message.place);
            (message.address, ended)
        });
    }

    /// Goes on with the next notice for an address.
    fn ended(&mut self, ended: Result<(Arc<Address>, Ended), JoinError>) {
        let (address, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        };
        if let Err(reason) = ended {
            self.courier.counts.dropped(reason);
            self.lost += usize::from(reason == Dropped::Stopped);
        }
        match self.behind.get_mut(&address).and_then(VecDeque::pop_front) {
            Some(next) => self.start(next),
            None => drop(self.behind.remove(&address)),
        }
    }

    /// Tries what waits once more, and says how much was lost.
    async fn drain(mut self, timeout: Duration) {
        self.draining.send_replace(true);
        let all = async {
            while let Some(ended) = self.under_way.join_next().await {
                self.ended(ended);
            }
        };
        let _ = tokio::time::timeout(timeout, all).await;
        let left = self.under_way.len() + self.behind.values().map(VecDeque::len).sum::<usize>();
        for _ in 0..left {
            self.courier.counts.dropped(Dropped::Stopped);
        }
        let lost = self.lost + left;
        if lost > 0 {
            tracing::warn!(
                lost,
                ?timeout,
                "notices of webhooks are lost: their receivers did not take them in time"
            );
        }
    }
}

impl Courier {
    /// Tries until the receiver has it or there is no point in trying on.
    async fn deliver(
        &self,
        message: &Message,
        at_once: &Semaphore,
        mut draining: watch::Receiver<bool>,
    ) -> Ended {
        let (address, id) = (&*message.address, &*message.id);
        let mut failed = 0;
        loop {
            let (tried, is_last) = {
                // It is never closed.
                let _permit = at_once.acquire().await;
                let is_last = *draining.borrow_and_update();
                (self.once(message).await, is_last)
            };
            self.counts.tried(tried.result());
            let (what, asked) = match tried {
                Tried::Delivered => return Ok(()),
                Tried::Refused(status) => {
                    tracing::warn!(%address, id, %status, "a receiver does not want a notice of a webhook: it is dropped");
                    return Err(Dropped::Refused);
                }
                Tried::Failed(status, asked) => (status.to_string(), asked),
                Tried::Timeout => ("no answer in time (webhook.timeout)".to_owned(), None),
                Tried::Unreachable(problem) => (problem, None),
            };
            failed += 1;
            if is_last {
                return Err(Dropped::Stopped);
            }
            if failed >= self.tries_max {
                tracing::warn!(%address, id, failed, what, "a notice of a webhook is dropped: it was tried as often as webhook.tries_max says");
                return Err(Dropped::TriesUsedUp);
            }
            let wait = self.backoff.wait(failed, asked, fastrand::f64());
            tracing::info!(%address, id, failed, what, ?wait, "a notice of a webhook was not taken: it is tried again");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = draining.wait_for(|draining| *draining) => {}
            }
        }
    }

    async fn once(&self, message: &Message) -> Tried {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = now.as_secs();
        let Letter { content_type, body, .. } = &message.letter;
        let signature = self.secrets.sign(&message.id, timestamp, body);
        let sent = Sent { id: &message.id, timestamp, signature, content_type, body: body.clone() };
        self.caller.post(&message.address, sent).await
    }
}
