//! Requests that are run together, by workers and on their own threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pointsman_core::{
    Datatype, InputTensor, Interrupt, LoadError, LoadedModel, PredictError, PredictRequest, Prediction,
    RunError, RunInputs, RunOutputs, RunTime, Session, Shape, Signature, SizeTime, Tensor, VersionNumber,
};
use prometheus_client::registry::Registry;

use super::rig::{request, served, spec};
use crate::{
    AdmissionLimits, Cores, Driver, Ground, Metrics, Outcome, Predictor, Priorities, Protocol, RunLimits,
    RunTimes, Sessions, Version, snapshot_cell,
};

/// How long a state is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the sessions do and did.
#[derive(Default)]
struct Sums {
    state: Mutex<State>,
    changed: Condvar,
    interrupted: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Runs wait until it is set.
    open: bool,
    waiting: usize,
    /// The rows of each run, with its thread.
    runs: Vec<(Vec<u8>, ThreadId)>,
}

impl Sums {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().expect("not poisoned"));
        self.changed.notify_all();
        changed
    }

    async fn wait_for(self: &Arc<Self>, reached: impl Fn(&State) -> bool + Send + 'static) {
        let sums = self.clone();
        let waited = tokio::task::spawn_blocking(move || {
            let guard = sums.state.lock().expect("not poisoned");
            let waited = sums.changed.wait_timeout_while(guard, PATIENCE, |state| !reached(state));
            waited.expect("not poisoned").1.timed_out()
        });
        assert!(!waited.await.expect("no panic"), "it never came to that");
    }

    fn runs(&self) -> Vec<Vec<u8>> {
        self.change(|state| state.runs.iter().map(|(rows, _)| rows.clone()).collect())
    }
}

/// Gives each row plus one. A row of 99 makes a run fail, one of 100 makes it panic.
struct PlusOne(Arc<Sums>);

impl Session for PlusOne {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let tensor = inputs.tensors[0].as_ref().expect("it has to come");
        let rows = tensor.data().to_vec();
        self.0.change(|state| {
            state.waiting += 1;
            state.runs.push((rows.clone(), std::thread::current().id()));
        });
        let guard = self.0.state.lock().expect("not poisoned");
        let wait = |state: &mut State| !state.open && !self.0.interrupted.load(Ordering::SeqCst);
        drop(self.0.changed.wait_timeout_while(guard, PATIENCE, wait));
        if self.0.interrupted.swap(false, Ordering::SeqCst) {
            return Err(RunError::Interrupted);
        }
        assert!(!rows.contains(&100), "as the row says");
        if rows.contains(&99) {
            return Err(RunError::Rejected("99".into()));
        }
        let sums: Vec<u8> = rows.iter().map(|row| row + 1).collect();
        Ok(vec![Tensor::new(Datatype::Uint8, tensor.shape().clone(), Bytes::from(sums)).expect("fits")])
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Switch(self.0.clone()))
    }
}

struct Switch(Arc<Sums>);

impl Interrupt for Switch {
    fn terminate(&self) {
        self.0.interrupted.store(true, Ordering::SeqCst);
        self.0.changed.notify_all();
    }

    fn reset(&self) {}
}

struct Model(Arc<Sums>);

impl LoadedModel for Model {
    fn signature(&self) -> &Signature {
        unreachable!("the version has its own")
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(PlusOne(self.0.clone())))
    }
}

/// A data path over one version of one worker.
fn data_path(limits: RunLimits, queue_max: usize) -> (Predictor, Arc<Sums>, Arc<Version>) {
    let sums = Arc::new(Sums::default());
    let metrics = Metrics::register(&mut Registry::default());
    let (mut publisher, reader) = snapshot_cell();
    let predictor = Predictor::new(reader, AdmissionLimits::default(), metrics.clone());
    let mut spec = spec(VersionNumber::new(2).expect("above zero"), queue_max);
    spec.limits = limits;
    spec.request_rows_max = None;
    let session = || Box::new(PlusOne(sums.clone())) as Box<dyn Session>;
    let inline = (spec.limits.inline_rows_max > 0).then(session);
    let sessions = Sessions { workers: vec![session()], inline };
    let model = Box::new(Model(sums.clone()));
    let version =
        Version::start(spec, model, sessions, Arc::new(()), &Ground { metrics, cores: Cores::new(2) })
            .expect("threads");
    publisher.publish(HashMap::from([(super::rig::model(), Arc::new(served(version.clone())))]));
    (predictor, sums, version)
}

/// A request of these rows.
fn rows(rows: &[u8]) -> PredictRequest {
    let shape = Shape::new(&[rows.len() as u64, 1]).expect("few dimensions");
    let tensor = Tensor::new(Datatype::Uint8, shape, Bytes::copy_from_slice(rows)).expect("fits");
    PredictRequest { inputs: vec![InputTensor { name: "x".into(), tensor }], ..request(1) }
}

async fn predict(predictor: Predictor, request: PredictRequest) -> Result<Prediction, PredictError> {
    predict_for(Driver::Task, predictor, request).await
}

async fn predict_for(
    driver: Driver,
    predictor: Predictor,
    request: PredictRequest,
) -> Result<Prediction, PredictError> {
    let mut outcome = Outcome::received(predictor.metrics(), Protocol::V2Rest);
    let pinned = predictor.pin(&request.model, &request.version, &mut outcome)?;
    let answer = predictor.predict(pinned, request, driver, &mut outcome).await;
    if let Ok(prediction) = &answer {
        outcome.ok(&prediction.times, Duration::ZERO);
    }
    answer
}

type Asked = tokio::task::JoinHandle<Result<Prediction, PredictError>>;

fn ask(predictor: &Predictor, request: PredictRequest) -> Asked {
    tokio::spawn(predict(predictor.clone(), request))
}

async fn answer(asked: Asked) -> Result<Vec<u8>, String> {
    let answer = asked.await.expect("no panic").map_err(|error| error.code().name().to_owned())?;
    Ok(answer.outputs[0].tensor.data().to_vec())
}

fn limits(batch_rows_max: u64, inline_rows_max: u64) -> RunLimits {
    RunLimits { batch_rows_max, inline_rows_max, ..RunLimits::default() }
}

fn batched() -> RunLimits {
    limits(8, 0)
}

fn short() -> RunLimits {
    limits(4, 4)
}

/// One request that keeps the worker busy, and behind it others, all of which wait.
async fn behind_one(
    predictor: &Predictor,
    sums: &Arc<Sums>,
    version: &Arc<Version>,
    all: &[&[u8]],
) -> Vec<Asked> {
    let first = ask(predictor, rows(&[0]));
    sums.wait_for(|state| state.waiting == 1).await;
    let mut asked = vec![first];
    for request in all {
        let depth = version.queue_depth();
        asked.push(ask(predictor, rows(request)));
        while version.queue_depth() == depth {
            tokio::task::yield_now().await;
        }
    }
    asked
}

#[tokio::test]
async fn what_waits_is_run_together_and_each_gets_its_own_rows() {
    let (predictor, sums, version) = data_path(batched(), 64);
    let asked = behind_one(&predictor, &sums, &version, &[&[1, 2], &[3], &[4, 5, 6, 7], &[8, 9]]).await;
    sums.change(|state| state.open = true);
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(answer(asked).await.expect("an answer"));
    }
    assert_eq!(answers, [vec![1], vec![2, 3], vec![4], vec![5, 6, 7, 8], vec![9, 10]]);
    assert_eq!(sums.runs(), [vec![0], vec![1, 2, 3, 4, 5, 6, 7], vec![8, 9]]);
    let statistics = version.record().statistics();
    assert_eq!(statistics.executions.read().0, 3);
    assert_eq!((statistics.success.read().0, statistics.rows()), (5, 10));
}

#[tokio::test]
async fn a_row_that_fails_harms_no_other() {
    let (predictor, sums, version) = data_path(batched(), 64);
    let asked = behind_one(&predictor, &sums, &version, &[&[1], &[99], &[2]]).await;
    sums.change(|state| state.open = true);
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(answer(asked).await);
    }
    assert_eq!(answers, [Ok(vec![1]), Ok(vec![2]), Err("INPUT_REJECTED".to_owned()), Ok(vec![3])]);
    assert_eq!(sums.runs(), [vec![0], vec![1, 99, 2], vec![1], vec![99], vec![2]]);
}

#[tokio::test]
async fn a_row_that_makes_the_session_panic_costs_one_answer() {
    let (predictor, sums, version) = data_path(batched(), 64);
    let asked = behind_one(&predictor, &sums, &version, &[&[1], &[100], &[2]]).await;
    sums.change(|state| state.open = true);
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(answer(asked).await);
    }
    assert_eq!(answers, [Ok(vec![1]), Ok(vec![2]), Err("SESSION_FAILED".to_owned()), Ok(vec![3])]);
}

#[tokio::test]
async fn a_run_goes_on_while_anybody_waits_for_it() {
    let (predictor, sums, version) = data_path(batched(), 64);
    let mut asked = behind_one(&predictor, &sums, &version, &[&[1], &[2]]).await;
    let (third, second, first) = (asked.pop().expect("3"), asked.pop().expect("2"), asked.pop().expect("1"));
    // The first one leaves: its run ends, and the others are run together.
    first.abort();
    sums.wait_for(|state| state.waiting == 2).await;
    second.abort();
    assert!(second.await.expect_err("is aborted").is_cancelled());
    assert!(!sums.interrupted.load(Ordering::SeqCst), "somebody waits");
    third.abort();
    assert!(third.await.expect_err("is aborted").is_cancelled());
    let last = ask(&predictor, rows(&[7]));
    sums.wait_for(|state| state.waiting == 3).await;
    sums.change(|state| state.open = true);
    assert_eq!(answer(last).await, Ok(vec![8]));
    assert_eq!(sums.runs(), [vec![0], vec![1, 2], vec![7]]);
}

#[tokio::test]
async fn other_shapes_and_outputs_are_run_apart() {
    let (predictor, sums, version) = data_path(limits(4, 0), 64);
    let asked = behind_one(&predictor, &sums, &version, &[&[1], &[2, 3, 4, 5], &[6], &[]]).await;
    sums.change(|state| state.open = true);
    for asked in asked {
        answer(asked).await.expect("an answer");
    }
    // A request as large as a batch, and one without rows, go alone.
    assert_eq!(sums.runs(), [vec![0], vec![1], vec![2, 3, 4, 5], vec![6], vec![]]);
}

#[tokio::test]
async fn a_short_run_happens_on_the_thread_of_its_request() {
    let (predictor, sums, _version) = data_path(short(), 64);
    sums.change(|state| state.open = true);
    // On the test's own thread: `block_on` drives it.
    let prediction = predict(predictor.clone(), rows(&[1, 2])).await.expect("an answer");
    assert_eq!(prediction.outputs[0].tensor.data().to_vec(), [2, 3]);
    // What is longer is the worker's.
    let prediction = predict(predictor, rows(&[1, 2, 3, 4, 5])).await.expect("an answer");
    assert_eq!(prediction.outputs[0].tensor.data().to_vec(), [2, 3, 4, 5, 6]);
    let threads = sums.change(|state| state.runs.iter().map(|(_, thread)| *thread).collect::<Vec<_>>());
    assert_eq!(threads[0], std::thread::current().id());
    assert_ne!(threads[1], std::thread::current().id());
}

#[tokio::test]
async fn requests_that_are_ready_on_one_thread_are_run_together_there() {
    let (predictor, sums, version) = data_path(short(), 64);
    sums.change(|state| state.open = true);
    let asked: Vec<Asked> = (0..6).map(|row| ask(&predictor, rows(&[row]))).collect();
    for (row, asked) in (1..).zip(asked) {
        assert_eq!(answer(asked).await, Ok(vec![row]));
    }
    assert_eq!(sums.runs(), [vec![0, 1, 2, 3], vec![4, 5]]);
    assert_eq!(version.queue_depth(), 0);
}

#[tokio::test]
async fn a_request_that_leads_and_leaves_leaves_nobody_behind() {
    let (predictor, sums, _version) = data_path(short(), 64);
    sums.change(|state| state.open = true);
    let mut first = Box::pin(predict(predictor.clone(), rows(&[1])));
    // It leads, and gives way once.
    assert!(futures_poll(&mut first).is_none());
    let second = ask(&predictor, rows(&[2]));
    let third = ask(&predictor, rows(&[3]));
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!((answer(second).await, answer(third).await), (Ok(vec![3]), Ok(vec![4])));
    assert!(!sums.runs().concat().contains(&1), "what was taken back is not run");
}

#[tokio::test]
async fn a_request_that_leads_and_is_not_polled_is_run_all_the_same() {
    let (predictor, sums, _version) = data_path(short(), 64);
    sums.change(|state| state.open = true);
    let mut first = Box::pin(predict_for(Driver::Reader, predictor.clone(), rows(&[1])));
    assert!(futures_poll(&mut first).is_none());
    // This one is left to it.
    assert_eq!(answer(ask(&predictor, rows(&[2]))).await, Ok(vec![3]));
    assert_eq!(sums.runs(), [vec![1, 2]]);
    assert_eq!(first.await.expect("an answer").outputs[0].tensor.data().to_vec(), [2]);
}

/// Polls once.
fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_panic_on_the_thread_of_a_request_leaves_the_rest_to_the_workers() {
    let (predictor, sums, version) = data_path(short(), 64);
    sums.change(|state| state.open = true);
    let asked: Vec<Asked> = [1, 100, 2].iter().map(|&row| ask(&predictor, rows(&[row]))).collect();
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(answer(asked).await);
    }
    assert_eq!(answers, [Ok(vec![2]), Err("SESSION_FAILED".to_owned()), Ok(vec![3])]);
    // From now on the workers run everything.
    let here = std::thread::current().id();
    let before = sums.runs().len();
    assert_eq!(answer(ask(&predictor, rows(&[5]))).await, Ok(vec![6]));
    assert!(sums.change(|state| state.runs[before..].iter().all(|(_, thread)| *thread != here)));
    drop(version);
}

/// Everybody gets their own answer, however requests come, leave and fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_goes_to_the_wrong_caller() {
    for limits in [batched(), short(), limits(32, 2)] {
        let (predictor, sums, version) = data_path(limits, 4096);
        sums.change(|state| state.open = true);
        let mut asked = Vec::new();
        for caller in 0..2000_u32 {
            let own: Vec<u8> = (0..=caller % 3).map(|row| ((caller * 7 + row) % 98) as u8).collect();
            let handle = ask(&predictor, rows(&own));
            if caller % 11 == 0 {
                handle.abort();
            } else {
                asked.push((own, handle));
            }
            if caller % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for (own, handle) in asked {
            let expected: Vec<u8> = own.iter().map(|row| row + 1).collect();
            assert_eq!(answer(handle).await, Ok(expected));
        }
        let counted = BTreeMap::from([("depth", version.queue_depth())]);
        assert_eq!(counted["depth"], 0);
    }
}

#[tokio::test]
async fn a_request_of_many_rows_is_cut_and_put_together_again() {
    let (predictor, sums, version) = data_path(RunLimits { part_rows_max: Some(4), ..batched() }, 64);
    sums.change(|state| state.open = true);
    let many: Vec<u8> = (0..10).collect();
    let prediction = predict(predictor.clone(), rows(&many)).await.expect("an answer");
    let output = &prediction.outputs[0].tensor;
    assert_eq!(output.data().to_vec(), (1..11).collect::<Vec<u8>>());
    assert_eq!(output.shape().dims(), [10, 1]);
    assert_eq!(sums.runs(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    // One row that is refused is the whole request's.
    assert_eq!(answer(ask(&predictor, rows(&[1, 2, 3, 4, 99, 6]))).await, Err("INPUT_REJECTED".into()));
    assert_eq!(answer(ask(&predictor, rows(&[1, 2, 3, 4, 100, 6]))).await, Err("SESSION_FAILED".into()));
    assert_eq!(answer(ask(&predictor, rows(&[1, 2, 3, 4, 5]))).await, Ok(vec![2, 3, 4, 5, 6]));
    assert_eq!(version.record().statistics().rows(), 15);
}

#[tokio::test]
async fn what_is_cut_ends_between_its_parts_where_nobody_waits() {
    let (predictor, sums, _version) = data_path(RunLimits { part_rows_max: Some(1), ..limits(2, 0) }, 64);
    let asked = ask(&predictor, rows(&[1, 2, 3]));
    sums.wait_for(|state| state.waiting == 1).await;
    asked.abort();
    assert!(asked.await.expect_err("it was taken back").is_cancelled());
    sums.change(|state| state.open = true);
    assert_eq!(answer(ask(&predictor, rows(&[7]))).await, Ok(vec![8]));
    assert_eq!(sums.runs(), [vec![1], vec![7]]);
}

#[tokio::test]
async fn a_run_that_cannot_end_in_time_is_not_begun() {
    let second = Duration::from_secs(1);
    let run_time = RunTime { median: second, spread: Duration::ZERO, runs: 9 };
    let run_times = RunTimes::new(&[SizeTime { rows: 1, run_time, slowest: second }]);
    let (predictor, sums, version) = data_path(RunLimits { run_times, ..RunLimits::default() }, 64);
    let within = |row, time| PredictRequest { deadline: Some(Instant::now() + time), ..rows(&[row]) };
    let hopeless = ask(&predictor, within(1, second / 2));
    assert_eq!(answer(hopeless).await, Err("DEADLINE_EXCEEDED".into()));
    // This one could, were it not for the one before it.
    let busy = ask(&predictor, rows(&[2]));
    sums.wait_for(|state| state.waiting == 1).await;
    let deadline = Instant::now() + second + second / 20;
    let late = ask(&predictor, PredictRequest { deadline: Some(deadline), ..rows(&[3]) });
    while version.queue_depth() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep_until((deadline - second).into()).await;
    sums.change(|state| state.open = true);
    assert_eq!((answer(busy).await, answer(late).await), (Ok(vec![3]), Err("DEADLINE_EXCEEDED".into())));
    assert_eq!(sums.runs(), [vec![2]]);
}

#[tokio::test]
async fn the_lowest_priority_is_shed_first() {
    let priorities = Priorities { levels: 2, default: 2 };
    let (predictor, sums, version) = data_path(RunLimits { priorities, ..RunLimits::default() }, 2);
    let mut low = behind_one(&predictor, &sums, &version, &[&[1], &[2]]).await;
    let high = |row| ask(&predictor, PredictRequest { priority: 1, ..rows(&[row]) });
    let (first, second) = (high(3), high(4));
    // Both of those that waited give way, the last to come first; then there is nobody left to give way.
    assert_eq!(answer(low.pop().expect("three")).await, Err("QUEUE_FULL".into()));
    assert_eq!(answer(low.pop().expect("two")).await, Err("QUEUE_FULL".into()));
    assert_eq!(answer(high(5)).await, Err("QUEUE_FULL".into()));
    sums.change(|state| state.open = true);
    assert_eq!((answer(first).await, answer(second).await), (Ok(vec![4]), Ok(vec![5])));
    assert_eq!(answer(low.pop().expect("one")).await, Ok(vec![1]));
    assert_eq!(sums.runs(), [vec![0], vec![3], vec![4]]);
}
