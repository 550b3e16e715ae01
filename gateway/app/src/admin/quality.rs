//! What labels say of a model: `GET /v1/quality/{model}`.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::http::Uri;
use pointsman_core::{Code, ModelName, PredictError, VersionNumber, shown};
use pointsman_observe::quality::{Ask, CoverageReport, QualityReport, Window};
use serde_json::{Value, json};

use super::Admin;
use crate::http::Query;
use crate::known::known;
use crate::labels::ALPHA;

impl Admin {
    /// Answers what the labels of a model say.
    pub(super) async fn quality(&self, model: &str, uri: &Uri) -> Result<Value, PredictError> {
        let mut ask = question(uri)?;
        let asked = ask.clone();
        let name = ModelName::new(model).map_err(|_| PredictError::UnknownModel { model: shown(model) })?;
        if ask.champion.is_none() {
            let snapshot = self.gateway.predictor.snapshots().snapshot();
            let served = snapshot.models.get(name.as_str());
            ask.champion = served.and_then(|served| served.plan.default).map(|version| version.get());
        }
        let (unknown, slices) = (self.unknown(model), self.slices(model));
        // One after the other: each goes over all pairs of its model.
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let labels = self.gateway.monitors.labels.clone();
        let report = tokio::task::spawn_blocking(move || {
            labels.show();
            let report = labels.report(name.as_str(), &ask).map_err(|error| unknown.unwrap_or(error))?;
            check(&report, &asked, &slices)?;
            let concerns = labels.concerns(name.as_str(), (&ask, &report));
            let mut json = json!(report);
            json["concerns"] = json!(concerns);
            Ok(json)
        });
        // A task that was thrown away says that the runtime is going down.
        report.await.map_err(|_| PredictError::ShuttingDown)?
    }
}

impl Admin {
    /// The slices that schemas of a model declare.
    fn slices(&self, model: &str) -> BTreeSet<Arc<str>> {
        let versions = self.gateway.monitors.health.versions();
        let of_model = versions.iter().filter(|(version, _)| version.model.as_str() == model);
        of_model.filter_map(|(version, _)| version.schema.as_ref()).flat_map(|of| of.slices.clone()).collect()
    }
}

/// Refuses a version or a slice of which nothing is known, by a report that was made without it.
fn check(report: &QualityReport, asked: &Ask, slices: &BTreeSet<Arc<str>>) -> Result<(), PredictError> {
    let versions = |of: fn(&CoverageReport) -> bool| -> BTreeSet<u64> {
        report.coverage.iter().filter(|arm| of(arm)).map(|arm| arm.version).collect()
    };
    let (predicted, labelled) = (versions(|_| true), versions(|arm| arm.labelled > 0.0));
    let refused = |code: Code, what: String| Err(PredictError::Control { code, reason: what });
    if let Some(version) = asked.version.filter(|version| !predicted.contains(version)) {
        let what = format!(
            "version {version} of model '{}' has predicted nothing; {}",
            report.model,
            known(predicted)
        );
        return refused(Code::UnknownVersion, what);
    }
    if let Some(champion) = asked.champion.filter(|champion| !labelled.contains(champion)) {
        let what = format!(
            "version {champion} of model '{}' has no labelled predictions to rank others against; {}",
            report.model,
            known(labelled)
        );
        return refused(Code::UnknownVersion, what);
    }
    // What schemas of before declared is known by pairs alone.
    match &asked.slice {
        Some(slice) if report.series.is_empty() && !slices.contains(slice.as_str()) => {
            let slice = shown(slice);
            let what = format!(
                "no schema of model '{}' declares a slice {slice}; {} (`slices` of schema.toml)",
                report.model,
                known(slices)
            );
            refused(Code::NotFound, what)
        }
        _ => Ok(()),
    }
}

fn question(uri: &Uri) -> Result<Ask, PredictError> {
    let mut query = Query::of(uri)?;
    let alpha = query.alpha(ALPHA)?;
    let window = query.take("window", "give days such as 7d, month or all", Window::parse)?;
    let remedy = "give the number of a version";
    let number = |value: &str| VersionNumber::parse(value).map(VersionNumber::get);
    let version = query.take("version", remedy, number)?;
    let champion = query.take("champion", remedy, number)?;
    let slice = query.take("slice", "give the name of a slice", |value| Some(value.to_owned()))?;
    let by_arm = query.take("by", "arm is all there is", |value| (value == "arm").then_some(()))?;
    query.finish()?;
    let window = window.unwrap_or(Window::Days(30));
    Ok(Ask { alpha, window, champion, version, slice, by_arm: by_arm.is_some() })
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
            ("alpha=1", "between 0 and 1"),
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
