//! The report as text, for a terminal.

use std::fmt::{self, Display, Formatter};

use super::{
    ClassReport, ConfusionReport, ExampleReport, ExcessReport, HarmReport, LatencyReport, NumberReport,
    OutputReport, QuantileReport, RateReport, Report, SideReport,
};

/// The most classes of which a terminal shows a matrix.
const CLASSES_SHOWN_MAX: usize = 8;

/// The most examples that are listed.
const EXAMPLES_SHOWN_MAX: usize = 5;

impl Report {
    /// The first sentence: what the comparison says, in words.
    #[must_use]
    pub fn verdict(&self) -> String {
        let agreement = &self.against.agreement;
        let worse = [
            (self.against.errors.is_worse, "fails more often"),
            (self.against.invalid.is_worse, "gives NaN or infinities more often"),
            (
                self.excess.is_some_and(|excess| excess.is_worse),
                "disagrees more often than the primary with itself",
            ),
        ];
        let worse: Vec<&str> = worse.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect();
        if !worse.is_empty() {
            return format!("Version {} {}", self.shadow, worse.join(", and "));
        }
        let Some(rate) = agreement.rate else {
            return format!("No answer of version {} has been compared yet", self.shadow);
        };
        if agreement.hits == agreement.tries && self.is_equal() {
            return format!("Version {} is equal to version {} in all answers", self.shadow, self.primary);
        }
        format!(
            "Version {} agrees with version {} in {} of answers (from {} to {})",
            self.shadow,
            self.primary,
            percent(rate),
            percent(agreement.lower),
            percent(agreement.upper)
        )
    }

    /// Whether all numbers have the same bits, and both sides answered the same requests.
    fn is_equal(&self) -> bool {
        let outcomes = &self.against.outcomes;
        let mut numbers = self.against.outputs.iter().filter_map(|output| output.numbers.as_ref());
        outcomes.ok_err + outcomes.err_ok == 0 && numbers.all(|numbers| numbers.bit_equal == Some(1.0))
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: version {} against version {}", self.model, self.shadow, self.primary)?;
        writeln!(f, "{}.", self.verdict())?;
        if let Some(run) = &self.run {
            writeln!(f, "\n  shadow            {}", run.standing())?;
            if let Some(cost) = &run.cost {
                writeln!(f, "  cost              {cost}")?;
            }
        }
        self.against.fmt(f)?;
        if let Some(floor) = &self.floor {
            writeln!(f, "\nA second copy of version {} against it:", self.primary)?;
            writeln!(f, "  agreement         {}", floor.agreement)?;
        }
        if let Some(excess) = &self.excess {
            writeln!(f, "  excess            {excess}")?;
        }
        if !self.dropped.is_empty() {
            writeln!(f, "\nNot compared, by reason and tenth of the primary's load:")?;
            for dropped in &self.dropped {
                let loads: Vec<String> = dropped.by_load.iter().map(u64::to_string).collect();
                writeln!(f, "  {:<17} {} ({})", dropped.reason, dropped.count, loads.join(" "))?;
            }
        }
        if self.mispaired > 0 {
            writeln!(f, "\nPairs of other versions, left out: {}", self.mispaired)?;
        }
        writeln!(f, "\nIntervals hold at any time, each wrong with a probability of {}.", self.alpha)
    }
}

impl Display for SideReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outcomes = &self.outcomes;
        writeln!(
            f,
            "\n  pairs             {} ok/ok, {} ok/err, {} err/ok, {} err/err",
            outcomes.ok_ok, outcomes.ok_err, outcomes.err_ok, outcomes.err_err
        )?;
        writeln!(f, "  agreement         {}", self.agreement)?;
        writeln!(f, "  errors            {}", self.errors)?;
        writeln!(f, "  NaN, infinities   {}", self.invalid)?;
        for failure in &self.shadow_failures {
            writeln!(f, "  shadow error      {} {}", failure.code, failure.count)?;
        }
        self.latency.fmt(f)?;
        self.outputs.iter().try_for_each(|output| output.fmt(f))?;
        if self.outputs_left_out > 0 {
            writeln!(f, "\nToo many outputs: {} were not compared", self.outputs_left_out)?;
        }
        for (title, examples) in [("Furthest apart", &self.worst), ("One side alone failed", &self.failed)] {
            if !examples.is_empty() {
                writeln!(f, "\n{title}:")?;
                examples
                    .iter()
                    .take(EXAMPLES_SHOWN_MAX)
                    .try_for_each(|example| writeln!(f, "  {example}"))?;
            }
        }
        Ok(())
    }
}

impl Display for RateReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(rate) = self.rate else { return f.write_str("nothing compared") };
        let (rate, lower, upper) = (percent(rate), percent(self.lower), percent(self.upper));
        write!(f, "{rate}, {} of {} (from {lower} to {upper})", self.hits, self.tries)
    }
}

impl Display for HarmReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_worse { "the shadow is worse" } else { "no sign that the shadow is worse" };
        write!(f, "{} of the shadow alone, {} of the primary alone: {verdict}", self.shadow, self.primary)
    }
}

impl Display for ExcessReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (rate, lower, upper) = (percent(self.rate), percent(self.lower), percent(self.upper));
        let verdict =
            if self.is_worse { "more than noise" } else { "no more than noise, as far as is known" };
        write!(f, "{rate} of {} pairs (from {lower} to {upper}): {verdict}", self.pairs)
    }
}

impl Display for LatencyReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rows =
            [("primary runs", self.primary), ("shadow runs", self.shadow), ("difference", self.difference)];
        for (name, quantiles) in rows {
            let Some(QuantileReport { p50, p95, p99, max, .. }) = quantiles else { continue };
            let [p50, p95, p99, max] = [p50, p95, p99, max].map(seconds);
            writeln!(f, "  {name:<17} p50 {p50}, p95 {p95}, p99 {p99}, max {max}")?;
        }
        match self.slower {
            Some(slower) => writeln!(f, "  slower by 25 %    {} of {} pairs", percent(slower), self.pairs),
            None => Ok(()),
        }
    }
}

impl Display for OutputReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nOutput {}: {} of {} agree", self.name, self.agreed, self.pairs)?;
        for (name, count) in [
            ("missing", self.missing),
            ("other datatype", self.other_datatype),
            ("other shape", self.other_shape),
        ] {
            if count > 0 {
                writeln!(f, "  {name:<17} {count}")?;
            }
        }
        self.classes.iter().try_for_each(|classes| classes.fmt(f))?;
        self.numbers.iter().try_for_each(|numbers| numbers.fmt(f))
    }
}

impl Display for ClassReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "  same class        {}", self.agreement)?;
        if let Some(overlap) = self.top_overlap {
            writeln!(f, "  top overlap       {}", percent(overlap))?;
        }
        if let Some((up, down)) = self.flips {
            writeln!(f, "  threshold flips   {up} up, {down} down")?;
        }
        if let (Some(kl), Some((js, js_max))) = (self.kl, self.js) {
            let (kl, js, js_max) = (number(kl), number(js), number(js_max));
            writeln!(f, "  divergence        KL {kl}, JS {js}, at most {js_max} nats")?;
        }
        if self.kl_infinite > 0 {
            writeln!(f, "  infinite KL       {} rows", self.kl_infinite)?;
        }
        if let Some(QuantileReport { p05, p50, p95, .. }) = self.delta {
            let [p05, p50, p95] = [p05, p50, p95].map(number);
            writeln!(f, "  score delta       p5 {p05}, p50 {p50}, p95 {p95}")?;
        }
        self.confusion.fmt(f)
    }
}

impl Display for ConfusionReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !(2..=CLASSES_SHOWN_MAX).contains(&self.classes.len()) {
            return Ok(());
        }
        let shown = |name: &String| name.chars().take(9).collect::<String>();
        let head: Vec<String> = self.classes.iter().map(|name| format!("{:>9}", shown(name))).collect();
        writeln!(f, "  primary \\ shadow  {}", head.join(" "))?;
        for (name, counts) in self.classes.iter().zip(&self.counts) {
            let counts: Vec<String> = counts.iter().map(|count| format!("{count:>9}")).collect();
            writeln!(f, "  {:<17} {}", shown(name), counts.join(" "))?;
        }
        Ok(())
    }
}

impl Display for NumberReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let share = |share: Option<f64>| share.map_or_else(|| "-".into(), percent);
        writeln!(
            f,
            "  elements          {}: {} bit-equal, {} close; tensors all close {}",
            self.elements,
            share(self.bit_equal),
            share(self.close),
            share(self.all_close)
        )?;
        let optional = |value: Option<f64>| value.map_or_else(|| "-".into(), number);
        let (abs, rel) = (number(self.max_abs), number(self.max_rel));
        let (rmse, cosine) = (optional(self.rmse), optional(self.cosine));
        writeln!(f, "  difference        at most {abs}, relative {rel}; RMSE {rmse}, cosine {cosine}")?;
        if let (Some(max), Some(near)) = (self.ulp_max, self.ulp_near) {
            writeln!(f, "  last place        at most {max} units, {} within 4", percent(near))?;
        }
        if let Some((bias, lower, upper)) = self.bias {
            let [bias, lower, upper] = [bias, lower, upper].map(number);
            writeln!(f, "  bias              {bias}, limits of agreement from {lower} to {upper}")?;
        }
        let (spearman, kendall) = (optional(self.ranks.spearman), optional(self.ranks.kendall));
        writeln!(f, "  ranks             Spearman {spearman}, Kendall {kendall} of {}", self.ranks.pairs)?;
        if self.left_out > 0 {
            let ((nan, shadow_nan), (infinite, shadow_infinite)) = (self.nan, self.infinite);
            writeln!(f, "  NaN               {nan} of the primary, {shadow_nan} of the shadow")?;
            writeln!(f, "  infinities        {infinite} of the primary, {shadow_infinite} of the shadow")?;
        }
        Ok(())
    }
}

impl Display for ExampleReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if let Some(output) = &self.output {
            let what = if self.disagrees { "disagrees" } else { "differs" };
            let (differing, max_abs) = (self.differing, number(self.max_abs));
            write!(f, " {what} in {output}: {differing} elements, at most {max_abs}")?;
        }
        if self.is_replayable { Ok(()) } else { f.write_str(" (its inputs are not kept: too many bytes)") }
    }
}

/// A share, with as many digits as tell it from all and nothing.
pub(crate) fn percent(share: f64) -> String {
    // There is one 0.
    let percent = 100.0 * share + 0.0;
    let digits = [1, 2, 3, 4].into_iter().find(|digits| {
        let shown = format!("{percent:.*}", *digits).parse::<f64>().unwrap_or(percent);
        (shown == 0.0) == (percent == 0.0) && (shown.abs() == 100.0) == (percent.abs() == 100.0)
    });
    let text = format!("{percent:.*} %", digits.unwrap_or(4));
    // What is too little to be seen has no sign.
    let is_0 = text.bytes().all(|byte| !(b'1'..=b'9').contains(&byte));
    if is_0 { text.trim_start_matches('-').to_owned() } else { text }
}

/// A number with four digits that count.
pub(crate) fn number(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        "0".into()
    } else if (1e-3..1e5).contains(&size) {
        let digits = (3 - size.log10().floor() as i32).clamp(0, 6);
        let text = format!("{number:.*}", digits.unsigned_abs() as usize);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
    } else {
        format!("{number:.2e}")
    }
}

/// A time.
pub(crate) fn seconds(seconds: f64) -> String {
    let size = seconds.abs();
    if size < 1e-3 {
        format!("{} us", number(seconds * 1e6))
    } else if size < 1.0 {
        format!("{} ms", number(seconds * 1e3))
    } else {
        format!("{} s", number(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_rounded_to_all_or_nothing() {
        assert_eq!(
            [0.0, 0.5, 1.0, 0.9999, 0.99999, 0.00001].map(percent),
            ["0.0 %", "50.0 %", "100.0 %", "99.99 %", "99.999 %", "0.001 %"]
        );
        assert_eq!([-0.0, -1e-12, -0.001].map(percent), ["0.0 %", "0.0000 %", "-0.1 %"]);
        assert_eq!(
            [0.0, 0.1, 12.0, -0.070_710_7, 123_456.0, 1e-9, 1000.0].map(number),
            ["0", "0.1", "12", "-0.07071", "1.23e5", "1.00e-9", "1000"]
        );
        assert_eq!([0.0, 2.5e-6, 0.0123, -2.0].map(seconds), ["0 us", "2.5 us", "12.3 ms", "-2 s"]);
    }
}
