//! JSON on both sides of a tensor, with no tree between: values are pulled from the bytes of the
//! request into typed vectors, and written from tensors into the bytes of the answer.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `reader` | pulls objects, lists and plain values, and says where the text is wrong |
//! | `column` | typed vectors that grow element by element |
//! | `declared` | `data` of a declared shape, flat or nested (V2) |
//! | `inferred` | nested lists that make the shape themselves (V1) |
//! | `write` | elements as JSON text, flat or nested |

pub(crate) mod column;
pub(crate) mod declared;
pub(crate) mod inferred;
pub(crate) mod reader;
pub(crate) mod write;
