//! The paths of V1, as TensorFlow Serving and KServe have them
//! (`tensorflow_serving/model_servers/http_rest_api_util.cc`, whose expressions ignore case).

use http::Method;
use pointsman_core::PredictError;

use super::{Route, get, post, target};
use pointsman_core::shown;

/// Reads the segments behind `/v1`; `path` is the whole for the message.
pub(super) fn parse(method: &Method, path: &str, segments: &[&str]) -> Result<Route, PredictError> {
    let malformed =
        || PredictError::BadRequest(format!("Malformed request: {} {}", shown(method.as_str()), shown(path)));
    let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
    let (models, rest) = segments.split_first().ok_or_else(malformed)?;
    if !is(models, "models") {
        return Err(malformed());
    }
    match *rest {
        [] => get(method, Route::V1Models),
        // The verb hangs on the last segment, and a name cannot hold a colon.
        [.., last] if last.contains(':') => {
            let (last, verb) = last.rsplit_once(':').ok_or_else(malformed)?;
            let place = match *rest {
                [_] => target(last, None),
                [model, kind, _] if is(kind, "versions") || is(kind, "labels") => target(model, Some(last)),
                _ => return Err(malformed()),
            };
            with_verb(verb).ok_or_else(malformed)??;
            post(method, Route::V1Predict(place?))
        }
        [model] => get(method, Route::V1Status(target(model, None)?)),
        [model, last] if is(last, "metadata") => get(method, Route::V1Metadata(target(model, None)?)),
        [model, kind, version] if is(kind, "versions") || is(kind, "labels") => {
            get(method, Route::V1Status(target(model, Some(version))?))
        }
        [model, kind, version, last]
            if (is(kind, "versions") || is(kind, "labels")) && is(last, "metadata") =>
        {
            get(method, Route::V1Metadata(target(model, Some(version))?))
        }
        _ => Err(malformed()),
    }
}

/// Whether a verb is served; nothing for one that no protocol has.
fn with_verb(verb: &str) -> Option<Result<(), PredictError>> {
    let verb = verb.to_ascii_lowercase();
    match verb.as_str() {
        "predict" => Some(Ok(())),
        "classify" | "regress" => Some(Err(PredictError::Unsupported(format!(
            "{verb} takes tf.Example features, which ONNX models do not have; use predict"
        )))),
        "explain" => Some(Err(PredictError::Unsupported("explain is not supported; use predict".into()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::{VersionNumber, VersionSelector};

    use super::super::{Target, parse};
    use super::*;

    #[test]
    fn every_path_has_its_route() {
        let iris = |version| Target { model: "iris".into(), version };
        let default = || iris(VersionSelector::Default);
        let two = || iris(VersionNumber::new(2).map_or(VersionSelector::Default, VersionSelector::Number));
        let canary = || iris(VersionSelector::Alias("canary".into()));
        for (method, path, route) in [
            ("GET", "/v1/models", Route::V1Models),
            ("GET", "/v1/models/", Route::V1Models),
            ("GET", "/v1/models/iris", Route::V1Status(default())),
            ("GET", "/v1/models/iris/versions/2", Route::V1Status(two())),
            ("GET", "/v1/models/iris/labels/canary", Route::V1Status(canary())),
            ("GET", "/v1/models/iris/metadata", Route::V1Metadata(default())),
            ("GET", "/v1/models/iris/versions/2/metadata", Route::V1Metadata(two())),
            ("POST", "/v1/models/iris:predict", Route::V1Predict(default())),
            ("POST", "/V1/Models/iris:PREDICT", Route::V1Predict(default())),
            ("POST", "/v1/models/iris/versions/2:predict", Route::V1Predict(two())),
            ("POST", "/v1/models/iris/versions/canary:predict", Route::V1Predict(canary())),
            ("POST", "/v1/models/iris/labels/canary:predict", Route::V1Predict(canary())),
            ("POST", "/v1/models/iris@canary:predict", Route::V1Predict(canary())),
        ] {
            let method = method.parse().expect("a method");
            assert_eq!(parse(&method, path), Ok(route), "{method} {path}");
        }
    }

    #[test]
    fn malformed_and_unsupported_paths() {
        for path in [
            "/v1",
            "/v1/x",
            "/v1/models/iris:frobnicate",
            "/v1/models/iris/x",
            "/v1/models/iris/x/2:predict",
            "/v1/models/a/b/c/d:predict",
        ] {
            let error = parse(&Method::POST, path).unwrap_err();
            assert_eq!(error, PredictError::BadRequest(format!("Malformed request: POST {path}")));
        }
        for verb in ["classify", "regress", "explain"] {
            let error = parse(&Method::POST, &format!("/v1/models/iris:{verb}")).unwrap_err();
            assert!(matches!(error, PredictError::Unsupported(_)), "{verb}");
        }
        let error = parse(&Method::GET, "/v1/models/iris:predict").unwrap_err();
        assert_eq!(error, PredictError::MethodNotAllowed { allowed: "POST" });
        let error = parse(&Method::POST, "/v1/models/iris").unwrap_err();
        assert_eq!(error, PredictError::MethodNotAllowed { allowed: "GET, HEAD" });
    }
}
