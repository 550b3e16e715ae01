//! The codecs from outside: the conformance vectors of the REST protocols, round trips of every
//! datatype, input that is meant to do harm, and a fuzz target for each decoder.

mod bad_input;
mod fixtures;
mod fuzz;
mod round_trip;
mod v1;
mod v2;
