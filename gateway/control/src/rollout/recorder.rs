//! What becomes of the requests of a rollout, counted as they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use pointsman_core::{Arm as Drawn, Blame, Classes, Code, Elements, OutputTensor, Signature};
use pointsman_predict::{Ended, Witness};
use pointsman_route::{Share, UnitKind};

use super::duels::{Duels, Worse};
use super::evidence::{Arm, Counts, Frozen, Hard, Hits, Look, SLOW};
use super::labelled::LabelledRequest;
use super::ranks::Ranks;
use super::spec::{Exposure, Limits, Spec};
use super::standing::Standing;
use super::units::{Marks, Units};

/// The most units of a rollout that are told from each other. Past it half of them is left out.
pub(super) const UNITS_MAX: usize = 1 << 20;
/// The most elements of an output that are looked at, one after the other on the thread of a request.
const ELEMENTS_MAX: usize = 1 << 18;
/// Locks among which units are divided, so that hardly two requests want the same one.
const SHARDS: usize = 16;

/// Counts requests of one rollout. What it is told comes on threads of requests, which hold one of its locks for well
/// under a microsecond, but for the few moments at which a table of units grows or is halved; nobody else holds one for
/// longer than it takes to add some numbers.
pub(crate) struct Recorder {
    experiment: String,
    /// The candidate's share at each stage with a canary.
    shares: Vec<(Share, usize)>,
    slow_us: [u64; SLOW],
    classes: Option<Classes>,
    /// What outputs should be.
    signature: Arc<Signature>,
    shards: Box<[Mutex<Shard>]>,
    /// Labelled examples of each stage that wait for one to be ranked with: those of the primary, then of the candidate.
    ranks: Mutex<Vec<[Ranks; 2]>>,
    /// Of numbers: those that wait for one of the other version.
    duels: Mutex<Vec<Duels>>,
    /// Errors of the candidate since its last answer.
    row: AtomicU64,
    /// The most of them since the last look.
    row_max: AtomicU64,
    /// Is called where something may have happened that does not wait for the next look.
    alarm: Box<dyn Fn() + Send + Sync>,
    /// It was, and nobody has looked yet.
    alarmed: AtomicBool,
    limits: Limits,
}

struct Shard {
    units: Units,
    /// Of each stage, since the last look.
    counts: Vec<Counts>,
    invalid: u64,
    primary_invalid: u64,
}

/// What was seen since the last look.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// A look for each stage of which something came.
    pub(crate) looks: Vec<Look>,
    /// Units of which something was seen for the first time, as they are written down.
    pub(crate) units: Vec<u8>,
}

/// How a request ended, as it counts.
#[derive(Clone, Copy, Default)]
struct Ending {
    failed: bool,
    /// What it is to errors in a row.
    row: Row,
    invalid: bool,
    slow: [bool; SLOW],
    class: Option<usize>,
}

impl Ending {
    fn failed() -> Self {
        Self { failed: true, slow: [true; SLOW], ..Self::default() }
    }
}

/// What the end of a request is to errors in a row.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Row {
    /// An answer: no row goes on.
    Ends,
    /// One more.
    Grows,
    /// Nothing: it comes of load, or of a caller who left.
    #[default]
    Stays,
}

impl Seen {
    /// Forgets what was written down of a unit before its last marks, where that has become long: the journal may not take it
    /// for hours.
    pub(crate) fn compact(&mut self) {
        if self.units.len() > 2 * UNITS_MAX * Units::WRITTEN {
            let all = Units::read(&self.units).collect();
            self.units.clear();
            Units::write(all, &mut self.units);
        }
    }
}

impl Recorder {
    /// Of a rollout, with the units that it knows from before a restart. `signature` is what its versions give; `alarm` is
    /// called, on threads of requests, where one of the limits may have been reached.
    pub(crate) fn new(
        id: u64,
        spec: &Spec,
        frozen: &Frozen,
        signature: Arc<Signature>,
        units: &[u8],
        alarm: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let share = |(stage, at): (usize, Exposure)| match at {
            Exposure::Canary(share) => Some((share, stage)),
            Exposure::None | Exposure::Shadow(_) | Exposure::All => None,
        };
        let stages = spec.stages.iter().map(|stage| stage.exposure).enumerate();
        let shard = || Shard {
            units: Units::new(UNITS_MAX / SHARDS),
            counts: vec![Counts::default(); spec.stages.len()],
            invalid: 0,
            primary_invalid: 0,
        };
        let recorder = Self {
            experiment: Standing::experiment(id),
            shares: stages.filter_map(share).collect(),
            slow_us: frozen.slow_us,
            classes: Classes::of(&signature),
            signature,
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            ranks: Mutex::new(spec.stages.iter().map(|_| Default::default()).collect()),
            duels: Mutex::new(spec.stages.iter().map(|_| Duels::default()).collect()),
            row: AtomicU64::new(0),
            row_max: AtomicU64::new(0),
            alarm,
            alarmed: AtomicBool::new(false),
            limits: spec.limits,
        };
        for (unit, marks) in Units::read(units) {
            recorder.shard(unit).lock().units.know(unit, marks);
        }
        recorder
    }

    /// Whether one of the limits that need no statistics is reached since the last look; `both_invalid` where the version
    /// that serves has given outputs before that are not finite. Alarms are given again from here on.
    pub(crate) fn is_past(&self, limits: &Limits, both_invalid: bool) -> bool {
        self.alarmed.store(false, Ordering::Relaxed);
        if self.row_max.load(Ordering::Relaxed) >= limits.errors_in_a_row {
            return true;
        }
        let sum = |of: fn(&Shard) -> u64| self.shards.iter().map(|shard| of(&shard.lock())).sum::<u64>();
        !both_invalid
            && sum(|shard| shard.invalid) >= limits.invalid
            && sum(|shard| shard.primary_invalid) == 0
    }

    /// Takes what was seen since the last time.
    pub(crate) fn take(&self) -> Seen {
        let mut seen = Seen::default();
        let mut hard = Hard { errors_in_a_row: self.row_max.swap(0, Ordering::Relaxed), ..Hard::default() };
        let mut counts: Vec<Counts> = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            counts.resize(shard.counts.len(), Counts::default());
            for (sum, of_shard) in counts.iter_mut().zip(&mut shard.counts) {
                sum.add(&std::mem::take(of_shard));
            }
            hard.invalid += std::mem::take(&mut shard.invalid);
            hard.primary_invalid += std::mem::take(&mut shard.primary_invalid);
            let changed = shard.units.take_changed();
            drop(shard);
            Units::write(changed, &mut seen.units);
        }
        let came = counts.into_iter().enumerate().filter(|(_, counts)| *counts != Counts::default());
        seen.looks = came.map(|(stage, counts)| Look { stage, counts, ..Look::default() }).collect();
        // A row that goes on goes on counting.
        self.row_max.fetch_max(self.row.load(Ordering::Relaxed), Ordering::Relaxed);
        if let Some(last) = seen.looks.last_mut() {
            last.hard = hard;
        }
        seen
    }

    /// The stage at which a unit was assigned with this probability of its arm.
    fn stage(&self, weight: Share, is_candidate: bool) -> Option<usize> {
        let share = if is_candidate { weight } else { weight.rest() };
        self.shares.iter().find(|(of, _)| *of == share).map(|(_, stage)| *stage)
    }

    /// A label of a request has come; says whether it was one of this rollout. It counts at the stage whose weight
    /// assigned the request, whatever stage it is now, and once for a unit.
    pub(crate) fn labelled(&self, label: &LabelledRequest<'_>) -> bool {
        if label.experiment != self.experiment {
            return false;
        }
        let Some(stage) = self.stage(label.weight, label.is_candidate) else { return false };
        let mut shard = self.shard(label.unit).lock();
        let Some(is_first) = shard.label(stage, label) else { return true };
        drop(shard);
        if let Some(off) = label.off.filter(|_| is_first) {
            self.fight(stage, label, off);
        }
        let Some((score, happened)) = label.score.filter(|_| is_first) else { return true };
        let coin = label.unit.count_ones().is_multiple_of(2);
        let disorder = self
            .ranks
            .lock()
            .get_mut(stage)
            .and_then(|ranks| ranks[usize::from(label.is_candidate)].push(score, happened, coin));
        if disorder == Some(true) {
            let mut shard = self.shard(label.unit).lock();
            if let Some(counts) = shard.counts.get_mut(stage) {
                counts.arm_mut(label.is_candidate).misranked.count();
            }
        }
        true
    }

    /// Holds by how much an answer is off against an example of the other version.
    fn fight(&self, stage: usize, label: &LabelledRequest<'_>, off: f64) {
        let coin = label.unit.count_ones().is_multiple_of(2);
        let Some(decided) =
            self.duels.lock().get_mut(stage).map(|duels| duels.push(off, label.is_candidate, coin))
        else {
            return;
        };
        let mut shard = self.shard(label.unit).lock();
        let Some(counts) = shard.counts.get_mut(stage) else { return };
        for (at, who) in [decided.pair, decided.bout].into_iter().enumerate() {
            if let Some(who) = who {
                counts.arm_mut(who == Worse::Candidate).off[at].count();
            }
        }
    }

    fn shard(&self, unit: u64) -> &Mutex<Shard> {
        // The highest bits: those that are left out are the lowest.
        &self.shards[(unit >> 60) as usize % SHARDS]
    }

    fn ending(&self, ended: &Ended<'_>) -> Option<Ending> {
        let micros = u64::try_from(ended.total.as_micros()).unwrap_or(u64::MAX);
        let over = self.slow_us.map(|slow| micros > slow);
        match ended.outputs {
            Ok(outputs) => Some(Ending {
                failed: false,
                row: Row::Ends,
                invalid: self.is_invalid(outputs),
                slow: over,
                class: self.classes.as_ref().and_then(|classes| classes.predicted(outputs, 0)),
            }),
            Err(code) => match code.blame() {
                // What never came is over every threshold.
                Blame::Version => Some(Ending { row: Row::Grows, ..Ending::failed() }),
                Blame::Load => Some(Ending::failed()),
                Blame::Left => Some(Ending { slow: over, ..Ending::default() }),
                Blame::Gateway | Blame::Caller => None,
            },
        }
    }

    fn is_invalid(&self, outputs: &[OutputTensor]) -> bool {
        let specs = &self.signature.outputs;
        let is_other = |output: &OutputTensor| {
            let spec = specs.iter().find(|spec| spec.name == output.name);
            spec.is_none_or(|spec| spec.datatype != output.tensor.datatype())
        };
        let is_finite = |output: &OutputTensor| {
            Elements::of(&output.tensor).is_none_or(|elements| elements.are_finite_within(ELEMENTS_MAX))
        };
        outputs.iter().any(|output| is_other(output) || !is_finite(output))
    }

    /// Counts errors in a row; gives how many they are.
    fn count_row(&self, ending: Ending) -> u64 {
        match ending.row {
            Row::Stays => 0,
            Row::Ends => {
                self.row.store(0, Ordering::Relaxed);
                0
            }
            Row::Grows => {
                let row = self.row.fetch_add(1, Ordering::Relaxed) + 1;
                self.row_max.fetch_max(row, Ordering::Relaxed);
                row
            }
        }
    }
}

impl Witness for Recorder {
    fn ended(&self, ended: &Ended<'_>) {
        let assignment = ended.assignment;
        if *assignment.experiment != *self.experiment {
            return;
        }
        let is_candidate = matches!(ended.arm, Drawn::Named(_));
        // The stage is the one whose weight assigned it, whatever stage it is now.
        let Some(stage) = self.stage(assignment.weight, is_candidate) else { return };
        let ending = self.ending(ended);
        let row = ending.filter(|_| is_candidate).map_or(0, |ending| self.count_row(ending));
        let is_unit = assignment.unit_kind != UnitKind::RequestId;
        let mut shard = self.shard(assignment.unit).lock();
        shard.count(stage, is_candidate, is_unit.then_some(assignment.unit), ending);
        drop(shard);
        let alarms = is_candidate
            && (row >= self.limits.errors_in_a_row
                || ending.is_some_and(|ending| ending.invalid)
                || matches!(ended.outputs, Err(Code::SessionFailed)))
            && !self.alarmed.swap(true, Ordering::Relaxed);
        if alarms {
            (self.alarm)();
        }
    }
}

impl Shard {
    /// Counts a request. One without a unit is a unit of its own.
    fn count(&mut self, stage: usize, is_candidate: bool, unit: Option<u64>, ending: Option<Ending>) {
        if unit.is_some_and(|unit| !self.units.count(unit)) {
            return;
        }
        let mut marks = Marks::default();
        if let Some(ending) = ending {
            let holds = [
                (true, Marks::SEEN),
                (ending.failed, Marks::ERRED),
                (ending.invalid, Marks::INVALID),
                (ending.class.is_some(), Marks::CLASSED),
                (ending.slow[0], Marks::slow(0)),
                (ending.slow[1], Marks::slow(1)),
                (ending.slow[2], Marks::slow(2)),
            ];
            marks = holds.into_iter().filter(|(holds, _)| *holds).fold(marks, |all, (_, mark)| all.and(mark));
        }
        let written = if is_candidate { marks.and(marks.of_candidate()) } else { marks };
        let (before, assigned_at) =
            unit.map_or((Marks::default(), None), |unit| self.units.mark(unit, written, stage));
        let Some(counts) = self.counts.get_mut(stage) else { return };
        let (arm, assigned) = if is_candidate {
            (&mut counts.canary, &mut counts.assigned.canary)
        } else {
            (&mut counts.primary, &mut counts.assigned.primary)
        };
        *assigned += u64::from(assigned_at != Some(stage));
        let Some(ending) = ending else { return };
        let hit = |hits: &mut Hits, mark: Marks| {
            hits.requests += 1;
            hits.units += u64::from(!before.has(mark));
            let is_own_first =
                if is_candidate { !before.has(mark.of_candidate()) } else { !before.has(mark) };
            hits.own_units += u64::from(is_own_first);
        };
        arm.hit(ending, hit);
        if ending.invalid {
            *(if is_candidate { &mut self.invalid } else { &mut self.primary_invalid }) += 1;
        }
    }
}

impl Shard {
    /// Counts a label. Says whether it is the first of its unit; nothing where the unit is left out.
    fn label(&mut self, stage: usize, label: &LabelledRequest<'_>) -> Option<bool> {
        let unit = (!label.is_request).then_some(label.unit);
        if unit.is_some_and(|unit| !self.units.count(unit)) {
            return None;
        }
        let marks = if label.wrong { Marks::LABELLED.and(Marks::WRONG) } else { Marks::LABELLED };
        let written = if label.is_candidate { marks.and(marks.of_candidate()) } else { marks };
        let before = unit.map_or(Marks::default(), |unit| self.units.learn(unit, written));
        let arm = self.counts.get_mut(stage)?.arm_mut(label.is_candidate);
        let hit = |hits: &mut Hits, mark: Marks| {
            let own = if label.is_candidate { mark.of_candidate() } else { mark };
            hits.requests += 1;
            hits.units += u64::from(!before.has(mark));
            hits.own_units += u64::from(!before.has(own));
        };
        hit(&mut arm.labelled, Marks::LABELLED);
        if label.wrong {
            hit(&mut arm.wrong, Marks::WRONG);
        }
        Some(!before.has(Marks::LABELLED))
    }
}

impl Counts {
    fn arm_mut(&mut self, is_candidate: bool) -> &mut Arm {
        if is_candidate { &mut self.canary } else { &mut self.primary }
    }
}

impl Arm {
    fn hit(&mut self, ending: Ending, hit: impl Fn(&mut Hits, Marks)) {
        hit(&mut self.seen, Marks::SEEN);
        if ending.failed {
            hit(&mut self.errors, Marks::ERRED);
        }
        if ending.invalid {
            hit(&mut self.invalid, Marks::INVALID);
        }
        for (at, hits) in self.slow.iter_mut().enumerate().filter(|(at, _)| ending.slow[*at]) {
            hit(hits, Marks::slow(at));
        }
        if let Some(class) = ending.class {
            let class = class.min(super::evidence::CLASSES_MAX - 1);
            if self.classes.len() <= class {
                self.classes.resize(class + 1, Hits::default());
            }
            hit(&mut self.classes[class], Marks::CLASSED);
        }
    }
}

#[cfg(test)]
mod tests;
