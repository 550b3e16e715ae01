//! Equal requests: what is kept, and runs that several wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pointsman_core::{PredictRequest, VersionNumber};
use prometheus_client::registry::Registry;

use super::plus_one::{Asked, Sums, answer, ask, batched, behind_one, data_path_over, predict, rows, short};
use super::{rig, until};
use crate::{Metrics, Predictor, ResponseCache, RunLimits, Version, VersionSpec};

const CACHE_BYTES: usize = 64 << 10;

/// A data path whose version has a cache.
fn cached(limits: RunLimits, queue_max: usize) -> (Predictor, Arc<Sums>, Arc<Version>) {
    let spec = rig::spec(VersionNumber::new(2).expect("above zero"), queue_max);
    data_path_over(VersionSpec { limits, cache_bytes_max: Some(CACHE_BYTES), ..spec })
}

fn cache_of(version: &Arc<Version>) -> &Arc<ResponseCache> {
    version.cache().expect("a cache")
}

/// What was found in the cache, and what not.
fn looked(version: &Arc<Version>) -> (u64, u64) {
    let statistics = version.record().statistics();
    (statistics.cache_hit.read().0, statistics.cache_miss.read().0)
}

/// Requests that are equal, the first of which runs while the others wait for it.
async fn joined(
    predictor: &Predictor,
    sums: &Arc<Sums>,
    version: &Arc<Version>,
    row: u8,
    count: usize,
) -> Vec<Asked> {
    let first = ask(predictor, rows(&[row]));
    sums.wait_for(|state| state.waiting == 1).await;
    let others = (1..count).map(|_| ask(predictor, rows(&[row])));
    let asked = std::iter::once(first).chain(others).collect();
    until(|| cache_of(version).waiting() == count - 1).await;
    asked
}

fn within(time: Duration, request: PredictRequest) -> PredictRequest {
    PredictRequest { deadline: Some(Instant::now() + time), ..request }
}

#[tokio::test]
async fn an_equal_request_is_answered_without_a_run() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    sums.change(|state| state.open = true);
    let first = predict(predictor.clone(), rows(&[1, 2])).await.expect("an answer");
    let again = predict(predictor.clone(), rows(&[1, 2])).await.expect("an answer");
    assert_eq!(first.outputs[0].tensor, again.outputs[0].tensor);
    assert_eq!((first.times.cached, first.times.batch_requests), (false, 1));
    assert!(again.times.cached);
    assert_eq!(
        (again.times.batch_requests, again.times.queue, again.times.run),
        (0, Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(answer(ask(&predictor, rows(&[2, 1]))).await, Ok(vec![3, 2]));
    assert_eq!(sums.runs(), [vec![1, 2], vec![2, 1]]);

    let statistics = version.record().statistics();
    assert_eq!((looked(&version), statistics.success.read().0), ((1, 2), 3));
    assert_eq!((statistics.executions.read().0, statistics.run.read().0, statistics.rows()), (2, 2, 4));
    assert_eq!(cache_of(&version).entries(), 2);
}

#[tokio::test]
async fn a_version_without_a_cache_runs_everything() {
    let (predictor, sums, version) = super::plus_one::data_path(RunLimits::default(), 8);
    sums.change(|state| state.open = true);
    for _ in 0..2 {
        assert_eq!(answer(ask(&predictor, rows(&[1]))).await, Ok(vec![2]));
    }
    assert_eq!((sums.runs().len(), looked(&version)), (2, (0, 0)));
    assert!(version.cache().is_none());
}

#[tokio::test]
async fn equal_requests_share_one_run() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let asked = joined(&predictor, &sums, &version, 7, 8).await;
    assert_eq!(version.queue_depth(), 0, "those who wait take no places");
    sums.change(|state| state.open = true);
    for asked in asked {
        assert_eq!(answer(asked).await, Ok(vec![8]));
    }
    assert_eq!((sums.runs(), looked(&version)), (vec![vec![7]], (7, 1)));
    assert_eq!(cache_of(&version).waiting(), 0);
}

#[tokio::test]
async fn the_one_that_is_run_may_leave_without_harm_to_others() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let mut asked = joined(&predictor, &sums, &version, 7, 3).await;
    for leaves in 0..2 {
        let gone = asked.remove(0);
        gone.abort();
        assert!(gone.await.expect_err("is aborted").is_cancelled());
        assert!(!sums.interrupted.load(Ordering::SeqCst), "somebody waits when {leaves} left");
    }
    sums.change(|state| state.open = true);
    assert_eq!(answer(asked.remove(0)).await, Ok(vec![8]));
    assert_eq!(sums.runs(), [vec![7]]);
    assert_eq!(cache_of(&version).entries(), 1, "whoever waited last keeps the answer");
}

#[tokio::test]
async fn a_run_for_which_nobody_waits_any_more_ends() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    for asked in joined(&predictor, &sums, &version, 7, 3).await {
        asked.abort();
        assert!(asked.await.expect_err("is aborted").is_cancelled());
    }
    // Only once its run has ended does the worker take the next.
    let next = ask(&predictor, rows(&[7]));
    sums.wait_for(|state| state.waiting == 2).await;
    sums.change(|state| state.open = true);
    assert_eq!(answer(next).await, Ok(vec![8]));
    assert_eq!((cache_of(&version).waiting(), cache_of(&version).entries()), (0, 1));
}

#[tokio::test]
async fn the_one_that_is_queued_may_leave_without_harm_to_others() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let mut asked = behind_one(&predictor, &sums, &version, &[&[7]]).await;
    let other = ask(&predictor, rows(&[7]));
    until(|| cache_of(&version).waiting() == 1).await;
    let queued = asked.pop().expect("two");
    queued.abort();
    assert!(queued.await.expect_err("is aborted").is_cancelled());
    assert_eq!(version.queue_depth(), 1, "it keeps its place for the other");
    sums.change(|state| state.open = true);
    assert_eq!(answer(other).await, Ok(vec![8]));
    assert_eq!(answer(asked.pop().expect("one")).await, Ok(vec![1]));
    assert_eq!(sums.runs(), [vec![0], vec![7]]);
}

#[tokio::test]
async fn a_queued_one_for_which_nobody_waits_never_runs() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let mut asked = behind_one(&predictor, &sums, &version, &[&[7]]).await;
    asked.push(ask(&predictor, rows(&[7])));
    until(|| cache_of(&version).waiting() == 1).await;
    for gone in asked.split_off(1) {
        gone.abort();
        assert!(gone.await.expect_err("is aborted").is_cancelled());
    }
    assert_eq!(version.queue_depth(), 0);
    sums.change(|state| state.open = true);
    assert_eq!(answer(asked.remove(0)).await, Ok(vec![1]));
    assert_eq!(sums.runs(), [vec![0]]);
}

#[tokio::test]
async fn each_waits_under_its_own_deadline() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let first = ask(&predictor, rows(&[7]));
    sums.wait_for(|state| state.waiting == 1).await;
    let hasty = ask(&predictor, within(Duration::from_millis(1), rows(&[7])));
    let patient = ask(&predictor, rows(&[7]));
    assert_eq!(answer(hasty).await, Err("DEADLINE_EXCEEDED".to_owned()));
    until(|| cache_of(&version).waiting() == 1).await;
    sums.change(|state| state.open = true);
    assert_eq!((answer(first).await, answer(patient).await), (Ok(vec![8]), Ok(vec![8])));
    assert_eq!((sums.runs(), looked(&version)), (vec![vec![7]], (1, 1)));
}

#[tokio::test]
async fn the_deadline_of_the_one_that_is_run_is_nobody_elses() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let first = ask(&predictor, within(Duration::from_millis(50), rows(&[7])));
    sums.wait_for(|state| state.waiting == 1).await;
    let other = ask(&predictor, rows(&[7]));
    until(|| cache_of(&version).waiting() == 1).await;
    assert_eq!(answer(first).await, Err("DEADLINE_EXCEEDED".to_owned()));
    sums.change(|state| state.open = true);
    assert_eq!(answer(other).await, Ok(vec![8]));
    assert_eq!(sums.runs(), [vec![7]], "the run went on");
}

#[tokio::test]
async fn whoever_joined_one_that_expired_in_the_queue_is_run_alone() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let busy = ask(&predictor, rows(&[0]));
    sums.wait_for(|state| state.waiting == 1).await;
    let expiring = ask(&predictor, within(Duration::from_millis(50), rows(&[7])));
    until(|| version.queue_depth() == 1).await;
    let other = ask(&predictor, rows(&[7]));
    until(|| cache_of(&version).waiting() == 1).await;
    assert_eq!(answer(expiring).await, Err("DEADLINE_EXCEEDED".to_owned()));
    sums.change(|state| state.open = true);
    assert_eq!((answer(busy).await, answer(other).await), (Ok(vec![1]), Ok(vec![8])));
    assert_eq!((sums.runs(), looked(&version)), (vec![vec![0], vec![7]], (0, 3)));
}

#[tokio::test]
async fn whoever_joined_a_run_that_failed_is_run_alone() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    let asked = joined(&predictor, &sums, &version, 7, 3).await;
    sums.change(|state| (state.failing, state.open) = (1, true));
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(answer(asked).await);
    }
    assert_eq!(answers, [Err("SESSION_FAILED".to_owned()), Ok(vec![8]), Ok(vec![8])]);
    assert_eq!((sums.runs().len(), cache_of(&version).entries()), (3, 0), "the others ran past the cache");
}

#[tokio::test]
async fn errors_are_not_kept() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    sums.change(|state| state.open = true);
    for row in [99, 100, 99, 100] {
        assert!(answer(ask(&predictor, rows(&[row]))).await.is_err());
    }
    assert_eq!((sums.runs().len(), cache_of(&version).entries(), looked(&version)), (4, 0, (0, 4)));
}

#[tokio::test]
async fn as_many_wait_for_runs_of_others_as_in_the_queue() {
    let (predictor, sums, version) = cached(RunLimits::default(), 2);
    let asked = joined(&predictor, &sums, &version, 7, 3).await;
    assert_eq!(answer(ask(&predictor, rows(&[7]))).await, Err("QUEUE_FULL".to_owned()));
    let queued = [ask(&predictor, rows(&[1])), ask(&predictor, rows(&[2]))];
    until(|| version.queue_depth() == 2).await;
    assert_eq!(answer(ask(&predictor, rows(&[3]))).await, Err("QUEUE_FULL".to_owned()));
    sums.change(|state| state.open = true);
    for asked in asked.into_iter().chain(queued) {
        assert!(answer(asked).await.is_ok());
    }
    assert_eq!(answer(ask(&predictor, rows(&[3]))).await, Ok(vec![4]), "who was refused can come again");
}

#[tokio::test]
async fn one_that_is_too_large_for_an_entry_is_run_each_time() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    sums.change(|state| state.open = true);
    for _ in 0..2 {
        assert!(answer(ask(&predictor, rows(&[1; CACHE_BYTES / 8]))).await.is_ok());
        // Its answer is what makes this one too large.
        assert!(answer(ask(&predictor, rows(&[1; CACHE_BYTES / 12]))).await.is_ok());
    }
    assert_eq!((sums.runs().len(), looked(&version), cache_of(&version).entries()), (4, (0, 2), 0));
}

#[tokio::test]
async fn short_runs_and_runs_together_are_kept_row_by_row() {
    for limits in [short(), batched()] {
        let (predictor, sums, version) = cached(limits, 64);
        sums.change(|state| state.open = true);
        for _ in 0..2 {
            let asked: Vec<Asked> = (0..6).map(|row| ask(&predictor, rows(&[row]))).collect();
            for (row, asked) in (1..).zip(asked) {
                assert_eq!(answer(asked).await, Ok(vec![row]));
            }
        }
        assert_eq!(looked(&version), (6, 6));
        assert_eq!(sums.runs().concat().len(), 6);
    }
}

#[tokio::test]
async fn a_cache_is_emptied_by_the_workers_of_its_version() {
    let (predictor, sums, version) = cached(RunLimits::default(), 8);
    sums.change(|state| state.open = true);
    assert_eq!(answer(ask(&predictor, rows(&[1]))).await, Ok(vec![2]));
    let (cache, metrics) = (cache_of(&version).clone(), predictor.metrics().clone());
    assert_eq!(cache.entries(), 1);
    assert!(cache.bytes() > 0);
    drop((predictor, version));
    until(|| metrics.workers() == 0).await;
    assert_eq!((cache.entries(), cache.bytes()), (0, 0));
}

#[test]
fn the_series_of_a_cache_go_with_those_of_its_version() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let series = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        text.lines().filter(|line| line.starts_with("pointsman_cache_")).count()
    };
    let number = VersionNumber::new(2).expect("above zero");
    let counting = metrics.record(&rig::model(), number);
    assert_eq!(series(), 0, "there are none without a cache");
    metrics.cache(&rig::model(), number).hits.inc();
    assert_eq!(series(), 4);
    drop(counting);
    assert!(metrics.forget(&rig::model(), number));
    assert_eq!(series(), 0);
}

/// Everybody gets their own answer, however requests come, leave and fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kept_or_shared_answer_goes_to_the_wrong_caller() {
    for limits in [RunLimits::default(), batched(), short()] {
        let (predictor, sums, version) = cached(limits, 4096);
        sums.change(|state| state.open = true);
        let mut asked = Vec::new();
        for caller in 0..3000_u32 {
            // Few different ones, so that they meet, and large enough that some go.
            let row = (caller * 7 % 40) as u8;
            let own = vec![row; 1 + usize::from(row) * 20];
            let handle = ask(&predictor, rows(&own));
            match caller % 11 {
                0 => handle.abort(),
                1 => sums.change(|state| state.failing = 1),
                _ => {}
            }
            asked.push((own, handle));
            if caller % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut answered = 0;
        for (own, handle) in asked {
            let Ok(answer) = handle.await else { continue };
            let Ok(answer) = answer else { continue };
            let expected: Vec<u8> = own.iter().map(|row| row + 1).collect();
            assert_eq!(answer.outputs[0].tensor.data().to_vec(), expected);
            answered += 1;
        }
        assert!(answered > 2000, "{answered}");
        let cache = cache_of(&version);
        assert_eq!((version.queue_depth(), cache.waiting()), (0, 0));
        assert!(cache.bytes() <= CACHE_BYTES as u64 && looked(&version).0 > 0);
    }
}
