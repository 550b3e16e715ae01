//! What comes of experiments: `GET /v1/experiments`, `/v1/experiments/{model}` and `/v1/experiments/{model}/{experiment}`.

use ::http::{Method, Request, Uri};
use hyper::body::Incoming;
use pointsman_core::PredictError;
use pointsman_observe::experiment::Mde;
use serde_json::{Value, json};

use super::Admin;
use crate::experiments::{Listed, Question};
use crate::http::Query;

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
            Query::none(request.uri())?;
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
    let mut query = Query::of(uri)?;
    let alpha = query.alpha(ALPHA)?;
    let metric = query.take("metric", "give the name of a metric", |value| Some(value.to_owned()))?;
    let remedy = "give a number above 0, such as 0.01, or a part of the default's value, such as 5%";
    let mde = query.take("mde", remedy, Mde::parse)?;
    query.finish()?;
    Ok(Question { alpha, metric, mde })
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
            ("alpha=1", "between 0 and 1"),
            ("alpha=nan", "between 0 and 1"),
            ("mde=0", "mde=0 in the query; give a number above 0"),
            ("beta=1", "beta is no key here: alpha, metric, mde"),
        ] {
            let error = read(query).expect_err(query).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
