//! One stream alone, and then with all others beside it.

use crate::bench::{Bench, Found};
use crate::scenario::Neighbour;

/// Measures both in turn, as often as was asked.
///
/// # Errors
/// Where nothing could be measured.
pub(super) fn run(bench: &mut Bench<'_>, table: &Neighbour, found: &mut Found) -> Result<(), String> {
    let stream = bench.scenario().stream("neighbour.measured", Some(&table.measured))?;
    let all = bench.loads()?;
    let alone = [all[stream].clone()];
    let rounds = table.rounds.0;
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let of_rounds = if rounds > 1 { format!(", round {round}") } else { String::new() };
        let measured = bench.measure(&format!("alone{of_rounds}"), &alone)?;
        let before = found.keep(measured)?.streams[0].latency.clone();
        let measured = bench.measure(&format!("beside the others{of_rounds}"), &all)?;
        let beside = &found.keep(measured)?.streams[stream].latency;
        let pair = |quantile| before.quantile(quantile).zip(beside.quantile(quantile));
        medians.push(pair(0.5));
        tails.push(pair(0.99));
    }
    for (quantile, pairs) in [("p50", medians), ("p99", tails)] {
        found.ratio(format!("{quantile} of {} beside the others over alone", table.measured), pairs);
    }
    Ok(())
}
