//! Tensors taken apart by their first dimension, and put together again.

use pointsman_core::{Dim, Signature, Tensor};
use pointsman_predict::rows;

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
    rows::slice(tensor, at, 1)
}

/// Rows as one request, by the code that serves; nothing where they are not alike.
pub(super) fn join(rows: &[&Row]) -> Option<Row> {
    rows::join(&rows.iter().map(|row| row.as_slice()).collect::<Vec<_>>())
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
    use pointsman_core::{Datatype, Shape, TensorSpec};

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
    fn rows_are_alike_in_every_dimension() {
        let row = |dims: &[u64]| vec![Some(numbers(dims)), None];
        assert!(alike(&row(&[1, 2]), &row(&[1, 2])) && !alike(&row(&[1, 2]), &row(&[1, 3])));
        assert!(!alike(&row(&[1, 2]), &vec![None, None]));
    }
}
