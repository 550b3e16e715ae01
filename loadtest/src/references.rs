//! The right answer to every request from every version, and the comparison with it, bit by bit.

use pointsman_wire::grpc::proto::ModelInferResponse;

use crate::client::Protocol;
use crate::client::answer::Answer;

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// An answer that is wholly that of the version it names.
    Whole {
        /// The version.
        version: u64,
    },
    /// An answer that is not: it names no version, two of them, or holds other bytes than the one it names.
    Mixed(String),
    /// No complete answer, or one that is an error.
    Failed(String),
}

/// The right answers to one input from one version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expected {
    json: Template,
    binary: Template,
    /// Without its version.
    message: ModelInferResponse,
}

/// A body before and behind the number of the version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    before: Vec<u8>,
    behind: Vec<u8>,
    /// Bytes of JSON but the version's digits, where a binary part follows.
    json_length: Option<usize>,
}

impl Template {
    fn new(version: u64, json_length: Option<usize>, body: &[u8]) -> Result<Self, String> {
        let number = version.to_string();
        let named = format!("\"model_version\":\"{number}\"");
        let unnamed = || format!("an answer of version {version} does not say {named}");
        let at = body.windows(named.len()).position(|w| w == named.as_bytes()).ok_or_else(unnamed)?;
        let digits = at + named.len() - number.len() - 1;
        Ok(Self {
            before: body[..digits].to_vec(),
            behind: body[digits + number.len()..].to_vec(),
            json_length: json_length.map(|length| length.saturating_sub(number.len())),
        })
    }

    /// What differs from the template, with this version's number in it.
    fn difference(&self, version: u64, answer: &Answer<'_>) -> Option<String> {
        let number = version.to_string();
        if answer.head.json_length != self.json_length.map(|length| length + number.len()) {
            return Some(format!("{:?} bytes of it are said to be JSON", answer.head.json_length));
        }
        let parts = answer.body.strip_prefix(&*self.before).and_then(|b| b.strip_prefix(number.as_bytes()));
        if parts == Some(&*self.behind) {
            return None;
        }
        let right = [&self.before, number.as_bytes(), &self.behind].concat();
        let same = right.iter().zip(answer.body).take_while(|(a, b)| a == b).count();
        Some(format!("byte {same} of {} (of {}) differs", answer.body.len(), right.len()))
    }
}

/// The right answers to all inputs from all sources.
///
/// A source is the content of a version. Versions take turns at them: version n has the content of
/// source (n - 1) mod the number of sources, which are the versions 1, 2, 3, ... that were there first.
#[derive(Clone, Debug)]
pub(crate) struct References {
    /// By input, then by source.
    expected: Vec<Vec<Expected>>,
}

impl Expected {
    /// What a version answered when it was asked by its number.
    ///
    /// # Errors
    /// Where an answer does not name the version.
    pub(crate) fn new(
        version: u64,
        json: &[u8],
        binary: (Option<usize>, &[u8]),
        mut message: ModelInferResponse,
    ) -> Result<Self, String> {
        if std::mem::take(&mut message.model_version) != version.to_string() {
            return Err(format!("a message of version {version} does not say so"));
        }
        let json = Template::new(version, None, json)?;
        Ok(Self { json, binary: Template::new(version, binary.0, binary.1)?, message })
    }
}

impl References {
    /// Puts the answers together, by input and then by source.
    ///
    /// # Errors
    /// Where two sources answer an input alike: a mixed answer could not be told.
    pub(crate) fn new(expected: Vec<Vec<Expected>>) -> Result<Self, String> {
        for (input, sources) in expected.iter().enumerate() {
            for (index, one) in sources.iter().enumerate() {
                if let Some(other) = sources[..index].iter().position(|other| other.resembles(one)) {
                    let (one, other) = (index + 1, other + 1);
                    return Err(format!("versions {other} and {one} answer input {input} alike"));
                }
            }
        }
        if expected.iter().any(Vec::is_empty) {
            return Err("an input has no right answer".into());
        }
        Ok(Self { expected })
    }

    fn of(&self, input: usize, version: u64) -> Option<&Expected> {
        let sources = self.expected.get(input)?;
        let source = version.checked_sub(1)? % sources.len() as u64;
        sources.get(usize::try_from(source).ok()?)
    }

    /// Judges an answer over HTTP to an input.
    pub(crate) fn judge_http(&self, protocol: Protocol, input: usize, answer: &Answer<'_>) -> Verdict {
        if answer.head.status != 200 {
            let said = String::from_utf8_lossy(answer.body);
            return Verdict::Failed(format!("status {}: {said:.200}", answer.head.status));
        }
        let Some(version) = answer.head.version else {
            return Verdict::Mixed("the answer names no version".into());
        };
        let Some(expected) = self.of(input, version) else {
            return Verdict::Mixed(format!("there is no version {version}"));
        };
        let template = if protocol == Protocol::HttpJson { &expected.json } else { &expected.binary };
        match template.difference(version, answer) {
            None => Verdict::Whole { version },
            Some(difference) => Verdict::Mixed(format!("version {version} by its header: {difference}")),
        }
    }

    /// Judges an answer over gRPC to an input, with the version that its metadata names.
    pub(crate) fn judge_grpc(
        &self,
        input: usize,
        metadata: Option<&str>,
        mut message: ModelInferResponse,
    ) -> Verdict {
        let named = std::mem::take(&mut message.model_version);
        if metadata != Some(named.as_str()) {
            let said = format!("version {named:?} by the message and {metadata:?} by its metadata");
            return Verdict::Mixed(said);
        }
        let Some((version, expected)) =
            named.parse().ok().and_then(|version| Some((version, self.of(input, version)?)))
        else {
            return Verdict::Mixed(format!("there is no version {named:?}"));
        };
        if message == expected.message {
            Verdict::Whole { version }
        } else {
            Verdict::Mixed(format!("version {version} by its metadata: the message differs"))
        }
    }
}

impl Expected {
    /// Whether an answer could be taken for one of the other's.
    fn resembles(&self, other: &Self) -> bool {
        self.json == other.json || self.binary == other.binary || self.message == other.message
    }
}

#[cfg(test)]
mod tests;
