//! External data: where a tensor says that its bytes are, and whether that may be.

use super::schema::TensorProto;
use crate::location::{self, LocationFault};

/// A place outside the model that holds the bytes of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct External {
    /// The file, as the model calls it.
    pub(super) file: String,
    /// The bytes that the file must at least have.
    pub(super) bytes_min: u64,
}

/// What is wrong with the place. Each reads on from "external data of tensor 'x'".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalFault {
    /// A key that ONNX does not have.
    #[error("has the unknown key '{0}'")]
    Key(String),
    /// A key that stands there twice.
    #[error("has the key '{0}' twice")]
    Twice(String),
    /// No file.
    #[error("names no file")]
    NoLocation,
    /// A file that is not in the version's folder.
    #[error("names the file '{location}', which {fault}")]
    Location {
        /// The file as it stands there.
        location: String,
        /// What is wrong with it.
        fault: LocationFault,
    },
    /// An offset or a length that is no whole number from zero on.
    #[error("has {key} '{value}'")]
    Number {
        /// `offset` or `length`.
        key: &'static str,
        /// What stands there.
        value: String,
    },
    /// A length that is not that of the tensor.
    #[error("takes {expected} bytes by the tensor's dimensions, and its length is {found}")]
    Length {
        /// Bytes that the dimensions call for.
        expected: u64,
        /// Bytes that it says.
        found: u64,
    },
    /// Texts cannot be external.
    #[error("holds texts")]
    Text,
    /// The tensor has bytes in the model as well.
    #[error("stands beside data in the model")]
    Inline,
    /// The end of the data is beyond what a file can have.
    #[error("ends past the largest file")]
    Overflow,
}

/// Checks the place where a tensor of `bytes` bytes says that they are.
pub(super) fn check(tensor: &TensorProto, bytes: u64, text: bool) -> Result<External, ExternalFault> {
    let mut location = None;
    let (mut offset, mut length) = (None, None);
    for entry in &tensor.external_data {
        let again = match entry.key.as_str() {
            "location" => location.replace(entry.value.clone()).is_some(),
            "offset" => offset.replace(number("offset", &entry.value)?).is_some(),
            "length" => length.replace(number("length", &entry.value)?).is_some(),
            // Known, and of no meaning here: the files have digests of their own, and one folder.
            "checksum" | "basepath" => false,
            _ => return Err(ExternalFault::Key(crate::problem::one_line(&entry.key))),
        };
        if again {
            return Err(ExternalFault::Twice(entry.key.clone()));
        }
    }
    let file = location.ok_or(ExternalFault::NoLocation)?;
    if let Err(fault) = location::check(&file) {
        return Err(ExternalFault::Location { location: crate::problem::one_line(&file), fault });
    }
    if text {
        return Err(ExternalFault::Text);
    }
    if tensor.raw_data.as_ref().is_some_and(|raw| !raw.is_empty()) {
        return Err(ExternalFault::Inline);
    }
    if let Some(found) = length
        && found != bytes
    {
        return Err(ExternalFault::Length { expected: bytes, found });
    }
    let bytes_min = offset.unwrap_or(0).checked_add(bytes).ok_or(ExternalFault::Overflow)?;
    Ok(External { file, bytes_min })
}

fn number(key: &'static str, value: &str) -> Result<u64, ExternalFault> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| value.parse().ok())
        .flatten()
        .ok_or_else(|| ExternalFault::Number { key, value: crate::problem::one_line(value) })
}
