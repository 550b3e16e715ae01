//! `pointsman log`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::Method;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::call::call;
use super::{answer, cell, failed, list, print_raw, refused};
use crate::End;
use crate::cli::{AdminClient, DeleteFromLog, ExportLog, LogVerb, Replay, ReplayLog, ShowLogged, TailLog};
use crate::table::lay_out;

/// Rows that are asked for at once.
const PAGE: usize = 2000;
/// Columns of rows that are shown as a table.
const COLUMNS: [(&str, &str); 8] = [
    ("ts", "AT"),
    ("request_id", "REQUEST"),
    ("model", "MODEL"),
    ("version", "VERSION"),
    ("arm", "ARM"),
    ("status", "STATUS"),
    ("sample_reason", "WHY"),
    ("inclusion_prob", "PROBABILITY"),
];

/// `pointsman log`.
pub(crate) fn log(verb: &LogVerb) -> End {
    match verb {
        LogVerb::Tail(arguments) => tail(arguments),
        LogVerb::Show(arguments) => show(arguments),
        LogVerb::Stats(client) => stats(client),
        LogVerb::Export(arguments) => export(arguments),
        LogVerb::Replay(arguments) => replay(arguments),
        LogVerb::Delete(arguments) => delete(arguments),
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn tail(arguments: &TailLog) -> End {
    let mut path = format!("/v1/log/rows?last=true&limit={}", arguments.rows);
    if let Some(model) = &arguments.model {
        path += &format!("&model={}", encoded(model));
    }
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let rows = list(&answer["rows"]);
    // What was asked and answered, as short as it is.
    let told = |row: &Value, prefix: &str| {
        let values = row.as_object().into_iter().flatten();
        let values = values.filter_map(|(key, value)| Some(format!("{}={value}", key.strip_prefix(prefix)?)));
        values.take(4).collect::<Vec<_>>().join(" ")
    };
    let table = rows.iter().map(|row| {
        let mut cells: Vec<String> = COLUMNS.iter().map(|(key, _)| cell(&row[*key])).collect();
        cells.push(told(row, "in."));
        cells.push(told(row, "out."));
        cells
    });
    let head: Vec<&str> = COLUMNS.iter().map(|(_, head)| *head).chain(["ASKED", "ANSWERED"]).collect();
    print!("{}", lay_out(&head, &table.collect::<Vec<_>>()));
    End::Done
}

fn show(arguments: &ShowLogged) -> End {
    let path = format!("/v1/log/rows?limit=10000&request={}", encoded(&arguments.id));
    let client = &arguments.client;
    let answer = match call(Method::GET, &client.admin_url, &path, Bytes::new()) {
        Ok(answer) => answer,
        Err(error) => return failed(&error, client.json),
    };
    let read: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let rows = list(&read["rows"]);
    let end = if rows.is_empty() { End::Refused } else { End::Done };
    if client.json {
        print_raw(&answer);
        return end;
    }
    if rows.is_empty() {
        return refused(&format!("the log has nothing of request {}", arguments.id));
    }
    for row in rows {
        let cells = row.as_object().into_iter().flatten();
        let cells: Vec<Vec<String>> = cells.map(|(key, value)| vec![key.clone(), cell(value)]).collect();
        println!("{}", lay_out(&["COLUMN", "VALUE"], &cells));
    }
    End::Done
}

fn stats(client: &AdminClient) -> End {
    let answer = match answer(client, Method::GET, "/v1/log") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let keys = ["model", "sampled", "written", "rows", "queued", "dropped", "dropped_by"];
    let row = |of: &Value| keys.iter().map(|key| cell(&of[*key])).collect();
    let rows: Vec<Vec<String>> = list(&answer["models"]).iter().map(row).collect();
    print!("{}", lay_out(&["MODEL", "SAMPLED", "WRITTEN", "ROWS", "QUEUED", "DROPPED", ""], &rows));
    println!(
        "\n{}: {} Parquet files of {} bytes, {} bytes in the spool, {} requests wait",
        cell(&answer["directory"]),
        answer["parts"],
        answer["parts_bytes"],
        answer["spool_bytes"],
        answer["waiting"],
    );
    if let Some(vanished) = answer["vanished_files"].as_u64().filter(|vanished| *vanished > 0) {
        println!(
            "{vanished} spool files were moved away or deleted while they were written to: their rows count as written"
        );
    }
    if let Some(problem) = answer["problem"].as_str() {
        println!("problem: {problem}");
    }
    End::Done
}

/// A time as the gateway reads it: as it is, or so long ago.
fn time(text: &str) -> Result<String, String> {
    if humantime::parse_rfc3339(text).is_ok() {
        return Ok(text.to_owned());
    }
    let ago = humantime::parse_duration(text).ok();
    let ago = ago.map(|ago| SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH).max(UNIX_EPOCH));
    let ago = ago.ok_or_else(|| {
        let text = pointsman_core::shown(text);
        format!("`{text}` is no time: give one of RFC 3339 in UTC, such as 2026-11-01T00:00:00Z, or how long ago, such as 24h")
    })?;
    Ok(humantime::format_rfc3339_seconds(ago).to_string())
}

/// The path of a question about rows of a model within a time.
fn path_of(model: Option<&String>, since: Option<&String>, until: Option<&String>) -> Result<String, String> {
    let mut path = "/v1/log/rows?".to_owned();
    if let Some(model) = model {
        path += &format!("model={}&", encoded(model));
    }
    for (key, value) in [("since", since), ("until", until)] {
        if let Some(value) = value {
            path += &format!("{key}={}&", encoded(&time(value)?));
        }
    }
    Ok(path)
}

/// Asks for rows page by page, until there are no more or enough.
fn pages(
    url: &str,
    path: &str,
    page: usize,
    mut take: impl FnMut(&[Value]) -> Result<bool, String>,
) -> Result<(), String> {
    let mut next = String::new();
    loop {
        let path = format!("{path}limit={page}{next}");
        let answer = call(Method::GET, url, &path, Bytes::new()).map_err(|e| e.line)?;
        let answer: Value = serde_json::from_slice(&answer)
            .map_err(|e| format!("{url} answered something that is not JSON: {e}"))?;
        let wants_more = take(list(&answer["rows"]))?;
        match answer["next"].as_str() {
            Some(cursor) if wants_more => next = format!("&after={}", encoded(cursor)),
            _ => return Ok(()),
        }
    }
}

fn export(arguments: &ExportLog) -> End {
    let ExportLog { model, since, until, output, admin_url, .. } = arguments;
    let exported = || -> Result<(), String> {
        let path = path_of(model.as_ref(), since.as_ref(), until.as_ref())?;
        let name = output.as_ref().map_or("standard output".into(), |file| file.display().to_string());
        let failed = |e: io::Error| format!("{name}: {e}");
        let write = |to: &mut dyn Write| {
            pages(admin_url, &path, PAGE, |rows| {
                rows.iter().try_for_each(|row| writeln!(to, "{row}")).map_err(failed)?;
                Ok(true)
            })?;
            to.flush().map_err(failed)
        };
        let Some(file) = output else { return write(&mut io::stdout().lock()) };
        // A device, a pipe or a link is written to, and not put out of its place.
        if fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
            return write(&mut BufWriter::new(File::create(file).map_err(failed)?));
        }
        // What was there stays until all is there that takes its place.
        let mut unfinished = file.clone().into_os_string();
        unfinished.push(format!(".{}.part", std::process::id()));
        let mut to = BufWriter::new(File::create(&unfinished).map_err(failed)?);
        let written = write(&mut to).and_then(|()| fs::rename(&unfinished, file).map_err(failed));
        if written.is_err() {
            // It tells nothing that the error does not.
            let _ = fs::remove_file(&unfinished);
        }
        written
    };
    exported().map_or_else(|problem| refused(&problem), |()| End::Done)
}

fn replay(arguments: &ReplayLog) -> End {
    let ReplayLog { id, model, since, until, limit, versions, client } = arguments;
    if let Some(id) = id {
        return super::replay(&Replay { id: id.clone(), versions: versions.clone(), client: client.clone() });
    }
    let mut ids: Vec<String> = Vec::new();
    let found = path_of(model.as_ref(), since.as_ref(), until.as_ref()).and_then(|path| {
        pages(&client.admin_url, &path, PAGE, |rows| {
            for id in rows.iter().filter(|row| row["row"] == 0 && row["status"] == "OK") {
                if ids.len() < *limit {
                    ids.push(cell(&id["request_id"]));
                }
            }
            Ok(ids.len() < *limit)
        })
    });
    if let Err(problem) = found {
        return refused(&problem);
    }
    if ids.is_empty() {
        let model = model.as_deref().map(pointsman_core::shown).unwrap_or_default();
        return refused(&format!(
            "the log has no request of model '{model}' in that time that was answered; \
             pointsman log tail {model} shows what it has"
        ));
    }
    let mut tally: Vec<[u64; 3]> = vec![[0; 3]; versions.len().saturating_sub(1)];
    let mut answers = Vec::new();
    for id in &ids {
        let body = Bytes::from(json!({ "versions": versions }).to_string());
        let answer = match call(Method::POST, &client.admin_url, &format!("/v1/replays/{id}"), body) {
            Ok(answer) => answer,
            Err(error) => return failed(&error, client.json),
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        for (of, difference) in tally.iter_mut().zip(list(&answer["differences"])) {
            let [agrees, disagrees, failed] = of;
            let mut failures = super::replay::failed_in(&answer);
            *if failures.any(|version| version["version"] == difference["version"]) {
                failed
            } else if difference["agrees"] == true {
                agrees
            } else {
                disagrees
            } += 1;
        }
        answers.push(answer);
    }
    let any_failed = answers.iter().any(|answer| super::replay::failed_in(answer).next().is_some());
    let end = if any_failed { End::Refused } else { End::Done };
    if client.json {
        print_raw(Value::from(answers).to_string().as_bytes());
        return end;
    }
    let rows = versions.iter().skip(1).zip(&tally).map(|(version, counts)| {
        let counts = counts.iter().map(u64::to_string);
        [version.to_string(), versions[0].to_string()].into_iter().chain(counts).collect()
    });
    print!(
        "{}",
        lay_out(&["VERSION", "AGAINST", "AGREES", "DISAGREES", "FAILED"], &rows.collect::<Vec<_>>())
    );
    // Each version fails in the same way as a rule: one tells why.
    if let Some(failed) = answers.iter().flat_map(super::replay::failed_in).next() {
        println!("{}", super::replay::why(failed));
    }
    end
}

fn delete(arguments: &DeleteFromLog) -> End {
    let DeleteFromLog { request, unit, unit_id, client } = arguments;
    let body = match (request, unit_id) {
        (Some(id), _) => json!({ "request": id }),
        (None, Some(unit)) => json!({ "unit_id": unit }),
        (None, None) => json!({ "unit": unit }),
    };
    let answer = match call(Method::POST, &client.admin_url, "/v1/log/delete", Bytes::from(body.to_string()))
    {
        Ok(answer) => answer,
        Err(error) => return failed(&error, client.json),
    };
    if client.json {
        print_raw(&answer);
        return End::Done;
    }
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    println!("{} rows are deleted, from {} files", answer["rows"], answer["parts"]);
    End::Done
}
