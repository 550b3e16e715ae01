//! Webhooks as a test needs them, and what they count.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::receiver::PATIENCE;
use crate::config::Webhook;
use crate::webhook::{Address, Backoff, Webhooks};

/// What signs.
pub(super) const SECRET: [u8; 32] = *b"a secret that nobody should read";

/// Webhooks of one test, with what they count.
pub(super) struct Setting {
    pub(super) webhooks: Webhooks,
    pub(super) instruments: Registry,
    pub(super) _scratch: TempDir,
}

impl Setting {
    /// Quick ones, that may tell these receivers, changed as the test needs it.
    pub(super) fn new(allowed: &[&str], change: impl FnOnce(&mut Webhook)) -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        let secret_file = scratch.path().join("secret");
        std::fs::write(&secret_file, format!("whsec_{}\n", STANDARD.encode(SECRET))).expect("a file");
        let allowed = allowed.iter().map(|text| Address::parse_allowed(text).expect("an address"));
        let mut config = Webhook {
            allowed: allowed.collect(),
            secret_file: Some(secret_file),
            backoff: Backoff { min: Duration::from_millis(1), max: Duration::from_millis(20) },
            timeout: PATIENCE,
            ..Webhook::default()
        };
        change(&mut config);
        let mut instruments = Registry::default();
        let webhooks = Webhooks::start(&config, &mut instruments).expect("webhooks start");
        Self { webhooks, instruments, _scratch: scratch }
    }

    /// The value of one series.
    pub(super) fn metric(&self, series: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.instruments).expect("metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in {text}")).parse().expect("a number")
    }

    pub(super) fn tries(&self, result: &str) -> u64 {
        self.metric(&format!("pointsman_webhook_tries_total{{result=\"{result}\"}}"))
    }

    pub(super) fn dropped(&self, reason: &str) -> u64 {
        self.metric(&format!("pointsman_webhook_dropped_total{{reason=\"{reason}\"}}"))
    }

    /// Waits until nothing waits, and holds what was told against what became of it.
    pub(super) fn settle(&self) {
        let all = ["not_allowed", "queue_full", "refused", "tries_used_up", "stopped"];
        let accounted =
            || self.tries("delivered") + all.iter().map(|reason| self.dropped(reason)).sum::<u64>();
        wait_for("every notice to be delivered or dropped", || {
            self.metric("pointsman_webhook_waiting") == 0
                && accounted() == self.metric("pointsman_webhook_told_total")
        });
    }
}

/// Waits for a state, and fails where it does not come.
pub(super) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
