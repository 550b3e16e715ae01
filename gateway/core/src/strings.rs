//! Tensors of byte strings, in the form that V2 gives them on the wire.

use bytes::{BufMut, Bytes, BytesMut};

use crate::tensor::TensorError;

/// Bytes of the length that stands before each element.
const PREFIX: usize = 4;

/// Walks the elements of a BYTES tensor: each is a little-endian `u32` length and that many bytes.
#[derive(Clone, Debug)]
pub struct StringElements<'a> {
    rest: &'a [u8],
}

impl<'a> StringElements<'a> {
    /// Walks `data`, which [`count_strings`] has accepted.
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }
}

impl<'a> Iterator for StringElements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.rest.split_first_chunk::<PREFIX>()?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(*prefix) as usize)?;
        self.rest = rest;
        Some(element)
    }
}

/// Counts the elements of a BYTES tensor's data, or says at which element it breaks off.
pub(crate) fn count_strings(data: &[u8]) -> Result<usize, TensorError> {
    let mut elements = StringElements::new(data);
    let count = elements.by_ref().count();
    if elements.rest.is_empty() { Ok(count) } else { Err(TensorError::StringTruncated { element: count }) }
}

/// Builds the data of a BYTES tensor, element by element.
#[derive(Debug, Default)]
pub struct StringTensorBuilder {
    data: BytesMut,
}

impl StringTensorBuilder {
    /// A builder with room for `elements` strings of `bytes` in all.
    #[must_use]
    pub fn with_capacity(elements: usize, bytes: usize) -> Self {
        Self { data: BytesMut::with_capacity(elements.saturating_mul(PREFIX).saturating_add(bytes)) }
    }

    /// Appends one element.
    ///
    /// # Errors
    /// [`TensorError::StringTooLong`] where it is longer than a `u32` can say.
    pub fn push(&mut self, element: &[u8]) -> Result<(), TensorError> {
        let length = u32::try_from(element.len()).map_err(|_| TensorError::StringTooLong)?;
        self.data.reserve(PREFIX + element.len());
        self.data.put_u32_le(length);
        self.data.put_slice(element);
        Ok(())
    }

    /// The finished data, to be given to [`crate::Tensor::new`].
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.data.freeze()
    }
}
