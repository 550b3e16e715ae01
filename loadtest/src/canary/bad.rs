//! Candidates that begin to do harm under traffic.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use pointsman_core::{Datatype, InputTensor, Shape, Tensor};
use serde_json::json;

use super::Arguments;
use super::aborts::CANDIDATE;
use super::stand::{WIRING, gateway};
use crate::admin::Admin;
use crate::call::Model;
use crate::client::Protocol;
use crate::clock::Clock;
use crate::crowd::{Crowd, Flow, Gave, Met, UNIT, Units};
use crate::gateway::Gateway;
use crate::watcher::Watcher;

/// The model, and its versions that give no number, and an error, for what is negative.
const MODEL: &str = "fickle";
pub(super) const NAN: u64 = 2;
pub(super) const FAILING: u64 = 3;

/// Its input: what every version takes, and what the candidates do not.
const SOUND: f32 = 4.0;
const HARMFUL: f32 = -100.0;

/// Traffic before the rollout, in it before the harm, and after it.
const WARM_UP: Duration = Duration::from_secs(1);
const SOUNDLY: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_millis(300);

/// How often it is looked whether it is over, and for how long.
const LOOK: Duration = Duration::from_millis(20);
const HARM_MAX: Duration = Duration::from_secs(60);

/// What became of a candidate.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub(super) version: u64,
    /// Why it was taken back, in the gateway's word; nothing where it was not.
    pub(super) reason: Option<String>,
    /// What it answered from its first bad answer on: with NaN, or with an error.
    pub(super) answers: u64,
    /// From its first bad answer to the last.
    pub(super) time: Duration,
    /// Requests that failed before the harm, and answers that nobody gave.
    pub(super) failed_before: u64,
    pub(super) lost: u64,
}

/// Lets a version take over at 1 %, and then sends what it does not take.
///
/// # Errors
/// Where the gateway refuses.
pub(super) fn bad(
    arguments: &Arguments,
    scratch: &Path,
    version: u64,
    clock: Clock,
    watcher: &Watcher,
) -> Result<Bad, String> {
    let mut gateway = gateway(arguments, &arguments.bad_models, &scratch.join(format!("bad-{version}")))?;
    let (admin, path) = (Admin::new(gateway.admin)?, format!("/v1/rollouts/{MODEL}"));
    admin.post(&format!("/models/{MODEL}/load"), &json!({"version": version}))?;
    let mut flow = Flow::start(crowd(&gateway, SOUND)?, arguments.rate, clock, watcher)?;
    flow.pause(WARM_UP, &mut gateway)?;
    let asked = json!({
        "version": version, "canary": "1", "time_min": "1h", "unit": [UNIT],
        "latency_objective": arguments.latency_objective,
    });
    admin.post(&path, &asked)?;
    flow.pause(SOUNDLY, &mut gateway)?;
    let sound = flow.end()?;
    let mut flow = Flow::start(crowd(&gateway, HARMFUL)?, arguments.rate, clock, watcher)?;
    let until = clock.now() + HARM_MAX;
    let shown = loop {
        flow.pause(LOOK, &mut gateway)?;
        let shown = admin.get(&path)?;
        if shown["is_over"] == true || clock.now() > until {
            break shown;
        }
    };
    flow.pause(AFTER, &mut gateway)?;
    let harmed = flow.end()?;
    // An error says neither arm nor version, and the version that serves gives none.
    let is_its = |met: &&Met| matches!(met.gave, Gave::Failed(_)) || met.arm() == Some(CANDIDATE);
    let ended: Vec<Duration> = harmed.met.iter().filter(is_its).map(|met| met.ended).collect();
    let first = ended.iter().min().copied().unwrap_or_default();
    let last = ended.iter().max().copied().unwrap_or_default();
    Ok(Bad {
        version,
        reason: shown["report"]["phase"]["rolled_back"].as_str().map(str::to_owned),
        answers: ended.len() as u64,
        time: last.saturating_sub(first),
        failed_before: sound.failed(),
        lost: sound.lost + harmed.lost,
    })
}

/// A crowd that sends one number.
fn crowd(gateway: &Gateway, number: f32) -> Result<Crowd, String> {
    let endpoint = gateway.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let model = runtime.map_err(|e| e.to_string())?.block_on(Model::read(&endpoint, MODEL, None))?;
    let shape = Shape::new(&[1]).ok_or("a shape has too many dimensions")?;
    let tensor = Tensor::from_vec(Datatype::Fp32, shape, vec![number]).map_err(|e| e.to_string())?;
    Ok(Crowd {
        endpoint,
        model,
        inputs: vec![vec![InputTensor { name: "x".into(), tensor }]],
        references: None,
        protocols: Protocol::ALL.to_vec(),
        wiring: WIRING,
        units: Units::Growing,
        next: AtomicU64::new(0),
    })
}
