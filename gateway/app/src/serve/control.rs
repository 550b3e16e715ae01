//! The thread of the control path.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use pointsman_control::{
    Handle, Journal, Loader, Metrics as ControlMetrics, Notify, Parts, Policy, Reconciler, Shadowing,
    WatchPolicy,
};
use pointsman_predict::{Ground, Publisher};
use pointsman_registry::{Problem, Registry};
use prometheus_client::registry::Registry as Instruments;
use tokio::sync::oneshot;

use crate::alerts::Alerts;
use crate::comparisons::Comparisons;
use crate::config::Config;
use crate::engines::Engines;
use crate::experiments::{Experiments, Keeper};
use crate::monitoring::Monitoring;
use crate::webhook::Webhooks;

/// The reconciler on a thread of its own. Dropped, it withdraws every version.
pub(super) struct Control {
    handle: Handle,
    experiments: Arc<Experiments>,
    alerts: Arc<Alerts>,
    _keeper: Keeper,
}

/// How the first pass ended: with what was found and is no model.
pub(super) type FirstPass = oneshot::Receiver<Result<Vec<Problem>, String>>;

/// What the data path gives to the control path.
pub(super) struct DataPath {
    pub(super) ground: Ground,
    pub(super) publisher: Publisher,
    pub(super) shadowing: Shadowing,
    pub(super) comparisons: Arc<Comparisons>,
    pub(super) webhooks: Arc<Webhooks>,
}

/// What a configuration says to the control path.
pub(super) fn policy(
    config: &Config,
    registry: &Arc<dyn Registry>,
    engines: &Engines,
    monitoring: &Arc<Monitoring>,
) -> Policy {
    let loader = crate::loader::loader(config, registry.clone(), engines);
    Policy {
        loader: Arc::new(Loader { monitoring: Some(monitoring.clone()), ..loader }),
        watch: WatchPolicy { settle: config.registry.settle, poll: config.registry.poll },
        previous_kept: config.registry.previous_kept,
        load_timeout: config.registry.load_timeout,
        attempts_max: config.registry.attempts_max,
        rollout_look: config.rollout.look,
        models: config.model.clone(),
        plans: config.plan.clone(),
    }
}

impl Control {
    /// Starts the thread, and with it the first look at the registry.
    pub(super) fn start(
        config: &Config,
        state: Option<&Path>,
        policy: Policy,
        data_path: DataPath,
        instruments: &mut Instruments,
    ) -> Result<(Self, FirstPass), String> {
        let (ended, first_pass) = oneshot::channel();
        let journal = Journal::open(state).map_err(|e| e.to_string())?;
        // Without a state directory there is nothing to keep them in.
        let store = state.map(|_| journal.experiments()).transpose().map_err(|e| e.to_string())?;
        let documents = store.as_ref().map_or(Ok(Vec::new()), |store| store.load());
        let experiments = Arc::new(Experiments::of(&documents.map_err(|e| e.to_string())?));
        let store_of_alerts = journal.alerts().map_err(|e| e.to_string())?;
        let webhooks = data_path.webhooks;
        let alerts = Alerts::new(&config.alerts, store_of_alerts, webhooks.clone(), instruments)?;
        let notify: Notify = Arc::new(move |address, notice| webhooks.tell(address, notice));
        let keeper = Keeper::start(experiments.clone(), store)
            .map_err(|e| format!("cannot start the thread that keeps experiments: {e}"))?;
        let parts = Parts {
            registry: policy.loader.registry.clone(),
            journal,
            policy,
            loads_max: config.registry.loads_max,
            ground: data_path.ground,
            metrics: ControlMetrics::register(instruments),
            publisher: data_path.publisher,
            shadowed: data_path.comparisons,
            notify,
            shadowing: data_path.shadowing,
            experiments: experiments.clone(),
        };
        // Nobody is told where the gateway was asked to stop meanwhile.
        let end = move |passed| drop(ended.send(passed));
        let (reconciler, handle) = Reconciler::start(parts, Box::new(end))?;
        let builder = thread::Builder::new().name("pointsman-control".into());
        builder
            .spawn(move || reconciler.run())
            .map_err(|e| format!("cannot start the control thread: {e}"))?;
        Ok((Self { handle, experiments, alerts, _keeper: keeper }, first_pass))
    }

    /// The experiments of all models.
    pub(super) fn experiments(&self) -> &Arc<Experiments> {
        &self.experiments
    }

    /// What somebody should know.
    pub(super) fn alerts(&self) -> &Arc<Alerts> {
        &self.alerts
    }

    /// The way to the reconciler.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.handle.stop();
    }
}
