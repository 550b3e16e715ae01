//! Rollouts from the journal: computed again, and at another level.

use pointsman_stats::{Alpha, LogE};

use super::super::{Certificate, Decision, Record, Report, replay_with, verify};
use super::*;

/// A rollout with everything in it, as it was created and with all its records.
fn recorded() -> (Rollout, Rollout, Vec<Record>) {
    let mut played = Played::new(spec(Some("1m"), "1,10"), Counted::Requests);
    let start = played.rollout.clone();
    let mut records = Vec::new();
    let mut play = |played: &mut Played, event: Event| {
        let transition = played.play(&event);
        records.push(Record::new(records.len() as u64 + 1, played.now, "ada", event, &transition));
    };
    play(&mut played, Event::Start);
    played.wait(60);
    let mut shadow = look(0, (2000, 0), (2000, 2));
    (shadow.counts.pairs, shadow.counts.disagreed) = (2000, 11);
    (shadow.counts.floor_pairs, shadow.counts.floor_disagreed) = (500, 1);
    play(&mut played, Event::Looked(vec![shadow]));
    play(&mut played, Event::Pause);
    play(&mut played, Event::Resume);
    let mut first = look(1, (1500, 1), (148_500, 77));
    first.counts.canary.classes = vec![hits(500), hits(600), hits(400)];
    first.counts.primary.classes = vec![hits(50_000), hits(58_000), hits(40_500)];
    first.counts.canary.slow = [hits(300), hits(50), hits(3)];
    first.counts.primary.slow = [hits(30_000), hits(5000), hits(400)];
    play(&mut played, Event::Looked(vec![first]));
    play(&mut played, Event::Restarted);
    play(&mut played, Event::Advance);
    for errors in [12, 13, 13, 12, 13] {
        play(&mut played, Event::Looked(vec![look(2, (1000, errors), (9000, 70))]));
    }
    play(&mut played, Event::Abort);
    (start, played.rollout, records)
}

#[test]
fn every_verdict_is_computed_again_after_a_journal() {
    let (start, _, records) = recorded();
    let text = serde_json::to_string(&(&start, &records)).expect("JSON");
    let (start, records): (Rollout, Vec<Record>) = serde_json::from_str(&text).expect("a journal");
    assert_eq!(verify(&start, &records), []);
    assert!(records.iter().filter(|record| record.verdict.is_some()).count() >= 5);
}

#[test]
fn whatever_is_changed_is_found() {
    let (start, _, records) = recorded();
    type Change = fn(&mut Rollout, &mut Vec<Record>);
    let cases: [(&str, Change); 7] = [
        ("a number is missing", |_, records| drop(records.remove(2))),
        ("another count", |_, records| {
            if let Event::Looked(looks) = &mut records[4].event {
                looks[0].counts.canary.errors.requests += 1;
            }
        }),
        ("another decision", |_, records| {
            if let Some(verdict) = &mut records[1].verdict {
                verdict.decision = Decision::Promote;
            }
        }),
        ("another e-value", |_, records| {
            if let Some(verdict) = &mut records[4].verdict {
                let log_e = &mut verdict.findings[0].log_e;
                *log_e = log_e.map(|log_e| LogE::from(log_e.get() + 1e-9));
            }
        }),
        ("another certificate", |_, records| {
            if let Some(Certificate::Rate { certain, .. }) =
                records[4].verdict.as_mut().and_then(|verdict| verdict.findings[0].certificate.as_mut())
            {
                *certain = !*certain;
            }
        }),
        ("another exposure", |_, records| records[6].exposure = Exposure::All),
        ("another margin", |start, _| {
            start.spec.guards[0].margin = pointsman_stats::Ratio::new(2.0).expect("a ratio");
            start.evidence = super::super::Evidence::new(&start.spec);
        }),
    ];
    for (name, change) in cases {
        let (mut start, mut records) = (start.clone(), records.clone());
        change(&mut start, &mut records);
        assert!(!verify(&start, &records).is_empty(), "{name}");
    }
}

#[test]
fn another_level_says_what_would_have_been() {
    let (start, _, records) = recorded();
    let same = replay_with(&start, &records, start.spec.alpha);
    assert_eq!(same.others, []);
    let strict = replay_with(&start, &records, Alpha::new(1e-9).expect("a level"));
    let loose = replay_with(&start, &records, Alpha::new(0.9).expect("a level"));
    let ends = |decision: &Decision| matches!(decision, Decision::Rollback(_));
    assert!(!strict.others.iter().any(|other| ends(&other.would_be)), "{strict:?}");
    assert!(strict.others.iter().any(|other| other.was == Decision::Advance), "{strict:?}");
    assert!(loose.others.iter().any(|other| ends(&other.would_be)), "{loose:?}");
}

#[test]
fn the_report_says_what_happened_in_words_and_in_numbers() {
    let (_, end, records) = recorded();
    let report = Report::new(&end, &records);
    let text = report.to_string();
    assert!(text.starts_with("iris version 3 was "), "{text}");
    for expected in
        ["shadow of 100%", "11 of 2000 pairs", "1 errors of 1500", "errors           candidate over"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(report.stages.iter().filter(|stage| stage.looks > 0).count(), 3);
    assert_eq!(report.stages[2].counts.primary.seen.requests % 9000, 0);
    let errors = &report.ratios[0];
    assert!(errors.ratio.lower > 0.5 && errors.ratio.estimate.is_some_and(|ratio| ratio > 1.4), "{errors:?}");
    let json = serde_json::to_string(&report).expect("JSON");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("a report"), report);
}
