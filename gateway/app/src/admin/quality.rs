//! What labels say of a model: `GET /v1/quality/{model}`.

use ::http::Uri;
use percent_encoding::percent_decode_str;
use pointsman_core::{ModelName, PredictError, shown};
use pointsman_observe::quality::{Ask, Window};
use pointsman_stats::Alpha;
use serde_json::{Value, json};

use super::Admin;
use crate::labels::ALPHA;

impl Admin {
    /// Answers what the labels of a model say.
    pub(super) async fn quality(&self, model: &str, uri: &Uri) -> Result<Value, PredictError> {
        let mut ask = question(uri)?;
        let name = ModelName::new(model).map_err(|_| PredictError::UnknownModel { model: shown(model) })?;
        if ask.champion.is_none() {
            let snapshot = self.gateway.predictor.snapshots().snapshot();
            let served = snapshot.models.get(name.as_str());
            ask.champion = served.and_then(|served| served.plan.default).map(|version| version.get());
        }
        // One after the other: each goes over all pairs of its model.
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let labels = self.gateway.monitors.labels.clone();
        let report = tokio::task::spawn_blocking(move || {
            labels.show();
            let report = labels.report(name.as_str(), &ask)?;
            let concerns = labels.concerns(name.as_str(), ask.champion);
            let mut json = json!(report);
            json["concerns"] = json!(concerns);
            Ok(json)
        });
        // A task that was thrown away says that the runtime is going down.
        report.await.map_err(|_| PredictError::ShuttingDown)?
    }
}

fn question(uri: &Uri) -> Result<Ask, PredictError> {
    let bad = PredictError::BadRequest;
    let level = |alpha: f64| Alpha::new(alpha).map_err(|e| bad(format!("alpha in the query: {e}")));
    let (window, champion, version, slice, by_arm) = (Window::Days(30), None, None, None, false);
    let mut ask = Ask { alpha: level(ALPHA)?, window, champion, version, slice, by_arm };
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        let odd = |remedy: &str| bad(format!("{key}={} in the query; {remedy}", shown(&value)));
        let number = || value.parse().map(Some).map_err(|_| odd("give the number of a version"));
        match key {
            "alpha" => {
                let alpha = value.parse().map_err(|_| odd("give a number between 0 and 1, such as 0.05"))?;
                ask.alpha = level(alpha)?;
            }
            "window" => {
                ask.window =
                    Window::parse(&value).ok_or_else(|| odd("give days such as 7d, month or all"))?;
            }
            "version" => ask.version = number()?,
            "champion" => ask.champion = number()?,
            "slice" => ask.slice = Some(value.into_owned()),
            "by" if value == "arm" => ask.by_arm = true,
            "by" => return Err(odd("arm is all there is")),
            _ => {
                let keys = "alpha, window, version, champion, slice, by";
                return Err(bad(format!("{} is no key here: {keys}", shown(key))));
            }
        }
    }
    Ok(ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_or_refused_with_a_remedy() {
        let read = |query: &str| question(&format!("/x?{query}").parse().expect("a URI"));
        let found =
            read("alpha=0.01&window=month&version=2&champion=1&slice=parameter.a%20b&by=arm").expect("good");
        assert_eq!((found.alpha.get(), found.window, found.version), (0.01, Window::Month, Some(2)));
        assert_eq!(
            (found.champion, found.slice.as_deref(), found.by_arm),
            (Some(1), Some("parameter.a b"), true)
        );
        assert_eq!(read("").expect("good").window, Window::Days(30));
        for (query, said) in [
            ("alpha=1", "must be"),
            ("window=1h", "window=1h in the query; give days"),
            ("version=x", "give the number of a version"),
            ("by=user", "arm is all there is"),
            ("since=1", "since is no key here"),
        ] {
            let error = read(query).expect_err(query).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
