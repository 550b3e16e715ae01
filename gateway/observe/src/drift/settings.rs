//! From what on a difference counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most columns that may have limits of their own.
pub const COLUMN_LIMITS_MAX: usize = 1024;

/// What is measured of a column and can raise an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The population stability index over bins, or categories.
    Psi,
    /// The largest distance of the distribution functions.
    Ks,
    /// By how much more or fewer values are missing or NaN.
    Missing,
    /// By how much more values are out of their domain.
    OutOfDomain,
}

impl Statistic {
    /// The name in reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::Ks => "ks",
            Self::Missing => "missing",
            Self::OutOfDomain => "out_of_domain",
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The effects from which on a difference that is no chance is an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Of [`Statistic::Psi`].
    pub psi: f64,
    /// Of [`Statistic::Ks`].
    pub ks: f64,
    /// Of [`Statistic::Missing`], as a share of all values.
    pub missing: f64,
    /// Of [`Statistic::OutOfDomain`], as a share of all values.
    pub out_of_domain: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { psi: 0.2, ks: 0.1, missing: 0.05, out_of_domain: 0.05 }
    }
}

impl Limits {
    /// That of a statistic.
    #[must_use]
    pub fn of(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::Psi => self.psi,
            Statistic::Ks => self.ks,
            Statistic::Missing => self.missing,
            Statistic::OutOfDomain => self.out_of_domain,
        }
    }
}

/// Limits of one column where they are not those of all.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnLimits {
    /// See [`Limits`].
    pub psi: Option<f64>,
    /// See [`Limits`].
    pub ks: Option<f64>,
    /// See [`Limits`].
    pub missing: Option<f64>,
    /// See [`Limits`].
    pub out_of_domain: Option<f64>,
}

/// When the drift of a model is an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// At most one false alarm for so many rows is to be expected.
    pub false_alarm_every: u64,
    /// Fewer rows on one side say nothing.
    pub rows_min: u64,
    /// Of columns that have none of their own.
    pub limits: Limits,
    /// By column.
    pub columns: BTreeMap<String, ColumnLimits>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            false_alarm_every: 1_000_000,
            rows_min: 100,
            limits: Limits::default(),
            columns: BTreeMap::new(),
        }
    }
}

/// Which look at a window it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Rows still come to it. Such looks are taken when their number has doubled.
    Open,
    /// The last one.
    Closed,
}

/// However many rows there are, no look may be wrong with more than this probability.
const LEVEL_MAX: f64 = 0.05;

impl Rules {
    /// The limits of a column.
    #[must_use]
    pub fn of(&self, column: &str) -> Limits {
        let Some(own) = self.columns.get(column) else { return self.limits };
        Limits {
            psi: own.psi.unwrap_or(self.limits.psi),
            ks: own.ks.unwrap_or(self.limits.ks),
            missing: own.missing.unwrap_or(self.limits.missing),
            out_of_domain: own.out_of_domain.unwrap_or(self.limits.out_of_domain),
        }
    }

    /// With what probability a look at a window of so many rows may be a false alarm.
    ///
    /// A window of `r` rows may spend `r/N` in all where one false alarm is allowed for `N` rows; so whatever the windows
    /// are, the expected number of false alarms among `N` rows is at most one, by the union bound and without anything
    /// being independent. A half is for skew and a half for drift; of each, a half is for the last look at a window, and
    /// a half for those before it: looks at `r`, `r/2`, `r/4` rows and so on spend half of it at most where each
    /// spends a quarter in proportion to its rows. Half of all that is left unspent: the laws of the statistics are
    /// approximate, and on small windows without drift they were found to say 1.5 times as often as they should that
    /// something is significant (`cargo bench -p pointsman-observe --bench drift_false_alarms`).
    #[must_use]
    pub fn level(&self, rows: u64, look: Look) -> f64 {
        let all = (rows as f64 / self.false_alarm_every.max(1) as f64).min(LEVEL_MAX);
        match look {
            Look::Closed => all / 8.0,
            Look::Open => all / 16.0,
        }
    }

    /// What is wrong with them.
    ///
    /// # Errors
    /// The first number that cannot be.
    pub fn check(&self) -> Result<(), String> {
        let columns = self.columns.keys().map(|name| (name.as_str(), self.of(name)));
        if self.columns.len() > COLUMN_LIMITS_MAX {
            return Err(format!("{} columns: at most {COLUMN_LIMITS_MAX}", self.columns.len()));
        }
        for (column, limits) in columns.chain([("", self.limits)]) {
            let of = if column.is_empty() { String::new() } else { format!("columns.{column}.") };
            let all =
                [(limits.ks, "ks"), (limits.missing, "missing"), (limits.out_of_domain, "out_of_domain")];
            if !(limits.psi.is_finite() && limits.psi >= 0.0) {
                return Err(format!("{of}psi is {}, and must be a number of at least 0", limits.psi));
            }
            if let Some((limit, name)) = all.iter().find(|(limit, _)| !(0.0..=1.0).contains(limit)) {
                return Err(format!("{of}{name} is {limit}, and must be from 0 to 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_spend_is_in_proportion_to_their_rows() {
        let rules = Rules::default();
        // Skew and drift, closed, and open at each doubling before.
        let spent = |rows: u64| {
            let open = (0..40).map(|halvings| rows >> halvings).filter(|rows| *rows > 0);
            2.0 * (rules.level(rows, Look::Closed)
                + open.map(|rows| rules.level(rows, Look::Open)).sum::<f64>())
        };
        for rows in [100, 999, 50_000] {
            assert!(spent(rows) <= rows as f64 / 1e6 * (1.0 + 1e-9), "{rows}: {}", spent(rows));
        }
        assert!(rules.level(u64::MAX, Look::Closed) <= LEVEL_MAX);
    }

    #[test]
    fn limits_of_a_column_count_before_those_of_all_and_odd_ones_are_named() {
        let mut rules = Rules::default();
        rules.columns.insert("temp".into(), ColumnLimits { psi: Some(0.5), ..ColumnLimits::default() });
        assert_eq!((rules.of("temp").psi, rules.of("temp").ks, rules.of("hour").psi), (0.5, 0.1, 0.2));
        assert_eq!(rules.check(), Ok(()));
        rules.columns.insert("wind".into(), ColumnLimits { ks: Some(1.5), ..ColumnLimits::default() });
        assert_eq!(rules.check(), Err("columns.wind.ks is 1.5, and must be from 0 to 1".into()));
        rules.columns.clear();
        rules.limits.psi = f64::NAN;
        assert!(rules.check().is_err());
    }
}
