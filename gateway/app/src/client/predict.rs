//! `pointsman predict`.

use std::io::Read;
use std::path::Path;

use ::http::Method;
use bytes::Bytes;
use serde_json::Value;

use super::call::call;
use super::{failed, list, print_raw, refused};
use crate::End;
use crate::cli;

/// `pointsman predict`.
pub(crate) fn predict(arguments: &cli::Predict) -> End {
    let input = match read_input(&arguments.input) {
        Ok(input) => input,
        Err(problem) => return refused(&problem),
    };
    let mut path = format!("/v2/models/{}", arguments.model);
    if let Some(version) = &arguments.model_version {
        path.push_str(&format!("/versions/{version}"));
    }
    path.push_str("/infer");
    let answer = match call(Method::POST, &arguments.url, &path, input) {
        Ok(answer) => answer,
        Err(e) => return failed(&e, arguments.json),
    };
    // An answer may hold the tokens NaN and Infinity, which are no JSON: it is shown as it came.
    let read = serde_json::from_slice::<Value>(&answer).ok();
    let Some(answer) = read.filter(|_| !arguments.json) else {
        print_raw(&answer);
        return End::Done;
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!("model {}, version {}", text(&answer["model_name"]), text(&answer["model_version"]));
    for output in list(&answer["outputs"]) {
        println!(
            "{} {} {}: {}",
            text(&output["name"]),
            text(&output["datatype"]),
            output["shape"],
            output["data"]
        );
    }
    End::Done
}

fn read_input(path: &Path) -> Result<Bytes, String> {
    let read = || -> std::io::Result<Vec<u8>> {
        if path == Path::new("-") {
            let mut input = Vec::new();
            std::io::stdin().read_to_end(&mut input)?;
            return Ok(input);
        }
        std::fs::read(path)
    };
    read().map(Bytes::from).map_err(|e| format!("cannot read {}: {e}", path.display()))
}
