//! The section `[webhook]`: whom rollouts may tell, and how.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Section;
use crate::webhook::{Address, Backoff, SECRET_PREFIX, SECRET_REMEDY};

/// The most addresses that may be allowed.
const ALLOWED_MAX: usize = 64;
/// The longest that a try may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// The longest that the last tries may take when the gateway stops.
const DRAIN_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How receivers of notices are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Webhook {
    /// The addresses at and below which there may be receivers.
    pub(crate) allowed: Vec<Address>,
    /// The file with the secrets that sign.
    pub(crate) secret_file: Option<PathBuf>,
    /// The certificates of the authorities that are trusted in place of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// Notices that may wait, those that are tried again among them.
    pub(crate) queue_max: usize,
    /// How often one is tried.
    pub(crate) tries_max: u32,
    /// How long is waited between tries.
    pub(crate) backoff: Backoff,
    /// How long a try may take.
    pub(crate) timeout: Duration,
    /// How long the last tries may take when the gateway stops.
    pub(crate) drain_timeout: Duration,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            secret_file: None,
            ca_file: None,
            queue_max: 1024,
            tries_max: 8,
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(300) },
            timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(3),
        }
    }
}

impl Webhook {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        let mut allowed = Vec::new();
        section.set("allowed", &mut allowed);
        self.allowed = addresses(section, &allowed);
        section.set_optional("secret_file", &mut self.secret_file);
        if !allowed.is_empty() && self.secret_file.is_none() {
            let what =
                format!("expected the path of a file, as webhook.allowed has addresses; {SECRET_REMEDY}");
            section.problem("secret_file", what);
        }
        if self.secret_file.as_ref().is_some_and(|file| file.to_string_lossy().starts_with(SECRET_PREFIX)) {
            section
                .problem("secret_file", "expected the path of a file with the secret, found a secret".into());
        }
        section.set_optional("ca_file", &mut self.ca_file);
        section.set_within("queue_max", &mut self.queue_max, 1..=100_000);
        section.set_within("tries_max", &mut self.tries_max, 1..=32);
        section.set("backoff_min", &mut self.backoff.min);
        section.set("backoff_max", &mut self.backoff.max);
        if self.backoff.min.is_zero() || self.backoff.min > self.backoff.max {
            section.problem("backoff_min", "expected more than 0 s, and not more than backoff_max".into());
        }
        section.set("timeout", &mut self.timeout);
        if self.timeout.is_zero() || self.timeout > TIMEOUT_MAX {
            section.problem("timeout", format!("expected more than 0 s, and {TIMEOUT_MAX:?} at most"));
        }
        section.set("drain_timeout", &mut self.drain_timeout);
        if self.drain_timeout > DRAIN_TIMEOUT_MAX {
            section.problem("drain_timeout", format!("expected {DRAIN_TIMEOUT_MAX:?} at most"));
        }
    }
}

fn addresses(section: &mut Section<'_>, texts: &[String]) -> Vec<Address> {
    if texts.len() > ALLOWED_MAX {
        section
            .problem("allowed", format!("expected at most {ALLOWED_MAX} addresses, found {}", texts.len()));
        return Vec::new();
    }
    let mut addresses = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Address::parse_allowed(text) {
            Ok(address) => addresses.push(address),
            Err(problem) => section.problem(&format!("allowed[{index}]"), problem),
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn problems(section: &str) -> Vec<String> {
        let read = Config::read(&format!("[webhook]\n{section}"));
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_need_a_secret_and_the_problem_says_how_to_make_one() {
        let allowed = "allowed = [\"https://hooks.example.com/pointsman\"]\n";
        let found = problems(allowed);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with("webhook.secret_file: ") && found[0].contains("/dev/urandom"),
            "{found:#?}"
        );
        assert_eq!(problems(&format!("{allowed}secret_file = \"/etc/pointsman/webhook\"")), [""; 0]);
        assert_eq!(problems("allowed = []"), [""; 0]);
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let listed =
            |many: usize| format!("allowed = {:?}\nsecret_file = \"s\"", vec!["https://a.example"; many]);
        assert_eq!(problems(&listed(ALLOWED_MAX)), [""; 0]);
        for (section, key) in [
            (listed(ALLOWED_MAX + 1), "webhook.allowed: "),
            ("allowed = [\"ftp://a\"]\nsecret_file = \"s\"".into(), "webhook.allowed[0]: "),
            ("allowed = \"https://a\"".into(), "webhook.allowed: "),
            ("secret = \"whsec_x\"".into(), "webhook.secret: "),
            ("secret_file = \"whsec_hunter2\"".into(), "webhook.secret_file: "),
            ("queue_max = 0".into(), "webhook.queue_max: "),
            ("tries_max = 33".into(), "webhook.tries_max: "),
            ("backoff_min = \"0s\"".into(), "webhook.backoff_min: "),
            ("backoff_max = \"500ms\"".into(), "webhook.backoff_min: "),
            ("timeout = \"0s\"".into(), "webhook.timeout: "),
            ("timeout = \"121s\"".into(), "webhook.timeout: "),
            ("drain_timeout = \"61s\"".into(), "webhook.drain_timeout: "),
        ] {
            let found = problems(&section);
            assert!(found.len() == 1 && found[0].starts_with(key), "{section}: {found:#?}");
            assert!(!found[0].contains("hunter2"), "{found:#?}");
        }
    }
}
