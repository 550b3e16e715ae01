//! Requests held against a schema: what breaks a rule is told to the monitor, and refused only where the rule says so.

use std::sync::{Arc, Mutex, PoisonError};

use pointsman_core::{
    Action, Anomaly, Code, ColumnSchema, Origin, PredictRequest, Schema, Validator, VersionNumber,
};

use super::plus_one::{Sums, data_path_over, predict, rows};
use super::rig;
use crate::{Monitor, Monitored, Predictor, VersionSpec};

/// Keeps what it is shown.
#[derive(Default)]
struct Shown(Mutex<Vec<Monitored>>);

impl Monitor for Shown {
    fn ended(&self, exchange: Monitored) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }
}

impl Shown {
    fn last(&self) -> Monitored {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().expect("an exchange")
    }
}

/// A data path over a version that takes up to 9, and gives up to 5.
fn held(action: Action) -> (Predictor, Arc<Sums>, Arc<Shown>) {
    let most = |max, range| ColumnSchema { max: Some(max), range, ..ColumnSchema::default() };
    let schema = Schema {
        inputs: [("x".into(), most(9.0, action))].into(),
        outputs: [("y".into(), most(5.0, Action::Flag))].into(),
        ..Schema::default()
    };
    let spec = rig::spec(VersionNumber::new(2).expect("above zero"), 4);
    let (validator, _) = Validator::compile(&schema, &spec.signature);
    let shown = Arc::new(Shown::default());
    let spec = VersionSpec { validator: Some(Arc::new(validator)), monitor: Some(shown.clone()), ..spec };
    let (predictor, sums, _) = data_path_over(spec);
    sums.change(|state| state.open = true);
    (predictor, sums, shown)
}

async fn ask(predictor: &Predictor, request: PredictRequest) -> Result<Vec<u8>, Code> {
    let answer = predict(predictor.clone(), request).await.map_err(|error| error.code())?;
    Ok(answer.outputs[0].tensor.data().to_vec())
}

#[tokio::test]
async fn what_is_flagged_is_answered_as_ever_and_told() {
    let (predictor, _, shown) = held(Action::Flag);
    assert_eq!(ask(&predictor, rows(&[1, 2])).await, Ok(vec![2, 3]));
    assert_eq!(shown.last().violations, []);
    assert_eq!(ask(&predictor, rows(&[10, 2, 11])).await, Ok(vec![11, 3, 12]));
    let told = shown.last();
    let found: Vec<_> = told.violations.iter().map(|v| (v.origin, v.anomaly, v.values)).collect();
    assert_eq!(found, [(Origin::Input, Anomaly::BigNumber, 2), (Origin::Output, Anomaly::BigNumber, 2)]);
    // An answer is looked at, and given.
    assert_eq!(ask(&predictor, rows(&[8])).await, Ok(vec![9]));
    assert_eq!(shown.last().violations.len(), 1);
    assert_eq!(ask(&predictor, rows(&[])).await, Ok(vec![]));
    assert_eq!(shown.last().violations, []);
}

#[tokio::test]
async fn what_is_rejected_is_not_run_and_is_told_with_its_inputs() {
    let (predictor, _, shown) = held(Action::Reject);
    assert_eq!(ask(&predictor, rows(&[1])).await, Ok(vec![2]));
    assert_eq!(shown.last().violations, []);
    let error = predict(predictor.clone(), rows(&[1, 10])).await.expect_err("refused");
    assert_eq!(error.code(), Code::InputMismatch);
    assert!(error.to_string().contains("the value 10 of input column 'x' in row 1"), "{error}");
    let told = shown.last();
    assert_eq!((told.violations.len(), told.rows, told.inputs.len()), (1, 2, 1));
    assert!(told.outputs.is_err());
}
