//! Requests that are run together, by workers and on their own threads.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pointsman_core::{PredictRequest, RunTime, SizeTime};

use super::plus_one::{
    Asked, answer, ask, batched, behind_one, data_path, limits, predict, predict_for, rows, short,
};
use crate::{Driver, Priorities, RunLimits, RunTimes};

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
