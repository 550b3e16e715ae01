//! The binary tensor extension: where the JSON of a body ends, and the tensors behind it.

use bytes::Bytes;
use pointsman_core::{
    Datatype, Dim, InputTensor, PredictError, Shape, Signature, StringTensorBuilder, Tensor, TensorSpec,
};

use pointsman_core::shown;

/// What a body is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyParts {
    /// JSON of this many bytes, and blobs behind it.
    Json { json_bytes: usize },
    /// One tensor and nothing else.
    Raw,
}

/// Reads the header that says how many bytes are JSON; without it, all are.
pub(super) fn split(header_length: Option<&str>, body: &[u8]) -> Result<BodyParts, PredictError> {
    let Some(text) = header_length else {
        return Ok(BodyParts::Json { json_bytes: body.len() });
    };
    let text = text.trim();
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
    match number {
        Some(0) => Ok(BodyParts::Raw),
        Some(json_bytes) if json_bytes <= body.len() => Ok(BodyParts::Json { json_bytes }),
        _ => Err(PredictError::BadRequest(format!(
            "inference header size should be in range (0, {}), got: {}",
            body.len(),
            shown(text)
        ))),
    }
}

/// The blobs behind the JSON, which are taken in the order of the inputs. No padding stands
/// between them, so one may start at any address.
pub(super) struct Tail<'a> {
    rest: Bytes,
    /// For messages.
    model: &'a str,
}

impl<'a> Tail<'a> {
    pub(super) fn new(rest: Bytes, model: &'a str) -> Self {
        Self { rest, model }
    }

    /// The next `bytes` bytes, as a view.
    pub(super) fn take(&mut self, input: &str, bytes: u64) -> Result<Bytes, PredictError> {
        let found = self.rest.len();
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= found => Ok(self.rest.split_to(bytes)),
            _ => Err(PredictError::BadRequest(format!(
                "unexpected size for input '{}', expecting {} additional bytes for model '{}'",
                shown(input),
                bytes.saturating_sub(found as u64),
                self.model
            ))),
        }
    }

    /// Checks that nothing is left.
    pub(super) fn finish(self) -> Result<(), PredictError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(PredictError::BadRequest(format!(
            "unexpected additional input data for model '{}': {} bytes behind the last input",
            self.model,
            self.rest.len()
        )))
    }
}

/// Makes the whole body the tensor of the model's only input (header length 0). The one dimension
/// that is open is worked out from the number of bytes.
pub(super) fn raw_input(
    body: Bytes,
    signature: &Signature,
    model: &str,
) -> Result<InputTensor, PredictError> {
    let [spec] = signature.inputs.as_slice() else {
        let found = signature.inputs.len();
        return Err(PredictError::BadRequest(format!(
            "Raw request must only have 1 input (found {found}) to be deduced but got {found} inputs in '{model}' model"
        )));
    };
    let refuse = |reason: String| {
        PredictError::BadRequest(format!(
            "raw request for input '{}' of model '{model}': {reason}",
            spec.name
        ))
    };
    let tensor = match spec.datatype.size() {
        Some(size) => {
            let shape = raw_shape(spec, size, body.len()).map_err(refuse)?;
            Tensor::new(spec.datatype, shape, body)
        }
        None => {
            let shape = one_element(spec).map_err(refuse)?;
            let mut builder = StringTensorBuilder::with_capacity(1, body.len());
            builder.push(&body).map_err(|e| refuse(e.to_string()))?;
            Tensor::new(Datatype::Bytes, shape, builder.finish())
        }
    };
    let tensor = tensor.map_err(|e| refuse(e.to_string()))?;
    Ok(InputTensor { name: spec.name.to_string(), tensor })
}

/// The shape of `bytes` bytes in elements of `size`. The only open dimension takes what is there;
/// of two, the first is a batch of one.
fn raw_shape(spec: &TensorSpec, size: usize, bytes: usize) -> Result<Shape, String> {
    let Some(declared) = &spec.shape else {
        return Shape::new(&[(bytes / size) as u64]).ok_or_else(too_many_dimensions);
    };
    let open: Vec<usize> =
        declared.iter().enumerate().filter(|(_, d)| matches!(d, Dim::Dynamic(_))).map(|(i, _)| i).collect();
    let resolved = match open.as_slice() {
        [] => None,
        [only] => Some(*only),
        [0, second] => Some(*second),
        _ => return Err(format!("{} dimensions are open, and at most one can be worked out", open.len())),
    };
    let mut dims: Vec<u64> =
        declared.iter().map(|d| if let Dim::Fixed(fixed) = d { *fixed } else { 1 }).collect();
    if let Some(index) = resolved {
        let product = dims.iter().try_fold(size as u64, |product, &d| product.checked_mul(d));
        dims[index] = match product {
            Some(row @ 1..) if (bytes as u64).is_multiple_of(row) => bytes as u64 / row,
            _ => return Err(format!("{bytes} bytes are no whole number of rows of the declared shape")),
        };
    }
    Shape::new(&dims).ok_or_else(too_many_dimensions)
}

/// The shape of the single string that a raw BYTES request is.
fn one_element(spec: &TensorSpec) -> Result<Shape, String> {
    let Some(declared) = &spec.shape else {
        return Shape::new(&[1]).ok_or_else(too_many_dimensions);
    };
    if declared.iter().any(|d| matches!(d, Dim::Fixed(fixed) if *fixed != 1)) {
        return Err("the body is one string, and the declared shape takes more".into());
    }
    Shape::new(&vec![1; declared.len()]).ok_or_else(too_many_dimensions)
}

fn too_many_dimensions() -> String {
    format!("the declared shape has more than {} dimensions", Shape::RANK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_where_the_json_ends() {
        let body = [0_u8; 10];
        assert_eq!(split(None, &body), Ok(BodyParts::Json { json_bytes: 10 }));
        assert_eq!(split(Some("0"), &body), Ok(BodyParts::Raw));
        assert_eq!(split(Some(" 10 "), &body), Ok(BodyParts::Json { json_bytes: 10 }));
        for bad in ["11", "-1", "+1", "x", "", "1.0", "99999999999999999999999"] {
            let error = split(Some(bad), &body).unwrap_err().to_string();
            assert_eq!(error, format!("inference header size should be in range (0, 10), got: {bad}"));
        }
    }

    fn raw(datatype: Datatype, shape: Option<Vec<Dim>>, body: &'static [u8]) -> Result<Vec<u64>, String> {
        let spec = TensorSpec { name: "x".into(), datatype, shape, optional: false, labels: None };
        let signature = Signature { inputs: vec![spec], outputs: Vec::new() };
        let input = raw_input(Bytes::from_static(body), &signature, "m").map_err(|e| e.to_string())?;
        Ok(input.tensor.shape().dims().to_vec())
    }

    #[test]
    fn a_raw_body_is_the_only_input() {
        let open = || Dim::Dynamic(None);
        let fp32 = Datatype::Fp32;
        assert_eq!(raw(fp32, Some(vec![open(), Dim::Fixed(4)]), &[0; 32]), Ok(vec![2, 4]));
        assert_eq!(raw(fp32, Some(vec![open(), open()]), &[0; 32]), Ok(vec![1, 8]));
        assert_eq!(raw(fp32, Some(vec![Dim::Fixed(2), Dim::Fixed(4)]), &[0; 32]), Ok(vec![2, 4]));
        assert_eq!(raw(fp32, None, &[0; 8]), Ok(vec![2]));
        assert_eq!(raw(fp32, Some(vec![]), &[0; 4]), Ok(vec![]));
        assert_eq!(raw(Datatype::Bytes, Some(vec![open(), Dim::Fixed(1)]), b"abc"), Ok(vec![1, 1]));
        for (datatype, shape, body) in [
            (fp32, Some(vec![open(), Dim::Fixed(4)]), &[0; 33][..]),
            (fp32, Some(vec![Dim::Fixed(2)]), &[0; 4]),
            (fp32, Some(vec![open(), open(), open()]), &[0; 4]),
            (fp32, Some(vec![open(), Dim::Fixed(0)]), &[]),
            (fp32, Some(vec![open(), Dim::Fixed(u64::MAX)]), &[0; 4]),
            (Datatype::Bytes, Some(vec![Dim::Fixed(2)]), b"abc"),
        ] {
            assert!(raw(datatype, shape.clone(), body).is_err(), "{shape:?}");
        }
        let error = raw_input(Bytes::new(), &Signature::default(), "m").unwrap_err().to_string();
        assert!(error.starts_with("Raw request must only have 1 input (found 0)"), "{error}");
    }
}
