//! How far a run is, on the terminal while it runs.
//!
//! On a terminal, a few lines that stand in one place; elsewhere a line for each part; with `--quiet` nothing. It is
//! written to standard error: standard output is for what was found.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units;

/// How often a terminal is written to, per second. What is shown more often is left out.
const UPDATES_PER_SECOND: u8 = 5;

/// The first line: the part, how far it is, and below it what is measured.
const TEMPLATE: &str = "{prefix} {bar:24} {msg}";

/// What is measured at one moment, over the second or so before it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) part: String,
    /// Which part it is, from 1, and of how many where that is known before.
    pub(crate) number: usize,
    pub(crate) of_parts: Option<usize>,
    pub(crate) elapsed: Duration,
    pub(crate) total: Duration,
    /// Requests per second that were due; nothing for a closed loop.
    pub(crate) due_rate: Option<f64>,
    pub(crate) ok_rate: f64,
    pub(crate) refused_rate: f64,
    /// Failed, wrong and lost since the start of the part.
    pub(crate) failed: u64,
    /// Latencies, and how late requests left; nothing where there was no answer.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) lag_p99_us: Option<f64>,
    pub(crate) in_flight: u64,
}

/// The display of a run; it goes away when dropped.
pub(crate) struct Progress {
    shown: Shown,
    /// The number of the part that was announced last.
    announced: usize,
}

enum Shown {
    Live(ProgressBar),
    Lines(Box<dyn Write + Send>),
    Nothing,
}

impl Progress {
    /// The display that fits standard error; none where `quiet`.
    ///
    /// # Errors
    /// Where the template of the display is refused, which is a constant.
    pub(crate) fn new(quiet: bool) -> Result<Self, String> {
        let shown = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (false, true) => Shown::Live(bar(ProgressDrawTarget::stderr_with_hz(UPDATES_PER_SECOND))?),
            (false, false) => Shown::Lines(Box::new(std::io::stderr())),
        };
        Ok(Self { shown, announced: 0 })
    }

    /// Shows a moment of the run.
    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        match &mut self.shown {
            Shown::Live(bar) => {
                bar.set_length(millis(snapshot.total));
                bar.set_prefix(snapshot.title());
                bar.set_position(millis(snapshot.elapsed));
                bar.set_message(snapshot.lines());
            }
            Shown::Lines(out) if self.announced != snapshot.number => {
                // A display that cannot be written is no reason to end a run.
                let _ = writeln!(out, "{}, {}", snapshot.title(), units::clock(snapshot.total.as_secs_f64()));
                self.announced = snapshot.number;
            }
            Shown::Lines(_) | Shown::Nothing => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Live(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Snapshot {
    fn title(&self) -> String {
        let of_parts = self.of_parts.map_or_else(String::new, |parts| format!(" of {parts}"));
        format!("{}{of_parts}: {}", self.number, units::name(&self.part))
    }

    /// How far it is, and what is measured, each line short enough for eighty columns.
    fn lines(&self) -> String {
        let [elapsed, total] =
            [self.elapsed, self.total].map(|time| units::clock(time.as_secs_f64().round()));
        let due =
            self.due_rate.map_or_else(|| "closed loop".into(), |rate| format!("due {}", units::rate(rate)));
        let [p50, p99, lag] = [self.p50_us, self.p99_us, self.lag_p99_us].map(units::time_or_none);
        format!(
            "{elapsed} of {total}\n  {due}  right {}  refused {}  failed {}  in flight {}\n  \
             p50 {p50}  p99 {p99}  late to leave p99 {lag}",
            units::rate(self.ok_rate),
            units::rate(self.refused_rate),
            units::count(self.failed),
            units::count(self.in_flight)
        )
    }
}

fn bar(target: ProgressDrawTarget) -> Result<ProgressBar, String> {
    let style = ProgressStyle::with_template(TEMPLATE).map_err(|e| e.to_string())?;
    Ok(ProgressBar::with_draw_target(Some(0), target).with_style(style))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written, to look at afterwards.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panicked").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn snapshot(number: usize, part: &str) -> Snapshot {
        Snapshot {
            part: part.into(),
            number,
            of_parts: Some(2),
            elapsed: Duration::from_millis(12_400),
            total: Duration::from_secs(40),
            due_rate: Some(123_456.0),
            ok_rate: 123_400.0,
            refused_rate: 100_000.0,
            failed: 1_234,
            p50_us: Some(912.0),
            p99_us: Some(999_400.0),
            lag_p99_us: None,
            in_flight: 4_096,
        }
    }

    #[test]
    fn without_a_terminal_each_part_is_one_line() {
        let written = Written::default();
        let mut progress = Progress { shown: Shown::Lines(Box::new(written.clone())), announced: 0 };
        for (number, part) in [(1, "peak"), (1, "peak"), (2, "10\r x"), (2, "10\r x")] {
            progress.show(&snapshot(number, part));
        }
        drop(progress);
        let text = String::from_utf8(written.0.lock().expect("no writer panicked").clone()).expect("text");
        assert_eq!(text, "1 of 2: peak, 40 s\n2 of 2: 10\u{fffd} x, 40 s\n");
    }

    #[test]
    fn a_terminal_shows_the_moment_and_how_far_it_is() {
        let bar = bar(ProgressDrawTarget::hidden()).expect("the template");
        let mut progress = Progress { shown: Shown::Live(bar.clone()), announced: 0 };
        progress.show(&snapshot(2, "10 x"));
        assert_eq!(
            (bar.position(), bar.length(), bar.prefix()),
            (12_400, Some(40_000), "2 of 2: 10 x".into())
        );
        let lines = bar.message();
        for words in [
            "12 s of 40 s",
            "due 123 456/s",
            "failed 1234",
            "p99 999 ms",
            "late to leave p99 -",
            "in flight 4096",
        ] {
            assert!(lines.contains(words), "{words}: {lines}");
        }
        assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
        drop(progress);
        assert!(bar.is_finished());
    }

    #[test]
    fn quiet_shows_nothing() {
        let progress = Progress::new(true).expect("no template is needed");
        assert!(matches!(progress.shown, Shown::Nothing));
    }
}
