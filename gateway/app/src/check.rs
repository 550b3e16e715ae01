//! `pointsman check`: what is wrong with a configuration and a registry, without serving it.

use pointsman_control::loader;
use pointsman_core::{EngineChoice, ModelName, SessionOptions, VersionNumber};
use pointsman_registry::{DirectoryRegistry, Limits, ModelListing, Registry};
use serde_json::json;

use crate::End;
use crate::cli;
use crate::engines::Engines;
use crate::table::lay_out;

/// What was found of one model or version.
struct Finding {
    model: String,
    version: Option<VersionNumber>,
    fault: Option<String>,
    warning: bool,
}

/// `pointsman check`.
pub(crate) fn run(arguments: &cli::Check) -> End {
    let config = match arguments.settings.config() {
        Ok(config) => config,
        Err(problems) => return crate::serve::refuse(&problems),
    };
    let registry = match DirectoryRegistry::open(&config.models, Limits::default()) {
        Ok(registry) => registry,
        Err(error) => return refused(&error.to_string()),
    };
    let scan = match registry.scan() {
        Ok(scan) => scan,
        Err(error) => return refused(&error.to_string()),
    };
    let engines = Engines::find(config.onnxruntime_library.clone());
    for note in engines.notes() {
        eprintln!("note: {note}");
    }
    let engines = pointsman_control::Engines::new(engines.available().to_vec());
    let mut findings: Vec<Finding> =
        scan.problems.iter().map(|p| finding("", None, Some(p.to_string()))).collect();
    for listing in &scan.models {
        check_model(&registry, listing, &engines, config.serving.engine, &mut findings);
    }
    report(&findings, arguments.json)
}

fn check_model(
    registry: &dyn Registry,
    listing: &ModelListing,
    engines: &pointsman_control::Engines,
    default: EngineChoice,
    findings: &mut Vec<Finding>,
) {
    let name = listing.name.as_str();
    let wanted = listing.wanted();
    let problems = listing.problems.iter().chain(&wanted.problems);
    findings.extend(problems.map(|problem| finding(name, None, Some(problem.to_string()))));
    findings.extend(
        listing
            .warnings
            .iter()
            .map(|warning| Finding { warning: true, ..finding(name, None, Some(warning.to_string())) }),
    );
    for &number in &listing.versions {
        let fault = check_version(
            registry,
            &listing.name,
            number,
            engines,
            listing.settings().engine.unwrap_or(default),
        );
        findings.push(finding(name, Some(number), fault.err()));
    }
}

/// Every step that the gateway would take before it serves the version.
fn check_version(
    registry: &dyn Registry,
    model: &ModelName,
    number: VersionNumber,
    engines: &pointsman_control::Engines,
    choice: EngineChoice,
) -> Result<(), String> {
    let verified = loader::verify(registry, model, number).map_err(|e| e.to_string())?;
    let engine = engines.choose(choice)?;
    let loaded = verified.load(engine.as_ref(), &SessionOptions::default()).map_err(|e| e.to_string())?;
    loaded.check().map(drop).map_err(|e| e.to_string())
}

fn finding(model: &str, version: Option<VersionNumber>, fault: Option<String>) -> Finding {
    Finding { model: model.into(), version, fault, warning: false }
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
            .map(|f| json!({"model": f.model, "version": version(f), "verdict": verdict(f).to_lowercase(), "what": f.fault}))
            .collect();
        println!("{}", json!({ "findings": list }));
    } else {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|f| {
                let text = f.fault.clone().unwrap_or_default();
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
