//! Callers of many units, whom a plan or a rollout gives to arms: each answer says which arm and which version it is of.

mod flow;
mod kept;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pointsman_core::{InputTensor, ParameterValue};

pub(crate) use self::flow::{Flow, Flown, TIMEOUT};
pub(crate) use self::kept::{Kept, Window, kept};
use crate::call::{Call, Came, Endpoint, Input, Model, Wiring, message};
use crate::client::Protocol;
use crate::clock::Clock;
use crate::references::{References, Verdict};
use crate::swap::{Lines, judge, kind};
use crate::traffic::{Caller, Turn};

/// Where a request says its unit, as plans and rollouts name it, and the parameter that it is.
pub(crate) const UNIT: &str = "parameter:user";
const PARAMETER: &str = "user";

/// The headers that say the arm and the version.
const ARM: &str = "pointsman-arm";
const VERSION: &str = "pointsman-version";

/// How many of the units that came last may come again where ever new ones come.
const RECENT: u64 = 5000;

/// Who asks, and about what.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) endpoint: Endpoint,
    /// At its default version.
    pub(crate) model: Model,
    /// They take turns.
    pub(crate) inputs: Vec<Vec<InputTensor>>,
    /// The right answers, where they are known bit by bit.
    pub(crate) references: Option<References>,
    /// They take turns.
    pub(crate) protocols: Vec<Protocol>,
    /// For one protocol on one thread.
    pub(crate) wiring: Wiring,
    pub(crate) units: Units,
    /// The number of the next request.
    pub(crate) next: AtomicU64,
}

/// Which units ask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Units {
    /// So many, one after the other, again and again: over each protocol in turn.
    Few(u64),
    /// Every other request is of a new one, and the others are of those that came lately.
    Growing,
}

/// A request that has ended. All times are of the run's clock.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    pub(crate) unit: u64,
    pub(crate) due: Duration,
    pub(crate) sent: Duration,
    pub(crate) ended: Duration,
    pub(crate) gave: Gave,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gave {
    /// An answer that is wholly that of its version.
    Answer { arm: Box<str>, version: u64 },
    /// One that is not.
    Mixed(String),
    /// No answer, or an error.
    Failed(String),
}

impl Met {
    /// The arm, where it was answered.
    pub(crate) fn arm(&self) -> Option<&str> {
        match &self.gave {
            Gave::Answer { arm, .. } => Some(arm),
            Gave::Mixed(_) | Gave::Failed(_) => None,
        }
    }
}

impl Units {
    /// The part of the requests that brings a new unit where ever new ones come.
    pub(crate) const NEW_SHARE: f64 = 0.5;

    /// The unit of a request, and over which of so many protocols it is asked.
    fn of(self, number: u64, protocols: u64) -> (u64, u64) {
        match self {
            // Another protocol each time that a unit comes again.
            Self::Few(count) => (number % count.max(1), (number + number / count.max(1)) % protocols),
            Self::Growing => {
                let newest = number / 2;
                // A stride that is prime to the span: all recent ones come again.
                let back = if number.is_multiple_of(2) { 0 } else { (newest * 7919 % RECENT).min(newest) };
                (newest - back, number % protocols)
            }
        }
    }
}

impl Caller for Crowd {
    type Connections = (Lines, Clock);
    type Record = Met;

    async fn connect(&self, clock: Clock) -> Result<Self::Connections, String> {
        Ok((Lines::open(&self.endpoint, &self.protocols, self.wiring, clock).await?, clock))
    }

    async fn call(&self, (lines, clock): &Self::Connections, turn: Turn) -> Met {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (unit, protocol) = self.units.of(number, self.protocols.len() as u64);
        let input = number as usize % self.inputs.len();
        let asked = self.ask(lines, self.protocols[protocol as usize], unit, input).await;
        let (sent, gave) = asked.unwrap_or_else(|problem| (turn.fired, Gave::Failed(problem)));
        Met { unit, due: turn.due, sent, ended: clock.now(), gave }
    }
}

impl Crowd {
    async fn ask(
        &self,
        lines: &Lines,
        protocol: Protocol,
        unit: u64,
        input: usize,
    ) -> Result<(Duration, Gave), String> {
        let parameter = ParameterValue::String(format!("user-{unit}"));
        let asked = Input {
            tensors: self.inputs[input].clone(),
            parameters: [(PARAMETER.into(), parameter)].into(),
            ..Input::default()
        };
        let call = Call::prepare(&self.endpoint, &self.model, kind(protocol), &asked)?;
        let look = |came: Came<'_>| self.judge(protocol, input, came);
        let (sent, gave) = lines.over(protocol)?.exchange(&call, look).await;
        Ok((sent, gave.unwrap_or_else(|fault| Gave::Failed(format!("{}: {}", fault.code, fault.said)))))
    }

    fn judge(&self, protocol: Protocol, input: usize, came: Came<'_>) -> Gave {
        let verdict = match &self.references {
            Some(references) => judge(references, protocol, input, came),
            None => whole(came),
        };
        match (verdict, came.header(ARM)) {
            (Verdict::Whole { version }, Some(arm)) => Gave::Answer { arm: arm.into(), version },
            (Verdict::Whole { .. }, None) => Gave::Mixed("the answer names no arm".into()),
            (Verdict::Mixed(said), _) => Gave::Mixed(said),
            (Verdict::Failed(said), _) => Gave::Failed(said),
        }
    }
}

/// The version of a success, whatever it holds.
fn whole(came: Came<'_>) -> Verdict {
    let problem = match came {
        Came::Http(answer) if answer.head.status == 200 => None,
        Came::Http(answer) => Some(format!("status {}", answer.head.status)),
        Came::Grpc(received) => message(received).err().map(|verdict| verdict.to_string()),
    };
    match (problem, came.header(VERSION).and_then(|version| version.parse().ok())) {
        (Some(problem), _) => Verdict::Failed(problem),
        (None, Some(version)) => Verdict::Whole { version },
        (None, None) => Verdict::Mixed("the answer names no version".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_of_few_units_is_asked_over_every_protocol() {
        for count in [7, 9, 12] {
            let asked: BTreeSet<_> = (0..3 * count).map(|number| Units::Few(count).of(number, 3)).collect();
            assert_eq!(asked.len() as u64, 3 * count, "{count}");
        }
    }

    #[test]
    fn half_of_the_units_are_new_and_the_others_came_before() {
        let mut seen = BTreeSet::new();
        let (mut new, asked) = (0, 40_000);
        for number in 0..asked {
            let (unit, protocol) = Units::Growing.of(number, 3);
            assert!(protocol < 3 && unit <= number / 2);
            new += u64::from(seen.insert(unit));
        }
        assert_eq!(new, asked / 2);
    }
}
