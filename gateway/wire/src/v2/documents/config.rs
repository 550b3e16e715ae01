//! `GET /v2/models/M/config`: the fields of Triton's `ModelConfig` that a gateway has, in the
//! names of `model_config.proto`, with numbers as numbers: `perf_analyzer` reads them as such.

use bytes::Bytes;
use pointsman_core::{Datatype, TensorSpec};
use serde_json::{Value, json};

use super::document;
use crate::view::ModelView;

/// The document. Where `max_batch_size` is above 0, `dims` leave the batch dimension out.
#[must_use]
pub fn model_config(model: &ModelView) -> Bytes {
    let batched = model.batch_rows_max > 0;
    let inputs = model.signature.inputs.iter().map(|spec| {
        let mut input = tensor(spec, batched);
        input["optional"] = Value::from(spec.optional);
        input
    });
    let outputs = model.signature.outputs.iter().map(|spec| tensor(spec, batched));
    document(&json!({
        "name": model.name.as_str(),
        "platform": model.platform,
        "backend": "onnxruntime",
        "version_policy": { "specific": { "versions": versions(model) } },
        "max_batch_size": model.batch_rows_max,
        "input": inputs.collect::<Vec<_>>(),
        "output": outputs.collect::<Vec<_>>(),
        "instance_group": [{
            "name": model.name.as_str(),
            "kind": "KIND_CPU",
            "count": model.workers,
        }],
        "default_model_filename": "model.onnx",
        "parameters": { "engine": { "string_value": model.engine } },
        "model_transaction_policy": { "decoupled": false },
        "response_cache": { "enable": model.response_cache },
    }))
}

fn versions(model: &ModelView) -> Vec<u64> {
    model.versions.iter().map(|v| v.get()).collect()
}

fn tensor(spec: &TensorSpec, batched: bool) -> Value {
    let dims: Vec<i64> = spec.wire_shape().into_iter().skip(usize::from(batched)).collect();
    json!({ "name": &*spec.name, "data_type": config_type(spec.datatype), "dims": dims })
}

/// A datatype's name in configurations, which differs from the one in requests for strings.
fn config_type(datatype: Datatype) -> String {
    match datatype {
        Datatype::Bytes => "TYPE_STRING".into(),
        other => format!("TYPE_{}", other.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{model, parsed};
    use super::*;

    #[test]
    fn perf_analyzer_finds_what_it_reads() {
        let config = parsed(&model_config(&model()));
        assert_eq!(config["max_batch_size"], 64);
        assert_eq!(
            config["input"],
            json!([{ "name": "x", "data_type": "TYPE_FP32", "dims": [4], "optional": false }])
        );
        assert_eq!(config["output"], json!([{ "name": "label", "data_type": "TYPE_STRING", "dims": [] }]));
        assert_eq!(config["model_transaction_policy"]["decoupled"], false);
        assert_eq!(config["response_cache"]["enable"], false);
        assert_eq!(config["version_policy"]["specific"]["versions"], json!([2]));
        assert_eq!(config["parameters"]["engine"]["string_value"], "tract");
        assert_eq!(config["instance_group"][0]["count"], 2);
    }

    #[test]
    fn without_a_batch_all_dimensions_stay() {
        let config = parsed(&model_config(&ModelView { batch_rows_max: 0, response_cache: true, ..model() }));
        assert_eq!(config["max_batch_size"], 0);
        assert_eq!(config["response_cache"]["enable"], true);
        assert_eq!(config["input"][0]["dims"], json!([-1, 4]));
    }
}
