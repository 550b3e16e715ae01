//! The control path as the listeners see it: wishes that are waited for.

use std::sync::Arc;

use pointsman_control::{Granted, Handle, Question, Refusal, Wish, Written};
use pointsman_core::{ModelName, PredictError};
use tokio::sync::{Semaphore, oneshot};

use crate::alerts::Alerts;
use crate::experiments::Experiments;
use crate::monitoring::profiles::Profiles;
use crate::webhook::Webhooks;

/// The way to the reconciler.
#[derive(Clone)]
pub(crate) struct Control {
    handle: Handle,
    experiments: Arc<Experiments>,
    /// Lets one question to the journal after the other be read.
    questions: Arc<Semaphore>,
    /// Whom transitions of rollouts are told.
    webhooks: Arc<Webhooks>,
    alerts: Arc<Alerts>,
    profiles: Arc<Profiles>,
}

impl Control {
    pub(crate) fn new(
        handle: Handle,
        experiments: Arc<Experiments>,
        webhooks: Arc<Webhooks>,
        alerts: Arc<Alerts>,
        profiles: Arc<Profiles>,
    ) -> Self {
        Self { handle, questions: Arc::new(Semaphore::new(1)), experiments, webhooks, alerts, profiles }
    }

    /// Whom transitions of rollouts may be told.
    #[must_use]
    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// What somebody should know.
    #[must_use]
    pub(crate) fn alerts(&self) -> &Arc<Alerts> {
        &self.alerts
    }

    /// What traffic is like.
    #[must_use]
    pub(crate) fn profiles(&self) -> &Arc<Profiles> {
        &self.profiles
    }

    /// The handle itself.
    #[must_use]
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What comes of experiments.
    #[must_use]
    pub(crate) fn experiments(&self) -> &Arc<Experiments> {
        &self.experiments
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
        self.read(move |handle| handle.entries(&question)).await
    }

    /// Reads something of the journal, one question after the other.
    ///
    /// # Errors
    /// [`PredictError::Control`] where it cannot be read.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Handle) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, PredictError> {
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let handle = self.handle.clone();
        let read = tokio::task::spawn_blocking(move || read(&handle)).await;
        // A task that was thrown away says that the runtime is going down.
        read.map_err(|_| PredictError::ShuttingDown)?.map_err(refused)
    }
}

fn refused(refusal: Refusal) -> PredictError {
    PredictError::Control { code: refusal.code, reason: refusal.reason }
}

fn answered<T>(answer: Result<Result<T, Refusal>, oneshot::error::RecvError>) -> Result<T, PredictError> {
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(refusal)) => Err(refused(refusal)),
        // The control thread is gone.
        Err(_) => Err(PredictError::ShuttingDown),
    }
}
