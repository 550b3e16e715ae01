//! One part of a run: the same load for a time, warm-up first.

mod client;
pub(crate) mod lag;
mod live;
mod record;
mod slices;
mod tally;

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

pub(crate) use self::client::Client;
use self::live::Live;
pub(crate) use self::record::Record;
use self::tally::Tally;
use crate::clock::Clock;
use crate::findings::Part;
use crate::progress::Snapshot;
use crate::schedule::Pattern;
use crate::traffic::{Drive, Lane, Traffic};
use crate::watcher::Watcher;

/// How often the state of the run is looked at, and shown.
const LOOK: Duration = Duration::from_millis(200);

/// What a part may take beyond its time and three timeouts: a generator that is behind sends until it is not.
const GRACE: Duration = Duration::from_secs(60);

/// What a stream is called in what is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) model: String,
    /// "V2 JSON over HTTP/1.1".
    pub(crate) protocol: String,
    /// "constant", "ramp, poisson".
    pub(crate) arrivals: String,
    /// Whether it is a closed loop, which has no rate of its own.
    pub(crate) closed: bool,
}

/// One stream of a part.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) named: Named,
    pub(crate) pattern: Pattern,
    /// What sends its requests.
    pub(crate) client: Arc<Client>,
    /// Requests of a thread that may be without an answer; the places of a closed loop.
    pub(crate) in_flight_max: usize,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
}

/// How a part is measured.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// "steady", "10 x".
    pub(crate) name: String,
    /// The target's name, where there are several.
    pub(crate) target: Option<String>,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
}

/// What a part found.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) part: Part,
    /// Why it was ended before its time, where it was.
    pub(crate) cut: Option<String>,
    /// Requests that were sent, those of the warm-up too.
    pub(crate) sent: u64,
    /// Microseconds of the gateway's CPU for each of them, where it was started here.
    pub(crate) cpu_us: Option<f64>,
}

/// What is asked again and again while a part runs.
pub(crate) struct Watch<'a> {
    /// Who sees how far it is, and may end it.
    pub(crate) watcher: Option<&'a Watcher>,
    /// Why the server can answer no more.
    pub(crate) broken: &'a mut dyn FnMut() -> Option<String>,
}

/// Sends what is due, and counts what comes.
///
/// # Errors
/// Where no connection can be made, or the server ended.
pub(crate) fn measure(course: &Course, loads: &[Load], watch: &mut Watch<'_>) -> Result<Measured, String> {
    let clock = Clock::start();
    let whole = course.warm_up + course.time;
    let drive = Drive { threads: course.threads, seed: course.seed, until: Some(whole) };
    let lanes = loads.iter().enumerate().map(|(stream, load)| load.lane(stream)).collect();
    let traffic = Traffic::start(lanes, drive, clock)?;
    let (start, from) = (traffic.started(), traffic.started() + course.warm_up);
    let tally = |_| Tally::new(from, course.time);
    let mut tallies: Vec<Tally> = loads.iter().map(tally).collect::<Result<_, _>>()?;
    let mut live = Live::new(&course.name, whole, start, loads.iter().all(|load| load.named.closed))?;
    let longest = loads.iter().map(|load| load.timeout).max().unwrap_or_default();
    let last = start + whole + longest * 3 + GRACE;
    let (mut looked, mut cut) = (start, None);
    loop {
        match traffic.records().recv_timeout(LOOK) {
            Ok(batch) => batch.iter().for_each(|record: &Record| {
                tallies[record.stream].add(record);
                live.add(record);
            }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = clock.now();
        if now < looked + LOOK || cut.is_some() {
            continue;
        }
        looked = now;
        let moment = live.look(now, now.saturating_sub(start), traffic.sent())?;
        cut = watch.look(moment)?.or((now > last).then_some("the generator did not catch up"));
        if cut.is_some() {
            traffic.stop();
        }
    }
    let time = cut.map_or(course.time, |_| looked.saturating_sub(from).min(course.time));
    let sent = traffic.end()?;
    let all = sent.iter().sum();
    let stream = |((load, mut tally), sent): ((&Load, Tally), u64)| {
        tally.lose(sent);
        tally.stream(load.named.clone(), time)
    };
    let part = Part {
        name: course.name.clone(),
        target: course.target.clone(),
        seconds: time.as_secs_f64(),
        streams: loads.iter().zip(tallies).zip(sent).map(stream).collect(),
    };
    let cut = cut.map(|why| format!("{} was cut short: {why}", course.name));
    Ok(Measured { part, cut, sent: all, cpu_us: None })
}

impl Load {
    /// What the generator drives.
    fn lane(&self, stream: usize) -> Lane<client::Lane> {
        let caller = Arc::new(client::Lane { stream, client: self.client.clone() });
        let Self { pattern, in_flight_max, timeout, .. } = self;
        Lane { caller, pattern: pattern.clone(), in_flight_max: *in_flight_max, timeout: *timeout }
    }
}

impl Watch<'_> {
    /// Shows a moment, and says why the part is to end, where it is.
    ///
    /// # Errors
    /// Where the server ended.
    fn look(&mut self, moment: Snapshot) -> Result<Option<&'static str>, String> {
        if let Some(broken) = (self.broken)() {
            return Err(broken);
        }
        let Some(watcher) = self.watcher else { return Ok(None) };
        watcher.show(moment);
        Ok(watcher.is_interrupted().then_some("it was interrupted"))
    }
}
