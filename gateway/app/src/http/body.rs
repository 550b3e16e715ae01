//! The bodies of answers: the bytes of a codec, handed on without a copy, and what has to live until
//! the last of them is written.
//!
//! A large answer is handed on piece by piece, as the client takes it: what a connection holds beyond what is counted as
//! in flight is one piece a request.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::Answered;
use crate::listen::Reader;

/// The most that is handed on at once, in bytes.
const PIECE_MAX: usize = 64 << 10;

/// The body of an answer.
pub(crate) struct AnswerBody {
    content: Content,
    /// What is left of the last frame.
    rest: Bytes,
    answered: Option<Answered>,
    reader: Option<Reader>,
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
        Self::of(Content::Segments { segments, left })
    }

    /// A body of the gRPC services.
    #[must_use]
    pub(crate) fn grpc(body: tonic::body::Body) -> Self {
        Self::of(Content::Grpc(body))
    }

    fn of(content: Content) -> Self {
        Self { content, rest: Bytes::new(), answered: None, reader: None }
    }

    /// Keeps the request in flight until this body is written.
    #[must_use]
    pub(crate) fn until_written(mut self, answered: Option<Answered>) -> Self {
        self.answered = answered;
        self
    }

    /// Tells `reader` for whom it waits: for its client, or for what is still to be said.
    #[must_use]
    pub(crate) fn read_by(mut self, reader: Reader) -> Self {
        self.reader = Some(reader);
        self
    }

    /// The next frame, as the content has it or cut to a piece.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        if self.rest.is_empty() {
            let frame = match &mut self.content {
                Content::Segments { segments, .. } => segments.pop_front().map(|data| Ok(Frame::data(data))),
                Content::Grpc(body) => ready!(Pin::new(body).poll_frame(context)),
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE_MAX));
        if let Content::Segments { left, .. } = &mut self.content {
            *left -= piece.len() as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let Poll::Ready(frame) = self.poll_piece(context) else {
            self.reader.as_ref().inspect(|reader| reader.is_waited_for());
            return Poll::Pending;
        };
        // The connection asks for no frame after the last one, so the end is looked at with it.
        if (frame.is_none() || self.is_end_stream())
            && let Some(answered) = &mut self.answered
        {
            answered.written();
        }
        self.reader.as_ref().inspect(|reader| reader.is_to_read());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.content {
                Content::Segments { segments, .. } => segments.is_empty(),
                Content::Grpc(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Segments { left, .. } => SizeHint::with_exact(*left),
            // Of messages that are still to be made nothing is known.
            Content::Grpc(_) => SizeHint::default(),
        }
    }
}
