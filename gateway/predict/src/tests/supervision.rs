//! Sessions that panic: who is told, who answers, and what serves afterwards.

use pointsman_core::Code;

use super::rig::{Rig, code, request};
use super::until;

#[tokio::test]
async fn a_panic_of_a_session_is_one_failed_request() {
    let rig = Rig::new(4);
    rig.script.change(|state| state.panics = true);
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    assert_eq!(rig.counted("pointsman_worker_panics_total"), 1);
    // The one that panicked is gone, on the worker's thread.
    let (freed_by, asked_again) = rig.script.change(|state| (state.freed_by.clone(), state.asked_again));
    assert_eq!((freed_by, asked_again), (vec!["run-2-m".to_owned()], 1));
}

#[tokio::test]
async fn runs_of_a_session_that_replaced_another_can_be_interrupted() {
    let rig = Rig::new(4);
    rig.script.change(|state| state.panics = true);
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    let gone = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    gone.abort();
    rig.script.wait_for_async(|state| !state.running && state.terminated.is_none()).await;
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_session_that_panics_when_it_is_freed_is_replaced_too() {
    let mut rig = Rig::new(4);
    rig.script.change(|state| (state.panics, state.panics_when_freed) = (true, true));
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    rig.publisher.publish([].into());
    rig.script.wait_for_async(|state| state.gone == 1).await;
}

#[tokio::test]
async fn while_one_worker_has_no_session_the_others_answer() {
    let rig = Rig::with_workers(16, 2);
    rig.script.change(|state| (state.panics, state.refuses) = (true, true));
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    rig.script.wait_for_async(|state| state.asked_again > 0).await;
    rig.script.change(|state| state.open = true);
    for _ in 0..100 {
        assert!(rig.ask(request(1)).await.unwrap().is_ok());
    }
    assert_eq!(rig.script.change(|state| state.freed_by.len()), 1, "no other session was lost");
}

#[tokio::test]
async fn where_no_worker_has_a_session_callers_are_told_until_there_is_one() {
    let rig = Rig::with_workers(16, 2);
    rig.script.change(|state| state.refuses = true);
    for _ in 0..2 {
        rig.script.change(|state| state.panics = true);
        assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    }
    rig.script.change(|state| state.open = true);
    for _ in 0..10 {
        assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    }
    assert_eq!(rig.script.runs(), 2, "only the two that panicked were run");
    // Both are replaced: what keeps a worker from it does not keep it for ever.
    let given = rig.script.change(|state| {
        state.refuses = false;
        state.asked_again + 2
    });
    rig.script.wait_for_async(move |state| state.asked_again >= given).await;
    let answered = async || rig.ask(request(1)).await.unwrap().is_ok();
    while !answered().await {}
    assert!(answered().await);
}

/// What is queued is answered, though no worker ever gets a session again, and nothing keeps the version.
#[tokio::test]
async fn a_version_that_goes_without_any_session_leaves_nobody_waiting() {
    let mut rig = Rig::new(16);
    rig.script.change(|state| state.refuses = true);
    let running = rig.ask(request(1));
    rig.script.wait_for_async(|state| state.running).await;
    let queued: Vec<_> = (0..8).map(|_| rig.ask(request(1))).collect();
    let version = rig.version();
    until(|| version.queue_depth() == 8).await;
    drop(version);
    rig.publisher.publish([].into());
    rig.script.change(|state| state.panics = true);
    assert_eq!(code(running.await.unwrap()), Code::SessionFailed);
    for request in queued {
        assert_eq!(code(request.await.unwrap()), Code::SessionFailed);
    }
    rig.script.wait_for_async(|state| state.gone == 1).await;
    assert_eq!(rig.script.change(|state| state.freed_by.len()), 1);
}

#[tokio::test]
async fn a_version_that_keeps_crashing_is_reported_every_fifth_time() {
    let rig = Rig::new(4);
    for _ in 0..11 {
        rig.script.change(|state| state.panics = true);
        assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    }
    until(|| rig.counted("pointsman_worker_panics_total") == 11).await;
    assert_eq!(rig.script.change(|state| state.crashing.clone()), [5, 10]);
}

/// One panic is enough, where nothing takes the session's place.
#[tokio::test]
async fn a_session_that_cannot_be_replaced_is_reported_as_well() {
    let rig = Rig::new(4);
    rig.script.change(|state| (state.panics, state.refuses) = (true, true));
    assert_eq!(code(rig.ask(request(1)).await.unwrap()), Code::SessionFailed);
    rig.script.wait_for_async(|state| state.crashing == [5]).await;
}

#[tokio::test]
async fn a_version_is_gone_once_its_last_session_is_freed() {
    let mut rig = Rig::with_workers(4, 3);
    let kept = rig.version();
    rig.publisher.publish([].into());
    assert_eq!(rig.script.change(|state| (state.freed_by.len(), state.gone)), (0, 0));
    drop(kept);
    rig.script.wait_for_async(|state| state.gone > 0).await;
    assert_eq!(rig.script.change(|state| (state.freed_by.len(), state.gone)), (3, 1));
}
