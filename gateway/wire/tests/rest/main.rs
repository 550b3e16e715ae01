//! The REST codecs from outside: the conformance vectors of the protocols, round trips of every
//! datatype, and input that is meant to do harm.

mod bad_input;
mod fixtures;
mod round_trip;
mod v1;
mod v2;
