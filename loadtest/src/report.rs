//! Findings that were kept, shown again: on the terminal, as a page, and against other thresholds.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::findings::Findings;
use crate::page;
use crate::readings::Judgement;
use crate::threshold::{METRICS, Outcome, Threshold};

/// The form of findings that is written and read.
pub(crate) const FORMAT: u32 = 1;

/// The most bytes of findings that are read: a day of a few streams.
const FINDINGS_BYTES_MAX: u64 = 1 << 29;

/// What to show, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    /// Findings, as --json writes them.
    findings: PathBuf,
    /// Write a page with plots: one file that asks for no other.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Fail where this is so, as in 'p99 > 5ms' or 'part:10x stream:iris errors > 0.1%'; may be given several times.
    #[arg(long, value_name = "CONDITION", long_help = fail_if_help())]
    fail_if: Vec<Threshold>,
}

/// What the command's help says last.
pub(crate) const HELP: &str = "\
Exit code 0: every figure that was asked for held, and no condition of --fail-if is met; 1: one was missed, or is met; \
2: the findings could not be read, or do not say whether a condition is met.

Examples:
  pointsman-loadtest report findings.json --html report.html
  pointsman-loadtest report findings.json --fail-if 'p99 > 5ms' --fail-if 'wrong > 0'";

/// What `--fail-if` says of itself.
pub(crate) fn fail_if_help() -> String {
    format!(
        "Fail where this is so: [part:NAME] [stream:NAME] METRIC COMPARISON VALUE, as in 'p99 > 5ms' or \
         'part:10x stream:iris errors > 0.1%'. Without a part or a stream it is on each of them. May be given several \
         times.\n\nMetrics: {METRICS}. Comparisons: > >= < <=."
    )
}

/// `report`: whether every figure held and no condition is met.
///
/// # Errors
/// Where findings cannot be read, the page cannot be written, or a condition cannot be told.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    let findings = read(&arguments.findings)?;
    show(&findings, arguments.html.as_deref(), &arguments.fail_if)
}

/// Shows what was found and what became of the conditions: whether every figure held and no condition is met.
///
/// # Errors
/// Where the page cannot be written, or a condition cannot be told.
pub(crate) fn show(findings: &Findings, html: Option<&Path>, fail_if: &[Threshold]) -> Result<bool, String> {
    // Whoever reads may have seen enough: the exit code still says how it went.
    let _ = writeln!(std::io::stdout(), "{findings}");
    if let Some(file) = html {
        page::write(findings, file)?;
    }
    let mut held = !matches!(findings.judgement(), Judgement::Missed(..));
    let mut unknown = Vec::new();
    for threshold in fail_if {
        let (verdict, sentence) = match threshold.check(findings) {
            Outcome::Met(sentence) => {
                held = false;
                ("FAILED", sentence)
            }
            Outcome::NotMet(sentence) => ("passed", sentence),
            Outcome::Unknown(sentence) => {
                unknown.push(sentence);
                continue;
            }
        };
        let _ = writeln!(std::io::stdout(), "{verdict}  {sentence}");
    }
    if unknown.is_empty() { Ok(held) } else { Err(format!("cannot be told: {}", unknown.join("; "))) }
}

fn read(path: &Path) -> Result<Findings, String> {
    let problem = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let file = File::open(path).map_err(|e| problem(&e))?;
    if file.metadata().map_err(|e| problem(&e))?.len() > FINDINGS_BYTES_MAX {
        return Err(problem(&format!("more than {FINDINGS_BYTES_MAX} bytes, the most that are read")));
    }
    let file = BufReader::new(file.take(FINDINGS_BYTES_MAX));
    let findings: Findings = serde_json::from_reader(file)
        .map_err(|e| problem(&format!("no findings ({e}); give a file that --json wrote")))?;
    if findings.format != FORMAT {
        let found = findings.format;
        return Err(problem(&format!(
            "findings of form {found}, this program reads form {FORMAT}: use one that fits"
        )));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::samples;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn report(findings: &Findings, more: &[&str]) -> Result<bool, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("findings.json");
        std::fs::write(&file, serde_json::to_vec(findings).expect("JSON")).expect("a file");
        let arguments = ["report", file.to_str().expect("text")].into_iter().chain(more.iter().copied());
        run(&Cli::try_parse_from(arguments).map_err(|e| e.to_string())?.arguments)
    }

    #[test]
    fn figures_and_conditions_decide() {
        assert_eq!(report(&samples::steady(), &[]), Ok(true));
        assert_eq!(report(&samples::overload(), &[]), Ok(false), "a figure is missed");
        assert_eq!(
            report(&samples::steady(), &["--fail-if", "wrong > 0", "--fail-if", "p50 > 1s"]),
            Ok(true)
        );
        assert_eq!(
            report(&samples::steady(), &["--fail-if", "wrong > 0", "--fail-if", "p50 > 1us"]),
            Ok(false)
        );
        let unknown =
            report(&samples::steady(), &["--fail-if", "part:x wrong > 0"]).expect_err("no such part");
        assert!(unknown.contains("there are: steady"), "{unknown}");
        let wrong = report(&samples::steady(), &["--fail-if", "p99 > 5"]).expect_err("no unit");
        assert!(wrong.contains("--fail-if") && wrong.contains("p99 is a time"), "{wrong}");
    }

    #[test]
    fn the_page_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page.html");
        assert_eq!(report(&samples::steady(), &["--html", page.to_str().expect("text")]), Ok(true));
        assert!(std::fs::read_to_string(&page).expect("a page").starts_with("<!DOCTYPE html>"));
    }

    #[test]
    fn what_are_no_findings_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("findings.json");
        assert!(read(&file).expect_err("no file").contains("findings.json"));
        std::fs::write(&file, "{}").expect("a file");
        assert!(read(&file).expect_err("no findings").contains("no findings"));
        let later = Findings { format: 2, ..samples::steady() };
        std::fs::write(&file, serde_json::to_vec(&later).expect("JSON")).expect("a file");
        assert!(read(&file).expect_err("another form").contains("form 2"));
    }
}
