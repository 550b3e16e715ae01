//! `pointsman journal verify`: the verdicts of a rollout are computed again here, from what the journal says.

use ::http::Method;
use bytes::Bytes;
use pointsman_control::Told;
use pointsman_control::rollout::{Replay, replay_with, verify as computed_again};
use pointsman_stats::Alpha;
use serde_json::{Value, json};

use super::call::call;
use super::{failed, list, refused};
use crate::End;
use crate::cli::VerifyJournal;

/// `pointsman journal verify`.
pub(super) fn verify(arguments: &VerifyJournal) -> End {
    let alpha = match arguments.alpha.map(Alpha::new).transpose() {
        Ok(alpha) => alpha,
        Err(_) => return refused("--alpha: give a number above 0 and below 1, such as 0.01"),
    };
    let ids = match &arguments.rollout {
        Some(id) => vec![*id],
        None => match asked(arguments, "/v1/rollouts") {
            Ok(all) => list(&all["rollouts"]).iter().filter_map(|rollout| rollout["id"].as_u64()).collect(),
            Err(end) => return end,
        },
    };
    let mut end = End::Done;
    let mut documents = Vec::new();
    for id in ids {
        let told = match asked(arguments, &format!("/v1/rollouts/all/{id}/journal")) {
            Ok(told) => told,
            Err(end) => return end,
        };
        let told: Told = match serde_json::from_value(told) {
            Ok(told) => told,
            Err(error) => return refused(&format!("rollout {id} of the journal cannot be read: {error}")),
        };
        let discrepancies = computed_again(&told.created, &told.records);
        if !discrepancies.is_empty() {
            end = End::Refused;
        }
        let replay = alpha.map(|alpha| replay_with(&told.created, &told.records, alpha));
        documents.push(json!({
            "rollout": id,
            "model": told.created.spec.model,
            "records": told.records.len(),
            "verdicts": told.records.iter().filter(|record| record.verdict.is_some()).count(),
            "discrepancies": discrepancies,
            "replay": replay,
        }));
    }
    if arguments.client.json {
        println!("{}", json!({"rollouts": documents}));
        return end;
    }
    documents.iter().for_each(show);
    end
}

fn asked(arguments: &VerifyJournal, path: &str) -> Result<Value, End> {
    let client = &arguments.client;
    let answer = call(Method::GET, &client.admin_url, path, Bytes::new())
        .map_err(|error| failed(&error, client.json))?;
    serde_json::from_slice(&answer)
        .map_err(|e| refused(&format!("{} answered something that is not JSON: {e}", client.admin_url)))
}

fn show(document: &Value) {
    let discrepancies = list(&document["discrepancies"]);
    let verdict = if discrepancies.is_empty() { "all as written" } else { "NOT as written" };
    println!(
        "rollout {} of {}: {} records, {} verdicts computed again: {verdict}",
        document["rollout"],
        super::cell(&document["model"]),
        document["records"],
        document["verdicts"]
    );
    for discrepancy in discrepancies {
        println!("  record {}: {}", discrepancy["number"], super::cell(&discrepancy["what"]));
    }
    let Ok(replay) = serde_json::from_value::<Replay>(document["replay"].clone()) else { return };
    println!("  at alpha {}: {} decisions would have been others", replay.alpha.get(), replay.others.len());
    for other in &replay.others {
        println!(
            "  record {} at {}: {:?} in place of {:?}",
            other.number, other.at, other.would_be, other.was
        );
    }
}
