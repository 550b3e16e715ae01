//! A settled document with versions for names, compiled to be asked by every request.

mod compile;
mod design;

use std::sync::Arc;

use pointsman_core::{RequestId, VersionNumber, shown};

pub use self::compile::{Standing, Versions};
pub use self::design::{Design, DesignArm};
use crate::covariate::Covariate;
use crate::facts::{Facts, Value};
use crate::hash::Salted;
use crate::plan::{Assignment, Refusal, Way};
use crate::share::Share;
use crate::unit::{UnitKind, UnitSource};

/// Buckets in which units are counted, for statistics that take all requests of a unit together.
pub const BUCKETS: u16 = 1024;

/// How the callers of a model who name no version are split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    etag: String,
    forced_arm_header: Option<Box<str>>,
    arms: Box<[SplitArm]>,
    rules: Box<[CompiledRule]>,
    layers: Box<[CompiledLayer]>,
    shadows: Box<[Shadow]>,
    designs: Box<[Design]>,
    needs_body: bool,
}

/// An arm beside the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SplitArm {
    name: Arc<str>,
    /// Nothing where it does not serve: its units go to the default.
    version: Option<VersionNumber>,
}

/// Index of an arm; nothing for the default one.
type ArmIndex = Option<usize>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct CompiledRule {
    source: RuleSource,
    test: Test,
    arm: ArmIndex,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RuleSource {
    Header(Box<str>),
    Parameter(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    /// In ascending order.
    OneOf(Box<[Box<[u8]>]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CompiledLayer {
    salted: Salted,
    units: Box<[UnitSource]>,
    experiments: Box<[CompiledExperiment]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CompiledExperiment {
    name: Arc<str>,
    segment: Interval,
    salted: Salted,
    buckets: Salted,
    covariate: Option<UnitSource>,
    /// Those of some weight.
    arms: Box<[(Interval, usize, Share)]>,
    /// What they leave to the default arm.
    rest: Share,
}

/// Points from one to another, the second included: so all of them can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    first: u64,
    last: u64,
}

/// A version that sees a part of the requests after they were answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Its name.
    pub name: Arc<str>,
    /// The version.
    pub version: VersionNumber,
    /// The share of requests that it sees.
    pub share: Share,
    /// Whether a second copy of the default version runs beside it.
    pub floor: bool,
    salted: Salted,
    interval: Option<Interval>,
}

/// What a split says to a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Chosen<'a> {
    /// The arm and its version; nothing for the default one.
    pub(crate) arm: Option<(&'a Arc<str>, VersionNumber)>,
    pub(crate) way: Way,
    pub(crate) assignment: Option<Assignment>,
}

impl Interval {
    /// From one share to another; nothing where that is empty.
    fn new(from: Share, to: Share) -> Option<Self> {
        let (first, end) = (from.threshold(), to.threshold());
        let last = end.checked_sub(1).filter(|last| *last >= first)?;
        Some(Self { first: u64::try_from(first).ok()?, last: u64::try_from(last).ok()? })
    }

    fn has(self, point: u64) -> bool {
        (self.first..=self.last).contains(&point)
    }
}

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => value == &**exact,
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::OneOf(values) => values.binary_search_by(|known| (**known).cmp(value)).is_ok(),
        }
    }
}

impl CompiledRule {
    fn matches<F: Facts>(&self, facts: &F) -> bool {
        let value = match &self.source {
            RuleSource::Header(name) => facts.header(name, 0).map(Value::Bytes),
            RuleSource::Parameter(name) => facts.parameter(name),
        };
        let mut room = itoa::Buffer::new();
        value.and_then(|value| value.bytes(&mut room)).is_some_and(|value| self.test.passes(value))
    }
}

impl CompiledLayer {
    /// The unit of a request: the first source that says something, at last the request itself.
    fn unit<'a, F: Facts>(&self, facts: &'a F) -> Option<(UnitKind, Value<'a>)> {
        self.units.iter().find_map(|source| {
            let value = match source {
                UnitSource::Header(name) => facts.header(name, 0).map(Value::Bytes),
                UnitSource::Cookie(name) => facts.cookie(name).map(Value::Bytes),
                UnitSource::Parameter(name) => facts.parameter(name),
                UnitSource::Tensor(name, index) => facts.element(name, *index),
                UnitSource::RequestId => None,
            };
            let value = value.filter(|value| *value != Value::Bytes(b""))?;
            Some((source.kind(), value))
        })
    }

    /// The experiment that has the unit of a request, with the point for its arm and the one that tells it from others.
    fn choose<F: Facts>(&self, facts: &F) -> Option<(&CompiledExperiment, UnitKind, u64, u64)> {
        let id = facts.request_id().bytes();
        let (kind, value) = self.unit(facts).unwrap_or((UnitKind::RequestId, Value::Bytes(&id)));
        let mut room = itoa::Buffer::new();
        let unit = value.bytes(&mut room)?;
        let experiment = match &*self.experiments {
            // One that has all units needs no hash to say so.
            [only] if only.segment == Interval::ALL => only,
            several => {
                let point = self.salted.point(unit);
                several.iter().find(|experiment| experiment.segment.has(point))?
            }
        };
        Some((experiment, kind, experiment.salted.point(unit), experiment.buckets.point(unit)))
    }
}

impl Interval {
    const ALL: Self = Self { first: 0, last: u64::MAX };
}

impl CompiledExperiment {
    /// The arm that has a point, with its weight.
    fn arm(&self, point: u64) -> (ArmIndex, Share) {
        let found = self.arms.iter().find(|(interval, ..)| interval.has(point));
        found.map_or((None, self.rest), |(_, arm, weight)| (Some(*arm), *weight))
    }

    fn covariate<F: Facts>(&self, facts: &F) -> Option<Covariate> {
        match self.covariate.as_ref()? {
            UnitSource::Header(name) => facts.header(name, 0).and_then(Covariate::parse),
            UnitSource::Parameter(name) => facts.number(name),
            UnitSource::Cookie(_) | UnitSource::Tensor(..) | UnitSource::RequestId => None,
        }
    }
}

impl Split {
    /// The tag of the document that it was compiled from.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Whether it can only be asked when the body is decoded.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.needs_body
    }

    /// The names of the arms beside the default one.
    pub fn arms(&self) -> impl Iterator<Item = &Arc<str>> {
        self.arms.iter().map(|arm| &arm.name)
    }

    /// What tells a unit from others in each of the experiments ([`Assignment::unit`](crate::Assignment::unit)), of
    /// whichever layer: as a request has it that names the unit by these bytes, or by a number with these digits.
    pub fn unit_hashes(&self, unit: &[u8]) -> Vec<u64> {
        let experiments = self.layers.iter().flat_map(|layer| &layer.experiments);
        experiments.map(|experiment| experiment.buckets.point(unit)).collect()
    }

    /// The versions that arms and shadows lead to.
    pub fn versions(&self) -> impl Iterator<Item = VersionNumber> {
        let shadows = self.shadows.iter().map(|shadow| shadow.version);
        self.arms.iter().filter_map(|arm| arm.version).chain(shadows)
    }

    /// All shadows whose versions serve, in the order of the plan.
    pub fn all_shadows(&self) -> impl Iterator<Item = &Shadow> {
        self.shadows.iter()
    }

    /// The shadows that see this request.
    pub fn shadows(&self, id: RequestId) -> impl Iterator<Item = &Shadow> {
        self.shadows.iter().filter(move |shadow| shadow.sees(id))
    }

    /// What it says to a request that names no version.
    pub(crate) fn choose<F: Facts>(&self, facts: &F) -> Result<Chosen<'_>, Refusal> {
        if let Some(header) = &self.forced_arm_header
            && let Some(name) = facts.header(header, 0)
        {
            let unknown = || Refusal::UnknownArm {
                header: header.clone(),
                name: shown(&String::from_utf8_lossy(name)),
            };
            return self.forced(name).ok_or_else(unknown);
        }
        if let Some(rule) = self.rules.iter().find(|rule| rule.matches(facts)) {
            return Ok(self.chosen(rule.arm, Way::Rule, None));
        }
        for layer in &self.layers {
            let Some((experiment, unit_kind, point, unit)) = layer.choose(facts) else { continue };
            let (arm, weight) = experiment.arm(point);
            let assignment = Assignment {
                experiment: experiment.name.clone(),
                unit_kind,
                weight,
                unit,
                covariate: experiment.covariate(facts),
            };
            return Ok(self.chosen(arm, Way::Experiment, Some(assignment)));
        }
        Ok(self.chosen(None, Way::Default, None))
    }

    /// The arm that a tester asked for, where the split has it and it serves.
    fn forced(&self, name: &[u8]) -> Option<Chosen<'_>> {
        if name == pointsman_core::Arm::DEFAULT.as_bytes() {
            return Some(self.chosen(None, Way::Forced, None));
        }
        let arm = self.arms.iter().position(|arm| arm.name.as_bytes() == name)?;
        // A tester who is given another version than the one asked for is deceived.
        Some(self.chosen(Some(arm), Way::Forced, None)).filter(|chosen| chosen.way != Way::Fallback)
    }

    /// An arm that does not serve leaves its units to the default, outside of the experiment: they were not drawn for it.
    fn chosen(&self, arm: ArmIndex, way: Way, assignment: Option<Assignment>) -> Chosen<'_> {
        let Some(SplitArm { name, version }) = arm.and_then(|arm| self.arms.get(arm)) else {
            return Chosen { arm: None, way, assignment };
        };
        match version {
            Some(version) => Chosen { arm: Some((name, *version)), way, assignment },
            None => Chosen { arm: None, way: Way::Fallback, assignment: None },
        }
    }
}

impl Shadow {
    /// Whether it sees this request.
    #[must_use]
    pub fn sees(&self, id: RequestId) -> bool {
        self.interval.is_some_and(|interval| interval.has(self.salted.point(&id.bytes())))
    }
}

#[cfg(test)]
mod tests;
