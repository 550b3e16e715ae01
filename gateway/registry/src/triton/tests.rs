//! Configurations as Triton's users write them.

use proptest::prelude::*;

use super::*;

fn config(text: &str) -> ReadConfig {
    read("resnet/config.pbtxt", "resnet", text.as_bytes()).expect("a good configuration")
}

fn problems(text: &str) -> Vec<String> {
    let problems = read("resnet/config.pbtxt", "resnet", text.as_bytes()).expect_err("a bad configuration");
    problems.iter().map(ToString::to_string).collect()
}

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

const FULL: &str = r#"
# A classifier of images.
name: "resnet"
platform: "onnxruntime_onnx"
max_batch_size : 16
input [
  {
    name: "data_0"
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 224, 224 ]
    reshape { shape: [ 1, 3, 224, 224 ] }
  },
  { name: "mask" data_type: TYPE_BOOL dims: [ -1 ] optional: true }
]
output [
  {
    name: "fc6_1"
    data_type: TYPE_FP32
    dims: [ 1000 ]
    label_filename: "resnet_labels.txt"
  }
]
version_policy: { specific: { versions: [1, 3] } }
instance_group [
  { count: 2 kind: KIND_CPU },
  { count: 1 kind: KIND_GPU gpus: [ 0 ] }
]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
  preserve_ordering: true
  priority_levels: 2
  default_priority_level: 2
  default_queue_policy { timeout_action: DELAY max_queue_size: 64 }
}
optimization { execution_accelerators { gpu_execution_accelerator : [ {
  name : "tensorrt" parameters { key: "precision_mode" value: "FP16" } } ] } }
parameters: { key: "intra_op_thread_count" value: { string_value: "it's \"4\" }" } }
response_cache { enable: true }
model_warmup [ { name: "zeros", batch_size: 1; inputs: { key: "data_0" value: < zero_data: true > } } ]
"#;

#[test]
fn a_full_configuration_is_read_and_what_is_not_honoured_is_named() {
    let ReadConfig { config, label_files, warnings } = config(FULL);
    assert_eq!(
        config,
        TritonConfig {
            max_batch_size: Some(16),
            policy: Some(VersionPolicy::Specific(vec![version(1), version(3)])),
            workers: Some(2),
            queue_max: Some(64),
            batching: Some(DynamicBatching {
                preferred_rows: vec![4, 8],
                queue_delay_max: Duration::from_micros(100),
                priorities: Some((2, 2)),
            }),
            response_cache: true,
            optional_inputs: BTreeSet::from(["mask".into()]),
            labels: BTreeMap::new(),
            model_file: None,
        }
    );
    assert_eq!(label_files, BTreeMap::from([("fc6_1".into(), "resnet_labels.txt".into())]));
    let warnings: Vec<_> = warnings.iter().map(|w| w.what.as_str()).collect();
    assert_eq!(
        warnings,
        [
            "sets input.format, input.reshape, instance_group.gpus, dynamic_batching.preserve_ordering, \
             dynamic_batching.default_queue_policy.timeout_action, optimization, parameters, model_warmup, \
             which is not honoured",
            "instance_group.kind: KIND_GPU, but this gateway runs on the CPU",
        ]
    );
}

#[test]
fn small_configurations_are_read() {
    let empty = config("");
    assert_eq!(empty.config, TritonConfig { max_batch_size: Some(0), ..TritonConfig::default() });
    assert!(empty.warnings.is_empty());
    assert_eq!(config("version_policy { all {} }").config.policy, Some(VersionPolicy::All));
    assert_eq!(config("version_policy < latest < > >").config.policy, Some(VersionPolicy::Latest(1)));
    assert_eq!(config("backend: 'onnx' \"runtime\"").config.workers, None);
    assert_eq!(config("instance_group [ { kind: KIND_CPU } ]").config.workers, Some(1));
    assert_eq!(config("dynamic_batching { }").config.batching, Some(DynamicBatching::default()));
    assert!(!config("response_cache { }").config.response_cache);
    let file = config("default_model_filename: \"net.onnx\"").config.model_file;
    assert_eq!(file.as_deref(), Some("net.onnx"));
}

#[test]
fn what_cannot_be_served_is_a_problem() {
    assert_eq!(
        problems(
            "name: \"other\"\nbackend: \"python\"\nplatform: \"ensemble\"\ndefault_model_filename: \"../m\""
        ),
        [
            "resnet/config.pbtxt: name: \"other\", but the folder is 'resnet'; give the name of its folder, or leave it out",
            "resnet/config.pbtxt: backend: \"python\"; only ONNX models are served here: backend is \"onnxruntime\", \
             platform \"onnxruntime_onnx\"",
            "resnet/config.pbtxt: platform: \"ensemble\"; only ONNX models are served here: backend is \"onnxruntime\", \
             platform \"onnxruntime_onnx\"",
            "resnet/config.pbtxt: default_model_filename: \"../m\"; give the name of a file in the version's folder",
        ]
    );
    for bad in [
        "max_batch_size: -1",
        "version_policy { specific { versions: [0] } }",
        "output { name: \"a\" label_filename: \"/etc/passwd\" }",
        "instance_group { count: 2000000000 }",
        "dynamic_batching { preferred_batch_size: 0 }",
        "dynamic_batching { priority_levels: 65 default_priority_level: 1 }",
        "dynamic_batching { priority_levels: 2 }",
        "dynamic_batching { priority_levels: 2 default_priority_level: 3 }",
    ] {
        assert_eq!(problems(bad).len(), 1, "{bad}");
    }
}

#[test]
fn broken_text_is_named_with_its_line() {
    for (bad, line, what) in [
        ("\nmax_batch_size 4", "line 2", "expected ':'"),
        ("\n\ninput [ {", "line 3", "missing"),
        ("name: \"a", "line 1", "quote"),
        ("max_batch_size: \n  many", "line 1", "expected an integer"),
        ("max_batch_size: 1 max_batch_size: 2", "line 1", "already set"),
        ("version_policy { all {} latest {} }", "line 1", "oneof"),
        ("input { data_type: TYPE_FP8 }", "line 1", "TYPE_FP8"),
        ("{}", "line 1", "field's name"),
        ("a: [1 2]", "line 1", "list"),
    ] {
        let found = problems(bad);
        assert!(found[0].contains(line) && found[0].contains(what), "{bad}: {found:?}");
    }
    let deep = format!("a {}", "{ a ".repeat(100_000));
    assert!(problems(&deep)[0].contains("too deep"));
    let any = "[type.googleapis.com/inference.ModelConfig] { ".repeat(10_000);
    assert!(problems(&any)[0].contains("too deep"));
    assert!(read("x", "x", b"name: \"\xff\"").is_err());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,120}") {
        let _ = read("x", "x", text.as_bytes());
    }

    #[test]
    fn text_of_config_like_pieces_never_panics(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "name", ":", "\"a\"", "'", "\"", "\\", "{", "}", "[", "]", "<", ">", ",", ";", "#", "\n", " ", "input",
            "version_policy", "latest", "num_versions", "-", "1", "0x", "1e9", ".", "é", "optional", "true", "/",
            "dynamic_batching", "preferred_batch_size", "99999999999999999999", "inf", "\\x", "\\777", "\\U00110000",
        ]), 0..40),
    ) {
        let _ = read("x", "x", pieces.concat().as_bytes());
    }

    #[test]
    fn a_configuration_with_a_piece_cut_out_never_panics(
        start in any::<proptest::sample::Index>(),
        length in 0_usize..20,
    ) {
        let start = start.index(FULL.len());
        let mut text = FULL.as_bytes().to_vec();
        text.drain(start..(start + length).min(FULL.len()));
        let _ = read("x", "x", &text);
    }
}
