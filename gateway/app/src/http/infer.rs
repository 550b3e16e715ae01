//! Predictions over REST: V2, and V1 with TF Serving's form.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use pointsman_core::{PredictError, Prediction, RequestId};
use pointsman_predict::{Pinned, Protocol};
use pointsman_wire::encoding::{Encoding, compress, decompress};
use pointsman_wire::route::Target;
use pointsman_wire::{v1 as wire_v1, v2 as wire_v2};

use super::Http;
use super::answer::{attribute, error, identify};
use super::body::AnswerBody;
use super::read::{check_length, declared_length, discard, read_body};
use crate::exchange::{Caller, Exchange, Received};
use crate::io_threads::aside;

/// The header that says for how many milliseconds the caller waits.
const TIMEOUT: HeaderName = HeaderName::from_static("pointsman-timeout-ms");
const HEADER_LENGTH: HeaderName = HeaderName::from_static(wire_v2::HEADER_LENGTH);
/// How many times as large bodies are taken to be once they are unpacked.
const UNPACKED_FACTOR: usize = 32;

/// `POST /v2/models/M/infer`.
pub(super) async fn v2(http: &Http, target: Target, request: Request<Incoming>) -> Response<AnswerBody> {
    predict(http, Protocol::V2Rest, target, request, async |exchange, target, headers, body| {
        let decode_from = Instant::now();
        let pinned = exchange.pin(&target.model, &target.version, headers)?;
        let call = decode_v2(http, target, exchange.id(), headers, body, &pinned).await?;
        let mut request = call.request;
        request.deadline = deadline(exchange, headers, call.timeout)?;
        let prediction = exchange.predict(pinned, headers, request, decode_from.elapsed()).await?;
        let encode_from = Instant::now();
        let (prediction, encoded) = aside(size(&prediction), move || {
            let encoded = wire_v2::encode_infer(&prediction, &call.form);
            encoded.map(|encoded| (prediction, encoded))
        })
        .await??;
        let mut response = body_of(headers, encoded.segments);
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static(encoded.content_type));
        if let Some(length) = encoded.header_length {
            head.insert(HEADER_LENGTH, HeaderValue::from(length));
        }
        Ok(Encoded { response, prediction, encode: encode_from.elapsed() })
    })
    .await
}

/// `POST /v1/models/M:predict`.
pub(super) async fn v1(http: &Http, target: Target, request: Request<Incoming>) -> Response<AnswerBody> {
    predict(http, Protocol::V1Rest, target, request, async |exchange, target, headers, body| {
        let decode_from = Instant::now();
        let pinned = exchange.pin(&target.model, &target.version, headers)?;
        let call = decode_v1(http, target, exchange.id(), body, &pinned).await?;
        let mut request = call.request;
        request.deadline = deadline(exchange, headers, None)?;
        let prediction = exchange.predict(pinned, headers, request, decode_from.elapsed()).await?;
        let encode_from = Instant::now();
        let (prediction, json) = aside(size(&prediction), move || {
            let json = wire_v1::encode_predict(&prediction, call.form);
            json.map(|json| (prediction, json))
        })
        .await??;
        let mut response = body_of(headers, vec![json]);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(wire_v2::JSON));
        Ok(Encoded { response, prediction, encode: encode_from.elapsed() })
    })
    .await
}

async fn decode_v2(
    http: &Http,
    target: Target,
    id: RequestId,
    headers: &HeaderMap,
    body: Bytes,
    pinned: &Pinned,
) -> Result<wire_v2::InferCall, PredictError> {
    let (gateway, version) = (http.gateway.clone(), pinned.version().clone());
    let Target { model, version: selector } = target;
    let header_length = text(headers, &HEADER_LENGTH)?.map(str::to_owned);
    // What follows the JSON is used as it is.
    let json_bytes = if header_length.is_some() { 0 } else { body.len() };
    let decode = move || {
        let spec = version.spec();
        let head = wire_v2::InferHead {
            id,
            nonfinite: spec.nonfinite.unwrap_or(gateway.nonfinite),
            model,
            version: selector,
            header_length: header_length.as_deref(),
        };
        wire_v2::decode_infer(head, body, &gateway.limits, || Ok(spec.signature.clone()))
    };
    aside(json_bytes, decode).await?
}

async fn decode_v1(
    http: &Http,
    target: Target,
    id: RequestId,
    body: Bytes,
    pinned: &Pinned,
) -> Result<wire_v1::PredictCall, PredictError> {
    let (gateway, version) = (http.gateway.clone(), pinned.version().clone());
    let Target { model, version: selector } = target;
    let body_bytes = body.len();
    let decode = move || {
        let head = wire_v1::PredictHead { id, model, version: selector };
        wire_v1::decode_predict(head, body, &gateway.limits, || Ok(version.signature().clone()))
    };
    aside(body_bytes, decode).await?
}

/// Bytes of the tensors of an answer.
fn size(prediction: &Prediction) -> usize {
    prediction.outputs.iter().map(|output| output.tensor.data().len()).sum()
}

/// An answer before it is sent.
struct Encoded {
    response: Response<AnswerBody>,
    prediction: Prediction,
    encode: Duration,
}

/// What both have in common: the door, the body, and how the exchange ends.
async fn predict(
    http: &Http,
    protocol: Protocol,
    target: Target,
    request: Request<Incoming>,
    answer: impl AsyncFnOnce(&mut Exchange, Target, &HeaderMap, Bytes) -> Result<Encoded, PredictError>,
) -> Response<AnswerBody> {
    let (head, mut body) = request.into_parts();
    let declared = declared_length(&head.headers);
    let caller = head.extensions.get::<Caller>().copied();
    let id = RequestId::generate();
    let received = Received::new(&http.gateway, id, protocol, &head.headers);
    let trace = received.trace_response();
    let mut exchange = match received.admit(declared, caller) {
        Ok(exchange) => exchange,
        Err(refused) => {
            discard(body, &head, false);
            http.gateway.refusals.pause(&refused).await;
            let mut response = error(&refused);
            identify(&mut response, id, trace);
            return response;
        }
    };
    let max = http.gateway.limits.body_bytes_max;
    // Which version that is may change until the body is there: it is picked again then.
    let entered = exchange.enter(&target.model, &target.version, &head.headers);
    let entered = entered.and_then(|_| check_length(declared, max));
    let is_asked_for = entered.is_ok();
    let answered = async {
        entered?;
        let body = read(http, &head.headers, &mut body, &mut exchange).await?;
        answer(&mut exchange, target, &head.headers, body).await
    };
    let mut response = match answered.await {
        Ok(Encoded { mut response, prediction, encode }) => {
            attribute(&mut response, &prediction);
            let answered = exchange.answered(&prediction, encode);
            response.map(|body| body.until_written(Some(answered)))
        }
        Err(refused) => {
            exchange.failed(&refused);
            discard(body, &head, is_asked_for);
            http.gateway.refusals.pause(&refused).await;
            error(&refused)
        }
    };
    identify(&mut response, id, trace);
    response
}

/// Reads and unpacks a body within its bounds.
async fn read(
    http: &Http,
    headers: &HeaderMap,
    body: &mut Incoming,
    exchange: &mut Exchange,
) -> Result<Bytes, PredictError> {
    let max = http.gateway.limits.body_bytes_max;
    let body = read_body(body, max, http.body_timeout, exchange.permit()).await?;
    let encoding = text(headers, &header::CONTENT_ENCODING)?;
    if encoding.is_none() {
        return Ok(body);
    }
    let packed = body.len();
    let encoding = encoding.map(str::to_owned);
    let unpacked =
        aside(packed.saturating_mul(UNPACKED_FACTOR), move || decompress(encoding.as_deref(), body, max))
            .await??;
    exchange.permit().grow(unpacked.len().saturating_sub(packed))?;
    Ok(unpacked)
}

/// The value of a header that has to be text.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, PredictError> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| PredictError::BadRequest(format!("the header {name} is not text")))
}

/// The moment at which the caller stops waiting: the earlier of what the header and the request say.
fn deadline(
    exchange: &Exchange,
    headers: &HeaderMap,
    asked: Option<Duration>,
) -> Result<Option<Instant>, PredictError> {
    let header = match text(headers, &TIMEOUT)? {
        None => None,
        Some(millis) => Some(millis.trim().parse().map(Duration::from_millis).map_err(|_| {
            PredictError::BadRequest(format!("the header {TIMEOUT} is a whole number of milliseconds"))
        })?),
    };
    let timeout = [header, asked].into_iter().flatten().min();
    Ok(timeout.and_then(|timeout| exchange.received_at().checked_add(timeout)))
}

/// The body of an answer, packed where the caller prefers that and it is worth it.
fn body_of(headers: &HeaderMap, segments: Vec<Bytes>) -> Response<AnswerBody> {
    let accept = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let length = segments.iter().map(Bytes::len).sum();
    let Some(encoding) = Encoding::negotiate(accept, length) else {
        return Response::new(AnswerBody::segments(segments));
    };
    let mut response = Response::new(AnswerBody::whole(compress(encoding, &segments)));
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    response
}
