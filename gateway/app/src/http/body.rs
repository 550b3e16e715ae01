//! The bodies of answers: the bytes of a codec, handed on without a copy, and what has to live until
//! the last of them is written.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::Answered;

/// The body of an answer.
pub(crate) struct AnswerBody {
    content: Content,
    answered: Option<Answered>,
}

enum Content {
    Segments { segments: VecDeque<Bytes>, left: u64 },
    Grpc(tonic::body::Body),
}

impl AnswerBody {
    /// A body of one piece.
    #[must_use]
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::segments([bytes])
    }

    /// A body of several pieces, written one after the other.
    #[must_use]
    pub(crate) fn segments(segments: impl IntoIterator<Item = Bytes>) -> Self {
        let segments: VecDeque<Bytes> = segments.into_iter().filter(|s| !s.is_empty()).collect();
        let left = segments.iter().map(|s| s.len() as u64).sum();
        Self { content: Content::Segments { segments, left }, answered: None }
    }

    /// A body of the gRPC services.
    #[must_use]
    pub(crate) fn grpc(body: tonic::body::Body) -> Self {
        Self { content: Content::Grpc(body), answered: None }
    }

    /// Keeps the request in flight until this body is written.
    #[must_use]
    pub(crate) fn until_written(mut self, answered: Option<Answered>) -> Self {
        self.answered = answered;
        self
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = match &mut self.content {
            Content::Segments { segments, left } => segments.pop_front().map(|segment| {
                *left -= segment.len() as u64;
                Ok(Frame::data(segment))
            }),
            Content::Grpc(body) => match Pin::new(body).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return Poll::Pending,
            },
        };
        // The connection asks for no frame after the last one, so the end is looked at with it.
        if (frame.is_none() || self.is_end_stream())
            && let Some(answered) = &mut self.answered
        {
            answered.written();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Segments { segments, .. } => segments.is_empty(),
            Content::Grpc(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Segments { left, .. } => SizeHint::with_exact(*left),
            Content::Grpc(body) => body.size_hint(),
        }
    }
}
