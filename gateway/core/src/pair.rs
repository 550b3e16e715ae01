//! One exchange and what other versions made of the same inputs: what a comparison of versions is fed with.

use crate::error::Code;
use crate::id::{ModelName, RequestId, VersionNumber};
use crate::request::{InputTensor, OutputTensor, StageTimes};
use crate::signature::Signature;
use crate::tensor::Tensor;

/// The answers of two versions to the same inputs.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The model.
    pub model: &'a ModelName,
    /// The gateway's id of the request.
    pub id: RequestId,
    /// What was asked, of both.
    pub inputs: Inputs<'a>,
    /// The answer that the caller was given.
    pub primary: Side<'a>,
    /// That of the version which is looked at.
    pub shadow: Side<'a>,
    /// That of a second copy of the primary, where there is one: by how much the same version is apart from itself.
    pub floor: Option<Side<'a>>,
}

/// The inputs of a request that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What they were checked against: the names, in the order of the tensors.
    pub signature: &'a Signature,
    /// One for each input of the signature; nothing where the caller left it out.
    pub tensors: &'a [Option<Tensor>],
}

impl Inputs<'_> {
    /// Bytes of all tensors.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tensors.iter().flatten().map(|tensor| tensor.data().len()).sum()
    }

    /// The tensors with their names, in memory of their own: they keep no buffer alive that they are a part of.
    #[must_use]
    pub fn detached(&self) -> Vec<InputTensor> {
        let named = self.signature.inputs.iter().zip(self.tensors);
        let detached = named.filter_map(|(spec, tensor)| {
            Some(InputTensor { name: spec.name.to_string(), tensor: tensor.as_ref()?.detached() })
        });
        detached.collect()
    }
}

/// The answer of one version.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The version.
    pub version: VersionNumber,
    /// Its outputs, or why there are none.
    pub outputs: Result<&'a [OutputTensor], Code>,
    /// Where the time went.
    pub times: StageTimes,
}

/// Why an exchange that was offered to a shadow has no answer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ShadowDrop {
    /// As many wait as may.
    Full,
    /// Those that wait hold as many bytes as they may.
    Bytes,
    /// The primary is busy, or memory is low.
    Shed,
    /// The shadow failed too often, and rests.
    Breaker,
    /// It waited for too long.
    Expired,
    /// A window in which no shadow runs began while it waited.
    Off,
    /// The shadow ended while it waited.
    Closed,
    /// The shadow failed, panicked or has no session.
    Failed,
    /// Its run was given up at its deadline.
    Hung,
}

impl ShadowDrop {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::Bytes,
        Self::Shed,
        Self::Breaker,
        Self::Expired,
        Self::Off,
        Self::Closed,
        Self::Failed,
        Self::Hung,
    ];

    /// The name in metrics and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Bytes => "bytes",
            Self::Shed => "shed",
            Self::Breaker => "breaker",
            Self::Expired => "expired",
            Self::Off => "off",
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::Hung => "hung",
        }
    }
}

/// How busy the primary was: the tenth, from 0 to 9, of its queue's limit that was taken.
///
/// What is dropped under load is not what is dropped at rest, and a comparison without the first is biased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadTenth(u8);

impl LoadTenth {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// That of so many that wait where so many may.
    #[must_use]
    pub fn of(waiting: usize, limit: usize) -> Self {
        let tenth = waiting.saturating_mul(Self::COUNT).checked_div(limit).unwrap_or(Self::COUNT);
        Self(tenth.min(Self::COUNT - 1) as u8)
    }

    /// Its number, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_told_in_tenths_of_the_limit() {
        let tenths = [(0, 64), (6, 64), (7, 64), (63, 64), (64, 64), (99, 64), (1, 0)];
        assert_eq!(
            tenths.map(|(waiting, limit)| LoadTenth::of(waiting, limit).index()),
            [0, 0, 1, 9, 9, 9, 9]
        );
    }

    #[test]
    fn each_reason_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = ShadowDrop::ALL.map(ShadowDrop::name).into();
        assert_eq!(names.len(), ShadowDrop::ALL.len());
    }
}
