//! The HTTP listener: V2 REST, V1 and TF-Serving REST, and gRPC by content type.

mod answer;
mod body;
mod feedback;
mod infer;
mod query;
mod read;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use hyper::body::Incoming;
use pointsman_control::Wish;
use pointsman_core::{PredictError, RequestId, VersionSelector};
use pointsman_predict::Protocol;
use pointsman_wire::route::{self, Route, Target};
use pointsman_wire::view::IndexState;
use pointsman_wire::{v1, v2};
use tonic::body::Body as GrpcBody;
use tonic::codegen::Service;
use tonic::service::Routes;

pub(crate) use self::answer::{document, error};
pub(crate) use self::body::AnswerBody;
pub(crate) use self::feedback::take_feedback;
pub(crate) use self::query::Query;
pub(crate) use self::read::BODY_KEY;
use crate::admin::operator;
use crate::control::Control;
use crate::exchange::{Caller, Received};
use crate::gateway::Gateway;
use crate::grpc::{self, Admitted, BoundedBody, INFER_PATH, NO_CONTROL, STREAM_PATH, Undecoded, UnderWay};
use crate::listen::Answer;

const LOAD: Wish = Wish::Load { version: None };
const UNLOAD: Wish = Wish::Unload { version: None };

/// The largest body of a request that is no prediction.
const SMALL_BODY_MAX: usize = 64 << 10;

/// Answers the requests of the HTTP listener.
#[derive(Clone)]
pub(crate) struct Http {
    gateway: Arc<Gateway>,
    grpc: Grpc,
    /// The way to the control path, on the admin listener alone.
    control: Option<Control>,
    body_timeout: Duration,
}

/// Answers the requests of the gRPC listener, and of the HTTP listener those with its content type.
#[derive(Clone)]
pub(crate) struct Grpc {
    gateway: Arc<Gateway>,
    routes: Routes,
    body_timeout: Duration,
}

impl Http {
    /// A service over the data path and the gRPC services.
    #[must_use]
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        grpc: Grpc,
        control: Option<Control>,
        body_timeout: Duration,
    ) -> Self {
        Self { gateway, grpc, control, body_timeout }
    }

    async fn rest(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        if request.uri().path() == feedback::PATH {
            return feedback::answer(&self.gateway, request, self.body_timeout).await;
        }
        let route = match route::parse(request.method(), request.uri().path()) {
            Ok(route) => route,
            Err(error) => return answer::error(&error),
        };
        match route {
            Route::Infer(target) => infer::v2(self, target, request).await,
            Route::V1Predict(target) => infer::v1(self, target, request).await,
            Route::RepositoryIndex => self.index(request.into_body()).await,
            Route::RepositoryLoad(model) => self.repository(&model, LOAD, request).await,
            Route::RepositoryUnload(model) => self.repository(&model, UNLOAD, request).await,
            other => self.about(&other).unwrap_or_else(|error| answer::error(&error)),
        }
    }

    /// Everything that the gateway tells about itself.
    fn about(&self, route: &Route) -> Result<Response<AnswerBody>, PredictError> {
        let gateway = &self.gateway;
        Ok(match route {
            Route::Alive => document(v1::documents::alive()),
            Route::OpenApi => document(Bytes::from_static(pointsman_wire::openapi::OPENAPI.as_bytes())),
            Route::ServerMetadata => document(v2::documents::server_metadata(&gateway.server())),
            Route::ServerLive => document(v2::documents::live(true)),
            Route::ServerReady if gateway.is_ready() => document(v2::documents::ready(true)),
            Route::ServerReady => answer::unavailable(v2::documents::ready(false)),
            Route::Models => {
                document(v2::documents::models(gateway.model_names().iter().map(String::as_str)))
            }
            Route::V1Models => {
                document(v1::documents::models(gateway.model_names().iter().map(String::as_str)))
            }
            Route::ModelMetadata(t) => {
                document(v2::documents::model_metadata(&gateway.model(&t.model, &t.version)?))
            }
            Route::ModelConfig(t) => {
                document(v2::documents::model_config(&gateway.model(&t.model, &t.version)?))
            }
            Route::ModelStatistics(t) => {
                document(v2::documents::statistics(&gateway.statistics(Some((&t.model, &t.version)))?))
            }
            Route::Statistics => document(v2::documents::statistics(&gateway.statistics(None)?)),
            Route::ModelReady(t) => match gateway.model(&t.model, &t.version) {
                Ok(model) => document(v2::documents::model_ready(model.name.as_str())),
                Err(error @ PredictError::NotReady { .. }) => {
                    answer::unavailable(v2::documents::model_not_ready(&t.model, &error))
                }
                Err(error) => return Err(error),
            },
            Route::V1Metadata(t) => document(v1::documents::metadata(&gateway.model(&t.model, &t.version)?)),
            Route::V1Status(t) => self.v1_status(t)?,
            // Answered before, as they have bodies.
            Route::Infer(_)
            | Route::V1Predict(_)
            | Route::RepositoryIndex
            | Route::RepositoryLoad(_)
            | Route::RepositoryUnload(_) => return Err(PredictError::NotFound),
        })
    }

    /// V1 asks for one model, or one version of it, in the index.
    fn v1_status(&self, target: &Target) -> Result<Response<AnswerBody>, PredictError> {
        let snapshot = self.gateway.predictor.snapshots().snapshot();
        let unknown = || PredictError::UnknownModel { model: target.model.clone() };
        let model = snapshot.models.get(target.model.as_str()).ok_or_else(unknown)?;
        let mut versions = self.gateway.index(false);
        versions.retain(|entry| entry.name == target.model);
        if target.version != VersionSelector::Default {
            let asked = || PredictError::UnknownVersion {
                model: target.model.clone(),
                version: target.version.clone(),
            };
            let version = model.plan.named(&target.version).map_err(|_| asked())?;
            versions.retain(|entry| entry.version == Some(version));
            if versions.is_empty() {
                return Err(asked());
            }
        }
        let ready = versions.iter().any(|entry| entry.state == IndexState::Ready);
        let json = v1::documents::status(&target.model, &versions);
        Ok(if ready { document(json) } else { answer::unavailable(json) })
    }

    async fn index(&self, body: Incoming) -> Response<AnswerBody> {
        match self.read_index(body).await {
            Ok(ready_only) => document(v2::documents::index(&self.gateway.index(ready_only))),
            Err(error) => answer::error(&error),
        }
    }

    async fn read_index(&self, body: Incoming) -> Result<bool, PredictError> {
        let body = read_small(&self.gateway, body, self.body_timeout).await?;
        v2::documents::decode_index(&body)
    }

    /// Loading and unloading a whole model, as Triton's clients ask for it.
    async fn repository(&self, model: &str, wish: Wish, request: Request<Incoming>) -> Response<AnswerBody> {
        let Some(control) = &self.control else {
            return answer::error(&PredictError::Unsupported(NO_CONTROL.into()));
        };
        let by = operator(request.headers());
        let granted = async {
            let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
            v2::documents::check_repository(&body)?;
            control.wish(model, wish.clone(), by, false).await
        };
        match granted.await {
            Ok(_) if wish == LOAD => document(v2::documents::loaded(model)),
            Ok(_) => document(v2::documents::unloaded(model)),
            Err(error) => answer::error(&error),
        }
    }
}

/// Reads the small body of a request that is no prediction.
///
/// # Errors
/// [`PredictError`] where it is too large, breaks off or takes too long.
pub(crate) async fn read_small(
    gateway: &Gateway,
    body: Incoming,
    timeout: Duration,
) -> Result<Bytes, PredictError> {
    read_at_most(gateway, body, SMALL_BODY_MAX, timeout).await
}

/// As [`read_small`], with a limit of its own in bytes.
pub(crate) async fn read_at_most(
    gateway: &Gateway,
    mut body: Incoming,
    max: usize,
    timeout: Duration,
) -> Result<Bytes, PredictError> {
    let mut permit = gateway.predictor.admission().admit(0, None)?;
    read::read_body(&mut body, max, timeout, &mut permit).await
}

impl Answer for Http {
    fn asks_for_callers(&self) -> bool {
        self.gateway.predictor.admission().limits_callers()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        if is_grpc(&request) { self.grpc.answer(request).await } else { self.rest(request).await }
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

impl Grpc {
    /// The gRPC services over the data path.
    #[must_use]
    pub(crate) fn new(gateway: &Arc<Gateway>, control: Option<Control>, body_timeout: Duration) -> Self {
        Self { gateway: gateway.clone(), routes: grpc::routes(gateway, control).prepare(), body_timeout }
    }
}

impl Grpc {
    /// A prediction: admitted before its message is read, and counted also where that never is.
    async fn infer(&self, mut request: Request<GrpcBody>, undecoded: &Undecoded) -> Response<GrpcBody> {
        let id = RequestId::generate();
        let refuse = |error: &PredictError| {
            let mut status = pointsman_wire::grpc::status(error);
            grpc::identify(&mut status, id);
            status.into_http()
        };
        let caller = request.extensions().get::<Caller>().copied();
        let received = Received::new(&self.gateway, id, Protocol::V2Grpc, request.headers());
        let admitted = match received.admit(None, caller) {
            Ok(exchange) => Admitted::new(exchange),
            Err(error) => {
                drop(request);
                self.gateway.refusals.pause(&error).await;
                return refuse(&error);
            }
        };
        request.extensions_mut().insert(admitted.clone());
        let response = self.call(request).await;
        let status = tonic::Status::from_header_map(response.headers());
        match (admitted.take(), status) {
            // The service never saw it: the message could not be read.
            (Some(exchange), Some(status)) => {
                let read = || grpc::unread(&status, self.gateway.limits.body_bytes_max);
                let error = undecoded.refusal().unwrap_or_else(read);
                exchange.failed(&error);
                self.gateway.refusals.pause(&error).await;
                refuse(&error)
            }
            (_, Some(mut status)) => {
                grpc::identify(&mut status, id);
                status.into_http()
            }
            _ => response,
        }
    }

    async fn call(&self, request: Request<GrpcBody>) -> Response<GrpcBody> {
        let Ok(response) = self.routes.clone().call(request).await;
        response
    }
}

impl Answer for Grpc {
    fn asks_for_callers(&self) -> bool {
        self.gateway.predictor.admission().limits_callers()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        if !is_grpc(&request) {
            let what = "this port speaks gRPC alone; REST is on the port of --http";
            return answer::error(&PredictError::BadRequest(what.into()));
        }
        let undecoded = Undecoded::new(self.gateway.predictor.admission().hold());
        let limit = (request.uri().path() != STREAM_PATH).then_some(self.body_timeout);
        let unary = request.uri().path() == INFER_PATH;
        let mut request = request.map(|body| GrpcBody::new(BoundedBody::new(body, undecoded.clone(), limit)));
        request.extensions_mut().insert(undecoded.clone());
        let response = if unary { self.infer(request, &undecoded).await } else { self.call(request).await };
        let under_way = response.extensions().get::<UnderWay>().and_then(UnderWay::take);
        response.map(|body| AnswerBody::grpc(body).until_written(under_way))
    }
}
