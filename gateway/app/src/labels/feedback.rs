//! Labels that somebody sends, with what comes of each.

use std::collections::BTreeMap;

use pointsman_core::{Code, PredictError, RequestId};
use pointsman_observe::labels::{Labelled, LogLine, Said, SaidError, SaidLimits, Verdict, read_said};
use serde::Serialize;

use super::{Labels, now_ms};

/// What came of labels.
#[derive(Debug, Serialize)]
pub(crate) struct Answered {
    /// One for each label, in their order.
    results: Vec<Outcome>,
    /// How many ended how.
    counts: BTreeMap<&'static str, u64>,
}

/// What came of one label.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u32>,
    result: Verdict,
    /// Why it is no label.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Outcome {
    fn of(said: Option<(RequestId, u32)>, result: Verdict, reason: Option<String>) -> Self {
        let (request_id, row) = said.map(|(id, row)| (id.to_string(), row)).unzip();
        Self { request_id, row, result, reason }
    }
}

impl Labels {
    /// Takes in labels. What is answered is written down, where there is a state directory. Blocks while it is written.
    ///
    /// # Errors
    /// Where nothing can be read, there are too many, or they cannot be written: then they may be sent again, and those
    /// that were taken in are duplicates.
    pub(crate) fn feedback(&self, body: &[u8]) -> Result<Answered, PredictError> {
        let limits = SaidLimits { labels_max: self.settings.batch_max };
        let all = read_said(body, limits).map_err(|e| match e {
            SaidError::TooMany { .. } => {
                PredictError::Control { code: Code::TooLarge, reason: e.to_string() }
            }
            SaidError::Syntax(_) => PredictError::BadRequest(e.to_string()),
        })?;
        let (now, mut lines) = (now_ms(), Vec::new());
        let results: Vec<Outcome> = all.into_iter().map(|said| self.take(said, now, &mut lines)).collect();
        self.write(lines)?;
        let mut counts = BTreeMap::new();
        results.iter().for_each(|outcome| *counts.entry(outcome.result.name()).or_default() += 1);
        Ok(Answered { results, counts })
    }

    fn take(&self, said: Result<Said, String>, now: u64, lines: &mut Vec<LogLine>) -> Outcome {
        let said = match said {
            Ok(said) => said,
            Err(reason) => {
                self.gauges.labelled("", Verdict::Malformed);
                return Outcome::of(None, Verdict::Malformed, Some(reason));
            }
        };
        let labelled = match self.joiner.label(&said, now) {
            beyond if beyond.is_beyond => self.seek(&said, beyond, now),
            known => known,
        };
        self.settle(&labelled, lines);
        let outcome = Outcome::of(Some((said.id, said.row)), labelled.verdict, labelled.reason);
        // What takes the place of one that waits has no pair yet.
        let waits_instead = labelled.verdict == Verdict::Contradicting && labelled.joined.is_empty();
        if labelled.verdict == Verdict::Pending || waits_instead {
            lines.push(LogLine::Waiting(said));
        }
        outcome
    }

    /// Counts what came of a label, and adds the lines that it needs.
    pub(super) fn settle(&self, labelled: &Labelled, lines: &mut Vec<LogLine>) {
        let model = labelled.joined.first().map_or("", |joined| &joined.source.model);
        self.gauges.labelled(model, labelled.verdict);
        self.count(labelled);
        if self.log.is_some() {
            lines.extend(labelled.joined.iter().cloned().map(LogLine::Joined));
        }
    }
}
