//! One part of what a joiner keeps.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pointsman_core::RequestId;
use pointsman_stats::Inclusion;

use super::joiner::{JoinerLimits, Kept, Labelled, SALT, VERSIONS_MAX, spread};
use super::prediction::{Joined, Label, Prediction, Source};
use super::said::{Said, Value, Verdict};

/// Bytes of a request beside its predictions: its places in the tables.
const ENTRY_BYTES: usize = 128;
/// Below this part of the limit more are kept again.
const ROOM: usize = 4;
/// Halvings of the sample after which nothing more is let go: one in a thousand million.
const LEVEL_MAX: u32 = 30;

/// A part of the requests and of the labels that wait.
#[derive(Debug)]
pub(super) struct Shard {
    limits: JoinerLimits,
    requests: HashMap<RequestId, Request>,
    /// Requests in the order in which they came.
    order: VecDeque<(u64, RequestId)>,
    bytes: usize,
    /// A request is kept where so many of the lowest bits of its hash are 0.
    level: u32,
    /// Requests that came up to a time had to outlive a level that is higher than that of later ones: the highest first.
    levels: VecDeque<(u64, u32)>,
    /// From when on requests are kept, in milliseconds since 1970.
    since_ms: u64,
    waiting: HashMap<(RequestId, u32), Said>,
    /// Labels in the order in which they came, with the end of their time.
    waiting_order: VecDeque<(u64, (RequestId, u32))>,
    expired: u64,
    unsampled: u64,
}

/// A request with what is known of it.
#[derive(Debug)]
struct Request {
    /// Halvings that it outlived.
    level: u32,
    predictions: Vec<Prediction>,
    labels: Vec<Given>,
    bytes: usize,
}

/// A label that was given.
#[derive(Debug)]
struct Given {
    row: u32,
    value: Value,
    at_ms: u64,
}

/// When a request came, by its id: milliseconds since 1970. Nothing where it is no id of the gateway (RFC 9562, 5.7).
#[must_use]
pub fn came_at(id: RequestId) -> Option<u64> {
    let [a, b, c, d, e, f, version, ..] = id.bytes();
    (version >> 4 == 7).then(|| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

fn outlives(id: RequestId, level: u32) -> bool {
    spread(id, SALT).trailing_zeros() >= level
}

impl Request {
    fn included(&self) -> Inclusion {
        Inclusion::new(0.5_f64.powi(self.level.cast_signed())).unwrap_or(Inclusion::ALL)
    }

    /// Lets what shadows predicted be of the same time, arm and slices as what was answered.
    fn adopt(&mut self) {
        let Some((first, shadows)) = self.predictions.split_first_mut() else { return };
        if first.source.is_shadow || shadows.is_empty() {
            return;
        }
        for shadow in shadows {
            shadow.at_ms = first.at_ms;
            shadow.arm = first.arm.clone();
            shadow.slices = first.slices.clone();
            if *shadow.source.slices != *first.source.slices {
                let slices = first.source.slices.clone();
                shadow.source = Arc::new(Source { slices, ..(*shadow.source).clone() });
            }
        }
    }

    /// The pairs of a label with all predictions from `first` on.
    fn pairs(&self, given: &Given, first: usize) -> Vec<Joined> {
        let pair = |prediction: &Prediction| {
            let label = prediction.source.label(&given.value)?;
            prediction.joined(given.row, label, given.at_ms, self.included())
        };
        self.predictions.iter().skip(first).filter_map(pair).collect()
    }
}

impl Shard {
    pub(super) fn new(limits: JoinerLimits, since_ms: u64) -> Self {
        Self {
            limits,
            requests: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            level: 0,
            levels: VecDeque::new(),
            since_ms,
            waiting: HashMap::new(),
            waiting_order: VecDeque::new(),
            expired: 0,
            unsampled: 0,
        }
    }

    pub(super) fn predicted(&mut self, mut prediction: Prediction, now_ms: u64) -> Vec<Labelled> {
        let id = prediction.id;
        prediction.answers.truncate(self.limits.rows_max);
        let bytes = prediction.bytes();
        let is_new = !self.requests.contains_key(&id);
        if is_new {
            self.let_go(now_ms);
            if !outlives(id, self.level) {
                self.unsampled += u64::from(!prediction.source.is_shadow);
                return Vec::new();
            }
            let request = Request {
                level: self.level,
                // Most are answered by one version alone.
                predictions: Vec::with_capacity(1),
                labels: Vec::new(),
                bytes: ENTRY_BYTES,
            };
            self.requests.insert(id, request);
            self.order.push_back((now_ms, id));
            self.bytes += ENTRY_BYTES;
        }
        let Some(request) = self.requests.get_mut(&id) else { return Vec::new() };
        if request.predictions.len() >= VERSIONS_MAX {
            return Vec::new();
        }
        // The version that answered comes first, also where its shadow was quicker.
        let place = if prediction.source.is_shadow { request.predictions.len() } else { 0 };
        request.predictions.insert(place, prediction);
        request.bytes += bytes;
        self.bytes += bytes;
        request.adopt();
        let found = request.labels.iter().map(|given| {
            let mut pairs = request.pairs(given, place);
            pairs.truncate(1);
            Labelled { joined: pairs, ..Labelled::of(Verdict::Joined) }
        });
        let mut found: Vec<Labelled> = found.filter(|labelled| !labelled.joined.is_empty()).collect();
        let rows = request.predictions[place].answers.len();
        if !self.waiting.is_empty() {
            let waited = (0..u32::try_from(rows).unwrap_or(u32::MAX))
                .filter_map(|row| self.waiting.remove(&(id, row)));
            let waited: Vec<Said> = waited.collect();
            found.extend(waited.iter().map(|said| self.label(said, now_ms)));
        }
        self.halve();
        found
    }

    pub(super) fn primary(&self, id: RequestId) -> Option<(u64, Arc<str>)> {
        let first = self.requests.get(&id)?.predictions.first()?;
        (!first.source.is_shadow).then(|| (first.at_ms, first.arm.clone()))
    }

    pub(super) fn label(&mut self, said: &Said, now_ms: u64) -> Labelled {
        let Some(request) = self.requests.get_mut(&said.id) else { return self.wait(said, now_ms) };
        let Some(first) = request.predictions.first() else { return self.wait(said, now_ms) };
        if said.row as usize >= first.answers.len() {
            return if said.row < first.rows_had {
                let max = self.limits.rows_max;
                let reason = format!(
                    "row {} is not among the first of its request that wait for labels (labels.rows_max = {max}); send \
                     fewer rows in a request, or raise it",
                    said.row
                );
                Labelled { reason: Some(reason), ..Labelled::of(Verdict::Unsampled) }
            } else {
                Labelled::beyond_rows(said.row, first.rows_had.into())
            };
        }
        let Some(label) = first.source.label(&said.value) else {
            return Labelled::of_no_class(&first.source, &said.value);
        };
        if let Err(reason) = said.check_time(first.at_ms, now_ms) {
            return Labelled::malformed(reason);
        }
        if first.answers.get(said.row as usize).is_none() {
            // What was answered cannot be read.
            return Labelled::of(Verdict::Unknown);
        }
        let given = Given { row: said.row, value: said.value.clone(), at_ms: said.at_ms.unwrap_or(now_ms) };
        let before: Option<(usize, Option<Label>)> = request
            .labels
            .iter()
            .position(|known| known.row == said.row)
            .map(|at| (at, first.source.label(&request.labels[at].value)));
        let drawn = request.labels.is_empty().then(|| first.drawn.clone()).flatten();
        let pairs = request.pairs(&given, 0);
        match before {
            Some((_, Some(known))) if known == label => Labelled::of(Verdict::Duplicate),
            Some((at, _)) => {
                request.labels[at] = given;
                Labelled { joined: pairs, ..Labelled::of(Verdict::Contradicting) }
            }
            None => {
                let bytes = size_of::<Given>();
                request.labels.push(given);
                request.bytes += bytes;
                self.bytes += bytes;
                Labelled { joined: pairs, drawn, ..Labelled::of(Verdict::Joined) }
            }
        }
    }

    /// Lets a label wait for its prediction, where that may still come.
    fn wait(&mut self, said: &Said, now_ms: u64) -> Labelled {
        // From when its prediction is, is not known yet.
        if let Err(reason) = said.check_time(0, now_ms) {
            return Labelled::malformed(reason);
        }
        let key = (said.id, said.row);
        if let Some(known) = self.waiting.get(&key) {
            let verdict = if known.value == said.value { Verdict::Duplicate } else { Verdict::Contradicting };
            self.waiting.insert(key, said.clone());
            return Labelled::of(verdict);
        }
        let keep = u64::try_from(self.limits.keep.as_millis()).unwrap_or(u64::MAX);
        let came = came_at(said.id);
        if came.is_some_and(|came| came.saturating_add(keep) < now_ms) {
            return Labelled { is_beyond: true, ..Labelled::of(Verdict::Expired) };
        }
        if came.is_some_and(|came| came < self.since_ms) {
            return Labelled { is_beyond: true, ..Labelled::of(Verdict::Unknown) };
        }
        let before = self.levels.iter().find(|(until, _)| came.is_some_and(|came| came <= *until));
        if !outlives(said.id, before.map_or(self.level, |(_, level)| self.level.max(*level))) {
            return Labelled::of(Verdict::Unsampled);
        }
        if self.waiting.len() >= self.limits.pending_max {
            return Labelled::of(Verdict::Unknown);
        }
        let pending = u64::try_from(self.limits.pending.as_millis()).unwrap_or(u64::MAX);
        self.waiting.insert(key, said.clone());
        self.waiting_order.push_back((now_ms.saturating_add(pending), key));
        Labelled::of(Verdict::Pending)
    }

    pub(super) fn expire(&mut self, now_ms: u64) -> Vec<Said> {
        self.let_go(now_ms);
        // More are kept again where there is room for twice as many.
        let Self { limits, level, levels, requests, bytes, .. } = self;
        let keep = u64::try_from(limits.keep.as_millis()).unwrap_or(u64::MAX);
        if *level > 0 && requests.len() < limits.requests_max / ROOM && *bytes < limits.bytes_max / ROOM {
            levels.retain(|(_, before)| *before > *level);
            levels.push_back((now_ms, *level));
            *level -= 1;
        }
        levels.retain(|(until, _)| until.saturating_add(keep) >= now_ms);
        let mut in_vain = Vec::new();
        while let Some((until, key)) =
            self.waiting_order.front().copied().filter(|(until, _)| *until <= now_ms)
        {
            debug_assert!(until <= now_ms);
            self.waiting_order.pop_front();
            in_vain.extend(self.waiting.remove(&key));
        }
        in_vain
    }

    /// Lets requests go that are past their time.
    fn let_go(&mut self, now_ms: u64) {
        let keep = u64::try_from(self.limits.keep.as_millis()).unwrap_or(u64::MAX);
        while let Some((_, id)) =
            self.order.front().copied().filter(|(came, _)| came.saturating_add(keep) < now_ms)
        {
            self.order.pop_front();
            if let Some(request) = self.requests.remove(&id) {
                self.bytes = self.bytes.saturating_sub(request.bytes);
                self.expired += u64::from(request.labels.is_empty());
            }
        }
    }

    /// Keeps a half of what is kept, as often as there is too much.
    fn halve(&mut self) {
        let limits = self.limits;
        while (self.requests.len() > limits.requests_max || self.bytes > limits.bytes_max)
            && self.level < LEVEL_MAX
        {
            self.level += 1;
            let level = self.level;
            let mut gone = 0;
            self.requests.retain(|id, request| {
                let stays = outlives(*id, level);
                if stays {
                    request.level = request.level.max(level);
                } else {
                    gone += request.bytes;
                    self.unsampled += 1;
                }
                stays
            });
            self.bytes = self.bytes.saturating_sub(gone);
            self.order.retain(|(_, id)| outlives(*id, level));
        }
    }

    pub(super) fn kept(&self) -> Kept {
        Kept {
            requests: self.requests.len() as u64,
            bytes: self.bytes as u64,
            pending: self.waiting.len() as u64,
            expired: self.expired,
            unsampled: self.unsampled,
        }
    }
}
