//! The rule that a number is not above that of another column in the same row.

use super::{Findings, RuledColumn, find};
use crate::column::Column;
use crate::elements::Elements;
use crate::schema::Anomaly;
use crate::tensor::Tensor;

/// One such rule.
#[derive(Debug)]
pub(super) struct Relation {
    /// The column that has it, among those that have any.
    pub(super) column: usize,
    /// The one that it is compared with.
    pub(super) other: Column,
}

impl Relation {
    /// Finds the rows that break it. Where one of the two is NaN there is nothing to compare.
    pub(super) fn find<'t>(
        &self,
        columns: &[RuledColumn],
        tensor: impl Fn(usize) -> Option<&'t Tensor>,
        findings: &mut Findings,
    ) {
        let column = &columns[self.column].column;
        let [Some(own), Some(other)] = [column, &self.other].map(|column| tensor(column.tensor)) else {
            return;
        };
        let rows = own.elements() / column.width();
        let views = (column.view(own, rows), self.other.view(other, rows));
        let (Some(own_view), Some(other_view)) = views else { return };
        let [Some(own), Some(other)] = [own, other].map(Elements::of) else { return };
        for row in 0..rows {
            let value = own.get(own_view.first + row * own_view.stride);
            if value > other.get(other_view.first + row * other_view.stride) {
                find(findings, self.column, Anomaly::AboveOther, row);
            }
        }
    }
}
