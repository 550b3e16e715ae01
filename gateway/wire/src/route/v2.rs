//! The paths of V2 REST, as KServe and Triton have them.

use http::Method;
use pointsman_core::PredictError;

use super::{Route, get, post, target};

/// Reads the segments behind `/v2`.
pub(super) fn parse(method: &Method, segments: &[&str]) -> Result<Route, PredictError> {
    match *segments {
        [] => get(method, Route::ServerMetadata),
        ["health", "live"] => get(method, Route::ServerLive),
        ["health", "ready"] => get(method, Route::ServerReady),
        ["models"] => get(method, Route::Models),
        // Matched before any model, as in Triton: a model named `stats` has no metadata.
        ["models", "stats"] => get(method, Route::Statistics),
        ["models", model, "versions", version] => model_path(method, model, Some(version), ""),
        ["models", model, "versions", version, verb] => model_path(method, model, Some(version), verb),
        ["models", model] => model_path(method, model, None, ""),
        ["models", model, verb] => model_path(method, model, None, verb),
        ["repository", "index"] => post(method, Route::RepositoryIndex),
        ["repository", "models", model, "load"] => {
            post(method, Route::RepositoryLoad(target(model, None)?.model))
        }
        ["repository", "models", model, "unload"] => {
            post(method, Route::RepositoryUnload(target(model, None)?.model))
        }
        _ => Err(absent(segments)),
    }
}

fn model_path(
    method: &Method,
    model: &str,
    version: Option<&str>,
    verb: &str,
) -> Result<Route, PredictError> {
    let route: fn(_) -> Route = match verb {
        "" => Route::ModelMetadata,
        "ready" => Route::ModelReady,
        "config" => Route::ModelConfig,
        "stats" => Route::ModelStatistics,
        "infer" => return post(method, Route::Infer(target(model, version)?)),
        "generate" | "generate_stream" => return Err(unsupported("the generate extension")),
        _ => return Err(PredictError::NotFound),
    };
    get(method, route(target(model, version)?))
}

/// Paths that clients of Triton know and that this gateway does not have get an answer that says so.
fn absent(segments: &[&str]) -> PredictError {
    match *segments {
        ["systemsharedmemory" | "cudasharedmemory", ..] => unsupported("shared memory"),
        ["logging"] => unsupported("changing log settings over the network"),
        ["trace", "setting"] | ["models", _, "trace", "setting"] => {
            unsupported("changing trace settings over the network")
        }
        ["repository", _, "index"] | ["repository", _, "models", _, "load" | "unload"] => {
            unsupported("'repository_name' specification")
        }
        _ => PredictError::NotFound,
    }
}

fn unsupported(what: &str) -> PredictError {
    PredictError::Unsupported(format!("{what} is not supported"))
}

#[cfg(test)]
mod tests {
    use pointsman_core::{VersionNumber, VersionSelector};

    use super::super::{Target, parse};
    use super::*;

    fn iris(version: VersionSelector) -> Target {
        Target { model: "iris".into(), version }
    }

    #[test]
    fn every_path_has_its_route() {
        let default = || iris(VersionSelector::Default);
        let two = || iris(VersionNumber::new(2).map_or(VersionSelector::Default, VersionSelector::Number));
        let champion = || iris(VersionSelector::Alias("champion".into()));
        for (method, path, route) in [
            ("GET", "/v2", Route::ServerMetadata),
            ("GET", "/v2/", Route::ServerMetadata),
            ("GET", "/v2/health/live", Route::ServerLive),
            ("GET", "/v2/health/ready", Route::ServerReady),
            ("GET", "/v2/models", Route::Models),
            ("GET", "/v2/models/stats", Route::Statistics),
            ("GET", "/v2/models/iris", Route::ModelMetadata(default())),
            ("HEAD", "/v2/models/iris/versions/2", Route::ModelMetadata(two())),
            ("GET", "/v2/models/iris/ready", Route::ModelReady(default())),
            ("GET", "/v2/models/iris/versions/champion/ready", Route::ModelReady(champion())),
            ("GET", "/v2/models/iris/config", Route::ModelConfig(default())),
            ("GET", "/v2/models/iris/versions/2/config", Route::ModelConfig(two())),
            ("GET", "/v2/models/iris/stats", Route::ModelStatistics(default())),
            ("POST", "/v2/models/iris/infer", Route::Infer(default())),
            ("POST", "/v2/models/iris@champion/infer", Route::Infer(champion())),
            ("POST", "/v2/models/iris/versions/2/infer", Route::Infer(two())),
            ("POST", "/v2/repository/index", Route::RepositoryIndex),
            ("POST", "/v2/repository/models/iris/load", Route::RepositoryLoad("iris".into())),
            ("POST", "/v2/repository/models/iris/unload", Route::RepositoryUnload("iris".into())),
        ] {
            let method = method.parse().expect("a method");
            assert_eq!(parse(&method, path), Ok(route), "{method} {path}");
        }
    }

    #[test]
    fn wrong_methods_and_unknown_paths() {
        for (method, path, allowed) in [
            ("POST", "/v2/models/iris", "GET, HEAD"),
            ("GET", "/v2/models/iris/infer", "POST"),
            ("GET", "/v2/repository/index", "POST"),
            ("DELETE", "/v2", "GET, HEAD"),
        ] {
            let error = parse(&method.parse().expect("a method"), path).unwrap_err();
            assert_eq!(error, PredictError::MethodNotAllowed { allowed }, "{method} {path}");
            assert_eq!(error.to_string(), "Method Not Allowed");
        }
        for path in ["/v2/x", "/v2/models/iris/x", "/v2/health", "/v2/models/iris/versions/2/x/y", "/v2//"] {
            assert_eq!(parse(&Method::GET, path), Err(PredictError::NotFound), "{path}");
        }
        for (path, reason) in [
            ("/v2/systemsharedmemory/status", "shared memory is not supported"),
            ("/v2/logging", "log settings"),
            ("/v2/trace/setting", "trace settings"),
            ("/v2/repository/mine/index", "'repository_name' specification is not supported"),
            ("/v2/models/iris/generate", "generate extension"),
        ] {
            let error = parse(&Method::POST, path).unwrap_err();
            assert!(
                matches!(&error, PredictError::Unsupported(text) if text.contains(reason)),
                "{path}: {error}"
            );
        }
    }
}
