//! Wishes as JSON: `POST /models/{model}/{verb}`.

use pointsman_control::Wish;
use pointsman_core::{PredictError, VersionNumber};
use serde::Deserialize;

/// The verbs there are.
pub(super) const VERBS: [&str; 10] =
    ["promote", "rollback", "load", "unload", "alias", "pin", "unpin", "freeze", "unfreeze", "reset"];

/// What a body may hold; which of it a verb takes is said with the verb.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    version: Option<VersionNumber>,
    alias: Option<String>,
    allow_breaking: Option<bool>,
    dry_run: bool,
}

/// Reads a wish, and whether it is only to be thought through.
///
/// # Errors
/// [`PredictError::BadRequest`] that names the key, [`PredictError::NotFound`] for another verb.
pub(super) fn read(verb: &str, body: &[u8]) -> Result<(Wish, bool), PredictError> {
    let empty = body.iter().all(u8::is_ascii_whitespace);
    let body: Body = if empty { Ok(Body::default()) } else { serde_json::from_slice(body) }
        .map_err(|e| PredictError::BadRequest(format!("the body of {verb}: {e}")))?;
    let Body { version, alias, allow_breaking, dry_run } = body;
    let lacks = |key: &str| PredictError::BadRequest(format!("{verb} needs \"{key}\" in its body"));
    let takes = |takes_version: bool, takes_alias: bool, takes_breaking: bool| {
        for (given, taken, key) in [
            (version.is_some(), takes_version, "version"),
            (alias.is_some(), takes_alias, "alias"),
            (allow_breaking.is_some(), takes_breaking, "allow_breaking"),
        ] {
            if given && !taken {
                return Err(PredictError::BadRequest(format!("{verb} takes no \"{key}\"")));
            }
        }
        Ok(())
    };
    let allow = allow_breaking.unwrap_or_default();
    let wish = match verb {
        "promote" => {
            takes(true, false, true)?;
            Wish::Promote { version: version.ok_or_else(|| lacks("version"))?, allow_breaking: allow }
        }
        "alias" => {
            takes(true, true, true)?;
            let alias = alias.ok_or_else(|| lacks("alias"))?;
            Wish::Alias { alias, version, allow_breaking: allow }
        }
        "load" | "unload" | "pin" => {
            takes(true, false, false)?;
            match verb {
                "load" => Wish::Load { version },
                "unload" => Wish::Unload { version },
                _ => Wish::Pin { version },
            }
        }
        _ => {
            takes(false, false, false)?;
            match verb {
                "rollback" => Wish::Rollback,
                "unpin" => Wish::Unpin,
                "freeze" => Wish::Freeze,
                "unfreeze" => Wish::Unfreeze,
                "reset" => Wish::Reset,
                _ => return Err(PredictError::NotFound),
            }
        }
    };
    Ok((wish, dry_run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(verb: &str, body: &str) -> Result<String, String> {
        read(verb, body.as_bytes()).map(|(wish, dry)| format!("{wish} {dry}")).map_err(|e| e.to_string())
    }

    #[test]
    fn every_verb_is_read() {
        for verb in VERBS {
            let body = if verb == "alias" { r#"{"alias": "a", "version": 2}"# } else { r#"{"version": 2}"# };
            let plain = text(verb, "{}").or_else(|_| text(verb, body));
            assert!(plain.as_ref().is_ok_and(|text| text.starts_with(verb)), "{verb}: {plain:?}");
        }
        assert_eq!(text("load", ""), Ok("load false".into()));
        assert_eq!(
            text("alias", r#"{"alias": "a", "version": null, "dry_run": true}"#),
            Ok("alias a true".into())
        );
    }

    #[test]
    fn what_a_verb_does_not_take_is_named() {
        for (verb, body, word) in [
            ("promote", "{}", "needs \"version\""),
            ("promote", r#"{"version": 0}"#, "above 0"),
            ("promote", r#"{"version": "3"}"#, "invalid type"),
            ("rollback", r#"{"version": 2}"#, "takes no \"version\""),
            ("load", r#"{"allow_breaking": true}"#, "takes no \"allow_breaking\""),
            ("unload", r#"{"verison": 2}"#, "unknown field"),
            ("destroy", "{}", "Not Found"),
        ] {
            let error = text(verb, body).expect_err(verb);
            assert!(error.contains(word), "{verb} {body}: {error}");
        }
    }
}
