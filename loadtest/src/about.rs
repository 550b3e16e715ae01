//! What ran where.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::findings::{About, Machine};

/// When a run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun(SystemTime);

impl Begun {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(SystemTime::now())
    }

    /// The head of what a run found, which is over now.
    pub(crate) fn about(self, scenario: &str, purpose: &str, targets: BTreeMap<String, String>) -> About {
        let Self(begun) = self;
        About {
            scenario: scenario.into(),
            purpose: purpose.into(),
            started_at: humantime::format_rfc3339_seconds(begun).to_string(),
            seconds: begun.elapsed().unwrap_or(Duration::ZERO).as_secs_f64(),
            targets,
            command: std::env::args().collect::<Vec<_>>().join(" "),
            machine: Machine::this(),
        }
    }
}

impl Machine {
    /// The one that this runs on.
    fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            processor: model.map_or_else(|| std::env::consts::ARCH.into(), |(_, model)| model.trim().into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, release.trim()),
        }
    }
}
