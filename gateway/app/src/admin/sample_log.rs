//! The sample log: `GET /v1/log`, `GET /v1/log/rows` and `POST /v1/log/delete`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use ::http::{Method, Request, Uri};
use arrow_array::RecordBatch;
use hyper::body::Incoming;
use pointsman_core::{ModelName, PredictError, RequestId, Signature, VersionNumber};
use pointsman_observe::sample_log::{Cursor, Loss, ReadError, Reader, Subject, inputs_of, rows_as_json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Admin;
use super::comparisons::not_found;
use crate::comparisons::Asked;
use crate::http::{Query, read_small};
use crate::monitoring::sample_log::SampleLog;

/// Rows of an answer where nobody says how many, and at most.
const ROWS: usize = 100;
const ROWS_MAX: usize = 10_000;
/// The most ids of requests that one question names.
const REQUESTS_MAX: usize = 256;
/// The most bytes of rows in one answer, by their columns in memory. One batch may go beyond.
const BYTES_MAX: usize = 16 << 20;
/// Rows that are read at once.
const BATCH_ROWS: usize = 512;
/// Digits of the hash of a unit.
const UNIT_LEN: usize = 16;

/// What is asked of rows.
#[derive(Debug, Default, PartialEq)]
struct Question {
    model: Option<ModelName>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    requests: Vec<RequestId>,
    after: Option<Cursor>,
    limit: Option<usize>,
    is_last: bool,
}

/// What is to be deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deletion {
    request: Option<String>,
    unit: Option<String>,
    unit_id: Option<String>,
}

impl Admin {
    /// Answers a request below `/v1/log`.
    pub(super) async fn sample_log(
        &self,
        rest: &[&str],
        request: Request<Incoming>,
    ) -> Result<Value, PredictError> {
        let log = self.the_log()?;
        match (request.method(), rest) {
            (&Method::GET, []) => Query::none(request.uri()).map(|()| stats(&log)),
            (&Method::GET, ["rows"]) => {
                let question = question(request.uri())?;
                // One that has left may have rows.
                let unknown = question.model.as_ref().and_then(|model| self.unknown(model.as_str()));
                if let (Some(model), Some(unknown)) = (question.model.clone(), unknown) {
                    let models = self.of_log(|log| log.reader().models()).await?.map_err(unreadable)?;
                    if !models.contains(&model) {
                        return Err(unknown);
                    }
                }
                self.of_log(move |log| rows(log.reader(), question)).await?.map_err(unreadable)
            }
            (&Method::POST, ["delete"]) => {
                Query::none(request.uri())?;
                let body = read_small(&self.gateway, request.into_body(), self.body_timeout).await?;
                let subject = subject(&body, |unit| self.unit_hashes(unit))?;
                let deleted = self.of_log(move |log| log.delete(subject)).await?;
                let deleted = deleted.map_err(refused)?;
                Ok(json!({"rows": deleted.rows, "parts": deleted.parts}))
            }
            (_, [] | ["rows"]) => Err(PredictError::MethodNotAllowed { allowed: "GET" }),
            (_, ["delete"]) => Err(PredictError::MethodNotAllowed { allowed: "POST" }),
            _ => Err(PredictError::NotFound),
        }
    }

    fn the_log(&self) -> Result<Arc<SampleLog>, PredictError> {
        let none =
            "there is no sample log: name a directory for it in the configuration (sample_log.directory)";
        self.gateway.monitors.sample_log.clone().ok_or_else(|| not_found(none.into()))
    }

    /// Asks the log on a thread that may wait, one question after the other.
    async fn of_log<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&SampleLog) -> T + Send + 'static,
    ) -> Result<T, PredictError> {
        let log = self.the_log()?;
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        // A task that was thrown away says that the runtime is going down.
        tokio::task::spawn_blocking(move || ask(&log)).await.map_err(|_| PredictError::ShuttingDown)
    }

    /// What rows have of a unit, by the experiments of all plans that count now.
    fn unit_hashes(&self, unit: &str) -> Vec<String> {
        let snapshot = self.gateway.predictor.snapshots().pin();
        let splits = snapshot.models.values().filter_map(|served| served.plan.split.as_ref());
        let mut hashes: Vec<u64> = splits.flat_map(|split| split.unit_hashes(unit.as_bytes())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.iter().map(|hash| format!("{hash:016x}")).collect()
    }

    /// What was asked in a request of the sample log; nothing where there is no log, or it has none of it.
    pub(super) async fn logged(&self, id: RequestId) -> Result<Option<Asked>, PredictError> {
        if self.gateway.monitors.sample_log.is_none() {
            return Ok(None);
        }
        let found = self.of_log(move |log| log.reader().request(id)).await?.map_err(unreadable)?;
        let Some(rows) = found else { return Ok(None) };
        let first = rows_as_json(&rows.slice(0, 1)).pop().unwrap_or_default();
        let (model, signature) = self.signature(&first)?;
        let inputs = inputs_of(&rows, &signature).map_err(|why| {
            not_found(format!("the inputs of request {id} cannot be had from the log: {why}"))
        })?;
        let settings = self.gateway.comparisons.settings(&model);
        Ok(Some(Asked { model, inputs: inputs.into(), settings }))
    }

    /// The signature of the version that a row is of, or of another one of its model where that does not serve.
    fn signature(&self, row: &Map<String, Value>) -> Result<(ModelName, Arc<Signature>), PredictError> {
        let name = row.get("model").and_then(Value::as_str).unwrap_or_default();
        let model = ModelName::new(name).map_err(|e| refused(e.to_string()))?;
        let number = row.get("version").and_then(Value::as_u64).and_then(VersionNumber::new);
        let snapshot = self.gateway.predictor.snapshots().pin();
        let served = snapshot.models.get(name);
        let version = served.and_then(|served| {
            let own = number.and_then(|number| served.versions.get(&number));
            own.or_else(|| served.plan.default.and_then(|number| served.versions.get(&number)))
        });
        let signature = version.map(|version| version.signature().clone());
        let gone = || not_found(format!("model '{model}' of that request does not serve"));
        Ok((model.clone(), signature.ok_or_else(gone)?))
    }
}

fn refused(reason: String) -> PredictError {
    PredictError::Control { code: pointsman_core::Code::Refused, reason }
}

fn unreadable(error: ReadError) -> PredictError {
    refused(format!("the sample log cannot be read: {error}"))
}

/// What became of sampled requests, and how large the log is.
fn stats(log: &SampleLog) -> Value {
    let state = log.state();
    let (waiting, waiting_bytes) = log.queued();
    let models = log.standings().into_iter().map(|(model, standing)| {
        let dropped = Loss::ALL.into_iter().zip(standing.dropped).filter(|(_, count)| *count > 0);
        let dropped: Map<String, Value> =
            dropped.map(|(loss, count)| (loss.name().to_owned(), count.into())).collect();
        json!({
            "model": model.as_str(),
            "sampled": standing.sampled,
            "written": standing.written,
            "rows": standing.rows,
            "queued": standing.queued,
            "dropped": standing.all_dropped(),
            "dropped_by": dropped,
        })
    });
    json!({
        "directory": log.directory().display().to_string(),
        "models": models.collect::<Vec<_>>(),
        "waiting": waiting,
        "waiting_bytes": waiting_bytes,
        "spool_bytes": state.spool_bytes,
        "spool_files": state.backlog,
        "parts": state.swept.parts,
        "parts_bytes": state.swept.bytes,
        "parts_made": state.parts_made,
        "vanished_files": state.vanished_files,
        "problem": state.problem(),
    })
}

/// Rows of the log, and the place behind them where there may be more.
fn rows(reader: Reader, question: Question) -> Result<Value, ReadError> {
    let Question { model, since, until, requests, after, limit, is_last } = question;
    let limit = limit.unwrap_or(ROWS);
    let mut reader = reader.between(since, until).batch_rows(BATCH_ROWS.min(limit));
    if let Some(model) = model {
        reader = reader.model(model);
    }
    if !requests.is_empty() {
        reader = reader.requests(requests);
    }
    if is_last {
        return Ok(json!({"rows": last(&reader, limit)?, "next": null}));
    }
    let mut before = after.clone();
    if let Some(after) = after {
        reader = reader.after(after);
    }
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let mut batches = reader.batches()?;
    while let Some(batch) = batches.next() {
        let batch = batch?;
        let taken = batch.num_rows().min(limit - rows.len());
        rows.extend(rows_as_json(&batch.slice(0, taken)));
        bytes += batch.get_array_memory_size();
        if let Some(part) = batches.part() {
            let behind = before.filter(|before| before.part == *part).map_or(0, |before| before.rows);
            before = Some(Cursor { part: part.clone(), rows: behind + taken });
        }
        if rows.len() == limit || bytes > BYTES_MAX {
            return Ok(json!({"rows": rows, "next": before.map(|before| before.to_string())}));
        }
    }
    Ok(json!({"rows": rows, "next": null}))
}

/// The last rows, in their order.
fn last(reader: &Reader, limit: usize) -> Result<Vec<Map<String, Value>>, ReadError> {
    let mut found: VecDeque<RecordBatch> = VecDeque::new();
    // Those of the file that is read: its last rows come last, and stand before those of the files before it.
    let mut own: VecDeque<RecordBatch> = VecDeque::new();
    let mut part = None;
    let (mut rows, mut own_rows) = (0, 0);
    let clone = reader.clone().newest_first();
    let mut batches = clone.batches()?;
    loop {
        let batch = batches.next().transpose()?;
        if batch.is_none() || batches.part() != part.as_ref() {
            rows += own_rows;
            while let Some(batch) = own.pop_back() {
                found.push_front(batch);
            }
            own_rows = 0;
            part = batches.part().cloned();
        }
        let Some(batch) = batch.filter(|_| rows < limit) else { break };
        own_rows += batch.num_rows();
        own.push_back(batch);
        while own.front().is_some_and(|first| own_rows - first.num_rows() >= limit) {
            own_rows -= own.pop_front().map_or(0, |batch| batch.num_rows());
        }
    }
    let mut left_out = rows.saturating_sub(limit);
    let mut shown = Vec::new();
    for batch in found {
        let skipped = left_out.min(batch.num_rows());
        left_out -= skipped;
        shown.extend(rows_as_json(&batch.slice(skipped, batch.num_rows() - skipped)));
    }
    Ok(shown)
}

/// What is to be deleted. `hashes` says what rows have of a unit.
fn subject(body: &[u8], hashes: impl Fn(&str) -> Vec<String>) -> Result<Subject, PredictError> {
    let bad = |what: &str| PredictError::BadRequest(what.to_owned());
    let remedy =
        "give {\"request\": ID}, {\"unit\": HASH} with the 16 digits of unit_hash, or {\"unit_id\": UNIT}";
    let Deletion { request, unit, unit_id } = serde_json::from_slice(body)
        .map_err(|e| PredictError::BadRequest(format!("the body of a deletion: {e}; {remedy}")))?;
    match (request, unit, unit_id) {
        (Some(id), None, None) => RequestId::parse(&id).map(Subject::Request).ok_or_else(|| bad(remedy)),
        (None, None, Some(unit)) if !unit.is_empty() => match hashes(&unit) {
            hashes if hashes.is_empty() => {
                let what = "no plan has an experiment, by which the unit would be hashed: give the unit_hash of its rows";
                Err(not_found(what.into()))
            }
            hashes => Ok(Subject::Units(hashes)),
        },
        (None, Some(unit), None) if unit.len() == UNIT_LEN && unit.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(Subject::Units(vec![unit.to_ascii_lowercase()]))
        }
        _ => Err(bad(remedy)),
    }
}

fn question(uri: &Uri) -> Result<Question, PredictError> {
    let mut query = Query::of(uri)?;
    let model = query.take("model", "give the name of a model", |value| ModelName::new(value).ok())?;
    let remedy = "give a time of RFC 3339 in UTC, such as 2026-11-01T00:00:00Z";
    let time = |value: &str| humantime::parse_rfc3339(value).ok();
    let since = query.take("since", remedy, time)?;
    let until = query.take("until", remedy, time)?;
    let requests = query.take_all("request", REQUESTS_MAX, "give the id of a request", RequestId::parse)?;
    let after = query.take("after", "give what an answer had as `next`", Cursor::parse)?;
    let remedy = format!("give a number of rows from 1 to {ROWS_MAX}");
    let read = |value: &str| value.parse().ok().filter(|limit| (1..=ROWS_MAX).contains(limit));
    let limit = query.take("limit", &remedy, read)?;
    let is_last = query.take("last", "give true or false", |value| value.parse().ok())?;
    query.finish()?;
    Ok(Question { model, since, until, requests, after, limit, is_last: is_last.unwrap_or(false) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_or_refused_with_a_remedy() {
        let read = |query: &str| question(&format!("/x?{query}").parse().expect("a URI"));
        let found = read("model=iris&since=2026-11-01T00:00:00Z&limit=5&last=true").expect("good");
        assert!(found.model.is_some() && found.since.is_some() && found.is_last && found.limit == Some(5));
        for (query, said) in [
            ("model=a/b", "give the name of a model"),
            ("since=yesterday", "give a time of RFC 3339"),
            ("request=1", "give the id of a request"),
            ("after=x", "give what an answer had"),
            ("limit=10001", "from 1 to 10000"),
            ("limit=0", "from 1 to 10000"),
            ("last=perhaps", "give true or false"),
            ("frist=1", "frist is no key here"),
        ] {
            let error = read(query).expect_err(query).to_string();
            assert!(error.contains(said), "{error}");
        }
        let id = RequestId::generate().to_string();
        let many = vec![format!("request={id}"); REQUESTS_MAX + 1].join("&");
        assert!(read(&many).expect_err("too many").to_string().contains("give it 256 times at most"));
        assert_eq!(
            subject(b"{\"unit\":\"7C69d7d5a48dd8c5\"}", |_| Vec::new()).expect("a hash"),
            Subject::Units(vec!["7c69d7d5a48dd8c5".into()])
        );
        let of_unit = |hashes: &[&str]| {
            let hashes: Vec<String> = hashes.iter().map(|hash| (*hash).to_owned()).collect();
            subject(b"{\"unit_id\":\"u\"}", |unit| if unit == "u" { hashes.clone() } else { Vec::new() })
        };
        assert_eq!(of_unit(&["a", "b"]).expect("hashes"), Subject::Units(vec!["a".into(), "b".into()]));
        assert!(of_unit(&[]).expect_err("no experiment").to_string().contains("no plan has an experiment"));
        for body in
            ["{}", "{\"unit\":\"x\"}", "{\"request\":\"x\"}", "x", "{\"all\":true}", "{\"unit_id\":\"\"}"]
        {
            assert!(subject(body.as_bytes(), |_| vec!["a".into()]).is_err(), "{body}");
        }
    }
}
