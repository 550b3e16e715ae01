//! `pointsman profile`, of a running gateway.

use ::http::Method;
use serde_json::{Value, json};

use super::{answer, list, print_json, refused};
use crate::End;
use crate::cli;
use crate::table::{bar, lay_out};

/// `pointsman profile` without `--sweep`.
pub(crate) fn profile(arguments: &cli::Profile) -> End {
    let client = &arguments.client;
    let models = match answer(&cli::AdminClient { json: false, ..client.clone() }, Method::GET, "/models") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let Some(model) = list(&models["models"]).iter().find(|model| model["name"] == arguments.model.as_str())
    else {
        return refused(&format!("the gateway has no model '{}'", arguments.model));
    };
    let wanted = arguments.version.map_or_else(|| model["default"].clone(), |version| json!(version));
    let version = list(&model["versions"]).iter().find(|version| version["version"] == wanted);
    let Some(profile) = version.map(|version| &version["findings"]["profile"]).filter(|p| p.is_object())
    else {
        return refused(&format!("version {wanted} of '{}' does not serve", arguments.model));
    };
    if client.json {
        return print_json(&json!({"model": arguments.model, "version": wanted, "profile": profile}));
    }
    println!("model {}, version {wanted}", arguments.model);
    print!("{}", shown(profile));
    End::Done
}

/// The profile as a table with a plot, and what follows from it.
fn shown(profile: &Value) -> String {
    let number = |size: &Value, key: &str| size[key].as_f64().unwrap_or_default();
    let sizes = list(&profile["sizes"]);
    if sizes.is_empty() {
        return "no run of it was measured: neither golden cases nor zeros can be run\n".into();
    }
    let per_second = |size: &Value| number(size, "rows") / number(size, "median_seconds").max(1e-9);
    let most = sizes.iter().map(per_second).fold(0.0, f64::max);
    let row = |size: &Value| {
        let micros = |seconds: f64| format!("{:.1} us", seconds * 1e6);
        vec![
            format!("{}", number(size, "rows")),
            micros(number(size, "median_seconds")),
            micros(number(size, "slowest_cpu_seconds")),
            micros(1.0 / per_second(size)),
            format!("{:.0}", per_second(size)),
            bar(per_second(size) / most),
        ]
    };
    let rows: Vec<Vec<String>> = sizes.iter().map(row).collect();
    let mut text = lay_out(&["ROWS", "MEDIAN", "SLOWEST (CPU)", "A ROW", "ROWS/S", ""], &rows);
    let limit = |key: &str| profile[key].as_u64().unwrap_or_default();
    text.push_str(&match limit("batch_rows_max") {
        0 | 1 => "requests are run one by one\n".to_owned(),
        rows => format!("requests of up to {rows} rows in all are run together\n"),
    });
    text.push_str(&match limit("inline_rows_max") {
        0 => "runs happen on workers\n".to_owned(),
        rows => format!("runs of up to {rows} row(s) happen on the threads of requests\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_a_table_with_a_plot() {
        let size = |rows: u64, seconds: f64| json!({"rows": rows, "median_seconds": seconds, "slowest_cpu_seconds": seconds});
        let profile =
            json!({"sizes": [size(1, 1e-5), size(4, 2e-5)], "batch_rows_max": 4, "inline_rows_max": 4});
        let text = shown(&profile);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("1") && lines[1].contains("10.0 us") && lines[1].contains("100000"),
            "{text}"
        );
        assert_eq!((lines[1].matches('#').count(), lines[2].matches('#').count()), (20, 40), "{text}");
        assert!(
            lines[3].contains("up to 4 rows in all") && lines[4].contains("threads of requests"),
            "{text}"
        );
        assert!(shown(&json!({"sizes": []})).contains("no run"));
    }
}
