//! The V2 gRPC service, on the same data path as REST, with health and reflection beside it.

mod admitted;
mod budget;
mod health;
mod stream;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pointsman_control::Wish;
use pointsman_core::{Arm, PredictError, Prediction, RequestId, VersionSelector};
use pointsman_wire::grpc::proto::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use pointsman_wire::grpc::proto::{
    ModelConfigRequest, ModelConfigResponse, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, ModelStatisticsRequest,
    ModelStatisticsResponse, RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelLoadRequest,
    RepositoryModelLoadResponse, RepositoryModelUnloadRequest, RepositoryModelUnloadResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse,
};
use pointsman_wire::grpc::{self as wire, InferCall};
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Request, Response, Status, Streaming};
use tonic_health::pb::health_server::HealthServer;

pub(crate) use self::admitted::{Admitted, unread};
pub(crate) use self::budget::{BoundedBody, Undecoded};
use self::health::GatewayHealth;
use self::stream::AnswerStream;
use crate::admin::operator;
use crate::control::Control;
use crate::exchange::{Answered, Exchange, Received};
use crate::gateway::Gateway;

/// What callers of the public listeners are told who want a model loaded or unloaded.
pub(crate) const NO_CONTROL: &str = "models are loaded and unloaded by request on the admin listener alone";

/// All gRPC services of the gateway.
#[must_use]
pub(crate) fn routes(gateway: &Arc<Gateway>, control: Option<Control>) -> Routes {
    let mut routes = Routes::builder();
    routes.add_service(HealthServer::new(GatewayHealth::new(gateway.clone())));
    if let Err(error) = add_reflection(&mut routes) {
        // The sets are compiled in and read by a test: they cannot be malformed.
        tracing::warn!("gRPC reflection is off: {error}");
    }
    let inference = GrpcInferenceServiceServer::new(Inference { gateway: gateway.clone(), control })
        .max_decoding_message_size(gateway.limits.body_bytes_max)
        .max_encoding_message_size(usize::MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Deflate);
    routes.add_service(inference);
    routes.routes()
}

/// Adds reflection in both versions of its protocol: many clients still ask for the older one.
fn add_reflection(routes: &mut RoutesBuilder) -> Result<(), tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wire::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    routes.add_service(reflection().build_v1()?);
    routes.add_service(reflection().build_v1alpha()?);
    Ok(())
}

/// Puts the one table's code where a message of a stream could not be read, and ends the request.
fn refused(status: Status, gateway: &Gateway, received: impl FnOnce() -> Received) -> Status {
    if status.code() == tonic::Code::Cancelled {
        return status;
    }
    let error = unread(&status, gateway.limits.body_bytes_max);
    received().failed(&error);
    wire::status(&error)
}

/// The call of one prediction.
pub(crate) const INFER_PATH: &str = "/inference.GRPCInferenceService/ModelInfer";

/// The call whose body may last as long as its caller likes.
pub(crate) const STREAM_PATH: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// The service.
#[derive(Clone)]
struct Inference {
    gateway: Arc<Gateway>,
    /// The way to the control path, on the admin listener alone.
    control: Option<Control>,
}

impl Inference {
    /// One request, whether it came alone or on a stream.
    async fn infer(
        &self,
        mut exchange: Exchange,
        message: ModelInferRequest,
        metadata: &MetadataMap,
    ) -> Result<(ModelInferResponse, Answer), PredictError> {
        match self.predict(message, &mut exchange, metadata).await {
            Ok((response, prediction, encode)) => {
                let metadata = Metadata {
                    id: exchange.id().to_string(),
                    version: prediction.version.get(),
                    arm: prediction.arm.clone(),
                    experiment: prediction.experiment.clone(),
                    trace: exchange.trace_response(),
                };
                Ok((response, Answer { metadata, answered: exchange.answered(&prediction, encode) }))
            }
            Err(error) => {
                exchange.failed(&error);
                self.gateway.refusals.pause(&error).await;
                Err(error)
            }
        }
    }

    async fn predict(
        &self,
        message: ModelInferRequest,
        exchange: &mut Exchange,
        metadata: &MetadataMap,
    ) -> Result<(ModelInferResponse, Prediction, Duration), PredictError> {
        let decode_from = Instant::now();
        exchange.permit().grow(message.encoded_len())?;
        let version = wire::parse_version(&message.model_version)?;
        let pinned = exchange.enter(&message.model_name, &version, metadata.as_ref())?;
        let InferCall { mut request, form, timeout: asked, .. } =
            wire::decode_infer(message, exchange.id(), &self.gateway.limits)?;
        let timeout = [timeout(metadata), asked].into_iter().flatten().min();
        request.deadline = timeout.and_then(|timeout| exchange.received_at().checked_add(timeout));
        let prediction = exchange.predict(pinned, metadata.as_ref(), request, decode_from.elapsed()).await?;
        let encode_from = Instant::now();
        let response = wire::encode_infer(&prediction, &form)?;
        Ok((response, prediction, encode_from.elapsed()))
    }

    /// Wishes something about a model, where this is the admin listener.
    async fn wish(&self, model: &str, wish: Wish, by: String) -> Result<(), Status> {
        let Some(control) = &self.control else {
            return Err(wire::status(&PredictError::Unsupported(NO_CONTROL.into())));
        };
        control.wish(model, wish, by, false).await.map(drop).map_err(|error| wire::status(&error))
    }

    /// The version that a message names.
    fn version(text: &str) -> Result<VersionSelector, Status> {
        wire::parse_version(text).map_err(|error| wire::status(&error))
    }
}

/// How long the caller waits, by the call's metadata.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    wire::parse_timeout(metadata.get("grpc-timeout")?.to_str().ok()?)
}

/// What belongs to an answer beside its message.
struct Answer {
    metadata: Metadata,
    answered: Answered,
}

/// The headers that REST answers have too.
struct Metadata {
    id: String,
    version: u64,
    arm: Arm,
    experiment: Option<Arc<str>>,
    trace: Option<String>,
}

impl Metadata {
    fn write(self, metadata: &mut MetadataMap) {
        for (name, value) in self.pairs() {
            insert(metadata, name, value);
        }
    }

    /// By name: as metadata of a call, and as parameters of an answer on a stream, which has no metadata of its own.
    fn pairs(self) -> impl Iterator<Item = (&'static str, String)> {
        let pairs = [
            ("pointsman-arm", Some(self.arm.to_string())),
            ("pointsman-experiment", self.experiment.map(|experiment| experiment.to_string())),
            ("pointsman-version", Some(self.version.to_string())),
            (REQUEST_ID, Some(self.id)),
            ("traceresponse", self.trace),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// The metadata that holds the gateway's id of the request.
const REQUEST_ID: &str = "pointsman-request-id";

/// Says which request a status belongs to.
pub(crate) fn identify(status: &mut Status, id: RequestId) {
    insert(status.metadata_mut(), REQUEST_ID, id.to_string());
}

/// Adds text that is known to be ASCII.
fn insert(metadata: &mut MetadataMap, name: &'static str, text: String) {
    if let Ok(value) = MetadataValue::try_from(text) {
        metadata.insert(name, value);
    }
}

/// An answer under way from the service to the connection, which counts it once it is written.
#[derive(Clone)]
pub(crate) struct UnderWay(Arc<Mutex<Option<Answered>>>);

impl UnderWay {
    /// Takes the answer over.
    #[must_use]
    pub(crate) fn take(&self) -> Option<Answered> {
        self.0.lock().ok()?.take()
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Inference {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.gateway.is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let ModelReadyRequest { name, version } = request.into_inner();
        match self.gateway.model(&name, &Self::version(&version)?) {
            Ok(_) => Ok(Response::new(ModelReadyResponse { ready: true })),
            Err(PredictError::NotReady { .. }) => Ok(Response::new(ModelReadyResponse { ready: false })),
            Err(error) => Err(wire::status(&error)),
        }
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(wire::server_metadata(&self.gateway.server())))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let ModelMetadataRequest { name, version } = request.into_inner();
        let model = self.gateway.model(&name, &Self::version(&version)?).map_err(|e| wire::status(&e))?;
        Ok(Response::new(wire::model_metadata(&model)))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let admitted = extensions.get::<Admitted>().and_then(Admitted::take);
        // Whoever leads calls here has admitted them.
        let exchange = admitted.ok_or_else(|| wire::status(&PredictError::ShuttingDown))?;
        let (response, answer) =
            self.infer(exchange, message, &metadata).await.map_err(|error| wire::status(&error))?;
        let mut response = Response::new(response);
        answer.metadata.write(response.metadata_mut());
        response.extensions_mut().insert(UnderWay(Arc::new(Mutex::new(Some(answer.answered)))));
        Ok(response)
    }

    type ModelStreamInferStream = AnswerStream;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<AnswerStream>, Status> {
        Ok(Response::new(stream::answer(self.clone(), request)))
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let ModelConfigRequest { name, version } = request.into_inner();
        let model = self.gateway.model(&name, &Self::version(&version)?).map_err(|e| wire::status(&e))?;
        Ok(Response::new(wire::model_config(&model)))
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let version = Self::version(&version)?;
        let of = (!name.is_empty()).then_some((name.as_str(), &version));
        let statistics = self.gateway.statistics(of).map_err(|e| wire::status(&e))?;
        Ok(Response::new(wire::model_statistics(&statistics)))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        Ok(Response::new(wire::repository_index(&self.gateway.index(request.into_inner().ready))))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        let by = operator(&request.metadata().clone().into_headers());
        let RepositoryModelLoadRequest { repository_name, model_name, parameters } = request.into_inner();
        wire::check_repository(&repository_name, parameters.keys().map(String::as_str))
            .map_err(|e| wire::status(&e))?;
        self.wish(&model_name, Wish::Load { version: None }, by).await?;
        Ok(Response::new(RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Result<Response<RepositoryModelUnloadResponse>, Status> {
        let by = operator(&request.metadata().clone().into_headers());
        let RepositoryModelUnloadRequest { repository_name, model_name, parameters } = request.into_inner();
        wire::check_repository(&repository_name, parameters.keys().map(String::as_str))
            .map_err(|e| wire::status(&e))?;
        self.wish(&model_name, Wish::Unload { version: None }, by).await?;
        Ok(Response::new(RepositoryModelUnloadResponse {}))
    }
}
