//! Keeps predictions until their labels come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_core::RequestId;

use super::prediction::{Drawn, Joined, Prediction, Source};
use super::said::{Said, Value, Verdict};
use super::shard::Shard;

/// Locks among which requests are divided, so that hardly two threads want the same one.
const SHARDS: usize = 16;
/// The most predictions of one request: that of the version which answered, and those of its shadows.
pub(super) const VERSIONS_MAX: usize = 8;

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinerLimits {
    /// How long a prediction waits for its labels after it came.
    pub keep: Duration,
    /// The most requests that are kept. Where more come, a part of them is, which is drawn by the hash of the id.
    pub requests_max: usize,
    /// The most bytes that they take.
    pub bytes_max: usize,
    /// The most rows of a request that are kept: the first ones.
    pub rows_max: usize,
    /// How long a label waits for its prediction.
    pub pending: Duration,
    /// The most labels that do.
    pub pending_max: usize,
}

/// What comes of a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// How it ended.
    pub verdict: Verdict,
    /// Why, where it is no label.
    pub reason: Option<String>,
    /// The pairs that count from now on: of the version that answered first, then those of its shadows.
    pub joined: Vec<Joined>,
    /// What was drawn for the request, where this is its first label.
    pub drawn: Option<Drawn>,
    /// Whether its prediction was let go, or is from before the start: what is known of it stands elsewhere.
    pub is_beyond: bool,
}

/// What is kept at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Requests.
    pub requests: u64,
    /// Bytes.
    pub bytes: u64,
    /// Labels that wait.
    pub pending: u64,
    /// Requests that went unlabelled after their time, since the start.
    pub expired: u64,
    /// Requests that were not kept or went before their time, as there were too many.
    pub unsampled: u64,
}

/// Keeps predictions and joins labels with them.
///
/// All predictions are kept up to the limits. Past them each is kept with a probability of a half, a quarter and so on:
/// by its id alone, so that what is kept is a fair sample, and each pair says with what probability it is in it. Labels
/// that are late are so as often as others: to let the oldest go instead would keep those that are quick.
///
/// What it is told comes on threads of requests, which hold one of its locks for about a microsecond, but for the few
/// moments at which a table grows or is halved.
#[derive(Debug)]
pub struct Joiner {
    shards: Box<[Mutex<Shard>]>,
}

impl Labelled {
    /// Nothing but a verdict.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        Self { verdict, reason: None, joined: Vec::new(), drawn: None, is_beyond: false }
    }

    pub(super) fn beyond_rows(row: u32, rows: u64) -> Self {
        Self::malformed(format!("row {row} is beyond the {rows} of the request"))
    }

    /// A label that is none of this version.
    #[must_use]
    pub fn of_no_class(source: &Source, value: &Value) -> Self {
        let value = match value {
            Value::Text(text) => format!("\"{}\"", pointsman_core::shown(text)),
            Value::Number(number) => number.to_string(),
        };
        Self::malformed(format!("label = {value}; give {}", source.expected()))
    }

    pub(super) fn malformed(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::of(Verdict::Malformed) }
    }
}

/// The hash of an id: its last bytes are random, and mixed so that no bits of them mean anything elsewhere (the finaliser
/// of MurmurHash3).
pub(crate) fn spread(id: RequestId, salt: u64) -> u64 {
    let bytes = id.bytes();
    let [.., a, b, c, d, e, f, g, h] = bytes;
    let mut hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ salt;
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Tells which of a sample's halvings an id outlives.
pub(super) const SALT: u64 = 0x706d_2d6c_6162_2d31;

impl Joiner {
    /// Nothing kept. Requests from before `since_ms`, in milliseconds since 1970, will never be.
    #[must_use]
    pub fn new(limits: JoinerLimits, since_ms: u64) -> Self {
        let share = |all: usize| (all / SHARDS).max(1);
        let limits = JoinerLimits {
            requests_max: share(limits.requests_max),
            bytes_max: share(limits.bytes_max),
            pending_max: share(limits.pending_max),
            ..limits
        };
        Self { shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(limits, since_ms))).collect() }
    }

    fn shard(&self, id: RequestId) -> MutexGuard<'_, Shard> {
        // The highest bits: the lowest say which are kept.
        let shard = (spread(id, SALT) >> 60) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a prediction. Gives what comes of labels that waited for it.
    pub fn predicted(&self, prediction: Prediction, now_ms: u64) -> Vec<Labelled> {
        self.shard(prediction.id).predicted(prediction, now_ms)
    }

    /// When a request is from, and its arm: by the version that answered it. Nothing where that is not kept.
    #[must_use]
    pub fn primary(&self, id: RequestId) -> Option<(u64, Arc<str>)> {
        self.shard(id).primary(id)
    }

    /// Takes in a label.
    #[must_use]
    pub fn label(&self, said: &Said, now_ms: u64) -> Labelled {
        self.shard(said.id).label(said, now_ms)
    }

    /// Lets go what is past its time. Gives the labels that waited in vain.
    pub fn expire(&self, now_ms: u64) -> Vec<Said> {
        let expire =
            |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).expire(now_ms);
        self.shards.iter().flat_map(expire).collect()
    }

    /// What is kept now.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let mut sum = Kept::default();
        for shard in &self.shards {
            let of = shard.lock().unwrap_or_else(PoisonError::into_inner).kept();
            sum.requests += of.requests;
            sum.bytes += of.bytes;
            sum.pending += of.pending;
            sum.expired += of.expired;
            sum.unsampled += of.unsampled;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{
        AnswerRows, Answers, Datatype, Dim, OutputTensor, Shape, Signature, Tensor, TensorSpec,
    };

    use super::*;
    use crate::labels::{Label, Source, Value};

    const LIMITS: JoinerLimits = JoinerLimits {
        keep: Duration::from_secs(60),
        requests_max: 1 << 20,
        bytes_max: 1 << 30,
        rows_max: 1024,
        pending: Duration::from_secs(5),
        pending_max: 32,
    };

    fn source(is_shadow: bool) -> Arc<Source> {
        let (model, slices) = ("m".into(), Arc::new([]));
        Arc::new(Source {
            model,
            version: 1 + u64::from(is_shadow),
            is_shadow,
            names: None,
            classes: Some(2),
            slices,
        })
    }

    /// What a model of two classes answers to so many rows: the second one, by 0.7.
    fn answers(rows: u64) -> AnswerRows {
        let shape = Some(vec![Dim::Dynamic(None), Dim::Fixed(2)]);
        let spec =
            TensorSpec { name: "p".into(), datatype: Datatype::Fp64, shape, optional: false, labels: None };
        let answers = Answers::of(&Signature { inputs: Vec::new(), outputs: vec![spec] }).expect("classes");
        let scores = [0.3, 0.7].repeat(rows as usize);
        let tensor = Tensor::from_vec(Datatype::Fp64, Shape::new(&[rows, 2]).expect("small"), scores);
        let output = OutputTensor { name: "p".into(), tensor: tensor.expect("fits"), labels: None };
        AnswerRows::read(&answers, &[output], rows as usize)
    }

    fn prediction(id: RequestId, is_shadow: bool) -> Prediction {
        let drawn = Drawn { experiment: "e".into(), unit: 7, weight: 100, is_request: true };
        Prediction {
            id,
            at_ms: 5,
            source: source(is_shadow),
            arm: "default".into(),
            drawn: (!is_shadow).then_some(drawn),
            rows_had: 2,
            answers: answers(2),
            slices: Arc::new([]),
        }
    }

    fn said(id: RequestId, row: u32, label: f64) -> Said {
        Said { id, row, value: Value::Number(label), at_ms: Some(9), source: None }
    }

    /// The milliseconds in which ids are made.
    fn now() -> u64 {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        u64::try_from(since.as_millis()).expect("soon")
    }

    #[test]
    fn a_label_joins_the_prediction_and_those_of_shadows_also_where_they_come_later() {
        let (joiner, id, now) = (Joiner::new(LIMITS, 0), RequestId::generate(), now());
        assert!(joiner.predicted(prediction(id, false), now).is_empty());
        let first = joiner.label(&said(id, 1, 0.0), now);
        assert_eq!((first.verdict, first.joined.len()), (Verdict::Joined, 1));
        let joined = &first.joined[0];
        assert_eq!(
            (joined.row, joined.label, joined.is_wrong(), joined.label_at_ms),
            (1, Label::Class(0), Some(true), 9)
        );
        assert_eq!(first.drawn.map(|drawn| drawn.unit), Some(7));
        let late = joiner.predicted(prediction(id, true), now);
        assert_eq!(late[0].joined.iter().map(|joined| joined.source.version).collect::<Vec<_>>(), [2]);
        assert_eq!(late[0].drawn, None);
        // Another row of the same request is the same unit, and no evidence of its own.
        let second = joiner.label(&said(id, 0, 1.0), now);
        assert_eq!((second.verdict, second.joined.len(), second.drawn), (Verdict::Joined, 2, None));
    }

    #[test]
    fn the_same_again_changes_nothing_and_another_one_takes_its_place() {
        let (joiner, id, now) = (Joiner::new(LIMITS, 0), RequestId::generate(), now());
        joiner.predicted(prediction(id, false), now);
        assert_eq!(joiner.label(&said(id, 0, 1.0), now).verdict, Verdict::Joined);
        let again = joiner.label(&Said { value: Value::Text("1".into()), ..said(id, 0, 1.0) }, now);
        assert_eq!((again.verdict, again.joined.len()), (Verdict::Duplicate, 0));
        let other = joiner.label(&said(id, 0, 0.0), now);
        assert_eq!(
            (other.verdict, other.joined[0].label, other.drawn),
            (Verdict::Contradicting, Label::Class(0), None)
        );
        let in_2999 = 32_472_144_000_000;
        for (at_ms, part) in [(in_2999, "is more than a day ahead"), (4, "")] {
            let found = joiner.label(&Said { at_ms: Some(at_ms), ..said(id, 1, 1.0) }, now);
            assert_eq!(found.verdict == Verdict::Malformed, !part.is_empty(), "{found:?}");
            assert!(found.reason.unwrap_or_default().contains(part));
        }
        for (row, label) in [(2, 1.0), (0, 2.0)] {
            assert_eq!(joiner.label(&said(id, row, label), now).verdict, Verdict::Malformed);
        }
    }

    #[test]
    fn a_label_is_not_from_before_its_prediction() {
        let (joiner, id, now) = (Joiner::new(LIMITS, 0), RequestId::generate(), now());
        let day = 24 * 3600 * 1000;
        joiner.predicted(Prediction { at_ms: 3 * day, ..prediction(id, false) }, now);
        let label = |at_ms: u64| joiner.label(&Said { at_ms: Some(at_ms), ..said(id, 0, 1.0) }, now);
        let early = label(2 * day - 1);
        assert_eq!(early.verdict, Verdict::Malformed);
        let reason = early.reason.expect("why");
        assert!(reason.starts_with("at = 1970-01-02T23:59:59.999Z is more than a day before"), "{reason}");
        assert_eq!((label(2 * day).verdict, label(now + day).verdict), (Verdict::Joined, Verdict::Duplicate));
        assert_eq!(label(now + day + 1).verdict, Verdict::Malformed);
    }

    #[test]
    fn rows_past_the_most_that_are_kept_are_told_with_the_key() {
        let (joiner, id, now) =
            (Joiner::new(JoinerLimits { rows_max: 2, ..LIMITS }, 0), RequestId::generate(), now());
        let three = Prediction { rows_had: 3, answers: answers(3), ..prediction(id, false) };
        joiner.predicted(three, now);
        assert_eq!(joiner.label(&said(id, 1, 1.0), now).verdict, Verdict::Joined);
        let beyond = joiner.label(&said(id, 2, 1.0), now);
        assert_eq!(beyond.verdict, Verdict::Unsampled);
        assert!(beyond.reason.is_some_and(|reason| reason.contains("labels.rows_max = 2")));
        let none = joiner.label(&said(id, 3, 1.0), now);
        assert_eq!(
            (none.verdict, none.reason.as_deref()),
            (Verdict::Malformed, Some("row 3 is beyond the 3 of the request"))
        );
    }

    #[test]
    fn a_label_waits_for_its_prediction_for_a_while() {
        let (joiner, now) = (Joiner::new(LIMITS, 0), now());
        let (comes, never) = (RequestId::generate(), RequestId::generate());
        assert_eq!(joiner.label(&said(comes, 0, 1.0), now).verdict, Verdict::Pending);
        assert_eq!(joiner.label(&said(never, 0, 1.0), now).verdict, Verdict::Pending);
        assert_eq!(joiner.label(&said(never, 0, 1.0), now).verdict, Verdict::Duplicate);
        assert_eq!(joiner.kept().pending, 2);
        let found = joiner.predicted(prediction(comes, false), now + 100);
        assert_eq!((found[0].verdict, found[0].drawn.is_some()), (Verdict::Joined, true));
        assert!(joiner.expire(now + 4_000).is_empty());
        assert_eq!(joiner.expire(now + 6_000).iter().map(|said| said.id).collect::<Vec<_>>(), [never]);
        assert_eq!(joiner.kept().pending, 0);
        // No more wait than may.
        let waiting = (0..400)
            .filter(|_| joiner.label(&said(RequestId::generate(), 0, 1.0), now).verdict == Verdict::Pending);
        assert!((2..=32).contains(&waiting.count()));
    }

    #[test]
    fn what_is_past_its_time_is_gone_and_a_label_for_it_is_told_so() {
        let (joiner, id, now) = (Joiner::new(LIMITS, 0), RequestId::generate(), now());
        joiner.predicted(prediction(id, false), now);
        joiner.expire(now + 59_000);
        assert_eq!(joiner.kept().requests, 1);
        joiner.expire(now + 61_000);
        assert_eq!((joiner.kept().requests, joiner.kept().bytes, joiner.kept().expired), (0, 0, 1));
        assert_eq!(joiner.label(&said(id, 0, 1.0), now + 62_000).verdict, Verdict::Expired);
    }

    #[test]
    fn past_the_limit_a_fair_sample_is_kept_and_stands_for_all() {
        let limits = JoinerLimits { requests_max: 1600, ..LIMITS };
        let (joiner, now) = (Joiner::new(limits, 0), now());
        let ids: Vec<RequestId> = (0..10_000).map(|_| RequestId::generate()).collect();
        ids.iter().for_each(|id| drop(joiner.predicted(prediction(*id, false), now)));
        let kept = joiner.kept();
        assert!((600..=1600).contains(&kept.requests), "{kept:?}");
        assert_eq!(kept.requests + kept.unsampled, 10_000);
        let all: Vec<Labelled> = ids.iter().map(|id| joiner.label(&said(*id, 0, 1.0), now)).collect();
        let joined = all.iter().filter(|labelled| labelled.verdict == Verdict::Joined);
        let total: f64 =
            joined.flat_map(|labelled| &labelled.joined).map(|pair| pair.included.weight()).sum();
        assert!((8_000.0..12_000.0).contains(&total), "{total}");
        assert!(all.iter().all(|labelled| matches!(labelled.verdict, Verdict::Joined | Verdict::Unsampled)));
        // Once there is room again, more are kept.
        joiner.expire(now + 61_000);
        for _ in 0..10 {
            joiner.expire(now + 61_000);
        }
        joiner.predicted(prediction(RequestId::generate(), false), now + 61_000);
        assert_eq!(joiner.kept().requests, 1);
    }

    #[test]
    fn what_is_from_before_the_start_or_past_its_time_is_sought_elsewhere() {
        let (now, id) = (now(), RequestId::generate());
        let joiner = Joiner::new(LIMITS, now + 1000);
        let before = joiner.label(&said(id, 0, 1.0), now + 2000);
        assert_eq!((before.verdict, before.is_beyond, joiner.kept().pending), (Verdict::Unknown, true, 0));
        let joiner = Joiner::new(LIMITS, 0);
        let late = joiner.label(&said(id, 0, 1.0), now + 61_000);
        assert_eq!((late.verdict, late.is_beyond), (Verdict::Expired, true));
        let early = joiner.label(&said(id, 0, 1.0), now);
        assert_eq!((early.verdict, early.is_beyond), (Verdict::Pending, false));
        // What is there is there, whatever its id says.
        let joiner = Joiner::new(LIMITS, now + 1000);
        joiner.predicted(prediction(id, false), now);
        assert_eq!(joiner.label(&said(id, 0, 1.0), now + 2000).verdict, Verdict::Joined);
    }

    #[test]
    fn what_was_left_out_stays_so_while_it_could_be_there() {
        let limits = JoinerLimits { requests_max: 1600, ..LIMITS };
        let (joiner, now) = (Joiner::new(limits, 0), now());
        let ids: Vec<RequestId> = (0..10_000).map(|_| RequestId::generate()).collect();
        ids.iter().for_each(|id| drop(joiner.predicted(prediction(*id, false), now)));
        // The same sample again, by less than its time: the table is emptied as if all were labelled and gone.
        let later = now + 59_000;
        let of = |at: u64| {
            ids.iter()
                .map(|id| joiner.label(&said(*id, 0, 1.0), at).verdict)
                .filter(|v| *v == Verdict::Unsampled)
                .count()
        };
        let unsampled = of(later);
        assert!(unsampled > 8000, "{unsampled}");
        // More are kept again from here on, and what was left out before is no less so.
        for _ in 0..10 {
            joiner.expire(now + 60_500);
        }
        assert_eq!(of(now + 59_500), unsampled);
    }
}
