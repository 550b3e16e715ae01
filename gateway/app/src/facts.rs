//! What a plan can ask of a request: its headers, and once it is decoded its parameters and tensors, all borrowed.

use http::HeaderMap;
use pointsman_core::{PredictRequest, RequestId};
use pointsman_route::{Covariate, Facts, Value};

/// A request by whatever protocol it came: gRPC's metadata are headers.
#[derive(Clone, Copy)]
pub(crate) struct RequestFacts<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) id: RequestId,
    /// Nothing before the body is decoded.
    pub(crate) request: Option<&'a PredictRequest>,
}

impl Facts for RequestFacts<'_> {
    fn header(&self, name: &str, at: usize) -> Option<&[u8]> {
        let value = match at {
            0 => self.headers.get(name),
            at => self.headers.get_all(name).iter().nth(at),
        };
        value.map(http::HeaderValue::as_bytes)
    }

    fn parameter(&self, name: &str) -> Option<Value<'_>> {
        let mut parameters = self.request?.parameters.iter();
        Value::of_parameter(&parameters.find(|(known, _)| known == name)?.1)
    }

    fn number(&self, parameter: &str) -> Option<Covariate> {
        let mut parameters = self.request?.parameters.iter();
        Covariate::of_parameter(&parameters.find(|(known, _)| known == parameter)?.1)
    }

    fn element(&self, input: &str, index: usize) -> Option<Value<'_>> {
        let mut inputs = self.request?.inputs.iter();
        Value::of_element(&inputs.find(|known| known.name == input)?.tensor, index)
    }

    fn request_id(&self) -> RequestId {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_are_found_in_every_line_of_them() {
        let mut headers = HeaderMap::new();
        for line in ["theme=dark; x=1", "uid=u-7"] {
            headers.append("cookie", HeaderValue::from_static(line));
        }
        headers.insert("x-user", HeaderValue::from_bytes(b"\xff").expect("opaque bytes"));
        let facts = RequestFacts { headers: &headers, id: RequestId::generate(), request: None };
        assert_eq!(facts.cookie("uid"), Some(&b"u-7"[..]));
        assert_eq!(facts.cookie("no"), None);
        assert_eq!(facts.header("x-user", 0), Some(&b"\xff"[..]));
        assert_eq!((facts.header("x-user", 1), facts.header("no such header", 0)), (None, None));
        assert_eq!((facts.parameter("user"), facts.element("X", 0)), (None, None));
    }
}
