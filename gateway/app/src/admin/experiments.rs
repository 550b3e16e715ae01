//! What comes of experiments: `GET /v1/experiments`, `/v1/experiments/{model}` and `/v1/experiments/{model}/{experiment}`.

use ::http::{Method, Request, Uri};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use pointsman_core::{PredictError, shown};
use pointsman_observe::experiment::Mde;
use pointsman_stats::Alpha;
use serde_json::{Value, json};

use super::Admin;
use crate::experiments::{Listed, Question};

/// The level where nobody says another one.
const ALPHA: f64 = 0.05;

impl Admin {
    /// Answers a request below `/v1/experiments`.
    pub(super) async fn experiments(
        &self,
        rest: &[&str],
        request: Request<Incoming>,
    ) -> Result<Value, PredictError> {
        if rest.len() > 2 {
            return Err(PredictError::NotFound);
        }
        if request.method() != Method::GET {
            return Err(PredictError::MethodNotAllowed { allowed: "GET" });
        }
        let [model, experiment] = [rest.first(), rest.get(1)].map(|part| part.map(|part| (*part).to_owned()));
        let Some(model) = model else {
            let of = |listed: &Listed| {
                json!({
                    "model": listed.model,
                    "experiment": listed.experiment,
                    "requests": listed.requests,
                    "paused": listed.paused,
                })
            };
            return Ok(
                json!({"experiments": self.control.experiments().list().iter().map(of).collect::<Vec<_>>()}),
            );
        };
        let question = question(request.uri())?;
        // One after the other: each copies all sums of its experiments.
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let experiments = self.control.experiments().clone();
        // To sum over all buckets takes milliseconds, and connections are accepted on this thread.
        let reports = tokio::task::spawn_blocking(move || {
            let reports = experiments.reports(&model, experiment.as_deref(), &question)?;
            match (experiment, &*reports) {
                (Some(_), [report]) => Ok(json!(report)),
                _ => Ok(json!({ "experiments": reports })),
            }
        });
        // A task that was thrown away says that the runtime is going down.
        reports.await.map_err(|_| PredictError::ShuttingDown)?
    }
}

fn question(uri: &Uri) -> Result<Question, PredictError> {
    let bad = |line: String| PredictError::BadRequest(line);
    let level = |alpha: f64| Alpha::new(alpha).map_err(|e| bad(format!("alpha in the query: {e}")));
    let mut question = Question { alpha: level(ALPHA)?, metric: None, mde: None };
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        let odd = |remedy: &str| bad(format!("{key}={} in the query; {remedy}", shown(&value)));
        match key {
            "alpha" => {
                let alpha = value.parse().map_err(|_| odd("give a number between 0 and 1, such as 0.05"))?;
                question.alpha = level(alpha)?;
            }
            "metric" => question.metric = Some(value.into_owned()),
            "mde" => {
                let remedy =
                    "give a number above 0, such as 0.01, or a part of the default's value, such as 5%";
                question.mde = Some(Mde::parse(&value).ok_or_else(|| odd(remedy))?);
            }
            _ => return Err(bad(format!("{} is no key here: alpha, metric, mde", shown(key)))),
        }
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_or_refused_with_a_remedy() {
        let read = |query: &str| question(&format!("/x?{query}").parse().expect("a URI"));
        let found = read("alpha=0.01&metric=late&mde=5%25").expect("good");
        assert_eq!((found.alpha.get(), found.metric.as_deref()), (0.01, Some("late")));
        assert_eq!(found.mde, Some(Mde::Relative(0.05)));
        assert_eq!(read("").expect("good").alpha.get(), 0.05);
        for (query, said) in [
            ("alpha=x", "alpha=x in the query; give a number"),
            ("alpha=1", "must be"),
            ("alpha=nan", "must be"),
            ("mde=0", "mde=0 in the query; give a number above 0"),
            ("beta=1", "beta is no key here: alpha, metric, mde"),
        ] {
            let error = read(query).expect_err(query).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
