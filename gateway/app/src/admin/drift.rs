//! What has drifted: `GET /v1/drift` and `GET /v1/drift/{model}`.

use ::http::Uri;
use percent_encoding::percent_decode_str;
use pointsman_core::{PredictError, read_duration, shown};
use pointsman_observe::drift::Against;
use serde_json::{Value, json};

use super::Admin;
use crate::clock::second;
use crate::monitoring::profiles::{Listed, Profiles, Question};

impl Admin {
    /// `GET /v1/drift`: the versions whose traffic is profiled, and what has drifted of them.
    pub(super) async fn drifts(&self) -> Result<Value, PredictError> {
        let list = self.read_profiles(Profiles::list).await?;
        let listed = |listed: &Listed| {
            let drifted = listed.drifted.iter().map(|verdict| verdict.signal().evidence);
            json!({
                "model": listed.model,
                "version": listed.version,
                "baseline": listed.has_baseline,
                "windows": listed.windows,
                "rows": listed.rows,
                "drifted": drifted.collect::<Vec<_>>(),
            })
        };
        Ok(json!({"drift": list.iter().map(listed).collect::<Vec<_>>()}))
    }

    /// `GET /v1/drift/{model}?version=N&arm=A&against=training|previous&window=7d&since=T&until=T`.
    pub(super) async fn drift(&self, model: &str, uri: &Uri) -> Result<Value, PredictError> {
        let (model, question) = (model.to_owned(), question(uri)?);
        let report = self.read_profiles(move |profiles| profiles.report(&model, &question)).await??;
        Ok(json!(report))
    }

    /// Reads profiles on a thread that may wait, one question after the other.
    async fn read_profiles<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Profiles) -> T + Send + 'static,
    ) -> Result<T, PredictError> {
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let profiles = self.gateway.monitors.profiles.clone();
        // A task that was thrown away says that the runtime is going down.
        tokio::task::spawn_blocking(move || read(&profiles)).await.map_err(|_| PredictError::ShuttingDown)
    }
}

fn question(uri: &Uri) -> Result<Question, PredictError> {
    let mut question = Question::default();
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        let odd = |remedy: &str| {
            PredictError::BadRequest(format!("{key}={} in the query; {remedy}", shown(&value)))
        };
        match key {
            "version" => {
                question.version = Some(value.parse().map_err(|_| odd("give a version's number"))?);
            }
            "arm" => question.arm = Some(value.into_owned()),
            "against" => {
                question.against = Some(match &*value {
                    "training" => Against::Training,
                    "previous" => Against::Previous,
                    _ => return Err(odd("give training or previous")),
                });
            }
            "window" => {
                let remedy = "give a time such as 7d or 12h";
                question.window = Some(read_duration(&value).ok_or_else(|| odd(remedy))?);
            }
            "since" | "until" => {
                let remedy = "give a time such as 2026-01-31T00:00:00Z, or a date";
                let second = Some(second(&value).ok_or_else(|| odd(remedy))?);
                *(if key == "since" { &mut question.since } else { &mut question.until }) = second;
            }
            _ => {
                let keys = "version, arm, against, window, since, until";
                return Err(PredictError::BadRequest(format!("{} is no key here: {keys}", shown(key))));
            }
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
        let found =
            read("version=2&against=previous&window=7d&since=1970-01-02&until=1970-01-03T00%3A00%3A01Z");
        let found = found.expect("good");
        assert_eq!((found.version, found.against), (Some(2), Some(Against::Previous)));
        assert_eq!((found.since, found.until), (Some(86_400), Some(172_801)));
        assert_eq!(found.window.expect("a window").as_secs(), 7 * 86_400);
        for (query, said) in [
            ("version=x", "version=x in the query; give a version's number"),
            ("against=then", "give training or previous"),
            ("window=7", "give a time such as 7d"),
            ("since=yesterday", "give a time such as 2026"),
            ("beta=1", "beta is no key here: version"),
        ] {
            let error = read(query).expect_err(query).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
