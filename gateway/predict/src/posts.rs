//! Which processor each thread that serves stays on, while shadows run.
//!
//! A thread of the idle class gives way to one that wakes. But a processor that runs one does not count as idle: what waits
//! elsewhere behind another thread is not pulled to it before the system looks for balance, some milliseconds later. So
//! with a shadow the 99th percentile of requests was two to four times as long as without, on two cores that were busy
//! for two thirds of the time. Where each thread that serves has a processor of its own there is nothing to be pulled:
//! a job goes to a worker whose processor has nothing else to do.
//!
//! Without shadows threads are where the system puts them, and so they are where the process may use more processors than it
//! has in its budget: others of its kind would choose the same ones.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cores::Share;

/// The processors, and whose posts they are.
pub(crate) struct Posts {
    /// Those that the process may use, in order; none where threads stay where the system puts them.
    processors: Box<[usize]>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Shadows that run.
    shadows: usize,
    /// Threads of connections by their ids, each with the number of its core.
    threads: Vec<(system::Id, usize)>,
}

impl Posts {
    /// Posts for so many cores.
    pub(crate) fn new(cores: usize) -> Self {
        let processors = system::processors();
        let fits = cores > 1 && processors.len() == cores;
        let processors = if fits { processors } else { Vec::new() };
        Self { processors: processors.into(), state: Mutex::default() }
    }

    /// The calling thread serves connections, and is the one of this core.
    pub(crate) fn register(&self, core: usize) {
        let Some(id) = system::id().filter(|_| !self.processors.is_empty()) else { return };
        let mut state = self.state.lock();
        state.threads.push((id, core));
        if state.shadows > 0 {
            self.post(Some(id), Some(core));
        }
    }

    /// A shadow runs from here on.
    fn shadow_begins(&self) {
        let mut state = self.state.lock();
        state.shadows += 1;
        if state.shadows == 1 {
            state.threads.iter().for_each(|(id, core)| self.post(Some(*id), Some(*core)));
        }
    }

    /// A shadow runs no more.
    fn shadow_ends(&self) {
        let mut state = self.state.lock();
        state.shadows = state.shadows.saturating_sub(1);
        if state.shadows == 0 {
            state.threads.iter().for_each(|(id, _)| self.post(Some(*id), None));
        }
    }

    /// Lets the calling thread run on a core, where shadows run, and anywhere otherwise. `now` is where it stays, and what comes
    /// back is where it does from here on.
    pub(crate) fn take(&self, now: Option<usize>, core: Option<usize>) -> Option<usize> {
        let wanted = core.filter(|_| !self.processors.is_empty() && self.state.lock().shadows > 0);
        if wanted != now {
            self.post(None, wanted);
        }
        wanted
    }

    /// Lets the calling thread run anywhere, whoever started it.
    pub(crate) fn roam(&self) {
        self.post(None, None);
    }

    fn post(&self, thread: Option<system::Id>, core: Option<usize>) {
        let of_core = core.and_then(|core| self.processors.get(core % self.processors.len().max(1)));
        let processors = of_core.map_or(&*self.processors, std::slice::from_ref);
        if !processors.is_empty() {
            system::allow(thread, processors);
        }
    }
}

/// Keeps threads at their posts for as long as a shadow runs.
pub(crate) struct Held(Arc<Share>);

impl Held {
    /// A shadow beside a model begins to run.
    pub(crate) fn new(share: &Arc<Share>) -> Self {
        share.posts().shadow_begins();
        Self(share.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.posts().shadow_ends();
    }
}

impl fmt::Debug for Posts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} posts", self.processors.len())
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

    pub(super) type Id = Pid;

    pub(super) fn id() -> Option<Id> {
        Some(gettid())
    }

    /// The processors that the process may use.
    pub(super) fn processors() -> Vec<usize> {
        let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
        (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()
    }

    /// Lets a thread, or the calling one, run on these alone.
    pub(super) fn allow(thread: Option<Id>, processors: &[usize]) {
        let mut set = CpuSet::new();
        processors.iter().for_each(|processor| set.set(*processor));
        if let Err(error) = sched_setaffinity(thread, &set) {
            tracing::debug!("a thread stays where it is: {error}");
        }
    }
}

/// Elsewhere threads are where the system puts them.
#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) type Id = ();

    pub(super) fn id() -> Option<Id> {
        None
    }

    pub(super) fn processors() -> Vec<usize> {
        Vec::new()
    }

    pub(super) fn allow(_: Option<Id>, _: &[usize]) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_stay_while_a_shadow_runs_and_not_before_or_after() {
        thread::spawn(|| {
            let all = system::processors();
            let posts = Posts::new(all.len());
            posts.register(0);
            if all.len() < 2 {
                // There is nothing to choose from.
                assert!(posts.processors.is_empty());
                return;
            }
            assert_eq!(system::processors(), all);
            assert_eq!(posts.take(None, Some(1)), None, "no shadow runs");
            posts.shadow_begins();
            posts.shadow_begins();
            assert_eq!(system::processors(), all[..1]);
            assert_eq!(posts.take(Some(0), Some(1)), Some(1));
            assert_eq!(system::processors(), all[1..2]);
            assert_eq!(posts.take(Some(1), None), None, "a run on several cores");
            assert_eq!(system::processors(), all);
            assert_eq!(posts.take(None, Some(0)), Some(0));
            posts.shadow_ends();
            assert_eq!(system::processors(), all[..1], "another one runs");
            let inherited = thread::scope(|scope| {
                scope
                    .spawn(|| {
                        let inherited = system::processors();
                        posts.roam();
                        (inherited, system::processors())
                    })
                    .join()
            });
            assert_eq!(inherited.expect("it ends"), (all[..1].to_vec(), all.clone()));
            posts.shadow_ends();
            assert_eq!(system::processors(), all);
            posts.shadow_begins();
            assert_eq!(system::processors(), all[..1], "the thread of connections is known");
        })
        .join()
        .expect("it ends");
    }

    #[test]
    fn a_budget_of_fewer_cores_than_processors_leaves_threads_alone() {
        let all = system::processors().len();
        for cores in [1, all + 1] {
            let posts = Posts::new(cores);
            posts.shadow_begins();
            assert_eq!(posts.take(None, Some(0)), None, "{cores}");
        }
    }
}
