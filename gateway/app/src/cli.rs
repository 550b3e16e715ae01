//! The command line.

mod alerts;
mod compare;
mod drift;
mod experiment;
mod log;
mod plan;
mod predict;
mod profile;
mod quality;
mod rollout;
mod schema;
mod score;
mod skew;
mod trial_load;
mod wish;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use self::alerts::Alerts;
pub(crate) use self::compare::{Compare, Replay};
pub(crate) use self::drift::{AgainstWhat, Baseline, BaselineVerb, Build, Drift};
pub(crate) use self::experiment::{Experiment, ExperimentVerb, ShowExperiment};
pub(crate) use self::log::{DeleteFromLog, ExportLog, Log, LogVerb, ReplayLog, ShowLogged, TailLog};
pub(crate) use self::plan::{Plan, PlanVerb, ShowPlan};
pub(crate) use self::predict::Predict;
pub(crate) use self::profile::Profile;
pub(crate) use self::quality::{ImportLabels, LabelsCommand, LabelsVerb, Quality};
pub(crate) use self::rollout::{
    JournalVerb, OfRollout, PlanRollout, Rollout, RolloutVerb, ShowRollout, StartRollout, VerifyJournal,
};
pub(crate) use self::schema::ShowSchema;
pub(crate) use self::score::Score;
pub(crate) use self::skew::{JoinSkew, Skew, SkewVerb};
pub(crate) use self::trial_load::TrialLoad;
pub(crate) use self::wish::{Alias, How, OfModel, OfVersion, Promote};
use crate::config::{Config, Effective, Origin, not_loopback};

/// An inference gateway for ONNX models: V2 REST and gRPC, V1 and TF-Serving REST.
#[derive(Debug, Parser)]
#[command(
    name = "pointsman",
    version = crate::version::LONG,
    after_help = "Examples:\n  pointsman                                  serve the models in ./models\n  \
                  pointsman serve /srv/models --http 0.0.0.0:8000\n  \
                  pointsman check /srv/models                say what is wrong with them, exit code 1 if anything is\n  \
                  pointsman models                           what a running gateway serves\n  \
                  pointsman predict iris --input request.json\n  \
                  pointsman promote iris 4                   let version 4 answer, once it has passed its gates\n  \
                  pointsman rollback iris                    let the one before answer again\n  \
                  pointsman rollout start iris 4 --shadow 10m --canary 1,5,25,50\n  \
                  pointsman journal iris                     who changed what, when and why"
)]
pub(crate) struct Cli {
    /// What to do; without one, `serve`.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the models of a registry.
    #[command(after_help = "Examples:\n  pointsman serve models\n  \
        pointsman serve models --http 127.0.0.1:0 --ready-file /tmp/ready.json\n  \
        POINTSMAN_HTTP=0.0.0.0:8000 pointsman serve --config deploy/pointsman.toml")]
    Serve(Serve),
    /// Check the configuration and a registry (also one of Triton's) without serving it.
    #[command(after_help = "Exit code: 0 nothing wrong, 1 a problem was found, 2 wrong usage.")]
    Check(Check),
    /// List what a running gateway serves.
    Models(AdminClient),
    /// Show how long runs of a model take by rows, and how its requests are run for that.
    ///
    /// Without --sweep it is what a running gateway measured when it loaded the version. With it, the version is
    /// measured here, on the files of the registry: with each number of threads for a run, beside as many workers of
    /// one thread. Nothing else should run on the machine meanwhile.
    #[command(after_help = "Examples:\n  pointsman profile digits\n  pointsman profile iris 2 --json\n  \
        pointsman profile iris --sweep\n  \
        pointsman profile iris --sweep --models /srv/models --threads 1,2,4 --rows 1,16,64 --seconds 5")]
    Profile(Profile),
    /// Ask a running gateway for a prediction.
    #[command(after_help = "Examples:\n  \
        echo '{\"inputs\":[{\"name\":\"X\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[5.1,3.5,1.4,0.2]}]}' |\n    \
        pointsman predict iris --input -\n  \
        pointsman predict iris --version 2 --input request.json --json")]
    Predict(Predict),
    /// Let a version answer callers that name none, once it is loaded and has passed its gates.
    #[command(
        after_help = "It holds until `serve` of the card or the configuration changes, or until `pointsman reset`.\n\n\
        Examples:\n  pointsman promote iris 4 --dry-run\n  pointsman promote iris 4\n  \
        pointsman promote iris 5 --allow-breaking    although callers of the version that serves would break"
    )]
    Promote(Promote),
    /// Let the version answer again that answered before.
    #[command(
        after_help = "While that one is still loaded (registry.previous_kept) this takes milliseconds. The version that \
        is left is not `latest`\nagain before it is promoted by name, or is another one.\n\nExamples:\n  pointsman rollback iris"
    )]
    Rollback(OfModel),
    /// Load a version beside the others; without a number, serve the model again and read it anew.
    #[command(after_help = "Examples:\n  pointsman load iris 2\n  pointsman load iris")]
    Load(OfVersion),
    /// Let a version, or the whole model, leave.
    #[command(after_help = "Examples:\n  pointsman unload iris 2 --dry-run\n  pointsman unload iris")]
    Unload(OfVersion),
    /// Let an alias stand for a version.
    #[command(
        after_help = "Examples:\n  pointsman alias iris champion 3\n  pointsman alias iris champion --remove"
    )]
    Alias(Alias),
    /// Keep a version answering, whatever card, configuration and `latest` say.
    #[command(
        after_help = "Examples:\n  pointsman pin iris        the one that answers now\n  pointsman pin iris 3"
    )]
    Pin(OfVersion),
    /// Let card, configuration and `latest` count again after a pin.
    Unpin(OfModel),
    /// Let nothing about a model change by itself, and grant nothing but rollback and unload.
    Freeze(OfModel),
    /// Let a model change again after a freeze.
    Unfreeze(OfModel),
    /// Forget all wishes about a model: card and configuration alone say what serves.
    Reset(OfModel),
    /// Show or change how the callers of a model are split who name no version.
    Plan(Plan),
    /// Let a version take over in stages, watched, and back by itself where it does harm.
    Rollout(Rollout),
    /// Show what comes of the arms of an experiment.
    Experiment(Experiment),
    /// Show how the answers of a model's shadows differ from those of the version that serves.
    #[command(
        after_help = "Examples:\n  pointsman compare iris\n  pointsman compare iris --shadow 3 --alpha 0.01\n  \
        pointsman compare iris --html iris.html\n  \
        pointsman compare              what is compared\n\n\
        A shadow is a line of the model's plan: `[[shadows]]` with name, version and share (pointsman plan apply)."
    )]
    Compare(Compare),
    /// Show what of a model's traffic differs from training, or from before.
    Drift(Drift),
    /// Hold what serving had against what was computed afterwards.
    Skew(Skew),
    /// Profile training data, for skew and drift to be measured against.
    Baseline(Baseline),
    /// Run an example of a comparison again, with the versions that are named.
    #[command(
        after_help = "Examples:\n  pointsman replay 019ae2f0-6b1c-7d1e-8a55-0242ac120002 --versions 2,3\n\n\
        The inputs are kept of the pairs that `pointsman compare` lists as furthest apart, or as failed on one side."
    )]
    Replay(Replay),
    /// Show what a model's schema says, and what requests broke it.
    Schema(ShowSchema),
    /// Show what the gateway attests to of the ML Test Score, with the evidence or what is missing.
    #[command(
        after_help = "Examples:\n  pointsman score flights\n  pointsman score flights --version 2 --json"
    )]
    Score(Score),
    /// Show what somebody should know of the models: drift, skew, quality, broken rules.
    #[command(
        after_help = "Examples:\n  pointsman alerts\n  pointsman alerts flights --all\n  pointsman alerts --history --limit 20\n  \
        pointsman alerts --fail-if-firing    exit code 1 where one fires"
    )]
    Alerts(Alerts),
    /// Show how good a model's versions are by the labels that came, and since when which is better.
    Quality(Quality),
    /// Send labels to a running gateway.
    Labels(LabelsCommand),
    /// Read, replay and delete what the sample log holds.
    Log(Log),
    /// Show who changed what, when and why; or compute the verdicts of a rollout again.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  pointsman journal\n  pointsman journal iris --limit 20\n  pointsman journal --json\n  \
        pointsman journal verify 7                 compute every verdict of rollout 7 again\n  \
        pointsman journal verify 7 --alpha 0.01    and what another level would have decided"
    )]
    Journal(Journal),
    /// Show the configuration that counts, or let a running gateway read it again.
    #[command(
        after_help = "Examples:\n  pointsman config --effective    every key, its value, and where that comes from\n  \
        pointsman config --reload       as SIGHUP does; where anything is wrong the old one stays"
    )]
    Config(ShowConfig),
    /// Say which engines are there, and why others are not.
    Engines(Engines),
    /// Load a library of ONNX Runtime for its version alone, in this process.
    #[command(hide = true)]
    ProbeOnnxruntime {
        /// The library.
        path: PathBuf,
    },
    /// Bring one version up in this process, under limits, and say how that went.
    #[command(hide = true)]
    TrialLoad(TrialLoad),
}

/// Where the configuration comes from, and what overrides it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Settings {
    /// The registry: a directory of `<model>/<version>/model.onnx` [default: models].
    #[arg(env = "POINTSMAN_MODELS")]
    pub(crate) models: Option<PathBuf>,
    /// A configuration file; deploy/pointsman.toml lists all keys.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to use.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

/// `pointsman serve`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// REST, and gRPC by content type [default: 127.0.0.1:8000].
    #[arg(long, env = "POINTSMAN_HTTP", value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// gRPC alone [default: 127.0.0.1:8001].
    #[arg(long, env = "POINTSMAN_GRPC", value_name = "ADDR")]
    pub(crate) grpc: Option<SocketAddr>,
    /// /metrics [default: 127.0.0.1:8002].
    #[arg(long, env = "POINTSMAN_METRICS", value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Control [default: 127.0.0.1:8003].
    #[arg(long, env = "POINTSMAN_ADMIN", value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Where the journal is kept; without it, wishes are forgotten when the gateway stops.
    #[arg(long, env = "POINTSMAN_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Gets the bound addresses as JSON once the gateway is ready.
    #[arg(long, env = "POINTSMAN_READY_FILE", value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Which of these were given, and how.
    #[arg(skip)]
    pub(crate) given: Vec<Given>,
}

/// A flag or a variable that was given in place of a key.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    key: &'static str,
    by: String,
}

/// Flags with the keys that they stand for, and their variables.
const KEYS: [(&str, &str, &str); 7] = [
    ("models", "models", "POINTSMAN_MODELS"),
    ("onnxruntime", "onnxruntime.library", "POINTSMAN_ONNXRUNTIME"),
    ("http", "listen.http", "POINTSMAN_HTTP"),
    ("grpc", "listen.grpc", "POINTSMAN_GRPC"),
    ("metrics", "listen.metrics", "POINTSMAN_METRICS"),
    ("admin", "listen.admin", "POINTSMAN_ADMIN"),
    ("state", "state", "POINTSMAN_STATE"),
];

/// `pointsman check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pointsman engines`.
#[derive(Debug, Args)]
pub(crate) struct Engines {
    /// A configuration file.
    #[arg(long, env = "POINTSMAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The ONNX Runtime library to look at first.
    #[arg(long, env = "POINTSMAN_ONNXRUNTIME", value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What clients of the admin listener have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct AdminClient {
    /// The gateway's admin listener.
    #[arg(long, env = "POINTSMAN_ADMIN_URL", value_name = "URL", default_value = "http://127.0.0.1:8003")]
    pub(crate) admin_url: String,
    /// Answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `pointsman journal`.
#[derive(Debug, Args)]
pub(crate) struct Journal {
    /// Something else than to list entries.
    #[command(subcommand)]
    pub(crate) verb: Option<JournalVerb>,
    /// Entries about this model alone.
    pub(crate) model: Option<String>,
    /// How many of the last entries.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// `pointsman config`.
#[derive(Debug, Args)]
pub(crate) struct ShowConfig {
    /// Print every key with its value and where that comes from (this is what it does anyway).
    #[arg(long)]
    pub(crate) effective: bool,
    /// Let the gateway read its configuration again.
    #[arg(long, conflicts_with = "effective")]
    pub(crate) reload: bool,
    #[command(flatten)]
    pub(crate) client: AdminClient,
}

/// Reads the command line. Without a command it is `serve`, and the variables of `serve` count.
pub(crate) fn read() -> Command {
    let mut matches = Cli::command().get_matches();
    if matches.subcommand().is_none() {
        matches = Cli::command().get_matches_from(std::env::args_os().take(1).chain(["serve".into()]));
    }
    let read = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut command = read.command.unwrap_or_else(|| Command::Serve(Serve::default()));
    if let (Command::Serve(serve), Some((_, matches))) = (&mut command, matches.subcommand()) {
        serve.given = given(matches);
    }
    command
}

/// Which keys were given by flags and variables.
fn given(matches: &ArgMatches) -> Vec<Given> {
    let given = |(flag, key, variable): &(&'static str, &'static str, &'static str)| {
        let by = match matches.value_source(flag)? {
            ValueSource::CommandLine if *flag == "models" => "the command line".to_owned(),
            ValueSource::CommandLine => format!("--{flag}"),
            ValueSource::EnvVariable => (*variable).to_owned(),
            _ => return None,
        };
        Some(Given { key, by })
    };
    KEYS.iter().filter_map(given).collect()
}

impl Settings {
    /// The configuration that file, variables and flags make together.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        self.config_with_origins().map(|(config, _)| config)
    }

    fn config_with_origins(&self) -> Result<(Config, Vec<Effective>), Vec<String>> {
        let (mut config, effective) = read_config(self.config.as_deref())?;
        if let Some(models) = &self.models {
            config.models.clone_from(models);
        }
        if self.onnxruntime.is_some() {
            config.onnxruntime_library.clone_from(&self.onnxruntime);
        }
        Ok((config, effective))
    }
}

impl Serve {
    /// The configuration that file, variables and flags make together, and where each value comes from.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub(crate) fn config(&self) -> Result<(Config, Vec<Effective>), Vec<String>> {
        let (mut config, mut effective) = self.settings.config_with_origins()?;
        let listen = &mut config.listen;
        let addresses = [
            (&mut listen.http, self.http),
            (&mut listen.grpc, self.grpc),
            (&mut listen.metrics, self.metrics),
            (&mut listen.admin, self.admin),
        ];
        for (address, flag) in addresses {
            *address = flag.unwrap_or(*address);
        }
        if let Some(admin) = self.admin.filter(|admin| !admin.ip().is_loopback()) {
            return Err(vec![format!("--admin: {}", not_loopback(admin))]);
        }
        if self.state.is_some() {
            config.state.clone_from(&self.state);
        }
        for Given { key, by } in &self.given {
            let value = config.shown(key);
            if let Some(entry) = effective.iter_mut().find(|entry| entry.key == *key) {
                *entry = Effective { key: entry.key.clone(), value, origin: Origin::Given(by.clone()) };
            }
        }
        Ok((config, effective))
    }
}

impl Engines {
    /// The configuration that file, variables and flags make together.
    ///
    /// # Errors
    /// Every problem, a line each.
    pub(crate) fn config(&self) -> Result<Config, Vec<String>> {
        let settings =
            Settings { models: None, config: self.config.clone(), onnxruntime: self.onnxruntime.clone() };
        settings.config()
    }
}

fn read_config(path: Option<&std::path::Path>) -> Result<(Config, Vec<Effective>), Vec<String>> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).map_err(|e| vec![format!("{}: {e}", path.display())])?,
        None => String::new(),
    };
    let place = path.map_or_else(String::new, |path| format!("{}: ", path.display()));
    Config::read_with_origins(&text)
        .map_err(|problems| problems.iter().map(|p| format!("{place}{p}")).collect())
}
