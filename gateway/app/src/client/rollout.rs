//! `pointsman rollout`.

use ::http::Method;
use bytes::Bytes;
use pointsman_control::rollout::{Needs, Plan, Report};
use serde_json::{Value, json};

use super::call::call_as;
use super::wish::{print_granted, user};
use super::{answer, cell, failed, list, refused};
use crate::End;
use crate::cli::{AdminClient, How, OfRollout, PlanRollout, RolloutVerb, ShowRollout, StartRollout};
use crate::table::lay_out;

/// `pointsman rollout`.
pub(crate) fn rollout(verb: &RolloutVerb) -> End {
    match verb {
        RolloutVerb::Start(arguments) => start(arguments),
        RolloutVerb::Plan(arguments) => plan(arguments),
        RolloutVerb::Show(arguments) => show(arguments),
        RolloutVerb::List(client) => rollouts(client),
        RolloutVerb::Pause(of) => tell("pause", &of.model, &of.how),
        RolloutVerb::Resume(of) => tell("resume", &of.model, &of.how),
        RolloutVerb::Advance(of) => tell("advance", &of.model, &of.how),
        RolloutVerb::Approve(of) => tell("approve", &of.model, &of.how),
        RolloutVerb::Promote(of) => tell("promote", &of.model, &of.how),
        RolloutVerb::Abort(of) => tell("abort", &of.model, &of.how),
    }
}

/// What is asked of a rollout, as the admin listener takes it.
fn asked(of: &OfRollout) -> Value {
    json!({
        "version": of.version,
        "shadow": of.shadow,
        "canary": of.canary,
        "guard": of.guard,
        "alpha": of.alpha,
        "time_min": of.time_min,
        "count_min": of.count_min,
        "deadline": of.deadline,
        "approve": of.approve,
        "unit": of.unit,
        "floor": of.floor,
        "latency_objective": of.latency_objective,
        "on_new": of.on_new,
        "webhook": of.webhook,
    })
}

fn start(arguments: &StartRollout) -> End {
    let StartRollout { of, how } = arguments;
    let mut body = asked(of);
    body["dry_run"] = json!(how.dry_run);
    if how.dry_run && !how.client.json {
        let planned = call(&how.client, &format!("/v1/rollouts/{}/plan", of.model), &asked(of));
        match planned {
            Ok(planned) => println!("{}", shown_plan(&planned)),
            Err(end) => return end,
        }
    }
    change("rollout start", &of.model, &format!("/v1/rollouts/{}", of.model), &body, how)
}

fn plan(arguments: &PlanRollout) -> End {
    let PlanRollout { of, expected, client } = arguments;
    let mut body = asked(of);
    body["per_second"] = json!(expected.per_second);
    body["disagreement"] = json!(expected.disagreement);
    match call(client, &format!("/v1/rollouts/{}/plan", of.model), &body) {
        Ok(planned) if client.json => println!("{planned}"),
        Ok(planned) => println!("{}", shown_plan(&planned)),
        Err(end) => return end,
    }
    End::Done
}

fn shown_plan(planned: &Value) -> String {
    let traffic = &planned["traffic"];
    let plan: Result<Plan, _> = serde_json::from_value(planned["plan"].clone());
    let plan =
        plan.map_or_else(|error| format!("a plan that cannot be read: {error}"), |plan| plan.to_string());
    let per_second = traffic["per_second"].as_f64().unwrap_or_default();
    let errors = traffic["errors"].as_f64().unwrap_or_default() * 100.0;
    format!(
        "At {per_second:.1} {} in a second, {errors:.2} % of which fail with either version:\n\n{plan}",
        cell(&traffic["counted"])
    )
}

fn tell(verb: &str, model: &str, how: &How) -> End {
    let body = json!({"dry_run": how.dry_run});
    change(&format!("rollout {verb}"), model, &format!("/v1/rollouts/{model}/{verb}"), &body, how)
}

fn change(verb: &str, model: &str, path: &str, body: &Value, how: &How) -> End {
    let operator = how.operator.clone().or_else(user);
    let url = &how.client.admin_url;
    let body = Bytes::from(body.to_string());
    match call_as(operator.as_deref(), Method::POST, url, path, body) {
        Ok(answer) => print_granted(verb, model, &answer, how),
        Err(error) => failed(&error, how.client.json),
    }
}

fn call(client: &AdminClient, path: &str, body: &Value) -> Result<Value, End> {
    let url = &client.admin_url;
    let answer = call_as(None, Method::POST, url, path, Bytes::from(body.to_string()))
        .map_err(|error| failed(&error, client.json))?;
    serde_json::from_slice(&answer)
        .map_err(|e| refused(&format!("{url} answered something that is not JSON: {e}")))
}

fn show(arguments: &ShowRollout) -> End {
    let mut path = format!("/v1/rollouts/{}", arguments.model);
    if let Some(id) = arguments.id {
        path.push_str(&format!("/{id}"));
    }
    let answer = match answer(&arguments.client, Method::GET, &path) {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let report: Report = match serde_json::from_value(answer["report"].clone()) {
        Ok(report) => report,
        Err(error) => return refused(&format!("the gateway's report cannot be read: {error}")),
    };
    println!("Rollout {}: {report}", report.rollout);
    if let Some(queued) = answer["queued"].as_u64() {
        println!("Version {queued} waits for its end.");
    }
    for why in list(&answer["held_by"]) {
        println!("Held: {}", cell(why));
    }
    if let Ok(needs) = serde_json::from_value::<Needs>(answer["needs"].clone()) {
        println!("Needs {needs}.");
    }
    End::Done
}

fn rollouts(client: &AdminClient) -> End {
    let answer = match answer(client, Method::GET, "/v1/rollouts") {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    let row = |rollout: &Value| {
        let is_over = rollout["is_over"].as_bool().unwrap_or_default();
        vec![
            cell(&rollout["id"]),
            cell(&rollout["model"]),
            if is_over { "over" } else { "under way" }.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = list(&answer["rollouts"]).iter().map(row).collect();
    print!("{}", lay_out(&["ROLLOUT", "MODEL", "STATE"], &rows));
    End::Done
}
