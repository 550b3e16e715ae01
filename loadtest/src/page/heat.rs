//! Latencies over time as a heat map: how many answers took how long, and when.

use super::axis::{Axis, log_us};
use super::bins::Bin;
use super::drawing::Drawing;
use super::plot::{HEIGHT, Mark, Plot};
use super::theme::Ink;
use crate::findings::Stream;
use crate::units;

/// The most rows: finer buckets are put together.
const ROWS_MAX: usize = 48;

/// A row: a range of latencies.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    from_us: f64,
    to_us: f64,
    /// How many, in each bin.
    counts: Vec<u64>,
}

/// The heat map of a stream; nothing where it has no buckets, or nothing in them.
pub(super) fn map(stream: &Stream, seconds: f64, bins: &[Bin]) -> Option<Drawing> {
    let rows = rows(stream, bins)?;
    let most = most(&rows, bins)?;
    let x = Axis::seconds(seconds);
    let y = Axis::times(rows.iter().flat_map(|row| [row.from_us, row.to_us]));
    let mut marks: Vec<Mark> = rows.iter().flat_map(|row| cells(row, bins, most)).collect();
    let quantile = |at: usize| {
        let us = move |bin: &Bin| bin.quantiles_us.map_or(f64::NAN, |quantiles| log_us(quantiles[at]));
        bins.iter().map(|bin| (bin.middle_s(), us(bin))).collect()
    };
    // On any heat, the line of the p99 is to be seen.
    marks.push(Mark::Line { ink: Ink::PAPER, width: 7, points: quantile(2) });
    marks.push(Mark::Line { ink: Ink::FAILED, width: 3, points: quantile(2) });
    let heat = |level: usize| {
        let least = least_of(level, most);
        (format!("from {}", units::rate(if least < 1.0 { least } else { least.round() })), Ink::HEAT[level])
    };
    let legend = std::iter::once(("p99".to_owned(), Ink::FAILED)).chain([1, 3, 5].map(heat)).collect();
    let together = bins.first().map_or(1.0, |bin| bin.to_s - bin.from_s);
    let note = (together > 1.5).then(|| {
        format!(
            "Each column is {}; the p99 drawn is the highest of its seconds.",
            units::clock(together.round())
        )
    });
    let description = "How many right answers per second took how long, by when they were due.".into();
    let plot = Plot { title: "Latency over time".into(), description, height: HEIGHT, x, y, marks };
    Some(Drawing { plot, legend, note })
}

/// The buckets that hold anything, put together to at most [`ROWS_MAX`].
fn rows(stream: &Stream, bins: &[Bin]) -> Option<Vec<Row>> {
    let edges = &stream.edges_us;
    let ascend =
        edges.windows(2).all(|pair| pair[0] < pair[1]) && edges.first().is_some_and(|edge| *edge > 0.0);
    if edges.len() < 2 || !ascend || !edges.iter().all(|edge| edge.is_finite()) {
        return None;
    }
    let filled =
        |bucket: &usize| bins.iter().any(|bin| bin.buckets.get(*bucket).is_some_and(|count| *count > 0));
    let first = (0..=edges.len()).find(filled)?;
    let last = (0..=edges.len()).rfind(filled)?;
    let together = (last - first + 1).div_ceil(ROWS_MAX);
    // The first and the last bucket have one bound alone: they are drawn as wide as their neighbours.
    let bound = |edge: usize| match edge {
        0 => edges[0] * edges[0] / edges[1],
        edge if edge > edges.len() => edges[edges.len() - 1].powi(2) / edges[edges.len() - 2],
        edge => edges[edge - 1],
    };
    let row = |from: usize| {
        let to = (from + together).min(edges.len() + 1);
        let of = |bin: &Bin| bin.buckets.iter().take(to).skip(from).sum();
        Row { from_us: bound(from), to_us: bound(to), counts: bins.iter().map(of).collect() }
    };
    Some((first..=last).step_by(together).map(row).collect())
}

/// The most answers per second in any cell.
fn most(rows: &[Row], bins: &[Bin]) -> Option<f64> {
    let rates = rows.iter().flat_map(|row| row.counts.iter().zip(bins).map(|(count, bin)| bin.rate(*count)));
    rates.reduce(f64::max).filter(|most| *most > 0.0)
}

/// The cells of a row that hold anything; neighbours of the same heat are one.
fn cells(row: &Row, bins: &[Bin], most: f64) -> Vec<Mark> {
    let heats: Vec<Option<usize>> = row
        .counts
        .iter()
        .zip(bins)
        .map(|(count, bin)| (*count > 0).then(|| level(bin.rate(*count), most)))
        .collect();
    let mut cells = Vec::new();
    let mut at = 0;
    for run in heats.chunk_by(|one, other| one == other) {
        let (first, last) = (&bins[at], &bins[at + run.len() - 1]);
        at += run.len();
        if let Some(level) = run[0] {
            let (from, to) = ((first.from_s, log_us(row.from_us)), (last.to_s, log_us(row.to_us)));
            cells.push(Mark::Cell { ink: Ink::HEAT[level], from, to });
        }
    }
    cells
}

/// The heat of a rate: few must be seen beside many, so levels are factors apart.
fn level(rate: f64, most: f64) -> usize {
    (0..Ink::HEAT.len()).rfind(|level| rate >= least_of(*level, most)).unwrap_or(0)
}

/// The least rate of a level.
fn least_of(level: usize, most: f64) -> f64 {
    most / 3_f64.powi((Ink::HEAT.len() - level) as i32) * if level == 0 { 0.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::bins::bins;
    use crate::samples;

    #[test]
    fn rows_hold_what_the_buckets_hold_within_bounds() {
        let mut stream = samples::steady().parts[0].streams[0].clone();
        let of = |stream: &Stream| rows(stream, &bins(stream, 60.0)).expect("rows");
        let sum = |rows: &[Row]| rows.iter().flat_map(|row| &row.counts).sum::<u64>();
        assert_eq!(sum(&of(&stream)), stream.counts.ok);
        // Two hundred buckets, all of them filled.
        stream.edges_us = (1..200).map(|edge| f64::from(edge) * 100.0).collect();
        stream.over_time.iter_mut().for_each(|second| second.buckets = vec![1; 200]);
        let rows = of(&stream);
        assert!(rows.len() <= ROWS_MAX && sum(&rows) == 60 * 200, "{}", rows.len());
        assert!(rows.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
        assert!(rows.iter().all(|row| row.from_us < row.to_us && row.from_us > 0.0));
    }

    #[test]
    fn buckets_that_make_no_sense_are_not_drawn() {
        let stream = &samples::steady().parts[0].streams[0];
        for edges_us in [vec![], vec![5.0], vec![5.0, 5.0], vec![0.0, 1.0], vec![1.0, f64::NAN]] {
            let stream = Stream { edges_us, ..stream.clone() };
            assert_eq!(rows(&stream, &bins(&stream, 60.0)), None);
        }
        let mut nothing = stream.clone();
        nothing.over_time.iter_mut().for_each(|second| second.buckets.fill(0));
        assert!(map(&nothing, 60.0, &bins(&nothing, 60.0)).is_none());
    }

    #[test]
    fn more_is_hotter_and_the_most_is_hottest() {
        assert_eq!(level(1000.0, 1000.0), Ink::HEAT.len() - 1);
        assert_eq!(level(0.001, 1000.0), 0);
        let levels: Vec<usize> = (0..1000).map(|rate| level(f64::from(rate), 1000.0)).collect();
        assert!(levels.is_sorted() && levels.contains(&3), "{levels:?}");
    }
}
