//! The thread that takes requests in, redacts them, and writes their rows to the spool.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::RequestId;
use pointsman_observe::sample_log::{Chosen, Drawn, Loss, Origin, Record, ShadowAnswer, Writer};
use pointsman_predict::{Monitored, priority};

use super::Shared;
use super::parts_thread::Order;
use super::watcher::{Offer, lose};

/// How long it sleeps where there is nothing to do.
const SLEEP: Duration = Duration::from_millis(20);
/// Requests that are taken in before it looks at anything else.
const AT_ONCE: usize = 1024;
/// How long a request waits for a second shadow after the first has answered.
const SECOND_WAIT: Duration = Duration::from_millis(50);

/// How often it looks whether its directory is still there.
const LOOK: Duration = Duration::from_millis(500);
/// How often the same is said in the gateway's log.
const TELL: Duration = Duration::from_secs(60);

/// What others ask of it.
pub(super) enum Command {
    /// Writes all that waits, seals all spool files, and says so.
    Seal(Sender<()>),
    /// Ends, likewise.
    Stop,
}

/// The log's thread.
pub(super) struct LogThread {
    shared: Arc<Shared>,
    writer: Writer,
    commands: Receiver<Command>,
    orders: Sender<Order>,
    pending: HashMap<RequestId, Pending>,
    /// The most that may wait for shadows: half of all that may wait.
    pending_max: usize,
    /// Those that wait, that which began first in front.
    order: VecDeque<(Instant, RequestId)>,
    synced_at: Instant,
    turned_at: Instant,
    looked_at: Instant,
    /// What was said last of what is wrong, and when.
    told: Option<(String, Instant)>,
}

/// A request that waits for shadows.
struct Pending {
    offer: Offer,
    until: Instant,
    answers: Vec<ShadowAnswer>,
}

impl LogThread {
    pub(super) fn new(
        shared: Arc<Shared>,
        writer: Writer,
        commands: Receiver<Command>,
        orders: Sender<Order>,
    ) -> Self {
        let now = Instant::now();
        let pending_max = shared.settings.queue_max.div_ceil(2);
        Self {
            shared,
            writer,
            commands,
            orders,
            pending: HashMap::new(),
            pending_max,
            order: VecDeque::new(),
            synced_at: now,
            turned_at: now,
            looked_at: now,
            told: None,
        }
    }

    /// Works until it is told to end.
    pub(super) fn work(mut self) {
        priority::stand_back(self.shared.settings.niceness);
        self.hand_on();
        loop {
            let was_busy = self.round(Instant::now());
            match self.commands.try_recv() {
                Ok(Command::Seal(answer)) => {
                    self.finish();
                    // Whoever asked may have given up.
                    let _ = answer.send(());
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) if !was_busy => thread::park_timeout(SLEEP),
                Err(TryRecvError::Empty) => {}
            }
        }
        self.finish();
        self.shared.is_closed.store(true, Ordering::Release);
        while let Some(offer) = self.shared.ring.pop() {
            if offer.chosen.is_kept {
                offer.layout.account().lost(Loss::Stopped, 1);
            }
            self.shared.ring.release(offer.bytes);
        }
        let _ = self.orders.send(Order::Stop);
    }

    /// Takes in what there is, and does what is due. Whether there was more than is taken in at once.
    fn round(&mut self, now: Instant) -> bool {
        // Before the requests that they are of, which were offered before them.
        let answers = self.shared.answers.take();
        let mut taken = 0;
        while taken < AT_ONCE
            && let Some(offer) = self.shared.ring.pop()
        {
            taken += 1;
            if !offer.seen.exchange.is_shadowed {
                self.write(offer, &[], now);
            } else if self.pending.len() < self.pending_max {
                self.wait(offer, now);
            } else {
                if !offer.chosen.is_kept {
                    lose(&offer.layout, offer.chosen, Loss::QueueFull);
                }
                self.write(offer, &[], now);
            }
        }
        answers.into_iter().for_each(|(id, answer)| self.answered(id, answer, now));
        self.expire(now);
        self.writer.tick(now);
        if now.duration_since(self.synced_at) >= self.shared.settings.sync {
            self.synced_at = now;
            self.writer.sync();
        }
        if now.duration_since(self.turned_at) >= self.shared.settings.window {
            self.turned_at = now;
            self.shared.models.lock().values().for_each(|kept| kept.sampler.turn());
        }
        if now.duration_since(self.looked_at) >= LOOK {
            self.looked_at = now;
            self.writer.look();
        }
        self.hand_on();
        taken == AT_ONCE
    }

    /// Lets a request wait for its shadows.
    fn wait(&mut self, offer: Offer, now: Instant) {
        let (id, until) = (offer.seen.exchange.id, now + self.shared.settings.shadow_wait);
        self.order.push_back((now, id));
        self.pending.insert(id, Pending { offer, until, answers: Vec::new() });
    }

    fn answered(&mut self, id: RequestId, answer: ShadowAnswer, now: Instant) {
        // Most are of requests that are not kept.
        let Some(pending) = self.pending.get_mut(&id) else { return };
        pending.answers.push(answer);
        pending.until = pending.until.min(now + SECOND_WAIT);
    }

    /// Writes those that have waited for long enough.
    fn expire(&mut self, now: Instant) {
        // One whose shadow has answered waits less than those before it: all are looked at, and there are few.
        let due: Vec<RequestId> = {
            let is_due = |(_, id): &&(Instant, RequestId)| {
                self.pending.get(id).is_none_or(|pending| pending.until <= now)
            };
            self.order.iter().filter(is_due).map(|(_, id)| *id).collect()
        };
        if due.is_empty() {
            return;
        }
        for id in due {
            if let Some(Pending { offer, answers, .. }) = self.pending.remove(&id) {
                self.write(offer, &answers, now);
            }
        }
        self.order.retain(|(_, id)| self.pending.contains_key(id));
    }

    /// Writes a request, if it is kept now that it is known what its shadows answered.
    fn write(&mut self, offer: Offer, answers: &[ShadowAnswer], now: Instant) {
        let Offer { seen, layout, sampler, point, chosen: before, bytes } = offer;
        let disagrees = answers.iter().any(|answer| answer.disagrees == Some(true));
        let chosen = match disagrees && sampler.may_disagree(point) {
            true => sampler.judge_disagreed(point, before),
            false => before,
        };
        // What was kept before is still kept: a further class makes nothing less likely.
        if chosen.is_kept || before.is_kept {
            if !before.is_kept {
                layout.account().queued();
            }
            let record = record(&seen.exchange, seen.at, chosen, answers);
            self.writer.take(&layout, &record, SystemTime::now(), now);
        }
        // What it held is free before it counts as done with.
        drop(seen);
        self.shared.ring.release(bytes);
    }

    /// Writes all that waits.
    fn finish(&mut self) {
        let now = Instant::now();
        while self.round(now) {}
        for (_, id) in std::mem::take(&mut self.order) {
            if let Some(Pending { offer, answers, .. }) = self.pending.remove(&id) {
                self.write(offer, &answers, now);
            }
        }
        self.writer.finish(now);
        self.hand_on();
    }

    /// Hands spool files on that are to become parts, and says what went wrong.
    fn hand_on(&mut self) {
        for path in self.writer.sealed() {
            // Where that thread is gone, the next start finds them.
            let _ = self.orders.send(Order::Make(path));
        }
        self.tell();
    }

    /// Says what is wrong, and when it no longer is.
    fn tell(&mut self) {
        let (problem, vanished) = (self.writer.problem(), self.writer.vanished());
        let (is_other, gone) = {
            let mut state = self.shared.state.lock();
            let is_other = state.writing.as_deref() != problem;
            if is_other {
                state.writing = problem.map(str::to_owned);
            }
            (is_other, vanished - std::mem::replace(&mut state.vanished_files, vanished))
        };
        if gone > 0 {
            let directory = self.shared.directory.display();
            tracing::warn!(
                "the sample log's directory {directory} was moved, deleted or replaced: {gone} spool files that were \
                 written to are no longer there, and their rows count as written"
            );
        }
        match problem {
            Some(problem) => {
                let is_new =
                    self.told.as_ref().is_none_or(|(told, at)| told != problem || at.elapsed() >= TELL);
                if is_new {
                    tracing::warn!("the sample log cannot be written: {problem}");
                    self.told = Some((problem.to_owned(), Instant::now()));
                }
            }
            None if is_other => tracing::info!("the sample log is written again"),
            None => {}
        }
    }
}

/// The request as the log takes it.
fn record<'a>(
    exchange: &'a Monitored,
    at: SystemTime,
    chosen: Chosen,
    shadows: &'a [ShadowAnswer],
) -> Record<'a> {
    let pick = exchange.pick.as_ref();
    let assignment = pick.and_then(|pick| pick.assignment.as_ref());
    Record {
        id: exchange.id,
        trace: exchange.trace,
        at,
        origin: Origin {
            protocol: exchange.protocol.name(),
            arm: pick.map(|pick| pick.arm.name()),
            way: pick.map(|pick| pick.way.name()),
            drawn: assignment.map(|assignment| Drawn {
                experiment: &assignment.experiment,
                unit: assignment.unit,
                unit_kind: assignment.unit_kind.name(),
                propensity: assignment.weight.fraction(),
            }),
        },
        chosen,
        parameters: &exchange.parameters,
        inputs: &exchange.inputs,
        rows: exchange.rows,
        violations: &exchange.violations,
        outputs: exchange.outputs.as_deref().map_err(|code| *code),
        times: exchange.times,
        decode: exchange.decode,
        encode: exchange.encode,
        total: exchange.total,
        shadows,
    }
}
