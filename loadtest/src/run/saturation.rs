//! The highest rate of a stream that holds an objective.

use crate::bench::{Bench, Found};
use crate::findings::{Figure, Stream};
use crate::measure::lag;
use crate::readings::Known;
use crate::scenario::{Objective, Search as Table};
use crate::search::{Bounds, Next, Search};
use crate::units;

/// The highest rate that is tried where the scenario says none.
const RATE_MAX: f64 = 1_000_000.0;

/// Measures one rate after the other.
///
/// # Errors
/// Where nothing could be measured, or no rate holds.
pub(super) fn search(bench: &mut Bench<'_>, table: &Table, found: &mut Found) -> Result<(), String> {
    let scenario = bench.scenario();
    let stream = scenario.stream("search.stream", table.stream.as_deref())?;
    let start = scenario.streams[stream].rate.map_or(1.0, |rate| rate.0);
    let rate_max = table.rate_max.map_or(RATE_MAX, |rate| rate.0);
    let bounds = Bounds { start, rate_max, precision: table.precision.0, tries: table.tries.0 };
    let mut search = Search::new(bounds);
    let (mut goodput, mut lagged) = (0.0, 0);
    let rate = loop {
        match search.next() {
            Next::Try(rate) => {
                let measured = bench.measure(&units::rate(rate), &bench.loads_at(stream, rate)?)?;
                let tried = &found.keep(measured)?.streams[stream];
                let held = holds(tried, table);
                if held {
                    goodput = tried.goodput;
                } else if lag::lagged(&tried.lag, &tried.latency) {
                    lagged += 1;
                }
                search.tell(held);
            }
            Next::Found(rate) => break rate,
            Next::AtMost(rate) => {
                let rate_shown = units::rate(rate);
                found.doubts.push(format!(
                    "{rate_shown}, the highest rate that may be tried, holds: raise search.rate_max"
                ));
                break rate;
            }
            Next::None(rate) => {
                let rate = units::rate(rate);
                return Err(format!(
                    "not even {rate} holds the objective: loosen search.objective, or see what is slow"
                ));
            }
        }
    };
    if lagged > 0 {
        // What the generator could not send in time says nothing of the server.
        found
            .doubts
            .push(format!("{lagged} tries did not hold while the generator lagged: the peak may be higher"));
    }
    found.figures.push(Figure::of("peak", rate, "/s"));
    found.figures.push(Figure::of("goodput at the peak", goodput, "/s"));
    Ok(())
}

/// Whether a part held the objective, and answered enough of what was due right. A quantile that was not kept
/// is taken at the next one above, and one that samples do not reach at the longest.
fn holds(stream: &Stream, table: &Table) -> bool {
    let Objective { quantile, below_us } = table.objective;
    let latency = stream.latency.known(quantile).map(|known| match known {
        Known::Exactly(us) | Known::Between(_, us) => us,
    });
    let right = stream.counts.ok as f64 >= table.goodput.0 * stream.counts.sent as f64;
    right && latency.is_some_and(|us| us < below_us)
}
