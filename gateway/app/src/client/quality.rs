//! `pointsman quality`.

use ::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_observe::quality::QualityReport;

use super::{answer, refused};
use crate::End;
use crate::cli::Quality;

/// `pointsman quality`.
pub(crate) fn quality(arguments: &Quality) -> End {
    let Quality { model, version, slice, by_arm, window, champion, alpha, html, client } = arguments;
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path = format!("/v1/quality/{model}?alpha={alpha}&window={}", encoded(window));
    for (key, number) in [("version", version), ("champion", champion)] {
        path.extend(number.iter().map(|number| format!("&{key}={number}")));
    }
    path.extend(slice.iter().map(|slice| format!("&slice={}", encoded(slice))));
    if *by_arm {
        path += "&by=arm";
    }
    let answer = match answer(client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let report: QualityReport = match serde_json::from_value(answer) {
        Ok(report) => report,
        Err(error) => {
            return refused(&format!("the gateway has a report that this command cannot read: {error}"));
        }
    };
    let Some(file) = html else {
        print!("{report}");
        return End::Done;
    };
    if let Err(error) = std::fs::write(file, report.page()) {
        return refused(&format!("{}: {error}", file.display()));
    }
    report.ranking.iter().for_each(|ranking| println!("{}", ranking.verdict));
    println!("{} shows it", file.display());
    End::Done
}
