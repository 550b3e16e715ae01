//! V2 gRPC against the real server: the vectors G1 to G4 of the protocol's reference, what the
//! server tells about itself, health and reflection.

use pointsman_core::{Datatype, InputTensor};
use pointsman_tests::{Gateway, OnnxModel, Start, TestRegistry, grpc, v2};
use pointsman_wire::grpc::proto::infer_parameter::ParameterChoice;
use pointsman_wire::grpc::proto::model_infer_request::InferRequestedOutputTensor;
use pointsman_wire::grpc::proto::{
    InferParameter, InferTensorContents, ModelConfigRequest, ModelInferRequest, ModelMetadataRequest,
    ModelReadyRequest, ModelStatisticsRequest, RepositoryIndexRequest, RepositoryModelLoadRequest,
    ServerLiveRequest, ServerMetadataRequest, ServerReadyRequest,
};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// A model for each datatype, named after it, that answers with its input; and `add`, which gives
/// `a + b` as version 1, `champion`, and `a * b` as version 2.
fn start() -> Gateway {
    let fp32 = Datatype::Fp32;
    let two_inputs = |operator: &str| {
        let model = OnnxModel::new().input("a", fp32, &[-1, 2]).input("b", fp32, &[-1, 2]);
        model.node(operator, &["a", "b"], "y").output("y", fp32, &[-1, 2]).bytes()
    };
    let identities = Datatype::ALL.into_iter().fold(TestRegistry::new(), |registry, datatype| {
        registry.file(&format!("{datatype}/1/model.onnx"), OnnxModel::identity(datatype, &[-1]).bytes())
    });
    let card =
        "serve = 1\nload = \"all\"\n[aliases]\nchampion = 1\n[outputs.y]\nlabels = [\"cat\", \"dog\"]\n";
    let registry = identities
        .file("add/1/model.onnx", two_inputs("Add"))
        .file("add/2/model.onnx", two_inputs("Mul"))
        .file("add/model.toml", card)
        .file("broken/1/model.onnx", "");
    Start::over(registry.path()).start()
}

fn inputs() -> Vec<InputTensor> {
    let input = |name: &str, values: Vec<f32>| InputTensor {
        name: name.into(),
        tensor: v2::tensor(&[2, 2], &values),
    };
    vec![input("a", vec![1.0, 2.0, 3.0, 4.0]), input("b", vec![2.0; 4])]
}

fn parameter(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

/// The code and the stable code that an error carries.
fn codes(status: &Status) -> (Code, &str) {
    (status.code(), status.metadata().get("pointsman-code").map_or("", |code| code.to_str().expect("text")))
}

/// G1: raw in, raw out, on both ports; the headers say who answered.
#[tokio::test]
async fn raw_tensors_in_and_out() {
    let gateway = start();
    for address in [gateway.grpc, gateway.http] {
        let mut client = grpc::client(address).await;
        for (version, answered, values) in [
            ("", "1", [3.0_f32, 4.0, 5.0, 6.0]),
            ("champion", "1", [3.0_f32, 4.0, 5.0, 6.0]),
            ("2", "2", [2.0, 4.0, 6.0, 8.0]),
        ] {
            let message = ModelInferRequest {
                id: "mine".into(),
                model_version: version.into(),
                ..grpc::raw_request("add", &inputs())
            };
            let response = client.model_infer(message).await.expect("an answer");
            let headers = response.metadata();
            assert_eq!(headers.get("pointsman-version").expect("the version"), answered);
            assert!(headers.get("pointsman-arm").is_some_and(|arm| !arm.is_empty()));
            assert_eq!(headers.get("pointsman-request-id").map(|id| id.len()), Some(36));
            let response = response.into_inner();
            assert_eq!((response.model_name.as_str(), response.model_version.as_str()), ("add", answered));
            assert_eq!((response.id.as_str(), response.raw_output_contents.len()), ("mine", 1));
            let expected = v2::tensor(&[2, 2], &values);
            assert_eq!(grpc::outputs(&response)[0].tensor, expected);
        }
    }
}

/// Values of a datatype that are not the same in every byte.
fn values(datatype: Datatype) -> pointsman_core::Tensor {
    match datatype.size() {
        None => v2::strings(&[2], &[b"a\0b", b"\xff"]),
        Some(_) if datatype == Datatype::Bool => v2::new_tensor(datatype, &[2], vec![1, 0]),
        Some(size) => v2::new_tensor(datatype, &[2], (1..=2 * size as u8).collect()),
    }
}

/// G1 and G2 for every datatype: the answer is raw, unless typed outputs are asked for.
#[tokio::test]
async fn every_datatype_raw_and_typed() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    for datatype in Datatype::ALL {
        let input = [InputTensor { name: "x".into(), tensor: values(datatype) }];
        let raw = grpc::raw_request(datatype.name(), &input);
        let typed = grpc::typed_request(datatype.name(), &input);
        for message in [Some(raw.clone()), typed.clone()].into_iter().flatten() {
            let response = client.model_infer(message).await;
            let response = response.unwrap_or_else(|status| panic!("{datatype}: {status}")).into_inner();
            assert_eq!(response.raw_output_contents.len(), 1, "{datatype}: raw unless asked");
            assert_eq!(grpc::outputs(&response)[0].tensor, input[0].tensor, "{datatype}");
        }
        let asked = parameter(ParameterChoice::BoolParam(true));
        let message = ModelInferRequest { parameters: [("typed_output".into(), asked)].into(), ..raw };
        match (client.model_infer(message).await, typed.is_some()) {
            (Ok(response), true) => {
                assert!(response.get_ref().raw_output_contents.is_empty(), "{datatype}");
                assert_eq!(grpc::outputs(response.get_ref())[0].tensor, input[0].tensor, "{datatype}");
            }
            (Err(status), false) => {
                assert_eq!(codes(&status), (Code::InvalidArgument, "NOT_REPRESENTABLE"), "{datatype}");
            }
            (result, _) => panic!("{datatype}: {result:?}"),
        }
    }
}

/// Sends a message that is refused, with this code and a sentence that has `text` in it.
async fn refused(client: &mut grpc::Client, message: ModelInferRequest, code: (Code, &str), text: &str) {
    let Err(status) = client.model_infer(message).await else { panic!("an answer where {text:?} was due") };
    assert_eq!(codes(&status), code, "{status:?}");
    assert!(status.message().contains(text), "{:?} has no {text:?}", status.message());
    assert_eq!(status.metadata().get("retry-after").is_some(), code.0 == Code::Unavailable, "{status:?}");
}

/// G3, G4 and their kin: tensors that do not fit, with a sentence that names the tensor.
#[tokio::test]
async fn tensors_that_do_not_fit_are_named() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let raw = |change: fn(&mut ModelInferRequest)| {
        let mut message = grpc::raw_request("add", &inputs());
        change(&mut message);
        message
    };
    let ints = |ints: [i32; 2]| InferTensorContents { int_contents: ints.to_vec(), ..Default::default() };
    let mut wide =
        grpc::raw_request("INT8", &[InputTensor { name: "x".into(), tensor: values(Datatype::Int8) }]);
    wide.raw_input_contents.clear();
    wide.inputs[0].contents = Some(ints([1, 300]));
    for (message, text) in [
        (
            raw(|m| m.inputs[0].contents = Some(InferTensorContents::default())),
            "contents field must not be specified when using raw_input_contents for 'a' for model 'add'",
        ),
        (
            raw(|m| m.raw_input_contents.clear()),
            "unable to find data for input tensor 'a' for model 'add' in request",
        ),
        (raw(|m| m.raw_input_contents[1] = vec![0; 15].into()), "'b'"),
        (
            raw(|m| m.raw_input_contents.push(vec![0; 16].into())),
            "unexpected raw_input_contents for model 'add'",
        ),
        (raw(|m| m.inputs[0].shape = vec![-2, 2]), "negative dimension (-2)"),
        (raw(|m| m.inputs[0].datatype = "FP31".into()), "FP31"),
        (wide, "300"),
    ] {
        refused(&mut client, message, (Code::InvalidArgument, "BAD_REQUEST"), text).await;
    }
}

/// What disagrees with the model, or names what is not there.
#[tokio::test]
async fn what_the_model_does_not_have_is_named() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    let raw = || grpc::raw_request("add", &inputs());
    let with = |name: &str, choice| [(name.to_owned(), parameter(choice))].into();
    let output = InferRequestedOutputTensor { name: "q".into(), ..Default::default() };
    let mismatch = (Code::InvalidArgument, "INPUT_MISMATCH");
    let bad = (Code::InvalidArgument, "BAD_REQUEST");
    for (message, code, text) in [
        (grpc::raw_request("add", &inputs()[..1]), mismatch, "missing required input(s) ['b']"),
        (ModelInferRequest { outputs: vec![output], ..raw() }, mismatch, "unexpected inference output 'q'"),
        (
            ModelInferRequest { parameters: with("triton_x", ParameterChoice::BoolParam(true)), ..raw() },
            bad,
            "reserved",
        ),
        (
            ModelInferRequest { parameters: with("sequence_id", ParameterChoice::Int64Param(7)), ..raw() },
            (Code::Unimplemented, "UNSUPPORTED"),
            "sequence_id",
        ),
        (
            ModelInferRequest { model_version: "0".into(), ..raw() },
            bad,
            "failed to get model version from specified version string '0'",
        ),
        (
            ModelInferRequest { model_version: "9".into(), ..raw() },
            (Code::NotFound, "UNKNOWN_VERSION"),
            "version 9 is not found",
        ),
        (
            ModelInferRequest { model_name: "none".into(), ..raw() },
            (Code::NotFound, "UNKNOWN_MODEL"),
            "Request for unknown model: 'none' is not found",
        ),
        (
            ModelInferRequest { model_name: "broken".into(), ..raw() },
            (Code::Unavailable, "NOT_READY"),
            "not at ready state",
        ),
    ] {
        refused(&mut client, message, code, text).await;
    }
}

#[tokio::test]
async fn classes_and_packed_messages() {
    let gateway = start();
    let client = grpc::client(gateway.grpc).await;
    let classification = [("classification".into(), parameter(ParameterChoice::Int64Param(1)))];
    let output = InferRequestedOutputTensor { name: "y".into(), parameters: classification.into() };
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate] {
        let mut client = client.clone().send_compressed(encoding).accept_compressed(encoding);
        let message =
            ModelInferRequest { outputs: vec![output.clone()], ..grpc::raw_request("add", &inputs()) };
        let response = client.model_infer(message).await.expect("an answer");
        let expected = if encoding == CompressionEncoding::Gzip { "gzip" } else { "deflate" };
        assert_eq!(response.metadata().get("grpc-encoding").expect("packed"), expected);
        let expected = v2::strings(&[2, 1], &[b"4.000000:1:dog", b"6.000000:1:dog"]);
        assert_eq!(grpc::outputs(response.get_ref())[0].tensor, expected);
    }
}

#[tokio::test]
async fn the_server_and_its_models() {
    let gateway = start();
    let mut client = grpc::client(gateway.grpc).await;
    assert!(client.server_live(ServerLiveRequest {}).await.expect("an answer").get_ref().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.expect("an answer").get_ref().ready);
    let server = client.server_metadata(ServerMetadataRequest {}).await.expect("an answer").into_inner();
    assert_eq!(server.name, "pointsman");
    assert!(server.extensions.contains(&"statistics".into()), "{:?}", server.extensions);
    let of = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    for ((name, version), expected) in [
        (of("add", ""), Ok(true)),
        (of("add", "champion"), Ok(true)),
        (of("broken", ""), Ok(false)),
        (of("none", ""), Err(Code::NotFound)),
    ] {
        let ready = client.model_ready(ModelReadyRequest { name: name.clone(), version }).await;
        assert_eq!(ready.map(|r| r.into_inner().ready).map_err(|s| s.code()), expected, "{name}");
    }
    let (name, version) = of("add", "2");
    let metadata = client.model_metadata(ModelMetadataRequest { name: name.clone(), version }).await;
    let metadata = metadata.expect("an answer").into_inner();
    assert_eq!(
        (metadata.versions, metadata.platform.as_str()),
        (vec!["1".into(), "2".into()], "onnxruntime_onnx")
    );
    assert_eq!((metadata.inputs[1].name.as_str(), &metadata.inputs[1].shape[..]), ("b", &[-1, 2][..]));
    let config = client.model_config(ModelConfigRequest { name: name.clone(), version: String::new() }).await;
    let config = config.expect("an answer").into_inner().config.expect("a configuration");
    assert_eq!(
        (config.name.as_str(), config.max_batch_size, &config.input[0].dims[..]),
        ("add", 0, &[-1, 2][..])
    );

    client.model_infer(grpc::raw_request("add", &inputs())).await.expect("an answer");
    let statistics = client.model_statistics(ModelStatisticsRequest { name, version: "1".into() }).await;
    let row = statistics.expect("an answer").into_inner().model_stats.remove(0);
    assert_eq!((row.version.as_str(), row.inference_count, row.execution_count), ("1", 2, 1));
    let index = client.repository_index(RepositoryIndexRequest { ready: true, ..Default::default() }).await;
    assert_eq!(index.expect("an answer").get_ref().models.len(), Datatype::ALL.len() + 2);
    let index =
        client.repository_index(RepositoryIndexRequest::default()).await.expect("an answer").into_inner();
    let broken = index.models.into_iter().find(|model| model.name == "broken").expect("it is listed");
    assert_eq!((broken.state.as_str(), broken.reason.is_empty()), ("UNAVAILABLE", false));
    let load =
        client.repository_model_load(RepositoryModelLoadRequest::default()).await.expect_err("refused");
    assert_eq!(codes(&load), (Code::Unimplemented, "UNSUPPORTED"));
}

#[tokio::test]
async fn health_and_reflection() {
    const SERVICE: &str = "inference.GRPCInferenceService";
    let gateway = start();
    for address in [gateway.grpc, gateway.http] {
        let channel = grpc::channel(address).await;
        let mut health = HealthClient::new(channel.clone());
        for service in ["", SERVICE] {
            let response =
                health.check(HealthCheckRequest { service: service.into() }).await.expect("an answer");
            assert_eq!(response.get_ref().status(), ServingStatus::Serving);
        }
        let unknown = health.check(HealthCheckRequest { service: "x".into() }).await.expect_err("unknown");
        assert_eq!(unknown.code(), Code::NotFound);

        let mut watched = health.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
        let first = watched.message().await.expect("an answer").expect("the status of now");
        assert_eq!(first.status(), ServingStatus::Serving);

        let ask = |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let questions = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(SERVICE.into())),
        ];
        let mut reflection = ServerReflectionClient::new(channel);
        let questions = futures_util::stream::iter(questions);
        let mut answers = reflection.server_reflection_info(questions).await.expect("a stream").into_inner();
        let mut answer = async || {
            let answer = answers.message().await.expect("an answer").expect("one for each question");
            answer.message_response.expect("a response")
        };
        let MessageResponse::ListServicesResponse(list) = answer().await else {
            panic!("no list of services")
        };
        let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        assert!(
            names.contains(&SERVICE.into()) && names.contains(&"grpc.health.v1.Health".into()),
            "{names:?}"
        );
        let MessageResponse::FileDescriptorResponse(files) = answer().await else { panic!("no descriptor") };
        assert!(!files.file_descriptor_proto.is_empty());
    }
}

/// A watch hears of the way down, and does not hold it up.
#[tokio::test]
async fn a_watch_of_health_ends_with_the_gateway() {
    let gateway = start();
    let mut health = HealthClient::new(grpc::channel(gateway.grpc).await);
    let mut watched = health.watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("an answer").expect("the status of now");
    assert_eq!(first.status(), ServingStatus::Serving);
    gateway.signal("TERM");
    let last = watched.message().await.expect("an answer").expect("the change");
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert_eq!(watched.message().await.expect("a clean end"), None);
    assert_eq!(gateway.wait().code, Some(0));
}
