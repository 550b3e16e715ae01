//! `pointsman alerts`.

use std::time::{Duration, UNIX_EPOCH};

use ::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_observe::alert::{Alert, State};
use serde::Deserialize;

use super::{answer, refused};
use crate::End;
use crate::cli::Alerts;
use crate::table::lay_out;

/// What the admin listener answers.
#[derive(Deserialize)]
struct Listed {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct History {
    transitions: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    at_ms: u64,
    from: String,
    alert: Alert,
}

/// `pointsman alerts`.
pub(crate) fn alerts(arguments: &Alerts) -> End {
    let mut path = match arguments.history {
        true => format!("/v1/alerts/history?limit={}", arguments.limit),
        false => "/v1/alerts?".to_owned(),
    };
    if let Some(model) = &arguments.model {
        path += &format!("&model={}", utf8_percent_encode(model, NON_ALPHANUMERIC));
    }
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let unreadable = |error: serde_json::Error| {
        refused(&format!("the gateway has alerts that this command cannot read: {error}"))
    };
    if arguments.history {
        return match serde_json::from_value::<History>(answer) {
            Ok(history) => {
                let rows: Vec<Vec<String>> = history
                    .transitions
                    .iter()
                    .map(|change| {
                        let to = format!("{} -> {}", change.from, change.alert.state);
                        [vec![time(change.at_ms), to], columns(&change.alert)].concat()
                    })
                    .collect();
                print!(
                    "{}",
                    lay_out(&["AT", "STATE", "SEVERITY", "MODEL", "KIND", "SUBJECT", "RULE", "SAYS"], &rows)
                );
                End::Done
            }
            Err(error) => unreadable(error),
        };
    }
    let listed = match serde_json::from_value::<Listed>(answer) {
        Ok(listed) => listed.alerts,
        Err(error) => return unreadable(error),
    };
    let shown: Vec<&Alert> = listed.iter().filter(|alert| arguments.all || alert.state.is_active()).collect();
    if shown.is_empty() {
        println!(
            "no alert{}",
            if arguments.all { "" } else { " is pending or fires (--all for those that are resolved)" }
        );
    } else {
        let rows: Vec<Vec<String>> = shown
            .iter()
            .map(|alert| [vec![alert.state.to_string(), time(alert.changed_ms)], columns(alert)].concat())
            .collect();
        print!(
            "{}",
            lay_out(&["STATE", "SINCE", "SEVERITY", "MODEL", "KIND", "SUBJECT", "RULE", "SAYS"], &rows)
        );
    }
    let fires = shown.iter().any(|alert| alert.state == State::Firing);
    if arguments.fail_if_firing && fires { End::Refused } else { End::Done }
}

fn columns(alert: &Alert) -> Vec<String> {
    let signal = &alert.signal;
    let version = signal.version.map_or_else(String::new, |version| format!("/{version}"));
    vec![
        alert.severity.to_string(),
        format!("{}{version}", signal.model),
        signal.kind.to_string(),
        signal.subject.clone(),
        alert.rule.clone(),
        signal.says.clone(),
    ]
}

fn time(at_ms: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at_ms)).to_string()
}
