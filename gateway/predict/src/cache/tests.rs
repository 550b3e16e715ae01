//! The cache with a queue whose only worker is the test.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use pointsman_core::{Datatype, ModelName, RunError, Shape, StageTimes, VersionNumber};
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use super::*;
use crate::cores::{Cores, Share};
use crate::limits::RunLimits;
use crate::line::Jobs;
use crate::metrics::Metrics;
use crate::queue::{Queue, Reply, Task, Unanswered, WorkerGone};

const WAITING_MAX: usize = 4;

struct Rig {
    cache: Arc<ResponseCache>,
    queue: Queue,
    jobs: Jobs,
}

fn rig(bytes_max: usize, digest: Digest) -> Rig {
    let metrics = Metrics::register(&mut Registry::default());
    let (model, number) = (ModelName::new("m").expect("a name"), VersionNumber::new(1).expect("above zero"));
    let (counts, record) = (metrics.cache(&model, number), metrics.record(&model, number));
    let cache = ResponseCache::with_digest(bytes_max, WAITING_MAX, counts, record, digest).expect("options");
    let queue = Queue::new(64, RunLimits::default(), Vec::new(), None);
    let jobs = queue.jobs();
    Rig { cache, queue, jobs }
}

fn share() -> Arc<Share> {
    Cores::new(1).share(&ModelName::new("m").expect("a name"))
}

/// A digest that tells nothing apart.
fn colliding(_: &[Option<Tensor>], _: &[usize]) -> u128 {
    7
}

impl Rig {
    fn find(&self, inputs: &[Option<Tensor>], outputs: &[usize]) -> Found {
        let key = self.cache.key(inputs, outputs).expect("small");
        let submit = |inputs| {
            let (outputs, queued_at) = (outputs.to_vec(), Instant::now());
            self.queue.submit(Task { inputs, is_plain: true, outputs, level: 1, deadline: None, queued_at })
        };
        self.cache.find(key, submit).expect("a place")
    }

    /// Answers the next job.
    fn reply(&self, reply: Reply) {
        let mut jobs = Vec::new();
        assert!(self.queue.depth() > 0 && self.jobs.next(&share(), 1, &mut jobs).is_some(), "no job waits");
        // Nobody may wait any more.
        let _ = jobs.remove(0).reply.send(reply);
    }

    /// Has a request run that is not kept, and keeps the answer.
    fn run(&self, inputs: &[Option<Tensor>], answer: &Tensor) {
        let Found::Submitted(flight, _) = self.find(inputs, &[0]) else { panic!("{inputs:?} is kept") };
        self.reply(Ok((vec![answer.clone()], StageTimes::default())));
        assert_eq!(outputs(poll(flight)), Some(vec![answer.clone()]));
    }

    fn kept(&self, inputs: &[Option<Tensor>]) -> Option<RunOutputs> {
        self.cache.answer(&self.cache.key(inputs, &[0]).expect("small"))
    }
}

fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn outputs(answer: Option<Result<Reply, WorkerGone>>) -> Option<RunOutputs> {
    Some(answer?.expect("a worker").expect("a run").0)
}

fn tensor(datatype: Datatype, dims: &[u64], data: &[u8]) -> Tensor {
    Tensor::new(datatype, Shape::new(dims).expect("few"), Bytes::copy_from_slice(data)).expect("fits")
}

fn row(bytes: &[u8]) -> Tensor {
    tensor(Datatype::Uint8, &[bytes.len() as u64], bytes)
}

fn floats(values: &[f32]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(Datatype::Fp32, &[values.len() as u64], &data)
}

/// Requests that differ in one thing each.
fn different() -> Vec<(Vec<Option<Tensor>>, Vec<usize>)> {
    let one = |tensor: Tensor| vec![Some(tensor)];
    let text = |data: &[u8]| one(tensor(Datatype::Bytes, &[2], data));
    let (x, y) = (row(&[1]), row(&[2]));
    vec![
        (one(row(&[1, 2, 3, 4])), vec![0]),
        (one(row(&[1, 2, 4, 3])), vec![0]),
        (one(row(&[1, 2, 3, 4])), vec![1]),
        (one(row(&[1, 2, 3, 4])), vec![0, 1]),
        (one(row(&[1, 2, 3, 4])), vec![1, 0]),
        (one(tensor(Datatype::Uint8, &[2, 2], &[1, 2, 3, 4])), vec![0]),
        (one(tensor(Datatype::Uint8, &[4, 1], &[1, 2, 3, 4])), vec![0]),
        (one(tensor(Datatype::Int8, &[4], &[1, 2, 3, 4])), vec![0]),
        (one(tensor(Datatype::Int32, &[1], &[1, 2, 3, 4])), vec![0]),
        (one(tensor(Datatype::Uint8, &[0, 4], &[])), vec![0]),
        (one(tensor(Datatype::Uint8, &[4, 0], &[])), vec![0]),
        (one(floats(&[0.0])), vec![0]),
        (one(floats(&[-0.0])), vec![0]),
        (one(floats(&[f32::NAN])), vec![0]),
        (one(floats(&[-f32::NAN])), vec![0]),
        (text(b"\x01\0\0\0a\x02\0\0\0bc"), vec![0]),
        (text(b"\x02\0\0\0ab\x01\0\0\0c"), vec![0]),
        (vec![Some(x.clone()), Some(y.clone())], vec![0]),
        (vec![Some(y.clone()), Some(x.clone())], vec![0]),
        (vec![Some(x.clone()), None], vec![0]),
        (vec![None, Some(x.clone())], vec![0]),
        (vec![None, None], vec![0]),
        (vec![Some(x)], vec![0]),
        (vec![None], vec![0]),
    ]
}

#[test]
fn requests_are_equal_where_everything_is_that_a_session_is_given() {
    let key = |(inputs, outputs): &(Vec<Option<Tensor>>, Vec<usize>), digest: Digest| {
        Key::new(digest(inputs, outputs), inputs.clone(), outputs.clone())
    };
    let all = different();
    for (place, request) in all.iter().enumerate() {
        for (other_place, other) in all.iter().enumerate() {
            let is_same = place == other_place;
            assert_eq!(
                key(request, digest::digest) == key(other, digest::digest),
                is_same,
                "{request:?} {other:?}"
            );
            assert_eq!(key(request, colliding) == key(other, colliding), is_same, "{request:?} {other:?}");
            let digests = (digest::digest(&request.0, &request.1), digest::digest(&other.0, &other.1));
            assert_eq!(digests.0 == digests.1, is_same, "{request:?} {other:?}");
        }
    }
}

#[test]
fn where_digests_collide_nobody_gets_the_answer_of_another() {
    let rig = rig(1 << 20, colliding);
    let (a, b) = ([Some(row(&[1]))], [Some(row(&[2]))]);
    let Found::Submitted(flight, _) = rig.find(&a, &[0]) else { panic!("nothing is kept") };
    assert!(matches!(rig.find(&b, &[0]), Found::Collided));
    assert!(matches!(rig.find(&a, &[0]), Found::Joined(..)));
    rig.reply(Ok((vec![row(&[10])], StageTimes::default())));
    assert_eq!(outputs(poll(flight)), Some(vec![row(&[10])]));
    assert_eq!((rig.kept(&a), rig.kept(&b)), (Some(vec![row(&[10])]), None));
    rig.run(&b, &row(&[20]));
    assert_eq!((rig.kept(&a), rig.kept(&b)), (None, Some(vec![row(&[20])])), "the later one takes the place");
}

#[test]
fn a_flight_is_left_when_it_ends_however_it_ends() {
    let rig = rig(1 << 20, digest::digest);
    let inputs = [Some(row(&[1]))];
    let submitted = || match rig.find(&inputs, &[0]) {
        Found::Submitted(flight, _) => flight,
        _ => panic!("nothing is kept or flies"),
    };
    let flies = || !rig.cache.flights.lock().is_empty();
    // Nobody waits any more.
    let flight = submitted();
    assert!(flies());
    drop(flight);
    assert_eq!((flies(), rig.queue.depth()), (false, 0));
    // It fails.
    let flight = submitted();
    rig.reply(Err(Unanswered::Run(RunError::Failed("as the test says".into()))));
    assert!(poll(flight).is_some_and(|answer| answer.is_ok_and(|reply| reply.is_err())));
    assert!(!flies());
    // The worker drops it.
    let flight = submitted();
    let mut jobs = Vec::new();
    assert!(rig.jobs.next(&share(), 1, &mut jobs).is_some());
    jobs.clear();
    assert_eq!(poll(flight).map(|answer| answer.is_err()), Some(true));
    assert!(!flies());
    assert_eq!(rig.cache.entries(), 0);
    // Whoever joined sees the answer, though the first never looked.
    let flight = submitted();
    let Found::Joined(other, waiting) = rig.find(&inputs, &[0]) else { panic!("it flies") };
    assert_eq!(rig.cache.waiting(), 1);
    rig.reply(Ok((vec![row(&[2])], StageTimes::default())));
    assert_eq!(outputs(poll(other)), Some(vec![row(&[2])]));
    drop((waiting, flight));
    assert_eq!((flies(), rig.cache.waiting(), rig.cache.entries()), (false, 0, 1));
}

#[test]
fn a_full_queue_and_too_many_who_wait_leave_nothing_behind() {
    let rig = rig(1 << 20, digest::digest);
    let key = |byte| rig.cache.key(&[Some(row(&[byte]))], &[0]).expect("small");
    let refused = rig.cache.find(key(1), |_| Err(JoinError::Full));
    assert!(matches!(refused, Err(JoinError::Full)) && rig.cache.flights.lock().is_empty());
    let found: Vec<Found> = (0..=WAITING_MAX).map(|_| rig.find(&[Some(row(&[1]))], &[0])).collect();
    assert_eq!(rig.cache.waiting(), WAITING_MAX);
    let refused = rig.cache.find(key(1), |_| panic!("it flies"));
    assert!(matches!(refused, Err(JoinError::Full)));
    drop(found);
    assert_eq!((rig.cache.waiting(), rig.queue.depth()), (0, 0));
    assert!(rig.cache.flights.lock().is_empty());
}

/// The memory of a body, with a handle by which the test sees whether it is gone.
struct Body(Arc<[u8]>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[test]
fn what_is_kept_keeps_neither_the_body_nor_a_joint_output() {
    let rig = rig(1 << 20, digest::digest);
    let memory: Arc<[u8]> = vec![3; 4096].into();
    let part = || Bytes::from_owner(Body(memory.clone())).slice(8..16);
    let shape = Shape::new(&[8]).expect("few");
    let shared = || Tensor::new(Datatype::Uint8, shape.clone(), part()).expect("fits");
    rig.run(&[Some(shared())], &shared());
    assert_eq!(Arc::strong_count(&memory), 1);
    assert_eq!(rig.kept(&[Some(row(&[3; 8]))]), Some(vec![row(&[3; 8])]));
}

#[test]
fn entries_that_are_too_large_are_not_kept() {
    let rig = rig(64 << 10, digest::digest);
    let largest = rig.cache.entry_bytes_max;
    assert!(rig.cache.key(&[Some(row(&vec![1; largest]))], &[0]).is_none());
    // Together they are too large.
    rig.run(&[Some(row(&vec![1; largest / 2]))], &row(&vec![1; largest / 2]));
    assert_eq!(rig.cache.entries(), 0);
    // One of the largest size has room in any part of the cache.
    for byte in 0..32 {
        let inputs = [Some(row(&vec![byte; largest - 1024]))];
        rig.run(&inputs, &row(&[byte]));
        assert_eq!(rig.kept(&inputs), Some(vec![row(&[byte])]));
    }
    let huge = self::rig(64 << 30, digest::digest);
    assert_eq!(huge.cache.entry_bytes_max, ENTRY_BYTES_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However requests come: the bound holds, entries are counted right, and what is found is right.
    #[test]
    fn the_bound_holds_and_every_answer_is_that_of_its_request(
        requests in proptest::collection::vec((0_u8..60, 0_usize..12_000), 1..200),
        bytes_max in (64_usize << 10)..(256 << 10),
        collides in any::<bool>(),
    ) {
        let rig = rig(bytes_max, if collides { colliding } else { digest::digest });
        // The size belongs to the number, so that requests come again.
        let size_of: std::collections::BTreeMap<u8, usize> = requests.iter().copied().collect();
        for (number, _) in requests {
            let inputs = [Some(row(&vec![number; size_of[&number]]))];
            let answer = row(&[number, 1]);
            let Some(key) = rig.cache.key(&inputs, &[0]) else { continue };
            match rig.cache.answer(&key) {
                Some(kept) => prop_assert_eq!(kept, vec![answer]),
                None => rig.run(&inputs, &answer),
            }
            prop_assert!(rig.cache.bytes() <= bytes_max as u64);
            let kept: Vec<Arc<Kept>> = rig.cache.kept.iter().map(|(_, kept)| kept).collect();
            let bytes: usize = kept.iter().map(|kept| kept::bytes(&kept.key, &kept.outputs)).sum();
            prop_assert_eq!((kept.len(), bytes as u64), (rig.cache.entries(), rig.cache.bytes()));
        }
        let (gone, entries) = (rig.cache.metrics.evictions.get(), rig.cache.entries());
        prop_assert!(gone == 0 || entries > 0);
        rig.cache.clear();
        prop_assert_eq!((rig.cache.entries(), rig.cache.bytes()), (0, 0));
    }
}
