//! Requests that are split: by their head before the body is read, by their body after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pointsman_core::{Arm, Code, ParameterValue, PredictRequest, RequestId, VersionNumber, VersionSelector};
use pointsman_route::{Document, Facts, Plan, Salts, Settled, Split, Standing, Value, Versions};

use super::rig::{Rig, request, served, start};
use crate::lead::Driver;
use crate::metrics::Protocol;
use crate::outcome::Outcome;
use crate::snapshot::ServedModel;
use crate::witness::{Ended, Witness, Witnesses};

/// A request with one header and one parameter.
#[derive(Default)]
struct Asked {
    header: Option<&'static str>,
    parameter: Option<&'static str>,
}

impl Facts for Asked {
    fn header(&self, name: &str, _: usize) -> Option<&[u8]> {
        self.header.filter(|_| name == "x-user").map(str::as_bytes)
    }

    fn parameter(&self, name: &str) -> Option<Value<'_>> {
        self.parameter.filter(|_| name == "tier").map(|text| Value::Bytes(text.as_bytes()))
    }

    fn element(&self, _: &str, _: usize) -> Option<Value<'_>> {
        None
    }

    fn request_id(&self) -> RequestId {
        RequestId::generate()
    }
}

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).unwrap()
}

/// Version 2 is the default, and 3 has an arm.
fn split(rig: &Rig, plan: &str) -> ServedModel {
    let document = Document::from_toml(plan).unwrap();
    let settled = Settled::new("m", document, &Salts::new()).unwrap();
    let versions = Versions { aliases: &BTreeMap::new(), standing: &|_| Standing::Warm };
    let split = Split::compile(&settled, &versions).unwrap();
    let next = start(version(3), &rig.script, 4, 1, rig.predictor.metrics());
    let mut served = served(rig.version());
    served.versions.insert(version(3), next);
    served.plan = Plan { split: Some(Arc::new(split)), ..served.plan };
    rig.predictor.metrics().set_arms(&served.name, served.plan.arms());
    served
}

const BY_HEADER: &str = "[experiment]\nname = \"e\"\nunits = [\"header:x-user\"]\n\
                         arms = [{ name = \"next\", version = 3, weight = \"50%\" }]";
const BY_PARAMETER: &str = "[[rules]]\nparameter = \"tier\"\nexact = \"gold\"\narm = \"next\"\n\
                            [experiment]\nname = \"e\"\narms = [{ name = \"next\", version = 3, weight = \"0%\" }]";

#[tokio::test]
async fn a_request_is_split_by_its_head_before_its_body_is_read() {
    let mut rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    let split = split(&rig, BY_HEADER);
    rig.publish(split);
    let mut counts = BTreeMap::new();
    for user in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        let facts = Asked { header: Some(user), parameter: None };
        let mut outcome = Outcome::received(rig.predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
        let pinned = rig.predictor.pin("m", &VersionSelector::Default, &facts, &mut outcome).unwrap();
        let (number, arm) = (pinned.version().spec().number, outcome.arm().clone());
        // What the body says changes nothing any more.
        let chosen = rig.predictor.choose(pinned, &Asked::default(), &mut outcome).unwrap();
        let answer = rig.predictor.predict(chosen, request(1), Driver::Task, &mut outcome).await.unwrap();
        outcome.ok(&answer.times, Duration::ZERO);
        assert_eq!((answer.version, &answer.arm), (number, &arm));
        assert_eq!(answer.experiment.as_deref(), Some("e"));
        assert_eq!(arm.name() == "next", number == version(3));
        *counts.entry(arm.name().to_owned()).or_insert(0) += 1;
    }
    assert!(counts["default"] > 1 && counts["next"] > 1, "{counts:?}");
    let text = rig.metrics();
    for (arm, number) in [("default", 2), ("next", 3)] {
        let series =
            format!("arm_requests_total{{model=\"m\",version=\"{number}\",arm=\"{arm}\",result=\"ok\"}}");
        assert!(text.contains(&format!("{series} {}", counts[arm])), "{series}\n{text}");
    }
}

#[tokio::test]
async fn a_request_is_split_by_its_body_at_the_generation_of_its_head() {
    let mut rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    let split = split(&rig, BY_PARAMETER);
    let default_alone = served(rig.version());
    rig.publish(split);
    let gold = Asked { header: None, parameter: Some("gold") };
    let mut outcome = Outcome::received(rig.predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
    let mut permit = rig.predictor.admission().admit(0, None).unwrap();
    // A full queue of the default refuses nobody who may go elsewhere.
    let pinned = rig
        .predictor
        .enter("m", &VersionSelector::Default, &Asked::default(), &mut permit, &mut outcome)
        .unwrap();
    assert_eq!(pinned.version().spec().number, version(2), "decoded by the signature of the default");
    // The plan and its version go before the body is there.
    rig.publish(default_alone);
    let chosen = rig.predictor.choose(pinned, &gold, &mut outcome).unwrap();
    assert_eq!(outcome.arm().name(), "next");
    let asked = PredictRequest {
        parameters: vec![("tier".into(), ParameterValue::String("gold".into()))],
        ..request(1)
    };
    let answer = rig.predictor.predict(chosen, asked, Driver::Task, &mut outcome).await.unwrap();
    assert_eq!((answer.version, answer.arm.name(), answer.experiment), (version(3), "next", None));
    outcome.ok(&answer.times, Duration::ZERO);
    // Whoever comes later has the new generation.
    let mut outcome = Outcome::received(rig.predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
    let pinned = rig.predictor.pin("m", &VersionSelector::Default, &gold, &mut outcome).unwrap();
    let chosen = rig.predictor.choose(pinned, &gold, &mut outcome).unwrap();
    assert_eq!(chosen.pick().version, version(2));
}

#[tokio::test]
async fn an_arm_that_is_not_there_cannot_be_forced() {
    let mut rig = Rig::new(4);
    let split = split(&rig, &format!("forced_arm_header = \"x-user\"\n{BY_HEADER}"));
    rig.publish(split);
    let mut outcome = Outcome::received(rig.predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
    let mut pin = |header| {
        let facts = Asked { header: Some(header), parameter: None };
        rig.predictor
            .pin("m", &VersionSelector::Default, &facts, &mut outcome)
            .map(|pinned| pinned.version().spec().number)
    };
    assert_eq!(pin("next").unwrap(), version(3));
    assert_eq!(pin("no").unwrap_err().code(), Code::BadRequest);
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary(Mutex<Vec<(u64, Result<usize, Code>)>>);

impl Witness for Diary {
    fn ended(&self, ended: &Ended<'_>) {
        assert_eq!(&*ended.assignment.experiment, "e");
        assert_eq!(*ended.arm == Arm::Default, ended.version.get() == 2);
        let outputs = ended.outputs.map(<[_]>::len);
        self.0.lock().unwrap().push((ended.version.get(), outputs));
    }
}

#[tokio::test]
async fn a_witness_is_told_how_each_request_ended_whose_unit_was_drawn() {
    let mut rig = Rig::new(4);
    rig.script.change(|state| state.open = true);
    let diary = Arc::new(Diary::default());
    let split = split(&rig, BY_HEADER);
    rig.publish(ServedModel { witnesses: Witnesses::new(vec![diary.clone()]), ..split });
    let metrics = rig.predictor.metrics().clone();
    let told = || std::mem::take(&mut *diary.0.lock().unwrap());
    let mut seen = BTreeSet::new();
    for user in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        let facts = Asked { header: Some(user), parameter: None };
        let mut outcome = Outcome::received(&metrics, RequestId::generate(), Protocol::V2Rest);
        let pinned = rig.predictor.pin("m", &VersionSelector::Default, &facts, &mut outcome).unwrap();
        let number = pinned.version().spec().number.get();
        let chosen = rig.predictor.choose(pinned.clone(), &facts, &mut outcome).unwrap();
        let answer = rig.predictor.predict(chosen, request(1), Driver::Task, &mut outcome).await.unwrap();
        assert!(told().is_empty(), "its caller has no answer yet");
        outcome.ok(&answer.times, Duration::ZERO);
        outcome.failed(Code::Cancelled);
        assert_eq!(told(), [(number, Ok(1))]);
        // Another fails, and the caller of a third goes away.
        let mut outcome = Outcome::received(&metrics, RequestId::generate(), Protocol::V2Rest);
        rig.predictor.pin("m", &VersionSelector::Default, &facts, &mut outcome).unwrap();
        outcome.failed(Code::SessionFailed);
        let mut outcome = Outcome::received(&metrics, RequestId::generate(), Protocol::V2Rest);
        rig.predictor.pin("m", &VersionSelector::Default, &facts, &mut outcome).unwrap();
        drop(outcome);
        assert_eq!(told(), [(number, Err(Code::SessionFailed)), (number, Err(Code::Cancelled))]);
        // Who names a version takes part in nothing.
        let named = VersionSelector::Number(version(3));
        let mut outcome = Outcome::received(&metrics, RequestId::generate(), Protocol::V2Rest);
        rig.predictor.pin("m", &named, &facts, &mut outcome).unwrap();
        drop(outcome);
        assert!(told().is_empty());
        seen.insert(number);
    }
    assert_eq!(seen, BTreeSet::from([2, 3]));
}
