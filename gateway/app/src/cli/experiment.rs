//! What `pointsman experiment` is asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::AdminClient;

/// `pointsman experiment`.
#[derive(Debug, Args)]
pub(crate) struct Experiment {
    /// What to do with an experiment.
    #[command(subcommand)]
    pub(crate) verb: ExperimentVerb,
}

/// The verbs of `pointsman experiment`.
#[derive(Debug, Subcommand)]
pub(crate) enum ExperimentVerb {
    /// Show each arm against the default one: differences, how sure they are, and what is still needed.
    #[command(
        after_help = "What is said stays true however often one looks. Choose --metric before you look.\n\n\
        Examples:\n  pointsman experiment show iris\n  pointsman experiment show iris petals --metric virginica --mde 5%\n  \
        pointsman experiment show iris petals --html petals.html"
    )]
    Show(ShowExperiment),
    /// List the experiments of which something is known.
    List(AdminClient),
}

/// `pointsman experiment show`.
#[derive(Debug, Args)]
pub(crate) struct ShowExperiment {
    /// The model.
    pub(crate) model: String,
    /// The experiment; without one, all of the model.
    pub(crate) experiment: Option<String>,
    /// With what probability any difference that is told may be none.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) alpha: f64,
    /// The one metric that counts; then no other has a part of alpha.
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// Say what it takes to tell this difference: 0.01 in the unit of the metric, or 5% of the default's value.
    #[arg(long, value_name = "DIFFERENCE")]
    pub(crate) mde: Option<String>,
    /// Write a page that needs nothing else, with plots.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
