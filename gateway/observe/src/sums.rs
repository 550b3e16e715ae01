//! What is known of one version against the primary.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::{Inputs, Pair, Side};
use pointsman_stats::{Errors, Tally};

use crate::examples::{Example, Examples};
use crate::failures::Failures;
use crate::latency::Latency;
use crate::outcomes::Outcomes;
use crate::output::{Found, Output};
use crate::sample::Keys;
use crate::settings::{OUTPUTS_MAX, Settings};

/// Sums over all pairs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) outcomes: Outcomes,
    /// Pairs in which both answered alike, among those in which both answered.
    pub(crate) agreed: Tally,
    /// Answers that are not finite of one side alone.
    pub(crate) invalid: Errors,
    /// Those of one side, whatever the other gave.
    pub(crate) all_invalid: Errors,
    pub(crate) primary_failures: Failures,
    pub(crate) shadow_failures: Failures,
    pub(crate) outputs: BTreeMap<Arc<str>, Output>,
    /// Outputs past the limit, which are not compared.
    pub(crate) outputs_left_out: u64,
    pub(crate) latency: Latency,
    /// Pairs that are furthest apart.
    pub(crate) worst: Examples,
    /// Pairs in which one side alone failed.
    pub(crate) failed: Examples,
}

impl Sums {
    /// Takes an answer to the exchange of a pair in, which may be that of the shadow or of the floor. Whether the two disagree; nothing where neither answered, which says nothing.
    pub(crate) fn push(
        &mut self,
        pair: &Pair<'_>,
        shadow: &Side<'_>,
        inputs: Option<&Inputs<'_>>,
        settings: &Settings,
    ) -> Option<bool> {
        let (id, primary) = (pair.id, &pair.primary);
        self.outcomes.push(primary.outputs.is_ok(), shadow.outputs.is_ok());
        for (side, failures) in [(primary, &mut self.primary_failures), (shadow, &mut self.shadow_failures)] {
            if let Err(code) = side.outputs {
                failures.push(code);
            }
        }
        match (primary.outputs, shadow.outputs) {
            (Ok(_), Ok(_)) => {
                self.latency.push(&primary.times, &shadow.times);
                Some(!self.answers(pair, shadow, inputs, settings))
            }
            (Err(_), Err(_)) => None,
            _ => {
                let example = Example { id, output: None, disagrees: true, differing: 1, max_abs: 0.0 };
                self.failed.push(example, inputs);
                Some(true)
            }
        }
    }

    /// Whether two answers are alike.
    fn answers(
        &mut self,
        pair: &Pair<'_>,
        shadow: &Side<'_>,
        inputs: Option<&Inputs<'_>>,
        settings: &Settings,
    ) -> bool {
        let (id, primary) = (pair.id, &pair.primary);
        let (Ok(left), Ok(right)) = (primary.outputs, shadow.outputs) else { return false };
        let mut all = Found { agrees: true, ..Found::default() };
        let mut worst: Option<Example> = None;
        for (place, output) in left.iter().enumerate() {
            if !self.outputs.contains_key(&output.name) {
                if self.outputs.len() >= OUTPUTS_MAX {
                    self.outputs_left_out += 1;
                    continue;
                }
                self.outputs.insert(output.name.clone(), Output::default());
            }
            let Some(sums) = self.outputs.get_mut(&output.name) else { continue };
            let tensor = right.iter().find(|other| other.name == output.name).map(|other| &other.tensor);
            let keys = Keys::of(settings.seed.wrapping_add(place as u64), id);
            let found = sums.push(output, tensor, keys, settings);
            all.agrees &= found.agrees;
            all.primary_invalid |= found.primary_invalid;
            all.shadow_invalid |= found.shadow_invalid;
            if found.differing > 0 {
                let Found { agrees, differing, max_abs, .. } = found;
                let name = Some(output.name.clone());
                let example = Example { id, output: name, disagrees: !agrees, differing, max_abs };
                worst = worst.filter(|other| *other >= example).or(Some(example));
            }
        }
        self.invalid.canary += u64::from(all.shadow_invalid && !all.primary_invalid);
        self.invalid.primary += u64::from(all.primary_invalid && !all.shadow_invalid);
        self.all_invalid.canary += u64::from(all.shadow_invalid);
        self.all_invalid.primary += u64::from(all.primary_invalid);
        self.agreed.push(all.agrees);
        if let Some(worst) = worst {
            self.worst.push(worst, inputs);
        }
        all.agrees
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.outcomes.merge(other.outcomes);
        self.agreed = self.agreed.and(other.agreed);
        self.invalid = self.invalid.and(other.invalid);
        self.all_invalid = self.all_invalid.and(other.all_invalid);
        self.primary_failures.merge(&other.primary_failures);
        self.shadow_failures.merge(&other.shadow_failures);
        for (name, output) in &other.outputs {
            if self.outputs.contains_key(name) || self.outputs.len() < OUTPUTS_MAX {
                self.outputs.entry(name.clone()).or_default().merge(output);
            } else {
                self.outputs_left_out += output.pairs;
            }
        }
        self.outputs_left_out += other.outputs_left_out;
        self.latency.merge(&other.latency);
        self.worst.merge(&other.worst);
        self.failed.merge(&other.failed);
    }
}
