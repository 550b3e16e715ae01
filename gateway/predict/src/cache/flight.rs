//! A run that several requests wait for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{Key, ResponseCache};
use crate::queue::{Reply, Ticket, WorkerGone};

/// The wait for a run, shared by all who want its answer. Whoever is polled first after the answer has come keeps it;
/// when the last one lets go of it before that, the ticket takes the job back.
pub(crate) struct Flight {
    cache: Arc<ResponseCache>,
    key: Arc<Key>,
    ticket: Ticket,
}

impl Flight {
    pub(super) fn new(cache: Arc<ResponseCache>, key: Arc<Key>, ticket: Ticket) -> Self {
        Self { cache, key, ticket }
    }
}

impl Future for Flight {
    type Output = Result<Reply, WorkerGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.ticket).poll(context));
        if let Ok(Ok((outputs, _))) = &answer {
            self.cache.keep(&self.key, outputs);
        }
        Poll::Ready(answer)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.cache.left(&self.key);
    }
}
