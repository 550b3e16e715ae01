//! The end-to-end tests, in one binary.

mod docs;
mod smoke;
