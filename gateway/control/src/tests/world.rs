//! A registry and a gateway without files, threads and clocks: what is decided is done at once, and
//! loads end when a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{Datatype, Dim, ModelName, Signature, TensorSpec, VersionNumber};
use pointsman_registry::{Card, FolderState, Stamp};

use crate::action::{Action, May, next_action};
use crate::committed::Committed;
use crate::grant::{Grant, Refusal, after, arrived_since, cannot_load, contents, disturbed, grant};
use crate::loader::Gate;
use crate::model::{Declared, Failure, Found, Model, Ready};
use crate::plans;
use crate::rollout::{
    Counted, Event, Frozen, Hard, Look, Moment, Phase, Rollout, Spec, Standing, transition,
};
use crate::target::{Target, target};
use crate::wish::{RolloutWish, Wish};

/// The most steps between two events: more of them would be a circle.
const STEPS_MAX: usize = 200;

pub(super) fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Another number is another model.
    pub(super) digest: u64,
    pub(super) loads: bool,
    /// Whether it takes an input that others do not.
    pub(super) breaks: bool,
}

/// What loads of an overwritten folder find is what is there when they end.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) model: Model,
    pub(super) now: Instant,
    pub(super) disk: BTreeMap<VersionNumber, Content>,
    /// The versions that wishes wait for.
    pub(super) asked: BTreeSet<VersionNumber>,
    /// The rollout that is under way.
    pub(super) rollout: Option<Rollout>,
    /// Those that are over, in order.
    pub(super) ended: Vec<Rollout>,
    /// A rollout that follows on the last one that ended.
    follows: Option<Spec>,
    stamps: u64,
    incarnations: u64,
    /// Everything that was done, in order.
    pub(super) done: Vec<Action>,
}

pub(super) const GOOD: Content = Content { digest: 1, loads: true, breaks: false };
pub(super) const BAD: Content = Content { digest: 2, loads: false, breaks: false };

impl World {
    /// A model with this card and these versions, of which nothing is loaded.
    pub(super) fn new(card: &str, versions: &[(u64, Content)]) -> Self {
        let mut world = Self {
            model: Model::default(),
            now: Instant::now(),
            disk: BTreeMap::new(),
            asked: BTreeSet::new(),
            rollout: None,
            ended: Vec::new(),
            follows: None,
            stamps: 0,
            incarnations: 0,
            done: Vec::new(),
        };
        world.card(card);
        for (number, content) in versions {
            world.put(*number, *content);
        }
        world
    }

    pub(super) fn card(&mut self, card: &str) {
        let card = Card::parse("model.toml", card.as_bytes()).expect("a good card");
        let plan = self.model.declared.plan.take();
        self.model.declared = Declared { card, plan, ..Declared::default() };
    }

    /// Writes a version's folder.
    pub(super) fn put(&mut self, number: u64, content: Content) {
        self.stamps += 1;
        self.disk.insert(version(number), content);
        let found = Found { stamp: Stamp::new(self.stamps), bytes: 1, folder: FolderState::Complete };
        self.model.found.insert(version(number), found);
    }

    /// What the registry says of a folder.
    pub(super) fn folder(&mut self, number: u64, folder: FolderState) {
        if let Some(found) = self.model.found.get_mut(&version(number)) {
            found.folder = folder;
        }
    }

    /// The folder is not there any more.
    pub(super) fn remove(&mut self, number: u64) {
        self.model.found.remove(&version(number));
    }

    pub(super) fn target(&self) -> Target {
        target(&self.model, &self.asked)
    }

    /// The next step, without taking it.
    pub(super) fn next(&self) -> Action {
        let free = self.model.versions.values().all(|state| state.loading.is_none());
        next_action(&self.model, &self.target(), self.now, May { load: free, raise: true })
    }

    /// Takes steps until there is nothing to do but wait.
    pub(super) fn converge(&mut self) {
        for _ in 0..STEPS_MAX {
            self.look_at_rollout();
            match self.next() {
                Action::Wait(_) if self.declare() => {}
                Action::Wait(_) => return,
                action => self.act(action),
            }
        }
        panic!("it goes round in circles: {:?}", &self.done[self.done.len() - 10..]);
    }

    /// Lets a rollout know what happened around it.
    fn look_at_rollout(&mut self) {
        let Some(rollout) = &self.rollout else { return };
        if let Some((event, _)) = disturbed(&self.model, rollout) {
            self.turn(&event).expect("it can end");
        } else if cannot_load(&self.model, rollout.spec.candidate) {
            self.sees(Hard { cannot_load: true, ..Hard::default() });
        } else if let Some(version) = arrived_since(&self.model, rollout) {
            self.turn(&Event::NewVersion(version)).expect("it can be told");
        }
    }

    /// The rollout sees something that needs no statistics.
    pub(super) fn sees(&mut self, hard: Hard) {
        let _ = self.turn(&Event::Looked(vec![Look { hard, ..Look::default() }]));
    }

    fn begin(&mut self, spec: &Spec) -> Result<(), Refusal> {
        let id = self.ended.len() as u64 + 1;
        let newest = self.model.found.keys().next_back().copied();
        let frozen = Frozen {
            counted: Counted::Requests,
            unit: "request_id".into(),
            salt: Standing::salt(&spec.model, id),
            slow_us: [1, 2, 3],
            classes: 0,
            newest: newest.unwrap_or(spec.candidate),
            contents: contents(&self.model, spec.candidate),
        };
        self.rollout = Some(Rollout::new(id, spec.clone(), frozen, Moment(1)));
        self.turn(&Event::Start)
    }

    /// Lets something happen to the rollout that is under way.
    pub(super) fn turn(&mut self, event: &Event) -> Result<(), Refusal> {
        let none = || Refusal::new("no rollout is under way");
        let taken = transition(self.rollout.as_ref().ok_or_else(none)?, event, Moment(2))?;
        let rollout = taken.change.rollout().clone();
        let committed = after(&self.model, event, &rollout, "ada")?;
        let is_over = rollout.phase.is_over();
        self.model.rollout = (!is_over).then(|| Standing::of(&rollout));
        self.rollout = (!is_over).then(|| rollout.clone());
        if let Some(new) = committed {
            self.commit(new);
        }
        if is_over {
            let candidate = rollout.spec.candidate;
            let is_marked = self.model.committed.marks.contains_key(&candidate);
            assert_eq!(is_marked, rollout.phase != Phase::Promoted, "{rollout:?}");
            self.follows = rollout.follows().map(|candidate| Spec { candidate, ..rollout.spec.clone() });
            self.ended.push(rollout);
        }
        Ok(())
    }

    /// Begins the rollout that follows on one that ended, if one does.
    pub(super) fn follow_on(&mut self) {
        if let Some(spec) = self.follows.take() {
            let _ = self.wish(Wish::Rollout(RolloutWish::Start(Box::new(spec))));
        }
    }

    /// Takes a declared plan over, where one can be; says whether it was.
    fn declare(&mut self) -> bool {
        let model = ModelName::new("iris").expect("a name");
        let Some(Ok(plans)) = plans::declare(&self.model, &model, 9) else { return false };
        self.model.committed.plans = Arc::new(plans);
        true
    }

    fn act(&mut self, action: Action) {
        match &action {
            Action::Serve(to) => self.serve(*to),
            Action::Alias(alias, Some(to)) => {
                self.model.committed.aliases.insert(alias.clone(), *to);
            }
            Action::Alias(alias, None) => {
                self.model.committed.aliases.remove(alias);
            }
            Action::Unload(number) => {
                let state = self.model.versions.entry(*number).or_default();
                assert!(state.ready.take().is_some(), "{number} is not loaded");
                state.kept_until = None;
            }
            Action::Load(number) => {
                let stamp = self.model.found[number].stamp;
                self.model.versions.entry(*number).or_default().loading = Some(stamp);
            }
            Action::Wait(_) => {}
        }
        self.done.push(action);
    }

    fn serve(&mut self, to: Option<VersionNumber>) {
        let mut new = self.model.committed.clone();
        new.serve(to);
        self.commit(new);
    }

    fn commit(&mut self, mut new: Committed) {
        let before = self.model.committed.default;
        self.model.promise(&mut new);
        self.model.committed = new;
        if before != self.model.committed.default {
            self.keep(before);
        }
    }

    fn keep(&mut self, before: Option<VersionNumber>) {
        let committed = &self.model.committed;
        let keep = before.filter(|b| committed.history.last() == Some(b) && !committed.marks.contains_key(b));
        for (number, state) in &mut self.model.versions {
            state.kept_until = (Some(*number) == keep).then(|| self.now + Duration::from_secs(600));
        }
    }

    /// Ends the load that is under way, as its folder is now.
    pub(super) fn end_load(&mut self) -> Option<VersionNumber> {
        let loading = self.model.versions.iter_mut().find(|(_, state)| state.loading.is_some());
        let (number, state) = loading?;
        let number = *number;
        let stamp = state.loading.take()?;
        // It reads what is there now.
        let stamp = self.model.found.get(&number).map_or(stamp, |found| found.stamp);
        let content = self.disk.get(&number).copied().unwrap_or(BAD);
        if content.loads {
            let digest = content.digest.to_string();
            if !self.target().load.contains(&number) {
                return Some(number);
            }
            if self.model.recognise(number, stamp, &digest) && !self.asked.contains(&number) {
                return Some(number);
            }
            let state = self.model.versions.entry(number).or_default();
            self.incarnations += 1;
            let incarnation = self.incarnations;
            state.ready = Some(Ready {
                incarnation,
                stamp,
                digest,
                signature: signature(content.breaks),
                schema: None,
            });
            state.failure = None;
        } else {
            let state = self.model.versions.entry(number).or_default();
            let attempts = state.failure.take().filter(|f| f.stamp == stamp).map_or(1, |f| f.attempts + 1);
            let retry_at = (attempts < 3).then(|| self.now + Duration::from_secs(1 << attempts));
            let reason = "it is bad".into();
            state.failure =
                Some(Failure { stamp, attempts, tries: attempts, retry_at, gate: Gate::Engine, reason });
        }
        Some(number)
    }

    /// Converges, and ends loads until nothing is left to do; time stands still.
    pub(super) fn settle(&mut self) {
        self.converge();
        for _ in 0..STEPS_MAX {
            if self.end_load().is_none() {
                return;
            }
            self.converge();
        }
        panic!("loads go round in circles");
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.converge();
    }

    /// Brings a wish forward and lets it end.
    pub(super) fn wish(&mut self, wish: Wish) -> Result<(), Refusal> {
        // Whoever wants callers led back while a version takes over means that one.
        let wish = match wish {
            Wish::Rollback if self.rollout.is_some() => Wish::Rollout(RolloutWish::Abort),
            wish => wish,
        };
        for _ in 0..STEPS_MAX {
            match grant(&self.model, &wish, "ada") {
                Grant::Rollout => {
                    let Wish::Rollout(said) = &wish else { unreachable!("{wish} is none of rollouts") };
                    let told = match said {
                        RolloutWish::Start(spec) => self.begin(spec),
                        said => self.turn(&said.event()),
                    };
                    self.asked.clear();
                    self.settle();
                    return told;
                }
                Grant::Refused(refusal) => {
                    self.asked.clear();
                    self.settle();
                    return Err(refusal);
                }
                Grant::Unchanged => break,
                Grant::Now(new) => {
                    self.commit(*new);
                    if wish == Wish::Freeze {
                        let _ = self.turn(&Event::Pause);
                    }
                    break;
                }
                Grant::Needs { versions, .. } => {
                    for number in &versions {
                        self.model.versions.entry(*number).or_default().failure = None;
                    }
                    self.asked.extend(&versions);
                    self.converge();
                    self.end_load();
                    if let Some(failed) =
                        versions.iter().find(|number| self.model.failure(**number).is_some())
                    {
                        self.asked.clear();
                        self.settle();
                        return Err(Refusal::new(format!("version {failed} does not load")));
                    }
                }
            }
        }
        self.asked.clear();
        self.settle();
        Ok(())
    }

    pub(super) fn promote(&mut self, number: u64) -> Result<(), Refusal> {
        self.wish(Wish::Promote { version: version(number), allow_breaking: false })
    }

    /// Versions that are loaded.
    pub(super) fn ready(&self) -> Vec<u64> {
        let ready = self.model.versions.iter().filter(|(_, state)| state.ready.is_some());
        ready.map(|(number, _)| number.get()).collect()
    }

    /// The version that answers callers that name none; nothing where it is not loaded.
    pub(super) fn serves(&self) -> Option<u64> {
        let default = self.model.committed.default.filter(|version| self.model.ready(*version).is_some());
        default.map(VersionNumber::get)
    }

    /// The process was killed: what is committed and what is in the registry is all there is.
    pub(super) fn restart(&mut self) {
        self.model.versions.clear();
        self.asked.clear();
        self.follows = None;
        let _ = self.turn(&Event::Restarted);
    }
}

/// A signature of one input; a breaking one has another name.
fn signature(breaks: bool) -> Arc<Signature> {
    let spec = |name: &str| TensorSpec {
        name: name.into(),
        datatype: Datatype::Fp32,
        shape: Some(vec![Dim::Dynamic(None)]),
        optional: false,
        labels: None,
    };
    let input = if breaks { "other" } else { "x" };
    Arc::new(Signature { inputs: vec![spec(input)], outputs: vec![spec("y")] })
}
