//! The schema that training data suggest: nothing is refused by it, and a person edits it.

use std::sync::Arc;

use pointsman_core::{Action, ColumnSchema, Origin, Schema};
use pointsman_observe::profile::{Frame, Layout, Profile, Seen};

/// What was learned. What a schema says already stays as it is.
pub(super) fn learned(layout: &Layout, profile: &Profile, before: Option<&Schema>) -> Schema {
    let mut schema = before.cloned().unwrap_or_default();
    for (at, of) in layout.columns().iter().enumerate() {
        let columns = match of.column.origin {
            Origin::Input => &mut schema.inputs,
            Origin::Output => &mut schema.outputs,
        };
        let seen = profile.column(layout, at);
        columns.entry(of.column.name.clone()).or_insert_with(|| ColumnSchema {
            kind: Some(of.column.kind),
            ..of_values(&of.frame, &seen, of.column.origin)
        });
    }
    schema
}

fn of_values(frame: &Frame, seen: &Seen<'_>, origin: Origin) -> ColumnSchema {
    let mut column = ColumnSchema::default();
    let without = seen.sums.missing + seen.sums.nan;
    if origin == Origin::Input && seen.rows() > 0 {
        // As much again as in training, and one in a thousand, is nothing to wonder at.
        let share = 2.0 * without as f64 / seen.rows() as f64 + 0.001;
        column.missing_max = Some((share.min(1.0) * 1e4).round() / 1e4);
        column.missing = if without == 0 { Action::Flag } else { Action::Off };
    }
    column.infinite = Action::Flag;
    match frame {
        Frame::Grid(grid) => {
            if let (Origin::Input, Some((min, max))) = (origin, seen.sums.range()) {
                (column.min, column.max, column.range) = (Some(min), Some(max), Action::Flag);
            }
            let bins = grid.bin_edges();
            column.bins = (!bins.is_empty()).then(|| Arc::from(bins));
        }
        Frame::Categories(categories) => {
            // Where all that was seen is known, others are a surprise.
            if seen.cells.last() == Some(&0) && !categories.names().is_empty() {
                column.values = Some(Arc::from(categories.names()));
                column.domain = Action::Flag;
            }
            column.infinite = Action::Off;
        }
    }
    column
}
