//! An input as the bytes of one kind of request.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use pointsman_core::{Datatype, VersionNumber};
use pointsman_wire::v1::PredictForm;
use pointsman_wire::{grpc, v1, v2};
use prost::Message;

use super::endpoint::Endpoint;
use super::input::Input;
use super::judge::{GRPC_PREFIX, Judge, Kept, Written};
use super::kind::{Body, Form, Kind, Transport};
use super::model::Model;
use crate::client::{http1, http2};

/// The method of V2 gRPC that predicts.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// One prepared request, with a judge of the answers to it. Clones share both.
#[derive(Clone, Debug)]
pub(crate) struct Call(pub(super) Arc<Prepared>);

#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: Request,
    pub(super) judge: Judge,
}

/// The bytes that are sent.
#[derive(Debug)]
pub(crate) enum Request {
    /// Head and body.
    Http1(Vec<u8>),
    /// Over HTTP/2.
    Http2(http2::Prepared),
    /// Over HTTP/2, with an answer that has a status of gRPC.
    Grpc(http2::Prepared),
}

/// A request over any version of HTTP.
struct Rest {
    path: String,
    header_length: Option<usize>,
    body: Bytes,
}

impl Call {
    /// Writes the request that asks a model about an input.
    ///
    /// # Errors
    /// Where there is no such kind of request, or the input cannot be said in it.
    pub(crate) fn prepare(
        endpoint: &Endpoint,
        model: &Model,
        kind: Kind,
        input: &Input,
    ) -> Result<Self, String> {
        kind.check()?;
        let host = &endpoint.host;
        let request = match kind.transport {
            Transport::Http1 => {
                let Rest { path, header_length, body } = rest(model, kind, input)?;
                Request::Http1(http1::post(host, &path, header_length, &body))
            }
            Transport::Http2 => {
                let Rest { path, header_length, body } = rest(model, kind, input)?;
                let mut headers = HeaderMap::new();
                let kind = HeaderValue::from_static(http1::content_type(header_length));
                headers.insert(header::CONTENT_TYPE, kind);
                if let Some(length) = header_length {
                    headers.insert(v2::HEADER_LENGTH, HeaderValue::from(length));
                }
                Request::Http2(http2::post(host, &path, headers, body)?)
            }
            Transport::Grpc => Request::Grpc(unary(host, MODEL_INFER, &message(model, kind, input)?)?),
        };
        Ok(Self(Arc::new(Prepared { request, judge: judge(model, kind, input)? })))
    }

    /// The bytes, for who does not send all of them.
    pub(crate) fn request(&self) -> &Request {
        &self.0.request
    }
}

/// A unary call, its message not packed.
///
/// # Errors
/// Where the host cannot stand in a URI.
pub(super) fn unary(host: &str, method: &str, message: &impl Message) -> Result<http2::Prepared, String> {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(GRPC_PREFIX + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).map_err(|_| format!("a message of {length} bytes is too long"))?);
    message.encode(&mut body).map_err(|e| e.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    http2::post(host, method, headers, body.freeze())
}

fn rest(model: &Model, kind: Kind, input: &Input) -> Result<Rest, String> {
    let unsaid = |form: &str| match input {
        Input { outputs, .. } if !outputs.is_empty() => Err(format!("{form} cannot ask for some outputs")),
        Input { parameters, .. } if !parameters.is_empty() => Err(format!("{form} has no parameters")),
        Input { timeout: Some(_), .. } => Err(format!("{form} has no parameter timeout")),
        _ => Ok(()),
    };
    let v1 = |form| {
        unsaid("V1")?;
        let body = v1::encode_request(&input.tensors, form).map_err(|e| e.to_string())?;
        Ok(Rest { path: format!("{}:predict", model.v1_path()), header_length: None, body })
    };
    let v2_path = || format!("{}/infer", model.v2_path());
    match (kind.form, kind.body) {
        (Form::V1, _) if model.version.is_some() => {
            Err("V1 has no versions in its paths: leave --version out, or use --form tf-serving".into())
        }
        (Form::V1, _) => v1(PredictForm::Row),
        (Form::TfServing, _) => v1(PredictForm::Columnar),
        (Form::V2, Body::Raw) => {
            unsaid("a raw body")?;
            Ok(Rest { path: v2_path(), header_length: Some(0), body: raw(input)? })
        }
        (Form::V2, body) => {
            let form = v2::RequestForm {
                id: input.id.clone(),
                parameters: input.parameters.clone(),
                timeout: input.timeout,
                outputs: input.outputs.clone(),
                binary: body == Body::Binary,
            };
            let encoded = v2::encode_request(&input.tensors, &form).map_err(|e| e.to_string())?;
            let v2::EncodedRequest { header_length, body } = encoded;
            Ok(Rest { path: v2_path(), header_length, body })
        }
    }
}

/// The only tensor; of BYTES the only element, without its length.
fn raw(input: &Input) -> Result<Bytes, String> {
    let [only] = input.tensors.as_slice() else {
        let count = input.tensors.len();
        return Err(format!("a raw body is the only input, and there are {count}: use --body binary"));
    };
    let tensor = &only.tensor;
    match (tensor.datatype(), tensor.elements()) {
        (Datatype::Bytes, 1) => {
            let element = tensor.strings().and_then(|mut elements| elements.next()).unwrap_or_default();
            Ok(tensor.data().slice_ref(element))
        }
        (Datatype::Bytes, count) => {
            Err(format!("a raw body is one string, and input {} has {count}: use --body binary", only.name))
        }
        _ => Ok(tensor.data().clone()),
    }
}

fn message(model: &Model, kind: Kind, input: &Input) -> Result<impl Message, String> {
    let form = grpc::RequestForm {
        model: model.name.clone(),
        version: model.version.clone().unwrap_or_default(),
        id: input.id.clone(),
        parameters: input.parameters.clone(),
        timeout: input.timeout,
        outputs: input.outputs.clone(),
        typed: kind.body == Body::Json,
    };
    grpc::encode_request(&input.tensors, &form).map_err(|e| e.to_string())
}

fn judge(model: &Model, kind: Kind, input: &Input) -> Result<Judge, String> {
    let written = match (kind.transport, kind.form) {
        (Transport::Grpc, _) => Written::Grpc,
        (_, Form::V2) => Written::V2,
        (_, Form::V1) => Written::V1(PredictForm::Row),
        (_, Form::TfServing) => Written::V1(PredictForm::Columnar),
    };
    let declared = &model.signature.outputs;
    let asked = match declared.as_slice() {
        [] if kind.form != Form::V2 => {
            return Err(format!("the server does not say what {} gives: V1 cannot be read", model.name));
        }
        [] => Vec::new(),
        _ => model.signature.select_outputs(&input.outputs).map_err(|e| e.describe(&model.name))?,
    };
    let version = model.version.as_deref().and_then(VersionNumber::parse).map(VersionNumber::get);
    let mut expected = input.expected.clone();
    if let Some(expected) = expected.as_mut().filter(|_| !input.outputs.is_empty()) {
        expected.outputs.retain(|output| input.outputs.contains(&output.name));
    }
    let id = if kind.body == Body::Raw { String::new() } else { input.id.clone() };
    Ok(Judge {
        written,
        model: model.name.clone(),
        version,
        id,
        outputs: asked.into_iter().map(|index| declared[index].clone()).collect(),
        expected,
        kept: Kept::default(),
    })
}

#[cfg(test)]
mod tests;
