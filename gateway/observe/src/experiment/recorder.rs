//! Takes in how requests of an experiment ended, on the threads that answered them.
//!
//! A request takes two locks that are held for some ten nanoseconds: that of its bucket's part, which 63 others do not
//! share, and that of its arm's times. Nothing is allocated but where a unit comes first.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_core::{Code, OutputTensor};
use pointsman_stats::{Moments, NUMBER_MAX};
use serde::{Deserialize, Serialize};

use super::measure::{COMMON, LATENCY, measure};
use super::setup::{Place, Setup};
use super::strata::Strata;
use super::table::{ArmTable, Table};
use super::{SHARD_BUCKETS, SHARD_UNITS_MAX, SHARDS};
use crate::quantiles::Quantiles;

/// The most gaps that are remembered; the first go.
const GAPS_MAX: usize = 16;

/// How a request of the experiment ended.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its arm, in the order of the setup.
    pub arm: usize,
    /// The version that was to answer.
    pub version: u64,
    /// The weight of the arm when the unit was drawn, in ten-thousandths.
    pub weight: u16,
    /// Tells its unit from others, and is independent of the arm.
    pub unit: u64,
    /// Whether the unit is the request alone.
    pub is_request: bool,
    /// What was known of the unit beforehand.
    pub covariate: Option<f64>,
    /// The outputs, or why there are none.
    pub outputs: Result<&'a [OutputTensor], Code>,
    /// From the request's headers to its end.
    pub total: Duration,
}

/// What a label says of the answer to a request of the experiment.
#[derive(Clone, Copy, Debug)]
pub struct LabelSeen {
    /// Its arm, in the order of the setup.
    pub arm: usize,
    /// The version that answered.
    pub version: u64,
    /// The weight of the arm when the unit was drawn, in ten-thousandths.
    pub weight: u16,
    /// Tells its unit from others.
    pub unit: u64,
    /// Of classes: whether the answer was another than the label.
    pub wrong: Option<bool>,
    /// Of numbers: by how much it was above the label.
    pub off: Option<f64>,
}

/// The sums of one experiment.
#[derive(Debug)]
pub struct Recorder {
    setup: Setup,
    /// Two sums for each column, and where there is a covariate its own two and again two for each column.
    width: usize,
    shards: Box<[Mutex<Shard>]>,
    times: Box<[Mutex<Times>]>,
    strata: Mutex<Strata>,
    history: Mutex<History>,
    counts: Counts,
}

/// The sums of some buckets.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) units: HashSet<u64>,
    /// By arm; a request that was drawn with another is of an earlier step.
    pub(super) weights: Box<[u16]>,
    /// By arm, bucket and column.
    pub(super) rows: Box<[f64]>,
}

/// How long the answers of an arm took, in seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) quantiles: Quantiles,
    /// As the first of each pair.
    pub(super) moments: Moments,
}

/// Since when sums are kept, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// In milliseconds since 1970.
    pub(super) since_ms: u64,
    pub(super) why: String,
    pub(super) weights: Vec<u16>,
    pub(super) gaps: Vec<Gap>,
}

/// A time of which it is not known what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// From when, in milliseconds since 1970.
    pub from_ms: u64,
    /// To when.
    pub to_ms: u64,
}

/// Requests that are in no sum.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// All that are in the sums.
    pub(super) requests: AtomicU64,
    /// Those of earlier weights.
    pub(super) left_out: AtomicU64,
    /// Those that reached another version than the arm has now.
    pub(super) other_version: AtomicU64,
    /// Those that failed by their callers.
    pub(super) by_caller: AtomicU64,
    /// Those without a covariate, which are in the plain sums alone.
    pub(super) without_covariate: AtomicU64,
}

impl Counts {
    pub(super) fn all(&self) -> [&AtomicU64; 5] {
        let Self { requests, left_out, other_version, by_caller, without_covariate } = self;
        [requests, left_out, other_version, by_caller, without_covariate]
    }
}

/// What is behind a lock stays of use where a thread panicked with it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Recorder {
    /// Begins with empty sums; nothing where the setup does not fit or the weights are not its arms'.
    #[must_use]
    pub fn new(setup: Setup, weights: &[u16], why: String, now_ms: u64) -> Option<Self> {
        if !setup.fits() || weights.len() != setup.arms.len() {
            return None;
        }
        let columns = COMMON.len() + setup.metrics.len();
        let width = 2 * columns + if setup.covariate.is_some() { 2 + 2 * columns } else { 0 };
        let shard = |_| {
            Mutex::new(Shard {
                units: HashSet::new(),
                weights: weights.into(),
                rows: vec![0.0; setup.arms.len() * SHARD_BUCKETS * width].into(),
            })
        };
        let mut strata = Strata::default();
        strata.begin(weights);
        let history = History { since_ms: now_ms, why, weights: weights.to_vec(), gaps: Vec::new() };
        Some(Self {
            width,
            shards: (0..SHARDS).map(shard).collect(),
            times: setup.arms.iter().map(|_| Mutex::default()).collect(),
            strata: Mutex::new(strata),
            history: Mutex::new(history),
            counts: Counts::default(),
            setup,
        })
    }

    /// What it is of.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// How many requests are in the sums.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// Bytes that its sums take, without the units that it knows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.setup.arms.len() * super::BUCKETS * self.width * size_of::<f64>()
    }

    /// Takes in how a request ended.
    pub fn record(&self, seen: &Seen<'_>) {
        let Some(arm) = self.setup.arms.get(seen.arm) else { return };
        if arm.version != seen.version {
            return count(&self.counts.other_version);
        }
        let values = measure(&self.setup.metrics, seen.outputs, seen.total);
        // The ten highest bits are the bucket, and the first six of them its part.
        let bucket = usize::try_from(seen.unit >> 54).unwrap_or_default();
        {
            let mut shard = locked(&self.shards[bucket / SHARD_BUCKETS]);
            if seen.is_request || shard.is_new(seen.unit) {
                locked(&self.strata).count(seen.arm, seen.weight);
            }
            let Some(values) = &values else { return count(&self.counts.by_caller) };
            if shard.weights[seen.arm] != seen.weight {
                return count(&self.counts.left_out);
            }
            let start = (seen.arm * SHARD_BUCKETS + bucket % SHARD_BUCKETS) * self.width;
            let row = &mut shard.rows[start..start + self.width];
            let columns = COMMON.len() + self.setup.metrics.len();
            add(row, &values[..columns]);
            if self.setup.covariate.is_some() {
                match seen.covariate {
                    Some(covariate) => {
                        add(&mut row[2 * columns..], &[(1.0, covariate)]);
                        add(&mut row[2 * columns + 2..], &values[..columns]);
                    }
                    None => count(&self.counts.without_covariate),
                }
            }
        }
        count(&self.counts.requests);
        if let Some((1.0, seconds)) = values.map(|values| values[LATENCY]) {
            locked(&self.times[seen.arm]).push(seconds);
        }
    }

    /// Takes in what a label says, once for a request; says whether it counts. One of other weights or of another version is of
    /// an earlier comparison.
    pub fn labelled(&self, seen: &LabelSeen) -> bool {
        let is_of_arm = self.setup.arms.get(seen.arm).is_some_and(|arm| arm.version == seen.version);
        let value = |place: Place| match place {
            Place::Wrong => seen.wrong.map(|wrong| f64::from(u8::from(wrong))),
            Place::Off => seen.off.map(f64::abs).filter(|off| *off <= NUMBER_MAX),
            Place::Index(_) | Place::Class(_) => None,
        };
        let bucket = usize::try_from(seen.unit >> 54).unwrap_or_default();
        let mut shard = locked(&self.shards[bucket / SHARD_BUCKETS]);
        if !is_of_arm || shard.weights[seen.arm] != seen.weight {
            return false;
        }
        let start = (seen.arm * SHARD_BUCKETS + bucket % SHARD_BUCKETS) * self.width;
        let mut counts = false;
        for (at, metric) in self.setup.metrics.iter().enumerate() {
            if let Some(value) = value(metric.place) {
                let column = start + 2 * (COMMON.len() + at);
                add(&mut shard.rows[column..column + 2], &[(1.0, value)]);
                counts = true;
            }
        }
        counts
    }

    /// The weights of the arms from now on, in ten-thousandths. Where they are others, sums begin anew: with other
    /// shares of the traffic, the sums of an arm are of other times than those of the default, and their difference is
    /// that of the times as well. The check of the split goes on, step by step.
    pub fn weigh(&self, weights: &[u16], now_ms: u64) {
        let mut history = locked(&self.history);
        if history.weights == weights || weights.len() != self.setup.arms.len() {
            return;
        }
        let percent = |weights: &[u16]| {
            let shares: Vec<String> =
                weights.iter().map(|weight| format!("{}%", f64::from(*weight) / 100.0)).collect();
            shares.join(" : ")
        };
        history.why = format!("the weights were {}, and are {}", percent(&history.weights), percent(weights));
        history.weights = weights.to_vec();
        history.since_ms = now_ms;
        history.gaps.clear();
        // Before sums take units in with the new weights, the check has to know these.
        locked(&self.strata).begin(weights);
        for shard in &self.shards {
            let mut shard = locked(shard);
            shard.weights = weights.into();
            shard.rows.fill(0.0);
        }
        self.times.iter().for_each(|times| *locked(times) = Times::default());
        let before = self.counts.requests.swap(0, Ordering::Relaxed);
        self.counts.left_out.fetch_add(before, Ordering::Relaxed);
        self.counts.without_covariate.store(0, Ordering::Relaxed);
    }

    /// Of this time nobody knows what came.
    pub fn lost(&self, gap: Gap) {
        let gaps = &mut locked(&self.history).gaps;
        if gaps.len() == GAPS_MAX {
            gaps.remove(0);
        }
        gaps.push(gap);
    }

    /// The sums as they are, all of one step.
    pub(super) fn table(&self) -> Table {
        let history = locked(&self.history);
        let mut arms: Vec<ArmTable> = self.times.iter().map(|times| ArmTable::new(&locked(times))).collect();
        let mut is_full = false;
        for shard in &self.shards {
            let shard = locked(shard);
            is_full |= shard.units.len() >= SHARD_UNITS_MAX;
            let rows = shard.rows.chunks_exact(SHARD_BUCKETS * self.width);
            arms.iter_mut().zip(rows).for_each(|(arm, rows)| arm.rows.extend_from_slice(rows));
        }
        let columns = COMMON.len() + self.setup.metrics.len();
        let (strata, history) = (locked(&self.strata).clone(), history.clone());
        Table { arms, width: self.width, columns, strata, is_full, history }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn shards(&self) -> &[Mutex<Shard>] {
        &self.shards
    }

    /// Puts in the place of its own sums what was kept of them.
    pub(super) fn take_over(&self, arms: &[ArmTable], strata: Strata, history: History) {
        *locked(&self.history) = history;
        *locked(&self.strata) = strata;
        for (number, shard) in self.shards.iter().enumerate() {
            let mut shard = locked(shard);
            let length = SHARD_BUCKETS * self.width;
            for (arm, rows) in arms.iter().zip(shard.rows.chunks_exact_mut(length)) {
                rows.copy_from_slice(&arm.rows[number * length..(number + 1) * length]);
            }
        }
        arms.iter().zip(&self.times).for_each(|(arm, times)| *locked(times) = arm.times.clone());
    }

    pub(super) fn row_length(&self) -> usize {
        super::BUCKETS * self.width
    }
}

fn add(row: &mut [f64], values: &[(f64, f64)]) {
    for (sums, (all, part)) in row.chunks_exact_mut(2).zip(values) {
        sums[0] += all;
        sums[1] += part;
    }
}

impl Shard {
    /// Whether a unit comes first, as far as that is known: past the most that are kept, none does.
    fn is_new(&mut self, unit: u64) -> bool {
        if self.units.len() < SHARD_UNITS_MAX {
            return self.units.insert(unit);
        }
        false
    }
}

impl Times {
    fn push(&mut self, seconds: f64) {
        self.quantiles.push(seconds);
        // A time is a number.
        let pushed = self.moments.push(seconds, 0.0);
        debug_assert!(pushed.is_ok(), "{seconds}");
    }
}
