//! The documents of V1: what TensorFlow Serving and KServe tell about models.

use bytes::Bytes;
use pointsman_core::{Datatype, TensorSpec};
use serde_json::{Map, Value, json};

use super::request::SIGNATURE_NAME;
use crate::v2::documents::document;
pub use crate::v2::documents::models;
use crate::view::{IndexEntry, IndexState, ModelView};

/// `GET /`, KServe's sign of life.
#[must_use]
pub fn alive() -> Bytes {
    document(&json!({ "status": "alive" }))
}

/// `GET /v1/models/M`, in one object for both: `model_version_status` is TensorFlow Serving's,
/// `name` and `ready` are KServe's. `versions` are those of this model that were asked for.
#[must_use]
pub fn status(name: &str, versions: &[IndexEntry]) -> Bytes {
    let ready = versions.iter().any(|entry| entry.state == IndexState::Ready);
    let rows: Vec<Value> = versions.iter().filter_map(version_status).collect();
    document(&json!({ "model_version_status": rows, "name": name, "ready": ready }))
}

/// Nothing for an entry without a version, which has no place in the list.
fn version_status(entry: &IndexEntry) -> Option<Value> {
    let state = match entry.state {
        IndexState::Ready => "AVAILABLE",
        IndexState::Loading => "LOADING",
        IndexState::Unloading => "UNLOADING",
        IndexState::Unavailable => "END",
    };
    let error_code = if entry.reason.is_empty() { "OK" } else { "UNAVAILABLE" };
    Some(json!({
        "version": entry.version?.to_string(),
        "state": state,
        "status": { "error_code": error_code, "error_message": entry.reason },
    }))
}

/// `GET /v1/models/M/metadata`: the signature in the form of a TensorFlow `SignatureDef`.
#[must_use]
pub fn metadata(model: &ModelView) -> Bytes {
    let infos = |specs: &[TensorSpec]| -> Map<String, Value> {
        specs.iter().map(|spec| (spec.name.to_string(), tensor_info(spec))).collect()
    };
    document(&json!({
        "model_spec": {
            "name": model.name.as_str(),
            "signature_name": "",
            "version": model.version.to_string(),
        },
        "metadata": { "signature_def": { "signature_def": { SIGNATURE_NAME: {
            "inputs": infos(&model.signature.inputs),
            "outputs": infos(&model.signature.outputs),
            "method_name": "tensorflow/serving/predict",
        } } } },
    }))
}

/// Sizes are texts, as protobuf's JSON writes 64-bit numbers.
fn tensor_info(spec: &TensorSpec) -> Value {
    let dims = spec.wire_shape().into_iter().map(|size| json!({ "size": size.to_string(), "name": "" }));
    json!({
        "dtype": dtype(spec.datatype),
        "tensor_shape": { "dim": dims.collect::<Vec<_>>(), "unknown_rank": spec.shape.is_none() },
        "name": format!("{}:0", spec.name),
    })
}

pub(super) fn dtype(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "DT_BOOL",
        Datatype::Uint8 => "DT_UINT8",
        Datatype::Uint16 => "DT_UINT16",
        Datatype::Uint32 => "DT_UINT32",
        Datatype::Uint64 => "DT_UINT64",
        Datatype::Int8 => "DT_INT8",
        Datatype::Int16 => "DT_INT16",
        Datatype::Int32 => "DT_INT32",
        Datatype::Int64 => "DT_INT64",
        Datatype::Fp16 => "DT_HALF",
        Datatype::Bf16 => "DT_BFLOAT16",
        Datatype::Fp32 => "DT_FLOAT",
        Datatype::Fp64 => "DT_DOUBLE",
        Datatype::Bytes => "DT_STRING",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_core::{Dim, ModelName, Signature, VersionNumber};

    use super::*;

    fn parsed(document: &[u8]) -> Value {
        serde_json::from_slice(document).expect("JSON")
    }

    #[test]
    fn the_status_has_the_keys_of_both_servers() {
        let entry = |version, state, reason: &str| IndexEntry {
            name: "m".into(),
            version: VersionNumber::new(version),
            state,
            reason: reason.into(),
        };
        let entries = [
            entry(2, IndexState::Ready, ""),
            entry(3, IndexState::Unavailable, "golden case 1 differs"),
            entry(0, IndexState::Unavailable, "no version"),
        ];
        assert_eq!(
            parsed(&status("m", &entries)),
            json!({
                "model_version_status": [
                    { "version": "2", "state": "AVAILABLE", "status": { "error_code": "OK", "error_message": "" } },
                    { "version": "3", "state": "END", "status":
                        { "error_code": "UNAVAILABLE", "error_message": "golden case 1 differs" } },
                ],
                "name": "m",
                "ready": true,
            })
        );
        assert_eq!(parsed(&status("m", &entries[1..]))["ready"], false);
        assert_eq!(alive(), br#"{"status":"alive"}"#[..]);
        assert_eq!(models(["m"]), br#"{"models":["m"]}"#[..]);
    }

    #[test]
    fn metadata_is_a_signature_def() {
        let spec = |name: &str, datatype, shape| TensorSpec {
            name: name.into(),
            datatype,
            shape,
            optional: false,
            labels: None,
        };
        let version = VersionNumber::new(2).expect("above 0");
        let model = ModelView {
            name: ModelName::new("m").expect("a name"),
            version,
            versions: vec![version],
            platform: "onnxruntime_onnx",
            engine: "echo",
            signature: Arc::new(Signature {
                inputs: vec![spec("x", Datatype::Fp32, Some(vec![Dim::Dynamic(None), Dim::Fixed(4)]))],
                outputs: vec![spec("y", Datatype::Bytes, None)],
            }),
            batch_rows_max: 0,
            workers: 1,
            response_cache: false,
        };
        let document = parsed(&metadata(&model));
        assert_eq!(document["model_spec"], json!({ "name": "m", "signature_name": "", "version": "2" }));
        let signature = &document["metadata"]["signature_def"]["signature_def"]["serving_default"];
        assert_eq!(
            signature["inputs"]["x"],
            json!({
                "dtype": "DT_FLOAT",
                "tensor_shape": { "dim": [{ "size": "-1", "name": "" }, { "size": "4", "name": "" }], "unknown_rank": false },
                "name": "x:0",
            })
        );
        assert_eq!(signature["outputs"]["y"]["tensor_shape"], json!({ "dim": [], "unknown_rank": true }));
        assert_eq!(signature["method_name"], "tensorflow/serving/predict");
    }
}
