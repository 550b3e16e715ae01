//! Protobuf to messages, with a bound on how many parts a message may have.
//!
//! An empty input takes 2 bytes on the wire and some 300 in memory, so a body that is within the
//! limit on bytes can still fill the memory with parts, before there is a message whose parts could
//! be counted. Hence they are counted first, on the bytes.

use std::marker::PhantomData;

use bytes::Buf;
use pointsman_core::PredictError;
use prost::{Message, decode_length_delimiter};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use crate::grpc::error::status;

/// The most fields that stand directly in one message. Requests have a few hundred at most; answers
/// that list every version of a registry may have thousands.
pub const FIELDS_MAX: usize = 1 << 16;

/// The most fields inside the inputs of one message, their typed elements that are strings among
/// them: each takes 32 bytes or more in memory and 2 on the wire. Larger tensors of strings come raw.
pub const NESTED_FIELDS_MAX: usize = 1 << 20;

/// The codec of the generated service and client.
#[derive(Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

/// Decodes messages of at most [`FIELDS_MAX`] fields.
#[derive(Debug)]
pub struct BoundedDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        decode(source).map(Some).map_err(|error| status(&error))
    }
}

/// Counts, then decodes a message that `source` holds in one piece, as tonic's buffers do.
///
/// # Errors
/// [`PredictError::BadRequest`] for more than [`FIELDS_MAX`] fields and for what is no such message.
pub fn decode<U: Message + Default>(source: &mut impl Buf) -> Result<U, PredictError> {
    if fields(source.chunk()) > FIELDS_MAX {
        return Err(PredictError::BadRequest(format!("the message has more than {FIELDS_MAX} fields")));
    }
    if nested_fields(source.chunk(), INPUT_LEVELS) > NESTED_FIELDS_MAX {
        let what =
            format!("the inputs of the message have more than {NESTED_FIELDS_MAX} fields: send them raw");
        return Err(PredictError::BadRequest(what));
    }
    U::decode(source).map_err(|error| PredictError::BadRequest(error.to_string()))
}

/// How many fields stand directly in a message, up to the first place where it is malformed: there
/// decoding will stop as well.
fn fields(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some(after) = skip_field(rest) {
        rest = after;
        count += 1;
    }
    count
}

/// The field of a request that holds its inputs, and that of an input which holds its contents: both
/// are number 5, length-delimited.
const NESTING_KEY: u8 = 5 << 3 | 2;
/// Inputs, and contents in them.
const INPUT_LEVELS: u32 = 2;

/// How many fields there are inside the fields of [`NESTING_KEY`], down to `levels`.
fn nested_fields(mut rest: &[u8], levels: u32) -> usize {
    let mut count = 0;
    while let Some(after) = skip_field(rest) {
        let field = &rest[..rest.len() - after.len()];
        rest = after;
        if levels > 0 && field.first() == Some(&NESTING_KEY) {
            let mut inside = &field[1..];
            // The length was read once already, so it is well formed.
            if decode_length_delimiter(&mut inside).is_ok() {
                count += fields(inside) + nested_fields(inside, levels - 1);
            }
        }
    }
    count
}

/// What follows the first field; nothing where there is none, or none that is well formed.
fn skip_field(mut rest: &[u8]) -> Option<&[u8]> {
    const WIRE_TYPE: usize = 0b111;
    let key = decode_length_delimiter(&mut rest).ok()?;
    let size = match key & WIRE_TYPE {
        0 => {
            decode_length_delimiter(&mut rest).ok()?;
            0
        }
        1 => 8,
        2 => decode_length_delimiter(&mut rest).ok()?,
        // The ends of a group, a form that proto3 does not write: what is inside counts as well.
        3 | 4 => 0,
        5 => 4,
        _ => return None,
    };
    rest.get(size..)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::grpc::proto::model_infer_request::InferInputTensor;
    use crate::grpc::proto::{InferTensorContents, ModelInferRequest, ServerLiveRequest};

    #[test]
    fn strings_in_typed_contents_are_counted_too() {
        let message = |strings| {
            let contents =
                InferTensorContents { bytes_contents: vec![Bytes::new(); strings], ..Default::default() };
            let input = InferInputTensor { contents: Some(contents), ..InferInputTensor::default() };
            ModelInferRequest { inputs: vec![input], ..ModelInferRequest::default() }.encode_to_vec()
        };
        // One field more is the contents themselves.
        assert!(decode::<ModelInferRequest>(&mut Bytes::from(message(NESTED_FIELDS_MAX - 1))).is_ok());
        let error = decode::<ModelInferRequest>(&mut Bytes::from(message(NESTED_FIELDS_MAX))).unwrap_err();
        assert!(error.to_string().contains("1048576 fields"), "{error}");
    }

    #[test]
    fn the_most_parts_pass_and_one_more_does_not() {
        let parts = |count| ModelInferRequest {
            inputs: vec![InferInputTensor::default(); count],
            ..ModelInferRequest::default()
        };
        let most = parts(FIELDS_MAX).encode_to_vec();
        let decoded = decode::<ModelInferRequest>(&mut Bytes::from(most)).expect("at the limit");
        assert_eq!(decoded.inputs.len(), FIELDS_MAX);
        let over = parts(FIELDS_MAX + 1).encode_to_vec();
        let error = decode::<ModelInferRequest>(&mut Bytes::from(over)).unwrap_err();
        assert_eq!(error.to_string(), "the message has more than 65536 fields");
    }

    #[test]
    fn large_fields_count_as_one() {
        let message = ModelInferRequest {
            model_name: "m".into(),
            raw_input_contents: vec![Bytes::from(vec![0x2a; 1 << 20]); 2],
            ..ModelInferRequest::default()
        };
        assert_eq!(fields(&message.encode_to_vec()), 3);
    }

    #[test]
    fn every_wire_type_is_skipped() {
        // varint, 64-bit, length-delimited, group start and end, 32-bit
        let message =
            [0x08, 0x96, 0x01, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 1, 9, 0x23, 0x24, 0x2d, 0, 0, 0, 0];
        assert_eq!(fields(&message), 6);
        assert_eq!(fields(&message[..message.len() - 1]), 5);
        assert_eq!(fields(&[]), 0);
        assert_eq!(fields(&[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), 0);
    }

    #[test]
    fn what_is_no_protobuf_is_a_bad_request() {
        let error = decode::<ServerLiveRequest>(&mut Bytes::from_static(&[0xff])).unwrap_err();
        assert_eq!(status(&error).code(), tonic::Code::InvalidArgument);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_counted_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let count = fields(&bytes);
            prop_assert!(count <= bytes.len());
            let _ = decode::<ModelInferRequest>(&mut Bytes::from(bytes));
        }
    }
}
