//! Every part that looks at the traffic of versions, and every part that knows what holds of them.

use std::sync::Arc;

use pointsman_control::Handle;
use prometheus_client::registry::Registry;
use tokio::task::AbortHandle;

use super::Part;
use super::ages::Ages;
use super::health::Health;
use super::labels::LabelPart;
use super::profiles::{DriftGauges, Keeper, Profiles, Profiling};
use super::same_score::SameScore;
use super::sample_log::SampleLog;
use crate::alerts::{Alerts, Source, Watch};
use crate::config::Config;
use crate::experiments::Experiments;
use crate::gateway::Gateway;
use crate::labels::{LabelKeeper, Labels, Promotions};
use crate::score::Provenance;

/// All of them.
#[derive(Clone)]
pub(crate) struct Monitors {
    /// What schemas and numerics of outputs found.
    pub(crate) health: Arc<Health>,
    /// Whether versions still answer as training did.
    pub(crate) same_score: Arc<SameScore>,
    /// How old versions are.
    pub(crate) ages: Arc<Ages>,
    /// Labels, and what they say.
    pub(crate) labels: Arc<Labels>,
    /// Where versions come from.
    pub(crate) provenance: Arc<Provenance>,
    /// Profiles of all traffic.
    pub(crate) profiles: Arc<Profiles>,
    /// The sample log, where there is one. Threads of requests reach it by the monitors of versions alone.
    pub(crate) sample_log: Option<Arc<SampleLog>>,
}

impl Monitors {
    /// Starts them, and the thread of profiles.
    ///
    /// # Errors
    /// A line that says what is wrong with what they keep in the state directory.
    pub(crate) fn start(config: &Config, instruments: &mut Registry) -> Result<(Self, Keeper), String> {
        let (profiles, keeper) =
            Profiles::start(&config.drift, config.state.as_deref(), config.serving.niceness)?;
        instruments.register_collector(Box::new(DriftGauges(profiles.clone())));
        let monitors = Self {
            health: Health::new(instruments),
            same_score: SameScore::register(instruments),
            ages: Ages::new(config.staleness),
            labels: Labels::open(config, instruments)?,
            profiles,
            provenance: Arc::default(),
            sample_log: SampleLog::start(&config.sample_log, config.state.as_deref(), instruments)?,
        };
        Ok((monitors, keeper))
    }

    /// Starts what is done in the background, on threads of its own and on this runtime.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(crate) fn keep(
        &self,
        config: &Config,
        gateway: &Arc<Gateway>,
        control: &Handle,
        experiments: &Arc<Experiments>,
        alerts: Arc<Alerts>,
        profiles: Keeper,
    ) -> Result<Keepers, String> {
        self.labels.lead_to(control.clone(), experiments.clone());
        let none = |of: &str, e: std::io::Error| format!("cannot start the thread of {of}: {e}");
        let mut sources = self.sources();
        sources.push(Arc::new(Promotions(control.clone())));
        let watch = Watch::start(alerts, sources, config.alerts.look).map_err(|e| none("alerts", e))?;
        let labels = LabelKeeper::start(self.labels.clone()).map_err(|e| none("labels", e))?;
        let checking = self.same_score.clone().run(gateway.clone(), config.same_score_every);
        let checking = tokio::spawn(checking).abort_handle();
        Ok(Keepers {
            checking,
            _watch: watch,
            _labels: labels,
            _profiles: profiles,
            sample_log: self.sample_log.clone(),
        })
    }

    /// Who is shown the traffic of each version, in this order.
    pub(crate) fn parts(&self) -> Vec<Arc<dyn Part>> {
        let mut parts: Vec<Arc<dyn Part>> = vec![
            self.health.clone(),
            Arc::new(Profiling(self.profiles.clone())),
            Arc::new(LabelPart(self.labels.clone())),
            self.same_score.clone(),
            self.ages.clone(),
            self.provenance.clone(),
        ];
        parts.extend(self.sample_log.iter().map(|log| log.clone() as Arc<dyn Part>));
        parts
    }

    /// Who knows what somebody should be told.
    pub(crate) fn sources(&self) -> Vec<Arc<dyn Source>> {
        vec![
            self.health.clone(),
            self.same_score.clone(),
            self.ages.clone(),
            self.labels.clone(),
            self.profiles.clone(),
        ]
    }
}

/// What is done in the background. Dropped, it writes what is left and ends, which blocks.
pub(crate) struct Keepers {
    checking: AbortHandle,
    _watch: Watch,
    _labels: LabelKeeper,
    _profiles: Keeper,
    sample_log: Option<Arc<SampleLog>>,
}

impl Keepers {
    /// Versions are asked no golden case any more.
    pub(crate) fn ask_no_more(&self) {
        self.checking.abort();
    }
}

impl Drop for Keepers {
    fn drop(&mut self) {
        if let Some(log) = &self.sample_log {
            log.stop();
        }
    }
}
