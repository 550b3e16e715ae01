//! Alerts: what parts of the gateway say of models is held against rules, remembered in the journal, shown, and told to
//! whom the rules name.
//!
//! A thread of its own asks every [`Source`] each time that `alerts.look` has passed. A transition is written before it is
//! told, so that whoever was told finds it in the journal. After a restart what fires is told once more, under the same
//! id: a notice that was lost with the process is not lost for good, and a receiver knows the others by their ids.

mod events;
mod instruments;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use pointsman_control::{AlertEntry, AlertStore};
use pointsman_observe::alert::{Alert, Board, Rule, Signal, SignalKind, State, Transition};
use prometheus_client::registry::Registry;

use self::instruments::Instruments;
use crate::clock::now_ms;
use crate::webhook::Webhooks;

/// A part of the gateway that knows what holds of models.
pub(crate) trait Source: Send + Sync {
    /// The kinds of signals that it gives, and nobody else.
    fn kinds(&self) -> &'static [SignalKind];

    /// What holds now; nothing where it does not know yet, and what stood before stays. May take some time, and not more.
    fn signals(&self) -> Option<Vec<Signal>>;
}

/// How alerts are made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// How often sources are asked.
    pub(crate) look: Duration,
    /// The rules that are declared. Where there are none, the default one picks everything and tells nobody.
    pub(crate) rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { look: Duration::from_secs(10), rules: Vec::new() }
    }
}

/// All alerts.
pub(crate) struct Alerts {
    board: Mutex<Board>,
    store: Mutex<AlertStore>,
    webhooks: Arc<Webhooks>,
    instruments: Instruments,
}

/// The thread that looks. Dropped, it ends.
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Alerts {
    /// Alerts as they stand in the journal.
    ///
    /// # Errors
    /// A line that says what is wrong with the journal, or which address of a rule is not allowed.
    pub(crate) fn new(
        settings: &Settings,
        store: AlertStore,
        webhooks: Arc<Webhooks>,
        registry: &mut Registry,
    ) -> Result<Arc<Self>, String> {
        let rules = match &*settings.rules {
            [] => vec![Rule::default()],
            rules => rules.to_vec(),
        };
        for rule in &rules {
            for address in &rule.webhook {
                webhooks.allows(address).map_err(|problem| format!("alert.{}: {problem}", rule.name))?;
            }
        }
        let mut alerts: Vec<Alert> = Vec::new();
        for document in store.load().map_err(|e| e.to_string())? {
            match serde_json::from_str(&document) {
                Ok(alert) => alerts.push(alert),
                Err(error) => tracing::warn!("an alert in the journal is not read, and begins anew: {error}"),
            }
        }
        let board = Board::new(rules, alerts);
        let instruments = Instruments::register(registry);
        instruments.show(&board);
        let alerts = Self { board: Mutex::new(board), store: Mutex::new(store), webhooks, instruments };
        alerts.tell_again();
        Ok(Arc::new(alerts))
    }

    /// Tells of what fires since before the start.
    fn tell_again(&self) {
        let firing: Vec<Alert> =
            self.board.lock().alerts().filter(|alert| alert.state == State::Firing).cloned().collect();
        firing.into_iter().for_each(|alert| self.tell(&Transition { from: State::Pending, alert }));
    }

    /// Asks the sources, and does what follows.
    fn look(&self, sources: &[Arc<dyn Source>], now_ms: u64) {
        let (mut signals, mut known) = (Vec::new(), BTreeSet::new());
        for source in sources {
            if let Some(found) = source.signals() {
                known.extend(source.kinds().iter().copied());
                signals.extend(found);
            }
        }
        let (transitions, keys) = {
            let mut board = self.board.lock();
            let transitions = board.step(now_ms, &signals, &known);
            self.instruments.show(&board);
            let keys: Vec<String> = board.alerts().map(Alert::key).collect();
            (transitions, keys)
        };
        for transition in &transitions {
            self.write(now_ms, transition);
            self.instruments.count(transition);
            let alert = &transition.alert;
            if !transition.is_repeated() {
                tracing::info!(
                    rule = alert.rule,
                    model = alert.signal.model,
                    version = alert.signal.version,
                    kind = alert.signal.kind.name(),
                    subject = alert.signal.subject,
                    from = transition.from.name(),
                    to = alert.state.name(),
                    "alert: {}",
                    alert.signal.says
                );
            }
            self.tell(transition);
        }
        if !transitions.is_empty()
            && let Err(error) = self.store.lock().keep(&keys)
        {
            tracing::warn!("alerts that are forgotten stay in the journal: {error}");
        }
    }

    fn write(&self, now_ms: u64, transition: &Transition) {
        let alert = &transition.alert;
        let document = match serde_json::to_string(alert) {
            Ok(document) => document,
            Err(error) => return tracing::warn!("an alert is not written: {error}"),
        };
        let is_over = alert.state == State::Ok;
        let mut store = self.store.lock();
        if let Err(error) = store.write(now_ms, &alert.key(), transition.from.name(), &document, is_over) {
            tracing::warn!(alert = alert.key(), "an alert is not in the journal: {error}");
        }
    }

    fn tell(&self, transition: &Transition) {
        if !transition.is_told() {
            return;
        }
        let board = self.board.lock();
        let rule = board.rules().iter().find(|rule| rule.name == transition.alert.rule);
        let addresses = rule.map(|rule| rule.webhook.clone()).unwrap_or_default();
        drop(board);
        addresses.iter().for_each(|address| self.webhooks.tell(address, transition));
    }

    /// All alerts, those that fire first.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = self.board.lock().alerts().cloned().collect();
        let place = |alert: &Alert| match alert.state {
            State::Firing => 0,
            State::Pending => 1,
            State::Ok | State::Resolved => 2,
        };
        alerts.sort_by_key(|alert| (place(alert), std::cmp::Reverse((alert.severity, alert.changed_ms))));
        alerts
    }

    /// The rules.
    #[must_use]
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.board.lock().rules().to_vec()
    }

    /// The last transitions, of all models or of one, the newest first. Reads the journal.
    ///
    /// # Errors
    /// A line that says why it cannot be read.
    pub(crate) fn history(&self, model: Option<&str>, limit: u32) -> Result<Vec<AlertEntry>, String> {
        self.store.lock().history(model, limit).map_err(|e| e.to_string())
    }
}

impl Watch {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub(crate) fn start(
        alerts: Arc<Alerts>,
        sources: Vec<Arc<dyn Source>>,
        look: Duration,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let run = move || {
            while stopped.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
                alerts.look(&sources, now_ms());
            }
        };
        let thread = thread::Builder::new().name("pointsman-alerts".into()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of alerts panicked");
        }
    }
}
