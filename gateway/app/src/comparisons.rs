//! The comparisons of shadows with the versions that they run beside: one for each pair of versions, kept after the
//! shadow has ended.
//!
//! Who may wait for whom: a shadow's thread is of the lowest class and may be held up at any place. It takes the lock of
//! its own comparison, for which nobody waits but readers on threads of their own. The list is for the control thread and
//! for readers, and no shadow's thread ever takes its lock; [`Comparisons::totals`] waits for nobody.

mod entry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use pointsman_control::Observers;
use pointsman_control::rollout::{ShadowEvidence, ShadowTotals};
use pointsman_core::{InputTensor, LoadTenth, ModelName, Pair, RequestId, ShadowDrop, VersionNumber};
use pointsman_observe::{
    Comparison, CostReport, Pairing, Report, RequestsReport, RunReport, Settings, Totals,
};
use pointsman_predict::{Accounting, Cost, Latency, Observer, Shadow, Tee, Version, VersionSpec};
use pointsman_stats::Alpha;

use self::entry::Entry;
use crate::labels::Labels;
use crate::monitoring::ShadowWatcher;
use crate::monitoring::sample_log::Answers;

/// The most comparisons that are kept. The one that was touched longest ago goes first, of those whose shadows have
/// ended where there is one.
pub(crate) const COMPARISONS_MAX: usize = 64;

/// All comparisons.
pub(crate) struct Comparisons {
    settings: BTreeMap<ModelName, Settings>,
    /// Who keeps what shadows answered for labels that come later.
    labels: Option<Arc<Labels>>,
    /// Where what shadows answer is left for the sample log.
    answers: Option<Arc<Answers>>,
    since: Instant,
    kept: Mutex<Vec<Kept>>,
}

/// One, with what it is of.
#[derive(Clone)]
struct Kept {
    pairing: Pairing,
    /// What primary and shadow are: a number can be written over.
    digests: [String; 2],
    entry: Arc<Entry>,
    /// What shadows cost the primary, where they have ended.
    cost: Option<Cost>,
}

/// A comparison holds the lock of one whose shadow is held up in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// What was asked in an example.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The model.
    pub(crate) model: ModelName,
    /// The inputs.
    pub(crate) inputs: Arc<[InputTensor]>,
    /// What answers of the model are held to.
    pub(crate) settings: Settings,
}

impl ShadowEvidence for Comparisons {
    fn totals(
        &self,
        model: &ModelName,
        primary: VersionNumber,
        shadow: VersionNumber,
    ) -> Option<ShadowTotals> {
        let all = Self::totals(self, model, primary, shadow)?;
        Some(ShadowTotals {
            pairs: all.pairs,
            both: all.answered,
            disagreed: all.disagreed,
            errors: all.shadow_errors,
            primary_errors: all.primary_errors,
            invalid: all.shadow_invalid,
            primary_invalid: all.primary_invalid,
            floor_pairs: all.floor_pairs,
            floor_disagreed: all.floor_disagreed,
        })
    }
}

impl Comparisons {
    /// None yet. Answers of models that `settings` do not name are held to the defaults. Where there is a sample log, what
    /// shadows answer is left for it in `answers`.
    #[must_use]
    pub(crate) fn new(
        settings: BTreeMap<ModelName, Settings>,
        labels: Option<Arc<Labels>>,
        answers: Option<Arc<Answers>>,
    ) -> Arc<Self> {
        Arc::new(Self { settings, labels, answers, since: Instant::now(), kept: Mutex::default() })
    }

    /// What is compared, that which was touched last first, with what was counted.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<(Pairing, Totals)> {
        let pairings = self.newest(|_| true).into_iter().map(|kept| kept.pairing);
        let totals = |of: &Pairing| self.totals(&of.model, of.primary, of.shadow);
        pairings.filter_map(|pairing| Some((pairing.clone(), totals(&pairing)?))).collect()
    }

    /// What was counted of a shadow so far; nothing where it is not compared. It begins again from nothing where one of
    /// the versions was written over, or where others took the comparison's place meanwhile. Waits for nobody.
    #[must_use]
    pub(crate) fn totals(
        &self,
        model: &ModelName,
        primary: VersionNumber,
        shadow: VersionNumber,
    ) -> Option<Totals> {
        let kept = self.kept.lock();
        let is_it = |kept: &&Kept| {
            (&kept.pairing.model, kept.pairing.primary, kept.pairing.shadow) == (model, primary, shadow)
        };
        kept.iter().find(is_it).map(|kept| kept.entry.totals())
    }

    /// The reports of a model's comparisons that `wanted` picks, with how their shadows run beside `tee`. May wait for
    /// shadows' threads.
    ///
    /// # Errors
    /// [`Busy`] where one is held up for too long.
    pub(crate) fn reports(
        &self,
        wanted: impl Fn(&Pairing) -> bool,
        tee: Option<&Tee>,
        alpha: Alpha,
    ) -> Result<Vec<Report>, Busy> {
        let report = |kept: Kept| {
            let mut comparison = kept.entry.copy()?;
            let shadows = tee.map(|tee| kept.running(tee)).unwrap_or_default();
            shadows.iter().for_each(|(accounting, _)| drop_into(&mut comparison, accounting));
            let cost = tee.filter(|_| !shadows.is_empty()).map(Tee::cost).or(kept.cost);
            let sum = |of: fn(&Accounting) -> u64| {
                (!shadows.is_empty()).then(|| shadows.iter().map(|(accounting, _)| of(accounting)).sum())
            };
            let mut report = comparison.report(alpha);
            report.run = Some(RunReport {
                is_running: !shadows.is_empty(),
                is_paused: !shadows.is_empty() && tee.is_some_and(Tee::is_paused),
                is_broken: shadows.iter().any(|(_, is_broken)| *is_broken),
                offered: sum(|accounting| accounting.offered),
                answered: sum(|accounting| accounting.answered),
                waiting: sum(|accounting| accounting.held),
                cost: cost.map(cost_report),
            });
            Ok(report)
        };
        self.newest(wanted).into_iter().map(report).collect()
    }

    /// What was asked in an example of any comparison. May wait for shadows' threads.
    ///
    /// # Errors
    /// [`Busy`] where one is held up for too long; within, the ids of all examples of which that is kept.
    pub(crate) fn inputs(&self, id: RequestId) -> Result<Result<Asked, Vec<RequestId>>, Busy> {
        let mut others = Vec::new();
        for kept in self.newest(|_| true) {
            let asked = kept.entry.read(|comparison| match comparison.inputs(id) {
                Some(inputs) => Ok(inputs.clone()),
                None => Err(comparison.replayable().collect::<Vec<_>>()),
            })?;
            match asked {
                Ok(inputs) => {
                    let settings = self.settings(&kept.pairing.model);
                    return Ok(Ok(Asked { model: kept.pairing.model, inputs, settings }));
                }
                Err(ids) => others.extend(ids),
            }
        }
        Ok(Err(others))
    }

    /// What answers of a model are held to.
    pub(crate) fn settings(&self, model: &ModelName) -> Settings {
        self.settings.get(model).cloned().unwrap_or_default()
    }

    /// Those that are wanted, that which was touched last first.
    fn newest(&self, wanted: impl Fn(&Pairing) -> bool) -> Vec<Kept> {
        let mut kept: Vec<Kept> =
            self.kept.lock().iter().filter(|kept| wanted(&kept.pairing)).cloned().collect();
        kept.sort_by_cached_key(|kept| std::cmp::Reverse(kept.entry.touched()));
        kept
    }
}

impl Kept {
    /// What became of the exchanges of its shadows that run beside `tee`'s version, and whether each is broken.
    fn running(&self, tee: &Tee) -> Vec<(Accounting, bool)> {
        let primary = tee.primary().spec();
        let of = |shadow: &&Arc<Shadow>| self.is_of(primary, shadow.version().spec());
        let shadows = tee.shadows().iter().filter(of);
        shadows.map(|shadow| (shadow.accounting(), shadow.is_broken())).collect()
    }

    fn is_of(&self, primary: &VersionSpec, shadow: &VersionSpec) -> bool {
        let Pairing { model, primary: number, shadow: shadow_number } = &self.pairing;
        (&primary.model, &primary.number, &shadow.number) == (model, number, shadow_number)
            && [&primary.digest, &shadow.digest] == [&self.digests[0], &self.digests[1]]
    }
}

/// Tells a comparison which exchanges have no pair.
fn drop_into(comparison: &mut Comparison, accounting: &Accounting) {
    for (reason, by_load) in ShadowDrop::ALL.into_iter().zip(&accounting.dropped) {
        for (tenth, count) in by_load.iter().enumerate() {
            comparison.dropped(reason, LoadTenth::of(tenth, LoadTenth::COUNT), *count);
        }
    }
}

fn cost_report(cost: Cost) -> CostReport {
    let requests = |Latency { requests, p50, p99 }: Latency| RequestsReport {
        requests,
        p50: p50.as_secs_f64(),
        p99: p99.as_secs_f64(),
    };
    CostReport { on: requests(cost.on), off: requests(cost.off), p99_ratio: cost.p99_ratio() }
}

/// A comparison, and who keeps the shadow's answers for labels.
struct Both {
    entry: Arc<Entry>,
    watcher: ShadowWatcher,
}

impl Observer for Both {
    fn paired(&self, pair: &Pair<'_>) {
        self.watcher.paired(pair);
        self.entry.paired(pair);
    }

    fn ended(&self, accounting: &Accounting) {
        self.entry.ended(accounting);
    }
}

impl Observers for Comparisons {
    fn observer(&self, primary: &Version, shadow: &Version) -> Arc<dyn Observer> {
        let signature = shadow.signature();
        let (primary, shadow) = (primary.spec(), shadow.spec());
        let pairing =
            Pairing { model: primary.model.clone(), primary: primary.number, shadow: shadow.number };
        let entry = self.entry(pairing, [primary.digest.clone(), shadow.digest.clone()]);
        let labels = self.labels.as_ref();
        match labels.and_then(|it| ShadowWatcher::of(it, shadow.model.as_str(), shadow.number, signature)) {
            Some(watcher) => Arc::new(Both { entry, watcher }),
            None => entry,
        }
    }

    fn ended(&self, tee: &Tee) {
        let mut kept = self.kept.lock();
        for kept in kept.iter_mut().filter(|kept| !kept.running(tee).is_empty()) {
            kept.cost = Some(tee.cost());
        }
    }
}

impl Comparisons {
    /// The comparison of these: the one that is kept, or a new one in the place of the one that was touched longest ago.
    fn entry(&self, pairing: Pairing, digests: [String; 2]) -> Arc<Entry> {
        let mut kept = self.kept.lock();
        if let Some(known) = kept.iter().find(|kept| kept.pairing == pairing && kept.digests == digests) {
            known.entry.touch();
            return known.entry.clone();
        }
        kept.retain(|kept| kept.pairing != pairing);
        while kept.len() >= COMPARISONS_MAX {
            let age = |kept: &Kept| (Arc::strong_count(&kept.entry) > 1, kept.entry.touched());
            let Some(oldest) = (0..kept.len()).min_by_key(|at| age(&kept[*at])) else { break };
            let Pairing { model, primary, shadow } = kept.swap_remove(oldest).pairing;
            tracing::info!(%model, %primary, %shadow, "its comparison goes, as {COMPARISONS_MAX} are kept");
        }
        let settings = self.settings(&pairing.model);
        let comparison = Comparison::new(pairing.clone(), settings).expect("settings that were checked");
        let entry = Arc::new(Entry::new(comparison, self.since, self.answers.clone()));
        kept.push(Kept { pairing, digests, entry: entry.clone(), cost: None });
        entry
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use pointsman_core::{Inputs, Side, Signature, StageTimes};

    use super::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number).expect("above zero")
    }

    fn pairing(shadow: u64) -> Pairing {
        Pairing { model: ModelName::new("m").expect("a name"), primary: version(1), shadow: version(shadow) }
    }

    fn digests(shadow: &str) -> [String; 2] {
        ["a".into(), shadow.into()]
    }

    fn tell(entry: &Entry, shadow: u64) {
        let side = |number| Side { version: version(number), outputs: Ok(&[]), times: StageTimes::default() };
        entry.paired(&Pair {
            model: &pairing(shadow).model,
            id: RequestId::generate(),
            inputs: Inputs { signature: &Signature::default(), tensors: &[] },
            primary: side(1),
            shadow: side(shadow),
            floor: None,
        });
    }

    fn pairs(comparisons: &Comparisons, shadow: u64) -> Option<u64> {
        let Pairing { model, primary, shadow } = pairing(shadow);
        comparisons.totals(&model, primary, shadow).map(|totals| totals.pairs)
    }

    #[test]
    fn a_comparison_goes_on_until_one_of_the_versions_is_another() {
        let comparisons = Comparisons::new(BTreeMap::new(), None, None);
        assert_eq!(pairs(&comparisons, 2), None);
        tell(&comparisons.entry(pairing(2), digests("b")), 2);
        // The shadow has ended, and is started again.
        assert_eq!(pairs(&comparisons, 2), Some(1));
        tell(&comparisons.entry(pairing(2), digests("b")), 2);
        assert_eq!(pairs(&comparisons, 2), Some(2));
        comparisons.entry(pairing(2), digests("c"));
        assert_eq!((pairs(&comparisons, 2), comparisons.list().len()), (Some(0), 1));
    }

    #[test]
    fn past_the_limit_the_one_goes_that_was_touched_longest_ago_and_whose_shadow_has_ended() {
        let comparisons = Comparisons::new(BTreeMap::new(), None, None);
        let running = comparisons.entry(pairing(2), digests("b"));
        for shadow in 3..COMPARISONS_MAX as u64 + 2 {
            thread::sleep(Duration::from_micros(50));
            drop(comparisons.entry(pairing(shadow), digests("b")));
        }
        assert_eq!(comparisons.list().len(), COMPARISONS_MAX);
        thread::sleep(Duration::from_micros(50));
        tell(&comparisons.entry(pairing(3), digests("b")), 3);
        drop(comparisons.entry(pairing(100), digests("b")));
        // Of those that have ended, 4 is the oldest; 2 is older, and runs.
        assert_eq!(comparisons.list().len(), COMPARISONS_MAX);
        assert_eq!(
            [2, 3, 4, 5, 100].map(|of| pairs(&comparisons, of).is_some()),
            [true, true, false, true, true]
        );
        // Where all run, the one that was touched longest ago goes all the same.
        let held: Vec<Arc<Entry>> = comparisons.kept.lock().iter().map(|kept| kept.entry.clone()).collect();
        drop(comparisons.entry(pairing(101), digests("b")));
        assert_eq!(
            ([2, 101].map(|of| pairs(&comparisons, of).is_some()), held.len()),
            ([false, true], COMPARISONS_MAX)
        );
        drop(running);
    }

    #[test]
    fn a_shadow_that_is_held_up_in_a_comparison_holds_nobody_up_who_reads_totals() {
        let comparisons = Comparisons::new(BTreeMap::new(), None, None);
        let entry = comparisons.entry(pairing(2), digests("b"));
        tell(&entry, 2);
        let (alpha, all) = (Alpha::new(0.05).expect("a level"), |_: &Pairing| true);
        let held_up = entry.hold();
        assert_eq!(pairs(&comparisons, 2), Some(1));
        assert_eq!(comparisons.list().len(), 1);
        assert_eq!(comparisons.reports(all, None, alpha), Err(Busy));
        drop(held_up);
        let reports = comparisons.reports(all, None, alpha).expect("nobody holds it");
        assert_eq!(reports[0].against.outcomes.ok_ok, 1);
        assert!(reports[0].run.as_ref().is_some_and(|run| !run.is_running && run.cost.is_none()));
    }

    #[test]
    fn what_a_shadow_dropped_is_there_after_it_has_ended() {
        let comparisons = Comparisons::new(BTreeMap::new(), None, None);
        let entry = comparisons.entry(pairing(2), digests("b"));
        let mut accounting = Accounting { offered: 9, answered: 2, ..Accounting::default() };
        accounting.dropped[ShadowDrop::Hung as usize][3] = 7;
        entry.ended(&accounting);
        entry.ended(&accounting);
        let alpha = Alpha::new(0.05).expect("a level");
        let report = comparisons.reports(|_| true, None, alpha).expect("nobody holds it").remove(0);
        assert_eq!((report.dropped[0].reason.as_str(), report.dropped[0].count), ("hung", 14));
        assert_eq!(report.dropped[0].by_load[3], 14);
    }
}
