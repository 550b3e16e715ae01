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
        let rows = self.rows as usize;
        if rows == 1 {
            // What most requests are: tensors one after the other.
            return layout.tensors().iter().for_each(|group| self.row(layout, group, 0, into));
        }
        for row in 0..rows {
            layout.tensors().iter().for_each(|group| self.row(layout, group, row, into));
        }
    }

    fn row(&self, layout: &Layout, group: &Group, row: usize, into: &mut Vec<f64>) {
        let columns = group.from..group.to;
        let elements = match self.values(group) {
            Values::Numbers(elements) => elements,
            Values::Missing if !group.is_texts => {
                return into.extend(columns.map(|_| f64::from_bits(MISSING)));
            }
            _ => return into.extend(columns.map(|_| f64::from_bits(UNASKED))),
        };
        let from = row * group.width;
        if let (true, Elements::F32(all)) = (group.is_whole, elements)
            && let Some(all) = all.get(from..from + group.width)
        {
            return into.extend(all.iter().map(|number| f64::from(*number)));
        }
        for at in columns {
            let (first, stride) = layout.columns()[at].column.stride();
            into.push(elements.get(first + row * stride));
        }
    }
}
