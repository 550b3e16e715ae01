//! What the gateway tells about itself and its models, as the documents of V2 REST.
//!
//! Every function gives the bytes of one JSON document, whose `Content-Type` is
//! [`super::JSON`].

mod config;
mod statistics;

use bytes::Bytes;
use pointsman_core::{PredictError, TensorSpec};
use serde_json::{Value, json};

pub use config::model_config;
pub use statistics::statistics;

use crate::json::reader::{Reader, once};
use crate::view::{IndexEntry, ModelView, ServerView};

/// `GET /v2`. `perf_analyzer` looks for `statistics` in the list of extensions.
#[must_use]
pub fn server_metadata(server: &ServerView) -> Bytes {
    document(&json!({
        "name": server.name,
        "version": server.version,
        "extensions": server.extensions,
    }))
}

/// `GET /v2/models/M`. An open dimension is −1.
#[must_use]
pub fn model_metadata(model: &ModelView) -> Bytes {
    let tensors = |specs: &[TensorSpec]| -> Vec<Value> { specs.iter().map(tensor_metadata).collect() };
    document(&json!({
        "name": model.name.as_str(),
        "versions": model.versions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "platform": model.platform,
        "inputs": tensors(&model.signature.inputs),
        "outputs": tensors(&model.signature.outputs),
    }))
}

fn tensor_metadata(spec: &TensorSpec) -> Value {
    json!({ "name": &*spec.name, "datatype": spec.datatype.name(), "shape": spec.wire_shape() })
}

/// `GET /v2/models`, KServe's list.
#[must_use]
pub fn models<'a>(names: impl IntoIterator<Item = &'a str>) -> Bytes {
    document(&json!({ "models": names.into_iter().collect::<Vec<_>>() }))
}

/// `GET /v2/health/live`.
#[must_use]
pub fn live(live: bool) -> Bytes {
    document(&json!({ "live": live }))
}

/// `GET /v2/health/ready`.
#[must_use]
pub fn ready(ready: bool) -> Bytes {
    document(&json!({ "ready": ready }))
}

/// `GET /v2/models/M/ready` of a model that is ready.
#[must_use]
pub fn model_ready(name: &str) -> Bytes {
    document(&json!({ "name": name, "ready": true }))
}

/// `GET /v2/models/M/ready` of a model that is not, and why.
#[must_use]
pub fn model_not_ready(name: &str, error: &PredictError) -> Bytes {
    let code = error.code().name();
    document(&json!({ "name": name, "ready": false, "error": error.to_string(), "code": code }))
}

/// `POST /v2/repository/index`: a list at the top level.
#[must_use]
pub fn index(entries: &[IndexEntry]) -> Bytes {
    let entries: Vec<Value> = entries.iter().map(index_entry).collect();
    document(&Value::Array(entries))
}

/// A version or a reason that is not there is left out: clients take `null` for a text.
fn index_entry(entry: &IndexEntry) -> Value {
    let mut object = json!({ "name": entry.name, "state": entry.state.name() });
    if let Some(version) = entry.version {
        object["version"] = Value::from(version.to_string());
    }
    if !entry.reason.is_empty() {
        object["reason"] = Value::from(entry.reason.as_str());
    }
    object
}

/// Reads the body of `POST /v2/repository/index`: whether only models that serve are asked for.
/// An empty body and an empty object ask for all.
///
/// # Errors
/// [`PredictError::BadRequest`] where it is no object, or `ready` is no boolean.
pub fn decode_index(body: &[u8]) -> Result<bool, PredictError> {
    if body.trim_ascii().is_empty() {
        return Ok(false);
    }
    let mut ready = None;
    let mut reader = Reader::new(body);
    reader.object(
        |key| Ok(key == "ready"),
        |reader, is_ready| {
            if is_ready {
                once(&mut ready, reader.boolean()?, "ready", "the request")
            } else {
                reader.skip().map(drop)
            }
        },
    )?;
    reader.finish()?;
    Ok(ready.unwrap_or(false))
}

/// Reads the body of `POST /v2/repository/models/M/load` and `/unload`, which may be empty.
///
/// # Errors
/// [`PredictError`] where it is no object, or has a parameter that is not taken.
pub fn check_repository(body: &[u8]) -> Result<(), PredictError> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(body);
    reader.object(
        |key| Ok(key == "parameters"),
        |reader, is_parameters| {
            if !is_parameters {
                return reader.skip().map(drop);
            }
            reader.object(crate::view::check_repository_parameter, |reader, ()| reader.skip().map(drop))
        },
    )?;
    reader.finish()
}

/// `POST /v2/repository/models/M/load`, done.
#[must_use]
pub fn loaded(name: &str) -> Bytes {
    document(&json!({ "name": name, "load": true }))
}

/// `POST /v2/repository/models/M/unload`, begun.
#[must_use]
pub fn unloaded(name: &str) -> Bytes {
    document(&json!({ "name": name, "unload": true }))
}

/// The body of every error, in V1 and V2 alike: a sentence for people under the key that clients
/// read, and the stable code for programs.
#[must_use]
pub fn error(error: &PredictError) -> Bytes {
    document(&json!({ "error": error.to_string(), "code": error.code().name() }))
}

pub(crate) fn document(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_core::{Datatype, Dim, ModelName, Signature, VersionNumber};
    use proptest::prelude::*;

    use super::*;
    use crate::view::IndexState;

    pub(super) fn parsed(document: &[u8]) -> Value {
        serde_json::from_slice(document).expect("JSON")
    }

    pub(super) fn model() -> ModelView {
        let spec = |name: &str, datatype, shape| TensorSpec {
            name: name.into(),
            datatype,
            shape: Some(shape),
            optional: false,
            labels: None,
        };
        let batch = || Dim::Dynamic(Some("N".into()));
        let two = VersionNumber::new(2).expect("above 0");
        ModelView {
            name: ModelName::new("iris").expect("a name"),
            version: two,
            versions: vec![two],
            platform: "onnxruntime_onnx",
            engine: "tract",
            signature: Arc::new(Signature {
                inputs: vec![spec("x", Datatype::Fp32, vec![batch(), Dim::Fixed(4)])],
                outputs: vec![spec("label", Datatype::Bytes, vec![batch()])],
            }),
            batch_rows_max: 64,
            workers: 2,
            response_cache: false,
        }
    }

    #[test]
    fn server_and_model_metadata() {
        let server = ServerView { name: "pointsman", version: "0.1.0", extensions: &["statistics"] };
        assert_eq!(
            parsed(&server_metadata(&server)),
            json!({ "name": "pointsman", "version": "0.1.0", "extensions": ["statistics"] })
        );
        assert_eq!(
            parsed(&model_metadata(&model())),
            json!({
                "name": "iris", "versions": ["2"], "platform": "onnxruntime_onnx",
                "inputs": [{ "name": "x", "datatype": "FP32", "shape": [-1, 4] }],
                "outputs": [{ "name": "label", "datatype": "BYTES", "shape": [-1] }],
            })
        );
        assert_eq!(parsed(&models(["a", "b"])), json!({ "models": ["a", "b"] }));
    }

    #[test]
    fn health_is_json() {
        assert_eq!(live(true), br#"{"live":true}"#[..]);
        assert_eq!(ready(false), br#"{"ready":false}"#[..]);
        assert_eq!(model_ready("m"), br#"{"name":"m","ready":true}"#[..]);
        let error = PredictError::UnknownModel { model: "m".into() };
        let document = parsed(&model_not_ready("m", &error));
        assert_eq!(document["ready"], false);
        assert_eq!(document["error"], "Request for unknown model: 'm' is not found");
    }

    #[test]
    fn errors_have_a_sentence_and_a_code() {
        let document = parsed(&error(&PredictError::BadRequest("say \"why\"".into())));
        assert_eq!(document, json!({ "error": "say \"why\"", "code": "BAD_REQUEST" }));
    }

    #[test]
    fn the_index_is_a_list_without_nulls() {
        let serving = IndexEntry {
            name: "a".into(),
            version: VersionNumber::new(3),
            state: IndexState::Ready,
            reason: String::new(),
        };
        let absent = IndexEntry {
            name: "b".into(),
            version: None,
            state: IndexState::Unavailable,
            reason: "no version".into(),
        };
        assert_eq!(
            parsed(&index(&[serving, absent])),
            json!([
                { "name": "a", "version": "3", "state": "READY" },
                { "name": "b", "state": "UNAVAILABLE", "reason": "no version" },
            ])
        );
        assert_eq!(index(&[]), b"[]"[..]);
    }

    #[test]
    fn index_requests() {
        for (body, ready) in [("", false), (" \n", false), ("{}", false), (r#"{"ready":true,"x":[1]}"#, true)]
        {
            assert_eq!(decode_index(body.as_bytes()), Ok(ready), "{body}");
        }
        for body in ["[]", "{", r#"{"ready":1}"#, r#"{"ready":true,"ready":false}"#, "{}x"] {
            assert!(decode_index(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn parameters_of_load_and_unload_are_looked_at() {
        for body in
            ["", "{}", r#"{"parameters": {}}"#, r#"{"parameters": {"unload_dependents": true}, "x": [1]}"#]
        {
            assert_eq!(check_repository(body.as_bytes()), Ok(()), "{body}");
        }
        for (body, word) in [
            (r#"{"parameters": {"config": "{}"}}"#, "config.pbtxt"),
            (r#"{"parameters": {"file:1/model.onnx": "AA=="}}"#, "registry"),
            (r#"{"parameters": {"x": 1}}"#, "'x'"),
            ("[]", ""),
            ("{}x", ""),
        ] {
            let error = check_repository(body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(word), "{body}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_index_requests_never_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_index(&body);
        }
    }
}
