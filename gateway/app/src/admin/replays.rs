//! An example of a comparison, run again: `POST /v1/replays/{id}` with `{"versions": [2, 3]}`.

use ::http::Request;
use bytes::Bytes;
use hyper::body::Incoming;
use pointsman_core::{
    Code, Inputs, ModelName, OutputTensor, Pair, PredictError, Prediction, RequestId, Shape, Side,
    StringTensorBuilder, Tensor, VersionNumber, VersionSelector, shown,
};
use pointsman_observe::{Comparison, Pairing, Settings};
use pointsman_stats::Alpha;
use pointsman_wire::v2;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Admin;
use super::comparisons::{ALPHA, busy, not_found};
use crate::apart;
use crate::comparisons::Asked;
use crate::http::{Query, read_small};
use crate::known::known;

/// The most versions that one example is run with.
const VERSIONS_MAX: usize = 8;
/// The most elements of one output that are shown.
const ELEMENTS_MAX: usize = 1024;
/// The most ids that a message names.
const NAMED_MAX: usize = 10;

/// What a body may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    versions: Vec<VersionNumber>,
}

/// What came of one version's run.
struct Ran {
    version: VersionNumber,
    result: Result<Prediction, PredictError>,
}

impl Ran {
    fn side(&self) -> Side<'_> {
        let Self { version, result } = self;
        let outputs = result.as_ref().map(|prediction| prediction.outputs.as_slice());
        let times = result.as_ref().map(|prediction| prediction.times).unwrap_or_default();
        Side { version: *version, outputs: outputs.map_err(PredictError::code), times }
    }
}

impl Admin {
    /// Runs an example again with each version, one after the other, and says how they differ from the first.
    pub(super) async fn replay(&self, id: &str, request: Request<Incoming>) -> Result<Value, PredictError> {
        Query::none(request.uri())?;
        let id = RequestId::parse(id).ok_or_else(|| {
            let id = shown(id);
            let what = format!(
                "{id} is no id of a request; give one as `pointsman compare` and the answers have it"
            );
            PredictError::BadRequest(what)
        })?;
        let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
        let versions = versions(&body)?;
        let found = self.read_comparisons(move |comparisons| comparisons.inputs(id)).await?.map_err(busy)?;
        let Asked { model, inputs, settings } = match found {
            Ok(asked) => asked,
            Err(kept) => self.logged(id).await?.ok_or_else(|| not_found(not_kept(id, &kept)))?,
        };
        self.check_versions(&model, &versions)?;
        let mut runs = Vec::new();
        for version in versions {
            let result = apart::run(&self.gateway, &model, version, &inputs).await;
            runs.push(Ran { version, result });
        }
        // What is large takes a while to be compared and written.
        let told = tokio::task::spawn_blocking(move || told(id, &model, &runs, &settings)).await;
        told.map_err(|_| PredictError::ShuttingDown)?
    }
}

impl Admin {
    /// Refuses versions that the gateway does not have.
    fn check_versions(&self, model: &ModelName, versions: &[VersionNumber]) -> Result<(), PredictError> {
        let snapshot = self.gateway.predictor.snapshots().snapshot();
        for version in versions {
            let found = snapshot.find(model.as_str(), &VersionSelector::Number(*version));
            if matches!(found, Err(PredictError::UnknownVersion { .. })) {
                let served = snapshot.models.get(model).map(|served| served.versions.keys());
                let there = known(served.into_iter().flatten());
                let reason = format!("no version {version} of model '{model}' is loaded; {there}");
                return Err(PredictError::Control { code: Code::UnknownVersion, reason });
            }
        }
        Ok(())
    }
}

fn versions(body: &Bytes) -> Result<Vec<VersionNumber>, PredictError> {
    let bad = |what: String| PredictError::BadRequest(what);
    let Body { versions } = serde_json::from_slice(body)
        .map_err(|e| bad(format!("the body of a replay: {e}; give {{\"versions\": [2, 3]}}")))?;
    match versions.len() {
        1..=VERSIONS_MAX => Ok(versions),
        count => Err(bad(format!("{count} versions are to be run; give 1 to {VERSIONS_MAX}"))),
    }
}

/// Why an example cannot be run again.
fn not_kept(id: RequestId, kept: &[RequestId]) -> String {
    let Some(_) = kept.first() else {
        return format!(
            "the inputs of request {id} are not kept, nor those of any other: a comparison keeps those of the pairs \
             that are furthest apart and of those in which one side alone failed (pointsman compare MODEL)"
        );
    };
    let named: Vec<String> = kept.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = kept.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("the inputs of request {id} are not kept; kept are those of {}{more}", named.join(", "))
}

/// The answers side by side, and how each differs from the first.
fn told(id: RequestId, model: &ModelName, runs: &[Ran], settings: &Settings) -> Result<Value, PredictError> {
    let Some(first) = runs.first() else {
        return Err(PredictError::BadRequest("no version is to be run".into()));
    };
    let versions = runs.iter().map(|ran| {
        let mut value = match &ran.result {
            Ok(prediction) => match outputs(prediction) {
                Ok(outputs) => json!({"outputs": outputs}),
                Err(error) => refused(&error),
            },
            Err(error) => refused(error),
        };
        value["version"] = json!(ran.version.get());
        value
    });
    let versions: Vec<Value> = versions.collect();
    let differences: Result<Vec<Value>, PredictError> =
        runs[1..].iter().map(|ran| difference(id, model, first, ran, settings)).collect();
    Ok(
        json!({"id": id.to_string(), "model": model.as_str(), "versions": versions, "differences": differences?}),
    )
}

fn refused(error: &PredictError) -> Value {
    json!({"error": error.to_string(), "code": error.code().name()})
}

/// How the answer of one version differs from that of the first.
fn difference(
    id: RequestId,
    model: &ModelName,
    first: &Ran,
    ran: &Ran,
    settings: &Settings,
) -> Result<Value, PredictError> {
    let failed =
        |e: &dyn std::fmt::Display| PredictError::BadRequest(format!("the answers cannot be compared: {e}"));
    let pairing = Pairing { model: model.clone(), primary: first.version, shadow: ran.version };
    let mut comparison = Comparison::new(pairing, settings.clone()).map_err(|e| failed(&e))?;
    comparison.push(&Pair {
        model,
        id,
        inputs: Inputs { signature: &Default::default(), tensors: &[] },
        primary: first.side(),
        shadow: ran.side(),
        floor: None,
    });
    let alpha = Alpha::new(ALPHA).map_err(|e| failed(&e))?;
    let report = comparison.report(alpha).against;
    let totals = comparison.totals();
    Ok(json!({
        "version": ran.version.get(),
        "against": first.version.get(),
        "agrees": totals.answered == 1 && totals.disagreed == 0,
        "outputs": report.outputs,
    }))
}

/// Outputs as V2 has them, NaN and infinities as null. Of long ones the first elements.
fn outputs(prediction: &Prediction) -> Result<Value, PredictError> {
    let short = prediction.outputs.iter().map(|output| OutputTensor {
        name: output.name.clone(),
        tensor: head(&output.tensor).unwrap_or_else(|| output.tensor.clone()),
        labels: None,
    });
    let short = Prediction { outputs: short.collect(), ..prediction.clone() };
    let form = v2::ResponseForm { nonfinite: v2::Nonfinite::Null, ..v2::ResponseForm::default() };
    let encoded = v2::encode_infer(&short, &form)?;
    let json: Vec<u8> = encoded.segments.concat();
    let unreadable = |e: serde_json::Error| PredictError::BadRequest(e.to_string());
    let mut outputs: Value = serde_json::from_slice::<Value>(&json).map_err(unreadable)?["outputs"].take();
    for (value, output) in outputs.as_array_mut().into_iter().flatten().zip(&prediction.outputs) {
        value["shape"] = json!(output.tensor.shape().dims());
        value["elements"] = json!(output.tensor.elements());
    }
    Ok(outputs)
}

/// The first elements of a tensor; nothing where it has no more than are shown.
fn head(tensor: &Tensor) -> Option<Tensor> {
    if tensor.elements() <= ELEMENTS_MAX {
        return None;
    }
    let data = match (tensor.datatype().size(), tensor.strings()) {
        (Some(size), _) => tensor.data().slice(..size * ELEMENTS_MAX),
        (None, strings) => {
            let mut builder = StringTensorBuilder::default();
            for text in strings?.take(ELEMENTS_MAX) {
                builder.push(text).ok()?;
            }
            builder.finish()
        }
    };
    Tensor::new(tensor.datatype(), Shape::new(&[ELEMENTS_MAX as u64])?, data).ok()
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Arm, Datatype, StageTimes};

    use super::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number).expect("above zero")
    }

    fn ran(of: u64, values: &[f32]) -> Ran {
        let shape = Shape::new(&[1, values.len() as u64]).expect("small");
        let tensor = Tensor::from_vec(Datatype::Fp32, shape, values.to_vec()).expect("fits");
        let prediction = Prediction {
            model: ModelName::new("m").expect("a name"),
            version: version(of),
            arm: Arm::Direct,
            experiment: None,
            outputs: vec![OutputTensor { name: "y".into(), tensor, labels: None }],
            times: StageTimes::default(),
        };
        Ran { version: version(of), result: Ok(prediction) }
    }

    #[test]
    fn answers_stand_side_by_side_with_how_they_differ_from_the_first() {
        let runs = [
            ran(2, &[0.25, 7.0]),
            ran(3, &[0.25, 7.5]),
            ran(2, &[0.25, 7.0]),
            Ran { version: version(9), result: Err(PredictError::NotFound) },
        ];
        let model = ModelName::new("m").expect("a name");
        let told = told(RequestId::generate(), &model, &runs, &Settings::default()).expect("told");
        assert_eq!(told["versions"][1]["outputs"][0]["data"], json!([0.25, 7.5]));
        assert_eq!(told["versions"][1]["outputs"][0]["shape"], json!([1, 2]));
        assert_eq!(told["versions"][3]["code"], "NOT_FOUND");
        let differences = told["differences"].as_array().expect("a list");
        let agrees: Vec<&Value> = differences.iter().map(|difference| &difference["agrees"]).collect();
        assert_eq!(agrees, [false, true, false]);
        assert_eq!(differences[0]["outputs"][0]["numbers"]["max_abs"], 0.5);
        assert_eq!((&differences[0]["version"], &differences[0]["against"]), (&json!(3), &json!(2)));
    }

    #[test]
    fn of_long_outputs_the_first_elements_are_shown() {
        let at = |count: usize| {
            let ran = ran(1, &vec![1.5; count]);
            let outputs = outputs(ran.result.as_ref().expect("an answer")).expect("JSON");
            (outputs[0]["data"].as_array().map(Vec::len), outputs[0]["elements"].clone())
        };
        assert_eq!(at(ELEMENTS_MAX), (Some(ELEMENTS_MAX), json!(ELEMENTS_MAX)));
        assert_eq!(at(ELEMENTS_MAX + 1), (Some(ELEMENTS_MAX), json!(ELEMENTS_MAX + 1)));
        let mut texts = StringTensorBuilder::default();
        for _ in 0..=ELEMENTS_MAX {
            texts.push(b"a").expect("short");
        }
        let shape = Shape::new(&[ELEMENTS_MAX as u64 + 1]).expect("small");
        let texts = Tensor::new(Datatype::Bytes, shape, texts.finish()).expect("fits");
        assert_eq!(head(&texts).map(|tensor| tensor.elements()), Some(ELEMENTS_MAX));
    }

    #[test]
    fn bodies_and_ids_that_cannot_be_are_refused_with_the_remedy() {
        let read = |text: &str| versions(&Bytes::copy_from_slice(text.as_bytes()));
        let many = |count: usize| format!("{{\"versions\": {:?}}}", vec![1; count]);
        assert_eq!(read(&many(VERSIONS_MAX)).map(|versions| versions.len()), Ok(VERSIONS_MAX));
        for bad in ["", "[]", "{}", "{\"versions\": [0]}", "{\"versions\": []}", &many(VERSIONS_MAX + 1)] {
            let error = read(bad).expect_err(bad);
            assert!(
                error.code() == Code::BadRequest && error.to_string().contains("give "),
                "{bad}: {error}"
            );
        }
        let ids: Vec<RequestId> = (0..12).map(|_| RequestId::generate()).collect();
        let said = not_kept(ids[0], &ids[1..]);
        assert!(said.contains(&ids[10].to_string()) && said.ends_with(" and 1 more"), "{said}");
        assert!(!said.contains(&ids[11].to_string()), "{said}");
        assert!(not_kept(ids[0], &[]).contains("furthest apart"));
    }
}
