//! Labels of requests that are in the sample log alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_core::{Answer, ColumnSchema, Redaction, RequestId};
use pointsman_observe::labels::{Label, Labelled, Logged, Said, Value, Verdict};
use pointsman_observe::sample_log::{Chosen, Class, Reader, Record};

use super::rig::{Exchange, Log, schema, shadow};

const HOUR: Duration = Duration::from_secs(3600);
const NOW_MS: u64 = 1_700_000_000_000;

fn said(id: RequestId, row: u32, label: &str) -> Said {
    Said { id, row, value: Value::Text(label.into()), at_ms: None, source: None }
}

fn rows(log: &Log, ids: &[RequestId], came: SystemTime) -> Vec<Logged> {
    let requests: Vec<_> = ids.iter().map(|id| (*id, came)).collect();
    let batches = Reader::open(log.path()).for_labels(&requests, HOUR, HOUR).batches().expect("files");
    batches.flat_map(|batch| Logged::of(&batch.expect("a batch"))).collect()
}

fn label(rows: &[Logged], said: &Said) -> Labelled {
    rows.iter().find(|row| row.row == said.row).or(rows.first()).expect("a row").label(said, NOW_MS)
}

#[test]
fn a_label_joins_the_row_and_its_shadows_with_the_weight_of_the_row() {
    let mut log = Log::new(Some(&schema(&[])));
    let mut exchange = Exchange::new(21.5);
    exchange.shadows = vec![shadow(vec![0.9_f32, 0.1, 0.0, 1.0])];
    log.take(&exchange);
    log.take(&Exchange::new(0.0));
    log.writer.tick(log.now + Duration::from_secs(1));
    let of_spool = rows(&log, &[exchange.id], log.clock());
    log.finish();
    let found = rows(&log, &[exchange.id], log.clock());
    assert_eq!((found.len(), &found), (2, &of_spool));
    let joined = label(&found, &said(exchange.id, 0, "no"));
    assert_eq!((joined.verdict, joined.joined.len()), (Verdict::Joined, 2));
    let [first, shadow] = &joined.joined[..] else { panic!("two pairs") };
    assert_eq!((first.source.version, first.source.is_shadow, &*first.arm), (3, false, "next"));
    assert_eq!(first.answer, Answer::Class { class: 1, scores: [0.75].into() });
    assert_eq!((first.label, first.is_wrong()), (Label::Class(0), Some(true)));
    assert_eq!((first.included.weight(), first.from_log, first.at_ms), (2.0, true, 1_500_000_000_000));
    let slices: Vec<(&str, &str)> =
        first.source.slices.iter().zip(&first.slices).map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(slices, [("parameter.region", "north"), ("temp", "21.5")]);
    assert_eq!((shadow.source.version, shadow.source.is_shadow), (4, true));
    assert_eq!(shadow.is_wrong(), Some(false));
    // It was kept with the rate of all, so that a rollout may hear of it.
    let drawn = joined.drawn.expect("an experiment");
    assert_eq!((&*drawn.experiment, drawn.unit, drawn.weight, drawn.is_request), ("e", 0xab, 500, false));
    let second = label(&found, &said(exchange.id, 1, "1"));
    assert_eq!(second.joined[1].answer, Answer::Class { class: 1, scores: [1.0].into() });
}

#[test]
fn what_is_no_label_of_a_row_is_told() {
    let mut log = Log::new(None);
    let exchange = Exchange::new(1.0);
    log.take(&exchange);
    log.finish();
    let found = rows(&log, &[exchange.id], log.clock());
    for (said, part) in [
        (said(exchange.id, 2, "no"), "row 2 is beyond the 2 of the request"),
        (said(exchange.id, 0, "maybe"), "label = \"maybe\"; give one of no, yes"),
        (Said { at_ms: Some(1_499_900_000_000), ..said(exchange.id, 0, "no") }, "before the prediction"),
        (Said { at_ms: Some(32_472_144_000_000), ..said(exchange.id, 0, "no") }, "ahead of the gateway"),
    ] {
        let told = label(&found, &said);
        assert_eq!(told.verdict, Verdict::Malformed, "{told:?}");
        assert!(told.reason.as_deref().is_some_and(|reason| reason.contains(part)), "{told:?}");
    }
    // Files of other times are not opened.
    assert_eq!(rows(&log, &[exchange.id], log.clock() + 2 * HOUR), []);
    assert_eq!(rows(&log, &[RequestId::generate()], log.clock()), []);
}

#[test]
fn an_answer_that_is_not_written_as_it_was_is_joined_with_nothing() {
    let mut redacted = schema(&[]);
    let column = ColumnSchema { log: Some(Redaction::Round(0.5)), ..ColumnSchema::default() };
    redacted.outputs.insert(Arc::from("probabilities"), column);
    let mut log = Log::new(Some(&redacted));
    let exchange = Exchange::new(1.0);
    log.take(&exchange);
    log.finish();
    let found = rows(&log, &[exchange.id], log.clock());
    assert_eq!(label(&found, &said(exchange.id, 0, "no")).verdict, Verdict::Unknown);
}

#[test]
fn a_rollout_hears_of_the_same_share_of_what_is_kept_more_often() {
    let mut log = Log::new(None);
    let slow: Vec<Exchange> = (0..400).map(|_| Exchange::new(1.0)).collect();
    for exchange in &slow {
        log.account.queued();
        let chosen = Chosen { probability: 1.0, class: Class::Slow, is_kept: true };
        let record = Record { chosen, ..exchange.record() };
        log.writer.take(&log.layout, &record, log.clock(), log.now);
    }
    log.finish();
    let ids: Vec<RequestId> = slow.iter().map(|exchange| exchange.id).collect();
    let found = rows(&log, &ids, log.clock());
    let heard =
        found.iter().filter(|row| row.row == 0 && row.label(&said(row.id, 0, "no"), NOW_MS).drawn.is_some());
    // Of all requests a half is kept: of 400, within five standard errors.
    assert!((150..=250).contains(&heard.count()));
    assert!(
        found
            .iter()
            .all(|row| row.label(&said(row.id, row.row, "no"), NOW_MS).joined[0].included.get() == 1.0)
    );
}
