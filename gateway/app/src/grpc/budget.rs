//! The bodies of gRPC calls, bounded in bytes and in time as they come: their lengths are not told
//! ahead.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pointsman_core::PredictError;
use pointsman_predict::HeldBytes;
use pointsman_wire::grpc;
use tokio::time::Sleep;
use tonic::Status;

/// The bytes of a call that were read and are not decoded yet.
#[derive(Clone, Debug)]
pub(crate) struct Undecoded(Arc<Mutex<HeldBytes>>);

impl Undecoded {
    /// None yet.
    #[must_use]
    pub(crate) fn new(held: HeldBytes) -> Self {
        Self(Arc::new(Mutex::new(held)))
    }

    /// A message has left the decoder: from here on it is accounted for by itself.
    pub(super) fn decoded(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).release();
    }

    fn grow(&self, bytes: usize) -> Result<(), PredictError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).grow(bytes)
    }
}

/// A body whose bytes are held in the budget of bytes in flight until they are decoded, and which has
/// to come in time.
pub(crate) struct BoundedBody {
    body: Incoming,
    undecoded: Undecoded,
    /// How long the body may take in all; nothing for a stream, which may last.
    limit: Option<Duration>,
    /// Runs from the first wait on: most bodies are there at once.
    clock: Option<Pin<Box<Sleep>>>,
}

impl BoundedBody {
    /// Bounds a body.
    #[must_use]
    pub(crate) fn new(body: Incoming, undecoded: Undecoded, limit: Option<Duration>) -> Self {
        Self { body, undecoded, limit, clock: None }
    }

    /// Whether the body has taken too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(limit) = self.limit else { return false };
        let clock = self.clock.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        clock.as_mut().poll(context).is_ready()
    }
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending if self.is_late(context) => {
                let what = "the message did not come in time (limits.body_timeout)";
                return Poll::Ready(Some(Err(grpc::status(&PredictError::BadRequest(what.into())))));
            }
            Poll::Pending => return Poll::Pending,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match self.undecoded.grow(bytes) {
            Ok(()) => Poll::Ready(Some(Ok(frame))),
            Err(error) => Poll::Ready(Some(Err(grpc::status(&error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
