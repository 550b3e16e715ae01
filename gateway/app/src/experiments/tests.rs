//! Which sums the requests of an experiment go to as plans and versions change.

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman_core::VersionNumber;
use pointsman_route::{Assignment, Document, Settled, Share, Split, Standing, Versions};

use super::*;

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

fn model(name: &str) -> ModelName {
    ModelName::new(name).expect("a name")
}

/// A plan with an experiment of an arm of version 2, where the versions from `gone` on do not serve.
fn plan(default: u64, more: &str, weight: &str, gone: u64) -> Plan {
    let text = format!(
        "[experiment]\nname = \"e\"\n{more}\narms = [{{ name = \"next\", version = 2, weight = \"{weight}\" }}]\n"
    );
    split(default, &text, gone)
}

fn split(default: u64, text: &str, gone: u64) -> Plan {
    let document = Document::from_toml(text).expect("a document");
    let settled = Settled::new("m", document, &BTreeMap::new()).expect("settled");
    let standing = |number: VersionNumber| match number.get() < gone {
        true => Standing::Warm,
        false => Standing::Unknown,
    };
    let versions = Versions { aliases: &BTreeMap::new(), standing: &standing };
    let split = Split::of_what_serves(&settled, &versions).0;
    Plan { default: Some(version(default)), split: Some(Arc::new(split)), ..Plan::default() }
}

fn send(witness: &dyn Witness, number: u64, weight: u16) {
    let assignment = Assignment {
        experiment: "e".into(),
        unit_kind: UnitKind::Header,
        weight: Share::new(weight).expect("a share"),
        unit: 7 << 60,
        covariate: None,
    };
    let arm = if number == 2 { Arm::Named("next".into()) } else { Arm::Default };
    let total = Duration::from_millis(1);
    witness.ended(&Ended {
        assignment: &assignment,
        arm: &arm,
        version: version(number),
        outputs: Ok(&[]),
        total,
    });
}

fn question() -> Question {
    Question { alpha: Alpha::new(0.05).expect("a level"), metric: None, mde: None }
}

/// Requests in the sums, and why these began.
fn told(experiments: &Experiments) -> (u64, String) {
    let report = experiments.reports("m", Some("e"), &question()).expect("one").remove(0);
    (report.arms.iter().map(|arm| arm.requests).sum(), report.why)
}

#[test]
fn sums_go_on_over_republishes_and_begin_anew_where_they_would_mix() {
    let (experiments, m) = (Experiments::default(), model("m"));
    let publish = |plan: &Plan| experiments.witness(&m, plan).expect("an experiment");
    assert!(experiments.reports("m", None, &question()).is_err());
    let first = publish(&plan(3, "", "50%", 9));
    send(&*first, 3, 5000);
    send(&*publish(&plan(3, "", "50%", 9)), 2, 5000);
    assert_eq!(told(&experiments), (2, "the experiment began".into()));
    send(&*first, 3, 5000);
    assert_eq!(told(&experiments).0, 3, "requests under way are counted");
    // While an arm does not serve nobody is counted, and what was is not forgotten.
    assert!(experiments.witness(&m, &plan(3, "", "50%", 2)).is_none());
    let paused = experiments.list().remove(0).paused;
    assert_eq!(paused.as_deref(), Some("arm next does not serve"));
    assert_eq!(told(&experiments).0, 3);
    publish(&plan(3, "", "50%", 9));
    assert_eq!((told(&experiments).0, experiments.list().remove(0).paused), (3, None));
    publish(&plan(3, "", "20%", 9));
    assert_eq!(told(&experiments), (0, "the weights were 50% : 50%, and are 80% : 20%".into()));
    for (plan, why) in [
        (plan(4, "", "20%", 9), "arm default was version 3, and is version 4"),
        (plan(4, "salt_version = 2", "20%", 9), "units are drawn another way"),
        (plan(4, "salt_version = 2\ncovariate = \"header:x\"", "20%", 9), "something else is measured"),
    ] {
        send(&*publish(&plan), 4, 8000);
        assert_eq!(told(&experiments), (1, why.into()));
    }
    assert!(experiments.witness(&m, &Plan { default: Some(version(3)), ..Plan::default() }).is_none());
    assert_eq!(experiments.list().remove(0).paused.as_deref(), Some("it is in no plan that counts"));
}

#[test]
fn there_are_at_most_so_many_and_none_of_a_plan_goes() {
    let experiments = Experiments::default();
    for number in 0..EXPERIMENTS_MAX {
        assert!(experiments.witness(&model(&format!("m{number}")), &plan(3, "", "50%", 9)).is_some());
    }
    assert!(experiments.witness(&model("m"), &plan(3, "", "50%", 9)).is_none(), "all are in plans");
    let empty = Plan { default: Some(version(3)), ..Plan::default() };
    experiments.witness(&model("m7"), &empty);
    experiments.witness(&model("m8"), &empty);
    assert!(experiments.witness(&model("m"), &plan(3, "", "50%", 9)).is_some());
    let listed = experiments.list();
    assert_eq!(listed.len(), EXPERIMENTS_MAX);
    assert!(
        listed.iter().all(|listed| listed.model != "m7") && listed.iter().any(|listed| listed.model == "m8")
    );
}

#[test]
fn sums_take_no_more_bytes_than_they_may() {
    let experiments = Experiments::default();
    let arms: Vec<String> =
        (0..16).map(|arm| format!("{{ name = \"a{arm}\", version = 2, weight = \"1%\" }}")).collect();
    let metrics: Vec<String> =
        (0..8).map(|metric| format!("{{ name = \"m{metric}\", output = \"p\", index = 1 }}")).collect();
    let text = format!(
        "[experiment]\nname = \"e\"\ncovariate = \"header:x\"\nmetrics = [{}]\narms = [{}]\n",
        metrics.join(", "),
        arms.join(", ")
    );
    let counted =
        |number: usize| experiments.witness(&model(&format!("m{number}")), &split(3, &text, 9)).is_some();
    let taken = (0..EXPERIMENTS_MAX).filter(|number| counted(*number)).count();
    let bytes: usize = experiments.locked().values().map(|kept| kept.recorder.bytes()).sum();
    assert!(bytes <= SUMS_BYTES_MAX && taken < EXPERIMENTS_MAX, "{taken} of {bytes} bytes");
    assert!(bytes + bytes / taken > SUMS_BYTES_MAX, "{taken} of {bytes} bytes");
}

#[test]
fn each_experiment_of_a_plan_is_told_of_its_own_requests() {
    let (experiments, m) = (Experiments::default(), model("m"));
    let text = "[[layers]]\nname = \"l\"\nexperiments = [\n\
                {name=\"d\",segment=[\"0%\",\"50%\"],arms=[{name=\"a\",version=4,weight=\"50%\"}]},\n\
                {name=\"e\",segment=[\"50%\",\"100%\"],arms=[{name=\"next\",version=2,weight=\"50%\"}]}]\n";
    let witness = experiments.witness(&m, &split(3, text, 9)).expect("two");
    send(&*witness, 2, 5000);
    let counted: Vec<u64> = experiments.list().iter().map(|listed| listed.requests).collect();
    assert_eq!(counted, [0, 1]);
    assert_eq!(experiments.reports("m", None, &question()).map(|reports| reports.len()), Ok(2));
    let odd = Question { metric: Some("no".into()), ..question() };
    let error = experiments.reports("m", Some("e"), &odd).expect_err("none").to_string();
    assert!(error.contains("metric=no is none of experiment 'e': errors"), "{error}");
    assert!(experiments.reports("m", Some("no"), &question()).is_err());
}
