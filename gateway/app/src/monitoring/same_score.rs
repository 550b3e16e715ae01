//! The same-score check, again and again: versions that serve answer their golden cases as training did.
//!
//! A version passed that gate when it was loaded. What may change under it afterwards is everything else: a library, a
//! processor, memory. So a few of its cases are asked at every round, as requests like others, and the answers are held
//! against those of training within the same tolerance.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pointsman_control::Subject;
use pointsman_core::{Code, ModelName, PredictError, Prediction, VersionNumber};
use pointsman_observe::alert::{Signal, SignalKind};
use pointsman_registry::{GoldenCase, compare};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use serde::Serialize;
use serde_json::json;

use super::{Part, Watcher};
use crate::alerts::Source;
use crate::apart;
use crate::clock::now_ms;
use crate::gateway::Gateway;

/// The most cases that are kept of a version, and the most bytes of their tensors.
const CASES_MAX: usize = 1000;
const BYTES_MAX: usize = 8 << 20;
/// The most versions of a model whose cases are kept; of more, those go that were loaded longest ago.
const VERSIONS_MAX: usize = 8;
/// The most cases of a version that are asked in one round; the next round goes on with the others.
const ROUND_MAX: usize = 20;
/// The most failures that are remembered of a version.
const FAILURES_MAX: usize = 10;

/// A version, by model and number.
type Key = (ModelName, VersionNumber);

/// The check of all versions.
pub(crate) struct SameScore {
    versions: Mutex<BTreeMap<Key, Checked>>,
    cases: Family<CaseLabels, Counter>,
}

/// One version.
struct Checked {
    digest: String,
    rtol: f64,
    atol: f64,
    cases: Arc<[GoldenCase]>,
    next: usize,
    /// In the order of loading.
    order: u64,
    /// Whether it was seen to serve: a version is here before it does.
    has_served: bool,
    record: Record,
}

/// What came of the check of a version so far.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Record {
    /// Cases that can be asked.
    pub(crate) cases: usize,
    /// Those that were.
    pub(crate) asked: u64,
    /// Those whose answers were not those of training.
    pub(crate) failed: u64,
    /// When the last round was, in milliseconds since 1970.
    pub(crate) last_ms: Option<u64>,
    /// The last failures, the newest last.
    pub(crate) failures: VecDeque<Failure>,
    /// Whether the last round had one.
    pub(crate) failed_last: bool,
}

/// An answer that was not that of training.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The case, from 0 on, and what it is about.
    pub(crate) case: usize,
    pub(crate) note: String,
    /// How the answer differed.
    pub(crate) what: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CaseLabels {
    model: String,
    version: u64,
    result: &'static str,
}

impl SameScore {
    /// Nothing to check yet.
    pub(crate) fn register(registry: &mut Registry) -> Arc<Self> {
        let cases: Family<CaseLabels, Counter> = Family::default();
        let help = "Golden cases that versions which serve were asked again";
        registry.register("pointsman_same_score_cases", help, cases.clone());
        Arc::new(Self { versions: Mutex::default(), cases })
    }

    /// Checks again and again, for as long as it is polled; never where `every` is no time.
    pub(crate) async fn run(self: Arc<Self>, gateway: Arc<Gateway>, every: Duration) {
        while !every.is_zero() {
            tokio::time::sleep(every).await;
            self.round(&gateway).await;
        }
    }

    /// What came of it for a version.
    #[must_use]
    pub(crate) fn record(&self, model: &ModelName, number: VersionNumber) -> Option<Record> {
        self.versions.lock().get(&(model.clone(), number)).map(|checked| checked.record.clone())
    }

    /// Asks some cases of every version that serves, and forgets the versions that do not.
    async fn round(&self, gateway: &Arc<Gateway>) {
        let serving = {
            let snapshot = gateway.predictor.snapshots().snapshot();
            let mut versions = self.versions.lock();
            versions.retain(|(model, number), checked| {
                let served = snapshot.models.get(model).and_then(|served| served.versions.get(number));
                let serves = served.is_some_and(|version| version.spec().digest == checked.digest);
                let is_kept = serves || !checked.has_served;
                checked.has_served |= serves;
                is_kept
            });
            let serving = versions.iter().filter(|(_, checked)| checked.has_served);
            serving.map(|(key, _)| key.clone()).collect::<Vec<_>>()
        };
        for key in serving {
            let Some(part) = self.next_part(&key) else { continue };
            for (index, case, rtol, atol) in part {
                let answer = apart::run(gateway, &key.0, key.1, &case.inputs).await;
                let said = fault().unwrap_or_else(|| verdict(&case, answer, rtol, atol));
                self.note(&key, index, &case.note, said);
            }
        }
    }

    /// The cases of a version that are asked now.
    fn next_part(&self, key: &Key) -> Option<Vec<(usize, GoldenCase, f64, f64)>> {
        let mut versions = self.versions.lock();
        let checked = versions.get_mut(key)?;
        let (all, from) = (checked.cases.len(), checked.next);
        let indices: Vec<usize> = (0..all.min(ROUND_MAX)).map(|offset| (from + offset) % all).collect();
        checked.next = (from + indices.len()) % all.max(1);
        checked.record.failed_last = false;
        checked.record.last_ms = Some(now_ms());
        let case = |index: usize| (index, checked.cases[index].clone(), checked.rtol, checked.atol);
        Some(indices.into_iter().map(case).collect())
    }

    fn note(&self, key: &Key, case: usize, note: &str, verdict: Verdict) {
        let labels = |result| CaseLabels { model: key.0.to_string(), version: key.1.get(), result };
        let mut versions = self.versions.lock();
        let Some(checked) = versions.get_mut(key) else { return };
        let record = &mut checked.record;
        match verdict {
            Verdict::Unasked => drop(self.cases.get_or_create(&labels("unasked")).inc()),
            Verdict::Same => {
                record.asked += 1;
                self.cases.get_or_create(&labels("same")).inc();
            }
            Verdict::Other(what) => {
                self.cases.get_or_create(&labels("other")).inc();
                (record.asked, record.failed) = (record.asked + 1, record.failed + 1);
                record.failed_last = true;
                tracing::error!(
                    model = %key.0, version = key.1.get(), case, note,
                    "a golden case is not answered as training did any more: {what}"
                );
                if record.failures.len() == FAILURES_MAX {
                    record.failures.pop_front();
                }
                record.failures.push_back(Failure { at_ms: now_ms(), case, note: note.into(), what });
            }
        }
    }
}

/// What is said of one case.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// The gateway had no room for it; that says nothing of the version.
    Unasked,
    /// It is answered as training did.
    Same,
    /// It is not.
    Other(String),
}

fn verdict(case: &GoldenCase, answer: Result<Prediction, PredictError>, rtol: f64, atol: f64) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if is_the_versions(error.code()) => return Verdict::Other(error.to_string()),
        Err(_) => return Verdict::Unasked,
    };
    for expected in &case.outputs {
        let got = answer.outputs.iter().find(|output| *output.name == *expected.name);
        let Some(got) = got else {
            return Verdict::Other(format!("output '{}' is missing", expected.name));
        };
        if let Err(difference) = compare(&expected.tensor, &got.tensor, rtol, atol) {
            return Verdict::Other(format!("output '{}': {difference}", expected.name));
        }
    }
    Verdict::Same
}

/// A fault that tests switch on: versions answer otherwise than in training while a file is there.
#[cfg(debug_assertions)]
fn fault() -> Option<Verdict> {
    let file = std::env::var_os("POINTSMAN_FAULT_SAME_SCORE")?;
    let is_on = std::path::Path::new(&file).exists();
    is_on.then(|| Verdict::Other("a fault is switched on".into()))
}

#[cfg(not(debug_assertions))]
fn fault() -> Option<Verdict> {
    None
}

/// Whether an error says something of the version, and not of load or of the way down.
fn is_the_versions(code: Code) -> bool {
    matches!(code, Code::SessionFailed | Code::InputRejected | Code::InputMismatch)
}

impl Part for SameScore {
    /// Remembers the cases of a version that is about to serve. Nobody watches its traffic for that.
    fn watcher(&self, subject: Subject<'_>, _: &mut Vec<String>) -> Option<Arc<dyn Watcher>> {
        let golden = subject.golden?;
        let mut bytes = 0;
        let fits = |case: &&GoldenCase| {
            bytes += case.inputs.iter().map(|input| input.tensor.data().len()).sum::<usize>();
            bytes <= BYTES_MAX
        };
        let cases: Arc<[GoldenCase]> =
            golden.cases.iter().take(CASES_MAX).take_while(fits).cloned().collect();
        let key = (subject.model.clone(), subject.number);
        let record = Record { cases: cases.len(), ..Record::default() };
        let digest = subject.digest.to_owned();
        let mut versions = self.versions.lock();
        let order = versions.values().map(|checked| checked.order + 1).max().unwrap_or(0);
        let checked = Checked {
            digest,
            rtol: golden.rtol,
            atol: golden.atol,
            cases,
            next: 0,
            order,
            has_served: false,
            record,
        };
        versions.insert(key, checked);
        let of_model = versions.iter().filter(|((model, _), _)| model == subject.model);
        let mut oldest: Vec<(u64, Key)> = of_model.map(|(key, of)| (of.order, key.clone())).collect();
        oldest.sort_unstable();
        let over = oldest.len().saturating_sub(VERSIONS_MAX);
        oldest.iter().take(over).for_each(|(_, key)| drop(versions.remove(key)));
        None
    }
}

impl Source for SameScore {
    fn kinds(&self) -> &'static [SignalKind] {
        &[SignalKind::SameScore]
    }

    fn signals(&self) -> Option<Vec<Signal>> {
        let versions = self.versions.lock();
        let failing = versions.iter().filter(|(_, checked)| checked.record.failed_last);
        let signal = |((model, number), checked): (&Key, &Checked)| {
            let record = &checked.record;
            let last = record.failures.back();
            Signal {
                kind: SignalKind::SameScore,
                model: model.to_string(),
                version: Some(number.get()),
                subject: "golden".into(),
                value: record.failed as f64,
                threshold: 0.0,
                onset_ms: record.failures.front().map(|failure| failure.at_ms),
                says: last
                    .map_or_else(String::new, |last| format!("golden case {}: {}", last.case, last.what)),
                evidence: json!(record),
            }
        };
        Some(failing.map(signal).collect())
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Arm, Datatype, OutputTensor, Shape, StageTimes, Tensor};
    use pointsman_registry::{ExpectedOutput, GoldenCases};

    use super::*;

    fn tensor(value: f32) -> Tensor {
        Tensor::from_vec(Datatype::Fp32, Shape::new(&[1]).expect("small"), vec![value]).expect("fits")
    }

    fn case() -> GoldenCase {
        let outputs = vec![ExpectedOutput { name: "y".into(), tensor: tensor(0.5) }];
        GoldenCase { note: "half".into(), inputs: vec![], outputs }
    }

    fn answer(name: &str, value: f32) -> Result<Prediction, PredictError> {
        Ok(Prediction {
            model: ModelName::new("m").expect("a name"),
            version: VersionNumber::new(1).expect("above zero"),
            arm: Arm::Direct,
            experiment: None,
            outputs: vec![OutputTensor { name: name.into(), tensor: tensor(value), labels: None }],
            times: StageTimes::default(),
        })
    }

    #[test]
    fn answers_within_the_tolerance_are_the_same_and_refusals_by_load_say_nothing() {
        let of = |answer| verdict(&case(), answer, 0.0, 0.01);
        assert_eq!(of(answer("y", 0.505)), Verdict::Same);
        assert!(matches!(of(answer("y", 0.52)), Verdict::Other(what) if what.contains("output 'y'")));
        assert!(matches!(of(answer("z", 0.5)), Verdict::Other(what) if what.contains("missing")));
        assert_eq!(of(Err(PredictError::ShuttingDown)), Verdict::Unasked);
        let failed = PredictError::SessionFailed { model: "m".into(), version: 1 };
        assert!(matches!(of(Err(failed)), Verdict::Other(_)));
    }

    #[test]
    fn rounds_go_through_all_cases_and_a_failure_is_a_signal_until_the_next_round() {
        let mut registry = Registry::default();
        let check = SameScore::register(&mut registry);
        let model = ModelName::new("m").expect("a name");
        let number = VersionNumber::new(1).expect("above zero");
        let golden = GoldenCases { rtol: 0.0, atol: 0.01, cases: vec![case(); ROUND_MAX + 5] };
        let signature = Arc::default();
        let subject = Subject {
            model: &model,
            number,
            digest: "d",
            signature: &signature,
            schema: None,
            baseline: None,
            golden: Some(&golden),
            manifest: None,
        };
        assert!(check.watcher(subject, &mut Vec::new()).is_none());
        let key = (model.clone(), number);
        let asked = |check: &SameScore| -> Vec<usize> {
            check.next_part(&key).expect("is kept").into_iter().map(|(index, ..)| index).collect()
        };
        assert_eq!(asked(&check), (0..ROUND_MAX).collect::<Vec<_>>());
        check.note(&key, 3, "half", Verdict::Other("differs".into()));
        let signals = check.signals().expect("knows");
        assert_eq!((signals.len(), signals[0].says.as_str()), (1, "golden case 3: differs"));
        let next = asked(&check);
        assert_eq!((next[0], next[5]), (ROUND_MAX, 0));
        check.note(&key, 0, "half", Verdict::Same);
        assert!(check.signals().expect("knows").is_empty());
        for case in 0..2 * FAILURES_MAX {
            check.note(&key, case, "half", Verdict::Other("differs".into()));
        }
        let record = check.record(&model, number).expect("is kept");
        assert_eq!((record.asked, record.failed, record.failures.len()), (22, 21, FAILURES_MAX));
    }
}
