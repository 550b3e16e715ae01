//! `pointsman config`.

use ::http::Method;
use bytes::Bytes;
use serde_json::Value;

use super::call::call_as;
use super::{cell, list, print_raw, refused};
use crate::End;
use crate::cli;
use crate::table::lay_out;

/// `pointsman config`.
pub(crate) fn config(arguments: &cli::ShowConfig) -> End {
    let (method, path) =
        if arguments.reload { (Method::POST, "/config/reload") } else { (Method::GET, "/config") };
    let answer = match call_as(None, method, &arguments.client.admin_url, path, Bytes::new()) {
        Ok(answer) => answer,
        Err(problem) => return refused(&problem),
    };
    if arguments.client.json {
        print_raw(&answer);
        return End::Done;
    }
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    if arguments.reload {
        let names = |key: &str| list(&answer[key]).iter().map(cell).collect::<Vec<_>>().join(", ");
        let (changed, later) = (names("changed"), names("restart_needed"));
        println!("changed: {}", if changed.is_empty() { "nothing" } else { &changed });
        if !later.is_empty() {
            println!("count after a restart alone: {later}");
        }
        return End::Done;
    }
    let row = |key: &Value| {
        let value = if key["value"].is_null() { "(none)".into() } else { cell(&key["value"]) };
        vec![cell(&key["key"]), value, cell(&key["origin"])]
    };
    let rows: Vec<Vec<String>> = list(&answer["config"]).iter().map(row).collect();
    print!("{}", lay_out(&["KEY", "VALUE", "FROM"], &rows));
    End::Done
}
