//! The maxima that decoding holds to. Every one is a key of the configuration's `[limits]`.

/// What a request may be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body, also after it is unpacked.
    pub body_bytes_max: usize,
    /// Input tensors, and requested outputs, of one request.
    pub tensors_max: usize,
    /// Parameters of one request or tensor.
    pub parameters_max: usize,
    /// Bytes of one name, id or parameter text.
    pub text_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: 64 << 20, tensors_max: 256, parameters_max: 64, text_bytes_max: 4096 }
    }
}
