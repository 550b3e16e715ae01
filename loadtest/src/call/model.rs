//! What a server says of a model.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_core::{Datatype, Dim, Signature, TensorSpec, VersionNumber};
use pointsman_wire::grpc::codec;
use pointsman_wire::grpc::proto::model_metadata_response::TensorMetadata;
use pointsman_wire::grpc::proto::{ModelMetadataRequest, ModelMetadataResponse};
use pointsman_wire::v1;
use serde::Deserialize;

use super::endpoint::Endpoint;
use super::judge;
use super::prepare::unary;
use super::verdict::Verdict;
use crate::client::line::Manner;
use crate::client::{http1, http2};

/// How long a server may take to say what a model is.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What stands for itself in a part of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The method of V2 gRPC that says what a model takes and gives.
const MODEL_METADATA: &str = "/inference.GRPCInferenceService/ModelMetadata";

/// A model of a server, at a version or at its default one.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    /// A number or an alias; nothing for the default version.
    pub(crate) version: Option<String>,
    /// What it takes and gives.
    pub(crate) signature: Signature,
}

impl Model {
    /// Asks a server, by REST where it has a listener for that.
    ///
    /// # Errors
    /// Where it does not answer, has no such model, or says what cannot be used.
    pub(crate) async fn read(endpoint: &Endpoint, name: &str, version: Option<&str>) -> Result<Self, String> {
        let signature = Signature::default();
        let mut model = Self { name: name.into(), version: version.map(Into::into), signature };
        let asked = async {
            match (endpoint.http, endpoint.grpc) {
                (Some(_), _) => model.by_rest(endpoint).await,
                (None, Some(_)) => model.by_grpc(endpoint).await,
                (None, None) => Err("no listener is named".into()),
            }
        };
        let signature = tokio::time::timeout(TIMEOUT, asked).await;
        let signature = signature.unwrap_or_else(|_| Err(format!("no answer came within {TIMEOUT:?}")));
        model.signature = signature.map_err(|e| format!("what model {name} is cannot be read: {e}"))?;
        Ok(model)
    }

    async fn by_rest(&self, endpoint: &Endpoint) -> Result<Signature, String> {
        let address = endpoint.http.ok_or("no listener for REST is named")?;
        let (head, body) = http1::once(address, &http1::get(&endpoint.host, &self.v2_path())).await?;
        if matches!(head.status, 400 | 404) {
            // TensorFlow Serving does not speak V2, and has a document of its own.
            let request = http1::get(&endpoint.host, &format!("{}/metadata", self.v1_path()));
            let (head, body) = http1::once(address, &request).await?;
            if head.status == 200 {
                return v1::decode_metadata(&body).map_err(|e| e.to_string());
            }
        }
        if head.status != 200 {
            return Err(Verdict::of_status(head.status, &body).to_string());
        }
        let metadata: Metadata = serde_json::from_slice(&body).map_err(|e| format!("its metadata: {e}"))?;
        metadata.signature()
    }

    async fn by_grpc(&self, endpoint: &Endpoint) -> Result<Signature, String> {
        let address = endpoint.grpc.ok_or("no listener for gRPC is named")?;
        let version = self.version.clone().unwrap_or_default();
        let message = ModelMetadataRequest { name: self.name.clone(), version };
        let request = unary(&endpoint.host, MODEL_METADATA, &message)?;
        let received = http2::exchange(http2::open(address, Manner::Normal).await?, &request).await?;
        let mut message = judge::message(&received).map_err(|verdict| verdict.to_string())?;
        let metadata: ModelMetadataResponse = codec::decode(&mut message).map_err(|e| e.to_string())?;
        let read = |tensors: Vec<TensorMetadata>| tensors.into_iter().map(Described::from).collect();
        Metadata { inputs: read(metadata.inputs), outputs: read(metadata.outputs) }.signature()
    }

    /// The path of V2 to this version.
    pub(super) fn v2_path(&self) -> String {
        let version = self.version.as_deref().map(|version| format!("/versions/{}", segment(version)));
        format!("/v2/models/{}{}", segment(&self.name), version.unwrap_or_default())
    }

    /// The path of V1 to this version, as TensorFlow Serving has it: an alias is a label there.
    pub(super) fn v1_path(&self) -> String {
        let version = self.version.as_deref().map(|version| match VersionNumber::parse(version) {
            Some(number) => format!("/versions/{number}"),
            None => format!("/labels/{}", segment(version)),
        });
        format!("/v1/models/{}{}", segment(&self.name), version.unwrap_or_default())
    }
}

/// A text as a part of a path.
fn segment(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, SEGMENT)
}

/// The metadata of V2, as far as it matters.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    inputs: Vec<Described>,
    #[serde(default)]
    outputs: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    datatype: String,
    #[serde(default)]
    shape: Vec<i64>,
}

impl From<TensorMetadata> for Described {
    fn from(TensorMetadata { name, datatype, shape, .. }: TensorMetadata) -> Self {
        Self { name, datatype, shape }
    }
}

impl Metadata {
    fn signature(self) -> Result<Signature, String> {
        let specs =
            |tensors: Vec<Described>| tensors.into_iter().map(Described::spec).collect::<Result<_, _>>();
        Ok(Signature { inputs: specs(self.inputs)?, outputs: specs(self.outputs)? })
    }
}

impl Described {
    fn spec(self) -> Result<TensorSpec, String> {
        let Self { name, datatype, shape } = self;
        let datatype = Datatype::parse(&datatype)
            .ok_or_else(|| format!("tensor {name} is of {datatype}, which V2 does not have"))?;
        let dim = |dim: i64| u64::try_from(dim).map_or(Dim::Dynamic(None), Dim::Fixed);
        let shape = Some(shape.into_iter().map(dim).collect());
        Ok(TensorSpec { name: name.into(), datatype, shape, optional: false, labels: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::fixture::{Served, json, predict, run, serve};

    #[test]
    fn a_model_is_read_over_each_protocol() {
        run(async {
            let Served { endpoint, .. } = serve(|path| async move { predict(&path) }).await;
            let by_grpc = Endpoint { http: None, ..endpoint.clone() };
            for endpoint in [&endpoint, &by_grpc] {
                let model = Model::read(endpoint, "m", Some("3")).await.expect("it is there");
                let [input] = model.signature.inputs.as_slice() else { panic!("{model:?}") };
                let shape = [Dim::Dynamic(None), Dim::Fixed(2)];
                assert_eq!((&*input.name, input.shape.as_deref()), ("x", Some(&shape[..])));
                assert_eq!((input.datatype, model.signature.outputs.len()), (Datatype::Fp32, 1));
            }
            let error = Model::read(&endpoint, "n", None).await.expect_err("there is no such model");
            assert!(error.contains("model n") && error.contains("NOT_FOUND"), "{error}");
            let nowhere = Endpoint { http: None, ..by_grpc };
            let nowhere = Endpoint { grpc: None, ..nowhere };
            assert!(Model::read(&nowhere, "m", None).await.is_err());
        });
    }

    #[test]
    fn a_server_without_v2_is_asked_in_v1() {
        let tensors = |name: &str| {
            let shape = r#"{"dim":[{"size":"-1","name":""}],"unknown_rank":false}"#;
            format!(r#"{{"{name}":{{"dtype":"DT_FLOAT","tensor_shape":{shape}}}}}"#)
        };
        let signature = format!(r#"{{"inputs":{},"outputs":{}}}"#, tensors("x"), tensors("y"));
        let document = format!(
            r#"{{"metadata":{{"signature_def":{{"signature_def":{{"serving_default":{signature}}}}}}}}}"#
        );
        run(async {
            let Served { endpoint, .. } = serve(move |path: String| {
                let known = path == "/v1/models/t/labels/champion/metadata";
                let answer = if known { json(&document) } else { predict(&path) };
                async move { answer }
            })
            .await;
            let model = Model::read(&endpoint, "t", Some("champion")).await.expect("it is there");
            assert_eq!((&*model.signature.inputs[0].name, model.signature.outputs.len()), ("x", 1));
            let error = Model::read(&endpoint, "t", None).await.expect_err("it has no such version");
            assert!(error.contains("NOT_FOUND"), "{error}");
        });
    }

    #[test]
    fn metadata_that_cannot_be_used_is_named() {
        let read = |text| serde_json::from_str::<Metadata>(text).expect("JSON").signature();
        let error = read(r#"{"inputs":[{"name":"x","datatype":"FP31","shape":[1]}]}"#).expect_err("FP31");
        assert_eq!(error, "tensor x is of FP31, which V2 does not have");
        assert_eq!(read(r#"{"name":"m","inputs":[],"outputs":[]}"#), Ok(Signature::default()));
        assert_eq!(read(r#"{"name":"m"}"#), Ok(Signature::default()), "MLServer may say nothing");
    }
}
