//! What is counted of arms. Their names come from plans alone, and their series go when the plan has them no more.

use std::collections::HashSet;
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
    /// Those of named arms.
    known: Mutex<HashSet<ArmLabels>>,
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

    /// Counts a request of a named arm.
    pub(super) fn count(&self, model: &Arc<str>, version: &Arc<str>, arm: &Arc<str>, result: ArmResult) {
        let labels = labels(model, version, arm, result);
        if let Some(counter) = self.requests.get(&labels) {
            counter.inc();
            return;
        }
        let mut known = self.known.lock();
        self.requests.get_or_create(&labels).inc();
        known.insert(labels);
    }

    /// Takes the series of a version away.
    pub(super) fn forget(&self, model: &Arc<str>, version: &Arc<str>) {
        for arm in [Arm::DEFAULT, Arm::DIRECT] {
            for result in ArmResult::ALL {
                self.requests.remove(&labels(model, version, &arm.into(), result));
            }
        }
        self.take_out(|labels| labels.model == *model && labels.version == *version);
    }

    /// Takes the series of a model's named arms away that are not to be kept.
    pub(super) fn retain(&self, model: &str, keep: impl Fn(&str) -> bool) {
        self.take_out(|labels| &*labels.model == model && !keep(&labels.arm));
    }

    fn take_out(&self, goes: impl Fn(&ArmLabels) -> bool) {
        for labels in self.known.lock().extract_if(|labels| goes(labels)) {
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
        for arm in 0..100 {
            let arm: Arc<str> = format!("a{arm}").into();
            family.count(&model, &version, &arm, ArmResult::Ok);
            family.count(&model, &version, &arm, ArmResult::Ok);
            family.count(&other, &version, &arm, ArmResult::Failed);
            family.retain("m", |name| name == &*arm);
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
        assert_eq!(arms.len(), 1, "{arms:?}");
        assert!(arms[0].contains("arm=\"a99\",result=\"ok\"") && arms[0].ends_with(" 2"), "{arms:?}");
        assert!(series("arm=\"direct\",result=\"ok\"")[0].ends_with(" 1"));
        assert_eq!(series("model=\"n\"").len(), 100);
        family.forget(&model, &version);
        assert!(series("model=\"m\"").is_empty());
    }
}
