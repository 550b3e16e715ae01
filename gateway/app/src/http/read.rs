//! Reading request bodies within their bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use pointsman_core::PredictError;
use pointsman_predict::Permit;

const WHAT: &str = "the body";
/// The key of the limit, for the message.
pub(crate) const BODY_KEY: &str = "limits.body_bytes_max";

/// The most room that is made for a body before it has come.
const RESERVED_MAX: usize = 1 << 20;

/// How long the rest of a refused body is read.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The length that the headers declare; nothing where they do not, or what they say is no number.
pub(crate) fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body by its declared length, before a byte of it is read.
///
/// # Errors
/// [`PredictError::TooLarge`].
pub(crate) fn check_length(declared: Option<usize>, max: usize) -> Result<(), PredictError> {
    match declared {
        Some(length) if length > max => Err(too_large(max)),
        _ => Ok(()),
    }
}

/// Reads a body to its end. Memory is taken as bytes come, for what was declared up to a mebibyte and once its
/// second piece is there; bytes beyond the declared length are taken from the budget as they come.
///
/// # Errors
/// [`PredictError`] where the body is too large, breaks off or takes too long.
pub(crate) async fn read_body(
    body: &mut Incoming,
    max: usize,
    timeout: Duration,
    permit: &mut Permit,
) -> Result<Bytes, PredictError> {
    match tokio::time::timeout(timeout, collect(body, max, permit)).await {
        Ok(body) => body,
        Err(_) => Err(PredictError::BadRequest(format!(
            "the body did not come within {timeout:?} (limits.body_timeout)"
        ))),
    }
}

async fn collect(body: &mut Incoming, max: usize, permit: &mut Permit) -> Result<Bytes, PredictError> {
    let Some(first) = next(body, 0, max, permit).await? else { return Ok(Bytes::new()) };
    // Small bodies come in one piece, and that is used as it is.
    let Some(second) = next(body, first.len(), max, permit).await? else { return Ok(first) };
    // Its declared length is held of the budget; more than a little of it is taken only as bytes come.
    let expected =
        permit.bytes().clamp(first.len() + second.len(), RESERVED_MAX.max(first.len() + second.len()));
    let mut whole = BytesMut::with_capacity(expected);
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(chunk) = next(body, whole.len(), max, permit).await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The next bytes of a body of which `so_far` have come.
async fn next(
    body: &mut Incoming,
    so_far: usize,
    max: usize,
    permit: &mut Permit,
) -> Result<Option<Bytes>, PredictError> {
    loop {
        if http_body::Body::is_end_stream(body) {
            return Ok(None);
        }
        let frame = match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => frame,
            Some(Err(_)) => return Err(PredictError::BadRequest("the body breaks off".into())),
        };
        // Trailers mean nothing here.
        let Ok(data) = frame.into_data() else { continue };
        let total = so_far.saturating_add(data.len());
        if total > max {
            return Err(too_large(max));
        }
        let beyond = total.saturating_sub(permit.bytes());
        permit.grow(beyond)?;
        if !data.is_empty() {
            return Ok(Some(data));
        }
    }
}

/// Lets go of a refused body. Over HTTP/1 what is left of it is read on, for a while and keeping nothing: many
/// clients look for an answer once they have sent everything, and a connection that is closed before has none for
/// them; one that waits to be asked sends none. HTTP/2 tells the client to stop (RFC 9113, section 8.1).
pub(crate) fn discard(mut body: Incoming, head: &Parts, is_asked_for: bool) {
    let is_sent = is_asked_for || !head.headers.contains_key(header::EXPECT);
    if head.version >= Version::HTTP_2 || !is_sent || http_body::Body::is_end_stream(&body) {
        return;
    }
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, rest).await;
    });
}

fn too_large(limit: usize) -> PredictError {
    PredictError::TooLarge { what: WHAT, limit, key: BODY_KEY }
}
