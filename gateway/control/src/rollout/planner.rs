//! How long a rollout will take, before it begins.

use std::fmt;
use std::time::Duration;

use pointsman_stats::{Errors, ExpectedRates, Need, Rate, Strata, Tally, until_below_floor, until_not_worse};
use serde::{Deserialize, Serialize};

use super::certificate::{certain_at, is_asked};
use super::evidence::Step;
use super::guard::{Guard, Question};
use super::spec::{Exposure, Spec, Stage};
use super::time::shown;

/// What is expected of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Requests per second, or new units where assignment is sticky.
    pub per_second: f64,
    /// How often each question is expected to be a hit with either version; those that are left out never.
    pub rates: Vec<(Question, ExpectedRates)>,
    /// In how large a share of pairs the candidate is expected to answer otherwise.
    pub disagreement: Rate,
}

impl Traffic {
    fn rates(&self, question: Question) -> Option<ExpectedRates> {
        let never = Rate::new(0.0).ok()?;
        let known = self.rates.iter().find(|(of, _)| *of == question).map(|(_, rates)| *rates);
        Some(known.unwrap_or(ExpectedRates { canary: never, primary: never }))
    }
}

/// What a stage lasts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The least time.
    Time,
    /// The least that the candidate sees.
    Count,
    /// Until this question is certain.
    Certainty(Question),
    /// For ever: this question is not expected to be certain at any time.
    Never(Question),
    /// For ever: there is no traffic.
    NoTraffic,
}

/// What is expected of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// How much callers are exposed.
    pub exposure: Exposure,
    /// What it lasts for.
    pub limit: Limit,
    /// How many milliseconds it lasts, in half of all cases; nothing where it has no end.
    pub millis: Option<u64>,
    /// Requests or units of the model in that time.
    pub requests: u64,
    /// Whether somebody has to approve then.
    pub approval: bool,
}

impl StagePlan {
    /// How long it lasts, in half of all cases; nothing where it has no end.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.millis.map(Duration::from_millis)
    }
}

/// What is expected of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its stages.
    pub stages: Vec<StagePlan>,
    /// Whether the deadline is expected to pass before its end.
    pub misses_deadline: bool,
}

impl Plan {
    /// How long all of it lasts, if nobody has to approve; nothing where a stage has no end.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.stages.iter().map(StagePlan::time).sum()
    }
}

/// How long each stage lasts if traffic and rates are as expected. What earlier stages will have seen counts.
#[must_use]
pub fn plan(spec: &Spec, traffic: &Traffic) -> Plan {
    let mut seen: Vec<(Question, Strata)> =
        spec.guards.iter().map(|guard| (guard.question, Strata::default())).collect();
    let mut stages = Vec::new();
    for (at, stage) in spec.stages.iter().enumerate() {
        let planned = planned(spec, traffic, stage, &seen, at == 0);
        stages.push(planned);
        expect(&mut seen, traffic, stage, planned.requests);
    }
    let mut plan = Plan { stages, misses_deadline: false };
    let late = |deadline: super::Deadline| plan.time().is_none_or(|time| time > deadline.after);
    plan.misses_deadline = spec.deadline.is_some_and(late);
    plan
}

/// The share of requests that the candidate sees.
fn share(exposure: Exposure) -> f64 {
    match exposure {
        Exposure::None => 0.0,
        Exposure::Shadow(share) | Exposure::Canary(share) => share.fraction(),
        Exposure::All => 1.0,
    }
}

fn planned(
    spec: &Spec,
    traffic: &Traffic,
    stage: &Stage,
    seen: &[(Question, Strata)],
    first: bool,
) -> StagePlan {
    let share = share(stage.exposure);
    // The first look that the warm-up ends with is left out as well; looks are small beside stages.
    let warm_up = if first { spec.warm_up.count as f64 / share } else { 0.0 };
    let mut limits = vec![
        (stage.time_min.as_secs_f64() * traffic.per_second, Limit::Time),
        (stage.count_min as f64 / share + warm_up, Limit::Count),
    ];
    for guard in
        spec.guards.iter().filter(|guard| is_asked(guard, stage.exposure) && guard.question.certifies())
    {
        let seen = seen.iter().find(|(question, _)| *question == guard.question).map(|(_, strata)| strata);
        let need = seen.and_then(|seen| requests(spec, traffic, stage.exposure, guard, seen));
        limits.push(match need {
            Some(requests) => (requests + warm_up, Limit::Certainty(guard.question)),
            None => (f64::INFINITY, Limit::Never(guard.question)),
        });
    }
    let (requests, mut limit) =
        limits.into_iter().fold((0.0, Limit::Time), |most, next| if next.0 > most.0 { next } else { most });
    let seconds = requests / traffic.per_second;
    if traffic.per_second <= 0.0 {
        limit = Limit::NoTraffic;
    }
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|_| traffic.per_second > 0.0);
    StagePlan {
        exposure: stage.exposure,
        limit,
        millis: time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        requests: if requests.is_finite() { requests.ceil() as u64 } else { 0 },
        approval: stage.approval,
    }
}

/// How many requests of the model it takes until a guard is certain: the fewer of both ways.
fn requests(spec: &Spec, traffic: &Traffic, exposure: Exposure, guard: &Guard, seen: &Strata) -> Option<f64> {
    let (alpha, weight, share) = (certain_at(spec, exposure), Step::weight(exposure)?, share(exposure));
    let of_canary = |need: Need| need.units / share;
    if guard.question == Question::Disagreement {
        let need = until_below_floor(Tally::default(), traffic.disagreement, guard.floor, alpha);
        return need.map(of_canary);
    }
    let rates = traffic.rates(guard.question)?;
    let below = until_below_floor(Tally::default(), rates.canary, guard.floor, alpha).map(of_canary);
    let of_both = |need: Need| match exposure {
        // Each request of a shadow is one of either version.
        Exposure::Shadow(_) => need.units * weight.get() / share,
        Exposure::None | Exposure::Canary(_) | Exposure::All => need.units,
    };
    let not_worse = until_not_worse(seen, weight, rates, guard.margin, alpha).map(of_both);
    match (below, not_worse) {
        (Some(below), Some(not_worse)) => Some(below.min(not_worse)),
        (below, not_worse) => below.or(not_worse),
    }
}

/// Adds what a stage is expected to see.
fn expect(seen: &mut [(Question, Strata)], traffic: &Traffic, stage: &Stage, requests: u64) {
    let Some(weight) = Step::weight(stage.exposure) else { return };
    let is_shadow = matches!(stage.exposure, Exposure::Shadow(_));
    for (question, strata) in seen {
        let asked = if is_shadow { question.is_of_shadows() } else { question.is_of_canaries() };
        let Some(rates) = traffic.rates(*question).filter(|_| asked) else { continue };
        let share = share(stage.exposure);
        let primary = if is_shadow { share } else { 1.0 - share };
        let errors = Errors {
            canary: (requests as f64 * share * rates.canary.get()) as u64,
            primary: (requests as f64 * primary * rates.primary.get()) as u64,
        };
        // There are fewer stages than strata.
        let _ = strata.push(weight, errors);
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            let limit = match stage.limit {
                Limit::Time => "the least time".to_owned(),
                Limit::Count => "the least that it has to see".to_owned(),
                Limit::Certainty(question) => format!("until {} are certain", question.name()),
                Limit::Never(question) => {
                    format!(
                        "{} will not be certain at these rates: widen its margin or its floor",
                        question.name()
                    )
                }
                Limit::NoTraffic => "there is no traffic".to_owned(),
            };
            let time = stage.time().map_or_else(|| "no end".to_owned(), shown);
            let approval = if stage.approval { ", then somebody approves" } else { "" };
            writeln!(
                f,
                "{:<16} {:>14}  {} requests: {limit}{approval}",
                stage.exposure.to_string(),
                time,
                stage.requests
            )?;
        }
        match self.time() {
            Some(time) => write!(f, "{:<16} {:>14}", "in all", shown(time))?,
            None => write!(f, "{:<16} {:>14}", "in all", "no end")?,
        }
        if self.misses_deadline { write!(f, ", which is past the deadline") } else { Ok(()) }
    }
}
