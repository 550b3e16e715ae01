//! One budget of cores for the runs of all versions, and fair turns at it.
//!
//! However many models and versions are loaded, workers never run on more cores than the budget has: runs that share a
//! core all take longer, and none ends sooner. A worker asks for its turn while its jobs still stand in line, where
//! others can join them and callers can take them back.
//!
//! Where more is wanted than there is, the model comes first that has had the least: start-time fair queueing (Goyal,
//! Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996) with runs as packets and core seconds as their length. A
//! model that was idle starts where the others are, and saves up no credit.
//!
//! Short runs on the threads of requests ([`crate::lead`]) take no turn: they are over before one could be handed on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use pointsman_core::ModelName;

use crate::admission::InFlight;
use crate::posts::Posts;

/// The cores, and who waits for them.
pub struct Cores {
    total: usize,
    posts: Posts,
    state: Mutex<State>,
    /// The shares of models that have a version. Those whose last version is gone are forgotten.
    shares: Mutex<HashMap<ModelName, Weak<Share>>>,
}

struct State {
    free: usize,
    /// Which of them are given, by their numbers.
    given: Vec<bool>,
    /// The number that is looked at first: runs one after the other are spread over all.
    next: usize,
    /// What the model that came last had had by then, in core nanoseconds: where idle models start.
    level: u64,
    /// In the order in which they came: never more than there are workers.
    waiting: Vec<Waiting>,
}

struct Waiting {
    share: Arc<Share>,
    cores: usize,
    call: Arc<Call>,
}

/// Tells one waiting worker that it is its turn.
#[derive(Default)]
struct Call {
    called: Mutex<Option<Vec<usize>>>,
    changed: Condvar,
}

/// One model's part in what all models share.
pub(crate) struct Share {
    cores: Arc<Cores>,
    /// Its requests.
    pub(crate) in_flight: InFlight,
    /// Core nanoseconds that it has had, or could have had while it was idle. Changed under the lock of the budget.
    had: Mutex<u64>,
}

/// The right to run on some cores, until it is dropped.
pub(crate) struct Turn {
    share: Arc<Share>,
    /// The numbers of the cores.
    cores: Vec<usize>,
    since: Instant,
}

impl Cores {
    /// A budget of at least one core.
    #[must_use]
    pub fn new(total: usize) -> Arc<Self> {
        let total = total.max(1);
        let given = vec![false; total];
        let state = State { free: total, given, next: 0, level: 0, waiting: Vec::new() };
        let posts = Posts::new(total);
        Arc::new(Self { total, posts, state: Mutex::new(state), shares: Mutex::default() })
    }

    /// How many cores there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// How many cores runs of workers have at the moment.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.total - self.state.lock().free
    }

    /// How many workers wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Says that the calling thread serves connections, and is the one of this core: while shadows run it stays there.
    pub fn serves_connections(&self, core: usize) {
        self.posts.register(core);
    }

    /// Lets the calling thread run on any core, whichever thread started it.
    pub fn roam(&self) {
        self.posts.roam();
    }

    /// Where threads stay while shadows run.
    pub(crate) fn posts(&self) -> &Posts {
        &self.posts
    }

    /// The share of a model: the same for all its versions.
    pub(crate) fn share(self: &Arc<Self>, model: &ModelName) -> Arc<Share> {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get(model).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share =
            Arc::new(Share { cores: self.clone(), in_flight: InFlight::default(), had: Mutex::new(0) });
        shares.insert(model.clone(), Arc::downgrade(&share));
        share
    }
}

impl fmt::Debug for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} cores", self.busy(), self.total)
    }
}

impl State {
    /// Notes that a share comes up: what it did not use while it was idle is gone.
    fn comes(&self, share: &Share) {
        let mut had = share.had.lock();
        *had = (*had).max(self.level);
    }

    fn give(&mut self, share: &Share, cores: usize) -> Vec<usize> {
        self.level = self.level.max(*share.had.lock());
        let total = self.given.len();
        let from = (self.next..total).chain(0..self.next.min(total));
        let found: Vec<usize> = from.filter(|core| !self.given[*core]).take(cores).collect();
        found.iter().for_each(|core| self.given[*core] = true);
        self.free -= found.len();
        self.next = found.last().map_or(self.next, |last| (last + 1) % total.max(1));
        found
    }

    fn take_back(&mut self, cores: &[usize]) {
        cores.iter().for_each(|core| self.given[*core] = false);
        self.free += cores.len();
    }

    /// Calls up whoever's turn it is. One who wants more cores than are free is waited for, or it would never come.
    fn call(&mut self) {
        let next = |waiting: &[Waiting]| {
            let had = waiting.iter().map(|waiting| *waiting.share.had.lock());
            had.enumerate().min_by_key(|(_, had)| *had).map(|(place, _)| place)
        };
        while let Some(place) = next(&self.waiting) {
            if self.waiting[place].cores > self.free {
                return;
            }
            let Waiting { share, cores, call } = self.waiting.remove(place);
            let given = self.give(&share, cores);
            *call.called.lock() = Some(given);
            call.changed.notify_one();
        }
    }
}

impl Share {
    /// A turn at so many cores, or at all that there are, if nobody has to be waited for.
    pub(crate) fn try_turn(self: &Arc<Self>, cores: usize) -> Option<Turn> {
        let cores = cores.clamp(1, self.cores.total);
        let mut state = self.cores.state.lock();
        if state.free < cores || !state.waiting.is_empty() {
            return None;
        }
        state.comes(self);
        let cores = state.give(self, cores);
        Some(Turn { share: self.clone(), cores, since: Instant::now() })
    }

    /// Waits for a turn.
    pub(crate) fn turn(self: &Arc<Self>, cores: usize) -> Turn {
        if let Some(turn) = self.try_turn(cores) {
            return turn;
        }
        let cores = cores.clamp(1, self.cores.total);
        let call = Arc::new(Call::default());
        {
            let mut state = self.cores.state.lock();
            state.comes(self);
            state.waiting.push(Waiting { share: self.clone(), cores, call: call.clone() });
            // It may have become free in between.
            state.call();
        }
        let mut called = call.called.lock();
        let cores = loop {
            if let Some(cores) = called.take() {
                break cores;
            }
            call.changed.wait(&mut called);
        };
        Turn { share: self.clone(), cores, since: Instant::now() }
    }

    /// Where threads stay while shadows run.
    pub(crate) fn posts(&self) -> &Posts {
        self.cores.posts()
    }

    /// How many workers wait for their turn, of whatever model.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.cores.waiting()
    }

    /// How many cores nobody has.
    pub(crate) fn free(&self) -> usize {
        self.cores.state.lock().free
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.in_flight, self.cores)
    }
}

impl Turn {
    /// The number of its core; nothing where it has several.
    pub(crate) fn core(&self) -> Option<usize> {
        match *self.cores {
            [core] => Some(core),
            _ => None,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let time = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let spent = time.saturating_mul(self.cores.len() as u64);
        let mut state = self.share.cores.state.lock();
        {
            let mut had = self.share.had.lock();
            *had = had.saturating_add(spent);
        }
        state.take_back(&self.cores);
        state.call();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> ModelName {
        ModelName::new(text).expect("a name")
    }

    /// Lets a thread wait for a turn, and says when it has one; the turn ends when the sender of `end` is dropped.
    fn waits(
        share: &Arc<Share>,
        cores: usize,
        tag: &'static str,
    ) -> (Receiver<&'static str>, thread::JoinHandle<()>) {
        let (share, (told, tells)) = (share.clone(), channel());
        let thread = thread::spawn(move || {
            let turn = share.turn(cores);
            told.send(tag).expect("somebody listens");
            drop(turn);
        });
        (tells, thread)
    }

    fn until_waiting(cores: &Cores, count: usize) {
        let until = Instant::now() + Duration::from_secs(10);
        while cores.waiting() < count {
            assert!(Instant::now() < until, "nobody came to wait");
            thread::yield_now();
        }
    }

    fn has_had(share: &Share, nanos: u64) {
        *share.had.lock() = nanos;
    }

    #[test]
    fn no_more_cores_are_given_than_there_are() {
        let cores = Cores::new(2);
        let share = cores.share(&name("a"));
        let one = share.try_turn(1).expect("both are free");
        let two = share.try_turn(1).expect("one is free");
        assert!(share.try_turn(1).is_none());
        assert_eq!((cores.busy(), share.free()), (2, 0));
        assert_ne!(one.core(), two.core());
        drop(one);
        assert!(share.try_turn(2).is_none(), "one is free");
        drop(two);
        let all = share.try_turn(9).expect("all there are");
        assert_eq!((cores.busy(), all.core()), (2, None));
        drop(all);
        assert_eq!(cores.busy(), 0);
    }

    #[test]
    fn whoever_has_had_least_comes_first() {
        let cores = Cores::new(1);
        let (busy, quiet) = (cores.share(&name("busy")), cores.share(&name("quiet")));
        let turn = busy.try_turn(1).expect("free");
        let (first, one) = waits(&busy, 1, "busy");
        until_waiting(&cores, 1);
        let (second, other) = waits(&quiet, 1, "quiet");
        until_waiting(&cores, 2);
        // What the run has taken until now counts: the other model has had nothing.
        has_had(&busy, 1_000_000);
        let (order, orders) = channel();
        for receiver in [first, second] {
            let order = order.clone();
            thread::spawn(move || order.send((receiver.recv(), Instant::now())));
        }
        drop(turn);
        one.join().expect("it ends");
        other.join().expect("it ends");
        let mut told: Vec<_> = [orders.recv(), orders.recv()].into_iter().map(|o| o.expect("told")).collect();
        told.sort_by_key(|(_, at)| *at);
        assert_eq!(cores.busy(), 0);
        assert!(*quiet.had.lock() < 1_000_000 + *busy.had.lock());
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn nobody_saves_up_credit() {
        let cores = Cores::new(1);
        let (one, other) = (cores.share(&name("one")), cores.share(&name("other")));
        has_had(&one, 5000);
        drop(one.try_turn(1).expect("free"));
        drop(other.try_turn(1).expect("free"));
        assert!(*other.had.lock() >= 5000, "it starts where the other one was");
    }

    #[test]
    fn one_who_wants_many_cores_is_not_passed_by() {
        let cores = Cores::new(2);
        let (wide, narrow) = (cores.share(&name("wide")), cores.share(&name("narrow")));
        let turn = narrow.try_turn(1).expect("free");
        let (told, thread) = waits(&wide, 2, "wide");
        until_waiting(&cores, 1);
        assert!(narrow.try_turn(1).is_none(), "one core is free, and kept for who waits");
        drop(turn);
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok("wide"));
        thread.join().expect("it ends");
    }

    #[test]
    fn versions_of_a_model_have_one_share_and_models_that_left_none() {
        let cores = Cores::new(1);
        let share = cores.share(&name("a"));
        assert!(Arc::ptr_eq(&share, &cores.share(&name("a"))));
        drop(share);
        let _other = cores.share(&name("b"));
        assert_eq!(cores.shares.lock().len(), 1);
    }
}
