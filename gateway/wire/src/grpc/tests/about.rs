//! What is told about the gateway and its models, and the schema that tells it.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{Datatype, Dim, ModelName, Signature, TensorSpec, VersionNumber};
use prost::Message;

use crate::grpc::proto::model_instance_group::Kind;
use crate::grpc::proto::{DataType, ServerLiveResponse, StatisticDuration};
use crate::grpc::{
    FILE_DESCRIPTOR_SET, model_config, model_metadata, model_statistics, repository_index, server_metadata,
};
use crate::view::{CountedTime, IndexEntry, IndexState, ModelView, ServerView, StatisticsView};

fn spec(name: &str, datatype: Datatype, shape: Option<Vec<Dim>>) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape, optional: name == "maybe", labels: None }
}

fn view(batch_rows_max: u32) -> ModelView {
    let signature = Signature {
        inputs: vec![
            spec("x", Datatype::Fp32, Some(vec![Dim::Dynamic(None), Dim::Fixed(4)])),
            spec("maybe", Datatype::Bytes, Some(vec![Dim::Dynamic(None)])),
        ],
        outputs: vec![spec("y", Datatype::Bf16, None)],
    };
    ModelView {
        name: ModelName::new("iris").expect("a name"),
        version: VersionNumber::new(2).expect("above 0"),
        versions: [1, 2].into_iter().filter_map(VersionNumber::new).collect(),
        platform: "onnxruntime_onnx",
        engine: "tract",
        signature: Arc::new(signature),
        batch_rows_max,
        workers: 2,
        response_cache: batch_rows_max > 0,
    }
}

#[test]
fn metadata_of_server_and_model() {
    let server = ServerView { name: "pointsman", version: "0.1.0", extensions: &["statistics"] };
    let told = server_metadata(&server);
    assert_eq!((&*told.name, &*told.version), ("pointsman", "0.1.0"));
    assert_eq!(told.extensions, ["statistics"]);

    let told = model_metadata(&view(0));
    assert_eq!((&*told.name, &*told.platform), ("iris", "onnxruntime_onnx"));
    assert_eq!(told.versions, ["1", "2"]);
    let x = &told.inputs[0];
    assert_eq!((&*x.name, &*x.datatype, &*x.shape), ("x", "FP32", &[-1, 4][..]));
    assert_eq!(&*told.inputs[1].datatype, "BYTES");
    assert!(told.outputs[0].shape.is_empty(), "a rank that is not declared");
}

#[test]
fn a_configuration_leaves_the_batch_dimension_out_where_there_are_batches() {
    for (rows, x, maybe) in [(0, &[-1, 4][..], &[-1][..]), (8, &[4], &[])] {
        let config = model_config(&view(rows)).config.expect("filled");
        assert_eq!(config.max_batch_size, rows as i32);
        assert_eq!(config.input[0].dims, x);
        assert_eq!(config.input[1].dims, maybe);
        assert_eq!(config.input[0].data_type(), DataType::TypeFp32);
        assert_eq!(config.input[1].data_type(), DataType::TypeString);
        assert!(config.input[1].optional && !config.input[0].optional);
        assert_eq!(config.output[0].data_type(), DataType::TypeBf16);
        assert_eq!((config.instance_group[0].count, config.instance_group[0].kind()), (2, Kind::Cpu));
        assert_eq!(config.response_cache.map(|cache| cache.enable), Some(rows > 0));
        assert_eq!((&*config.backend, &*config.default_model_filename), ("tract", "model.onnx"));
    }
}

#[test]
fn every_statistic_is_there_even_where_it_is_zero() {
    let counted = |count, total| CountedTime { count, total };
    let version = StatisticsView {
        name: ModelName::new("iris").expect("a name"),
        version: VersionNumber::new(2).expect("above 0"),
        last_inference_ms: 9,
        inference_count: 24,
        execution_count: 1,
        success: counted(3, Duration::from_micros(5)),
        fail: CountedTime::default(),
        queue: counted(3, Duration::MAX),
        compute_input: CountedTime::default(),
        compute_infer: CountedTime::default(),
        compute_output: CountedTime::default(),
        cache_hit: counted(2, Duration::from_nanos(7)),
        cache_miss: CountedTime::default(),
    };
    let told = model_statistics(&[version]).model_stats.remove(0);
    assert_eq!((&*told.name, &*told.version), ("iris", "2"));
    assert_eq!((told.last_inference, told.inference_count, told.execution_count), (9, 24, 1));
    let stats = told.inference_stats.expect("filled");
    assert_eq!(stats.success, Some(StatisticDuration { count: 3, ns: 5000 }));
    assert_eq!(stats.queue, Some(StatisticDuration { count: 3, ns: u64::MAX }));
    assert_eq!(stats.cache_hit, Some(StatisticDuration { count: 2, ns: 7 }));
    let zero = Some(StatisticDuration::default());
    assert!([stats.fail, stats.cache_miss, stats.compute_output].iter().all(|s| *s == zero));
}

#[test]
fn the_index_names_states_and_reasons() {
    let version = VersionNumber::new(1);
    let entries = [
        IndexEntry { name: "a".into(), version, state: IndexState::Ready, reason: String::new() },
        IndexEntry { name: "b".into(), version: None, state: IndexState::Unavailable, reason: "r".into() },
    ];
    let told = repository_index(&entries).models;
    assert_eq!((&*told[0].name, &*told[0].version, &*told[0].state), ("a", "1", "READY"));
    assert_eq!((&*told[1].version, &*told[1].state, &*told[1].reason), ("", "UNAVAILABLE", "r"));
}

#[test]
fn reflection_describes_the_service() {
    let text = String::from_utf8_lossy(FILE_DESCRIPTOR_SET);
    for name in ["inference.proto", "model_config.proto", "GRPCInferenceService", "ModelStreamInfer"] {
        assert!(text.contains(name), "{name}");
    }
    assert_eq!(ServerLiveResponse { live: true }.encode_to_vec(), [8, 1]);
}
