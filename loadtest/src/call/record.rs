//! The bytes of an answer, to be repeated by a server that does nothing else.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::judge;
use super::prepare::{Call, Request};
use super::verdict::Verdict;
use crate::bare::Speaks;
use crate::client::line::Manner;
use crate::client::{http1, http2};

impl Call {
    /// Sends it once on a connection of its own: the body of the answer, and how it is to be repeated.
    ///
    /// # Errors
    /// Where no success comes in time.
    pub(crate) async fn record(
        &self,
        endpoint: &Endpoint,
        within: Duration,
    ) -> Result<(Speaks, Bytes), String> {
        let recorded = timeout(within, self.exchange(endpoint)).await;
        recorded.map_err(|_| format!("{}: no answer within {within:?}", endpoint.host))?
    }

    async fn exchange(&self, endpoint: &Endpoint) -> Result<(Speaks, Bytes), String> {
        let no_listener = || format!("{} has no listener for this request", endpoint.host);
        let (http, grpc) = (endpoint.http.ok_or_else(no_listener), endpoint.grpc.ok_or_else(no_listener));
        let (head, body) = match &self.0.request {
            Request::Http1(bytes) => http1::once(http?, bytes).await?,
            Request::Http2(request) => {
                let received = http2::exchange(http2::open(http?, Manner::Normal).await?, request).await?;
                (received.head, received.body)
            }
            Request::Grpc(request) => {
                let received = http2::exchange(http2::open(grpc?, Manner::Normal).await?, request).await?;
                let message = judge::message(&received).map_err(|verdict| verdict.to_string())?;
                return Ok((Speaks::Grpc, Bytes::copy_from_slice(message)));
            }
        };
        if head.status != 200 {
            return Err(Verdict::of_status(head.status, &body).to_string());
        }
        let header_length = head.json_length;
        let speaks = match &self.0.request {
            Request::Http1(_) => Speaks::Http1 { header_length },
            _ => Speaks::Http2 { header_length },
        };
        Ok((speaks, body))
    }
}
