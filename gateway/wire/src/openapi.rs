//! The OpenAPI document of the REST protocols, `GET /openapi.json`.

/// An OpenAPI 3.1 document of every path that [`crate::route::parse`] knows.
pub const OPENAPI: &str = include_str!("../openapi.json");

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use pointsman_core::{Code, PredictError, RequestId, VersionSelector};
    use serde_json::Value;

    use super::*;
    use crate::limits::Limits;
    use crate::route::{Route, Target, parse};
    use crate::status::status;
    use crate::v2::{InferHead, Nonfinite, decode_infer};

    /// The method and path of a route. There is no arm for "any other": a new route does not
    /// compile until it stands here, and does not pass until it stands in the document.
    fn documented(route: &Route) -> (&'static str, &'static str) {
        match route {
            Route::Alive => ("get", "/"),
            Route::OpenApi => ("get", "/openapi.json"),
            Route::ServerMetadata => ("get", "/v2"),
            Route::ServerLive => ("get", "/v2/health/live"),
            Route::ServerReady => ("get", "/v2/health/ready"),
            Route::Models => ("get", "/v2/models"),
            Route::ModelMetadata(_) => ("get", "/v2/models/{model}"),
            Route::ModelReady(_) => ("get", "/v2/models/{model}/ready"),
            Route::ModelConfig(_) => ("get", "/v2/models/{model}/config"),
            Route::ModelStatistics(_) => ("get", "/v2/models/{model}/stats"),
            Route::Statistics => ("get", "/v2/models/stats"),
            Route::Infer(_) => ("post", "/v2/models/{model}/infer"),
            Route::RepositoryIndex => ("post", "/v2/repository/index"),
            Route::RepositoryLoad(_) => ("post", "/v2/repository/models/{model}/load"),
            Route::RepositoryUnload(_) => ("post", "/v2/repository/models/{model}/unload"),
            Route::V1Models => ("get", "/v1/models"),
            Route::V1Status(_) => ("get", "/v1/models/{model}"),
            Route::V1Metadata(_) => ("get", "/v1/models/{model}/metadata"),
            Route::V1Predict(_) => ("post", "/v1/models/{model}:predict"),
        }
    }

    fn every_route() -> Vec<Route> {
        let target = || Target { model: "m".into(), version: VersionSelector::Default };
        vec![
            Route::Alive,
            Route::OpenApi,
            Route::ServerMetadata,
            Route::ServerLive,
            Route::ServerReady,
            Route::Models,
            Route::ModelMetadata(target()),
            Route::ModelReady(target()),
            Route::ModelConfig(target()),
            Route::ModelStatistics(target()),
            Route::Statistics,
            Route::Infer(target()),
            Route::RepositoryIndex,
            Route::RepositoryLoad("m".into()),
            Route::RepositoryUnload("m".into()),
            Route::V1Models,
            Route::V1Status(target()),
            Route::V1Metadata(target()),
            Route::V1Predict(target()),
        ]
    }

    fn document() -> Value {
        serde_json::from_str(OPENAPI).expect("the document is JSON")
    }

    #[test]
    fn every_route_is_documented() {
        let document = document();
        for route in every_route() {
            let (method, path) = documented(&route);
            assert!(document["paths"][path][method].is_object(), "{method} {path}");
        }
    }

    #[test]
    fn every_documented_path_is_a_route() {
        for (path, operations) in document()["paths"].as_object().expect("paths") {
            let concrete =
                path.replace("{model}", "m").replace("{version}", "3").replace("{label}", "champion");
            for method in operations.as_object().expect("operations").keys() {
                let method: Method = method.to_uppercase().parse().expect("a method");
                let route = parse(&method, &concrete).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
                let general = path.replace("/versions/{version}", "").replace("/labels/{label}", "");
                assert_eq!(documented(&route).1, general, "{method} {path}");
            }
        }
    }

    /// Calls `visit` with every value of the document.
    fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
        visit(value);
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            Value::Object(members) => members.values().for_each(|member| walk(member, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_resolves() {
        let document = document();
        let mut references = 0;
        walk(&document, &mut |value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                references += 1;
                let pointer = reference.strip_prefix('#').expect("a local reference");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        });
        assert!(references > 100);
    }

    #[test]
    fn every_code_and_its_status_is_documented() {
        let document = document();
        let codes = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"].clone();
        let names: Vec<Value> = Code::ALL.iter().map(|code| Value::from(code.name())).collect();
        assert_eq!(codes, Value::from(names));
        // A prediction's codes, and those of an operator's wish.
        let responses = |path: &str| document["paths"][path]["post"]["responses"].clone();
        let infer = responses("/v2/models/{model}/infer");
        let load = responses("/v2/repository/models/{model}/load");
        // Traffic plans are the admin listener's alone.
        for code in Code::ALL.into_iter().filter(|code| *code != Code::TagMismatch) {
            let status = status(code).http;
            let documented = infer[status.as_str()].is_object() || load[status.as_str()].is_object();
            assert!(documented, "{} {status}", code.name());
        }
    }

    #[test]
    fn the_examples_are_requests() {
        let document = document();
        let content =
            "/paths/~1v2~1models~1{model}~1infer/post/requestBody/content/application~1json/examples";
        for (name, example) in document.pointer(content).and_then(Value::as_object).expect("examples") {
            let head = InferHead {
                id: RequestId::generate(),
                model: "iris".into(),
                version: VersionSelector::Default,
                header_length: None,
                nonfinite: Nonfinite::Token,
            };
            let body = Bytes::from(example["value"].to_string());
            let call = decode_infer(head, body, &Limits::default(), || Err(PredictError::NotFound));
            assert!(call.is_ok(), "{name}: {call:?}");
        }
    }
}
