//! What is measured of a version beside its load.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pointsman_core::{Batching, BatchingPolicy, RunError};

use super::bring_up::Rig;
use super::{Scripted, tensor};
use crate::loader::{Measured, Way};

/// How long is measured: runs of these models take microseconds.
const TIME: Duration = Duration::from_millis(20);

fn measure(rig: &Rig, way: Way, rows: &[u64]) -> Measured {
    let mut measurement = rig.loader.measurement(&rig.job, way, rows).expect("a good version");
    measurement.round(TIME).expect("runs end");
    measurement.end().expect("its sessions are freed")
}

fn rows(measured: &Measured) -> Vec<u64> {
    measured.costs.iter().map(|cost| cost.size.rows).collect()
}

#[test]
fn every_number_of_rows_is_run_with_the_threads_that_are_asked_for() {
    let model = Scripted::sum();
    let threads = model.threads.clone();
    let rig = Rig::new(model).golden();
    let found = measure(&rig, Way { workers: 1, threads: 3 }, &[1, 4, 64]);
    assert_eq!(threads.load(Ordering::SeqCst), 3);
    assert_eq!(found.batching, Batching::Checked { rows: 2, worst: 0.0 });
    assert_eq!(rows(&found), [1, 4, 64]);
    assert!([1, 4, 64].contains(&found.batch_rows_max));
    for cost in &found.costs {
        assert!(cost.size.run_time.runs > 0 && cost.cpu > Duration::ZERO, "{cost:?}");
    }
}

#[test]
fn workers_run_at_the_same_time() {
    let (meet, runs) = (Barrier::new(2), AtomicUsize::new(0));
    // Runs of four rows are only those that are measured; each worker begins with one for itself.
    let model = Scripted::new(move |x, rows| {
        if rows == 4 && (2..4).contains(&runs.fetch_add(1, Ordering::SeqCst)) {
            meet.wait();
        }
        Ok(vec![tensor(&[rows], x.chunks(2).map(|row| row[0] + row[1]).collect())])
    });
    let rig = Rig::new(model).golden();
    let found = measure(&rig, Way { workers: 2, threads: 1 }, &[4]);
    assert!(found.costs[0].size.run_time.runs >= 2, "{found:?}");
}

#[test]
fn rows_are_not_run_together_where_they_may_not_be() {
    let way = Way { workers: 1, threads: 1 };
    let mut rig = Rig::new(Scripted::sum()).golden();
    rig.job.settings.max_batch_size = Some(4);
    assert_eq!(rows(&measure(&rig, way, &[1, 4, 8])), [1, 4]);
    rig.job.settings.batching = BatchingPolicy::Forbid;
    assert_eq!(rows(&measure(&rig, way, &[1, 4, 8])), [1]);
    assert_eq!(rows(&measure(&rig, way, &[8])), [1]);
}

#[test]
fn nothing_is_said_of_runs_that_fail() {
    let rig = Rig::new(Scripted::new(|_, _| Err(RunError::Rejected("zeros".into()))));
    let found = measure(&rig, Way { workers: 2, threads: 1 }, &[1, 2]);
    assert_eq!((rows(&found), found.batch_rows_max), (Vec::new(), 1));
}
