//! The sample log: what a share of all requests asked and was answered, one row for each example, in Parquet files.
//!
//! ```text
//! Sampler -> Record -> Layout (redacts) -> spool (Arrow, append only) -> part (Parquet) -> Reader
//! ```
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Sampler`] | says which requests are kept, and with which probability each was |
//! | [`Layout`] | which columns the rows of a version have, and what of each value may be written |
//! | [`Writer`] | takes records in, writes them to the spool, and says what became of each |
//! | [`Store`] | makes parts of spool files, keeps to the bounds of disk and age, deletes rows |
//! | [`Destination`] | where parts lie; [`Directory`] is one |
//! | [`Reader`] | reads parts and spool, batch by batch |
//!
//! Nothing here asks for the time or draws a random number: whoever calls says what time it is.
//!
//! What [`Writer`] says is written was handed to the system by `write(2)`: it is there after the process was killed at
//! any moment. It is on the disk after the next [`Writer::sync`], so that a loss of power costs what was written since.

mod account;
mod class;
mod destination;
#[cfg(debug_assertions)]
mod fault;
mod frame;
mod gate;
mod json;
mod kept;
mod layout;
mod open;
mod part;
mod reader;
mod record;
mod redactor;
mod replayed;
mod rows;
mod sampler;
mod scan;
mod spool_files;
mod store;
mod values;
mod writer;

pub use account::{Account, Loss, Standing};
pub use class::{Class, Classes};
pub use destination::{Destination, Directory, Part};
pub use json::rows_as_json;
pub(crate) use layout::{
    ANSWERS_KEY, INPUT, OUTPUT, PARAMETER, REDACTED_KEY, SAMPLING_KEY, SLICE, SLICES_KEY,
};
pub use layout::{Layout, MODEL, Made, PROBABILITY, REQUEST_ID, TIME, UNIT_HASH};
pub use part::PartName;
pub use reader::{Batches, Cursor, ReadError, Reader};
pub use record::{Drawn, Origin, Record, ShadowAnswer};
pub use redactor::HashKey;
pub(crate) use replayed::tensor_of;
pub use replayed::{Unlogged, inputs_of};
pub use sampler::{Chosen, Rates, Rule, Sampler};
pub use store::{Deleted, Retention, Store, Subject, Swept};
pub use writer::{Bounds, Writer};
