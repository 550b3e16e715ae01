//! What the gateway tells about itself and its models, as messages.

use pointsman_core::{Datatype, PredictError, Signature, TensorSpec};

use crate::grpc::proto::model_instance_group::Kind;
use crate::grpc::proto::model_metadata_response::TensorMetadata;
use crate::grpc::proto::repository_index_response::ModelIndex;
use crate::grpc::proto::{
    DataType, InferStatistics, ModelConfig, ModelConfigResponse, ModelInput, ModelInstanceGroup,
    ModelMetadataResponse, ModelOutput, ModelResponseCache, ModelStatistics, ModelStatisticsResponse,
    ModelTransactionPolicy, RepositoryIndexResponse, ServerMetadataResponse, StatisticDuration,
};
use crate::view::{CountedTime, IndexEntry, ModelView, ServerView, StatisticsView};

/// The file of a version that holds its model.
const MODEL_FILENAME: &str = "model.onnx";

/// The answer of `ServerMetadata`.
#[must_use]
pub fn server_metadata(server: &ServerView) -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: server.name.to_owned(),
        version: server.version.to_owned(),
        extensions: server.extensions.iter().map(ToString::to_string).collect(),
    }
}

/// The answer of `ModelMetadata`.
#[must_use]
pub fn model_metadata(model: &ModelView) -> ModelMetadataResponse {
    let tensor = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.to_string(),
        datatype: spec.datatype.name().to_owned(),
        shape: spec.wire_shape(),
    };
    ModelMetadataResponse {
        name: model.name.to_string(),
        versions: model.versions.iter().map(ToString::to_string).collect(),
        platform: model.platform.to_owned(),
        inputs: model.signature.inputs.iter().map(tensor).collect(),
        outputs: model.signature.outputs.iter().map(tensor).collect(),
    }
}

/// The answer of `ModelConfig`.
#[must_use]
pub fn model_config(model: &ModelView) -> ModelConfigResponse {
    let batched = model.batch_rows_max > 0;
    let instances = ModelInstanceGroup {
        name: model.name.to_string(),
        count: saturated(model.workers),
        gpus: Vec::new(),
        kind: Kind::Cpu.into(),
    };
    let config = ModelConfig {
        name: model.name.to_string(),
        platform: model.platform.to_owned(),
        max_batch_size: saturated(model.batch_rows_max),
        input: inputs(&model.signature, batched),
        output: outputs(&model.signature, batched),
        instance_group: vec![instances],
        default_model_filename: MODEL_FILENAME.to_owned(),
        backend: model.engine.to_owned(),
        model_transaction_policy: Some(ModelTransactionPolicy { decoupled: false }),
        response_cache: Some(ModelResponseCache { enable: model.response_cache }),
    };
    ModelConfigResponse { config: Some(config) }
}

fn inputs(signature: &Signature, batched: bool) -> Vec<ModelInput> {
    let input = |spec: &TensorSpec| ModelInput {
        name: spec.name.to_string(),
        data_type: data_type(spec.datatype).into(),
        dims: config_dims(spec, batched),
        optional: spec.optional,
    };
    signature.inputs.iter().map(input).collect()
}

fn outputs(signature: &Signature, batched: bool) -> Vec<ModelOutput> {
    let output = |spec: &TensorSpec| ModelOutput {
        name: spec.name.to_string(),
        data_type: data_type(spec.datatype).into(),
        dims: config_dims(spec, batched),
    };
    signature.outputs.iter().map(output).collect()
}

/// A configuration that allows batches leaves the batch dimension out: clients put it in front again.
fn config_dims(spec: &TensorSpec, batched: bool) -> Vec<i64> {
    spec.wire_shape().into_iter().skip(usize::from(batched)).collect()
}

fn saturated(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn data_type(datatype: Datatype) -> DataType {
    match datatype {
        Datatype::Bool => DataType::TypeBool,
        Datatype::Uint8 => DataType::TypeUint8,
        Datatype::Uint16 => DataType::TypeUint16,
        Datatype::Uint32 => DataType::TypeUint32,
        Datatype::Uint64 => DataType::TypeUint64,
        Datatype::Int8 => DataType::TypeInt8,
        Datatype::Int16 => DataType::TypeInt16,
        Datatype::Int32 => DataType::TypeInt32,
        Datatype::Int64 => DataType::TypeInt64,
        Datatype::Fp16 => DataType::TypeFp16,
        Datatype::Bf16 => DataType::TypeBf16,
        Datatype::Fp32 => DataType::TypeFp32,
        Datatype::Fp64 => DataType::TypeFp64,
        Datatype::Bytes => DataType::TypeString,
    }
}

/// The answer of `ModelStatistics`.
#[must_use]
pub fn model_statistics(versions: &[StatisticsView]) -> ModelStatisticsResponse {
    ModelStatisticsResponse { model_stats: versions.iter().map(statistics).collect() }
}

fn statistics(version: &StatisticsView) -> ModelStatistics {
    // Clients read all eight.
    let inference_stats = InferStatistics {
        success: Some(duration(version.success)),
        fail: Some(duration(version.fail)),
        queue: Some(duration(version.queue)),
        compute_input: Some(duration(version.compute_input)),
        compute_infer: Some(duration(version.compute_infer)),
        compute_output: Some(duration(version.compute_output)),
        cache_hit: Some(duration(version.cache_hit)),
        cache_miss: Some(duration(version.cache_miss)),
    };
    ModelStatistics {
        name: version.name.to_string(),
        version: version.version.to_string(),
        last_inference: version.last_inference_ms,
        inference_count: version.inference_count,
        execution_count: version.execution_count,
        inference_stats: Some(inference_stats),
        ..ModelStatistics::default()
    }
}

fn duration(counted: CountedTime) -> StatisticDuration {
    StatisticDuration {
        count: counted.count,
        ns: u64::try_from(counted.total.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// Checks what `RepositoryModelLoad` and `RepositoryModelUnload` carry beside the model's name.
///
/// # Errors
/// [`PredictError::Unsupported`] for a repository's name, and for parameters that are not taken.
pub fn check_repository<'p>(
    repository: &str,
    mut parameters: impl Iterator<Item = &'p str>,
) -> Result<(), PredictError> {
    if !repository.is_empty() {
        return Err(PredictError::Unsupported("'repository_name' specification is not supported".into()));
    }
    parameters.try_for_each(crate::view::check_repository_parameter)
}

/// The answer of `RepositoryIndex`.
#[must_use]
pub fn repository_index(entries: &[IndexEntry]) -> RepositoryIndexResponse {
    let line = |entry: &IndexEntry| ModelIndex {
        name: entry.name.clone(),
        version: entry.version.map(|v| v.to_string()).unwrap_or_default(),
        state: entry.state.name().to_owned(),
        reason: entry.reason.clone(),
    };
    RepositoryIndexResponse { models: entries.iter().map(line).collect() }
}
