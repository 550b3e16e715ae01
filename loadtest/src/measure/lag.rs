//! Whether latencies are partly the generator's own.

use crate::findings::{Latency, Part};

/// Up to here a generator's lag is what timers and wake-ups of a sound machine are.
const SPARED_US: f64 = 100.0;

/// Beyond, it may be this share of the latency that is measured, both at p99.
const SHARE_MAX: f64 = 0.1;

/// Streams that are told apart in a doubt.
const STREAMS_MAX: usize = 20;

/// What is known of the lag of one stream, over several parts.
#[derive(Debug)]
struct Lags<'a> {
    stream: &'a str,
    /// The parts that say something of it, and those in which the generator lagged.
    parts: usize,
    lagged: usize,
    /// The part in which the lag was the largest share of the latency, and both.
    worst: (&'a str, f64, f64),
}

/// Whether more than one request in a hundred of a stream left later than is to be passed over. Where nothing was
/// answered right, there is no latency that a lag could be part of.
pub(crate) fn lagged(lag: &Latency, latency: &Latency) -> bool {
    bounded(lag, latency).is_some_and(|(lag, latency)| lag > (latency * SHARE_MAX).max(SPARED_US))
}

/// p99 of both.
fn bounded(lag: &Latency, latency: &Latency) -> Option<(f64, f64)> {
    let p99 = |latency: &Latency| latency.quantile(0.99).or_else(|| latency.longest());
    p99(lag).zip(p99(latency))
}

/// What to say of all parts: a line for each stream with which the generator lagged.
pub(crate) fn doubts(parts: &[Part]) -> Vec<String> {
    let mut streams: Vec<Lags<'_>> = Vec::new();
    for (part, stream) in parts.iter().flat_map(|part| part.streams.iter().map(move |stream| (part, stream)))
    {
        let Some((lag, latency)) = bounded(&stream.lag, &stream.latency) else { continue };
        let known = streams.iter().position(|lags| lags.stream == stream.name);
        let lags = match known {
            Some(known) => &mut streams[known],
            None if streams.len() == STREAMS_MAX => continue,
            None => {
                streams.push(Lags {
                    stream: &stream.name,
                    parts: 0,
                    lagged: 0,
                    worst: (&part.name, lag, latency),
                });
                let last = streams.len() - 1;
                &mut streams[last]
            }
        };
        lags.parts += 1;
        if lagged(&stream.lag, &stream.latency) {
            lags.lagged += 1;
            if lag / latency >= lags.worst.1 / lags.worst.2 || lags.lagged == 1 {
                lags.worst = (&part.name, lag, latency);
            }
        }
    }
    streams.iter().filter(|lags| lags.lagged > 0).map(Lags::doubt).collect()
}

impl Lags<'_> {
    fn doubt(&self) -> String {
        let Self { stream, parts, lagged, worst: (part, lag, latency) } = self;
        let (lag, latency) = (crate::units::time(*lag), crate::units::time(*latency));
        format!(
            "the generator lagged with {stream} in {lagged} of {parts} parts (in {part} it was {lag} late of {latency}, \
             both at p99): latencies are partly its own; lower the rate, or give it cores or threads"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;

    fn of(micros: u64) -> Latency {
        let mut latencies = Latencies::new().expect("bounds");
        (0..200).for_each(|_| latencies.record(std::time::Duration::from_micros(micros)));
        latencies.found()
    }

    #[test]
    fn a_lag_counts_beside_the_latency_and_beyond_what_is_spared() {
        for (lag, latency, found) in
            [(50, 60, false), (90, 300, false), (150, 300, true), (900, 10_000, false), (1100, 10_000, true)]
        {
            assert_eq!(lagged(&of(lag), &of(latency)), found, "{lag} of {latency}");
        }
        assert!(!lagged(&of(5000), &Latencies::new().expect("bounds").found()), "nothing was answered");
    }
}
