//! The trial: a child process brings a version up under limits, so that a model that crashes, hangs or eats
//! memory does so there. [`ChildTrial`] is the gateway's side, [`run`] the child's.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use pointsman_control::loader::{Gate, LoadFault, LoadJob, Trial, TrialRefusal, Tried, Warm};
use pointsman_control::{Loader, Profiles};
use pointsman_core::{Batching, DivisionPolicy, EngineChoice, LatencyPolicy, ModelName, VersionNumber};
use pointsman_registry::{Digest, DirectoryRegistry, Limits, Registry};
use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use serde_json::{Value, json};

use crate::End;
use crate::child::{self, ChildFault, Ended};
use crate::cli;
use crate::config::Config;
use crate::engines::Engines;

/// Tries versions as the configuration says.
pub(crate) struct ChildTrial {
    config: Config,
}

impl ChildTrial {
    /// Nothing where the configuration does not ask for it.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Option<Self> {
        config.trial.enabled.then(|| Self { config: config.clone() })
    }

    fn command(&self, job: &LoadJob) -> Command {
        let Config { trial, serving, gates, .. } = &self.config;
        let mut command = child::this_binary();
        command.arg("trial-load");
        let mut option = |name: &str, value: &str| {
            command.arg(format!("--{name}={value}"));
        };
        option("gateway", &std::process::id().to_string());
        option("memory-max", &trial.memory_max.to_string());
        option("seconds-max", &seconds_max(trial.timeout, serving.intra_op_threads).to_string());
        option("engine", serving.engine.name());
        option("intra-op-threads", &serving.intra_op_threads.to_string());
        option("integer-division", gates.integer_division.name());
        if let Some(library) = &self.config.onnxruntime_library {
            command.arg("--onnxruntime").arg(library);
        }
        command.arg("--").arg(&self.config.models).arg(job.model.as_str()).arg(job.number.to_string());
        // mimalloc takes a GiB of address space at the start, which would count as written to.
        command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
        command
    }
}

/// Seconds of a processor that so many threads can take in this time, and one more. The limit ends a child
/// that nobody waits for any longer.
fn seconds_max(timeout: Duration, threads: usize) -> u64 {
    timeout.as_secs().saturating_add(1).saturating_mul(threads as u64)
}

impl Trial for ChildTrial {
    fn attempt(&self, job: &LoadJob) -> Result<Tried, LoadFault> {
        let timeout = self.config.trial.timeout;
        let ended = child::run(&mut self.command(job), timeout).map_err(|fault| match fault {
            ChildFault::NotStarted(reason) => {
                LoadFault::Threads(format!("the process of the trial does not start: {reason}"))
            }
            ChildFault::TooLong => LoadFault::Trial(format!(
                "it took longer than {timeout:?} and was ended; the model may never end, or trial.timeout is too short"
            )),
        })?;
        verdict(&ended)
    }
}

/// What the end of the child means.
fn verdict(ended: &Ended) -> Result<Tried, LoadFault> {
    let said = ended.stdout.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    match said.filter(|_| ended.status.success()) {
        Some(said) => {
            read(&said).unwrap_or_else(|| Err(LoadFault::Trial("its verdict makes no sense".into())))
        }
        None => Err(LoadFault::Trial(crash(ended.status, &ended.stderr))),
    }
}

/// How a child ended that said nothing.
fn crash(status: ExitStatus, stderr: &str) -> String {
    // The last words of Rust's allocator, before it aborts.
    if stderr.contains("memory allocation of") {
        return "it took more memory than trial.memory_max; the model is too large, or the limit too low"
            .into();
    }
    let what = match status.signal() {
        Some(4) => "signal 4 (an instruction that the processor does not know)",
        Some(6) => "signal 6 (it gave up)",
        Some(7) => "signal 7 (a bus error)",
        Some(8) => "signal 8 (a division that the processor cannot do)",
        Some(9) => "signal 9 (it was killed, perhaps because memory ran out)",
        Some(11) => "signal 11 (memory that is not there)",
        Some(24) => "signal 24 (it took more time of a processor than trial.timeout)",
        Some(_) => "a signal",
        None => return "its process ended without a verdict".into(),
    };
    format!("its process died of {what}; the model would have ended the gateway")
}

/// The child's verdict, as [`as_json`] writes it; nothing where it is something else.
fn read(said: &Value) -> Option<Result<Tried, LoadFault>> {
    if let Some(digest) = said["digest"].as_str() {
        let what = || Some(said["batching"]["what"].as_str()?.to_owned());
        let unbatched = match said["batching"]["finding"].as_str() {
            None => None,
            Some("disagrees") => Some(Batching::Disagrees { what: what()? }),
            Some("unfit") => Some(Batching::Unfit { what: what()? }),
            Some("forbidden") => Some(Batching::Forbidden),
            Some(_) => Some(Batching::Unknown { reason: what()? }),
        };
        return Some(Ok(Tried { digest: Digest::parse(digest)?, unbatched }));
    }
    Some(Err(LoadFault::Tried(TrialRefusal {
        gate: Gate::parse(said["gate"].as_str()?)?,
        reason: said["reason"].as_str()?.to_owned(),
        incomplete: said["incomplete"].as_bool()?,
        transient: said["transient"].as_bool()?,
    })))
}

/// What the child says: one line.
fn as_json(tried: &Result<Tried, LoadFault>) -> Value {
    match tried {
        Ok(Tried { digest, unbatched }) => {
            let batching = unbatched.as_ref().map(|batching| {
                let what = match batching {
                    Batching::Disagrees { what } | Batching::Unfit { what } => what,
                    Batching::Unknown { reason } => reason,
                    Batching::Checked { .. } | Batching::Allowed { .. } | Batching::Forbidden => "",
                };
                json!({"finding": batching.name(), "what": what})
            });
            json!({"digest": digest.to_string(), "batching": batching})
        }
        Err(fault) => json!({
            "gate": fault.gate().name(), "reason": fault.to_string(),
            "incomplete": fault.is_incomplete(), "transient": fault.is_transient(),
        }),
    }
}

/// `pointsman trial-load`.
pub(crate) fn run(arguments: &cli::TrialLoad) -> End {
    let tried = limit(arguments).and_then(|()| attempt(arguments));
    println!("{}", as_json(&tried));
    End::Done
}

/// Limits this process, before it does anything else.
fn limit(arguments: &cli::TrialLoad) -> Result<(), LoadFault> {
    let failed = |e: rustix::io::Errno| LoadFault::Trial(format!("its process cannot be limited: {e}"));
    // Killed with the gateway, it leaves nothing behind.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    let parent = getppid().map(|parent| parent.as_raw_nonzero().get());
    if parent != i32::try_from(arguments.gateway).ok() {
        return Err(LoadFault::Trial("its gateway has gone".into()));
    }
    let at_most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    // Memory that is only set aside counts for the address space, and not here.
    setrlimit(Resource::Data, at_most(arguments.memory_max)).map_err(failed)?;
    setrlimit(Resource::Cpu, at_most(arguments.seconds_max)).map_err(failed)?;
    setrlimit(Resource::Core, at_most(0)).map_err(failed)
}

/// The gateway's own steps, with one worker.
fn attempt(arguments: &cli::TrialLoad) -> Result<Tried, LoadFault> {
    let misread = |what: &str| LoadFault::Trial(format!("its process does not understand its {what}"));
    let model = ModelName::new(&arguments.model).map_err(|_| misread("model"))?;
    let number = VersionNumber::new(arguments.number).ok_or_else(|| misread("version"))?;
    let mut config = Config { models: arguments.models.clone(), ..Config::default() };
    config.serving.engine = EngineChoice::parse(&arguments.engine).ok_or_else(|| misread("engine"))?;
    config.serving.intra_op_threads = arguments.intra_op_threads;
    config.serving.workers = Some(1);
    config.gates.integer_division =
        DivisionPolicy::parse(&arguments.integer_division).ok_or_else(|| misread("policy"))?;
    config.gates.latency = LatencyPolicy::Off;
    config.onnxruntime_library.clone_from(&arguments.onnxruntime);

    let registry = DirectoryRegistry::open(&config.models, Limits::default());
    let registry = registry.map_err(|e| LoadFault::Trial(e.to_string()))?;
    let scan = registry.scan().map_err(|e| LoadFault::Trial(e.to_string()))?;
    let listing = scan.models.iter().find(|listing| listing.name == model);
    let mut settings = listing.ok_or(LoadFault::ChangedAfterTrial)?.settings();
    settings.workers = Some(1);
    let engines = Engines::find(config.onnxruntime_library.clone());
    let loader: Loader = crate::loader::loader(&config, Arc::new(registry), &engines);
    let profiles = Profiles::default();
    let job = LoadJob { model, number, settings, bytes: 0, beside: None, profiles, quarantined: None };
    passed(&loader.bring_up(&job).map_err(|failure| *failure.fault)?)
}

/// A version that nobody trusts has to show a run within the limits: what it does in one is not known otherwise.
fn passed(warm: &Warm) -> Result<Tried, LoadFault> {
    let findings = warm.findings();
    if findings.warm_up.sessions == 0 {
        let why = findings.warnings.last().map(String::as_str).unwrap_or_default();
        let reason = format!(
            "in the trial load {why}; raise trial.memory_max, or give it golden cases that it can run (golden.json)"
        );
        let (gate, incomplete, transient) = (Gate::WarmUp, false, false);
        return Err(LoadFault::Tried(TrialRefusal { gate, reason, incomplete, transient }));
    }
    let digest = Digest::parse(warm.digest());
    let digest = digest.ok_or_else(|| LoadFault::Trial("its files have no digest".into()))?;
    let batching = &findings.batching;
    Ok(Tried { digest, unbatched: (!batching.is_batched()).then(|| batching.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::parse(&format!("sha256:{}", "a".repeat(64))).expect("a digest")
    }

    #[test]
    fn verdicts_round_trip() {
        let text = || "no: \"x\"".to_owned();
        for unbatched in [
            None,
            Some(Batching::Forbidden),
            Some(Batching::Disagrees { what: text() }),
            Some(Batching::Unfit { what: text() }),
            Some(Batching::Unknown { reason: text() }),
        ] {
            let tried = Ok(Tried { digest: digest(), unbatched });
            assert_eq!(read(&as_json(&tried)), Some(tried));
        }
        let fault = LoadFault::Golden { index: 1, note: "n".into(), what: "w".into() };
        let expected = LoadFault::Tried(TrialRefusal {
            gate: Gate::Golden,
            reason: fault.to_string(),
            incomplete: false,
            transient: false,
        });
        assert_eq!(read(&as_json(&Err(fault))), Some(Err(expected)));
    }

    #[test]
    fn other_words_and_other_ends_are_no_verdict() {
        let ended = |code, stdout: &str, stderr: &str| {
            let ended =
                Ended { status: ExitStatus::from_raw(code), stdout: stdout.into(), stderr: stderr.into() };
            verdict(&ended).expect_err("no pass").to_string()
        };
        let passed = as_json(&Ok(Tried { digest: digest(), unbatched: None })).to_string();
        assert!(ended(8, "", "").contains("signal 8 (a division"));
        assert!(ended(8, &passed, "").contains("signal 8"), "it died after its verdict");
        assert!(ended(6, "", "memory allocation of 99 bytes failed\n").contains("trial.memory_max"));
        assert!(ended(0, "", "").contains("without a verdict"));
        assert!(ended(1 << 8, &passed, "").contains("without a verdict"));
        assert!(ended(0, "{}", "").contains("makes no sense"));
        assert!(ended(0, r#"{"digest": "sha256:1"}"#, "").contains("makes no sense"));
    }

    #[test]
    fn seconds_of_a_processor_cover_all_threads() {
        assert_eq!(seconds_max(Duration::from_millis(1500), 1), 2);
        assert_eq!(seconds_max(Duration::from_secs(60), 4), 244);
        assert_eq!(seconds_max(Duration::MAX, 2), u64::MAX);
    }
}
