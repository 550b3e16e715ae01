//! The place in flight of a unary call, taken at its headers: before its message is read, unpacked
//! and decoded, which is done before the service is called.

use std::sync::{Arc, Mutex};

use pointsman_core::PredictError;
use tonic::{Code, Status};

use crate::exchange::Exchange;
use crate::http::BODY_KEY;

/// An exchange on its way from the headers to the service.
#[derive(Clone)]
pub(crate) struct Admitted(Arc<Mutex<Option<Exchange>>>);

impl Admitted {
    /// Sends an exchange on its way.
    #[must_use]
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self(Arc::new(Mutex::new(Some(exchange))))
    }

    /// Takes it over; nothing where somebody has.
    #[must_use]
    pub(crate) fn take(&self) -> Option<Exchange> {
        self.0.lock().ok()?.take()
    }
}

/// What the one table has for a status that says why a message never reached the service. It is
/// tonic's, or this gateway's own codec's, which says its code in the metadata.
#[must_use]
pub(crate) fn unread(status: &Status, body_bytes_max: usize) -> PredictError {
    let ours = status.metadata().contains_key("pointsman-code");
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted if !ours => {
            PredictError::TooLarge { what: "the message", limit: body_bytes_max, key: BODY_KEY }
        }
        Code::Unimplemented => PredictError::Unsupported(status.message().to_owned()),
        _ if ours => PredictError::BadRequest(status.message().to_owned()),
        _ => PredictError::BadRequest("the message is damaged or breaks off".into()),
    }
}
