//! The columns of a version with their cells: what profiles of the same version have in common.

use std::sync::Arc;

use pointsman_core::{Column, ColumnKind, ColumnSchema, Columns, Origin, Redaction};
use pointsman_core::{Schema, Signature};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::categories::Categories;
use super::grid::{Grid, SavedGrid};

/// The most columns of a version that are profiled, inputs first.
pub const COLUMNS_MAX: usize = 1024;

/// Into what the values of a column are counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Numbers into cells.
    Grid(Grid),
    /// Texts, the known ones each by itself.
    Categories(Categories),
}

/// A frame in documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SavedFrame {
    Grid(SavedGrid),
    Categories(Vec<String>),
}

/// One column and its frame.
#[derive(Clone, Debug, PartialEq)]
pub struct LaidOut {
    /// The column.
    pub column: Column,
    /// Into what its values are counted.
    pub frame: Frame,
    /// The place of its first cell among those of all columns.
    pub(super) first: usize,
    /// The place of its sketches, where it has some.
    pub(super) sketches: Option<usize>,
    /// Whether texts that are not known may be kept by name.
    pub(super) names_texts: bool,
}

/// All columns of a version, in the order of its signature.
#[derive(Clone, Debug)]
pub struct Layout {
    columns: Box<[LaidOut]>,
    /// Columns of one tensor each, and where it is.
    tensors: Box<[Group]>,
    cells: usize,
    sketches: usize,
}

/// Columns that lie in one tensor.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) origin: Origin,
    pub(super) tensor: usize,
    pub(super) name: Arc<str>,
    /// Places among all columns.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) width: usize,
    /// Whether its values are texts.
    pub(super) is_texts: bool,
    /// Whether its columns are all that it has, in its order.
    pub(super) is_whole: bool,
}

impl Frame {
    /// The number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        match self {
            Self::Grid(grid) => grid.cells(),
            Self::Categories(categories) => categories.cells(),
        }
    }

    pub(super) fn saved(&self) -> SavedFrame {
        match self {
            Self::Grid(grid) => SavedFrame::Grid(grid.saved()),
            Self::Categories(categories) => SavedFrame::Categories(categories.names().to_vec()),
        }
    }

    pub(super) fn restore(saved: &SavedFrame) -> Result<Self, String> {
        Ok(match saved {
            SavedFrame::Grid(grid) => Self::Grid(Grid::restore(grid)?),
            SavedFrame::Categories(names) => {
                let categories = Categories::new(names.iter().cloned());
                if categories.names() != names {
                    return Err("its categories are too many or too long, or do not ascend".into());
                }
                Self::Categories(categories)
            }
        })
    }

    /// That of a column of which nothing is known but what the schema says.
    pub(super) fn unknown(kind: ColumnKind, schema: Option<&ColumnSchema>) -> Self {
        match kind {
            ColumnKind::String => {
                let values = schema.and_then(|schema| schema.values.clone());
                Self::Categories(Categories::new(values.iter().flat_map(|values| values.iter().cloned())))
            }
            _ => Self::Grid(Grid::unknown()),
        }
    }
}

/// What a schema says of a column.
pub(super) fn said<'s>(schema: Option<&'s Schema>, column: &Column) -> Option<&'s ColumnSchema> {
    let schema = schema?;
    match column.origin {
        Origin::Input => schema.inputs.get(&column.name),
        Origin::Output => schema.outputs.get(&column.name),
    }
}

impl Layout {
    /// The columns of a signature, each with the frame that `frame` has for it.
    pub(super) fn new(
        signature: &Signature,
        schema: Option<&Schema>,
        mut frame: impl FnMut(usize, &Column) -> Frame,
    ) -> Self {
        let (mut cells, mut sketches) = (0, 0);
        let mut columns: Vec<LaidOut> = Vec::new();
        let mut tensors: Vec<Group> = Vec::new();
        for (at, column) in Columns::of(signature).all().iter().take(COLUMNS_MAX).enumerate() {
            let frame = frame(at, column);
            let first = cells;
            cells += frame.cells();
            let has_sketches = matches!(column.kind, ColumnKind::String | ColumnKind::Int);
            let place = has_sketches.then_some(sketches);
            sketches += usize::from(has_sketches);
            let keeps = said(schema, column).and_then(|s| s.log.as_ref());
            let names_texts = keeps == Some(&Redaction::Keep);
            match tensors.last_mut() {
                Some(group) if (group.origin, group.tensor) == (column.origin, column.tensor) => {
                    group.to = at + 1
                }
                _ => {
                    let specs = match column.origin {
                        Origin::Input => &signature.inputs,
                        Origin::Output => &signature.outputs,
                    };
                    let name = specs[column.tensor].name.clone();
                    let (origin, tensor) = (column.origin, column.tensor);
                    let (_, width) = column.stride();
                    let is_texts = column.kind == ColumnKind::String;
                    let group = Group {
                        origin,
                        tensor,
                        name,
                        from: at,
                        to: at + 1,
                        width,
                        is_texts,
                        is_whole: false,
                    };
                    tensors.push(group);
                }
            }
            columns.push(LaidOut { column: column.clone(), frame, first, sketches: place, names_texts });
        }
        for group in &mut tensors {
            let places = columns[group.from..group.to].iter().map(|of| of.column.place());
            group.is_whole = places.eq(0..group.width);
        }
        Self { columns: columns.into(), tensors: tensors.into(), cells, sketches }
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[LaidOut] {
        &self.columns
    }

    /// The cells of all columns.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    pub(super) fn sketches(&self) -> usize {
        self.sketches
    }

    pub(super) fn tensors(&self) -> &[Group] {
        &self.tensors
    }

    /// About how many bytes a profile takes.
    #[must_use]
    pub fn profile_bytes(&self) -> usize {
        self.cells * 8 + self.columns.len() * 80 + self.sketches * 1024
    }

    /// SHA-256 over all columns and frames, in hexadecimal: profiles with the same one can be merged.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for LaidOut { column, frame, .. } in &self.columns {
            let frame = serde_json::to_string(&frame.saved()).unwrap_or_default();
            hash.update(format!("{:?} {} {} {frame}\n", column.origin, column.name, column.kind.name()));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// SHA-256 over the names and kinds of all columns of a signature, in hexadecimal.
#[must_use]
pub fn columns_fingerprint(signature: &Signature) -> String {
    let mut hash = Sha256::new();
    for column in Columns::of(signature).all() {
        hash.update(format!("{:?} {} {}\n", column.origin, column.name, column.kind.name()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
