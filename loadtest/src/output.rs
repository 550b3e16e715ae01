//! Where findings go: the terminal, a file, a page.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::findings::Findings;
use crate::report;
use crate::threshold::Threshold;

/// Where findings go, beside the terminal.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Where findings go")]
pub(crate) struct Output {
    /// Write what was found as JSON, which `report` reads.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots: one file that asks for no other.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Do not show how far it is.
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Output {
    /// Gives what was found to whoever asked for it, and says whether all of it held.
    ///
    /// # Errors
    /// Where a file cannot be written, or a condition cannot be told.
    pub(crate) fn give(&self, findings: &Findings, fail_if: &[Threshold]) -> Result<bool, String> {
        if let Some(file) = &self.json {
            let json = serde_json::to_string(findings).map_err(|e| e.to_string())?;
            std::fs::write(file, json + "\n").map_err(|e| format!("{}: {e}", file.display()))?;
        }
        report::show(findings, self.html.as_deref(), fail_if)
    }

    /// The file for JSON, where no page is asked for.
    pub(crate) fn json_alone(&self) -> Option<Option<&Path>> {
        self.html.is_none().then_some(self.json.as_deref())
    }
}
