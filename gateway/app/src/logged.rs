//! A version's rows in a sample log, without a gateway: `pointsman drift --log` and `pointsman baseline build --log`.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_core::{ModelName, Schema, Signature, read_duration};
use pointsman_observe::drift::{Against, Ask, DriftReport};
use pointsman_observe::profile::{
    Baseline, Layout, Learner, LogRows, LogView, LogWindows, Lost, Profile, Reference, Span,
};
use pointsman_observe::sample_log::Reader;

use crate::cli::{AgainstWhat, Drift};
use crate::clock::second;
use crate::config::Config;
use crate::files::Files;
use crate::sweep::find;

/// Rows from which cells are made where there is no baseline.
const LEARN_ROWS: usize = 100_000;
/// The largest baseline.json that is read.
const BASELINE_BYTES_MAX: u64 = 16 << 20;
/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// A version and its rows.
pub(crate) struct LoggedVersion<'a> {
    pub(crate) model: ModelName,
    pub(crate) version: u64,
    pub(crate) signature: &'a Signature,
    pub(crate) schema: Option<&'a Schema>,
    pub(crate) log: &'a Path,
}

/// Times in seconds since 1970, between which rows are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Between {
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
}

impl Between {
    /// What the command line says.
    ///
    /// # Errors
    /// A line on what is no time.
    pub(crate) fn read(since: Option<&str>, until: Option<&str>) -> Result<Self, String> {
        let read = |name: &str, text: Option<&str>| {
            let odd = |text: &str| {
                let text = pointsman_core::shown(text);
                format!("--{name} {text}: give a time such as 2026-01-31T00:00:00Z, or a date")
            };
            text.map(|text| second(text).ok_or_else(|| odd(text))).transpose()
        };
        Ok(Self { since: read("since", since)?, until: read("until", until)? })
    }
}

impl LoggedVersion<'_> {
    fn reader(&self, between: Between, view: &LogView) -> Result<Reader, String> {
        if !self.log.is_dir() {
            return Err(self.odd(&"it is no directory: name that of sample_log.directory"));
        }
        let at = |second: u64| UNIX_EPOCH.checked_add(Duration::from_secs(second));
        let (since, until) = (between.since.and_then(at), between.until.and_then(at));
        let reader = Reader::open(self.log).model(self.model.clone());
        Ok(reader.between(since, until).columns(&view.needed()))
    }

    fn odd(&self, what: &dyn std::fmt::Display) -> String {
        format!("{}: {what}", self.log.display())
    }

    /// Shows all rows to `take` until it says that it has enough; the columns that were not there as they were.
    fn pass(
        &self,
        what: &str,
        between: Between,
        mut take: impl FnMut(&LogRows<'_>) -> Result<bool, String>,
    ) -> Result<Vec<String>, String> {
        let mut view = LogView::new(self.signature, self.version);
        let (mut rows, mut told) = (0, Instant::now());
        for batch in self.reader(between, &view)?.batches().map_err(|e| self.odd(&e))? {
            let batch = batch.map_err(|e| self.odd(&e))?;
            let wanted = view.rows(&batch);
            rows += wanted.count();
            if !take(&wanted)? {
                break;
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
                eprint!("{what}: {rows} rows{end}");
            }
        }
        Ok(view.absent())
    }

    /// The profile of all rows of a time, with cells that are made from them.
    ///
    /// # Errors
    /// A line on what cannot be read, or that there are none.
    pub(crate) fn profile(&self, between: Between) -> Result<(Layout, Profile), String> {
        let mut learner = Learner::new(self.signature, self.schema, false);
        let mut rows = 0;
        let absent = self.pass("looking for bins", between, |taken| {
            learner.add_logged(taken);
            rows += taken.count();
            Ok(true)
        })?;
        if rows == 0 {
            return Err(self.odd(&self.nothing()));
        }
        if !absent.is_empty() {
            eprintln!("note: not in the log as they were, and left empty: {}", absent.join(", "));
        }
        let layout = Arc::new(learner.layout(self.signature, self.schema));
        let mut windows = LogWindows::one(layout.clone());
        self.pass("counting", between, |taken| {
            windows.add(taken).map_err(|e| e.to_string())?;
            Ok(true)
        })?;
        let sum = windows.together();
        if let Some(weights) = sum.weights() {
            eprintln!(
                "note: {rows} logged rows stand for about {:.0}, and count as {:.0} of equal weights",
                weights.total, weights.effective
            );
        }
        let profile = sum.effective(&layout).into_owned();
        Ok((Layout::clone(&layout), profile))
    }

    fn nothing(&self) -> String {
        format!("it has no rows of version {} of '{}' from that time", self.version, self.model)
    }
}

/// The report of `pointsman drift --log`.
///
/// # Errors
/// A line on what keeps it from being made.
pub(crate) fn report(arguments: &Drift, log: &Path, model: &str) -> Result<DriftReport, String> {
    let config = arguments.settings().config().map_err(|problems| problems.join("\n"))?;
    let files = Files::open(&config)?;
    let (model, version) = find(&files, model, arguments.version)?;
    let name = format!("{}/{}", model.name, version.number);
    eprintln!("{name}: loading it");
    let job = files.job(model, version);
    let schema = job.settings.schema.clone();
    let warm = files.loader.bring_up(&job).map_err(|e| format!("{name}: {}", e.fault))?;
    let folder = config.models.join(model.name.as_str()).join(version.number.to_string());
    let logged = LoggedVersion {
        model: model.name.clone(),
        version: version.number.get(),
        signature: warm.signature(),
        schema: schema.as_deref(),
        log,
    };
    let reference = reference(&folder.join("baseline.json"), logged.signature, logged.schema)?;
    logged.report(arguments, &config, reference)
}

/// The baseline of a version, where it has one.
fn reference(
    path: &Path,
    signature: &Signature,
    schema: Option<&Schema>,
) -> Result<Option<Reference>, String> {
    let odd = |what: String| format!("{}: {what}", path.display());
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > BASELINE_BYTES_MAX => {
            return Err(odd(format!("{} bytes: at most {BASELINE_BYTES_MAX} are read", metadata.len())));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(odd(error.to_string())),
    }
    let bytes = std::fs::read(path).map_err(|e| odd(e.to_string()))?;
    let mut warnings = Vec::new();
    let baseline = Baseline::read(&bytes).map_err(|e| odd(e.to_string()))?;
    let reference = baseline.reference(signature, schema, &mut warnings).map_err(|e| odd(e.to_string()))?;
    warnings.iter().for_each(|warning| eprintln!("note: {warning}"));
    Ok(Some(reference))
}

impl LoggedVersion<'_> {
    fn report(
        &self,
        arguments: &Drift,
        config: &Config,
        reference: Option<Reference>,
    ) -> Result<DriftReport, String> {
        let of_model = config.drift.of(self.model.as_str());
        let seconds = of_model.window.as_secs().max(1);
        let Between { since, until } = Between::read(arguments.since.as_deref(), arguments.until.as_deref())?;
        let window = match &arguments.window {
            Some(text) => {
                let read = read_duration(text).map(|window| window.as_secs());
                read.ok_or_else(|| format!("--window {text}: give a time such as 7d or 12h"))?
            }
            None => seconds,
        };
        let view = LogView::new(self.signature, self.version);
        let newest = match until {
            Some(until) => until,
            None => {
                let newest = self.reader(Between::default(), &view)?.newest().map_err(|e| self.odd(&e))?;
                let newest: SystemTime = newest.ok_or_else(|| self.odd(&self.nothing()))?;
                newest.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 1
            }
        };
        // As far back as what is asked for is held against, and as many windows as a gateway keeps.
        let end = newest.div_ceil(seconds).saturating_mul(seconds);
        let from = since.unwrap_or(end.saturating_sub(window.max(seconds)));
        let before = from.saturating_sub(end.saturating_sub(from));
        let kept = end.saturating_sub((of_model.windows_max as u64).saturating_mul(seconds));
        let between =
            Between { since: Some(before.min(kept) / seconds * seconds), until: until.map(|_| end) };

        let (layout, training) = match reference {
            Some(reference) => (Arc::new(reference.layout), Some(Arc::new(reference.profile))),
            None => (Arc::new(self.learn(between)?), None),
        };
        let max = (config.drift.memory_max / layout.profile_bytes().max(1)).max(2);
        let mut windows = LogWindows::new(layout, seconds, max);
        let absent = self.pass("counting", between, |taken| {
            windows.add(taken).map_err(|e| e.to_string())?;
            Ok(true)
        })?;
        let (_, crowded) = windows.rows();
        let against = match arguments.against {
            Some(AgainstWhat::Training) => Against::Training,
            Some(AgainstWhat::Previous) => Against::Previous,
            None if training.is_some() => Against::Training,
            None => Against::Previous,
        };
        let ask = Ask {
            model: self.model.as_str(),
            version: self.version,
            arm: arguments.arm.as_deref(),
            against,
            window: Some(window),
            since,
            until,
            span: Span { seconds, rows_max: None, windows_max: of_model.windows_max },
            lost: Lost { crowded, ..Lost::default() },
        };
        let kept = windows.kept(training);
        let mut report = DriftReport::new(&kept, &of_model.rules, &ask).map_err(|e| self.odd(&e))?;
        if !absent.is_empty() {
            let what = "not in the log as they were asked or answered, and not judged";
            report.notes.push(format!("{what}: {}", absent.join(", ")));
        }
        Ok(report)
    }

    /// Cells from the first rows.
    fn learn(&self, between: Between) -> Result<Layout, String> {
        let mut learner = Learner::new(self.signature, self.schema, false);
        let mut rows = 0;
        self.pass("looking for bins", between, |taken| {
            learner.add_logged(taken);
            rows += taken.count();
            Ok(rows < LEARN_ROWS)
        })?;
        Ok(learner.layout(self.signature, self.schema))
    }
}
