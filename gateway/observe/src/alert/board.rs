//! The alerts there are, and how they come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rule::{Rule, Severity};
use super::signal::{Signal, SignalKind};

/// The most alerts that are pending or fire at the same time; more are counted and not told.
pub const ACTIVE_MAX: usize = 1000;
/// The most that are remembered after they were resolved; the oldest go first.
pub const RESOLVED_MAX: usize = 1000;

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its signal is gone before it fired.
    Ok,
    /// Its signal holds, not yet for as long as the rule says.
    Pending,
    /// It is an alert.
    Firing,
    /// It was one, and its signal is gone.
    Resolved,
}

impl State {
    /// The word in metrics and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }

    /// Whether somebody has to look, or may have to.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Firing)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One alert, with its signal as it was seen last. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The rule.
    pub rule: String,
    /// How soon somebody should look.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// Since when its signal holds.
    pub since_ms: u64,
    /// Since when it stands there.
    pub changed_ms: u64,
    /// When its signal was seen last.
    pub seen_ms: u64,
    /// When somebody was told last.
    pub told_ms: u64,
    /// What holds.
    pub signal: Signal,
}

impl Alert {
    /// What tells it from others.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.rule, &self.signal)
    }
}

fn key(rule: &str, signal: &Signal) -> String {
    let version = signal.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
    format!("{rule}/{}/{version}/{}/{}", signal.model, signal.kind, signal.subject)
}

/// An alert has come to another state, or one that fires is told again.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Where it stood.
    pub from: State,
    /// The alert as it stands now.
    pub alert: Alert,
}

impl Transition {
    /// Whether somebody is told: of what fires, also again, and of what is resolved.
    #[must_use]
    pub fn is_told(&self) -> bool {
        matches!(self.alert.state, State::Firing | State::Resolved)
    }

    /// Whether the alert stands where it stood, and is told again.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.from == self.alert.state
    }
}

/// All alerts.
#[derive(Debug, Default)]
pub struct Board {
    rules: Vec<Rule>,
    alerts: BTreeMap<String, Alert>,
    overflowed: u64,
}

impl Board {
    /// A board on which `alerts` stand already, as they were written down.
    #[must_use]
    pub fn new(rules: Vec<Rule>, alerts: impl IntoIterator<Item = Alert>) -> Self {
        let alerts = alerts.into_iter().take(ACTIVE_MAX + RESOLVED_MAX).map(|alert| (alert.key(), alert));
        Self { rules, alerts: alerts.collect(), overflowed: 0 }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// All alerts.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// How often a signal found no place.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Takes in what holds now. Of kinds that are not `known` nothing is said: what stood there stays.
    pub fn step(&mut self, now_ms: u64, signals: &[Signal], known: &BTreeSet<SignalKind>) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let mut seen = BTreeSet::new();
        let mut active = self.alerts.values().filter(|alert| alert.state.is_active()).count();
        for rule in &self.rules {
            for signal in signals.iter().filter(|signal| rule.picks(signal)) {
                let key = key(&rule.name, signal);
                if !seen.insert(key.clone()) {
                    continue;
                }
                let stands = self.alerts.get(&key).filter(|alert| alert.state.is_active());
                if stands.is_none() && active >= ACTIVE_MAX {
                    self.overflowed += 1;
                    continue;
                }
                active += usize::from(stands.is_none());
                let (from, alert) = holds(rule, signal, stands, now_ms);
                if from != alert.state || alert.told_ms == now_ms {
                    transitions.push(Transition { from, alert: alert.clone() });
                }
                self.alerts.insert(key, alert);
            }
        }
        let quiet: BTreeMap<&str, Duration> =
            self.rules.iter().map(|rule| (rule.name.as_str(), rule.quiet)).collect();
        for (key, alert) in &mut self.alerts {
            let is_gone = known.contains(&alert.signal.kind) || !quiet.contains_key(alert.rule.as_str());
            if !alert.state.is_active() || seen.contains(key) || !is_gone {
                continue;
            }
            let quiet = quiet.get(alert.rule.as_str()).copied().unwrap_or_default();
            let (from, to) = match alert.state {
                State::Pending => (State::Pending, State::Ok),
                _ if has_passed(alert.seen_ms, now_ms, quiet) => (State::Firing, State::Resolved),
                _ => continue,
            };
            (alert.state, alert.changed_ms, alert.told_ms) = (to, now_ms, now_ms);
            transitions.push(Transition { from, alert: alert.clone() });
        }
        self.forget();
        transitions
    }

    /// Forgets what never fired, and the oldest of what is resolved.
    fn forget(&mut self) {
        self.alerts.retain(|_, alert| alert.state != State::Ok);
        let resolved = self.alerts.iter().filter(|(_, alert)| alert.state == State::Resolved);
        let mut resolved: Vec<(u64, String)> =
            resolved.map(|(key, alert)| (alert.changed_ms, key.clone())).collect();
        resolved.sort_unstable();
        let over = resolved.len().saturating_sub(RESOLVED_MAX);
        for (_, key) in resolved.into_iter().take(over) {
            self.alerts.remove(&key);
        }
    }
}

/// The alert of a signal that holds, and where it stood before.
fn holds(rule: &Rule, signal: &Signal, stands: Option<&Alert>, now_ms: u64) -> (State, Alert) {
    let from = stands.map_or(State::Ok, |alert| alert.state);
    let since_ms = stands.map_or(now_ms, |alert| alert.since_ms);
    let fires = from == State::Firing || has_passed(since_ms, now_ms, rule.hold);
    let state = if fires { State::Firing } else { State::Pending };
    let is_due = |alert: &Alert| fires && has_passed(alert.told_ms, now_ms, rule.repeat);
    let is_told = state != from && fires || stands.is_some_and(is_due);
    let told_ms = if is_told { now_ms } else { stands.map_or(0, |alert| alert.told_ms) };
    let changed_ms = stands.filter(|_| state == from).map_or(now_ms, |alert| alert.changed_ms);
    let alert = Alert {
        rule: rule.name.clone(),
        severity: rule.severity,
        state,
        since_ms,
        changed_ms,
        seen_ms: now_ms,
        told_ms,
        signal: signal.clone(),
    };
    (from, alert)
}

/// Whether so long has passed. A clock that was set back passes nothing.
fn has_passed(from_ms: u64, now_ms: u64, time: Duration) -> bool {
    u128::from(now_ms.saturating_sub(from_ms)) >= time.as_millis()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn signal(kind: SignalKind, subject: &str) -> Signal {
        Signal {
            kind,
            model: "flights".into(),
            version: Some(2),
            subject: subject.into(),
            value: 0.4,
            threshold: 0.2,
            onset_ms: None,
            says: format!("{subject} has drifted"),
            evidence: json!({"rows": 1000}),
        }
    }

    fn rule(hold_s: u64, quiet_s: u64, repeat_s: u64) -> Rule {
        let [hold, quiet, repeat] = [hold_s, quiet_s, repeat_s].map(Duration::from_secs);
        Rule { hold, quiet, repeat, ..Rule::default() }
    }

    fn states(transitions: &[Transition]) -> Vec<(State, State)> {
        transitions.iter().map(|one| (one.from, one.alert.state)).collect()
    }

    const KIND: SignalKind = SignalKind::Skew;

    fn step(board: &mut Board, at_s: u64, holds: bool) -> Vec<(State, State)> {
        let signals: Vec<Signal> = holds.then(|| signal(KIND, "temp")).into_iter().collect();
        states(&board.step(at_s * 1000, &signals, &BTreeSet::from([KIND])))
    }

    #[test]
    fn an_alert_waits_fires_is_told_again_and_is_resolved() {
        use State::{Firing, Ok, Pending, Resolved};
        let mut board = Board::new(vec![rule(60, 30, 600)], []);
        assert_eq!(step(&mut board, 0, true), [(Ok, Pending)]);
        assert_eq!(step(&mut board, 59, true), []);
        assert_eq!(step(&mut board, 60, true), [(Pending, Firing)]);
        assert_eq!(step(&mut board, 659, true), []);
        assert_eq!(step(&mut board, 660, true), [(Firing, Firing)]);
        assert_eq!(step(&mut board, 689, false), []);
        assert_eq!(step(&mut board, 690, false), [(Firing, Resolved)]);
        assert_eq!(step(&mut board, 700, false), []);
        // It comes again as a new one.
        assert_eq!(step(&mut board, 710, true), [(Ok, Pending)]);
        assert_eq!(step(&mut board, 720, false), [(Pending, Ok)]);
        assert_eq!(board.alerts().count(), 0);
    }

    #[test]
    fn what_is_not_known_is_not_resolved_and_a_rule_that_is_gone_resolves() {
        let mut board = Board::new(vec![rule(0, 0, 600)], []);
        assert_eq!(step(&mut board, 0, true), [(State::Ok, State::Firing)]);
        assert_eq!(states(&board.step(9_000, &[], &BTreeSet::new())), []);
        let written: Vec<Alert> = board.alerts().cloned().collect();
        let json = serde_json::to_string(&written).expect("is written");
        let read: Vec<Alert> = serde_json::from_str(&json).expect("is read");
        // After a restart it still fires, and is not told as new.
        let mut again = Board::new(vec![rule(0, 0, 600)], read.clone());
        assert_eq!(step(&mut again, 10, true), []);
        let mut without = Board::new(vec![], read);
        assert_eq!(states(&without.step(10_000, &[], &BTreeSet::new())), [(State::Firing, State::Resolved)]);
    }

    #[test]
    fn rules_pick_by_kind_model_and_subject() {
        let all = Rule::default();
        let by = |on: &[SignalKind], models: &[&str], subjects: &[&str]| Rule {
            on: on.iter().copied().collect(),
            models: models.iter().map(ToString::to_string).collect(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            ..Rule::default()
        };
        let one = signal(KIND, "temp");
        assert!(all.picks(&one) && by(&[KIND], &["flights"], &["temp", "dewp"]).picks(&one));
        assert!(!by(&[SignalKind::Drift], &[], &[]).picks(&one));
        assert!(!by(&[], &["iris"], &[]).picks(&one) && !by(&[], &[], &["hour"]).picks(&one));
    }

    #[test]
    fn more_than_there_is_room_for_is_counted() {
        let mut board = Board::new(vec![rule(0, 0, 600)], []);
        let many: Vec<Signal> = (0..=ACTIVE_MAX).map(|i| signal(KIND, &i.to_string())).collect();
        let known = BTreeSet::from([KIND]);
        assert_eq!(board.step(0, &many, &known).len(), ACTIVE_MAX);
        assert_eq!((board.overflowed(), board.alerts().count()), (1, ACTIVE_MAX));
        assert_eq!(board.step(1, &[], &known).len(), ACTIVE_MAX);
        // What is resolved takes nobody's place, and is bounded as well.
        assert_eq!(board.step(2, &many[..1], &known).len(), 1);
        assert_eq!(board.alerts().count(), ACTIVE_MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_comes_states_follow_each_other_as_they_may(
            holds in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u64..100), 1..60),
            hold in 0u64..50, quiet in 0u64..50, repeat in 1u64..200,
        ) {
            let mut board = Board::new(vec![rule(hold, quiet, repeat)], []);
            let (mut now, mut stands) = (0, State::Ok);
            for (holds, known, passed) in holds {
                now += passed * 1000;
                let signals: Vec<Signal> = holds.then(|| signal(KIND, "temp")).into_iter().collect();
                let known = if known { BTreeSet::from([KIND]) } else { BTreeSet::new() };
                let transitions = board.step(now, &signals, &known);
                prop_assert!(transitions.len() <= 1);
                for one in transitions {
                    let before = if stands == State::Resolved { State::Ok } else { stands };
                    prop_assert_eq!(one.from, before);
                    use State::{Firing, Ok, Pending, Resolved};
                    let may = [(Ok, Pending), (Ok, Firing), (Pending, Firing), (Pending, Ok), (Firing, Firing), (Firing, Resolved)];
                    prop_assert!(may.contains(&(one.from, one.alert.state)), "{:?}", one);
                    prop_assert!(holds || !one.alert.state.is_active());
                    stands = one.alert.state;
                }
            }
        }
    }
}
