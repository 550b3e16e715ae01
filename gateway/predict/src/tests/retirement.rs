//! What stays readable of a version that does not serve any more, and for how long.

use std::sync::Arc;

use pointsman_core::{Code, PredictError, VersionNumber, VersionSelector};

use super::rig::{Rig, Script, model, request, served, start};
use super::until;
use crate::Snapshot;

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).unwrap()
}

/// The versions whose records are answered for `selector`, and how often each has answered.
fn answered(snapshot: &Snapshot, selector: &str) -> Result<Vec<(u64, u64)>, Code> {
    let records = snapshot.records("m", &VersionSelector::parse(selector).unwrap());
    let records = records.map_err(|error: PredictError| error.code())?;
    Ok(records.iter().map(|r| (r.number().get(), r.statistics().success.read().0)).collect())
}

#[tokio::test]
async fn a_retired_version_stays_readable_and_goes_on_counting_when_it_comes_back() {
    let mut rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    let old = rig.version().record().clone();
    let script = Arc::new(Script::default());
    script.change(|state| state.open = true);
    let mut swapped = served(start(version(3), &script, 4, 1, rig.predictor.metrics()));
    swapped.retired.insert(old.number(), old.clone());
    rig.publish(swapped);
    rig.script.wait_for_async(|state| state.gone == 1).await;
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    let snapshot = rig.predictor.snapshots().snapshot();
    assert_eq!(answered(&snapshot, ""), Ok(vec![(2, 1), (3, 1)]));
    assert_eq!(answered(&snapshot, "2"), Ok(vec![(2, 1)]));
    assert_eq!(answered(&snapshot, "best"), Ok(vec![(3, 1)]));
    assert_eq!(answered(&snapshot, "4"), Err(Code::UnknownVersion));
    assert!(snapshot.records("n", &VersionSelector::Default).is_err());

    let mut back = served(start(version(2), &rig.script, 4, 1, rig.predictor.metrics()));
    back.retired.insert(old.number(), old);
    rig.publish(back);
    assert!(rig.ask(request(1)).await.unwrap().is_ok());
    assert_eq!(answered(&rig.predictor.snapshots().snapshot(), ""), Ok(vec![(2, 2)]));
}

/// A model none of whose versions serves has statistics where one has served.
#[tokio::test]
async fn a_model_that_does_not_serve_any_more_still_has_statistics() {
    let mut rig = Rig::new(4);
    let mut withdrawn = served(rig.version());
    let old = withdrawn.versions.pop_first().unwrap().1.record().clone();
    withdrawn.plan.default = None;
    rig.publish(withdrawn);
    assert_eq!(answered(&rig.predictor.snapshots().snapshot(), ""), Err(Code::NotReady));
    let mut withdrawn = served(start(version(9), &rig.script, 4, 1, rig.predictor.metrics()));
    withdrawn.versions.clear();
    withdrawn.retired.insert(old.number(), old);
    rig.publish(withdrawn);
    assert_eq!(answered(&rig.predictor.snapshots().snapshot(), ""), Ok(vec![(2, 0)]));
}

#[tokio::test]
async fn the_number_of_series_is_bounded_however_many_versions_come_and_go() {
    let mut rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    let metrics = rig.predictor.metrics().clone();
    let mut series = Vec::new();
    for number in 3..203 {
        let retired = rig.version().spec().number;
        assert!(!metrics.forget(&model(), retired), "it serves");
        rig.publish(served(start(version(number), &rig.script, 4, 1, &metrics)));
        assert!(rig.ask(request(1)).await.unwrap().is_ok());
        assert!(rig.ask(request(9)).await.unwrap().is_err());
        until(|| metrics.forget(&model(), retired)).await;
        assert!(metrics.forget(&model(), retired), "there is nothing left of it");
        series.push(rig.metrics().lines().count());
    }
    assert!(series.iter().all(|&lines| lines == series[0]), "{series:?}");
    // Two of the last version, and 199 times two forgotten: none is lost.
    assert_eq!(rig.counted("pointsman_requests_total"), 2);
    assert_eq!(rig.counted("pointsman_requests_forgotten_total"), 398);
    assert_eq!(rig.counted("pointsman_requests_received_total"), 400);
}
