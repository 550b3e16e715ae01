//! Findings on a terminal: a table of every stream, the figures, and what makes them doubtful.

use std::collections::BTreeMap;
use std::fmt;

use crate::findings::{Figure, Findings, Own, Part, Stream};
use crate::readings::Judgement;
use crate::units::{self, NONE};

/// The most streams that are listed; the page and the JSON have the others.
const STREAMS_MAX: usize = 100;

/// What stands over the columns of streams.
const COLUMNS: [&str; 13] = [
    "part", "stream", "due", "right", "p50", "p90", "p99", "p99.9", "max", "refused", "failed", "wrong",
    "lost",
];

/// How many columns hold names, which are aligned to the left.
const NAME_COLUMNS: usize = 2;

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = &self.about;
        writeln!(f, "{}: {}", units::name(&about.scenario), units::text(&about.purpose))?;
        for (name, target) in &about.targets {
            writeln!(f, "  {} = {}", units::name(name), units::name(target))?;
        }
        writeln!(f)?;
        let streams =
            || self.parts.iter().flat_map(|part| part.streams.iter().map(move |stream| (part, stream)));
        let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
        rows.extend(streams().take(STREAMS_MAX).map(|(part, stream)| row(part, stream)));
        table(f, &rows, NAME_COLUMNS)?;
        let left_out = streams().count().saturating_sub(STREAMS_MAX);
        if left_out > 0 {
            writeln!(f, "  and {left_out} more")?;
        }
        errors(f, streams().map(|(_, stream)| stream))?;
        if !self.figures.is_empty() {
            writeln!(f)?;
            let mut rows = vec![["figure", "found", "interval", "asked", ""].map(str::to_owned).to_vec()];
            rows.extend(self.figures.iter().map(figure));
            table(f, &rows, 1)?;
        }
        if let Some(Own { cpu_us, p50_us, p99_us, rate_max }) = &self.own {
            writeln!(
                f,
                "\n  the generator alone: {} of CPU per request, p50 {}, p99 {}, at most {} per thread",
                units::time(*cpu_us),
                units::time(*p50_us),
                units::time(*p99_us),
                units::rate(*rate_max)
            )?;
        }
        if !self.doubts.is_empty() {
            writeln!(f)?;
            self.doubts.iter().try_for_each(|doubt| writeln!(f, "  DOUBTFUL: {}", units::text(doubt)))?;
        }
        writeln!(f)?;
        match self.judgement() {
            Judgement::NothingAsked => write!(f, "no figure was asked for"),
            Judgement::Held(all) => write!(f, "all figures held ({all})"),
            Judgement::Missed(missed, all) => write!(f, "{missed} of {all} figures MISSED"),
        }
    }
}

fn row(part: &Part, stream: &Stream) -> Vec<String> {
    let at = |quantile| units::time_or_none(stream.latency.quantile(quantile));
    let none_or = |count: u64| if count == 0 { NONE.into() } else { units::count(count) };
    let counts = &stream.counts;
    vec![
        units::name(&part.name),
        units::name(&stream.name),
        stream.offered_rate.map_or_else(|| "closed".into(), units::rate),
        units::rate(stream.goodput),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        units::time_or_none(stream.latency.longest()),
        none_or(counts.refused),
        none_or(counts.failed),
        none_or(counts.wrong),
        none_or(counts.lost),
    ]
}

fn figure(figure: &Figure) -> Vec<String> {
    let shown = |value| units::figure(value, &figure.unit);
    let verdict = match (figure.holds, &figure.asked) {
        (Some(true), _) => "held",
        (Some(false), _) => "MISSED",
        (None, Some(_)) => "NOT TOLD",
        (None, None) => "",
    };
    vec![
        units::name(&figure.name),
        shown(figure.value),
        figure.interval.map_or(NONE.into(), |(low, high)| format!("{} to {}", shown(low), shown(high))),
        figure.asked.as_deref().map_or(NONE.into(), units::name),
        verdict.into(),
    ]
}

/// How often each code came, over all streams, and what the first one said.
fn errors<'a>(f: &mut fmt::Formatter<'_>, streams: impl Iterator<Item = &'a Stream>) -> fmt::Result {
    let mut codes = BTreeMap::<&str, (u64, Option<&str>)>::new();
    for (stream, (code, count)) in streams.flat_map(|s| s.errors.iter().map(move |error| (s, error))) {
        let (sum, said) = codes.entry(code).or_default();
        *sum = sum.saturating_add(*count);
        *said = said.or(stream.said.get(code).map(String::as_str));
    }
    if codes.is_empty() {
        return Ok(());
    }
    writeln!(f)?;
    for (code, (count, said)) in codes.into_iter().take(STREAMS_MAX) {
        write!(f, "  {} {}", units::count(count), units::name(code))?;
        match said.filter(|said| !said.is_empty()) {
            Some(said) => writeln!(f, ", the first: {}", units::name(said))?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

/// Rows under each other: the first columns to the left, the others to the right.
fn table(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>], left: usize) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<usize> =
        (0..columns).map(|c| cells(c).map(|t| t.chars().count()).max().unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            line += "  ";
            line += &if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::samples;

    #[test]
    fn every_stream_figure_and_doubt_is_there() {
        let findings = samples::overload();
        let text = findings.to_string();
        for part in &findings.parts {
            assert!(text.contains(&part.name), "{}\n{text}", part.name);
        }
        for figure in &findings.figures {
            assert!(text.contains(&figure.name), "{}\n{text}", figure.name);
        }
        assert!(text.contains("DOUBTFUL: ") && text.contains(" OVERLOADED, the first: "), "{text}");
        assert!(text.ends_with("1 of 3 figures MISSED"), "{text}");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let text = samples::overload().to_string();
        let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("  part")).take(4).collect();
        let widths: Vec<usize> = rows.iter().map(|row| row.chars().count()).collect();
        assert!(widths.iter().all(|width| width == &widths[0]), "{text}");
    }

    #[test]
    fn nothing_measured_shows_no_number_that_is_none() {
        let text = samples::empty().to_string();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.ends_with("no figure was asked for"), "{text}");
    }

    #[test]
    fn names_cannot_write_over_the_terminal() {
        let mut findings = samples::overload();
        findings.parts[0].streams[0].name = "\u{1b}[2J".into();
        findings.doubts.push("a\rb".into());
        let text = findings.to_string();
        assert!(!text.contains(['\u{1b}', '\r']), "{text}");
    }
}
