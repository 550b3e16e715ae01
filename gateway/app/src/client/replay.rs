//! `pointsman replay`.

use ::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};

use super::call::call;
use super::{cell, failed, list, print_raw, refused};
use crate::End;
use crate::cli::Replay;
use crate::table::lay_out;

/// The most elements of one output of which a terminal shows a line each.
const ELEMENTS_SHOWN_MAX: usize = 32;

/// `pointsman replay`.
pub(crate) fn replay(arguments: &Replay) -> End {
    let Replay { id, versions, client } = arguments;
    let body = Bytes::from(json!({ "versions": versions }).to_string());
    let answer = match call(Method::POST, &client.admin_url, &format!("/v1/replays/{id}"), body) {
        Ok(answer) => answer,
        Err(error) => return failed(&error, client.json),
    };
    let read = serde_json::from_slice::<Value>(&answer);
    let has_failed = read.as_ref().is_ok_and(|answer| failed_in(answer).next().is_some());
    let end = if has_failed { End::Refused } else { End::Done };
    if client.json {
        print_raw(&answer);
        return end;
    }
    match read {
        Ok(answer) => {
            print!("{}", shown(&answer));
            end
        }
        Err(e) => refused(&format!("{} answered something that is not JSON: {e}", client.admin_url)),
    }
}

/// The versions that did not answer.
pub(super) fn failed_in(answer: &Value) -> impl Iterator<Item = &Value> {
    list(&answer["versions"]).iter().filter(|version| !version["error"].is_null())
}

/// Why a version did not answer.
pub(super) fn why(failed: &Value) -> String {
    format!("version {} failed: {} ({})", failed["version"], cell(&failed["error"]), cell(&failed["code"]))
}

/// The answers side by side, an element a line, and what differs.
fn shown(answer: &Value) -> String {
    let versions = list(&answer["versions"]);
    let mut text = format!("model {}, request {}\n", cell(&answer["model"]), cell(&answer["id"]));
    failed_in(answer).for_each(|version| text += &format!("{}\n", why(version)));
    let answered: Vec<&Value> = versions.iter().filter(|version| version["error"].is_null()).collect();
    let head = answered.iter().map(|version| format!("VERSION {}", version["version"]));
    let head: Vec<String> = std::iter::once("OUTPUT".to_owned()).chain(head).collect();
    let mut names: Vec<&str> = Vec::new();
    for output in answered.iter().flat_map(|version| list(&version["outputs"])) {
        let name = output["name"].as_str().unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rows = Vec::new();
    for name in names {
        let of = |version: &&Value| {
            list(&version["outputs"]).iter().find(|output| output["name"] == name).cloned()
        };
        let outputs: Vec<Value> = answered.iter().map(|version| of(version).unwrap_or_default()).collect();
        let most = outputs.iter().map(|output| list(&output["data"]).len()).max().unwrap_or(0);
        for at in 0..most.min(ELEMENTS_SHOWN_MAX) {
            let first = if most == 1 { name.to_owned() } else { format!("{name}[{at}]") };
            let cells = outputs.iter().map(|output| element(output, at));
            rows.push(std::iter::once(first).chain(cells).collect());
        }
        let elements = outputs.iter().filter_map(|output| output["elements"].as_u64()).max().unwrap_or(0);
        if elements > ELEMENTS_SHOWN_MAX as u64 {
            rows.push(vec![format!("{name}: {} elements more", elements - ELEMENTS_SHOWN_MAX as u64)]);
        }
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    text += &lay_out(&head, &rows);
    let has_failed = |version: &Value| failed_in(answer).any(|failed| failed["version"] == *version);
    for difference in list(&answer["differences"]).iter().filter(|of| !has_failed(&of["version"])) {
        let agrees = if difference["agrees"] == true { "agrees" } else { "disagrees" };
        text += &format!("version {} {agrees} with version {}", difference["version"], difference["against"]);
        let apart = list(&difference["outputs"]).iter().filter_map(|output| {
            let max = output["numbers"]["max_abs"].as_f64().filter(|max| *max > 0.0)?;
            // As many digits as most outputs have.
            Some(format!("{} by at most {}", cell(&output["name"]), max as f32))
        });
        let apart: Vec<String> = apart.collect();
        text += &if apart.is_empty() { String::from("\n") } else { format!(": {}\n", apart.join(", ")) };
    }
    text
}

fn element(output: &Value, at: usize) -> String {
    match output["data"].get(at) {
        None => "-".into(),
        Some(Value::Null) => "not finite".into(),
        Some(value) => cell(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_a_table_with_a_line_for_each_element() {
        let output = |name: &str, data: Value, elements: usize| json!({"name": name, "data": data, "elements": elements});
        let long: Vec<usize> = (0..40).collect();
        let answer = json!({
            "model": "iris", "id": "x",
            "versions": [
                {"version": 2, "outputs": [output("label", json!([1]), 1), output("p", json!([0.25, null]), 2)]},
                {"version": 3, "outputs": [output("label", json!([2]), 1), output("long", json!(long), 40)]},
                {"version": 9, "error": "no", "code": "UNKNOWN_VERSION"},
            ],
            "differences": [
                {"version": 3, "against": 2, "agrees": false,
                 "outputs": [{"name": "label", "numbers": {"max_abs": 1.0}}, {"name": "p", "numbers": null}]},
                {"version": 9, "against": 2, "agrees": true, "outputs": []},
            ],
        });
        let text = shown(&answer);
        for line in [
            "version 9 failed: no (UNKNOWN_VERSION)",
            "OUTPUT                 VERSION 2   VERSION 3",
            "label                  1           2",
            "p[0]                   0.25        -",
            "p[1]                   not finite  -",
            "long[31]               -           31",
            "long: 8 elements more",
            "version 3 disagrees with version 2: label by at most 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("long[32]") && !text.contains("version 9 agrees"));
    }
}
