//! `pointsman check`: what is wrong with a configuration and a registry, without serving it.

mod configuration;

use std::sync::Arc;

use pointsman_core::{Columns, Findings, VersionNumber};
use pointsman_registry::{FolderState, ModelListing};
use serde_json::{Value, json};

use self::configuration::Models;
use crate::End;
use crate::cli;
use crate::files::Files;
use crate::table::lay_out;

/// What was found of one model or version.
struct Finding {
    model: String,
    version: Option<VersionNumber>,
    /// What is wrong with it, or what its owner should know.
    fault: Option<String>,
    warning: bool,
    /// What the checks found of a version that passes them.
    findings: Option<Arc<Findings>>,
}

/// `pointsman check`.
pub(crate) fn run(arguments: &cli::Check) -> End {
    let config = match arguments.settings.config() {
        Ok(config) => config,
        Err(problems) => return crate::serve::refuse(&problems),
    };
    let files = match Files::open(&config) {
        Ok(files) => files,
        Err(problem) => return refused(&problem),
    };
    let mut findings: Vec<Finding> =
        files.scan.problems.iter().map(|p| finding("", None, Some(p.to_string()))).collect();
    findings.extend(configuration::refusals(&config).into_iter().map(|what| finding("", None, Some(what))));
    let mut models = Models::new();
    for listing in &files.scan.models {
        check_model(&files, listing, &mut findings, &mut models);
    }
    findings
        .extend(configuration::warnings(&config, &models).into_iter().map(|what| warning("", None, what)));
    report(&findings, arguments.json)
}

/// Takes every step that the gateway would take before it serves a version, and notes the columns of the model.
fn check_model(files: &Files, listing: &ModelListing, findings: &mut Vec<Finding>, models: &mut Models) {
    let columns = models.entry(listing.name.clone()).or_default();
    let name = listing.name.as_str();
    let wanted = listing.wanted();
    let problems = listing.problems.iter().chain(&wanted.problems);
    findings.extend(problems.map(|problem| finding(name, None, Some(problem.to_string()))));
    findings.extend(listing.warnings.iter().map(|warning| self::warning(name, None, warning.to_string())));
    let withdrawn = |version| warning(name, version, "withdrawn: its folder has a tombstone".into());
    if listing.tombstone {
        findings.push(withdrawn(None));
    }
    for version in &listing.versions {
        let number = version.number;
        match &version.folder {
            FolderState::Complete => {}
            FolderState::Tombstone => {
                findings.push(withdrawn(Some(number)));
                continue;
            }
            FolderState::Unsettled { reason } => {
                findings.push(finding(name, Some(number), Some(reason.clone())));
                continue;
            }
        }
        match files.loader.bring_up(&files.job(listing, version)) {
            Ok(warm) => {
                let all = Columns::of(warm.signature());
                columns
                    .get_or_insert_default()
                    .extend(all.all().iter().map(|column| column.name.to_string()));
                let found = warm.findings().clone();
                let warnings = found.warnings.iter();
                let warnings: Vec<_> = warnings.map(|w| warning(name, Some(number), w.clone())).collect();
                findings.push(Finding { findings: Some(found), ..finding(name, Some(number), None) });
                findings.extend(warnings);
            }
            Err(failure) => findings.push(finding(name, Some(number), Some(failure.fault.to_string()))),
        }
    }
}

fn finding(model: &str, version: Option<VersionNumber>, fault: Option<String>) -> Finding {
    Finding { model: model.into(), version, fault, warning: false, findings: None }
}

fn warning(model: &str, version: Option<VersionNumber>, warning: String) -> Finding {
    Finding { warning: true, ..finding(model, version, Some(warning)) }
}

fn refused(problem: &str) -> End {
    eprintln!("pointsman: {problem}");
    End::Refused
}

fn report(findings: &[Finding], as_json: bool) -> End {
    let verdict = |finding: &Finding| match (&finding.fault, finding.warning) {
        (None, _) => "ok",
        (Some(_), true) => "warning",
        (Some(_), false) => "PROBLEM",
    };
    let version = |f: &Finding| f.version.map(|v| v.to_string());
    if as_json {
        let list: Vec<_> = findings
            .iter()
            .map(|f| {
                let found = f.findings.as_deref().map_or(Value::Null, crate::findings::as_json);
                let verdict = verdict(f).to_lowercase();
                json!({"model": f.model, "version": version(f), "verdict": verdict, "what": f.fault, "found": found})
            })
            .collect();
        println!("{}", json!({ "findings": list }));
    } else {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|f| {
                let found = || f.findings.as_deref().map(crate::findings::as_text).unwrap_or_default();
                let text = f.fault.clone().unwrap_or_else(found);
                vec![f.model.clone(), version(f).unwrap_or_default(), verdict(f).into(), text]
            })
            .collect();
        print!("{}", lay_out(&["MODEL", "VERSION", "VERDICT", ""], &rows));
    }
    let problems = findings.iter().filter(|f| f.fault.is_some() && !f.warning).count();
    match (findings.iter().any(|f| f.version.is_some()), problems) {
        (true, 0) => End::Done,
        (false, 0) => refused("no version of a model was found"),
        (_, problems) => refused(&format!("{problems} problem(s) found")),
    }
}
