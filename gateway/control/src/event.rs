//! What the control path is told, and by whom: everything that changes what serves comes through here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use pointsman_core::{Code, ModelName, VersionNumber};
use pointsman_registry::{RegistryError, Scan, Stamp};

use crate::board::Reader;
use crate::grant::Refusal;
use crate::journal::{JournalReader, Listed, Question, Told, Written};
use crate::loader::{LoadFailure, Warm};
use crate::policy::Policy;
use crate::rollout::{LabelSinks, LabelledRequest, LateFinding};
use crate::wish::Wish;

/// The most wishes that may wait for an answer.
const WAITING_MAX: usize = 512;

/// The one who is answered.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Refusal>) + Send>;

/// What happened.
pub(crate) enum Event {
    /// Somebody looked at the registry.
    Looked {
        /// What was found.
        look: Result<Scan, RegistryError>,
        /// All looks that were asked for up to this number are answered by it.
        answers: u64,
    },
    /// A load came to its end.
    Loaded(Box<Loaded>),
    /// An operator wishes something.
    Wished(Box<Wished>),
    /// The configuration was read again.
    Configured(Box<Policy>),
    /// The last worker of a version has ended, and its memory is free.
    Gone(Load),
    /// A rollout may not wait for its next look.
    Alarmed(ModelName),
    /// The sessions of a version keep panicking.
    Crashing { load: Load, crashes: u32 },
    /// The gateway is asked to stop, and still answers.
    Draining,
    /// The gateway stops.
    Stop,
}

/// One load of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) model: ModelName,
    pub(crate) number: VersionNumber,
    /// Tells one load from another.
    pub(crate) incarnation: u64,
}

/// How a load ended.
pub(crate) struct Loaded {
    pub(crate) load: Load,
    /// The folder as it was when the load was asked for.
    pub(crate) stamp: Stamp,
    pub(crate) result: Result<Warm, LoadFailure>,
    pub(crate) took: Duration,
}

/// A wish on its way.
pub(crate) struct Wished {
    pub(crate) model: ModelName,
    pub(crate) wish: Wish,
    pub(crate) by: String,
    /// Only say what would happen.
    pub(crate) dry_run: bool,
    pub(crate) reply: Reply<Granted>,
}

/// What came of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// How it ended.
    pub outcome: Outcome,
    /// What changed, or would, a line each.
    pub changes: Vec<String>,
    /// The generation of the snapshot that has it.
    pub generation: u64,
    /// From the wish's arrival to its end.
    pub took: Duration,
}

/// How a wish ended that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in effect.
    Done,
    /// It was so already.
    Unchanged,
    /// It was a dry run.
    Planned,
}

impl Outcome {
    /// The word in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Planned => "planned",
        }
    }
}

/// The way to the reconciler for everybody else.
#[derive(Clone)]
pub struct Handle {
    pub(crate) sender: Sender<Event>,
    pub(crate) board: Reader,
    pub(crate) journal: JournalReader,
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) labels: LabelSinks,
}

impl Handle {
    /// Tells the last rollout of a model of a label; says whether it was one of its requests. Waits for nobody but those
    /// who add some numbers.
    pub fn labelled(&self, model: &ModelName, label: &LabelledRequest<'_>) -> bool {
        self.labels.labelled(model, label)
    }

    /// What labels prove that came after promotions, by model; nothing where that is not known yet after a start.
    #[must_use]
    pub fn late_findings(&self) -> Option<BTreeMap<ModelName, LateFinding>> {
        self.labels.findings()
    }

    /// What serves and why, for people.
    #[must_use]
    pub fn board(&self) -> &Reader {
        &self.board
    }

    /// Wishes something about a model. The reply comes when it is in effect, refused or replaced by a
    /// later wish; whether anybody still waits for it then changes nothing.
    pub fn wish(
        &self,
        model: ModelName,
        wish: Wish,
        by: String,
        dry_run: bool,
        reply: impl FnOnce(Result<Granted, Refusal>) + Send + 'static,
    ) {
        let Some(place) = Place::take(&self.waiting) else {
            let reason = format!("{WAITING_MAX} wishes are waiting already; try again later");
            return reply(Err(Refusal { code: Code::Overloaded, reason }));
        };
        let reply: Reply<Granted> = Box::new(move |granted| {
            drop(place);
            reply(granted);
        });
        let wished = Wished { model, wish, by, dry_run, reply };
        if let Err(unsent) = self.sender.send(Event::Wished(Box::new(wished))) {
            unsent.0.refuse();
        }
    }

    /// The last entries of the journal that are asked for, the oldest first. Blocks while they are read.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn entries(&self, question: &Question) -> Result<Vec<Written>, Refusal> {
        Ok(self.journal.entries(question)?)
    }

    /// A rollout with everything that happened to it; nothing where there is none of that number. Blocks while it is read.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn rollout(&self, id: u64) -> Result<Option<Told>, Refusal> {
        Ok(self.journal.rollout(id)?)
    }

    /// The last rollouts, of one model or of all, the latest last. Blocks while they are read.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub fn rollouts(&self, model: Option<&ModelName>, limit: u32) -> Result<Vec<Listed>, Refusal> {
        Ok(self.journal.rollouts(model, limit)?)
    }

    /// Lets a configuration that was read again count.
    pub fn configure(&self, policy: Policy) {
        // An error means that the gateway is stopping.
        let _ = self.sender.send(Event::Configured(Box::new(policy)));
    }

    /// The gateway is asked to stop: wishes that wait are answered so, and of new ones only those are granted that
    /// take something away.
    pub fn drain(&self) {
        let _ = self.sender.send(Event::Draining);
    }

    /// Withdraws every version; the reconciler ends with that.
    pub fn stop(&self) {
        let _ = self.sender.send(Event::Stop);
    }
}

/// One of the places for wishes that wait.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(waiting.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Event {
    /// Answers whoever waits, as nobody is there any more who could.
    pub(crate) fn refuse(self) {
        if let Self::Wished(wished) = self {
            (wished.reply)(Err(Refusal::stopping()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::journal::Journal;

    #[test]
    fn no_more_wishes_wait_than_may_and_each_is_answered() {
        let (sender, events) = channel();
        let journal = Journal::open(None).and_then(|journal| journal.reader()).expect("a journal in memory");
        let handle = Handle {
            sender,
            board: Reader::default(),
            journal,
            waiting: Arc::default(),
            labels: LabelSinks::default(),
        };
        let (replies, answers) = channel();
        let wish = |handle: &Handle| {
            let replies = replies.clone();
            let model = ModelName::new("iris").expect("a name");
            handle.wish(model, Wish::Rollback, "ada".into(), false, move |granted| {
                replies
                    .send(granted.map(|granted| granted.outcome).map_err(|refusal| refusal.code))
                    .expect("is heard");
            });
        };
        for _ in 0..WAITING_MAX {
            wish(&handle);
        }
        assert!(answers.try_recv().is_err(), "they wait");
        wish(&handle);
        assert_eq!(answers.try_recv(), Ok(Err(Code::Overloaded)));
        // One that is answered leaves its place to another.
        events.recv().expect("a wish").refuse();
        assert_eq!(answers.try_recv(), Ok(Err(Code::ShuttingDown)));
        wish(&handle);
        assert!(answers.try_recv().is_err());
        // Nobody is there any more: who comes is told at once.
        drop(events);
        wish(&handle);
        assert_eq!(answers.try_iter().last(), Some(Err(Code::ShuttingDown)));
    }
}
