//! What is sent to a V2 server, over which protocol, and how its answers are judged.
//!
//! ```text
//! Endpoint  where the server is           Source  where inputs come from: metadata, golden cases, a file
//! Model     what it says of a model       Input   tensors, and the right answer where it is known
//! Kind      form, transport and body      Call    an input as the bytes of one kind, with its judge
//! Connections                             sends calls and gives a verdict on each
//! ```
//!
//! Nothing here asks more of a server than the protocols do: headers of Pointsman are used where they
//! are there. A call is written once and sent many times, and an answer whose bytes were found right
//! before is right again, so that the load tester takes little of the machine that it measures on.

mod connections;
mod endpoint;
#[cfg(test)]
mod fixture;
mod input;
mod judge;
mod kind;
mod model;
mod prepare;
mod record;
mod source;
mod verdict;

pub(crate) use self::connections::{Came, Connections, Sent, Wiring};
pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::input::{Expected, Input};
pub(crate) use self::judge::message;
pub(crate) use self::kind::{Body, Form, Kind, Transport};
pub(crate) use self::model::Model;
pub(crate) use self::prepare::{Call, Request};
pub(crate) use self::source::Source;
#[cfg(test)]
pub(crate) use self::verdict::Fault;
pub(crate) use self::verdict::Verdict;
pub(crate) use crate::client::line::Manner;
