//! Rollouts as a whole: cases by name, properties over random histories, and whole rollouts by chance.

mod cases;
mod histories;
mod journal;
mod simulator;
mod sticky;

use pointsman_core::{ModelName, VersionNumber};
use pointsman_route::Share;

use super::{
    Arm, Change, Counted, Counts, Event, Exposure, Flags, Frozen, Hits, Look, Moment, Rollout, Spec,
    Transition, transition,
};

/// Milliseconds between two looks.
const LOOK_MS: u64 = 10_000;

fn version(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("a version")
}

/// A rollout of version 3 as the command line asks for it, without a warm-up.
fn spec(shadow: Option<&str>, canary: &str) -> Spec {
    let canary = Some(canary.to_owned()).filter(|canary| !canary.is_empty());
    let flags = Flags { shadow: shadow.map(Into::into), canary, ..Flags::default() };
    let mut spec = flags.spec(&ModelName::new("iris").expect("a name"), version(3)).expect("a spec");
    spec.warm_up.count = 0;
    spec
}

fn frozen(counted: Counted) -> Frozen {
    Frozen {
        counted,
        unit: "request_id".into(),
        salt: "iris/rollout/1".into(),
        slow_us: [1, 2, 3],
        classes: 3,
        newest: version(3),
        contents: [None, None],
    }
}

fn percent(percent: u16) -> Share {
    Share::new(percent * 100).expect("a share")
}

/// So many requests, each its own unit.
fn hits(count: u64) -> Hits {
    Hits { requests: count, units: count, own_units: count }
}

fn arm(seen: u64, errors: u64) -> Arm {
    Arm { seen: hits(seen), errors: hits(errors), ..Arm::default() }
}

/// A look at a stage, with requests and errors of both versions.
fn look(stage: usize, canary: (u64, u64), primary: (u64, u64)) -> Look {
    let counts =
        Counts { canary: arm(canary.0, canary.1), primary: arm(primary.0, primary.1), ..Counts::default() };
    Look { stage, counts, ..Look::default() }
}

/// A rollout that is played event by event, with the clock moved on before each.
#[derive(Clone, Debug)]
struct Played {
    rollout: Rollout,
    now: Moment,
}

impl Played {
    fn new(spec: Spec, counted: Counted) -> Self {
        let now = Moment(1_700_000_000_000);
        Self { rollout: Rollout::new(7, spec, frozen(counted), now), now }
    }

    fn started(spec: Spec) -> Self {
        let mut played = Self::new(spec, Counted::Requests);
        played.play(&Event::Start);
        played
    }

    fn play(&mut self, event: &Event) -> Transition {
        self.now = Moment(self.now.0 + LOOK_MS);
        let transition = transition(&self.rollout, event, self.now).expect("it can happen");
        self.rollout = transition.change.rollout().clone();
        transition
    }

    fn wait(&mut self, seconds: u64) {
        self.now = Moment(self.now.0 + seconds * 1000);
    }

    fn look(&mut self, look: Look) -> Transition {
        self.play(&Event::Looked(vec![look]))
    }
}
