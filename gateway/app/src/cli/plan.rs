//! What `pointsman plan` is asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{AdminClient, How, OfModel};

/// `pointsman plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// What to do with a plan.
    #[command(subcommand)]
    pub(crate) verb: PlanVerb,
}

/// The verbs of `pointsman plan`.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanVerb {
    /// Show how the callers of a model are split, as TOML that can be applied again.
    Show(ShowPlan),
    /// Split the callers of a model by a plan.
    #[command(after_help = "Examples:\n  pointsman plan apply iris plan.toml --dry-run\n  \
        pointsman plan apply iris plan.toml --if-match 1c0f...    only where nobody changed it since")]
    Apply(ApplyPlan),
    /// Show the plans that a rollback leads back to, and the one that counts last.
    History(ShowPlan),
    /// Let the plan count again that counted before.
    Rollback(OfModel),
}

/// `pointsman plan show` and `pointsman plan history`.
#[derive(Debug, Args)]
pub(crate) struct ShowPlan {
    /// The model.
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman plan apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyPlan {
    /// The model.
    pub(crate) model: String,
    /// The plan, as TOML, or as JSON in a file that is named so; an empty file splits nothing.
    pub(crate) file: PathBuf,
    /// Only where the plan that counts has this tag.
    #[arg(long, value_name = "TAG")]
    pub(crate) if_match: Option<String>,
    #[command(flatten)]
    pub(crate) how: How,
}
