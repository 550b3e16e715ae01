//! Tensors taken apart by their first dimension, and put together again.

use bytes::{Bytes, BytesMut};
use pointsman_core::{Dim, Shape, Signature, Tensor};

/// One row of every input of a signature, in its order; optional inputs are left out.
pub(super) type Row = Vec<Option<Tensor>>;

/// Whether the inputs of a signature, optional ones left out, can each have any number of rows.
///
/// # Errors
/// What cannot, in words.
pub(super) fn joinable(signature: &Signature) -> Result<(), String> {
    let mut required = signature.inputs.iter().filter(|spec| !spec.optional).peekable();
    if required.peek().is_none() {
        return Err("it takes no input that a request has to give".into());
    }
    required.try_for_each(|spec| match spec.shape.as_deref() {
        None => Err(format!("the rank of input '{}' is not declared", spec.name)),
        Some([]) => Err(format!("input '{}' has no dimension", spec.name)),
        Some([Dim::Fixed(size), ..]) => {
            Err(format!("the first dimension of input '{}' is always {size}", spec.name))
        }
        Some([Dim::Dynamic(_), ..]) => Ok(()),
    })
}

/// The rows that a request's inputs are made of; none where an optional input is among them, which need not
/// have rows.
///
/// # Errors
/// Which inputs have different numbers of rows, or none.
pub(super) fn rows_of(signature: &Signature, inputs: &[Option<Tensor>]) -> Result<Vec<Row>, String> {
    let optional =
        |(spec, tensor): (&pointsman_core::TensorSpec, &Option<Tensor>)| spec.optional && tensor.is_some();
    if signature.inputs.iter().zip(inputs).any(optional) {
        return Ok(Vec::new());
    }
    let mut counts =
        signature.inputs.iter().zip(inputs).filter_map(|(spec, tensor)| {
            Some((&spec.name, tensor.as_ref()?.shape().dims().first().copied()))
        });
    let Some((first, Some(rows))) = counts.next() else { return Ok(Vec::new()) };
    if let Some((other, found)) = counts.find(|(_, found)| *found != Some(rows)) {
        let found = found.map_or("no dimension".to_owned(), |found| format!("{found} rows"));
        return Err(format!(
            "in one request input '{first}' has {rows} rows, and input '{other}' has {found}"
        ));
    }
    let row = |at: u64| -> Option<Row> {
        inputs
            .iter()
            .map(|input| input.as_ref().map(|tensor| cut(tensor, at)).map_or(Some(None), |cut| cut.map(Some)))
            .collect()
    };
    Ok((0..rows).map_while(row).collect())
}

/// One row of a tensor; nothing where it has none at that place.
pub(super) fn cut(tensor: &Tensor, at: u64) -> Option<Tensor> {
    let (&rows, tail) = tensor.shape().dims().split_first()?;
    if at >= rows {
        return None;
    }
    let mut dims = vec![1];
    dims.extend_from_slice(tail);
    let shape = Shape::new(&dims)?;
    let elements = shape.elements()?;
    let from = usize::try_from(at).ok()?.checked_mul(elements)?;
    let data = match tensor.datatype().size() {
        Some(size) => tensor.data().slice(from * size..(from + elements) * size),
        None => strings(tensor, from, elements)?,
    };
    Tensor::new(tensor.datatype(), shape, data).ok()
}

/// The bytes of some elements of a BYTES tensor, with their lengths.
fn strings(tensor: &Tensor, from: usize, count: usize) -> Option<Bytes> {
    let lengths = |elements: usize| -> usize {
        let strings = tensor.strings().into_iter().flatten().take(elements);
        strings.map(|s| s.len() + size_of::<u32>()).sum()
    };
    tensor.strings()?;
    Some(tensor.data().slice(lengths(from)..lengths(from + count)))
}

/// Rows as one request; nothing where they are not alike.
pub(super) fn join(rows: &[&Row]) -> Option<Row> {
    let inputs = rows.first()?.len();
    (0..inputs)
        .map(|input| {
            let parts: Vec<Option<&Tensor>> = rows.iter().map(|row| row.get(input)?.as_ref()).collect();
            if parts.iter().all(Option::is_none) {
                return Some(None);
            }
            stack(&parts.into_iter().collect::<Option<Vec<_>>>()?).map(Some)
        })
        .collect()
}

/// Tensors one after the other along the first dimension.
fn stack(parts: &[&Tensor]) -> Option<Tensor> {
    let first = parts.first()?;
    let (_, tail) = first.shape().dims().split_first()?;
    let mut rows = 0_u64;
    let mut data = BytesMut::with_capacity(parts.iter().map(|part| part.data().len()).sum());
    for part in parts {
        let (&count, other) = part.shape().dims().split_first()?;
        if other != tail || part.datatype() != first.datatype() {
            return None;
        }
        rows = rows.checked_add(count)?;
        data.extend_from_slice(part.data());
    }
    let mut dims = vec![rows];
    dims.extend_from_slice(tail);
    Tensor::new(first.datatype(), Shape::new(&dims)?, data.freeze()).ok()
}

/// Whether two rows can be part of one request: the same inputs, each of the same datatype and dimensions.
pub(super) fn alike(a: &Row, b: &Row) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (None, None) => true,
            (Some(a), Some(b)) => a.shape() == b.shape() && a.datatype() == b.datatype(),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use pointsman_core::{Datatype, StringTensorBuilder, TensorSpec};
    use proptest::prelude::*;

    use super::*;

    fn spec(name: &str, dims: Option<&[Option<u64>]>, optional: bool) -> TensorSpec {
        let shape = dims.map(|dims| dims.iter().map(|d| d.map_or(Dim::Dynamic(None), Dim::Fixed)).collect());
        TensorSpec { name: name.into(), datatype: Datatype::Int64, shape, optional, labels: None }
    }

    fn numbers(dims: &[u64]) -> Tensor {
        let shape = Shape::new(dims).expect("few dimensions");
        let values: Vec<i64> = (0..shape.elements().expect("small") as i64).collect();
        Tensor::from_vec(Datatype::Int64, shape, values).expect("fits")
    }

    #[test]
    fn inputs_without_a_dimension_of_rows_are_named() {
        let said = |inputs: Vec<TensorSpec>| joinable(&Signature { inputs, outputs: Vec::new() });
        assert_eq!(said(vec![spec("x", Some(&[None, Some(4)]), false)]), Ok(()));
        assert_eq!(
            said(vec![spec("x", Some(&[None]), false), spec("sr", Some(&[]), false)]),
            Err("input 'sr' has no dimension".into())
        );
        assert_eq!(
            said(vec![spec("state", Some(&[Some(2), None]), false)]),
            Err("the first dimension of input 'state' is always 2".into())
        );
        assert_eq!(said(vec![spec("x", None, false)]), Err("the rank of input 'x' is not declared".into()));
        let nothing = Err("it takes no input that a request has to give".into());
        assert_eq!(said(Vec::new()), nothing);
        assert_eq!(said(vec![spec("x", Some(&[None]), true)]), nothing);
        // An optional input is left out, whatever its shape.
        assert_eq!(said(vec![spec("x", Some(&[None]), false), spec("w", Some(&[]), true)]), Ok(()));
    }

    #[test]
    fn inputs_with_different_numbers_of_rows_are_named() {
        let signature = Signature {
            inputs: vec![spec("a", Some(&[None]), false), spec("b", Some(&[None]), false)],
            outputs: Vec::new(),
        };
        let rows = |a: &[u64], b: &[u64]| rows_of(&signature, &[Some(numbers(a)), Some(numbers(b))]);
        assert_eq!(rows(&[3], &[3, 2]).expect("alike").len(), 3);
        assert_eq!(rows(&[0], &[0]).expect("alike").len(), 0);
        let error = rows(&[3], &[2, 3]).expect_err("not alike");
        assert_eq!(error, "in one request input 'a' has 3 rows, and input 'b' has 2 rows");
        assert!(rows(&[3], &[]).expect_err("not alike").contains("'b' has no dimension"));
    }

    #[test]
    fn rows_that_are_not_alike_are_not_joined() {
        let row = |dims: &[u64]| vec![Some(numbers(dims)), None];
        assert!(alike(&row(&[1, 2]), &row(&[1, 2])) && !alike(&row(&[1, 2]), &row(&[1, 3])));
        assert!(join(&[&row(&[1, 2]), &row(&[1, 3])]).is_none());
        assert!(join(&[&row(&[1, 2]), &vec![None, None]]).is_none());
        assert!(join(&[]).is_none());
        let joined = join(&[&row(&[1, 2]), &row(&[1, 2])]).expect("alike");
        assert_eq!(joined[0].as_ref().expect("an input").shape().dims(), [2, 2]);
        assert_eq!(joined[1], None);
    }

    proptest! {
        #[test]
        fn rows_put_together_again_are_the_same(
            dims in proptest::collection::vec(0_u64..4, 1..4),
            texts in any::<bool>(),
        ) {
            let mut tensor = numbers(&dims);
            if texts {
                let mut builder = StringTensorBuilder::default();
                for n in 0..tensor.elements() {
                    builder.push("x".repeat(n % 5).as_bytes()).expect("short");
                }
                tensor = Tensor::new(Datatype::Bytes, tensor.shape().clone(), builder.finish()).expect("counted");
            }
            let rows: Vec<Tensor> = (0..dims[0]).map(|at| cut(&tensor, at).expect("a row")).collect();
            prop_assert!(cut(&tensor, dims[0]).is_none());
            if let Some(joined) = stack(&rows.iter().collect::<Vec<_>>()) {
                prop_assert_eq!(joined, tensor);
            } else {
                prop_assert!(rows.is_empty());
            }
        }
    }
}
