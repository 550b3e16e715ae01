//! The monitors of versions: each exchange that ended is shown to every part that looks at traffic.

mod ages;
mod health;
mod labels;
mod monitors;
pub(crate) mod profiles;
mod same_score;
pub(crate) mod sample_log;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_control::{Monitoring as ControlMonitoring, Subject};
use pointsman_core::ParameterValue;
use pointsman_predict::{Monitor, Monitored};

pub(crate) use self::ages::{AgeLimits, Staleness};
pub(crate) use self::health::{Example, VersionHealth, origin_name};
pub(crate) use self::labels::ShadowWatcher;
pub(crate) use self::monitors::Monitors;

/// The request parameter that says when an example is from, where a schema asks for it.
const EVENT_TIME: &str = "event_time";

/// The latest time that is believed: the first second of the year 2200.
const LATEST: Duration = Duration::from_secs(7_258_118_400);

/// Something that looks at the traffic of all models.
pub(crate) trait Part: Send + Sync {
    /// Who looks at one version; nobody where it is not wanted. See [`ControlMonitoring::monitor`].
    fn watcher(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Watcher>>;
}

/// Looks at the traffic of one version. As [`Monitor`]: on threads of requests, so it never waits.
pub(crate) trait Watcher: Send + Sync {
    /// An exchange has ended.
    fn saw(&self, seen: &Arc<Seen>);
}

/// An exchange, and when it is from.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) exchange: Monitored,
    /// When the example is from: what the caller says of it where the schema lets it, else when the request came.
    pub(crate) at: SystemTime,
    /// Why the caller does not say so, where the schema asks it to.
    pub(crate) no_event_time: Option<NoEventTime>,
}

/// All parts.
pub(crate) struct Monitoring {
    parts: Vec<Arc<dyn Part>>,
}

impl Monitoring {
    /// Shows traffic to these.
    #[must_use]
    pub(crate) fn new(parts: Vec<Arc<dyn Part>>) -> Arc<Self> {
        Arc::new(Self { parts })
    }
}

impl ControlMonitoring for Monitoring {
    fn monitor(&self, subject: Subject<'_>, warnings: &mut Vec<String>) -> Option<Arc<dyn Monitor>> {
        let watchers: Vec<_> = self.parts.iter().filter_map(|part| part.watcher(subject, warnings)).collect();
        let has_event_times = subject.schema.is_some_and(|schema| schema.event_time);
        let monitor = VersionMonitor { watchers, has_event_times };
        (!monitor.watchers.is_empty()).then(|| Arc::new(monitor) as Arc<dyn Monitor>)
    }
}

/// The monitor of one version.
struct VersionMonitor {
    watchers: Vec<Arc<dyn Watcher>>,
    /// Whether callers say when an example is from.
    has_event_times: bool,
}

impl Monitor for VersionMonitor {
    fn ended(&self, exchange: Monitored) {
        let said = self.has_event_times.then(|| event_time(&exchange));
        let came = || SystemTime::now().checked_sub(exchange.total).unwrap_or(SystemTime::UNIX_EPOCH);
        let at = said.and_then(Result::ok).unwrap_or_else(came);
        let seen = Arc::new(Seen { exchange, at, no_event_time: said.and_then(Result::err) });
        self.watchers.iter().for_each(|watcher| watcher.saw(&seen));
    }
}

/// Why a caller does not say when an example is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoEventTime {
    /// It says nothing.
    Absent,
    /// It says something else.
    Malformed,
}

/// When the caller says that an example is from: a time of RFC 3339 in UTC, from 1970 to 2199.
fn event_time(exchange: &Monitored) -> Result<SystemTime, NoEventTime> {
    let said = exchange.parameters.iter().find(|(name, _)| name == EVENT_TIME);
    let (_, value) = said.ok_or(NoEventTime::Absent)?;
    let ParameterValue::String(text) = value else { return Err(NoEventTime::Malformed) };
    let time = humantime::parse_rfc3339(text).map_err(|_| NoEventTime::Malformed)?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok();
    since.filter(|since| *since < LATEST).map(|_| time).ok_or(NoEventTime::Malformed)
}
