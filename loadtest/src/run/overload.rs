//! Multiples of the most that is answered: what is answered then, how fast, and how fast the rest is refused.

use crate::bench::{Bench, Found};
use crate::findings::{Figure, Stream};
use crate::ratio::median;
use crate::scenario::Overload;

/// The quantile of what is answered that is compared.
const TAIL: f64 = 0.99;

/// Measures callers that wait for their answers, the share of what they get that the others are compared with, and each
/// multiple, in turn. Machines are not as fast from one second to the next: before and after each part the peak is measured.
///
/// # Errors
/// Where nothing could be measured.
pub(super) fn run(bench: &mut Bench<'_>, table: &Overload, found: &mut Found) -> Result<(), String> {
    let stream = bench.scenario().stream("overload.stream", table.stream.as_deref())?;
    let rounds = table.rounds.0;
    let of_round = |round: usize| if rounds > 1 { format!(", round {round}") } else { String::new() };
    let peak = |name: &str, bench: &mut Bench<'_>, found: &mut Found| -> Result<f64, String> {
        let loads = bench.loads_of_callers(stream, table.callers.0)?;
        let measured = bench.measure(name, &loads)?;
        Ok(found.keep(measured)?.streams[stream].goodput)
    };
    let mut before = peak("peak", bench, found)?;
    let mut peaks = vec![before];
    let mut multiples: Vec<Multiple> = table.times.iter().map(|times| Multiple::new(times.0)).collect();
    for round in 1..=rounds {
        let mut at = |times: f64, found: &mut Found| -> Result<(Stream, f64), String> {
            let name = format!("{}{}", name(times), of_round(round));
            let measured = bench.measure(&name, &bench.loads_at(stream, before * times)?)?;
            let measured = found.keep(measured)?.streams[stream].clone();
            let after = peak(&format!("peak after {name}"), bench, found)?;
            let beside = f64::midpoint(before, after);
            peaks.push(after);
            before = after;
            Ok((measured, beside))
        };
        let (beside, _) = at(table.beside.0, found)?;
        for multiple in &mut multiples {
            let (measured, peak) = at(multiple.times, found)?;
            multiple.keep(&measured, peak, &beside);
        }
    }
    found.figures.extend(median(peaks).map(|peak| Figure::of("peak", peak, "/s")));
    for multiple in multiples {
        multiple.tell(&name(table.beside.0), found);
    }
    Ok(())
}

/// "10 x".
fn name(times: f64) -> String {
    format!("{times} x")
}

/// What was found at a multiple of the peak, round by round.
struct Multiple {
    times: f64,
    /// Right answers in a second, at the peak and here.
    goodput: Vec<Option<(f64, f64)>>,
    /// Tails of what was answered, in microseconds, at the multiple that is compared with and here.
    tails: Vec<Option<(f64, f64)>>,
    /// Medians of the time of a refusal, in microseconds.
    refusals: Vec<f64>,
}

impl Multiple {
    fn new(times: f64) -> Self {
        Self { times, goodput: Vec::new(), tails: Vec::new(), refusals: Vec::new() }
    }

    fn keep(&mut self, stream: &Stream, peak: f64, beside: &Stream) {
        self.goodput.push(Some((peak, stream.goodput)));
        self.tails.push(beside.latency.quantile(TAIL).zip(stream.latency.quantile(TAIL)));
        let refusal = stream.refusal_latency.as_ref().and_then(|latency| latency.quantile(0.5));
        self.refusals.extend(refusal);
    }

    fn tell(self, of: &str, found: &mut Found) {
        let at = name(self.times);
        found.ratio(format!("goodput at {at} over peak"), self.goodput);
        found.ratio(format!("accepted p99 at {at} over {of}"), self.tails);
        let refusal = median(self.refusals);
        found.figures.extend(refusal.map(|us| Figure::of(format!("refusal p50 at {at}"), us, "us")));
    }
}
