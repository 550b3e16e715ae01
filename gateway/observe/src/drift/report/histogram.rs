//! Two distributions over each other, in few bars.

use serde::{Deserialize, Serialize};

use crate::profile::{Frame, Grid, Seen};
use crate::report::number;

/// The most bars.
pub const BARS_MAX: usize = 24;
/// Bars of equal width reach from this share of both distributions to as much from their other end.
const CUT: f64 = 0.005;

/// One bar of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// A value, a text, or from which number on.
    pub name: String,
    /// Its share before.
    pub reference: f64,
    /// Its share now.
    pub current: f64,
}

/// The bars of a column.
pub(super) fn bars(frame: &Frame, reference: &Seen<'_>, current: &Seen<'_>) -> Vec<Bar> {
    let share = |cells: &[u64]| -> Vec<f64> {
        let all = cells.iter().sum::<u64>().max(1) as f64;
        cells.iter().map(|count| *count as f64 / all).collect()
    };
    let (before, now) = (share(reference.cells), share(current.cells));
    match frame {
        Frame::Categories(categories) => {
            let names = categories.names().iter().cloned().chain(["(others)".to_owned()]);
            of_names(names, &before, &now)
        }
        Frame::Grid(grid) => {
            let held = |cell: &usize| before[*cell] + now[*cell] > 0.0;
            let cells: Vec<usize> = (0..grid.cells()).filter(held).collect();
            let in_values: f64 =
                cells.iter().filter(|cell| grid.is_value(**cell)).map(|cell| before[*cell]).sum();
            if cells.len() <= BARS_MAX && in_values > 0.9 {
                let name = |cell: usize| cell_name(grid, cell);
                let bar =
                    |cell: &usize| Bar { name: name(*cell), reference: before[*cell], current: now[*cell] };
                return cells.iter().map(bar).collect();
            }
            of_equal_width(grid, reference, current, &before, &now)
        }
    }
}

fn cell_name(grid: &Grid, cell: usize) -> String {
    match (cell.checked_sub(1).map(|before| grid.edges()[before]), grid.edges().get(cell)) {
        (_, Some(to)) if grid.is_value(cell) => number(*to),
        (Some(from), _) => format!("> {}", number(from)),
        (None, Some(to)) => format!("< {}", number(to.next_up())),
        (None, None) => "all".into(),
    }
}

/// The most frequent ones each by itself, the rest together.
fn of_names(names: impl Iterator<Item = String>, before: &[f64], now: &[f64]) -> Vec<Bar> {
    let shares = before.iter().zip(now);
    let bars = names.zip(shares).map(|(name, (r, c))| Bar { name, reference: *r, current: *c });
    let mut bars: Vec<Bar> = bars.filter(|bar| bar.reference + bar.current > 0.0).collect();
    bars.sort_by(|a, b| (b.reference + b.current).total_cmp(&(a.reference + a.current)));
    if bars.len() > BARS_MAX {
        let rest = bars.split_off(BARS_MAX - 1);
        let sum = |of: fn(&Bar) -> f64| rest.iter().map(of).sum();
        bars.push(Bar {
            name: format!("({} more)", rest.len()),
            reference: sum(|bar| bar.reference),
            current: sum(|bar| bar.current),
        });
    }
    bars
}

/// Bars of the same width; what a cell has is spread over it.
fn of_equal_width(
    grid: &Grid,
    reference: &Seen<'_>,
    current: &Seen<'_>,
    before: &[f64],
    now: &[f64],
) -> Vec<Bar> {
    let ranges = [reference.sums.range(), current.sums.range()].into_iter().flatten();
    let Some((min, max)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Vec::new() };
    let ends = |cell: usize| {
        let from = cell.checked_sub(1).map_or(min, |at| grid.edges()[at]).clamp(min, max);
        (from, grid.edges().get(cell).copied().unwrap_or(max).clamp(min, max))
    };
    // Where both distributions have all but their ends.
    let reaches = |shares: &[f64]| {
        let mut passed = 0.0;
        let mut from = None;
        let mut to = max;
        for (cell, share) in shares.iter().enumerate() {
            if from.is_none() && passed + share > CUT {
                from = Some(ends(cell).0);
            }
            passed += share;
            if passed >= 1.0 - CUT {
                to = ends(cell).1;
                break;
            }
        }
        (from.unwrap_or(min), to)
    };
    let (a, b) = (reaches(before), reaches(now));
    let (low, high) = (a.0.min(b.0), a.1.max(b.1));
    let width = (high - low) / BARS_MAX as f64;
    if !(width > 0.0 && width.is_finite()) {
        return vec![Bar { name: number(low), reference: 1.0, current: 1.0 }];
    }
    let mut bars: Vec<Bar> = (0..BARS_MAX)
        .map(|at| Bar { name: number(low + at as f64 * width), reference: 0.0, current: 0.0 })
        .collect();
    let place = |x: f64| (((x - low) / width) as usize).min(BARS_MAX - 1);
    for cell in 0..grid.cells() {
        let (from, to) = ends(cell);
        let span = to - from;
        for (at, bar) in bars.iter_mut().enumerate().take(place(to) + 1).skip(place(from)) {
            let (left, right) = (low + at as f64 * width, low + (at + 1) as f64 * width);
            // The first and the last bar have what lies beyond them as well.
            let left = if at == 0 { f64::NEG_INFINITY } else { left };
            let right = if at == BARS_MAX - 1 { f64::INFINITY } else { right };
            let part = if grid.is_value(cell) || span <= 0.0 {
                f64::from(u8::from(place(to) == at))
            } else {
                ((to.min(right) - from.max(left)) / span).clamp(0.0, 1.0)
            };
            bar.reference += before[cell] * part;
            bar.current += now[cell] * part;
        }
    }
    bars
}
