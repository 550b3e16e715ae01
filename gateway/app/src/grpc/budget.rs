//! The bodies of gRPC calls, bounded in bytes and in time as they come: their lengths are not told
//! ahead.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
pub(crate) struct Undecoded(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    held: HeldBytes,
    refusal: Option<PredictError>,
}

impl Undecoded {
    /// None yet.
    #[must_use]
    pub(crate) fn new(held: HeldBytes) -> Self {
        Self(Arc::new(Mutex::new(State { held, refusal: None })))
    }

    /// A message has left the decoder: from here on it is accounted for by itself.
    pub(super) fn decoded(&self) {
        self.state().held.release();
    }

    /// Why the rest was not read, where that was this gateway's decision.
    #[must_use]
    pub(crate) fn refusal(&self) -> Option<PredictError> {
        self.state().refusal.clone()
    }

    fn grow(&self, bytes: usize) -> Result<(), Status> {
        let grown = self.state().held.grow(bytes);
        grown.map_err(|error| self.refuse(error))
    }

    fn refuse(&self, error: PredictError) -> Status {
        let status = grpc::status(&error);
        self.state().refusal = Some(error);
        status
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                let status = self.undecoded.refuse(PredictError::BadRequest(what.into()));
                return Poll::Ready(Some(Err(status)));
            }
            Poll::Pending => return Poll::Pending,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(self.undecoded.grow(bytes).map(|()| frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
