//! The data path with sessions that do what a test says, and no runtime.

mod batching;
mod caching;
mod plus_one;
mod retirement;
mod rig;
mod schema;
mod shadow_rig;
mod shadows;
mod splits;
mod supervision;
mod swaps;

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use pointsman_core::{Code, PredictRequest, VersionSelector};

use self::rig::{Rig, code, request};

#[tokio::test]
async fn an_answer_says_which_version_made_it() {
    let rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    for (version, arm) in [("", "default"), ("2", "direct"), ("best", "direct")] {
        let asked = PredictRequest { version: VersionSelector::parse(version).unwrap(), ..request(3) };
        let answer = rig.ask(asked).await.unwrap().unwrap();
        assert_eq!((answer.model.as_str(), answer.version.get(), answer.arm.name()), ("m", 2, arm));
        assert_eq!(&*answer.outputs[0].name, "y");
        assert_eq!(answer.outputs[0].tensor.data().as_ref(), [7; 3]);
    }
}

#[tokio::test]
async fn what_nobody_serves_is_refused() {
    let rig = Rig::new(4);
    let asked = |model: &str, version: &str| PredictRequest {
        model: model.into(),
        version: VersionSelector::parse(version).unwrap(),
        ..request(1)
    };
    assert_eq!(code(rig.ask(asked("n", "")).await.unwrap()), Code::UnknownModel);
    assert_eq!(code(rig.ask(asked("m", "3")).await.unwrap()), Code::UnknownVersion);
    assert_eq!(code(rig.ask(asked("m", "worst")).await.unwrap()), Code::UnknownVersion);
    assert_eq!(code(rig.ask(request(9)).await.unwrap()), Code::InputMismatch);
    assert_eq!(rig.script.runs(), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let rig = Rig::new(1);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let queued = rig.ask(request(1));
    let version = rig.version();
    until(|| version.queue_depth() == 1).await;
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::QueueFull);
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok() && queued.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_request_whose_caller_left_the_queue_never_runs() {
    let rig = Rig::new(4);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let gone = rig.ask(request(1));
    let version = rig.version();
    until(|| version.queue_depth() == 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok());
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    assert_eq!(rig.script.runs(), 2);
}

#[tokio::test]
async fn a_run_whose_caller_left_is_interrupted_and_the_worker_goes_on() {
    let rig = Rig::new(4);
    let gone = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    rig.script.wait_for_async(|state| !state.running && state.terminated.is_none()).await;
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
}

#[tokio::test]
async fn deadlines_reach_the_queue_and_the_run() {
    let rig = Rig::new(4);
    let within = |time| PredictRequest { deadline: Some(Instant::now() + time), ..request(1) };
    assert_eq!(code(rig.ask(within(Duration::ZERO)).await.unwrap()), Code::DeadlineExceeded);
    assert_eq!(rig.script.runs(), 0);

    let running = rig.ask(within(Duration::from_millis(50)));
    rig.script.wait_for_async(|state| state.running).await;
    let queued = rig.ask(within(Duration::from_millis(1)));
    assert_eq!(code(queued.await.unwrap()), Code::DeadlineExceeded);
    assert_eq!(code(running.await.unwrap()), Code::DeadlineExceeded);
    rig.script.wait_for_async(|state| !state.running && state.terminated.is_none()).await;
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    assert_eq!(rig.script.runs(), 2, "the expired one in the queue was not run");
}

#[tokio::test]
async fn a_withdrawn_version_answers_what_it_accepted_and_frees_its_session_itself() {
    let mut rig = Rig::new(4);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let version = rig.version();
    let queued = rig.ask(request(1));
    until(|| version.queue_depth() == 1).await;
    drop(version);
    rig.publisher.publish(HashMap::new());
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::UnknownModel);
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok() && queued.await.unwrap().is_ok());
    rig.script.wait_for_async(|state| !state.freed_by.is_empty()).await;
    assert_eq!(rig.script.change(|state| state.freed_by.clone()), ["run-2-m"]);
}

#[tokio::test]
async fn every_request_has_one_outcome() {
    let rig = Rig::new(1);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let gone = rig.ask(request(1));
    let version = rig.version();
    until(|| version.queue_depth() == 1).await;
    let full = rig.ask(request(1)).await.unwrap();
    assert!(full.is_err());
    gone.abort();
    assert!(gone.await.is_err());
    rig.script.change(|state| state.open = true);
    assert!(running.await.unwrap().is_ok());
    assert_eq!(rig.counted("pointsman_requests_received_total"), 3);
    assert_eq!(rig.counted("pointsman_requests_total"), 3);
    let text = rig.metrics();
    for code in ["OK", "QUEUE_FULL", "CANCELLED"] {
        let line = text.lines().find(|l| l.contains(&format!("protocol=\"v2-rest\",code=\"{code}\"")));
        assert!(line.is_some_and(|l| l.ends_with(" 1")), "{code}: {line:?}");
    }
}

/// Yields until something holds, at most ten seconds.
fn until(holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    async move {
        while !holds() {
            assert!(Instant::now() < deadline, "it never came about");
            tokio::task::yield_now().await;
        }
    }
}
