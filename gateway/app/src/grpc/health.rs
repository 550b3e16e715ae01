//! The standard health service: the gateway's own readiness, looked up when it is asked for.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::gateway::Gateway;
use crate::listen::Phase;

/// The name under which the service answers for V2 inference; `""` is the whole gateway.
const SERVICE: &str = "inference.GRPCInferenceService";

/// How often a watch looks for a change.
const WATCH_PERIOD: Duration = Duration::from_millis(100);

/// The service.
#[derive(Clone)]
pub(super) struct GatewayHealth {
    gateway: Arc<Gateway>,
}

impl GatewayHealth {
    /// The health of this gateway.
    #[must_use]
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    fn status(&self, service: &str) -> ServingStatus {
        match service {
            "" | SERVICE if self.gateway.is_ready() => ServingStatus::Serving,
            "" | SERVICE => ServingStatus::NotServing,
            _ => ServingStatus::ServiceUnknown,
        }
    }

    /// Waits for another status than the last one; nothing where the gateway closes.
    async fn changed(&self, service: &str, last: Option<ServingStatus>) -> Option<ServingStatus> {
        loop {
            let status = self.status(service);
            if Some(status) != last {
                return Some(status);
            }
            if *self.gateway.phase.borrow() == Phase::Closing {
                return None;
            }
            tokio::time::sleep(WATCH_PERIOD).await;
        }
    }
}

#[tonic::async_trait]
impl Health for GatewayHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.status(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let changes = unfold((self.clone(), service, None), async |(health, service, last)| {
            let status = health.changed(&service, last).await?;
            let response = HealthCheckResponse { status: status.into() };
            Some((Ok(response), (health, service, Some(status))))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
