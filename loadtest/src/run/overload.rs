//! Multiples of the highest rate that holds: what is answered then, how fast, and how fast the rest is refused.

use super::saturation::Peak;
use crate::bench::{Bench, Found};
use crate::findings::{Figure, Part, Stream};
use crate::scenario::Overload;

/// Measures the peak's share that the others are compared with, and then each multiple.
///
/// # Errors
/// Where nothing could be measured.
pub(super) fn run(
    bench: &mut Bench<'_>,
    table: &Overload,
    peak: Peak,
    found: &mut Found,
) -> Result<(), String> {
    let mut at = |times: f64, found: &mut Found| -> Result<Stream, String> {
        let measured = bench.measure(&name(times), &bench.loads_at(peak.stream, peak.rate * times)?)?;
        let part: &Part = found.keep(measured)?;
        Ok(part.streams[peak.stream].clone())
    };
    let beside = at(table.beside.0, found)?;
    for times in &table.times {
        let stream = at(times.0, found)?;
        found.figures.extend(figures(times.0, &stream, table.beside.0, &beside, peak));
    }
    Ok(())
}

/// "10 x".
fn name(times: f64) -> String {
    format!("{times} x")
}

fn figures(times: f64, stream: &Stream, of: f64, beside: &Stream, peak: Peak) -> Vec<Figure> {
    let (at, of) = (name(times), name(of));
    let mut figures = vec![Figure::of(
        format!("goodput at {at} over peak"),
        stream.goodput / peak.goodput.max(f64::EPSILON),
        "ratio",
    )];
    let p99 = |stream: &Stream| stream.latency.quantile(0.99);
    if let Some((loaded, unloaded)) = p99(stream).zip(p99(beside)) {
        figures.push(Figure::of(format!("accepted p99 at {at} over {of}"), loaded / unloaded, "ratio"));
    }
    if let Some(refusal) = stream.refusal_latency.as_ref().and_then(|latency| latency.quantile(0.5)) {
        figures.push(Figure::of(format!("refusal p50 at {at}"), refusal, "us"));
    }
    figures
}
