//! A rollout from its start to promotion.

use std::time::Duration;

use serde_json::{Value, json};

use super::Arguments;
use super::stand::{MODEL, Stand};
use crate::crowd::{Flow, UNIT, Units, Window};

/// Traffic before the rollout.
const WARM_UP: Duration = Duration::from_secs(2);

/// How often it is looked how the rollout stands.
const LOOK: Duration = Duration::from_millis(100);

/// How long after it was journalled a stage may take to hold for every request.
const SETTLING: Duration = Duration::from_millis(500);

/// What became of it.
#[derive(Clone, Debug)]
pub(super) struct Rise {
    pub(super) stages: Vec<Stage>,
    /// In the gateway's word.
    pub(super) phase: String,
    /// When the candidate was the default at the earliest, and for certain; nothing where it never was.
    pub(super) promoted: Option<Window>,
}

/// One of its stages.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// How much callers are exposed: "5%".
    pub(super) exposure: String,
    /// How long the gateway had said that it would take.
    pub(super) planned: Option<Duration>,
    /// How long it took.
    pub(super) took: Duration,
    /// When it held for every request.
    pub(super) window: Window,
}

/// Lets version 3 take over.
///
/// # Errors
/// Where the gateway refuses, or it takes too long.
pub(super) fn rise(arguments: &Arguments, stand: &mut Stand, flow: &mut Flow<'_>) -> Result<Rise, String> {
    flow.pause(WARM_UP, &mut stand.gateway)?;
    let mut asked = json!({
        "version": 3, "canary": arguments.canary, "time_min": "0s", "unit": [UNIT],
        "latency_objective": arguments.latency_objective,
    });
    if !arguments.guards.is_empty() {
        asked["guard"] = json!(arguments.guards);
    }
    let path = format!("/v1/rollouts/{MODEL}");
    let mut to_plan = asked.clone();
    to_plan["per_second"] = json!(f64::from(arguments.rate) * Units::NEW_SHARE);
    let planned = stand.admin.post(&format!("{path}/plan"), &to_plan)?;
    stand.admin.post(&path, &asked)?;
    let until = stand.clock.now() + arguments.rise_max;
    let (mut earliest, shown) = (
        stand.clock.now(),
        loop {
            flow.pause(LOOK, &mut stand.gateway)?;
            let shown = stand.admin.get(&path)?;
            if shown["is_over"] == true {
                break shown;
            }
            if stand.clock.now() > until {
                let why = &shown["held_by"];
                return Err(format!("the rollout was not over after {:?}: {why}", arguments.rise_max));
            }
        },
    );
    let journal = stand.admin.get(&format!("{path}/{}/journal", shown["id"]))?;
    let steps = steps(stand, &journal["records"]);
    let stages = steps.windows(2).enumerate().map(|(number, pair)| {
        let [(from, exposure), (to, _)] = pair else { unreachable!("windows of two") };
        let millis = planned["plan"]["stages"][number]["millis"].as_u64();
        Stage {
            exposure: exposure.clone(),
            planned: millis.map(Duration::from_millis),
            took: to.saturating_sub(*from),
            window: Window { from: *from + SETTLING, to: *to },
        }
    });
    let stages: Vec<Stage> = stages.collect();
    if let Some((last, _)) = steps.last() {
        earliest = *last;
    }
    let phase = shown["phase"].as_str().unwrap_or_default().to_owned();
    let promoted = (phase == "promoted").then(|| Window { from: earliest, to: stand.clock.now() });
    Ok(Rise { stages, phase, promoted })
}

/// When the exposure changed, and to what.
fn steps(stand: &Stand, records: &Value) -> Vec<(Duration, String)> {
    let mut steps: Vec<(Duration, String)> = Vec::new();
    for record in records.as_array().into_iter().flatten() {
        let exposure = &record["exposure"];
        let exposure = exposure["canary"].as_str().or(exposure.as_str()).unwrap_or("?");
        if steps.last().is_none_or(|(_, before)| before != exposure)
            && let Some(at) = stand.moment(&record["at"])
        {
            steps.push((at, exposure.into()));
        }
    }
    steps
}
