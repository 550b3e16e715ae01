//! The names of parts, and of the spool files that become parts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_core::{ModelName, RequestId};

const HOUR: u64 = 3600;
/// Digits of the time in a name.
const TIME_LEN: usize = 13;
/// Hexadecimal digits that tell names of the same time apart.
const TAIL_LEN: usize = 8;
/// The most characters of a host's name.
const HOST_MAX: usize = 64;

/// Names one part: of which model and hour its examples are, who wrote it, and when that was begun.
///
/// A part has the same name however often it is made of its spool file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartName {
    /// The model.
    pub model: ModelName,
    /// The hour of its examples, counted from 1970.
    pub hour: u64,
    /// When it was begun, in milliseconds of 1970, and what tells it from others of that time.
    pub seq: String,
    /// The host whose gateway wrote it.
    pub host: String,
}

impl PartName {
    /// The name of what is begun at `now` with a request as its first, whose id no other part begins with.
    #[must_use]
    pub fn new(model: &ModelName, at: SystemTime, host: &str, now: SystemTime, first: RequestId) -> Self {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX).min(10_u64.pow(TIME_LEN as u32) - 1);
        let id = first.encode();
        // The end of an id of version 7 is random.
        let tail = String::from_utf8_lossy(&id[id.len() - TAIL_LEN..]).into_owned();
        let host = host_of(host);
        Self { model: model.clone(), hour: hour_of(at), seq: format!("{millis:013}-{tail}"), host }
    }

    /// Its place below a log's directory, with a slash between folders.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { model, hour, seq, host } = self;
        let [date, hour] = date_and_hour(*hour);
        format!("model={model}/date={date}/hour={hour}/part-{host}-{seq}.parquet")
    }

    /// Reads such a place; nothing where it is none.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let mut folders = path.split('/');
        let model = ModelName::new(folders.next()?.strip_prefix("model=")?).ok()?;
        let date = folders.next()?.strip_prefix("date=")?;
        let hour = folders.next()?.strip_prefix("hour=")?;
        let file = folders.next()?.strip_prefix("part-")?.strip_suffix(".parquet")?;
        let time = humantime::parse_rfc3339(&format!("{date}T{hour}:00:00Z")).ok()?;
        let (host, seq) = file.split_at_checked(file.len().checked_sub(TIME_LEN + TAIL_LEN + 2)?)?;
        let name = Self {
            model,
            hour: hour_of(time),
            seq: seq.strip_prefix('-')?.to_owned(),
            host: host.to_owned(),
        };
        (folders.next().is_none() && name.is_whole()).then_some(name)
    }

    /// The name of its spool file.
    pub(super) fn spool_file(&self) -> String {
        format!("{}@{}@{}{SPOOL_END}", self.model, self.hour, self.seq)
    }

    /// Reads the name of a spool file of a host.
    pub(super) fn of_spool_file(file: &str, host: &str) -> Option<Self> {
        let mut pieces = file.strip_suffix(SPOOL_END)?.split('@');
        let model = ModelName::new(pieces.next()?).ok()?;
        let hour = pieces.next()?.parse().ok()?;
        let name = Self { model, hour, seq: pieces.next()?.to_owned(), host: host.to_owned() };
        (pieces.next().is_none() && name.is_whole()).then_some(name)
    }

    /// When it was begun.
    #[must_use]
    pub fn begun(&self) -> SystemTime {
        let millis = self.seq.get(..TIME_LEN).and_then(|millis| millis.parse().ok()).unwrap_or(0);
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    /// The hour of its examples, and the end of it.
    #[must_use]
    pub fn span(&self) -> [SystemTime; 2] {
        let at = |hour: u64| UNIX_EPOCH + Duration::from_secs(hour.saturating_mul(HOUR));
        [at(self.hour), at(self.hour + 1)]
    }

    fn is_whole(&self) -> bool {
        let (time, tail) = self.seq.split_once('-').unwrap_or_default();
        time.len() == TIME_LEN
            && time.bytes().all(|digit| digit.is_ascii_digit())
            && tail.len() == TAIL_LEN
            && tail.bytes().all(|digit| digit.is_ascii_hexdigit())
            && self.host == host_of(&self.host)
    }
}

/// How spool files end.
pub(super) const SPOOL_END: &str = ".arrows";

/// The hour of a time, counted from 1970.
pub(super) fn hour_of(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / HOUR
}

/// An hour as date and hour of the day.
fn date_and_hour(hour: u64) -> [String; 2] {
    // The latest that can be written.
    let latest = 253_402_300_799 / HOUR;
    let time = UNIX_EPOCH + Duration::from_secs(hour.min(latest) * HOUR);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let (date, time) = text.split_once('T').unwrap_or_default();
    [date.to_owned(), time.get(..2).unwrap_or_default().to_owned()]
}

/// A host's name as it can stand in a file's.
pub(super) fn host_of(host: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let name: String = host.trim_start_matches('.').chars().take(HOST_MAX).map(plain).collect();
    if name.is_empty() { "host".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_in_a_part_and_are_read_back() {
        let at = humantime::parse_rfc3339("2018-02-14T07:59:59Z").expect("a time");
        let id = RequestId::parse("018f3c6e-7a1b-7c2d-8e4f-001122334455").expect("an id");
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let name = PartName::new(&ModelName::new("a.b-c").expect("a name"), at, "../pod 1", now, id);
        let path = name.path();
        assert_eq!(path, "model=a.b-c/date=2018-02-14/hour=07/part-_pod_1-1700000000123-22334455.parquet");
        assert_eq!(PartName::parse(&path).as_ref(), Some(&name));
        assert_eq!(PartName::of_spool_file(&name.spool_file(), "_pod_1").as_ref(), Some(&name));
        assert_eq!((name.begun(), name.span()[0] <= at, at < name.span()[1]), (now, true, true));
        for other in [
            "model=a/date=2018-02-14/hour=07/other.parquet",
            "model=a/date=2018-02-14/hour=07/part-h-1700000000123-22334455.parquet.tmp",
            "model=a/date=2018-02-30/hour=07/part-h-1700000000123-22334455.parquet",
            "model=a/date=2018-02-14/hour=25/part-h-1700000000123-22334455.parquet",
            "model=../date=2018-02-14/hour=07/part-h-1700000000123-22334455.parquet",
            "model=a/date=2018-02-14/hour=07/part-h-170000000012-22334455.parquet",
            "model=a/date=2018-02-14/hour=07/x/part-h-1700000000123-22334455.parquet",
        ] {
            assert_eq!(PartName::parse(other), None, "{other}");
        }
    }
}
