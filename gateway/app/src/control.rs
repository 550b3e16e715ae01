//! The control path as the listeners see it: wishes that are waited for.

use pointsman_control::{Granted, Handle, Question, Refusal, Wish, Written};
use pointsman_core::{ModelName, PredictError};
use tokio::sync::oneshot;

/// The way to the reconciler.
#[derive(Clone)]
pub(crate) struct Control {
    handle: Handle,
}

impl Control {
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// The handle itself.
    #[must_use]
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Wishes something about a model, and waits for what comes of it. Giving up waiting takes no wish
    /// back.
    ///
    /// # Errors
    /// [`PredictError::Control`] where it is refused, fails or is replaced by a later one.
    pub(crate) async fn wish(
        &self,
        model: &str,
        wish: Wish,
        by: String,
        dry_run: bool,
    ) -> Result<Granted, PredictError> {
        let unknown = || PredictError::UnknownModel { model: pointsman_core::shown(model) };
        let name = ModelName::new(model).map_err(|_| unknown())?;
        let (reply, answer) = oneshot::channel();
        self.handle.wish(name, wish, by, dry_run, move |granted| drop(reply.send(granted)));
        answered(answer.await)
    }

    /// Asks what the journal says.
    ///
    /// # Errors
    /// [`PredictError::Control`] where it cannot be read.
    pub(crate) async fn journal(&self, question: Question) -> Result<Vec<Written>, PredictError> {
        let (reply, answer) = oneshot::channel();
        self.handle.ask(question, move |entries| drop(reply.send(entries)));
        answered(answer.await)
    }
}

fn answered<T>(answer: Result<Result<T, Refusal>, oneshot::error::RecvError>) -> Result<T, PredictError> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(refusal)) => Err(PredictError::Control { code: refusal.code, reason: refusal.reason }),
        // The control thread is gone.
        Err(_) => Err(PredictError::ShuttingDown),
    }
}
