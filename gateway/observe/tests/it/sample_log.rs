//! The sample log: what is written is what was asked and answered, as far as it may be; nothing that is written is lost,
//! and nothing that may not be is.

mod labelled;
mod rig;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt32Type};
use pointsman_core::{Code, ModelName, ParameterValue, Redaction, RequestId};
use pointsman_observe::sample_log::{
    Bounds, Cursor, Deleted, Destination as _, Directory, HashKey, Loss, Reader, Record, Retention, Store,
    Subject, Writer, inputs_of, rows_as_json,
};
use proptest::prelude::*;

use self::rig::{Exchange, Log, all_bytes, column, count, holds, read, schema, shadow, signature, strings};

#[test]
fn each_example_is_a_row_with_named_columns_in_the_spool_and_in_parts() {
    let mut log = Log::new(Some(&schema(&[])));
    let mut exchange = Exchange::new(21.5);
    exchange.shadows = vec![shadow(vec![0.1_f32, 0.9, 0.5, 0.5])];
    log.take(&exchange);
    let mut refused = Exchange::new(0.0);
    refused.at += Duration::from_secs(1);
    refused.inputs.clear();
    log.account.queued();
    let record = Record { rows: 0, outputs: Err(Code::InputMismatch), ..refused.record() };
    log.writer.take(&log.layout, &record, log.clock(), log.now);
    log.writer.tick(log.now + Duration::from_secs(1));
    assert_eq!(log.account.standing().written, 2);
    log.check_account();
    let spool = log.rows();
    log.finish();
    let parts = log.rows();
    assert_eq!(rows_as_json(&spool[0]), rows_as_json(&parts[0]));
    let batch = &parts[0];
    assert_eq!(batch.num_rows(), 3);
    let temp = column(batch, "in.temp").as_primitive::<Float32Type>();
    assert!(temp.value(0) == 21.5 && temp.value(1).is_nan() && temp.is_null(2));
    assert_eq!(column(batch, "in.visits").as_primitive::<Int64Type>().value(1), i64::MAX);
    assert_eq!(column(batch, "rows").as_primitive::<UInt32Type>().values().as_ref(), [2, 2, 0]);
    assert_eq!(column(batch, "inclusion_prob").as_primitive::<Float64Type>().value(0), 0.5);
    let rows = rows_as_json(batch);
    assert_eq!(rows[0]["out.probabilities"], serde_json::json!([0.25, 0.75]));
    assert_eq!((&rows[1]["out.label"], &rows[1]["row"]), (&0.into(), &1.into()));
    assert_eq!(rows[1]["in.picture"], serde_json::json!([4, 5, 6, 7]));
    assert_eq!(rows[1]["in.temp"], "NaN");
    assert_eq!(rows[0]["slice.region"], "north");
    assert_eq!(rows[0]["trace_id"], "ab".repeat(16));
    assert_eq!((&rows[0]["unit_hash"], &rows[0]["weight"]), (&"00000000000000ab".into(), &0.05.into()));
    assert_eq!(rows[0]["ts"], "2017-07-14T02:40:00.000000000Z");
    let shadow = &rows[0]["shadows"][0];
    assert_eq!((&shadow["version"], &shadow["disagrees"]), (&4.into(), &true.into()));
    assert_eq!(shadow["outputs"], "{\"probabilities\":[0.1,0.9]}");
    assert_eq!((&rows[2]["status"], rows[2].get("in.age")), (&"INPUT_MISMATCH".into(), None));
    // Texts are dropped where nobody says otherwise.
    assert!(batch.column_by_name("in.carrier").is_none());
    assert_eq!(batch.schema().metadata()["pointsman.dropped"], "in.carrier");
    assert_eq!(batch.schema().metadata()["pointsman.schema_digest"], "s1");
    let path = Path::new("model=m/date=2017-07-14/hour=02");
    let names: Vec<PathBuf> = std::fs::read_dir(log.path().join(path))
        .expect("the partition")
        .map(|entry| entry.expect("a file").path())
        .collect();
    assert!(names.len() == 1 && names[0].extension().is_some_and(|end| end == "parquet"), "{names:?}");
}

#[test]
fn values_are_written_as_their_policy_says() {
    let policies = [
        ("temp", Redaction::Round(5.0)),
        ("carrier", Redaction::Truncate(1)),
        ("age", Redaction::Bucketise),
        ("visits", Redaction::Hash),
        ("picture", Redaction::Drop),
    ];
    let mut log = Log::new(Some(&schema(&policies)));
    log.take(&Exchange::new(21.5));
    log.finish();
    let batch = &log.rows()[0];
    let rows = rows_as_json(batch);
    assert_eq!((&rows[0]["in.temp"], &rows[0]["in.carrier"]), (&20.0.into(), &"s".into()));
    assert_eq!([&rows[0]["in.age"], &rows[1]["in.age"]], [1, 2]);
    let key = HashKey::new([7; 32]);
    assert_eq!(rows[1]["in.visits"], key.hash(i64::MAX.to_string().as_bytes()));
    assert!(batch.column_by_name("in.picture").is_none());
    // What was changed is no input any more.
    let error = inputs_of(batch, &signature()).expect_err("it was changed").to_string();
    assert!(error.contains("in.temp"), "{error}");
}

#[test]
fn inputs_come_back_as_they_were_asked() {
    let mut log = Log::new(Some(&schema(&[("carrier", Redaction::Keep)])));
    let exchange = Exchange::new(3.25);
    log.take(&exchange);
    log.finish();
    let inputs = inputs_of(&log.rows()[0], &signature()).expect("all of them");
    for (input, asked) in inputs.iter().zip(&exchange.inputs) {
        let asked = asked.as_ref().expect("given");
        assert_eq!(
            (input.tensor.shape(), input.tensor.data()),
            (asked.shape(), asked.data()),
            "{}",
            input.name
        );
    }
    assert_eq!(inputs.len(), 4);
    let one = log.rows()[0].slice(0, 1);
    assert_eq!(
        inputs_of(&one, &signature()).expect_err("a row is missing").to_string(),
        "the log has 1 of its 2 rows"
    );
}

#[test]
fn a_spool_file_that_is_cut_has_the_batches_before_the_cut() {
    let bounds = Bounds { batch_rows: 2, ..Bounds::default() };
    let mut log = Log::within(None, bounds);
    let mut ends = Vec::new();
    let spool = log.path().join(".spool/host");
    let file = |spool: &Path| -> PathBuf {
        let mut files =
            std::fs::read_dir(spool).expect("the spool").map(|entry| entry.expect("a file").path());
        files.find(|path| path.extension().is_some_and(|end| end == "arrows")).expect("a spool file")
    };
    for n in 0..3 {
        log.take(&Exchange::new(n as f32));
        ends.push(std::fs::metadata(file(&spool)).expect("it is there").len() as usize);
    }
    log.check_account();
    let path = file(&spool);
    let whole = std::fs::read(&path).expect("its bytes");
    assert_eq!(whole.len(), ends[2]);
    // Every byte is cut at by the test of frames.
    let near = ends.iter().flat_map(|end| end.saturating_sub(2)..=(end + 2).min(whole.len()));
    for cut in (0..whole.len()).step_by(211).chain(near) {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let expected = ends.iter().filter(|end| **end <= cut).count() * 2;
        assert_eq!(count(&log.rows()), expected, "cut at {cut}");
    }
    // What comes behind is garbage in place of nothing.
    for cut in [0, ends[0], ends[1], ends[1] + 5] {
        let mut bytes = whole[..cut].to_vec();
        bytes.extend([0; 100]);
        std::fs::write(&path, &bytes).expect("written");
        let expected = ends.iter().filter(|end| **end <= cut).count() * 2;
        assert_eq!(count(&log.rows()), expected, "garbage at {cut}");
    }
    // And a part is made of what is whole.
    std::fs::write(&path, &whole[..ends[1] + 40]).expect("written");
    let store = log.store(Retention::default());
    store.make_part(&path).expect("a part").expect("with rows");
    assert!(!path.exists());
    assert_eq!(count(&log.rows()), 4);
}

#[test]
fn a_part_is_made_once_wherever_it_is_broken_off() {
    let mut log = Log::new(None);
    log.take(&Exchange::new(1.0));
    log.writer.finish(log.now);
    let path = log.writer.sealed().remove(0);
    let bytes = std::fs::read(&path).expect("the spool file");
    let store = log.store(Retention::default());
    let name = store.make_part(&path).expect("a part").expect("with rows");
    // The process was killed before the spool file was deleted.
    std::fs::write(&path, bytes).expect("written");
    assert_eq!(count(&log.rows()), 2);
    // Another one finds it when it starts.
    let (dropped, folder) = (log.writer, log.folder);
    drop(dropped);
    let mut writer = Writer::new(folder.path(), "host", Bounds::default());
    assert_eq!(writer.sealed(), std::slice::from_ref(&path));
    let store = Store::of(&writer, Arc::new(Directory::new(folder.path())), Retention::default());
    assert_eq!(store.make_part(&path).expect("a part"), Some(name));
    assert_eq!(
        (count(&read(&Reader::open(folder.path()))), path.exists(), store.spool_bytes()),
        (2, false, 0)
    );
    // No second gateway writes to the same spool.
    let other = Writer::new(folder.path(), "host", Bounds::default());
    assert!(other.problem().is_some_and(|problem| problem.contains("another gateway")));
}

#[test]
fn what_cannot_be_read_is_put_aside_and_holds_nothing_up() {
    let log = Log::new(None);
    let spool = log.path().join(".spool/host");
    let path = spool.join("m@416666@1700000000000-0011aabb.arrows");
    let mut frame = vec![0xff, 0xff, 0xff, 0xff];
    // A message of Arrow that is no schema.
    let message = [16_u8, 0, 0, 0, 0, 0, 10, 0, 12, 0, 6, 0, 5, 0, 8, 0, 10, 0, 0, 0, 0, 3, 4, 0];
    frame.extend((message.len() as i32).to_le_bytes());
    frame.extend(message);
    std::fs::write(&path, frame).expect("written");
    let store = log.store(Retention::default());
    let made = store.make_part(&path);
    assert!(!path.exists() && made.map_or(true, |part| part.is_none()));
    assert_eq!(count(&log.rows()), 0);
}

#[test]
fn readers_cut_by_model_time_request_and_column_and_go_on_where_another_ended() {
    let mut log = Log::new(None);
    let exchanges: Vec<Exchange> = (0..20)
        .map(|n| {
            let mut exchange = Exchange::new(n as f32);
            exchange.at += Duration::from_secs(n * 600);
            exchange
        })
        .collect();
    exchanges[..10].iter().for_each(|exchange| log.take(exchange));
    log.finish();
    exchanges[10..].iter().for_each(|exchange| log.take(exchange));
    log.writer.tick(log.now + Duration::from_secs(1));
    let reader = || Reader::open(log.path());
    assert_eq!(count(&read(&reader())), 40);
    assert_eq!(count(&read(&reader().model(ModelName::new("other").expect("a name")))), 0);
    let (since, until) = (exchanges[3].at, exchanges[15].at);
    let between = reader().between(Some(since), Some(until));
    assert_eq!(count(&read(&between)), 24);
    let some = reader().requests([exchanges[2].id, exchanges[12].id, RequestId::generate()]);
    assert_eq!(count(&read(&some)), 4);
    let columns = read(&reader().columns(&["in.temp", "request_id", "no.such"]));
    assert_eq!(columns[0].num_columns(), 2);
    // Page by page, in both directions, with a file that becomes a part in between.
    for newest_first in [false, true] {
        let ordered = |reader: Reader| if newest_first { reader.newest_first() } else { reader };
        let whole: Vec<_> = read(&ordered(reader())).iter().flat_map(rows_as_json).collect();
        let mut paged = Vec::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            let page = ordered(reader()).batch_rows(3);
            let mut batches =
                cursor.clone().map_or(page.clone(), |cursor| page.after(cursor)).batches().expect("files");
            let Some(batch) = batches.next() else { break };
            let part = batches.part().expect("it is from one").clone();
            let before = cursor.filter(|cursor| cursor.part == part).map_or(0, |cursor| cursor.rows);
            let batch = batch.expect("rows");
            cursor = Some(Cursor { part, rows: before + batch.num_rows() });
            paged.extend(rows_as_json(&batch));
        }
        assert_eq!(paged, whole);
    }
}

#[test]
fn rows_of_a_request_or_a_unit_are_deleted_and_no_others() {
    let mut log = Log::new(None);
    let exchanges: Vec<Exchange> = (0..5).map(|n| Exchange::new(n as f32)).collect();
    exchanges.iter().for_each(|exchange| log.take(exchange));
    let mut later = Exchange::new(9.0);
    later.at += Duration::from_secs(7200);
    log.take(&later);
    let store = log.finish();
    let id = exchanges[1].id;
    assert_eq!(store.delete(&Subject::Request(id)).expect("done"), Deleted { rows: 2, parts: 1 });
    assert_eq!(store.delete(&Subject::Request(id)).expect("done"), Deleted::default());
    assert_eq!(count(&log.rows()), 10);
    assert!(!holds(&all_bytes(log.path()), &id.to_string()));
    assert_eq!(count(&read(&Reader::open(log.path()).requests([id]))), 0);
    assert_eq!(store.delete(&Subject::Request(later.id)).expect("done"), Deleted { rows: 2, parts: 1 });
    assert!(!log.path().join("model=m/date=2017-07-14/hour=04").exists());
    let all = Subject::Units(vec!["00000000000000aa".into(), "00000000000000ab".into()]);
    assert_eq!(store.delete(&all).expect("done"), Deleted { rows: 8, parts: 1 });
    assert_eq!(count(&log.rows()), 0);
}

#[test]
fn the_oldest_parts_go_or_writing_stops_as_is_declared() {
    let mut log = Log::new(None);
    for hour in 0..4 {
        let mut exchange = Exchange::new(1.0);
        exchange.at += Duration::from_secs(3600 * hour);
        log.account.queued();
        let clock = log.clock() + Duration::from_secs(hour * 60);
        log.writer.take(&log.layout, &exchange.record(), clock, log.now);
    }
    log.finish();
    let parts = Directory::new(log.path()).list().expect("parts");
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    assert_eq!(parts.len(), 4);
    let now = log.clock() + Duration::from_secs(240);
    let stops = Retention { bytes_max: Some(bytes), stops_when_full: true, ..Retention::default() };
    let swept = log.store(stops).sweep(now, false).expect("swept");
    assert_eq!((swept.parts, swept.bytes, swept.deleted), (4, bytes, 0));
    log.take(&Exchange::new(1.0));
    log.writer.tick(log.now + Duration::from_secs(1));
    assert_eq!(log.account.standing().dropped[Loss::LogFull as usize], 1);
    let goes = Retention { bytes_max: Some(bytes - 1), ..Retention::default() };
    assert_eq!(log.store(goes).sweep(now, false).expect("swept").deleted, 1);
    let oldest = Directory::new(log.path()).list().expect("parts").iter().map(|part| part.name.begun()).min();
    assert_eq!(oldest, Some(log.clock() + Duration::from_secs(60)));
    let aged = Retention { age_max: Some(Duration::from_secs(121)), ..Retention::default() };
    assert_eq!(log.store(aged).sweep(now, true).expect("swept").parts, 2);
    log.take(&Exchange::new(1.0));
    log.writer.tick(log.now + Duration::from_secs(2));
    assert_eq!(log.account.standing().dropped[Loss::DiskReserve as usize], 1);
    log.store(Retention::default()).sweep(now, false).expect("swept");
    log.take(&Exchange::new(1.0));
    log.writer.tick(log.now + Duration::from_secs(3));
    assert_eq!(log.account.standing().written, 5);
    log.check_account();
}

#[test]
fn a_directory_that_vanishes_costs_what_was_in_it_and_is_made_again() {
    let mut log = Log::new(None);
    let take = |log: &mut Log| {
        log.take(&Exchange::new(1.0));
        log.now += Duration::from_secs(1);
        log.writer.tick(log.now);
    };
    take(&mut log);
    std::fs::remove_dir_all(log.path()).expect("gone");
    // What comes next is in its place.
    take(&mut log);
    let standing = log.account.standing();
    assert_eq!((standing.written, standing.all_dropped(), log.writer.vanished()), (2, 0, 1));
    assert_eq!((log.writer.problem(), count(&log.rows())), (None, 2));
    let store = log.store(Retention::default());
    let bytes = store.spool_bytes();
    assert!(bytes > 0);
    // Nobody has to ask for it to be made again.
    std::fs::remove_dir_all(log.path()).expect("gone");
    assert_eq!(store.spool_bytes(), bytes);
    log.writer.look();
    assert_eq!((store.spool_bytes(), log.writer.vanished(), log.path().exists()), (0, 2, true));
    take(&mut log);
    assert_eq!((log.account.standing().written, count(&log.rows())), (3, 2));
    log.check_account();
}

#[test]
fn what_takes_the_place_of_the_directory_costs_rows_until_it_is_back() {
    let mut log = Log::new(None);
    let take = |log: &mut Log| {
        log.take(&Exchange::new(1.0));
        log.now += Duration::from_secs(1);
        log.writer.tick(log.now);
        let standing = log.account.standing();
        (standing.written, standing.dropped[Loss::Vanished as usize])
    };
    assert_eq!(take(&mut log), (1, 0));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let away = elsewhere.path().join("away");
    std::fs::rename(log.path(), &away).expect("moved");
    std::fs::write(log.path(), "no directory").expect("written");
    assert_eq!(take(&mut log), (1, 1));
    log.writer.look();
    let problem = log.writer.problem().expect("a problem").to_owned();
    assert!(problem.contains("Not a directory"), "{problem}");
    // What was not written is not in the file that is elsewhere.
    assert_eq!(count(&read(&Reader::open(&away))), 2);
    std::fs::remove_file(log.path()).expect("removed");
    std::fs::rename(&away, log.path()).expect("moved back");
    log.writer.look();
    assert_eq!(log.writer.problem(), None);
    assert_eq!(take(&mut log), (2, 1));
    // What was there before becomes a part with the rest.
    log.finish();
    assert_eq!((count(&log.rows()), log.store(Retention::default()).spool_bytes()), (4, 0));
    assert_eq!(Directory::new(log.path()).list().expect("parts").len(), 2);
    log.check_account();
}

#[test]
fn bounds_hold_at_them_and_past_them() {
    let bounds = Bounds { record_rows_max: 2, open_max: 2, ..Bounds::default() };
    let mut log = Log::within(None, bounds);
    log.take(&Exchange::new(1.0));
    let exchange = Exchange::new(1.0);
    log.account.queued();
    let record = Record { rows: 3, ..exchange.record() };
    log.writer.take(&log.layout, &record, log.clock(), log.now);
    assert_eq!(log.account.standing().dropped[Loss::TooLarge as usize], 1);
    // More hours at once than files may be open.
    for hour in 1..6 {
        let mut exchange = Exchange::new(1.0);
        exchange.at += Duration::from_secs(3600 * hour);
        log.take(&exchange);
        log.now += Duration::from_secs(1);
        log.writer.tick(log.now);
    }
    assert_eq!(log.writer.sealed().len(), 4);
    assert_eq!(count(&log.rows()), 12);
    let small = Bounds { spool_bytes_max: 1, ..Bounds::default() };
    let mut log = Log::within(None, small);
    for _ in 0..2 {
        log.take(&Exchange::new(1.0));
        log.now += Duration::from_secs(1);
        log.writer.tick(log.now);
    }
    let standing = log.account.standing();
    assert_eq!((standing.written, standing.dropped[Loss::SpoolFull as usize]), (1, 1));
    log.check_account();
}

/// Texts that stand out in a file.
fn marked() -> impl Strategy<Value = String> {
    "[a-z]{12,20}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_byte_that_is_dropped_or_hashed_reaches_the_disk(text in marked(), other in marked(), hashes: bool) {
        prop_assume!(text != other);
        let redaction = if hashes { Redaction::Hash } else { Redaction::Drop };
        let mut log = Log::new(Some(&schema(&[("carrier", redaction)])));
        let mut exchange = Exchange::new(1.0);
        exchange.inputs[1] = Some(strings(&[&text, &other]));
        // A parameter that is no slice is not written either.
        exchange.parameters.push(("note".into(), ParameterValue::String(text.clone())));
        log.take(&exchange);
        log.writer.tick(log.now + Duration::from_secs(1));
        let spooled = all_bytes(log.path());
        log.finish();
        let parts = all_bytes(log.path());
        for bytes in [&spooled, &parts] {
            prop_assert!(!holds(bytes, &text) && !holds(bytes, &other));
        }
        if hashes {
            prop_assert!(holds(&spooled, &HashKey::new([7; 32]).hash(text.as_bytes())));
        }
    }

    #[test]
    fn every_record_is_written_dropped_or_queued(
        steps in proptest::collection::vec((0_u8..5, 0_u64..4), 1..25),
    ) {
        let bounds = Bounds { batch_rows: 5, open_max: 2, part_bytes: 20_000, ..Bounds::default() };
        let mut log = Log::within(None, bounds);
        let mut hours: BTreeMap<u64, u64> = BTreeMap::new();
        for (step, hour) in steps {
            match step {
                0..=2 => {
                    let mut exchange = Exchange::new(hour as f32);
                    exchange.at += Duration::from_secs(3600 * hour);
                    log.take(&exchange);
                    *hours.entry(hour).or_default() += 1;
                }
                3 => {
                    log.now += Duration::from_millis(60);
                    log.writer.tick(log.now);
                }
                _ => {
                    let store = log.store(Retention::default());
                    for path in log.writer.sealed() {
                        store.make_part(&path).expect("a part");
                    }
                }
            }
            log.check_account();
            if step > 2 {
                prop_assert_eq!(count(&log.rows()) as u64, 2 * log.account.standing().written);
            }
        }
        log.finish();
        let standing = log.account.standing();
        prop_assert_eq!((standing.queued, standing.all_dropped()), (0, 0), "{:?} {:?}", standing, log.writer.problem());
        prop_assert_eq!(count(&log.rows()) as u64, 2 * hours.values().sum::<u64>());
    }
}
