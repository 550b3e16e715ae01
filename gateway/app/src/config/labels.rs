//! The section `[labels]`: how long predictions wait for their labels, and what is kept of both.

use std::time::Duration;

use pointsman_core::ByteSize;
use pointsman_observe::labels::{JoinerLimits, LabelLogLimits};

use super::reader::Section;

/// What becomes of labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    /// What waits.
    pub(crate) joiner: JoinerLimits,
    /// What is written.
    pub(crate) log: LabelLogLimits,
    /// The most pairs of a model of which figures are made.
    pub(crate) pairs_max: usize,
    /// The most labels of one request.
    pub(crate) batch_max: usize,
    /// Whether the HTTP listener takes labels too.
    pub(crate) public: bool,
    /// How far back the sample log is looked through for predictions that memory let go.
    pub(crate) look_back: Duration,
    /// The most labels that wait for that.
    pub(crate) look_max: usize,
}

impl Default for Labels {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            joiner: JoinerLimits {
                keep: day,
                requests_max: 200_000,
                bytes_max: 128 << 20,
                rows_max: 1024,
                pending: Duration::from_secs(60),
                pending_max: 10_000,
            },
            log: LabelLogLimits { bytes_max: 256 << 20, keep: 366 * day },
            pairs_max: 200_000,
            batch_max: 10_000,
            public: false,
            look_back: 90 * day,
            look_max: 100_000,
        }
    }
}

impl Labels {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        let Self { joiner, log, pairs_max, batch_max, public, look_back, look_max } = self;
        section.set("keep", &mut joiner.keep);
        section.set_within("requests_max", &mut joiner.requests_max, 1..=100_000_000);
        section.set_bytes("bytes_max", &mut joiner.bytes_max);
        section.set_within("rows_max", &mut joiner.rows_max, 1..=16_384);
        section.set("pending", &mut joiner.pending);
        section.set_within("pending_max", &mut joiner.pending_max, 1..=10_000_000);
        section.set_within("pairs_max", pairs_max, 1..=10_000_000);
        section.set_within("batch_max", batch_max, 1..=1_000_000);
        let mut bytes = ByteSize(usize::try_from(log.bytes_max).unwrap_or(usize::MAX));
        section.set_within("log_bytes_max", &mut bytes, ByteSize(1 << 20)..=ByteSize(1 << 40));
        log.bytes_max = bytes.0 as u64;
        section.set("log_keep", &mut log.keep);
        section.set("public", public);
        section.set("look_back", look_back);
        section.set_within("look_max", look_max, 1..=10_000_000);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn limits_of_labels_are_read_and_what_is_out_of_bounds_is_named() {
        let text =
            "[labels]\nkeep = \"90m\"\nbytes_max = \"1MiB\"\nlog_bytes_max = \"2MiB\"\npublic = true\n";
        let labels = Config::read(text).expect("good").labels;
        assert_eq!((labels.joiner.keep.as_secs(), labels.joiner.bytes_max), (5400, 1 << 20));
        assert_eq!((labels.log.bytes_max, labels.public), (2 << 20, true));
        for (key, value) in [
            ("requests_max", "0"),
            ("rows_max", "0"),
            ("pending_max", "0"),
            ("pairs_max", "10_000_001"),
            ("batch_max", "0"),
            ("log_bytes_max", "1000"),
            ("keep", "\"1 week\""),
            ("look_back", "\"1 week\""),
            ("look_max", "0"),
            ("public", "1"),
        ] {
            let found = Config::read(&format!("[labels]\n{key} = {value}")).expect_err(key);
            assert!(found[0].to_string().starts_with(&format!("labels.{key}:")), "{found:?}");
        }
    }
}
