//! How a report is made of windows.

use pointsman_core::shown;

use super::super::judge::{Judged, judge};
use super::super::series::{Against, Point, Series, onset};
use super::super::settings::{Look, Rules};
use super::histogram::bars;
use super::text::time;
use super::{ColumnReport, DriftReport, POINTS_MAX, PointReport, Summary};
use crate::profile::{Frame, Kept, LaidOut, Lost, Profile, Seen, Span, Weighted};

/// The most arms that an error names.
const ARMS_NAMED_MAX: usize = 32;

/// What a report is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The model.
    pub model: &'a str,
    /// Its version.
    pub version: u64,
    /// The arm; nothing for all of them together.
    pub arm: Option<&'a str>,
    /// What windows are held against.
    pub against: Against,
    /// How far back the report goes from its end, in seconds; at least a window. Nothing for the newest window.
    pub window: Option<u64>,
    /// From when on, in place of that, in seconds since 1970.
    pub since: Option<u64>,
    /// Up to when; nothing for up to the end of the newest window.
    pub until: Option<u64>,
    /// Windows of the version.
    pub span: Span,
    /// Rows of the version that are in no window.
    pub lost: Lost,
}

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No window lies there.
    #[error(
        "no rows of version {version} are known from that time; there are windows from {} to {} (UTC)", time(*from), time(*to)
    )]
    Empty {
        /// The version.
        version: u64,
        /// From when on there are some, in seconds since 1970.
        from: u64,
        /// Up to when.
        to: u64,
    },
    /// No row is of the arm.
    #[error("no rows of version {version} are of arm {arm}; its arms are {}", arms.join(", "))]
    UnknownArm {
        /// The version.
        version: u64,
        /// What was asked for.
        arm: String,
        /// Those that there are, the first of them.
        arms: Vec<String>,
    },
    /// There is none at all.
    #[error("nothing is known of version {0} yet: send it requests")]
    Nothing(u64),
    /// There is no baseline.
    #[error(
        "version {0} has no baseline.json, so that there is no training data to hold it against: make one by `pointsman \
         baseline build`, or ask for what came before (--against previous)"
    )]
    NoBaseline(u64),
    /// There is nothing before.
    #[error("nothing of version {0} is known from before that time")]
    NothingBefore(u64),
}

/// The beginning of a window, in seconds since 1970.
fn second(place: i64) -> u64 {
    u64::try_from(place).unwrap_or(0)
}

impl DriftReport {
    /// The report on what is kept of a version.
    ///
    /// # Errors
    /// Where there is nothing to compare.
    pub fn new(kept: &Kept, rules: &Rules, ask: &Ask<'_>) -> Result<Self, AskError> {
        let series = Series::new(kept, ask.arm);
        let seconds = ask.span.seconds.max(1);
        let (Some(oldest), Some(newest)) = (series.places().next(), series.places().next_back()) else {
            return Err(nothing(kept, ask));
        };
        let place = |second: u64| i64::try_from(second / seconds * seconds).unwrap_or(i64::MAX);
        let newest_end = place(second(newest).saturating_add(seconds));
        let end = ask.until.map_or(newest_end, |until| place(until.saturating_add(seconds - 1)));
        let from = match (ask.since, ask.window) {
            (Some(since), _) => place(since),
            (None, None) if ask.span.rows_max.is_some() => {
                series.places().rfind(|place| *place < end).unwrap_or(oldest)
            }
            (None, window) => {
                let windows = window.unwrap_or(seconds).div_ceil(seconds).max(1).saturating_mul(seconds);
                end.saturating_sub(i64::try_from(windows).unwrap_or(i64::MAX))
            }
        };
        let from = from.max(oldest);
        let current = series.together(from, end);
        if current.rows() == 0 {
            let (from, to) = (second(oldest), second(newest_end));
            return Err(AskError::Empty { version: ask.version, from, to });
        }
        let reference = match ask.against {
            Against::Training => match &kept.training {
                Some(training) => Profile::clone(training),
                None => return Err(AskError::NoBaseline(ask.version)),
            },
            Against::Previous => series.together(from.saturating_sub(end - from), from),
        };
        if reference.rows() == 0 {
            return Err(AskError::NothingBefore(ask.version));
        }
        let weighted = current.weights();
        let (reference, current) = (reference.effective(&kept.layout), current.effective(&kept.layout));
        let judged = judge(&kept.layout, &reference, &current, rules, Look::Closed);
        let places: Vec<i64> = series.places().filter(|place| *place < end).collect();
        let shown = &places[places.len().saturating_sub(POINTS_MAX)..];
        let points: Vec<Point> =
            shown.iter().filter_map(|place| series.point(*place, ask.against, rules, Look::Closed)).collect();
        let sides = Sides { kept, reference: &reference, current: &current, points: &points, rules };
        let mut columns: Vec<ColumnReport> =
            judged.iter().enumerate().map(|(at, judged)| sides.column(at, judged)).collect();
        columns.sort_by_key(|column| !column.verdict.is_drifted());
        Ok(Self {
            model: ask.model.into(),
            version: ask.version,
            arm: ask.arm.map(str::to_owned),
            against: ask.against,
            since: second(from),
            until: second(end.min(newest_end)),
            rows: current.rows(),
            reference_rows: reference.rows(),
            window_seconds: seconds,
            window_rows: ask.span.rows_max,
            false_alarm_every: rules.false_alarm_every,
            level: rules.level(current.rows(), Look::Closed),
            columns,
            notes: notes(ask, weighted),
        })
    }
}

/// Why there is no window at all.
fn nothing(kept: &Kept, ask: &Ask<'_>) -> AskError {
    let mut arms: Vec<String> = kept.windows.iter().map(|((arm, _), _)| arm.to_string()).collect();
    arms.sort_unstable();
    arms.dedup();
    arms.truncate(ARMS_NAMED_MAX);
    match ask.arm {
        Some(arm) if !arms.is_empty() => AskError::UnknownArm { version: ask.version, arm: shown(arm), arms },
        _ => AskError::Nothing(ask.version),
    }
}

fn notes(ask: &Ask<'_>, weighted: Option<Weighted>) -> Vec<String> {
    let Lost { late, early, crowded } = ask.lost;
    let said = [
        (late, "came for a window that is no longer kept (drift.windows_max)"),
        (early, "are from a time that has not come, and in no window"),
        (crowded, "are of an arm past those that are profiled"),
    ];
    let said =
        said.into_iter().filter(|(rows, _)| *rows > 0).map(|(rows, what)| format!("{rows} rows {what}"));
    let sampled = weighted.map(|Weighted { total, effective }| {
        format!(
            "Rows are weighted by the reciprocals of their inclusion probabilities: they stand for about {total:.0}, and \
             say as much as {effective:.0} of equal weights, which are the rows that are named here"
        )
    });
    sampled.into_iter().chain(said).collect()
}

/// What all columns of a report are made from.
struct Sides<'a> {
    kept: &'a Kept,
    reference: &'a Profile,
    current: &'a Profile,
    points: &'a [Point],
    rules: &'a Rules,
}

impl Sides<'_> {
    fn column(&self, at: usize, judged: &Judged) -> ColumnReport {
        let layout = &self.kept.layout;
        let of = &layout.columns()[at];
        let (reference, current) = (self.reference.column(layout, at), self.current.column(layout, at));
        let verdicts = self.points.iter().map(|point| (point.window, point.columns[at].verdict));
        ColumnReport {
            name: of.column.name.to_string(),
            origin: of.column.origin,
            kind: of.column.kind,
            verdict: judged.verdict,
            distances: judged.distances,
            reference: summary(of, &reference),
            current: summary(of, &current),
            psi_limit: self.rules.of(&of.column.name).psi,
            onset: onset(verdicts).map(second),
            bars: bars(&of.frame, &reference, &current),
            points: self.points.iter().map(|of| point(of, at)).collect(),
            unknown: current.unknown(),
        }
    }
}

fn point(point: &Point, at: usize) -> PointReport {
    let Judged { verdict, distances } = point.columns[at];
    PointReport {
        at: second(point.window),
        rows: point.rows,
        psi: distances.map(|distances| distances.psi),
        ks: distances.and_then(|distances| distances.numbers).map(|numbers| numbers.ks),
        is_drifted: verdict.is_drifted(),
    }
}

fn summary(of: &LaidOut, seen: &Seen<'_>) -> Summary {
    let origin = match &of.frame {
        Frame::Grid(grid) => grid.origin(),
        Frame::Categories(_) => 0.0,
    };
    let range = seen.sums.range();
    Summary {
        rows: seen.rows(),
        missing: seen.sums.missing,
        nan: seen.sums.nan,
        infinite: seen.sums.infinite,
        min: range.map(|(min, _)| min),
        max: range.map(|(_, max)| max),
        mean: seen.sums.mean(origin),
        std: seen.sums.deviation(),
        distinct: seen.distinct(),
    }
}
