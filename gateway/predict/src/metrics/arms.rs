//! What is counted of arms. Their names come from plans alone, and their series go when the plan has them no more.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pointsman_core::Arm;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// How a request of an arm ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ArmResult {
    /// With a prediction.
    Ok,
    /// Without one.
    Failed,
}

impl ArmResult {
    const ALL: [Self; 2] = [Self::Ok, Self::Failed];

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArmLabels {
    model: Arc<str>,
    version: Arc<str>,
    arm: Arc<str>,
    result: &'static str,
}

/// The series of all arms.
#[derive(Debug, Default)]
pub(super) struct ArmFamily {
    requests: Family<ArmLabels, Counter>,
    /// Those of named arms, by model.
    named: Mutex<HashMap<Arc<str>, NamedArms>>,
}

/// The named arms of a model.
#[derive(Debug, Default)]
struct NamedArms {
    /// Those of its plan: no others get series.
    arms: BTreeSet<Arc<str>>,
    series: HashSet<ArmLabels>,
}

/// Those of the two arms that every version has, looked up once.
#[derive(Clone, Debug)]
pub(super) struct ArmCounters {
    default: [Counter; ArmResult::ALL.len()],
    direct: [Counter; ArmResult::ALL.len()],
}

impl ArmCounters {
    pub(super) fn count(&self, arm: &Arm, result: ArmResult) {
        let counters = if *arm == Arm::Direct { &self.direct } else { &self.default };
        counters[result as usize].inc();
    }
}

impl ArmFamily {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let family = Self::default();
        registry.register(
            "pointsman_arm_requests",
            "Prediction requests finished, by the arm and version that they reached: ok or failed",
            family.requests.clone(),
        );
        family
    }

    pub(super) fn counters(&self, model: &Arc<str>, version: &Arc<str>) -> ArmCounters {
        let of = |arm: &str| {
            let arm: Arc<str> = arm.into();
            ArmResult::ALL
                .map(|result| self.requests.get_or_create_owned(&labels(model, version, &arm, result)))
        };
        ArmCounters { default: of(Arm::DEFAULT), direct: of(Arm::DIRECT) }
    }

    /// Counts a request of a named arm. One whose arm has left the plan meanwhile would bring its series back, and is not
    /// counted here any more.
    pub(super) fn count(&self, model: &Arc<str>, version: &Arc<str>, arm: &Arc<str>, result: ArmResult) {
        let labels = labels(model, version, arm, result);
        if let Some(counter) = self.requests.get(&labels) {
            counter.inc();
            return;
        }
        let mut named = self.named.lock();
        if let Some(NamedArms { series, .. }) = named.get_mut(model).filter(|named| named.arms.contains(arm))
        {
            self.requests.get_or_create(&labels).inc();
            series.insert(labels);
        }
    }

    /// Takes the series of a version away.
    pub(super) fn forget(&self, model: &Arc<str>, version: &Arc<str>) {
        for arm in [Arm::DEFAULT, Arm::DIRECT] {
            for result in ArmResult::ALL {
                self.requests.remove(&labels(model, version, &arm.into(), result));
            }
        }
        if let Some(named) = self.named.lock().get_mut(model) {
            self.take_out(&mut named.series, |labels| labels.version == *version);
        }
    }

    /// Lets a model have these named arms from here on, and takes the series of others away.
    pub(super) fn set(&self, model: &str, arms: BTreeSet<Arc<str>>) {
        let mut named = self.named.lock();
        let mut series = named.remove(model).map(|before| before.series).unwrap_or_default();
        self.take_out(&mut series, |labels| !arms.contains(&labels.arm));
        if !arms.is_empty() {
            named.insert(model.into(), NamedArms { arms, series });
        }
    }

    fn take_out(&self, series: &mut HashSet<ArmLabels>, goes: impl Fn(&ArmLabels) -> bool) {
        for labels in series.extract_if(|labels| goes(labels)) {
            self.requests.remove(&labels);
        }
    }
}

fn labels(model: &Arc<str>, version: &Arc<str>, arm: &Arc<str>, result: ArmResult) -> ArmLabels {
    ArmLabels { model: model.clone(), version: version.clone(), arm: arm.clone(), result: result.name() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_arms_that_are_gone_go() {
        let mut registry = Registry::default();
        let family = ArmFamily::register(&mut registry);
        let [model, other, version]: [Arc<str>; 3] = ["m", "n", "1"].map(Into::into);
        let fixed = family.counters(&model, &version);
        fixed.count(&Arm::Direct, ArmResult::Ok);
        let names: Vec<Arc<str>> = (0..100).map(|arm| format!("a{arm}").into()).collect();
        family.set("n", names.iter().cloned().collect());
        for arm in &names {
            family.set("m", [arm.clone()].into());
            family.count(&model, &version, arm, ArmResult::Ok);
            family.count(&model, &version, arm, ArmResult::Ok);
            family.count(&other, &version, arm, ArmResult::Failed);
            // Requests of arms that left are answered a little later.
            names.iter().for_each(|arm| family.count(&model, &version, arm, ArmResult::Failed));
        }
        let text = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).expect("encodes");
            text
        };
        let series =
            |of: &str| text().lines().filter(|line| line.contains(of)).map(str::to_owned).collect::<Vec<_>>();
        let arms: Vec<String> =
            series("model=\"m\"").into_iter().filter(|line| line.contains("arm=\"a")).collect();
        assert_eq!(arms.len(), 2, "{arms:?}");
        assert!(arms.iter().all(|line| line.contains("arm=\"a99\"")), "{arms:?}");
        assert!(arms.iter().any(|line| line.contains("result=\"ok\"") && line.ends_with(" 2")), "{arms:?}");
        assert!(series("arm=\"direct\",result=\"ok\"")[0].ends_with(" 1"));
        assert_eq!(series("model=\"n\"").len(), 100);
        family.forget(&model, &version);
        assert!(series("model=\"m\"").is_empty());
        family.set("n", BTreeSet::new());
        names.iter().for_each(|arm| family.count(&other, &version, arm, ArmResult::Ok));
        assert!(series("model=\"n\"").is_empty());
    }
}
