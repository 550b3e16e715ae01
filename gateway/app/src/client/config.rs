//! `pointsman config`.

use ::http::Method;
use serde_json::Value;

use super::{answer, cell, list};
use crate::End;
use crate::cli;
use crate::table::lay_out;

/// `pointsman config`.
pub(crate) fn config(arguments: &cli::ShowConfig) -> End {
    let (method, path) =
        if arguments.reload { (Method::POST, "/config/reload") } else { (Method::GET, "/config") };
    let answer = match answer(&arguments.client, method, path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
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
