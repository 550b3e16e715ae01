//! All steps together, over a directory and a scripted engine.

use std::sync::Arc;
use std::time::Duration;

use pointsman_core::{
    Batching, BatchingPolicy, DivisionPolicy, EngineChoice, LatencyPolicy, ModelName, QueueDelay, RunError,
    RunTime, SessionOptions, VersionNumber, WarmUp, WarmUpInputs,
};
use pointsman_registry::{Digest, DirectoryRegistry, Limits, Settings};

use super::{PATIENCE, Scripted, tensor};
use crate::loader::integer_division;
use crate::loader::{
    Beside, Gate, Gates, LoadFault, LoadJob, Loader, Quarantined, Trial, Tried, WorkerDefaults,
};
use crate::{Engines, Profiles};

/// Any model file that the look accepts: the scripted engine does not read it.
const MODEL: &[u8] = include_bytes!("../../../../../tests/models/identity.onnx");

pub(super) struct Rig {
    folder: tempfile::TempDir,
    pub(super) loader: Loader,
    pub(super) job: LoadJob,
}

impl Rig {
    pub(super) fn new(engine: Scripted) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("m/1")).expect("a folder");
        std::fs::write(folder.path().join("m/1/model.onnx"), MODEL).expect("a file");
        let registry = DirectoryRegistry::open(folder.path(), Limits::default()).expect("a registry");
        let loader = Loader {
            registry: Arc::new(registry),
            engines: Engines::new(vec![Arc::new(engine)]),
            engine: EngineChoice::Auto,
            session: SessionOptions::default(),
            workers: WorkerDefaults {
                workers: 3,
                queue_max: 1,
                queue_delay: QueueDelay::Off,
                inline: false,
                niceness: 0,
            },
            monitoring: None,
            gates: Gates { run_timeout: PATIENCE, ..Gates::default() },
            trial: None,
        };
        let job = LoadJob {
            model: ModelName::new("m").expect("a name"),
            number: VersionNumber::new(1).expect("a number"),
            settings: Settings::default(),
            bytes: MODEL.len() as u64,
            beside: None,
            profiles: Profiles::default(),
            quarantined: None,
        };
        Self { folder, loader, job }
    }

    /// With golden cases of two rows, which expect their sums.
    pub(super) fn golden(self) -> Self {
        let golden = r#"{"cases": [{"note": "two", "request": {"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}]},
            "expected": {"outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [3, 7]}]}}]}"#;
        std::fs::write(self.folder.path().join("m/1/golden.json"), golden).expect("a file");
        self
    }

    fn fault(&self) -> LoadFault {
        match self.loader.bring_up(&self.job) {
            Ok(_) => panic!("it came up"),
            Err(failure) => *failure.fault,
        }
    }
}

#[test]
fn a_version_with_golden_cases_is_checked_and_warmed_with_them() {
    let warm = Rig::new(Scripted::sum()).golden();
    let warm = warm.loader.bring_up(&warm.job).expect("a good version");
    let findings = warm.findings();
    assert_eq!(findings.golden, 1);
    assert_eq!(findings.batching, Batching::Checked { rows: 2, worst: 0.0 });
    assert_eq!(findings.warm_up, WarmUp { inputs: WarmUpInputs::Golden, sessions: 3, rows_max: 16 });
    assert!(findings.run_time().is_some_and(|run_time| run_time.runs > 0), "{findings:?}");
    assert_eq!(findings.warnings, [""; 0]);
    assert!(warm.digest().starts_with("sha256:"), "{}", warm.digest());
}

#[test]
fn a_bare_folder_is_warmed_with_zeros_and_says_so() {
    let mut rig = Rig::new(Scripted::sum());
    let warm = rig.loader.bring_up(&rig.job).expect("a good version");
    let findings = warm.findings();
    assert_eq!(findings.golden, 0);
    assert!(matches!(findings.batching, Batching::Unknown { .. }), "{findings:?}");
    assert_eq!(findings.warm_up, WarmUp { inputs: WarmUpInputs::Zeros, sessions: 3, rows_max: 1 });
    assert!(findings.warnings[0].contains("no golden.json"), "{findings:?}");
    // The card may allow it: then it is warmed with the sizes that will be used.
    rig.job.settings.batching = BatchingPolicy::Allow;
    rig.job.settings.max_batch_size = Some(4);
    let warm = rig.loader.bring_up(&rig.job).expect("a good version");
    assert_eq!(warm.findings().warm_up.rows_max, 4);
}

#[test]
fn a_model_that_refuses_zeros_serves_cold() {
    let picky = Scripted::new(|_, _| Err(RunError::Rejected("zeros".into())));
    let rig = Rig::new(picky);
    let warm = rig.loader.bring_up(&rig.job).expect("zeros decide nothing");
    assert_eq!(warm.findings().warm_up, WarmUp::default());
    assert_eq!(warm.findings().run_time(), None);
    assert!(
        warm.findings().warnings.iter().any(|w| w.starts_with("it was not warmed: a run (zeros) failed: ")),
        "{:?}",
        warm.findings()
    );
    // Golden cases do.
    let rig = rig.golden();
    let fault = rig.fault();
    assert!(matches!(&fault, LoadFault::Golden { index: 0, .. }), "{fault}");
    assert_eq!(fault.gate(), Gate::Golden);
}

#[test]
fn a_panic_is_a_refusal() {
    let rig = Rig::new(Scripted::new(|_, _| panic!("of the engine"))).golden();
    let fault = rig.fault();
    assert_eq!(
        (fault.gate(), fault.to_string()),
        (Gate::Golden, "golden case 0 (two): the engine panicked".into())
    );
}

#[test]
fn a_run_without_an_end_is_ended_or_left_behind() {
    for interruptible in [true, false] {
        let mut rig = Rig::new(Scripted { interruptible, ..Scripted::endless() });
        rig.loader.gates.run_timeout = Duration::from_millis(20);
        let fault = rig.fault();
        assert_eq!(fault.gate(), Gate::WarmUp, "{fault}");
        assert!(fault.to_string().contains("its first run (zeros) took longer than 20ms"), "{fault}");
    }
    let mut rig = Rig::new(Scripted::endless()).golden();
    rig.loader.gates.run_timeout = Duration::from_millis(20);
    assert_eq!(rig.fault().gate(), Gate::Golden);
}

#[test]
fn a_slower_version_is_warned_of_or_refused() {
    let slow = Scripted::new(|x, rows| {
        let from = std::time::Instant::now();
        while from.elapsed() < Duration::from_millis(1) {}
        Ok(vec![tensor(&[rows], x.chunks(2).map(|row| row[0] + row[1]).collect())])
    });
    let mut rig = Rig::new(slow).golden();
    let beside = |micros| {
        let run_time = RunTime { median: Duration::from_micros(micros), spread: Duration::ZERO, runs: 30 };
        Some(Beside { run_time: Some(run_time) })
    };
    let warnings =
        |rig: &Rig| rig.loader.bring_up(&rig.job).expect("a good version").findings().warnings.clone();
    rig.job.beside = beside(60_000_000);
    assert_eq!(warnings(&rig), [""; 0], "it is faster");
    rig.job.beside = Some(Beside::default());
    assert_eq!(warnings(&rig), [""; 0], "nothing to compare with");
    rig.job.beside = beside(10);
    assert!(warnings(&rig)[0].contains("more than 2 times the 10µs"), "{:?}", warnings(&rig));
    rig.loader.gates.latency = LatencyPolicy::Refuse;
    let fault = rig.fault();
    assert_eq!(fault.gate(), Gate::Latency);
    assert!(fault.to_string().contains("gates.latency_ratio_max"), "{fault}");
    rig.loader.gates.latency = LatencyPolicy::Off;
    assert_eq!(warnings(&rig), [""; 0]);
}

#[test]
fn a_load_for_which_there_is_no_memory_does_not_begin() {
    let mut rig = Rig::new(Scripted::sum());
    rig.job.bytes = 1 << 50;
    let fault = rig.fault();
    assert_eq!((fault.gate(), fault.is_transient(), fault.is_incomplete()), (Gate::Memory, true, false));
    // Nor one that would leave less than the reserve.
    rig.job.bytes = MODEL.len() as u64;
    rig.loader.gates.memory_reserve = 1 << 50;
    assert_eq!(rig.fault().gate(), Gate::Memory);
    rig.job.bytes = 0;
    assert_eq!(rig.fault().gate(), Gate::Memory, "known once it is read");
}

#[test]
fn a_model_that_divides_what_callers_give_is_refused_where_that_is_deadly() {
    // Of the file, which the scripted engine does not read.
    let mut rig = Rig::new(Scripted { dies_of_division: true, ..Scripted::sum() });
    let read = rig.loader.registry.read(&rig.job.model, rig.job.number).expect("files");
    let of = |operators: &[String], rig: &Rig| {
        integer_division::check("onnxruntime", true, operators, &rig.loader.gates, &rig.job.settings)
    };
    assert_eq!(of(&read.onnx.integer_division, &rig), Ok(()), "it divides nothing");
    let divides = ["ratio".to_owned()];
    let fault = of(&divides, &rig).expect_err("it may die");
    assert_eq!((fault.gate(), fault.is_transient()), (Gate::IntegerDivision, false));
    rig.job.settings.integer_division = Some(DivisionPolicy::Allow);
    assert_eq!(of(&divides, &rig), Ok(()));
    rig.job.settings.integer_division = None;
    rig.loader.gates.integer_division = DivisionPolicy::Allow;
    assert_eq!(of(&divides, &rig), Ok(()));
    rig.job.settings.integer_division = Some(DivisionPolicy::Refuse);
    assert!(of(&divides, &rig).is_err(), "the card comes before the configuration");
    let harmless = integer_division::check("tract", false, &divides, &rig.loader.gates, &rig.job.settings);
    assert_eq!(harmless, Ok(()), "an engine that wraps around");
}

#[test]
fn missing_and_half_copied_files_are_incomplete() {
    let rig = Rig::new(Scripted::sum());
    std::fs::write(rig.folder.path().join("m/1/model.onnx"), &MODEL[..MODEL.len() / 2]).expect("a file");
    let fault = rig.fault();
    assert_eq!((fault.gate(), fault.is_incomplete()), (Gate::Onnx, true), "{fault}");
    std::fs::remove_file(rig.folder.path().join("m/1/model.onnx")).expect("it is there");
    let fault = rig.fault();
    assert_eq!((fault.gate(), fault.is_incomplete()), (Gate::Registry, true), "{fault}");
}

/// A trial that answers with this.
struct Answers(Result<Tried, LoadFault>);

impl Trial for Answers {
    fn attempt(&self, _: &LoadJob) -> Result<Tried, LoadFault> {
        self.0.clone()
    }
}

#[test]
fn what_was_tried_is_what_is_loaded() {
    let mut rig = Rig::new(Scripted::sum()).golden();
    let digest = rig.loader.registry.read(&rig.job.model, rig.job.number).expect("files").digest;
    let other = Digest::parse(&format!("sha256:{}", "0".repeat(64))).expect("a digest");
    let mut tried = |answer| {
        rig.loader.trial = Some(Arc::new(Answers(answer)));
        rig.loader.bring_up(&rig.job).map(|warm| warm.findings().clone()).map_err(|failure| *failure.fault)
    };
    let passed = |digest| Ok(Tried { digest, unbatched: None });
    assert!(tried(passed(digest)).expect("the same files").batching.is_batched());
    let changed = tried(passed(other)).expect_err("other files");
    assert_eq!((changed.gate(), changed.is_incomplete()), (Gate::Trial, true), "{changed}");
    let crashed = tried(Err(LoadFault::Trial("signal 8".into()))).expect_err("a crash");
    assert_eq!((crashed.gate(), crashed.is_transient()), (Gate::Trial, false));
    // What ran over a limit there is not run here.
    let unbatched = Batching::Unknown { reason: "16 rows together cannot be run".into() };
    let findings = tried(Ok(Tried { digest, unbatched: Some(unbatched.clone()) })).expect("it serves");
    assert_eq!((&findings.batching, findings.warm_up.rows_max), (&unbatched, 1));
}

#[test]
fn files_that_failed_again_and_again_are_known_by_their_digest() {
    let picky = Scripted::new(|_, _| Err(RunError::Failed("always".into())));
    let mut rig = Rig::new(picky).golden();
    let failure = rig.loader.bring_up(&rig.job).err().expect("its golden case fails");
    assert_eq!(failure.fault.gate(), Gate::Golden);
    let contents = failure.contents.expect("they were read").to_string();
    let known =
        |contents: &str| Some(Quarantined { contents: contents.into(), reason: "it failed 5 times".into() });
    rig.job.quarantined = known(&contents);
    assert_eq!(rig.fault(), LoadFault::Quarantined("it failed 5 times".into()));
    rig.job.quarantined = known("sha256:others");
    assert_eq!(rig.fault().gate(), Gate::Golden);
    // Other golden cases may be passed by the same model.
    rig.job.quarantined = known(&contents);
    let golden = rig.folder.path().join("m/1/golden.json");
    let cases = std::fs::read_to_string(&golden).expect("golden cases").replace("two", "corrected");
    std::fs::write(&golden, cases).expect("written");
    assert_eq!(rig.fault().gate(), Gate::Golden);
}
