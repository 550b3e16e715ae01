//! What `pointsman rollout` and `pointsman journal verify` are asked.

use clap::{Args, Subcommand};

use super::{AdminClient, How, OfModel};

/// `pointsman rollout`.
#[derive(Debug, Args)]
pub(crate) struct Rollout {
    /// What to do with a rollout.
    #[command(subcommand)]
    pub(crate) verb: RolloutVerb,
}

/// The verbs of `pointsman rollout`.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutVerb {
    /// Let a version take over: first as a shadow, then for a part of the units, then for everybody.
    ///
    /// Each stage lasts until every guard is certain that nothing is wrong; what does harm is taken back by itself. With
    /// --dry-run nothing begins, and what `rollout plan` says is printed.
    #[command(
        after_help = "Guards: errors, invalid, latency, disagreement, distribution, labels; \"default\" is all of \
        them.\n\nExamples:\n  pointsman rollout start iris 3 --shadow 10m --canary 1,5,25,50 --guard default\n  \
        pointsman rollout start iris 3 --canary 10 --unit header:x-user-id --approve 10 --deadline 6h:rollback\n  \
        pointsman rollout start iris 3 --canary 5,50 --guard default --guard errors:margin=1.5,floor=1%"
    )]
    Start(StartRollout),
    /// Say, before it begins, how long each stage of a rollout will take at the traffic there is.
    #[command(after_help = "Examples:\n  pointsman rollout plan iris 3 --canary 1,5,25,50\n  \
        pointsman rollout plan iris 3 --canary 10 --unit header:x-user-id --per-second 4    new units in a second")]
    Plan(PlanRollout),
    /// Show how a rollout stands, what was seen, and what it still needs.
    #[command(
        after_help = "Examples:\n  pointsman rollout show iris\n  pointsman rollout show iris --id 7 --json"
    )]
    Show(ShowRollout),
    /// List the rollouts there were.
    List(AdminClient),
    /// Hold a rollout where it is. What does harm is taken back all the same.
    Pause(OfModel),
    /// Let a rollout go on that is held, or whose deadline has passed.
    Resume(OfModel),
    /// Let a rollout go to its next stage, whatever is known.
    Advance(OfModel),
    /// Approve of what follows the stage, where `--approve` asked for that.
    Approve(OfModel),
    /// Let the version answer everybody, whatever is known.
    Promote(OfModel),
    /// End a rollout: callers are led back at once.
    Abort(OfModel),
}

/// What is asked of a rollout.
#[derive(Clone, Debug, Args)]
pub(crate) struct OfRollout {
    /// The model.
    pub(crate) model: String,
    /// The number of the version that is to take over.
    pub(crate) version: u64,
    /// First see requests that were answered, for at least so long: 10m, or 10m:20% for a part of them.
    #[arg(long, value_name = "TIME[:SHARE]")]
    pub(crate) shadow: Option<String>,
    /// Then answer so many percent of the units, stage by stage.
    #[arg(long, value_name = "PERCENT,...")]
    pub(crate) canary: Option<String>,
    /// What is watched, and what is tolerated; may be given several times, and the later word counts.
    #[arg(long, value_name = "GUARD")]
    pub(crate) guard: Vec<String>,
    /// How often a version that is as good may be rolled back [default: 0.05].
    #[arg(long, value_name = "LEVEL")]
    pub(crate) alpha: Option<String>,
    /// How long each share of the canary lasts at least [default: 1m].
    #[arg(long, value_name = "TIME")]
    pub(crate) time_min: Option<String>,
    /// How many requests or units the version sees in each stage at least [default: 100].
    #[arg(long, value_name = "N")]
    pub(crate) count_min: Option<String>,
    /// When it is to be decided, and what happens then: hold, rollback or ask (the default).
    #[arg(long, value_name = "TIME[:OUTCOME]")]
    pub(crate) deadline: Option<String>,
    /// Stages after which somebody has to approve: shares of --canary, or shadow.
    #[arg(long, value_name = "PERCENT,...")]
    pub(crate) approve: Option<String>,
    /// Where a request says its unit, which stays with its version: header:NAME, cookie:NAME, parameter:NAME or
    /// `tensor:NAME[INDEX]`; several in their order. Without it each request is drawn by itself.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) unit: Vec<String>,
    /// Run a second copy of the version that serves beside the shadow, to see how far it is from itself.
    #[arg(long)]
    pub(crate) floor: bool,
    /// How long an answer may take in any case, be it slower than before [default: 5ms].
    #[arg(long, value_name = "TIME")]
    pub(crate) latency_objective: Option<String>,
    /// What becomes of it where a newer version arrives: supersede or queue [default: supersede].
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_new: Option<String>,
    /// Whom each transition is told; `webhook.allowed` of the configuration has to list it.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,
}

/// What is expected of the traffic.
#[derive(Clone, Debug, Args)]
pub(crate) struct Expected {
    /// Requests in a second, or new units where --unit is given; otherwise what was seen lately.
    #[arg(long, value_name = "N")]
    pub(crate) per_second: Option<f64>,
    /// In how many percent of the pairs the version is expected to answer otherwise.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) disagreement: Option<f64>,
}

/// `pointsman rollout start`.
#[derive(Debug, Args)]
pub(crate) struct StartRollout {
    #[command(flatten)]
    pub(crate) of: OfRollout,
    #[command(flatten)]
    pub(crate) how: How,
}

/// `pointsman rollout plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanRollout {
    #[command(flatten)]
    pub(crate) of: OfRollout,
    #[command(flatten)]
    pub(crate) expected: Expected,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman rollout show`.
#[derive(Debug, Args)]
pub(crate) struct ShowRollout {
    /// The model.
    pub(crate) model: String,
    /// The number of the rollout; the last one where none is given.
    #[arg(long, value_name = "N")]
    pub(crate) id: Option<u64>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// The verbs of `pointsman journal`.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalVerb {
    /// Compute every verdict of a rollout again, from the counts that the journal has.
    ///
    /// Whole numbers, decisions and stages have to be the same, logarithms of e-values within 1e-12. Exit code 1 where
    /// anything is otherwise.
    Verify(VerifyJournal),
}

/// `pointsman journal verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyJournal {
    /// The number of the rollout; all that the journal has where none is given.
    pub(crate) rollout: Option<u64>,
    /// Say as well what would have been decided at this level.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) alpha: Option<f64>,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}
