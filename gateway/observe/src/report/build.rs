//! From sums to what is said of them.

use std::sync::Arc;

use pointsman_core::ShadowDrop;
use pointsman_stats::{Alpha, Errors, Tally, kendall, rate_interval, spearman};

use super::{
    ClassReport, ConfusionReport, DropReport, ExampleReport, ExcessReport, FailureReport, HarmReport,
    LatencyReport, NumberReport, OutputReport, QuantileReport, RankReport, RateReport, Report, SideReport,
};
use crate::classes::Classes;
use crate::comparison::Comparison;
use crate::confusion::{Class, Confusion};
use crate::examples::Examples;
use crate::excess::{Excess, PAIRS_BEST};
use crate::failures::Failures;
use crate::latency::Latency;
use crate::numbers::{Numbers, bin_name};
use crate::outcomes::{Outcomes, shadow_is_worse};
use crate::output::Output;
use crate::quantiles::Quantiles;
use crate::sums::Sums;

/// The most pairs of numbers that a report shows of one output.
const SHOWN_MAX: usize = 256;

impl Comparison {
    /// What has been found so far. Each interval and verdict holds at any time, and is wrong with a probability of at
    /// most alpha by itself: whoever decides by several shares it ([`Alpha::shared_by`]).
    #[must_use]
    pub fn report(&self, alpha: Alpha) -> Report {
        let settings = &self.settings;
        Report {
            model: self.pairing.model.to_string(),
            primary: self.pairing.primary.get(),
            shadow: self.pairing.shadow.get(),
            alpha: alpha.get(),
            rtol: settings.rtol,
            atol: settings.atol,
            threshold: settings.threshold,
            top: settings.top,
            against: side(&self.shadow, alpha),
            floor: (self.floor.outcomes != Outcomes::default()).then(|| side(&self.floor, alpha)),
            excess: excess(&self.excess, alpha),
            dropped: ShadowDrop::ALL
                .into_iter()
                .zip(&self.dropped)
                .map(|(reason, by_load)| (reason, by_load, by_load.iter().sum()))
                .filter(|(_, _, count)| *count > 0)
                .map(|(reason, by_load, count)| DropReport {
                    reason: reason.name().into(),
                    count,
                    by_load: by_load.to_vec(),
                })
                .collect(),
            mispaired: self.mispaired,
            run: None,
        }
    }
}

fn side(sums: &Sums, alpha: Alpha) -> SideReport {
    SideReport {
        outcomes: sums.outcomes,
        agreement: rate(sums.agreed, alpha),
        errors: harm(sums.outcomes.discordant(), alpha),
        invalid: harm(sums.invalid, alpha),
        primary_failures: failures(&sums.primary_failures),
        shadow_failures: failures(&sums.shadow_failures),
        outputs: sums.outputs.iter().map(|(name, sums)| output(name, sums, alpha)).collect(),
        outputs_left_out: sums.outputs_left_out,
        latency: latency(&sums.latency),
        worst: examples(&sums.worst),
        failed: examples(&sums.failed),
    }
}

fn rate(tally: Tally, alpha: Alpha) -> RateReport {
    let (lower, upper) = rate_interval(tally, alpha, PAIRS_BEST).unwrap_or((0.0, 1.0));
    RateReport { hits: tally.hits(), tries: tally.tries(), rate: tally.rate(), lower, upper }
}

fn harm(discordant: Errors, alpha: Alpha) -> HarmReport {
    let log_e = shadow_is_worse(discordant);
    let Errors { canary: shadow, primary } = discordant;
    HarmReport { shadow, primary, log_e: log_e.get(), is_worse: log_e.rejects(alpha) }
}

fn excess(excess: &Excess, alpha: Alpha) -> Option<ExcessReport> {
    let (lower, rate, upper) = excess.rate(alpha)?;
    let Excess { both, shadow, floor, neither } = *excess;
    let (log_e, pairs) = (excess.log_e(), excess.pairs());
    let is_worse = log_e.rejects(alpha);
    Some(ExcessReport {
        pairs,
        both,
        shadow,
        floor,
        neither,
        rate,
        lower,
        upper,
        log_e: log_e.get(),
        is_worse,
    })
}

fn failures(failures: &Failures) -> Vec<FailureReport> {
    failures.iter().map(|(code, count)| FailureReport { code: code.name().into(), count }).collect()
}

fn examples(examples: &Examples) -> Vec<ExampleReport> {
    let report = |example: &crate::examples::Example| ExampleReport {
        id: example.id.to_string(),
        output: example.output.as_deref().map(str::to_owned),
        disagrees: example.disagrees,
        differing: example.differing,
        max_abs: example.max_abs,
        is_replayable: examples.inputs(example.id).is_some(),
    };
    examples.iter().map(report).collect()
}

fn output(name: &Arc<str>, sums: &Output, alpha: Alpha) -> OutputReport {
    // By how much one class is more than another says nothing.
    let are_labels = sums.classes.rows.tries() > 0 && sums.classes.thresholded == 0;
    OutputReport {
        name: name.to_string(),
        pairs: sums.pairs,
        agreed: sums.agreed,
        missing: sums.missing,
        other_datatype: sums.other_datatype,
        other_shape: sums.other_shape,
        numbers: (sums.numbers.close.tries() > 0 && !are_labels).then(|| numbers(&sums.numbers)),
        classes: (sums.classes.rows.tries() > 0).then(|| classes(&sums.classes, alpha)),
    }
}

fn numbers(sums: &Numbers) -> NumberReport {
    let pairs = sums.sample.pairs();
    // The shadow's less the primary's, where the sums have it the other way round.
    let bias = sums.paired.limits_of_agreement().map(|limits| (-limits.bias, -limits.upper, -limits.lower));
    NumberReport {
        elements: sums.close.tries(),
        nan: (sums.primary.nan, sums.shadow.nan),
        infinite: (sums.primary.infinite, sums.shadow.infinite),
        left_out: sums.left_out,
        bit_equal: sums.bit_equal.rate(),
        close: sums.close.rate(),
        all_close: sums.all_close.rate(),
        max_abs: sums.paired.max_abs(),
        max_rel: sums.paired.max_rel(),
        ulp_max: (sums.ulp_near.tries() > 0).then_some(sums.ulp_max),
        ulp_near: sums.ulp_near.rate(),
        rmse: sums.paired.rmse(),
        cosine: sums.paired.cosine(),
        bias,
        // The sample holds numbers alone, and fewer than may be ranked.
        ranks: RankReport {
            pairs: pairs.len(),
            spearman: spearman(&pairs).ok().flatten(),
            kendall: kendall(&pairs).ok().flatten(),
        },
        bins: sums.bins.iter().enumerate().map(|(bin, count)| (bin_name(bin), *count)).collect(),
        sample: pairs.into_iter().take(SHOWN_MAX).collect(),
    }
}

fn classes(sums: &Classes, alpha: Alpha) -> ClassReport {
    let of_scores = sums.thresholded > 0;
    ClassReport {
        agreement: rate(sums.rows, alpha),
        top_overlap: sums.top.rate(),
        flips: of_scores.then_some((sums.flips.canary, sums.flips.primary)),
        distributions: sums.divergences.rows,
        kl: sums.divergences.kl_mean(),
        kl_infinite: sums.divergences.kl_infinite,
        js: sums.divergences.js_mean().map(|mean| (mean, sums.divergences.js_max)),
        delta: quantiles(&sums.delta),
        confusion: confusion(&sums.confusion, sums.labels.as_deref()),
    }
}

fn confusion(confusion: &Confusion, labels: Option<&[String]>) -> ConfusionReport {
    let classes = confusion.classes();
    let name = |class: &Class| match class {
        Class::Number(number) => usize::try_from(*number)
            .ok()
            .and_then(|number| labels?.get(number))
            .map_or_else(|| number.to_string(), Clone::clone),
        Class::Text(text) => text.to_string(),
        Class::None => "none".into(),
        Class::Other => "other".into(),
    };
    let row = |a: &Class| classes.iter().map(|b| confusion.count(a, b)).collect();
    ConfusionReport { classes: classes.iter().map(name).collect(), counts: classes.iter().map(row).collect() }
}

fn latency(sums: &Latency) -> LatencyReport {
    LatencyReport {
        pairs: sums.difference.count(),
        primary: quantiles(&sums.primary),
        shadow: quantiles(&sums.shadow),
        difference: quantiles(&sums.difference),
        slower: sums.slower.rate(),
        queue: quantiles(&sums.queue),
    }
}

fn quantiles(quantiles: &Quantiles) -> Option<QuantileReport> {
    Some(QuantileReport {
        min: quantiles.at(0.0)?,
        p05: quantiles.at(0.05)?,
        p50: quantiles.at(0.5)?,
        p95: quantiles.at(0.95)?,
        p99: quantiles.at(0.99)?,
        max: quantiles.at(1.0)?,
    })
}
