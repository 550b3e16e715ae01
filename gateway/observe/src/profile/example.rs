//! What a profile is shown: the tensors of one request, or of a batch of training data.

use pointsman_core::{Elements, OutputTensor, Tensor};

use super::layout::{Group, Layout};

/// Some rows, with their answers.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// In the order of the signature.
    pub inputs: &'a [Option<Tensor>],
    /// By name; nothing where there was no answer, and an output that was not asked for is none.
    pub outputs: Option<&'a [OutputTensor]>,
    /// How many rows.
    pub rows: u64,
}

/// The bits of the NaN that stands for a value that is missing.
pub(super) const MISSING: u64 = 0x7ff8_0000_0000_0d01;
/// The bits of the NaN that stands for one that was not asked for, or is a text.
pub(super) const UNASKED: u64 = 0x7ff8_0000_0000_0d02;

/// The values of all columns of one tensor.
pub(super) enum Values<'a> {
    /// There is no such tensor, and none was wanted.
    Unasked,
    /// It was left out, or has no place for the columns.
    Missing,
    Numbers(Elements<'a>),
    Texts(&'a Tensor),
}

impl<'a> Example<'a> {
    pub(super) fn values(&self, group: &Group) -> Values<'a> {
        let tensor = match group.origin {
            pointsman_core::Origin::Input => match self.inputs.get(group.tensor) {
                Some(Some(tensor)) => tensor,
                Some(None) => return Values::Missing,
                None => return Values::Unasked,
            },
            pointsman_core::Origin::Output => {
                let outputs = self.outputs.unwrap_or_default();
                match outputs.iter().find(|output| output.name == group.name) {
                    Some(output) => &output.tensor,
                    None => return Values::Unasked,
                }
            }
        };
        let elements = tensor.elements() as u64;
        let fits = if group.width == 0 {
            elements == 1
        } else {
            self.rows.checked_mul(group.width as u64) == Some(elements)
        };
        match Elements::of(tensor) {
            _ if !fits => Values::Missing,
            Some(elements) => Values::Numbers(elements),
            None => Values::Texts(tensor),
        }
    }

    /// Appends the numbers of all columns, row by row.
    pub(super) fn numbers(&self, layout: &Layout, into: &mut Vec<f64>) {
        let (rows, width, start) = (self.rows as usize, layout.columns().len(), into.len());
        into.resize(start + rows * width, f64::from_bits(UNASKED));
        let into = &mut into[start..];
        for group in layout.tensors() {
            let columns = group.from..group.to;
            let of_rows = into.chunks_exact_mut(width.max(1)).map(|row| &mut row[columns.clone()]);
            match self.values(group) {
                Values::Numbers(elements) => group_numbers(layout, group, &elements, of_rows),
                Values::Missing if !group.is_texts => {
                    of_rows.for_each(|row| row.fill(f64::from_bits(MISSING)));
                }
                Values::Missing | Values::Unasked | Values::Texts(_) => {}
            }
        }
    }
}

/// Fills in the numbers of one tensor, row by row.
fn group_numbers<'a>(
    layout: &Layout,
    group: &Group,
    elements: &Elements<'_>,
    of_rows: impl Iterator<Item = &'a mut [f64]>,
) {
    if let (true, Elements::F32(all)) = (group.is_whole && group.width > 0, elements) {
        for (to, row) in of_rows.zip(all.chunks_exact(group.width)) {
            to.iter_mut().zip(row).for_each(|(to, number)| *to = f64::from(*number));
        }
        return;
    }
    for (at, to) in of_rows.enumerate() {
        for (to, column) in to.iter_mut().zip(group.from..) {
            let (first, stride) = layout.columns()[column].column.stride();
            *to = elements.get(first + at * stride);
        }
    }
}
