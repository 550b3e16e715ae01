//! The ways in which a prediction can be asked for.

use clap::ValueEnum;
use serde::Deserialize;

/// Path and JSON of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// V2, of KServe, Triton and others: `/v2/models/M/infer`.
    V2,
    /// V1, of KServe: `/v1/models/M:predict`, rows as `instances`.
    V1,
    /// V1 as TensorFlow Serving has it: versions in the path, whole tensors as `inputs`.
    TfServing,
}

/// What carries a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// HTTP/1.1, one request at a time on a connection.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
    /// gRPC.
    Grpc,
}

/// How tensors are written, in requests and in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Body {
    /// HTTP: numbers in JSON. gRPC: the typed fields of `contents`.
    Json,
    /// HTTP: binary tensors behind the JSON. gRPC: `raw_input_contents`.
    Binary,
    /// HTTP: the body is the model's only input, and nothing else.
    Raw,
}

/// A form over a transport with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) form: Form,
    pub(crate) transport: Transport,
    pub(crate) body: Body,
}

impl Kind {
    /// Whether there is such a request.
    ///
    /// # Errors
    /// Why not, and what to use instead.
    pub(crate) fn check(self) -> Result<(), String> {
        let Self { form, transport, body } = self;
        let form_name = form.name();
        match (form, transport, body) {
            (Form::V2, Transport::Grpc, Body::Raw) => {
                Err("--body raw is a body of HTTP: over gRPC, --body binary sends raw tensors".into())
            }
            (Form::V2, ..) => Ok(()),
            (_, Transport::Grpc, _) => {
                Err(format!("{form_name} is sent over http1 and http2: over grpc, use --form v2"))
            }
            (.., Body::Binary | Body::Raw) => {
                Err(format!("{form_name} has JSON alone: use --body json, or --form v2"))
            }
            _ => Ok(()),
        }
    }

    /// What a report calls it.
    pub(crate) fn name(self) -> String {
        let Self { form, transport, body } = self;
        let body = match (transport, body) {
            (Transport::Grpc, Body::Json) => "typed",
            (Transport::Grpc, _) => "raw",
            (_, Body::Json) => "JSON",
            (_, Body::Binary) => "binary",
            (_, Body::Raw) => "raw body",
        };
        let transport = match transport {
            Transport::Http1 => "HTTP/1.1",
            Transport::Http2 => "HTTP/2",
            Transport::Grpc => "gRPC",
        };
        format!("{} {body} over {transport}", form.name())
    }
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::V2 => "V2",
            Self::V1 => "V1",
            Self::TfServing => "TF-Serving",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_told_from_what_does() {
        let (mut sound, mut names) = (0, Vec::new());
        for form in [Form::V2, Form::V1, Form::TfServing] {
            for transport in [Transport::Http1, Transport::Http2, Transport::Grpc] {
                for body in [Body::Json, Body::Binary, Body::Raw] {
                    let kind = Kind { form, transport, body };
                    match kind.check() {
                        Ok(()) => {
                            sound += 1;
                            names.push(kind.name());
                        }
                        Err(why) => assert!(why.contains("use --") || why.contains("--body binary"), "{why}"),
                    }
                }
            }
        }
        // V2: three bodies over two versions of HTTP, two over gRPC. The others: JSON over HTTP.
        assert_eq!(sound, 8 + 2 + 2);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), sound, "{names:?}");
        assert!(names.contains(&"V2 JSON over HTTP/1.1".to_owned()), "{names:?}");
    }
}
