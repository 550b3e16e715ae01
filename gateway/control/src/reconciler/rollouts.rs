//! Rollouts that are under way: what was seen is looked at, and what follows is written and done.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::{Classes, Code, ModelName, Signature, VersionNumber};

use super::late::Late;
use super::{Reconciler, Tracked, earlier};
use crate::committed::Committed;
use crate::grant::{Refusal, after, arrived_since, cannot_load, contents, disturbed};
use crate::journal::{Entry, RECORDS_MAX, Step, What};
use crate::rollout::{
    Change, Counted, Event, Exposure, Frozen, Hard, Look, Moment, Notice, Phase, Question, Record, Recorder,
    Refused, Rollout, Seen, ShadowTotals, Spec, Standing, thresholds, transition,
};
use crate::wish::{RolloutWish, Wish};

/// How many answers of the version that serves thresholds of latencies are taken from at least.
const ANSWERS_MIN: usize = 100;
/// After so many looks they come the more seldom the longer a rollout lasts: so there are never too many records.
const LOOKS_DENSE: u32 = 5000;

/// For how long a rollout leaves the journal alone that could not be written: longer than everybody does, so that what is
/// to be loaded comes between.
const WRITE_RETRY: Duration = Duration::from_secs(3);

/// Whom every transition of a rollout is told that names an address.
pub type Notify = Arc<dyn Fn(&str, &Notice) + Send + Sync>;

/// A rollout that is under way.
pub(super) struct UnderWay {
    pub(super) rollout: Rollout,
    /// The number of its last record.
    records: u64,
    pub(super) recorder: Arc<Recorder>,
    /// What was seen and could not be written yet.
    pub(super) kept: Seen,
    looked_at: Instant,
    /// What shadows had answered at the last look.
    shadowed: ShadowTotals,
    /// Pairs in a row in which the candidate failed.
    shadow_row: u64,
    /// Panics of the candidate up to the last look.
    panics: u64,
    /// The gateway came up again, and that is not written yet.
    resumes: bool,
    /// Nothing of it could be written a moment ago: until then others may try.
    waits_until: Option<Instant>,
}

impl UnderWay {
    /// When it is to be looked at next.
    fn next_look(&self, every: Duration) -> Instant {
        let age = now().since(self.rollout.place.started);
        self.looked_at + every.max(age / LOOKS_DENSE)
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::new(refused.to_string())
    }
}

impl Reconciler {
    /// Begins a rollout, or tells one that is under way something.
    pub(super) fn wish_of_rollout(
        &mut self,
        name: &ModelName,
        wish: &RolloutWish,
        by: &str,
        now: Instant,
    ) -> Result<Vec<String>, Refusal> {
        if let RolloutWish::Start(spec) = wish {
            self.begin_rollout(name, spec, by)?;
        }
        let told = self.turn(name, &wish.event(), by, now);
        if let (Err(_), RolloutWish::Start(_)) = (&told, wish)
            && let Some(tracked) = self.models.get_mut(name)
        {
            // Nothing of it is written.
            tracked.rollout = None;
            tracked.model.rollout = None;
        }
        told
    }

    /// Lets a rollout be under way that has not begun: nothing of it is written, and nobody is exposed.
    fn begin_rollout(&mut self, name: &ModelName, spec: &Spec, by: &str) -> Result<(), Refusal> {
        let id = self.journal.next_rollout()?;
        let Some(tracked) = self.models.get_mut(name) else { return Err(gone(name)) };
        let frozen = tracked.frozen(id, spec)?;
        let signature = tracked.promised_signature().ok_or_else(|| gone(name))?;
        let rollout = Rollout::new(id, spec.clone(), frozen, self::now());
        let alarm = alarm(&self.sender, name);
        let recorder = Arc::new(Recorder::new(id, spec, &rollout.frozen, signature, &[], alarm));
        self.labels.lead(name, recorder.clone());
        self.late.remove(name);
        // It may have been a shadow before: what it answered then is not of this rollout.
        let primary = tracked.model.committed.default;
        let totals = primary.and_then(|primary| self.shadowed.totals(name, primary, spec.candidate));
        tracked.take_up(rollout, 0, recorder, totals.unwrap_or_default());
        tracing::info!(model = %name, version = spec.candidate.get(), rollout = id, by, "a rollout begins");
        Ok(())
    }

    /// Lets what happened to a rollout count, in the order that it calls for. Gives what changed, a line each.
    pub(super) fn turn(
        &mut self,
        name: &ModelName,
        event: &Event,
        by: &str,
        now: Instant,
    ) -> Result<Vec<String>, Refusal> {
        let Some(tracked) = self.models.get(name) else { return Err(gone(name)) };
        let Some(under_way) = &tracked.rollout else { return Err(gone(name)) };
        let at = self::now();
        let before = &under_way.rollout;
        let taken = transition(before, event, at)?;
        if under_way.records >= RECORDS_MAX && !taken.change.rollout().phase.is_over() {
            return Err(Refusal::new(format!(
                "rollout {} has {RECORDS_MAX} records, which is the most; `pointsman rollout abort {name}` or `pointsman \
                 rollout promote {name}` ends it",
                before.id
            )));
        }
        let record = Record::new(under_way.records + 1, at, by, event.clone(), &taken);
        let created = (under_way.records == 0).then(|| before.clone());
        let rollout = taken.change.rollout().clone();
        let committed = after(&tracked.model, event, &rollout, by)?;
        let lines: Vec<String> = taken.notice.iter().map(|notice| told(&rollout, notice)).collect();
        let entry = taken.notice.as_ref().map(|_| Entry {
            what: What::Rollout,
            model: Some(name.clone()),
            version: Some(rollout.spec.candidate),
            from: tracked.model.committed.default,
            by: by.into(),
            why: lines.join("; "),
            took: Some(now.elapsed()),
            at: SystemTime::now(),
        });
        let is_look = matches!(event, Event::Looked(_));
        let units = if is_look { under_way.kept.units.clone() } else { Vec::new() };
        let step = Step { created, rollout, record, units };
        match taken.change {
            Change::Keep(_) | Change::Raise { .. } => {
                self.raise_step(&step, committed.as_ref(), entry.as_ref())?;
                self.stand(name, step, committed, now);
            }
            Change::Lower { .. } => {
                self.stand(name, step.clone(), committed, now);
                self.lowered_step(step, entry.clone());
            }
        }
        if let Some(notice) = &taken.notice {
            self.metrics.rollouts().stands(name, notice.to);
            tracing::info!(model = %name, rollout = notice.rollout, by, "{}", lines.join("; "));
            self.follow_on(name, notice);
        }
        Ok(lines)
    }

    /// Lets a rollout stand as a step says, and what is committed with it count.
    fn stand(&mut self, name: &ModelName, step: Step, committed: Option<Committed>, now: Instant) {
        let Some(tracked) = self.models.get_mut(name) else { return };
        let Step { rollout, record, .. } = step;
        tracked.changed = true;
        tracked.model.rollout = (!rollout.phase.is_over()).then(|| Standing::of(&rollout));
        if let Some(under_way) = &mut tracked.rollout {
            under_way.records = record.number;
            under_way.rollout = rollout;
            if matches!(record.event, Event::Looked(_)) {
                under_way.kept = Seen::default();
            }
        }
        if let Some(committed) = committed {
            self.apply(name, committed, now);
        }
        self.publish();
    }

    /// Tells who wants to know, and lets a rollout follow that waited for the end of this one.
    fn follow_on(&mut self, name: &ModelName, notice: &Notice) {
        let Some(tracked) = self.models.get_mut(name) else { return };
        let Some(under_way) = &tracked.rollout else { return };
        let Rollout { id, spec, phase, .. } = &under_way.rollout;
        if let Some(address) = &spec.webhook {
            (self.notify)(address, notice);
        }
        if !phase.is_over() {
            return;
        }
        if *phase == Phase::Promoted {
            self.late.insert(name.clone(), Late::of(under_way));
        }
        let next = under_way.rollout.follows().map(|candidate| Spec { candidate, ..spec.clone() });
        let by = format!("rollout {id}");
        tracked.rollout = None;
        if let Some(spec) = next {
            self.wish_of_the_gateway(name, Wish::Rollout(RolloutWish::Start(Box::new(spec))), by);
        }
    }

    /// Looks at a rollout where it is time to, or where something does not wait; says whether it stands otherwise
    /// since.
    pub(super) fn look_at_rollout(&mut self, name: &ModelName, now: Instant) -> bool {
        let every = self.policy.rollout_look;
        let Some(tracked) = self.models.get_mut(name) else { return false };
        let Some(under_way) = &tracked.rollout else { return false };
        // It begins again once both are there. What cannot be written is tried again, and what does harm is taken back
        // meanwhile, whatever becomes of the journal.
        let is_there = [tracked.model.committed.default, Some(under_way.rollout.spec.candidate)]
            .into_iter()
            .flatten()
            .all(|version| tracked.model.ready(version).is_some());
        if under_way.resumes && is_there && under_way.may_write(now) {
            let resumed = self.turn(name, &Event::Restarted, "gateway", now).is_ok();
            if let Some(under_way) = self.models.get_mut(name).and_then(|tracked| tracked.rollout.as_mut()) {
                under_way.resumes = !resumed;
                under_way.waits_until = (!resumed).then_some(now + WRITE_RETRY);
            }
            return resumed;
        }
        let Some(tracked) = self.models.get_mut(name) else { return false };
        let Some(under_way) = &tracked.rollout else { return false };
        if let Some((event, by)) = disturbed(&tracked.model, &under_way.rollout)
            && self.turn(name, &event, &by, now).is_ok()
        {
            return true;
        }
        let Some(tracked) = self.models.get(name) else { return false };
        let Some(under_way) = &tracked.rollout else { return false };
        if let Some(version) = arrived_since(&tracked.model, &under_way.rollout) {
            let standing = tracked.model.rollout.clone();
            let told = self.turn(name, &Event::NewVersion(version), "registry", now);
            if told.is_ok() && self.models.get(name).is_some_and(|tracked| tracked.model.rollout != standing)
            {
                return true;
            }
        }
        let Some(tracked) = self.models.get_mut(name) else { return false };
        let Some(under_way) = &tracked.rollout else { return false };
        let is_due = under_way.next_look(every) <= now || tracked.alarmed || tracked.cannot_load();
        if !std::mem::take(&mut tracked.alarmed) && !is_due {
            return false;
        }
        self.look(name, now)
    }

    fn look(&mut self, name: &ModelName, now: Instant) -> bool {
        let totals = self.shadow_totals(name);
        let Some(tracked) = self.models.get_mut(name) else { return false };
        let cannot_load = tracked.cannot_load();
        let panics = tracked.rollout.as_ref().and_then(|it| tracked.panics(it.rollout.spec.candidate));
        let Some(under_way) = &mut tracked.rollout else { return false };
        under_way.looked_at = now;
        under_way.see(totals, panics, cannot_load);
        let looks = under_way.kept.looks.clone();
        let was = under_way.rollout.exposure;
        let event = Event::Looked(looks);
        if event == Event::Looked(Vec::new()) && !under_way.would_move(&event) {
            // Only time went by, and nothing comes of it: that can be computed again without being written.
            return false;
        }
        if (under_way.resumes || !under_way.may_write(now)) && !under_way.would_end(&event) {
            // What was seen is kept.
            return false;
        }
        match self.turn(name, &event, "evidence", now) {
            Ok(_) => {
                let tracked = self.models.get(name).and_then(|tracked| tracked.rollout.as_ref());
                tracked.is_none_or(|under_way| under_way.rollout.exposure != was)
            }
            Err(refusal) => {
                // What was seen is kept, and looked at again.
                tracing::warn!(model = %name, "a rollout is held up: {}", refusal.reason);
                if let Some(under_way) = self.models.get_mut(name).and_then(|it| it.rollout.as_mut()) {
                    under_way.waits_until = Some(now + WRITE_RETRY);
                }
                false
            }
        }
    }

    /// What shadows have answered of a rollout that is at a shadow's stage.
    fn shadow_totals(&self, name: &ModelName) -> Option<ShadowTotals> {
        let tracked = self.models.get(name)?;
        let under_way = tracked.rollout.as_ref()?;
        if !matches!(under_way.rollout.exposure, Exposure::Shadow(_)) {
            return None;
        }
        let primary = tracked.model.committed.default?;
        self.shadowed.totals(name, primary, under_way.rollout.spec.candidate)
    }

    /// When a rollout is to be looked at next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let every = self.policy.rollout_look;
        let under_way = self.models.values().filter_map(|tracked| tracked.rollout.as_ref());
        under_way.fold(None, |next, under_way| earlier(next, Some(under_way.next_look(every))))
    }

    /// A request of the candidate ended so that it may not wait for the next look.
    pub(super) fn alarmed(&mut self, name: &ModelName) {
        let Some(tracked) = self.models.get_mut(name) else { return };
        let Some(under_way) = &tracked.rollout else { return };
        let panics = tracked.panics(under_way.rollout.spec.candidate).unwrap_or(under_way.panics);
        let Rollout { spec, evidence, .. } = &under_way.rollout;
        let limits = &spec.limits;
        let kept: u64 = under_way.kept.looks.iter().map(|look| look.hard.primary_invalid).sum();
        let both_invalid = evidence.hard.primary_invalid.saturating_add(kept) > 0;
        tracked.alarmed = under_way.recorder.is_past(limits, both_invalid)
            || panics.saturating_sub(under_way.panics) >= limits.panics;
    }
}

impl UnderWay {
    /// Adds what was seen since the last look to what is kept.
    fn see(&mut self, shadow: Option<ShadowTotals>, panics: Option<u64>, cannot_load: bool) {
        let Seen { mut looks, mut units } = self.recorder.take();
        let stage = self.rollout.place.stage;
        if let Some(all) = shadow {
            let look = all.since(&self.shadowed).look(stage, &mut self.shadow_row);
            looks.extend(look);
            self.shadowed = all;
        }
        let panicked = panics.map_or(0, |all| all.saturating_sub(self.panics));
        self.panics = panics.unwrap_or(self.panics);
        if panicked > 0 || cannot_load {
            let hard = Hard { panics: panicked, cannot_load, ..Hard::default() };
            looks.push(Look { stage, hard, ..Look::default() });
        }
        for look in looks {
            match self.kept.looks.iter_mut().find(|kept| kept.stage == look.stage) {
                Some(kept) => kept.add(&look),
                None => self.kept.looks.push(look),
            }
        }
        self.kept.units.append(&mut units);
        self.kept.compact();
    }

    fn may_write(&self, now: Instant) -> bool {
        self.waits_until.is_none_or(|until| until <= now)
    }

    /// Whether an event would take the candidate back, which does not wait for the journal.
    fn would_end(&self, event: &Event) -> bool {
        let taken = transition(&self.rollout, event, now());
        taken.is_ok_and(|taken| matches!(taken.change, Change::Lower { .. }))
    }

    /// Whether it would stand otherwise after an event.
    fn would_move(&self, event: &Event) -> bool {
        transition(&self.rollout, event, now()).is_ok_and(|taken| taken.notice.is_some())
    }
}

impl Tracked {
    /// What is fixed as a rollout begins.
    fn frozen(&self, id: u64, spec: &Spec) -> Result<Frozen, Refusal> {
        let default = self.model.committed.default.and_then(|default| self.versions.get(&default));
        let default =
            default.ok_or_else(|| Refusal::new("no version serves from which one could take over"))?;
        let units: Vec<String> = spec.units.iter().map(ToString::to_string).collect();
        let newest = self.model.found.keys().next_back().copied();
        Ok(Frozen {
            contents: contents(&self.model, spec.candidate),
            counted: spec.units.first().map_or(Counted::Requests, |unit| unit.kind().into()),
            unit: if units.is_empty() { "request_id".into() } else { units.join(", ") },
            salt: Standing::salt(&spec.model, id),
            slow_us: slow(spec, default)?,
            classes: Classes::of(default.signature()).map_or(0, |classes| classes.count()),
            newest: newest.unwrap_or(spec.candidate),
        })
    }

    /// What callers that name no version are promised.
    pub(super) fn promised_signature(&self) -> Option<Arc<Signature>> {
        self.model.promised(self.model.committed.default?).cloned()
    }

    /// Lets a rollout be under way.
    pub(super) fn take_up(
        &mut self,
        rollout: Rollout,
        records: u64,
        recorder: Arc<Recorder>,
        shadowed: ShadowTotals,
    ) {
        let panics = self.panics(rollout.spec.candidate).unwrap_or(0);
        self.model.rollout = Some(Standing::of(&rollout));
        self.rollout = Some(UnderWay {
            rollout,
            records,
            recorder,
            kept: Seen::default(),
            looked_at: Instant::now(),
            shadowed,
            shadow_row: 0,
            panics,
            resumes: records > 0,
            waits_until: None,
        });
        self.changed = true;
    }

    /// How often the candidate has panicked; nothing where it is not loaded.
    fn panics(&self, candidate: VersionNumber) -> Option<u64> {
        self.versions.get(&candidate).map(|version| version.record().statistics().panics())
    }

    /// Whether the candidate is not there, and is not about to come.
    fn cannot_load(&self) -> bool {
        let candidate = self.model.rollout.as_ref().map(|standing| standing.candidate);
        self.usable && candidate.is_some_and(|candidate| cannot_load(&self.model, candidate))
    }
}

/// Wakes the thread of the control path where a rollout may not wait for its next look.
pub(super) fn alarm(sender: &Sender<crate::event::Event>, name: &ModelName) -> Box<dyn Fn() + Send + Sync> {
    let (sender, name) = (sender.clone(), name.clone());
    // An error means that the gateway is stopping.
    Box::new(move || drop(sender.send(crate::event::Event::Alarmed(name.clone()))))
}

/// The thresholds of latencies, in microseconds.
fn slow(spec: &Spec, primary: &pointsman_predict::Version) -> Result<[u64; 3], Refusal> {
    let is_asked = spec.guard(Question::Latency).is_some()
        && spec.stages.iter().any(|stage| matches!(stage.exposure, Exposure::Canary(_)));
    let lately = primary.record().statistics().recent.read();
    let answers = lately.map_or(0, |lately| lately.answers);
    let objective = spec.latency_objective_us();
    match lately.filter(|_| answers >= ANSWERS_MIN) {
        Some(lately) => Ok(thresholds(objective, lately.quantiles_us)),
        None if spec.latency_objective.is_some() => Ok([objective; 3]),
        None if !is_asked => Ok([u64::MAX; 3]),
        None => Err(Refusal::new(format!(
            "version {} has answered {answers} requests since the gateway started, and thresholds of latency are taken \
             from {ANSWERS_MIN}: send it some, say how long an answer may take (--latency-objective 50ms), or give \
             guards without latency (--guard errors --guard invalid)",
            primary.spec().number
        ))),
    }
}

fn gone(name: &ModelName) -> Refusal {
    let reason = format!("no rollout of model '{name}' is under way; `pointsman rollout start` begins one");
    Refusal { code: Code::Refused, reason }
}

/// A transition in words.
fn told(rollout: &Rollout, notice: &Notice) -> String {
    let (phase, exposure) = notice.to;
    let (id, version) = (rollout.id, rollout.spec.candidate);
    let event = &notice.event;
    match phase {
        Phase::Promoted => format!("rollout {id}: version {version} answers everybody ({event})"),
        Phase::RolledBack(cause) => {
            format!(
                "rollout {id}: version {version} was rolled back from {}: {}",
                notice.from.1,
                cause.words()
            )
        }
        Phase::Aborted => format!("rollout {id}: version {version} was taken back from {}", notice.from.1),
        Phase::Superseded(by) => format!("rollout {id}: version {version} gives way to version {by}"),
        Phase::Paused => format!("rollout {id}: held at {exposure}"),
        Phase::Asking => format!("rollout {id}: past its deadline at {exposure}; somebody is to say"),
        Phase::Created | Phase::Running => {
            format!("rollout {id}: version {version} goes from {} to {exposure} ({event})", notice.from.1)
        }
    }
}
