//! A gateway that serves version 2 of iris, and a crowd that asks it.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::Arguments;
use crate::admin::Admin;
use crate::call::{Manner, Wiring};
use crate::client::Protocol;
use crate::clock::Clock;
use crate::crowd::{Crowd, Flow, TIMEOUT, Units};
use crate::gateway::{Gateway, Start};
use crate::swap::{STREAMS, SwapRegistry, Work, work};
use crate::watcher::Watcher;

/// The model of rollouts.
pub(super) const MODEL: &str = "iris";

/// All versions are loaded, and none comes by itself.
const CARD: &str = "serve = 2\nload = \"all\"\non_new = \"hold\"\n";

/// What is seen is looked at each second, and a load is no reason to refuse a version.
pub(super) const CONFIG: &str = "[rollout]\nlook = \"1s\"\n[gates]\nlatency = \"off\"\n";

/// How the crowd is connected.
pub(super) const WIRING: Wiring =
    Wiring { connections: 8, streams: STREAMS, timeout: TIMEOUT, manner: Manner::Normal };

/// The gateway, and what is known of it.
pub(super) struct Stand {
    pub(super) gateway: Gateway,
    pub(super) admin: Admin,
    pub(super) clock: Clock,
    rate: u32,
    work: Work,
    /// 0 of the clock, since 1970.
    epoch: Duration,
}

impl Stand {
    /// Starts the gateway, and records what its versions answer.
    ///
    /// # Errors
    /// Where it does not start.
    pub(super) fn start(arguments: &Arguments, scratch: &Path, clock: Clock) -> Result<Self, String> {
        let registry = SwapRegistry::new(&arguments.models, MODEL, scratch.join("models"))?;
        registry.write_card(CARD)?;
        let gateway = gateway(arguments, registry.root(), &scratch.join("gateway"))?;
        let work = work(&gateway, &arguments.models, MODEL, registry.sources())?;
        let admin = Admin::new(gateway.admin)?;
        Ok(Self { gateway, admin, clock, rate: arguments.rate, work, epoch: epoch(clock) })
    }

    /// A crowd of which ever new units come.
    ///
    /// # Errors
    /// Where it cannot be connected.
    pub(super) fn flow<'w>(&self, watcher: &'w Watcher) -> Result<Flow<'w>, String> {
        let Work { model, inputs, references } = self.work.clone();
        let crowd = Crowd {
            endpoint: self.gateway.endpoint(),
            model,
            inputs,
            references: Some(references),
            protocols: Protocol::ALL.to_vec(),
            wiring: WIRING,
            units: Units::Growing,
            next: AtomicU64::new(0),
        };
        Flow::start(crowd, self.rate, self.clock, watcher)
    }

    /// The moment of a journal, by the clock.
    pub(super) fn moment(&self, at: &Value) -> Option<Duration> {
        Some(Duration::from_millis(at.as_u64()?).saturating_sub(self.epoch))
    }
}

/// Starts a gateway over a registry.
pub(super) fn gateway(arguments: &Arguments, registry: &Path, scratch: &Path) -> Result<Gateway, String> {
    std::fs::create_dir_all(scratch).map_err(|e| e.to_string())?;
    let config = scratch.join("pointsman.toml");
    std::fs::write(&config, CONFIG).map_err(|e| e.to_string())?;
    let start = Start {
        binary: &arguments.gateway,
        core: None,
        registry,
        config: Some(&config),
        state: Some(&scratch.join("state")),
        scratch,
        variables: &[],
    };
    start.start()
}

/// 0 of a clock, since 1970.
fn epoch(clock: Clock) -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.saturating_sub(clock.now())
}
