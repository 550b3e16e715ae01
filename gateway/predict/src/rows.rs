//! Tensors taken apart by their first dimension, that of rows, and put together again.

use bytes::BytesMut;
use pointsman_core::{Shape, StringElements, Tensor};

/// How many rows all inputs of a request have; nothing where they differ, or one has no dimension of rows.
#[must_use]
pub fn shared(inputs: &[Option<Tensor>]) -> Option<u64> {
    let mut counts = inputs.iter().flatten().map(|tensor| tensor.shape().dims().first().copied());
    let first = counts.next()??;
    counts.all(|count| count == Some(first)).then_some(first)
}

/// Whether two requests can be run as one: the same inputs, alike in everything but the number of rows.
#[must_use]
pub fn fit(a: &[Option<Tensor>], b: &[Option<Tensor>]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (None, None) => true,
            (Some(a), Some(b)) => tail(a) == tail(b) && a.datatype() == b.datatype(),
            _ => false,
        })
}

/// The dimensions of one row; nothing where there is no dimension of rows.
fn tail(tensor: &Tensor) -> Option<&[u64]> {
    Some(tensor.shape().dims().split_first()?.1)
}

/// Requests as one, their rows one after the other; nothing where they do not fit.
#[must_use]
pub fn join(requests: &[&[Option<Tensor>]]) -> Option<Vec<Option<Tensor>>> {
    let inputs = requests.first()?.len();
    let joined = (0..inputs).map(|input| {
        let parts = || requests.iter().map(|request| request.get(input)?.as_ref());
        if parts().all(|part| part.is_none()) {
            return Some(None);
        }
        stack(&parts().collect::<Option<Vec<_>>>()?).map(Some)
    });
    joined.collect()
}

/// Tensors one after the other along the first dimension.
fn stack(parts: &[&Tensor]) -> Option<Tensor> {
    let first = parts.first()?;
    let row = tail(first)?;
    let mut rows = 0_u64;
    let mut data = BytesMut::with_capacity(parts.iter().map(|part| part.data().len()).sum());
    for part in parts {
        let (&count, other) = part.shape().dims().split_first()?;
        if other != row || part.datatype() != first.datatype() {
            return None;
        }
        rows = rows.checked_add(count)?;
        data.extend_from_slice(part.data());
    }
    Tensor::new(first.datatype(), with_rows(rows, row)?, data.freeze()).ok()
}

/// `count` rows of a tensor, from this one on; nothing where it does not have them. Numbers are shared, not copied.
#[must_use]
pub fn slice(tensor: &Tensor, from: u64, count: u64) -> Option<Tensor> {
    let mut cut = Cut::new(tensor)?;
    cut.skip(from)?;
    cut.take(count)
}

/// Takes a tensor apart from its first row to its last, in one walk: where a text begins is known from those before it.
#[derive(Clone, Debug)]
pub(crate) struct Cut<'a> {
    tensor: &'a Tensor,
    row: &'a [u64],
    /// Elements of a row.
    of_row: usize,
    /// Rows that are not taken yet, where they begin among the bytes, and the texts from there on.
    rows: u64,
    at: usize,
    strings: Option<StringElements<'a>>,
}

impl<'a> Cut<'a> {
    /// All rows of a tensor; nothing where it has no dimension of rows.
    pub(crate) fn new(tensor: &'a Tensor) -> Option<Self> {
        let (&rows, row) = tensor.shape().dims().split_first()?;
        let of_row = with_rows(1, row)?.elements()?;
        Some(Self { tensor, row, of_row, rows, at: 0, strings: tensor.strings() })
    }

    /// The next rows; nothing where there are not as many. Numbers are shared, not copied.
    pub(crate) fn take(&mut self, count: u64) -> Option<Tensor> {
        let from = self.at;
        self.skip(count)?;
        let data = self.tensor.data().slice(from..self.at);
        Tensor::new(self.tensor.datatype(), with_rows(count, self.row)?, data).ok()
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.rows = self.rows.checked_sub(count)?;
        let elements = usize::try_from(count).ok()?.checked_mul(self.of_row)?;
        self.at += match &mut self.strings {
            Some(strings) => strings.take(elements).map(|text| text.len() + size_of::<u32>()).sum(),
            None => elements.checked_mul(self.tensor.datatype().size()?)?,
        };
        Some(())
    }
}

fn with_rows(rows: u64, row: &[u64]) -> Option<Shape> {
    let mut dims = vec![rows];
    dims.extend_from_slice(row);
    Shape::new(&dims)
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Datatype, StringTensorBuilder};
    use proptest::prelude::*;

    use super::*;

    fn numbers(dims: &[u64]) -> Tensor {
        let shape = Shape::new(dims).expect("few dimensions");
        let values: Vec<i64> = (0..shape.elements().expect("small") as i64).collect();
        Tensor::from_vec(Datatype::Int64, shape, values).expect("fits")
    }

    #[test]
    fn only_what_is_alike_is_joined() {
        let request = |dims: &[u64]| vec![Some(numbers(dims)), None];
        assert!(fit(&request(&[1, 2]), &request(&[5, 2])) && !fit(&request(&[1, 2]), &request(&[1, 3])));
        assert!(!fit(&request(&[1, 2]), &[None, None]) && !fit(&request(&[1]), &request(&[])));
        assert!(join(&[&request(&[1, 2]), &request(&[1, 3])]).is_none());
        assert!(join(&[&request(&[1, 2]), &[None, None]]).is_none());
        assert!(join(&[]).is_none());
        let joined = join(&[&request(&[1, 2]), &request(&[3, 2])]).expect("alike");
        assert_eq!(joined[0].as_ref().expect("an input").shape().dims(), [4, 2]);
        assert_eq!(joined[1], None);
    }

    #[test]
    fn rows_are_shared_where_all_inputs_have_as_many() {
        let of = |dims: &[&[u64]]| shared(&dims.iter().map(|dims| Some(numbers(dims))).collect::<Vec<_>>());
        assert_eq!(of(&[&[3, 2], &[3]]), Some(3));
        assert_eq!(of(&[&[3, 2], &[2]]), None);
        assert_eq!(of(&[&[3], &[]]), None);
        assert_eq!(of(&[&[]]), None);
        assert_eq!(shared(&[None]), None);
        assert_eq!(shared(&[None, Some(numbers(&[7]))]), Some(7));
    }

    proptest! {
        #[test]
        fn what_was_cut_and_put_together_again_is_the_same(
            row in proptest::collection::vec(0_u64..4, 0..3),
            parts in proptest::collection::vec(0_u64..4, 1..6),
            texts in any::<bool>(),
        ) {
            let rows: u64 = parts.iter().sum();
            let dims: Vec<u64> = std::iter::once(rows).chain(row).collect();
            let mut tensor = numbers(&dims);
            if texts {
                let mut builder = StringTensorBuilder::default();
                for n in 0..tensor.elements() {
                    builder.push("x".repeat(n % 5).as_bytes()).expect("short");
                }
                tensor = Tensor::new(Datatype::Bytes, tensor.shape().clone(), builder.finish()).expect("counted");
            }
            let mut from = 0;
            let mut walk = Cut::new(&tensor).expect("rows");
            let mut cut = Vec::new();
            for count in parts {
                let part = walk.take(count);
                prop_assert_eq!(&part, &slice(&tensor, from, count));
                cut.push(vec![Some(part.expect("rows"))]);
                from += count;
            }
            prop_assert!(walk.take(1).is_none() && slice(&tensor, from, 1).is_none());
            prop_assert!(slice(&tensor, u64::MAX, 2).is_none());
            let requests: Vec<&[Option<Tensor>]> = cut.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(join(&requests).expect("alike"), vec![Some(tensor)]);
        }
    }
}
