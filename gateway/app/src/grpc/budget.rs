//! The bytes of gRPC bodies, counted as they come: their lengths are not told ahead.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pointsman_predict::HeldBytes;
use pointsman_wire::grpc;
use tonic::Status;

/// A body whose bytes are held in the budget of bytes in flight until it is read to its end.
pub(crate) struct CountedBody {
    body: Incoming,
    held: HeldBytes,
}

impl CountedBody {
    /// Counts the bytes of `body` in `held`.
    #[must_use]
    pub(crate) fn new(body: Incoming, held: HeldBytes) -> Self {
        Self { body, held }
    }
}

impl Body for CountedBody {
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
            Poll::Pending => return Poll::Pending,
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match self.held.grow(bytes) {
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
