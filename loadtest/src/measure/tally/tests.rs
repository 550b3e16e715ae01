//! Counts of made-up records.

use proptest::prelude::*;

use super::*;
use crate::call::Fault;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn record(due: u64, ended: u64, verdict: Verdict) -> Record {
    Record { stream: 0, due: at(due), fired: at(due + 1), sent: at(due + 3), ended: at(ended), verdict }
}

/// Measured from 1 s on, for 3 s.
fn counted(records: &[Record], sent: u64) -> Stream {
    let mut tally = Tally::new(at(1000), at(3000)).expect("histograms");
    records.iter().for_each(|record| tally.add(record));
    tally.lose(sent);
    tally.stream(Named { name: "iris".into(), ..Named::default() }, at(3000))
}

fn us(found: f64, millis: f64) -> bool {
    (found / millis / 1e3 - 1.0).abs() < 0.02
}

#[test]
fn latencies_count_from_due_and_refusals_from_sent() {
    let records = [
        record(500, 600, Verdict::Right),
        record(1100, 1120, Verdict::Right),
        record(2100, 2113, Verdict::Refused(Fault::new("OVERLOADED", ""))),
        record(2200, 2300, Verdict::Failed(Fault::new("HTTP 500", "out of memory"))),
        record(2300, 2310, Verdict::Wrong(Fault::new("wrong values", ""))),
        record(3900, 13_900, Verdict::Lost(Fault::new("timeout", ""))),
    ];
    let stream = counted(&records, 8);
    let counts = Counts { sent: 7, ok: 1, refused: 1, failed: 1, wrong: 1, lost: 3 };
    assert_eq!(stream.counts, counts);
    assert!(us(stream.latency.max_us, 20.0) && us(stream.lag.max_us, 1.0), "{stream:?}");
    assert!(us(stream.refusal_latency.expect("one refusal").max_us, 10.0));
    assert_eq!((stream.goodput, stream.offered_rate), (1.0 / 3.0, Some(7.0 / 3.0)));
    let codes: Vec<(&str, u64)> = stream.errors.iter().map(|(code, n)| (&**code, *n)).collect();
    let expected =
        [("HTTP 500", 1), ("OVERLOADED", 1), ("never ended", 2), ("timeout", 1), ("wrong values", 1)];
    assert_eq!(codes, expected);
    assert_eq!(stream.said["HTTP 500"], "out of memory");
    let sent: Vec<u64> = stream.over_time.iter().map(|second| second.sent).collect();
    assert_eq!(sent, [1, 3, 1]);
}

#[test]
fn goodput_is_of_the_answers_that_came_in_the_time() {
    let backlog = [
        record(900, 1001, Verdict::Right),
        record(3000, 3999, Verdict::Right),
        record(3500, 4000, Verdict::Right),
        record(3900, 9000, Verdict::Right),
    ];
    let stream = counted(&backlog, 4);
    assert_eq!((stream.counts.ok, stream.goodput), (3, 2.0 / 3.0));
}

#[test]
fn codes_that_are_made_up_for_each_answer_are_not_all_kept() {
    let records: Vec<Record> = (0..200)
        .map(|n| {
            record(
                1000 + n,
                1500,
                Verdict::Failed(Fault { code: format!("E{n}").into(), said: String::new() }),
            )
        })
        .collect();
    let stream = counted(&records, 200);
    assert_eq!((stream.errors.len(), stream.errors[OTHER]), (CODES_MAX + 1, 200 - CODES_MAX as u64));
}

proptest! {
    /// Whatever comes, seconds and buckets hold what the counts say.
    #[test]
    fn seconds_and_buckets_add_up(
        records in prop::collection::vec((1000u64..4000, 0u64..100_000, any::<bool>()), 0..200),
    ) {
        let made: Vec<Record> = records.iter().map(|(due, took, right)| {
            let verdict = if *right { Verdict::Right } else { Verdict::Lost(Fault::new("timeout", "")) };
            record(*due, due + took, verdict)
        }).collect();
        let stream = counted(&made, made.len() as u64);
        let Stream { counts, over_time, edges_us, errors, .. } = stream;
        prop_assert_eq!(over_time.iter().map(|s| s.sent).sum::<u64>(), counts.sent);
        prop_assert_eq!(over_time.iter().map(|s| s.ok).sum::<u64>(), counts.ok);
        prop_assert_eq!(errors.values().sum::<u64>(), counts.lost);
        prop_assert!(edges_us.windows(2).all(|pair| pair[0] < pair[1]));
        for (index, second) in over_time.iter().enumerate() {
            prop_assert_eq!(second.buckets.len(), edges_us.len() + 1);
            let mut expected = vec![0; edges_us.len() + 1];
            for (due, took, right) in &records {
                if *right && (due - 1000) / 1000 == index as u64 {
                    expected[edges_us.partition_point(|edge| *edge <= *took as f64 * 1e3)] += 1;
                }
            }
            prop_assert_eq!(&second.buckets, &expected);
            prop_assert_eq!(second.quantiles_us.is_some(), second.ok > 0);
        }
    }
}
