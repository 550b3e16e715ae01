//! The report as text, for a terminal.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, UNIX_EPOCH};

use super::{Against, ColumnReport, DriftReport, Verdict};
use crate::report::{number, percent};

/// A second since 1970 in UTC: by RFC 3339, or the date alone where it is the beginning of a day.
pub(super) fn time(second: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(second));
    // humantime has no years past 9999.
    let time = time.filter(|_| second < 253_402_300_800).unwrap_or(UNIX_EPOCH);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.strip_suffix("T00:00:00Z").unwrap_or(&text).to_owned()
}

impl DriftReport {
    /// The first sentence: what the report says, in words.
    #[must_use]
    pub fn verdict(&self) -> String {
        let drifted: Vec<&str> =
            self.columns.iter().filter(|c| c.verdict.is_drifted()).map(|c| c.name.as_str()).collect();
        let from = match self.against {
            Against::Training => "training",
            Against::Previous => "what came before",
        };
        let few = self.columns.iter().filter_map(|column| match column.verdict {
            Verdict::Insufficient { needed } => Some(needed),
            _ => None,
        });
        match (&*drifted, few.max()) {
            ([], Some(needed)) => {
                format!("Version {} has too few rows to say: {needed} more are needed", self.version)
            }
            ([], None) => format!("Version {}: no column differs from {from}", self.version),
            ([one], _) => format!("Version {}: {one} differs from {from}", self.version),
            (many, _) => {
                format!(
                    "Version {}: {} columns differ from {from}: {}",
                    self.version,
                    many.len(),
                    many.join(", ")
                )
            }
        }
    }

    /// What is compared, in one line.
    pub(super) fn compared(&self) -> String {
        let arm = self.arm.as_ref().map_or_else(String::new, |arm| format!(", arm {arm}"));
        format!(
            "{} rows from {} to {}{arm}, against {} rows of {}",
            self.rows,
            time(self.since),
            time(self.until),
            self.reference_rows,
            match self.against {
                Against::Training => "training",
                Against::Previous => "the time before",
            }
        )
    }

    /// What alarms mean.
    pub(super) fn promise(&self) -> String {
        format!(
            "An alarm is significant among all columns and over its limit; at most one false one is to be expected for \
             {} rows. This report may be one with a probability of {}.",
            self.false_alarm_every,
            percent(self.level)
        )
    }
}

impl ColumnReport {
    /// What is said of it, in few words.
    #[must_use]
    pub fn said(&self) -> String {
        match self.verdict {
            Verdict::Ok => "ok".into(),
            Verdict::Unknown => "no reference".into(),
            Verdict::Insufficient { needed } => format!("{needed} rows more are needed"),
            Verdict::Drifted { statistic, effect, limit, p } => {
                let since = self.onset.map_or_else(String::new, |onset| format!(" since {}", time(onset)));
                let p = if p < 1e-12 { "p < 1e-12".into() } else { format!("p {p:.1e}") };
                format!("DRIFTED{since}: {statistic} {} over {} ({p})", number(effect), number(limit))
            }
        }
    }
}

impl Display for DriftReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}.", self.model, self.verdict())?;
        writeln!(f, "{}.", self.compared())?;
        let width = self.columns.iter().map(|column| column.name.chars().count()).max().unwrap_or(0).min(40);
        let width = width.max("COLUMN".len());
        writeln!(
            f,
            "{:width$}  {:>8}  {:>7}  {:>7}  {:>8}  VERDICT",
            "COLUMN", "PSI", "CHANCE", "KS", "MISSING"
        )?;
        for column in &self.columns {
            let of = column.distances;
            let shown = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.3}"));
            writeln!(
                f,
                "{:width$}  {:>8}  {:>7}  {:>7}  {:>8}  {}",
                column.name,
                shown(of.map(|of| of.psi)),
                shown(of.map(|of| of.psi_by_chance)),
                shown(of.and_then(|of| of.numbers).map(|numbers| numbers.ks)),
                of.map_or_else(|| "-".into(), |of| percent(of.missing.1)),
                column.said()
            )?;
        }
        for note in &self.notes {
            writeln!(f, "Note: {note}.")?;
        }
        writeln!(f, "{}", self.promise())
    }
}
