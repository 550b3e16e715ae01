//! The windows in which figures are shown: days of UTC together, or months.

use std::fmt;

use super::day::DAY_MS;

/// The name of the window of all time.
pub(super) const ALL: &str = "all";
/// The longest window, in days.
const DAYS_MAX: u64 = 3660;
/// The day of the first Monday after 1970 began.
const MONDAY: u64 = 4;

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Not at all.
    All,
    /// In so many days at a time; weeks begin on Mondays.
    Days(u64),
    /// In months of the calendar.
    Month,
}

impl Window {
    /// Reads `7d`, `month` or `all`; nothing where it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            ALL => Some(Self::All),
            "month" => Some(Self::Month),
            _ => {
                let days = text.strip_suffix('d')?.parse().ok()?;
                (1..=DAYS_MAX).contains(&days).then_some(Self::Days(days))
            }
        }
    }

    /// The first day of the window that holds a day, and the first after it: days since 1970.
    #[must_use]
    pub fn around(self, day: u64) -> (u64, u64) {
        match self {
            Self::All => (0, u64::MAX / DAY_MS),
            Self::Days(days) => {
                let days = days.max(1);
                // So that multiples of a week begin on a Monday.
                let shift = if days.is_multiple_of(7) { days - MONDAY % days } else { 0 };
                let first = (day + shift) / days * days;
                (first.saturating_sub(shift), first + days - shift)
            }
            Self::Month => {
                let (year, month, _) = civil(day);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (days_from_civil(year, month, 1), days_from_civil(next.0, next.1, 1))
            }
        }
    }

    /// The name of a window that begins on a day: `2013-11`, `2013-11-04`.
    #[must_use]
    pub fn name(self, first: u64) -> String {
        let (year, month, day) = civil(first);
        match self {
            Self::All => ALL.into(),
            Self::Month => format!("{year:04}-{month:02}"),
            Self::Days(_) => format!("{year:04}-{month:02}-{day:02}"),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(ALL),
            Self::Days(days) => write!(f, "{days}d"),
            Self::Month => f.write_str("month"),
        }
    }
}

/// Year, month and day of the month of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The day since 1970 of a date from then on.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_the_same_both_ways() {
        for day in (0..60_000).step_by(7) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days_from_civil(year, month, of_month), day);
        }
        assert_eq!(civil(0), (1970, 1, 1));
        // date -u -d @1383264000: Fri Nov 1 2013.
        assert_eq!(civil(1_383_264_000 / 86_400), (2013, 11, 1));
        assert_eq!(civil(days_from_civil(2024, 2, 29)), (2024, 2, 29));
    }

    #[test]
    fn windows_hold_their_days_and_meet() {
        for text in ["1d", "7d", "10d", "14d", "30d", "month"] {
            let window = Window::parse(text).expect(text);
            assert_eq!(window.to_string(), text);
            for day in 30..4000 {
                let (first, next) = window.around(day);
                assert!((first..next).contains(&day), "{text}: {day} in {first}..{next}");
                assert_eq!(window.around(next).0, next, "{text}: {day}");
            }
        }
        let november = Window::Month.around(16_020);
        assert_eq!((Window::Month.name(november.0), november.1 - november.0), ("2013-11".into(), 30));
        // A week in November 2013 began on Monday, the 4th.
        let (first, _) = Window::Days(7).around(days_from_civil(2013, 11, 7));
        assert_eq!(Window::Days(7).name(first), "2013-11-04");
        for text in ["", "d", "0d", "3661d", "7", "1h", "week"] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
