//! What `pointsman schema` is asked.

use clap::Args;

use super::AdminClient;

/// `pointsman schema`.
#[derive(Debug, Args)]
#[command(
    after_help = "The schema is schema.toml beside the model's card. Counts are of this gateway, since the version was \
    loaded with it.\n\nExamples:\n  pointsman schema                 what is known of each version\n  \
    pointsman schema flights         its rules, what broke them, and odd numbers in its answers\n  \
    pointsman schema flights --json"
)]
pub(crate) struct ShowSchema {
    /// The model; without one, all versions in a line each.
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
