//! The columns of a signature: what one example has one value of, in tables, profiles and schemas alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::elements::Elements;
use crate::signature::{Dim, Signature, TensorSpec};
use crate::tensor::{Datatype, Tensor};

/// The most columns that one tensor is taken apart into. A wider one, such as a picture, has none.
pub const TENSOR_COLUMNS_MAX: usize = 256;

/// Where a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// What was asked.
    Input,
    /// What was answered.
    Output,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Numbers of any float datatype.
    Float,
    /// Whole numbers.
    Int,
    /// Yes or no.
    Bool,
    /// Texts, or other bytes.
    String,
}

/// One column: one value for each row of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name, which no other column of the same origin has.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// The place of its tensor in the signature's inputs or outputs.
    pub tensor: usize,
    /// What its values are.
    pub kind: ColumnKind,
    /// How many columns its tensor has beside each other, and the place of this one among them; nothing where the tensor
    /// has no dimension, and each row has its only value.
    place: Option<(usize, usize)>,
}

/// All columns of a signature, inputs first, in the signature's order.
///
/// An input or output of shape `[n]` or `[n,1]` is one column of its name. One of shape `[n,k]` is `k` columns: named as
/// the card names the features of an input, `tensor.class` where it names the classes of an output, and `tensor.0` and so
/// on otherwise. Names of features that stand twice are qualified by their tensors. What has more dimensions, or more than
/// [`TENSOR_COLUMNS_MAX`] columns, has no place in a table.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Columns(Vec<Column>);

/// The values of one column in one tensor, which lie a stride apart.
#[derive(Clone, Copy, Debug)]
pub struct ColumnView<'a> {
    /// The tensor.
    pub tensor: &'a Tensor,
    /// The place of the first value among the tensor's elements.
    pub first: usize,
    /// How far the next one is; 0 where every row has the same.
    pub stride: usize,
    /// How many rows there are.
    pub rows: usize,
}

impl ColumnKind {
    /// That of a datatype.
    #[must_use]
    pub fn of(datatype: Datatype) -> Self {
        match datatype {
            Datatype::Bool => Self::Bool,
            Datatype::Bytes => Self::String,
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => Self::Float,
            _ => Self::Int,
        }
    }

    /// The word in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::String => "string",
        }
    }
}

impl Columns {
    /// Those of a signature whose tensors are named along their last dimension by `labels` (outputs, inputs alike).
    #[must_use]
    pub fn of(signature: &Signature) -> Self {
        let mut columns = Vec::new();
        for (origin, specs) in [(Origin::Input, &signature.inputs), (Origin::Output, &signature.outputs)] {
            let from = columns.len();
            for (tensor, spec) in specs.iter().enumerate() {
                push(&mut columns, origin, tensor, spec);
            }
            qualify(&mut columns[from..], specs);
        }
        Self(columns)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Column] {
        &self.0
    }

    /// The one of this origin and name.
    #[must_use]
    pub fn find(&self, origin: Origin, name: &str) -> Option<&Column> {
        self.0.iter().find(|column| column.origin == origin && *column.name == *name)
    }
}

fn push(columns: &mut Vec<Column>, origin: Origin, tensor: usize, spec: &TensorSpec) {
    let kind = ColumnKind::of(spec.datatype);
    let labels = spec.labels.as_deref();
    let mut one = |name: Arc<str>, place| columns.push(Column { name, origin, tensor, kind, place });
    let width = match spec.shape.as_deref() {
        Some([]) => return one(spec.name.clone(), None),
        Some([_]) => 1,
        Some([_, Dim::Fixed(width)]) => usize::try_from(*width).unwrap_or(usize::MAX),
        // What the model leaves open, the card may know.
        Some([_, Dim::Dynamic(_)]) | None => labels.map_or(usize::MAX, <[String]>::len),
        Some(_) => return,
    };
    if width == 1 {
        return one(spec.name.clone(), Some((1, 0)));
    }
    let labels = labels.filter(|labels| labels.len() == width);
    for place in 0..Some(width).filter(|width| *width <= TENSOR_COLUMNS_MAX).unwrap_or(0) {
        let name = match (labels.map(|labels| &labels[place]), origin) {
            (Some(label), Origin::Input) => label.as_str().into(),
            (Some(label), Origin::Output) => format!("{}.{label}", spec.name).into(),
            (None, _) => format!("{}.{place}", spec.name).into(),
        };
        one(name, Some((width, place)));
    }
}

/// Names that stand twice get those of their tensors before them.
fn qualify(columns: &mut [Column], specs: &[TensorSpec]) {
    let mut count: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for column in columns.iter() {
        *count.entry(column.name.clone()).or_default() += 1;
    }
    for column in columns.iter_mut().filter(|column| count[&column.name] > 1) {
        column.name = match column.place {
            Some((2.., place)) => format!("{}.{place}", specs[column.tensor].name).into(),
            _ => specs[column.tensor].name.clone(),
        };
    }
}

impl Column {
    /// How many columns its tensor has beside each other: 1 where the tensor is this column alone.
    #[must_use]
    pub fn width(&self) -> usize {
        self.place.map_or(1, |(width, _)| width)
    }

    /// The place of its first value among the elements of its tensor, and how far the next one is.
    #[must_use]
    pub fn stride(&self) -> (usize, usize) {
        self.place.map_or((0, 0), |(width, first)| (first, width))
    }

    /// Its place among them.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place.map_or(0, |(_, place)| place)
    }

    /// Its values in a tensor of a request of so many rows; nothing where the tensor is of another shape, as outputs may be.
    #[must_use]
    pub fn view<'a>(&self, tensor: &'a Tensor, rows: usize) -> Option<ColumnView<'a>> {
        let Some((width, first)) = self.place else {
            return (tensor.elements() == 1).then_some(ColumnView { tensor, first: 0, stride: 0, rows });
        };
        let fits = rows.checked_mul(width) == Some(tensor.elements());
        fits.then_some(ColumnView { tensor, first, stride: width, rows })
    }
}

impl<'a> ColumnView<'a> {
    /// The elements, of which its values are every `stride`th from `first` on; nothing for texts.
    #[must_use]
    pub fn elements(&self) -> Option<Elements<'a>> {
        Elements::of(self.tensor)
    }

    /// The values as doubles, in the order of the rows; nothing for texts.
    #[must_use]
    pub fn numbers(self) -> Option<impl Iterator<Item = f64> + 'a> {
        let elements = self.elements()?;
        Some((0..self.rows).map(move |row| elements.get(self.first + row * self.stride)))
    }

    /// The texts, in the order of the rows; nothing for numbers.
    #[must_use]
    pub fn texts(self) -> Option<impl Iterator<Item = &'a [u8]> + 'a> {
        let all = self.tensor.strings()?;
        // A tensor without dimensions has one, which all rows share.
        let only = if self.stride == 0 { all.clone().next() } else { None };
        let each =
            all.skip(self.first).step_by(self.stride.max(1)).take(if only.is_some() { 0 } else { self.rows });
        Some(each.chain(std::iter::repeat_n(only, self.rows).flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    fn spec(name: &str, datatype: Datatype, shape: Option<Vec<Dim>>, labels: &[&str]) -> TensorSpec {
        let labels = (!labels.is_empty()).then(|| labels.iter().map(|l| (*l).to_owned()).collect());
        TensorSpec { name: name.into(), datatype, shape, optional: false, labels }
    }

    const ANY: Dim = Dim::Dynamic(None);

    fn names(signature: &Signature) -> Vec<String> {
        Columns::of(signature).all().iter().map(|column| column.name.to_string()).collect()
    }

    #[test]
    fn columns_are_named_as_card_and_signature_name_them() {
        let signature = Signature {
            inputs: vec![
                spec("temp", Datatype::Fp32, Some(vec![ANY, Dim::Fixed(1)]), &[]),
                spec("carrier", Datatype::Bytes, Some(vec![ANY]), &[]),
                spec("X", Datatype::Fp32, Some(vec![ANY, Dim::Fixed(2)]), &["a", "b"]),
                spec("Y", Datatype::Fp32, Some(vec![ANY, Dim::Fixed(2)]), &[]),
                spec("sr", Datatype::Int64, Some(vec![]), &[]),
                spec("picture", Datatype::Fp32, Some(vec![ANY, ANY, ANY]), &[]),
                spec("wide", Datatype::Fp32, Some(vec![ANY, Dim::Fixed(257)]), &[]),
                spec("open", Datatype::Fp32, Some(vec![ANY, ANY]), &[]),
            ],
            outputs: vec![
                spec("label", Datatype::Int64, Some(vec![ANY]), &["no", "yes"]),
                spec("probabilities", Datatype::Fp32, Some(vec![ANY, Dim::Fixed(2)]), &["no", "yes"]),
            ],
        };
        let expected = [
            "temp",
            "carrier",
            "a",
            "b",
            "Y.0",
            "Y.1",
            "sr",
            "label",
            "probabilities.no",
            "probabilities.yes",
        ];
        assert_eq!(names(&signature), expected);
    }

    #[test]
    fn names_that_stand_twice_are_qualified() {
        let two = |name: &str| spec(name, Datatype::Fp32, Some(vec![ANY, Dim::Fixed(2)]), &["a", "b"]);
        let signature = Signature { inputs: vec![two("X"), two("Y")], outputs: vec![] };
        assert_eq!(names(&signature), ["X.0", "X.1", "Y.0", "Y.1"]);
    }

    #[test]
    fn values_are_those_of_the_rows() {
        let inputs = vec![
            spec("X", Datatype::Fp32, Some(vec![ANY, Dim::Fixed(2)]), &[]),
            spec("s", Datatype::Bytes, Some(vec![ANY, Dim::Fixed(2)]), &[]),
            spec("one", Datatype::Bytes, Some(vec![]), &[]),
        ];
        let columns = Columns::of(&Signature { inputs, outputs: vec![] });
        let shape = Shape::new(&[2, 2]).expect("small");
        let x = Tensor::from_vec(Datatype::Fp32, shape.clone(), vec![1f32, 2.0, 3.0, 4.0]).expect("fits");
        let of = |name: &str| columns.find(Origin::Input, name).expect("there");
        let second: Vec<f64> = of("X.1").view(&x, 2).expect("fits").numbers().expect("numbers").collect();
        assert_eq!(second, [2.0, 4.0]);
        assert!(of("X.1").view(&x, 3).is_none());
        let strings = |shape: Shape, all: &[&str]| {
            let mut builder = crate::StringTensorBuilder::default();
            all.iter().for_each(|text| builder.push(text.as_bytes()).expect("short"));
            Tensor::new(Datatype::Bytes, shape, builder.finish()).expect("fits")
        };
        let s = strings(shape, &["a", "b", "c", "d"]);
        let first: Vec<&[u8]> = of("s.0").view(&s, 2).expect("fits").texts().expect("texts").collect();
        assert_eq!(first, [b"a", b"c"]);
        let one = strings(Shape::new(&[]).expect("small"), &["x"]);
        let all: Vec<&[u8]> = of("one").view(&one, 3).expect("fits").texts().expect("texts").collect();
        assert_eq!(all, [b"x", b"x", b"x"]);
    }
}
