//! `pointsman serve`: start, serve until told to stop, and go down without losing a request.

mod banner;
mod control;
mod drain;
mod listeners;
mod reloading;
mod state;

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use pointsman_control::{Policy, Shadowing};
use pointsman_predict::{Cores, Ground, Metrics, Predictor, Reader, snapshot_cell};
use pointsman_registry::{DirectoryRegistry, Registry};
use prometheus_client::registry::Registry as Instruments;
use tokio::sync::watch;

use self::control::{Control, DataPath};
use self::drain::Drain;
use self::listeners::{Addresses, Listeners};
use crate::End;
use crate::cli;
use crate::comparisons::Comparisons;
use crate::config::{Config, Effective};
use crate::engines::Engines;
use crate::gateway::Gateway;
use crate::io_threads::IoThreads;
use crate::listen::Phase;
use crate::memory_watch::MemoryWatch;
use crate::monitoring::{Monitoring, Monitors};
use crate::refusals::Refusals;
use crate::reload::Reload;
use crate::telemetry::{LogLevel, Tracer, start_log};
use crate::webhook::Webhooks;

/// Prints what is wrong with the configuration.
pub(crate) fn refuse(problems: &[String]) -> End {
    for problem in problems {
        eprintln!("pointsman: {problem}");
    }
    End::Usage
}

/// `pointsman serve`.
pub(crate) fn run(arguments: &cli::Serve) -> End {
    let (config, effective) = match arguments.config() {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    let log_level = match start_log(&config.log) {
        Ok(log_level) => log_level,
        Err(problem) => return refuse(&[problem]),
    };
    match start(&config, Source { arguments: arguments.clone(), effective, log_level }) {
        Ok(end) => end,
        Err(problem) => {
            eprintln!("pointsman: {problem}");
            End::Refused
        }
    }
}

/// Where the configuration comes from, for reading it again.
struct Source {
    arguments: cli::Serve,
    effective: Vec<Effective>,
    log_level: LogLevel,
}

/// Starts the parts that are no threads of the gateway, then serves.
fn start(config: &Config, source: Source) -> Result<End, String> {
    let registry = DirectoryRegistry::open(&config.models, pointsman_registry::Limits::default())
        .map_err(|e| format!("{e}; name the directory of your models: pointsman serve DIR"))?;
    let _state = config.state.as_deref().map(state::lock).transpose()?;
    let engines = Arc::new(Engines::find(config.onnxruntime_library.clone()));
    for note in engines.notes() {
        tracing::warn!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    let end = runtime.block_on(serve(config, source, Arc::new(registry), &engines));
    // A loader may still be busy: nothing waits for it.
    runtime.shutdown_background();
    end
}

/// What the listeners share.
fn gateway(
    config: &Config,
    snapshots: Reader,
    metrics: &Metrics,
    cores: &Arc<Cores>,
    monitors: Monitors,
    phase: watch::Receiver<Phase>,
) -> Result<Gateway, String> {
    Ok(Gateway {
        cores: cores.clone(),
        spinning: config.serving.spinning,
        predictor: Predictor::new(snapshots, config.admission.clone(), metrics.clone()),
        limits: config.limits.clone(),
        refusals: Refusals::new(config.refusals_max.saturating_mul(cores.total())),
        nonfinite: config.serving.nonfinite,
        log_requests: config.log.requests,
        tracer: Tracer::start(&config.telemetry)?,
        readiness: config.serving.readiness,
        phase,
        comparisons: Comparisons::new(
            config.compare.clone(),
            Some(monitors.labels.clone()),
            monitors.sample_log.as_ref().map(|log| log.answers().clone()),
        ),
        monitors,
        first_pass_ended: AtomicBool::new(false),
    })
}

/// What shadows are started with.
fn shadowing(config: &Config, gateway: &Gateway) -> Result<Shadowing, String> {
    // Nobody foresees which windows are without shadows.
    let seed = RandomState::new().hash_one(());
    Ok(Shadowing {
        metrics: gateway.predictor.metrics().clone(),
        admission: gateway.predictor.admission().clone(),
        observers: gateway.comparisons.clone(),
        limits: config.shadow.limits.clone(),
        windows: config.shadow.windows(seed).map_err(|e| e.to_string())?,
    })
}

/// Makes the policy of a configuration that was read again.
fn policies(
    config: &Config,
    registry: &Arc<dyn Registry>,
    engines: &Arc<Engines>,
    monitoring: &Arc<Monitoring>,
) -> Box<dyn Fn(&Config) -> Policy + Send + Sync> {
    let (registry, engines, monitoring) = (registry.clone(), engines.clone(), monitoring.clone());
    let (models, library) = (config.models.clone(), config.onnxruntime_library.clone());
    Box::new(move |config| {
        // These two count from a start on, for a trial as well.
        let (models, onnxruntime_library) = (models.clone(), library.clone());
        let config = Config { models, onnxruntime_library, ..config.clone() };
        control::policy(&config, &registry, &engines, &monitoring)
    })
}

/// Serves until told to stop, and drains.
async fn serve(
    config: &Config,
    source: Source,
    registry: Arc<dyn Registry>,
    engines: &Arc<Engines>,
) -> Result<End, String> {
    let ready_file = source.arguments.ready_file.clone();
    if let Some(file) = &ready_file {
        clear_ready_file(file)?;
    }
    let listeners = Listeners::bind(&config.listen)?;
    let addresses = listeners.addresses();
    let (phase, phases) = watch::channel(Phase::Serving);
    let (publisher, snapshots) = snapshot_cell();
    let mut instruments = Instruments::default();
    let metrics = Metrics::register(&mut instruments);
    let cores = Cores::new(config.serving.cores());
    let (monitors, profiling) = Monitors::start(config, &mut instruments)?;
    let gateway = Arc::new(gateway(config, snapshots, &metrics, &cores, monitors.clone(), phases)?);
    let admission = gateway.predictor.admission().clone();
    let memory = MemoryWatch::new(config.memory_max, admission, engines.clone(), &mut instruments);
    memory.start().map_err(|e| format!("cannot start the thread that watches memory: {e}"))?;
    let webhooks = Arc::new(Webhooks::start(&config.webhook, &mut instruments)?);
    let monitoring = Monitoring::new(monitors.parts());
    let policy = control::policy(config, &registry, engines, &monitoring);
    let shadowing = shadowing(config, &gateway)?;
    let comparisons = gateway.comparisons.clone();
    let ground = Ground { metrics, cores };
    let data_path = DataPath { ground, publisher, shadowing, comparisons, webhooks: webhooks.clone() };
    let (control, first_pass) =
        Control::start(config, config.state.as_deref(), policy, data_path, &mut instruments)?;
    let make_policy = policies(config, &registry, engines, &monitoring);
    let Source { arguments, effective, log_level } = source;
    let reload = Arc::new(Reload::new(arguments, effective, make_policy, log_level, &mut instruments));
    let (handle, experiments) = (control.handle().clone(), control.experiments().clone());
    let told = experiments.clone();
    let alerts = control.alerts().clone();
    let operators = crate::control::Control::new(handle, experiments, webhooks.clone(), alerts.clone());
    let keepers = monitors.keep(config, &gateway, control.handle(), &told, alerts, profiling)?;
    let threads = IoThreads::start(available_parallelism().map_or(1, NonZero::get), &gateway.cores);
    let threads = Arc::new(threads.map_err(|e| format!("cannot start the threads for connections: {e}"))?);
    let listening = listeners.serve(config, &gateway, &operators, &reload, instruments, &threads);
    let _reloading = reloading::on_hangup(reload, operators)?;
    let mut drain = Drain::new(phase, config.shutdown.clone())?;
    tokio::select! {
        () = drain.asked() => {}
        passed = first_pass => {
            let no_models = passed.map_err(|_| "the first pass over the registry did not end".to_owned())??;
            gateway.first_pass_ended.store(true, Ordering::Release);
            // Whoever closed the output does not want the table; serving goes on.
            let banner = banner::banner(&gateway, &no_models, engines, &addresses, config.state.as_deref());
            let _ = writeln!(std::io::stdout(), "{banner}");
            tokio::select! {
                () = drain.asked() => {}
                failed = tell_when_ready(&gateway, ready_file.as_deref(), &addresses) => failed?,
            }
        }
    }
    if let Some(file) = &ready_file {
        clear_ready_file(file)?;
    }
    keepers.ask_no_more();
    control.handle().drain();
    let in_time = drain.run(listening, gateway.first_pass_ended.load(Ordering::Acquire)).await;
    drop(control);
    // They write once more, which blocks.
    let _ = tokio::task::spawn_blocking(move || drop(keepers)).await;
    wait_for_workers(gateway.predictor.metrics()).await;
    // Its last tries block, and nothing tells of anything any more.
    let _ = tokio::task::spawn_blocking(move || webhooks.stop()).await;
    if let Some(tracer) = gateway.tracer.clone() {
        // The exporter runs on this runtime, so the flush has to wait elsewhere.
        let _ = tokio::task::spawn_blocking(move || tracer.flush()).await;
    }
    tracing::info!("stopped");
    Ok(if in_time { End::Done } else { End::Refused })
}

/// How long the workers may take to free their sessions once nothing is left to answer.
const WORKERS_TIMEOUT: Duration = Duration::from_secs(1);

/// Waits until every session is freed: what a runtime cleans up when the process exits must not be in
/// use. A run that outlasted the drain is not waited for.
async fn wait_for_workers(metrics: &Metrics) {
    let freed = async {
        while metrics.workers() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _ = tokio::time::timeout(WORKERS_TIMEOUT, freed).await;
}

/// How often readiness is looked at while a ready file waits for it.
const READY_POLL: Duration = Duration::from_millis(20);

/// Writes the ready file once the gateway is ready, and ends only where that fails.
async fn tell_when_ready(
    gateway: &Gateway,
    file: Option<&Path>,
    addresses: &Addresses,
) -> Result<(), String> {
    let Some(file) = file else { return std::future::pending().await };
    while !gateway.is_ready() {
        tokio::time::sleep(READY_POLL).await;
    }
    write_ready_file(file, addresses)?;
    std::future::pending().await
}

/// Takes away the file of an earlier run: its addresses are nobody's.
fn clear_ready_file(file: &Path) -> Result<(), String> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove the ready file {} of an earlier run: {e}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the addresses in one step, so that whoever waits for the file never reads half of it.
fn write_ready_file(file: &Path, addresses: &Addresses) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot write the ready file {}: {e}", file.display());
    let mut staged = PathBuf::from(file).into_os_string();
    staged.push(".new");
    std::fs::write(&staged, format!("{}\n", addresses.json())).map_err(failed)?;
    std::fs::rename(&staged, file).map_err(failed)
}
