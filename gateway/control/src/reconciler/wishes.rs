//! Wishes of operators: granted at once, or as soon as what they need is loaded; refused, failed or
//! replaced by a later one. Each gets one truthful answer.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use pointsman_core::{Code, ModelName, VersionNumber};

use super::Reconciler;
use crate::committed::Committed;
use crate::event::{Granted, Outcome, Reply, Wished};
use crate::grant::{Grant, Refusal, changes, grant};
use crate::journal::{Entry, What};
use crate::rollout::Event;
use crate::target::stand_in;
use crate::wish::{RolloutWish, Wish};

/// A wish that waits.
pub(super) struct Pending {
    pub(super) wish: Wish,
    pub(super) by: String,
    pub(super) since: Instant,
    /// The look at the registry that has to come first; nothing where none has to.
    after_look: Option<u64>,
    /// Versions that have to be loaded first, and are tried at once.
    pub(super) needs: BTreeSet<VersionNumber>,
    /// Whether it was found that it can be granted: earlier ones about the same are replaced by it then.
    accepted: bool,
    replies: Vec<Reply<Granted>>,
}

impl Pending {
    /// Whether this load is for it, and its operator said that callers may break on the version.
    pub(super) fn allows_breaking(&self, number: VersionNumber) -> bool {
        self.needs.contains(&number) && self.wish.allows_breaking(number)
    }

    /// The version that it unloads.
    fn unloads(&self) -> Option<VersionNumber> {
        match self.wish {
            Wish::Unload { version } => version,
            _ => None,
        }
    }

    /// Holds a version no more that was unloaded meanwhile.
    fn holds_no_more(&mut self, unloaded: Option<VersionNumber>) {
        if let Some(unloaded) = unloaded {
            self.needs.remove(&unloaded);
        }
    }

    /// Answers that it comes to nothing.
    pub(super) fn end(self, refusal: &Refusal) {
        for reply in self.replies {
            reply(Err(refusal.clone()));
        }
    }
}

impl Reconciler {
    pub(super) fn wished(&mut self, wished: Wished) {
        let Wished { model: name, wish, by, dry_run, reply } = wished;
        let now = Instant::now();
        let wish = self.led_back(&name, wish);
        if self.draining && !dry_run && !wish.lowers() {
            return reply(Err(Refusal::stopping()));
        }
        // A wish for a folder that was written a moment ago must not fail for being early.
        let looks = !dry_run
            && matches!(
                wish,
                Wish::Load { .. }
                    | Wish::Promote { .. }
                    | Wish::Alias { version: Some(_), .. }
                    | Wish::Rollout(RolloutWish::Start(_))
            );
        if !looks && !self.models.contains_key(&name) && self.looks_answered_once() {
            return reply(Err(unknown(&name)));
        }
        if dry_run {
            return reply(self.plan(&name, &wish, &by, now));
        }
        let after_look = (looks || !self.looks_answered_once()).then(|| self.watching.look());
        let tracked = self.models.entry(name).or_default();
        if matches!(wish, Wish::Load { version: None }) {
            // The model is read anew: no earlier failure counts.
            tracked.model.versions.values_mut().for_each(|state| state.failure = None);
        }
        let same = tracked.pending.iter().position(|pending| pending.wish == wish);
        let mut pending = match same.map(|place| tracked.pending.remove(place)) {
            // What this caller wrote before is to be seen, too, and what was wished between gives way.
            Some(same) => Pending { after_look: same.after_look.max(after_look), accepted: false, ..same },
            None => Pending {
                wish,
                by,
                since: now,
                after_look,
                needs: BTreeSet::new(),
                accepted: false,
                replies: Vec::new(),
            },
        };
        pending.replies.push(reply);
        tracked.pending.push(pending);
    }

    /// A wish that can be granted takes the place of earlier ones about the same; one that is refused does not.
    fn accept(&mut self, name: &ModelName, pending: &mut Pending) {
        if std::mem::replace(&mut pending.accepted, true) {
            return;
        }
        let Some(tracked) = self.models.get_mut(name) else { return };
        let replaced = |earlier: &mut Pending| pending.wish.supersedes(&earlier.wish);
        let ended: Vec<Pending> = tracked.pending.extract_if(.., replaced).collect();
        for earlier in ended {
            let reason = format!("`{}` was replaced by a later wish, `{}`", earlier.wish, pending.wish);
            self.refuse(name, earlier, &Refusal { code: Code::Superseded, reason });
        }
    }

    /// The gateway is asked to stop: nobody waits for what is not done yet.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        let names: Vec<ModelName> = self.models.keys().cloned().collect();
        for name in names {
            let pending = self.models.get_mut(&name).map(|tracked| std::mem::take(&mut tracked.pending));
            for pending in pending.into_iter().flatten() {
                self.refuse(&name, pending, &Refusal::stopping());
            }
        }
    }

    /// A wish that nobody waits for.
    pub(super) fn wish_of_the_gateway(&mut self, name: &ModelName, wish: Wish, by: String) {
        let reply: Reply<Granted> = Box::new(|_| {});
        self.wished(Wished { model: name.clone(), wish, by, dry_run: false, reply });
    }

    /// Grants, refuses or keeps waiting what waits for a model; says whether anything was granted.
    pub(super) fn settle_wishes(&mut self, name: &ModelName, now: Instant) -> bool {
        let mut acted = false;
        let Some(tracked) = self.models.get_mut(name) else { return false };
        let mut waiting = VecDeque::from(std::mem::take(&mut tracked.pending));
        while let Some(mut pending) = waiting.pop_front() {
            if pending.after_look.is_some_and(|look| look >= self.looks_answered) {
                self.keep(name, pending);
                continue;
            }
            let Some(tracked) = self.models.get_mut(name) else { return acted };
            if !tracked.usable {
                let known = !tracked.problem.is_empty();
                let reason = format!("the model cannot be served: {}", tracked.problem);
                let refusal = if known { Refusal::new(reason) } else { unknown(name) };
                self.refuse(name, pending, &refusal);
                acted = true;
                continue;
            }
            let granted = grant(&tracked.model, &pending.wish, &pending.by);
            if !matches!(granted, Grant::Refused(_)) {
                self.accept(name, &mut pending);
            }
            match granted {
                Grant::Refused(refusal) => {
                    self.refuse(name, pending, &refusal);
                    acted = true;
                }
                Grant::Unchanged => self.answer_unchanged(name, pending),
                Grant::Now(new) => {
                    let unloaded = pending.unloads();
                    if self.grant(name, pending, *new, now) {
                        let kept = self.models.get_mut(name).map(|tracked| &mut tracked.pending);
                        let others = kept.into_iter().flatten().chain(&mut waiting);
                        others.for_each(|other| other.holds_no_more(unloaded));
                    }
                    acted = true;
                }
                Grant::Rollout => {
                    self.grant_rollout(name, pending, now);
                    acted = true;
                }
                // Nothing is loaded any more.
                Grant::Needs { .. } if self.draining => {
                    self.refuse(name, pending, &Refusal::stopping());
                    acted = true;
                }
                Grant::Needs { versions, .. } => match self.missing(name, &mut pending, versions) {
                    Some(refusal) => {
                        self.refuse(name, pending, &refusal);
                        acted = true;
                    }
                    None => self.keep(name, pending),
                },
            }
        }
        // A model that nobody ever showed and nothing waits for is none.
        if self
            .models
            .get(name)
            .is_some_and(|tracked| !tracked.usable && tracked.problem.is_empty() && !tracked.is_alive())
        {
            self.models.remove(name);
        }
        acted
    }

    /// Whoever wants callers led back while a version takes over means that one.
    fn led_back(&self, name: &ModelName, wish: Wish) -> Wish {
        let is_under_way = || self.models.get(name).is_some_and(|tracked| tracked.rollout.is_some());
        match wish {
            Wish::Rollback if is_under_way() => Wish::Rollout(RolloutWish::Abort),
            wish => wish,
        }
    }

    /// Lets what somebody says to a rollout count.
    fn grant_rollout(&mut self, name: &ModelName, pending: Pending, now: Instant) {
        let Wish::Rollout(wish) = &pending.wish else { return };
        match self.wish_of_rollout(name, wish, &pending.by, now) {
            Ok(lines) => self.answer(pending, Outcome::Done, lines),
            Err(refusal) => self.refuse(name, pending, &refusal),
        }
    }

    fn keep(&mut self, name: &ModelName, pending: Pending) {
        if let Some(tracked) = self.models.get_mut(name) {
            tracked.pending.push(pending);
        }
    }

    /// Lets what a wish needs be loaded. Gives why that is not possible, where it has failed.
    fn missing(
        &mut self,
        name: &ModelName,
        pending: &mut Pending,
        versions: BTreeSet<VersionNumber>,
    ) -> Option<Refusal> {
        let tracked = self.models.get_mut(name)?;
        for version in versions {
            if !tracked.model.found.contains_key(&version) && tracked.model.ready(version).is_none() {
                return Some(Refusal::unknown(version));
            }
            let state = tracked.model.versions.entry(version).or_default();
            if pending.needs.insert(version) {
                // An earlier failure does not count against a wish: it is tried at once.
                state.failure = None;
                continue;
            }
            if let Some(failure) = tracked.model.failure(version) {
                let reason = format!("version {version} did not pass ({}): {}", failure.gate, failure.reason);
                return Some(Refusal::new(reason));
            }
        }
        None
    }

    /// Commits what a wish makes; says whether that is in effect.
    fn grant(&mut self, name: &ModelName, pending: Pending, new: Committed, now: Instant) -> bool {
        let Some(tracked) = self.models.get(name) else { return false };
        let old = &tracked.model.committed;
        let lines = changes(old, &new);
        let swapped = old.default != new.default;
        let what = match &pending.wish {
            Wish::Rollback => What::Rollback,
            Wish::Alias { .. } => What::Alias,
            Wish::Plan(_) => What::Plan,
            _ if swapped => What::Swap,
            _ => What::Wish,
        };
        let entry = Entry {
            what,
            model: Some(name.clone()),
            version: if swapped { new.default } else { pending.wish.version() },
            from: old.default.filter(|_| swapped),
            by: pending.by.clone(),
            why: format!("{}: {}", pending.wish, lines.join("; ")),
            took: None,
            at: SystemTime::now(),
        };
        // To let another version serve that never did raises it, whatever the wish takes away.
        let led_back = new.default.is_none_or(|to| old.default == Some(to) || old.history.contains(&to));
        let plan_lowers = matches!(pending.wish, Wish::Plan(_)) && old.plans.only_lowers(&new.plans);
        let lowers = pending.wish.lowers() || plan_lowers;
        let stand_in = || Committed { default: stand_in(&tracked.model, &new.marks), ..new.clone() };
        let fallback = (lowers && !led_back).then(stand_in);
        let mut changed = self.change(name, new, entry.clone(), lowers && led_back, now);
        if let (Err(_), Some(fallback)) = (&changed, fallback) {
            // What is taken away does not wait for the journal: what served before does, or nothing.
            changed = self.change(name, fallback, entry, true, now);
        }
        let granted = changed.is_ok();
        if granted && pending.wish == Wish::Freeze {
            // Nothing moves by itself any more; what does harm is led back all the same.
            let _ = self.turn(name, &Event::Pause, &pending.by, now);
        }
        match changed {
            Ok(()) => self.answer(pending, Outcome::Done, lines),
            Err(refusal) => self.refuse(name, pending, &refusal),
        }
        granted
    }

    fn answer_unchanged(&mut self, name: &ModelName, pending: Pending) {
        let Some(tracked) = self.models.get(name) else { return };
        let read = |version: &VersionNumber| tracked.model.ready(*version).is_some();
        let lines: Vec<String> = pending
            .needs
            .iter()
            .filter(|version| read(version))
            .map(|version| format!("version {version} was loaded"))
            .collect();
        let outcome = if lines.is_empty() { Outcome::Unchanged } else { Outcome::Done };
        self.answer(pending, outcome, lines);
    }

    fn answer(&mut self, pending: Pending, outcome: Outcome, changes: Vec<String>) {
        self.metrics.wished(pending.wish.verb(), outcome.name());
        // Whoever is answered may ask for the snapshot next.
        self.publish();
        let generation = self.published.generation();
        let took = pending.since.elapsed();
        for reply in pending.replies {
            reply(Ok(Granted { outcome, changes: changes.clone(), generation, took }));
        }
    }

    fn refuse(&mut self, name: &ModelName, pending: Pending, refusal: &Refusal) {
        self.metrics.wished(pending.wish.verb(), refusal.code.name());
        if let Some(tracked) = self.models.get_mut(name) {
            // The board shows it as waiting.
            tracked.changed = true;
        }
        let entry = Entry {
            what: What::WishRefused,
            model: Some(name.clone()),
            version: pending.wish.version(),
            from: None,
            by: pending.by.clone(),
            why: format!("{}: {}: {}", pending.wish, refusal.code.name(), refusal.reason),
            took: Some(pending.since.elapsed()),
            at: SystemTime::now(),
        };
        self.note(entry);
        pending.end(refusal);
    }

    /// What would come of a wish.
    fn plan(&self, name: &ModelName, wish: &Wish, by: &str, now: Instant) -> Result<Granted, Refusal> {
        let tracked = self.models.get(name).ok_or_else(|| unknown(name))?;
        let mut lines = Vec::new();
        match grant(&tracked.model, wish, by) {
            Grant::Refused(refusal) => return Err(refusal),
            Grant::Unchanged => {}
            Grant::Rollout => lines.push(format!("{wish}")),
            Grant::Now(new) => lines.extend(changes(&tracked.model.committed, &new)),
            Grant::Needs { versions, then } => {
                for version in versions {
                    lines.push(format!("version {version} is loaded first, and has to pass its gates"));
                }
                lines.extend(changes(&tracked.model.committed, &then));
            }
        }
        let outcome = Outcome::Planned;
        Ok(Granted { outcome, changes: lines, generation: self.published.generation(), took: now.elapsed() })
    }
}

fn unknown(name: &ModelName) -> Refusal {
    Refusal { code: Code::UnknownModel, reason: format!("the registry has no model '{name}'") }
}
