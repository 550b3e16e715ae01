//! What a method and a path ask for, in every REST protocol of the gateway. No I/O and no state:
//! whether a model exists is found out later.
//!
//! A path is split first and its segments are unescaped after, so that an escaped slash can never
//! make a new segment. Where a version stands, an alias may stand as well: `/versions/champion`,
//! `/labels/champion` and, in every place for a model, `iris@champion`.

mod v1;
mod v2;

use http::Method;
use percent_encoding::percent_decode_str;
use pointsman_core::{ModelName, PredictError, VersionSelector};

use pointsman_core::shown;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /`: V1's sign of life.
    Alive,
    /// `GET /openapi.json`.
    OpenApi,
    /// `GET /v2`.
    ServerMetadata,
    /// `GET /v2/health/live`.
    ServerLive,
    /// `GET /v2/health/ready`.
    ServerReady,
    /// `GET /v2/models`, KServe's list.
    Models,
    /// `GET /v2/models/M[/versions/V]`.
    ModelMetadata(Target),
    /// `GET /v2/models/M[/versions/V]/ready`.
    ModelReady(Target),
    /// `GET /v2/models/M[/versions/V]/config`.
    ModelConfig(Target),
    /// `GET /v2/models/M[/versions/V]/stats`.
    ModelStatistics(Target),
    /// `GET /v2/models/stats`.
    Statistics,
    /// `POST /v2/models/M[/versions/V]/infer`.
    Infer(Target),
    /// `POST /v2/repository/index`.
    RepositoryIndex,
    /// `POST /v2/repository/models/M/load`.
    RepositoryLoad(String),
    /// `POST /v2/repository/models/M/unload`.
    RepositoryUnload(String),
    /// `GET /v1/models`.
    V1Models,
    /// `GET /v1/models/M[/versions/V | /labels/L]`.
    V1Status(Target),
    /// `GET /v1/models/M[/versions/V | /labels/L]/metadata`.
    V1Metadata(Target),
    /// `POST /v1/models/M[/versions/V | /labels/L]:predict`.
    V1Predict(Target),
}

/// A model and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The model's name, by the rule of [`ModelName`].
    pub model: String,
    /// The version asked for.
    pub version: VersionSelector,
}

/// Reads a path, without the query. `HEAD` is taken for `GET`.
///
/// # Errors
/// [`PredictError::NotFound`] for a path of no protocol, [`PredictError::MethodNotAllowed`] for
/// another method, [`PredictError::UnknownModel`] for a name that no model can have,
/// [`PredictError::BadRequest`] for what can be no version and, below `/v1`, for a path that is
/// none of TF Serving's, [`PredictError::Unsupported`] for known paths of V2 that the gateway lacks.
pub fn parse(method: &Method, path: &str) -> Result<Route, PredictError> {
    let trimmed = path.strip_prefix('/').ok_or(PredictError::NotFound)?;
    if trimmed.is_empty() {
        return get(method, Route::Alive);
    }
    // One slash at the end is let go, as in `/v2/`.
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let segments: Vec<&str> = trimmed.split('/').collect();
    match segments.as_slice() {
        ["openapi.json"] => get(method, Route::OpenApi),
        ["v2", rest @ ..] => v2::parse(method, rest),
        [v1, rest @ ..] if v1.eq_ignore_ascii_case("v1") => v1::parse(method, path, rest),
        _ => Err(PredictError::NotFound),
    }
}

/// The route, if the method is `GET` or `HEAD`.
fn get(method: &Method, route: Route) -> Result<Route, PredictError> {
    if method == Method::GET || method == Method::HEAD {
        Ok(route)
    } else {
        Err(PredictError::MethodNotAllowed { allowed: "GET, HEAD" })
    }
}

/// The route, if the method is `POST`.
fn post(method: &Method, route: Route) -> Result<Route, PredictError> {
    if method == Method::POST { Ok(route) } else { Err(PredictError::MethodNotAllowed { allowed: "POST" }) }
}

/// Reads the segments for a model and a version, as they stand in the path.
fn target(model: &str, version: Option<&str>) -> Result<Target, PredictError> {
    let decoded = decode(model)?;
    let (model, suffix) = match decoded.rsplit_once('@') {
        Some((model, alias)) => (model, Some(alias.to_owned())),
        None => (decoded.as_str(), None),
    };
    if ModelName::new(model).is_err() {
        return Err(PredictError::UnknownModel { model: shown(model) });
    }
    let version = match (version.map(decode).transpose()?, suffix) {
        (Some(_), Some(_)) => {
            return Err(PredictError::BadRequest("the path names a version twice".into()));
        }
        (Some(version), None) | (None, Some(version)) => selector(&version)?,
        (None, None) => VersionSelector::Default,
    };
    Ok(Target { model: model.to_owned(), version })
}

/// Reads what stands for a version where one has to stand.
fn selector(text: &str) -> Result<VersionSelector, PredictError> {
    let bad = |details: String| {
        PredictError::BadRequest(format!(
            "failed to get model version from specified version string '{}' (details: {details}), version should be an integral value > 0 or an alias",
            shown(text)
        ))
    };
    match VersionSelector::parse(text) {
        Ok(VersionSelector::Default) => Err(bad("it is empty".into())),
        Ok(selector) => Ok(selector),
        Err(e) => Err(bad(e.to_string())),
    }
}

/// Unescapes one segment.
fn decode(segment: &str) -> Result<String, PredictError> {
    match percent_decode_str(segment).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(PredictError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_outside_the_protocols() {
        assert_eq!(parse(&Method::GET, "/"), Ok(Route::Alive));
        assert_eq!(parse(&Method::HEAD, "/"), Ok(Route::Alive));
        assert_eq!(parse(&Method::GET, "/openapi.json"), Ok(Route::OpenApi));
        for path in ["", "x", "/x", "//", "//v2", "/v3/models", "/metrics", "*"] {
            assert_eq!(parse(&Method::GET, path), Err(PredictError::NotFound), "{path}");
        }
    }

    #[test]
    fn models_and_versions_are_unescaped_after_the_split() {
        let target = |model: &str, version: Option<&str>| target(model, version);
        let alias = VersionSelector::Alias("champion".into());
        let iris = |version| Ok(Target { model: "iris".into(), version });
        assert_eq!(target("iris", None), iris(VersionSelector::Default));
        assert_eq!(target("i%72is", Some("champion")), iris(alias.clone()));
        assert_eq!(target("iris@champion", None), iris(alias.clone()));
        assert_eq!(target("iris%40champion", None), iris(alias));
        for model in ["", "a%2Fb", "..", "%2e%2e", "a%00", ".x", "a:b", "@champion", &"x".repeat(4000)] {
            let error = target(model, None).unwrap_err();
            assert!(matches!(error, PredictError::UnknownModel { .. }), "{model}: {error}");
            assert!(error.to_string().len() < 200);
        }
        assert_eq!(target("%ff", None), Err(PredictError::NotFound));
        for version in ["0", "+1", "01", "a b", "..", "99999999999999999999", ""] {
            let error = target("iris", Some(version)).unwrap_err().to_string();
            assert!(
                error.starts_with("failed to get model version from specified version string"),
                "{error}"
            );
        }
        assert!(target("iris@champion", Some("2")).is_err());
        assert!(target("iris@", None).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_paths_never_panic(path in ".*", tail in "/v[12]/[a-z/:@%0-9]*") {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let _ = parse(&method, &path);
                let _ = parse(&method, &tail);
            }
        }
    }
}
