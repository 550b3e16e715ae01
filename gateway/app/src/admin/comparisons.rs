//! What comparisons say: `GET /v1/comparisons` and `GET /v1/comparisons/{model}`.

use ::http::Uri;
use pointsman_core::{Code, ModelName, PredictError, VersionNumber};
use pointsman_observe::Pairing;
use pointsman_stats::Alpha;
use serde_json::{Value, json};

use super::Admin;
use crate::comparisons::{Busy, Comparisons};
use crate::http::Query;

/// With what probability intervals may be wrong where nobody says otherwise.
pub(super) const ALPHA: f64 = 0.05;
/// The most comparisons that a message names.
const NAMED_MAX: usize = 8;

/// Which reports are asked for.
#[derive(Clone, Copy, Debug)]
struct Question {
    primary: Option<VersionNumber>,
    shadow: Option<VersionNumber>,
    alpha: Alpha,
}

impl Admin {
    /// `GET /v1/comparisons`: what is compared.
    pub(super) async fn comparisons(&self, uri: &Uri) -> Result<Value, PredictError> {
        Query::none(uri)?;
        let list = self.read_comparisons(Comparisons::list).await?;
        let list = list.into_iter().map(|(pairing, totals)| {
            let mut value = json!({
                "model": pairing.model.as_str(),
                "primary": pairing.primary.get(),
                "shadow": pairing.shadow.get(),
            });
            value["totals"] = json!(totals);
            value
        });
        Ok(json!({"comparisons": list.collect::<Vec<_>>()}))
    }

    /// `GET /v1/comparisons/{model}?shadow=N&primary=N&alpha=A`: the reports, that which was touched last first.
    pub(super) async fn comparison(&self, model: &str, uri: &Uri) -> Result<Value, PredictError> {
        let question = question(uri)?;
        let status = self.status(model)?;
        let tee = self.gateway.predictor.snapshots().pin().models.get(model).and_then(|m| m.tee.clone());
        let name = status.name.clone();
        let reports = self
            .read_comparisons(move |comparisons| {
                let wanted = |of: &Pairing| of.model == name && question.wants(of);
                comparisons.reports(wanted, tee.as_deref(), question.alpha)
            })
            .await?
            .map_err(busy)?;
        if reports.is_empty() {
            let others = self.read_comparisons(Comparisons::list).await?;
            let others = others.into_iter().map(|(pairing, _)| pairing);
            let others: Vec<Pairing> = others.filter(|pairing| pairing.model == status.name).collect();
            return Err(not_found(none(&status.name, &others, &status.plan.lost)));
        }
        Ok(json!({"model": model, "comparisons": reports}))
    }

    /// Reads comparisons on a thread that may wait, one question after the other.
    pub(super) async fn read_comparisons<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Comparisons) -> T + Send + 'static,
    ) -> Result<T, PredictError> {
        let _turn = self.questions.acquire().await.map_err(|_| PredictError::ShuttingDown)?;
        let comparisons = self.gateway.comparisons.clone();
        // A task that was thrown away says that the runtime is going down.
        let read = tokio::task::spawn_blocking(move || read(&comparisons)).await;
        read.map_err(|_| PredictError::ShuttingDown)
    }
}

impl Question {
    fn wants(&self, pairing: &Pairing) -> bool {
        self.primary.is_none_or(|primary| primary == pairing.primary)
            && self.shadow.is_none_or(|shadow| shadow == pairing.shadow)
    }
}

/// A comparison is held up with its shadow, which gets what others leave of the processors.
pub(super) fn busy(_: Busy) -> PredictError {
    let reason = "the comparison is being written by its shadow, which gets no time on a processor while the gateway \
                  is busy; ask again later";
    PredictError::Control { code: Code::Overloaded, reason: reason.into() }
}

pub(super) fn not_found(reason: String) -> PredictError {
    PredictError::Control { code: Code::NotFound, reason }
}

fn question(uri: &Uri) -> Result<Question, PredictError> {
    let mut query = Query::of(uri)?;
    let remedy = "give the number of a version";
    let shadow = query.take("shadow", remedy, VersionNumber::parse)?;
    let primary = query.take("primary", remedy, VersionNumber::parse)?;
    let alpha = query.alpha(ALPHA)?;
    query.finish()?;
    Ok(Question { primary, shadow, alpha })
}

/// Why a model has no report, and what to do.
fn none(model: &ModelName, others: &[Pairing], lost: &[String]) -> String {
    if !others.is_empty() {
        let name = |of: &Pairing| format!("version {} against version {}", of.shadow, of.primary);
        let named: Vec<String> = others.iter().take(NAMED_MAX).map(name).collect();
        return format!(
            "there is no comparison of these versions of model '{model}'; there is {}",
            named.join(", ")
        );
    }
    let lost = lost.iter().take(NAMED_MAX).map(|line| format!("; {line}"));
    format!(
        "no shadow of model '{model}' has run since the gateway started: add one to its plan (pointsman plan show \
         {model}), such as [[shadows]] with name = \"dark\", version = 2 and share = \"100%\", and apply it with \
         pointsman plan apply {model} FILE{}",
        lost.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_and_bad_ones_refused_with_the_remedy() {
        let ask = |query: &str| question(&format!("/v1/comparisons/iris?{query}").parse().expect("a path"));
        let asked = ask("shadow=3&primary=2&alpha=0.01").expect("a question");
        assert_eq!((asked.shadow.map(VersionNumber::get), asked.alpha.get()), (Some(3), 0.01));
        assert!(ask("").is_ok_and(|asked| asked.alpha.get() == ALPHA && asked.shadow.is_none()));
        for (query, remedy) in [
            ("shadow=0", "give the number of a version"),
            ("primary=x", "give the number of a version"),
            ("alpha=0", "between 0 and 1"),
            ("alpha=1", "between 0 and 1"),
            ("alpha=nan", "between 0 and 1"),
            ("shado=1", "shadow, primary, alpha"),
        ] {
            let said = ask(query).expect_err(query).to_string();
            assert!(said.contains(remedy), "{query}: {said}");
        }
    }

    #[test]
    fn that_there_is_none_comes_with_the_remedy() {
        let model = ModelName::new("iris").expect("a name");
        let said = none(&model, &[], &["shadow \"dark\" does not run".into()]);
        assert!(
            said.contains("[[shadows]]") && said.ends_with("FILE; shadow \"dark\" does not run"),
            "{said}"
        );
        let version = |number| VersionNumber::new(number).expect("above zero");
        let other = Pairing { model: model.clone(), primary: version(3), shadow: version(2) };
        assert!(none(&model, &[other], &[]).ends_with("there is version 2 against version 3"));
    }
}
