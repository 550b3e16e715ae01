//! `pointsman score`.

use ::http::Method;

use super::{answer, refused};
use crate::End;
use crate::cli::Score;

/// `pointsman score`.
pub(crate) fn score(arguments: &Score) -> End {
    let version = arguments.model_version.map_or_else(String::new, |version| format!("?version={version}"));
    let path = format!("/v1/score/{}{version}", arguments.model);
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    match serde_json::from_value::<pointsman_observe::Score>(answer) {
        Ok(score) => {
            print!("{score}");
            End::Done
        }
        Err(error) => refused(&format!("the gateway has a score that this command cannot read: {error}")),
    }
}
