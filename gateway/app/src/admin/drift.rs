//! What has drifted: `GET /v1/drift` and `GET /v1/drift/{model}`.

use ::http::Uri;
use pointsman_core::{PredictError, VersionNumber, read_duration};
use pointsman_observe::drift::Against;
use serde_json::{Value, json};

use super::Admin;
use crate::clock::second;
use crate::http::Query;
use crate::monitoring::profiles::{Listed, Profiles, Question};

impl Admin {
    /// `GET /v1/drift`: the versions whose traffic is profiled, and what has drifted of them.
    pub(super) async fn drifts(&self, uri: &Uri) -> Result<Value, PredictError> {
        Query::none(uri)?;
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
        let (name, question) = (model.to_owned(), question(uri)?);
        let report = self.read_profiles(move |profiles| profiles.report(&name, &question)).await?;
        report.map(|report| json!(report)).map_err(|error| self.unknown(model).unwrap_or(error))
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
    let mut query = Query::of(uri)?;
    let number = |value: &str| VersionNumber::parse(value).map(VersionNumber::get);
    let version = query.take("version", "give the number of a version", number)?;
    let arm = query.take("arm", "give the name of an arm", |value| Some(value.to_owned()))?;
    let against = query.take("against", "give training or previous", |value| match value {
        "training" => Some(Against::Training),
        "previous" => Some(Against::Previous),
        _ => None,
    })?;
    let some_time = |value: &str| read_duration(value).filter(|time| !time.is_zero());
    let window = query.take("window", "give a time such as 7d or 12h", some_time)?;
    let remedy = "give a time such as 2026-01-31T00:00:00Z, or a date";
    let since = query.take("since", remedy, second)?;
    let until = query.take("until", remedy, second)?;
    query.finish()?;
    Ok(Question { version, arm, against, window, since, until })
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
            ("version=x", "version=x in the query; give the number of a version"),
            ("against=then", "give training or previous"),
            ("window=7", "give a time such as 7d"),
            ("window=0s", "give a time such as 7d"),
            ("since=yesterday", "give a time such as 2026"),
            ("beta=1", "beta is no key here: version"),
        ] {
            let error = read(query).expect_err(query).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
