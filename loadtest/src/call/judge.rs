//! Whether an answer is right.
//!
//! An answer is decoded once. Its bytes are kept if it was right, and the next answer with the same
//! bytes is right without being looked at again. Several are kept: versions that are swapped answer
//! otherwise, and so may requests that were run together.

use std::cmp::Ordering;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use pointsman_core::{OutputTensor, TensorSpec, shown};
use pointsman_registry::compare;
use pointsman_wire::grpc::proto::ModelInferResponse;
use pointsman_wire::limits::Limits;
use pointsman_wire::v1::PredictForm;
use pointsman_wire::{grpc, v1, v2};

use super::input::Expected;
use super::verdict::{Fault, Verdict};
use crate::client::answer::Answer;
use crate::client::http2::Received;

/// Answers of a call that are kept.
const KEPT_MAX: usize = 8;

/// The longest answer that is kept. Longer ones are decoded each time.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Bytes before a message of gRPC: a flag, and the message's length in big-endian.
pub(super) const GRPC_PREFIX: usize = 5;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// V2, JSON or binary.
    V2,
    /// V1, with names and datatypes of the signature.
    V1(PredictForm),
    /// A `ModelInferResponse`.
    Grpc,
}

/// Judges all answers to one call, on any thread.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) written: Written,
    pub(super) model: String,
    /// The version, where it was asked for by its number.
    pub(super) version: Option<u64>,
    /// The id that was sent; empty for none.
    pub(super) id: String,
    /// The outputs that have to be there; empty where the server does not say.
    pub(super) outputs: Vec<TensorSpec>,
    pub(super) expected: Option<Expected>,
    pub(super) kept: Kept,
}

/// What was found before.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Right answers, the latest first.
    right: ArcSwap<Vec<Right>>,
    /// The latest error: under overload, most answers are the same one.
    error: ArcSwapOption<(u16, Bytes, Verdict)>,
}

/// A right answer.
#[derive(Clone, Debug)]
struct Right {
    body: Bytes,
    json_length: Option<usize>,
    /// The bytes that another answer has to share to be right as well: all, but for binary tensors of
    /// which no value is known.
    judged: usize,
    version: Option<u64>,
}

/// An answer as far as it can be read of any form.
struct Read {
    id: Option<String>,
    model: Option<String>,
    version: Option<String>,
    outputs: Vec<OutputTensor>,
}

impl Judge {
    /// Judges an answer over HTTP, and says which version gave it where that is known.
    pub(super) fn http(&self, answer: &Answer<'_>) -> (Verdict, Option<u64>) {
        let head = answer.head;
        if head.status == 200 {
            return self.success(head.version, head.json_length, answer.body);
        }
        let known = self.kept.error.load();
        if let Some((status, body, verdict)) = known.as_deref()
            && *status == head.status
            && body == answer.body
        {
            return (verdict.clone(), head.version);
        }
        let verdict = Verdict::of_status(head.status, answer.body);
        if answer.body.len() <= KEPT_BYTES_MAX {
            let body = Bytes::copy_from_slice(answer.body);
            self.kept.error.store(Some(Arc::new((head.status, body, verdict.clone()))));
        }
        (verdict, head.version)
    }

    /// Judges an answer over gRPC.
    pub(super) fn grpc(&self, received: &Received) -> (Verdict, Option<u64>) {
        match message(received) {
            Ok(message) => self.success(received.head.version, None, message),
            Err(verdict) => (verdict, received.head.version),
        }
    }

    /// Judges what a server calls a success; `header` is the version that its head names.
    fn success(
        &self,
        header: Option<u64>,
        json_length: Option<usize>,
        body: &[u8],
    ) -> (Verdict, Option<u64>) {
        let kept = self.kept.right.load();
        if let Some(right) = kept.iter().find(|right| right.is_same(header, json_length, body)) {
            return (Verdict::Right, right.version);
        }
        let bytes = Bytes::copy_from_slice(body);
        let (verdict, version) = match self.read(json_length, &bytes) {
            Ok(read) => {
                let named = read.version.as_deref().and_then(|version| version.parse().ok());
                let version = header.or(named);
                (self.difference(&read, header, named).map_or(Verdict::Right, Verdict::Wrong), version)
            }
            Err(why) => (malformed(&why), header),
        };
        if verdict == Verdict::Right && body.len() <= KEPT_BYTES_MAX {
            let judged = match (json_length, &self.expected) {
                (Some(json), None) => json.min(body.len()),
                _ => body.len(),
            };
            let right = Right { body: bytes, json_length, judged, version };
            self.kept.right.rcu(|kept| {
                let before = kept.iter().take(KEPT_MAX - 1).cloned();
                std::iter::once(right.clone()).chain(before).collect::<Vec<_>>()
            });
        }
        (verdict, version)
    }

    fn read(&self, json_length: Option<usize>, body: &Bytes) -> Result<Read, String> {
        match self.written {
            Written::V2 => {
                let answer = v2::decode_answer(json_length, body, &Limits::default());
                let v2::Answer { id, model_name, model_version, outputs } =
                    answer.map_err(|e| e.to_string())?;
                Ok(Read { id, model: model_name, version: model_version, outputs })
            }
            Written::V1(form) => {
                let outputs = v1::decode_answer(body, form, &self.outputs).map_err(|e| e.to_string())?;
                Ok(Read { id: None, model: None, version: None, outputs })
            }
            Written::Grpc => {
                let message = grpc::codec::decode::<ModelInferResponse>(&mut body.clone());
                let mut message = message.map_err(|e| e.to_string())?;
                let [id, model, version] =
                    [&mut message.id, &mut message.model_name, &mut message.model_version]
                        .map(|text| Some(std::mem::take(text)).filter(|text| !text.is_empty()));
                let outputs = grpc::decode_answer(message).map_err(|e| e.to_string())?;
                Ok(Read { id, model, version, outputs })
            }
        }
    }

    /// What in an answer is not as it has to be. What a server leaves out where the protocol lets it
    /// (id, version) is not held against it.
    fn difference(&self, read: &Read, header: Option<u64>, named: Option<u64>) -> Option<Fault> {
        if let Some(model) = read.model.as_deref().filter(|model| *model != self.model) {
            return Some(Fault::new("wrong model", format!("it names {}, not {}", shown(model), self.model)));
        }
        if let Some(id) = read.id.as_deref().filter(|id| !self.id.is_empty() && *id != self.id) {
            let said = format!("it is the answer to {}, not to {}", shown(id), self.id);
            return Some(Fault::new("wrong id", said));
        }
        if let Some((header, named)) = header.zip(named).filter(|(header, named)| header != named) {
            let said = format!("its head names version {header}, its body version {named}");
            return Some(Fault::new("wrong version", said));
        }
        if let Some((asked, version)) = self.version.zip(header.or(named)).filter(|(a, v)| a != v) {
            let said = format!("version {version} answered where {asked} was asked for");
            return Some(Fault::new("wrong version", said));
        }
        self.wrong_outputs(&read.outputs).or_else(|| self.wrong_values(&read.outputs))
    }

    /// A server may have said nothing of its outputs.
    fn wrong_outputs(&self, outputs: &[OutputTensor]) -> Option<Fault> {
        if self.outputs.is_empty() {
            return None;
        }
        let said = match outputs.len().cmp(&self.outputs.len()) {
            Ordering::Equal => self.outputs.iter().find_map(|spec| match find(outputs, &spec.name) {
                None => Some(format!("there is no output {}", spec.name)),
                Some(output) if output.tensor.datatype() != spec.datatype => {
                    let (found, wanted) = (output.tensor.datatype(), spec.datatype);
                    Some(format!("output {} is {found}, not {wanted}", spec.name))
                }
                Some(_) => None,
            })?,
            _ => format!("there are {} outputs, not {}", outputs.len(), self.outputs.len()),
        };
        Some(Fault::new("wrong outputs", said))
    }

    fn wrong_values(&self, outputs: &[OutputTensor]) -> Option<Fault> {
        let Expected { outputs: expected, rtol, atol } = self.expected.as_ref()?;
        expected.iter().find_map(|right| match find(outputs, &right.name) {
            None => Some(Fault::new("wrong outputs", format!("there is no output {}", right.name))),
            Some(output) => {
                let difference = compare(&right.tensor, &output.tensor, *rtol, *atol).err()?;
                Some(Fault::new("wrong values", format!("output {}: {difference}", right.name)))
            }
        })
    }
}

impl Right {
    fn is_same(&self, header: Option<u64>, json_length: Option<usize>, body: &[u8]) -> bool {
        // A head may name no version, but not another one.
        header.is_none_or(|header| Some(header) == self.version)
            && json_length == self.json_length
            && body.len() == self.body.len()
            && body[..self.judged] == self.body[..self.judged]
    }
}

fn find<'o>(outputs: &'o [OutputTensor], name: &str) -> Option<&'o OutputTensor> {
    outputs.iter().find(|output| *output.name == *name)
}

fn malformed(why: &str) -> Verdict {
    Verdict::Wrong(Fault::new("malformed", why))
}

/// The message that a unary call was answered with. It is not packed, as no request says that it may be.
///
/// # Errors
/// The verdict on an answer that has none.
pub(crate) fn message(received: &Received) -> Result<&[u8], Verdict> {
    let Received { head, headers, body, trailers } = received;
    if head.status != 200 {
        return Err(Verdict::of_status(head.status, body));
    }
    // A call that fails before its message may have its status in the headers.
    match tonic::Status::from_header_map(trailers.as_ref().unwrap_or(headers)) {
        None => return Err(Verdict::Lost(Fault::new("connection", "the answer ended without a status"))),
        Some(status) if status.code() != tonic::Code::Ok => return Err(Verdict::of_grpc(&status)),
        Some(_) => {}
    }
    let message = body.split_first_chunk::<GRPC_PREFIX>().filter(|(prefix, message)| {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        prefix[0] == 0 && usize::try_from(length) == Ok(message.len())
    });
    message.map(|(_, message)| message).ok_or_else(|| malformed("it is no single, unpacked message"))
}

#[cfg(test)]
mod tests;
