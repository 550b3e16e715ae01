//! One tensor: a datatype, a shape and its bytes, row-major and little-endian.

use bytemuck::Pod;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::shape::Shape;
use crate::strings::{StringElements, count_strings};

/// The datatypes of the V2 protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // the protocol's own names; `name`, `size` and the README's table say the rest
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

impl Datatype {
    /// All of them, in the order of the protocol's table.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The protocol's name, as it stands in requests and metadata.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// Reads the protocol's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Bytes per element; nothing for BYTES, whose elements carry their length.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }
}

impl std::fmt::Display for Datatype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A tensor whose bytes agree with its datatype and shape.
///
/// Cloning shares the bytes. They are aligned for the datatype, so a runtime can use them in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    datatype: Datatype,
    shape: Shape,
    data: Bytes,
}

/// Why bytes are no tensor of the datatype and shape that came with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The product of the dimensions is beyond what memory can address.
    #[error("shape {shape} has more elements than can be addressed")]
    ShapeOverflow {
        /// The declared shape.
        shape: Shape,
    },
    /// The bytes are too few or too many.
    #[error("{datatype} of shape {shape} takes {expected} bytes, got {found}")]
    Length {
        /// The declared datatype.
        datatype: Datatype,
        /// The declared shape.
        shape: Shape,
        /// Bytes that datatype and shape call for.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A BYTES tensor holds another number of elements than its shape says.
    #[error("BYTES of shape {shape} takes {expected} elements, got {found}")]
    StringCount {
        /// The declared shape.
        shape: Shape,
        /// Elements that the shape calls for.
        expected: usize,
        /// Elements that came.
        found: usize,
    },
    /// The length before an element of a BYTES tensor points past the end of the data.
    #[error("BYTES data breaks off at element {element}: its length prefix points past the end")]
    StringTruncated {
        /// Index of the element, from 0.
        element: usize,
    },
    /// One string is too long for the length prefix.
    #[error("an element of a BYTES tensor is longer than 4 GiB")]
    StringTooLong,
    /// A BOOL is one byte, 0 or 1.
    #[error("a BOOL element is 0 or 1, got {found} at element {element}")]
    NotABool {
        /// Index of the element, from 0.
        element: usize,
        /// The byte that came.
        found: u8,
    },
}

impl Tensor {
    /// Puts bytes to a datatype and a shape. They are copied only where they are misaligned.
    ///
    /// # Errors
    /// [`TensorError`] where the number of bytes (or of strings) is not what the shape calls for,
    /// or a BOOL is neither 0 nor 1.
    pub fn new(datatype: Datatype, shape: Shape, data: Bytes) -> Result<Self, TensorError> {
        let Some(elements) = shape.elements() else {
            return Err(TensorError::ShapeOverflow { shape });
        };
        match datatype.size() {
            Some(size) => {
                let Some(expected) = elements.checked_mul(size) else {
                    return Err(TensorError::ShapeOverflow { shape });
                };
                if data.len() != expected {
                    return Err(TensorError::Length { datatype, shape, expected, found: data.len() });
                }
                if datatype == Datatype::Bool {
                    check_bools(&data)?;
                }
                Ok(Self { datatype, shape, data: aligned(data, size) })
            }
            None => {
                let found = count_strings(&data)?;
                if found != elements {
                    return Err(TensorError::StringCount { shape, expected: elements, found });
                }
                Ok(Self { datatype, shape, data })
            }
        }
    }

    /// A tensor of numbers, taking the vector over without a copy.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn from_vec<T: Pod + Send + Sync>(
        datatype: Datatype,
        shape: Shape,
        values: Vec<T>,
    ) -> Result<Self, TensorError> {
        Self::new(datatype, shape, Bytes::from_owner(PodBytes(values)))
    }

    /// The datatype of the elements.
    #[must_use]
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// The dimensions.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The bytes: packed, row-major, little-endian; BYTES with a `u32` length before each element.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// A copy in memory of its own: it keeps no larger buffer alive that this one is a part of.
    #[must_use]
    pub fn detached(&self) -> Self {
        let data = aligned(Bytes::copy_from_slice(&self.data), self.datatype.size().unwrap_or(1));
        Self { datatype: self.datatype, shape: self.shape.clone(), data }
    }

    /// How many elements there are.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.elements().unwrap_or(0)
    }

    /// The elements as `T`, in place; nothing where `T` is not of the datatype's size.
    #[must_use]
    pub fn values<T: Pod>(&self) -> Option<&[T]> {
        if self.datatype.size() != Some(size_of::<T>()) {
            return None;
        }
        bytemuck::try_cast_slice(&self.data).ok()
    }

    /// The elements of a BYTES tensor; nothing for other datatypes.
    #[must_use]
    pub fn strings(&self) -> Option<StringElements<'_>> {
        (self.datatype == Datatype::Bytes).then(|| StringElements::new(&self.data))
    }
}

/// Owns a vector of numbers and shows it as bytes.
struct PodBytes<T>(Vec<T>);

impl<T: Pod> AsRef<[u8]> for PodBytes<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// The same bytes at an address that is a multiple of `align`, copied only where they are not.
fn aligned(data: Bytes, align: usize) -> Bytes {
    if data.as_ptr().addr().is_multiple_of(align) {
        return data;
    }
    // Word by word, so that nothing is written twice: a tensor may be large.
    let (chunks, rest) = data.as_chunks::<{ size_of::<u64>() }>();
    let mut words = Vec::with_capacity(chunks.len() + 1);
    words.extend(chunks.iter().map(|chunk| u64::from_ne_bytes(*chunk)));
    if !rest.is_empty() {
        let mut last = [0; size_of::<u64>()];
        last[..rest.len()].copy_from_slice(rest);
        words.push(u64::from_ne_bytes(last));
    }
    Bytes::from_owner(PodBytes(words)).slice(..data.len())
}

/// Any other byte than 0 and 1 is no `bool`, and runtimes may misbehave on it.
fn check_bools(data: &[u8]) -> Result<(), TensorError> {
    match data.iter().position(|&b| b > 1) {
        Some(element) => Err(TensorError::NotABool { element, found: data[element] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::StringTensorBuilder;

    fn shape(dims: &[u64]) -> Shape {
        Shape::new(dims).expect("within the rank limit")
    }

    #[test]
    fn names_round_trip() {
        for d in Datatype::ALL {
            assert_eq!(Datatype::parse(d.name()), Some(d));
        }
        assert_eq!(Datatype::parse("fp32"), None);
    }

    #[test]
    fn misaligned_bytes_are_copied_and_aligned_ones_shared() {
        let body = Bytes::from(vec![0_u8; 64]);
        let offset = (0..8).find(|o| (body.as_ptr().addr() + o) % 8 == 0).expect("one of eight");
        let shared = Tensor::new(Datatype::Fp64, shape(&[1]), body.slice(offset..offset + 8)).expect("fits");
        assert_eq!(shared.data().as_ptr(), body[offset..].as_ptr());
        let copied =
            Tensor::new(Datatype::Fp64, shape(&[1]), body.slice(offset + 1..offset + 9)).expect("fits");
        assert_eq!(copied.data().as_ptr().addr() % 8, 0);
        assert_eq!(copied.values::<f64>(), Some(&[0.0][..]));
    }

    #[test]
    fn a_detached_tensor_lets_the_buffer_go_that_it_was_part_of() {
        struct Body(std::sync::Arc<[u64]>);
        impl AsRef<[u8]> for Body {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let words: std::sync::Arc<[u64]> = vec![1, 2, 3].into();
        let body = Bytes::from_owner(Body(words.clone()));
        let part = Tensor::new(Datatype::Uint64, shape(&[1]), body.slice(8..16)).expect("fits");
        let detached = part.detached();
        assert_eq!((&detached, detached.values::<u64>()), (&part, Some(&[2][..])));
        drop((part, body));
        assert_eq!(std::sync::Arc::strong_count(&words), 1);
    }

    #[test]
    fn wrong_lengths_are_named() {
        let error = Tensor::new(Datatype::Fp32, shape(&[2, 2]), Bytes::from_static(&[0; 15])).unwrap_err();
        assert_eq!(error.to_string(), "FP32 of shape [2,2] takes 16 bytes, got 15");
        let error = Tensor::new(Datatype::Int64, shape(&[1 << 62, 2]), Bytes::new()).unwrap_err();
        assert!(matches!(error, TensorError::ShapeOverflow { .. }));
        let error = Tensor::new(Datatype::Bool, shape(&[2]), Bytes::from_static(&[1, 2])).unwrap_err();
        assert_eq!(error, TensorError::NotABool { element: 1, found: 2 });
        let error =
            Tensor::new(Datatype::Bytes, shape(&[1]), Bytes::from_static(&[9, 0, 0, 0, 1])).unwrap_err();
        assert_eq!(error, TensorError::StringTruncated { element: 0 });
        let error = Tensor::new(Datatype::Bytes, shape(&[2]), Bytes::from_static(&[0, 0, 0, 0])).unwrap_err();
        assert!(matches!(error, TensorError::StringCount { expected: 2, found: 1, .. }));
    }

    proptest! {
        #[test]
        fn strings_round_trip(elements in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let mut builder = StringTensorBuilder::default();
            for e in &elements {
                builder.push(e).expect("short");
            }
            let tensor = Tensor::new(Datatype::Bytes, shape(&[elements.len() as u64]), builder.finish()).expect("counted");
            let back: Vec<Vec<u8>> = tensor.strings().expect("BYTES").map(<[u8]>::to_vec).collect();
            prop_assert_eq!(back, elements);
        }

        #[test]
        fn arbitrary_string_data_never_panics(data in proptest::collection::vec(any::<u8>(), 0..64), count in 0_u64..8) {
            let _ = Tensor::new(Datatype::Bytes, shape(&[count]), Bytes::from(data));
        }
    }
}
