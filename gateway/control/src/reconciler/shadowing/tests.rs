//! Which shadows go on, which begin and which end.

use std::cell::Cell;
use std::io;
use std::sync::Mutex;

use pointsman_core::{
    Findings, Interrupt, LoadError, LoadedModel, Pair, RunError, RunInputs, RunOutputs, Session, Signature,
    VersionNumber,
};
use pointsman_predict::{AdmissionLimits, Cores, Ground, RunLimits, Sessions, VersionSpec};
use pointsman_route::{Document, Salts, Settled, Split, Standing, Versions};

use super::*;

/// Takes nothing and gives nothing.
struct Empty;

impl Session for Empty {
    fn run(&mut self, _: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        Ok(Vec::new())
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Self)
    }
}

impl Interrupt for Empty {
    fn terminate(&self) {}

    fn reset(&self) {}
}

impl LoadedModel for Empty {
    fn signature(&self) -> &Signature {
        unreachable!("the version has its own")
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(Self))
    }
}

/// Notes which tees have ended, by their primary and how many shadows they had.
#[derive(Default)]
struct Noted(Mutex<Vec<(u64, usize)>>);

struct Deaf;

impl Observer for Deaf {
    fn paired(&self, _: &Pair<'_>) {}
}

impl Observers for Noted {
    fn observer(&self, _: &Version, _: &Version) -> Arc<dyn Observer> {
        Arc::new(Deaf)
    }

    fn ended(&self, tee: &Tee) {
        let primary = tee.primary().spec().number.get();
        self.0.lock().expect("no test panics with it").push((primary, tee.shadows().len()));
    }
}

fn number(number: u64) -> VersionNumber {
    VersionNumber::new(number).expect("above zero")
}

struct Rig {
    noted: Arc<Noted>,
    shadowing: Shadowing,
    ground: Ground,
    shadows: Shadows,
}

impl Rig {
    fn new() -> Self {
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let noted = Arc::new(Noted::default());
        let windows = Windows::new(1, Instant::now(), Windows::LENGTH, 0.0, Duration::ZERO);
        let shadowing = Shadowing {
            metrics: metrics.clone(),
            admission: Admission::new(AdmissionLimits::default()),
            observers: noted.clone(),
            limits: ShadowLimits::default(),
            windows: windows.expect("windows"),
        };
        let ground = Ground { metrics, cores: Cores::new(1) };
        Self { noted, shadowing, ground, shadows: Shadows::default() }
    }

    fn version(&self, of: u64) -> Arc<Version> {
        let spec = VersionSpec {
            model: ModelName::new("m").expect("a name"),
            number: number(of),
            signature: Arc::default(),
            engine: "none",
            digest: String::new(),
            queue_max: 1,
            request_rows_max: None,
            limits: RunLimits::default(),
            cache_bytes_max: None,
            nonfinite: None,
            findings: Arc::new(Findings::default()),
            validator: None,
            monitor: None,
        };
        let sessions = Sessions { workers: vec![Box::new(Empty)], inline: None };
        Version::start(spec, Box::new(Empty), sessions, Arc::new(()), &self.ground).expect("a thread")
    }

    /// Follows, and gives the shadows that run and those that were started for it.
    fn follow(&mut self, primary: Option<&Arc<Version>>, wanted: &[Wanted]) -> (Vec<Arc<Shadow>>, usize) {
        let started = Cell::new(0);
        let shadowing = &self.shadowing;
        self.shadows.follow(primary, wanted, shadowing, |spec| {
            started.set(started.get() + 1);
            shadowing.start(spec)
        });
        let running = self.shadows.tee.as_ref().map(|tee| tee.shadows().to_vec()).unwrap_or_default();
        (running, started.get())
    }

    fn ended(&self) -> Vec<(u64, usize)> {
        std::mem::take(&mut *self.noted.0.lock().expect("no test panics with it"))
    }
}

/// A shadow as a plan has it.
fn sees(name: &str, version: u64, more: &str) -> pointsman_route::Shadow {
    let plan = format!("[[shadows]]\nname = \"{name}\"\nversion = {version}\n{more}\n");
    let settled = Settled::new("m", Document::from_toml(&plan).expect("a plan"), &Salts::new());
    let versions = Versions { aliases: &Default::default(), standing: &|_| Standing::Warm };
    let split = Split::compile(&settled.expect("settled"), &versions).expect("a split");
    split.all_shadows().next().expect("one").clone()
}

#[test]
fn what_has_not_changed_goes_on_and_the_rest_ends() {
    let mut rig = Rig::new();
    let (one, two, three) = (rig.version(1), rig.version(2), rig.version(3));
    let (dark, dim) = (sees("dark", 2, "share = 50"), sees("dim", 3, "share = 50"));
    let both = [(dark.clone(), two.clone()), (dim.clone(), three.clone())];
    let (first, started) = rig.follow(Some(&one), &both);
    assert_eq!((first.len(), started), (2, 2));
    let tee = rig.shadows.tee.clone().expect("a tee");
    // Published again for whatever reason: all is as it was.
    let (_, started) = rig.follow(Some(&one), &both);
    assert_eq!(started, 0);
    assert!(rig.shadows.tee.as_ref().is_some_and(|now| Arc::ptr_eq(now, &tee)));
    assert_eq!(rig.ended(), []);
    // One goes, and the other is the same.
    let (left, started) = rig.follow(Some(&one), &both[1..]);
    assert!(started == 0 && left.len() == 1 && Arc::ptr_eq(&left[0], &first[1]));
    assert_eq!(rig.ended(), [(1, 2)]);
    // A share, a floor, another load of the version or of the primary: each begins anew.
    let changes = [
        (&one, sees("dim", 3, "share = 60"), &three),
        (&one, sees("dim", 3, "share = 60\nfloor = true"), &three),
        (&one, sees("dim", 3, "share = 60\nfloor = true\nsalt_version = 2"), &three),
        (&one, sees("dim", 3, "share = 60\nfloor = true\nsalt_version = 2"), &rig.version(3)),
        (&rig.version(1), sees("dim", 3, "share = 60\nfloor = true\nsalt_version = 2"), &three),
    ];
    for (primary, sees, version) in changes {
        let (running, started) = rig.follow(Some(primary), &[(sees.clone(), version.clone())]);
        assert_eq!((running.len(), started), (1, 1));
        assert!(running[0].seen() == &sees && Arc::ptr_eq(running[0].version(), version));
        assert_eq!(rig.ended(), [(1, 1)]);
    }
    // Nothing that serves, or nothing that is wanted: nothing runs.
    let (running, started) = rig.follow(None, &both);
    assert_eq!((running.len(), started), (0, 0));
    assert!(rig.shadows.tee.is_none());
    assert_eq!(rig.ended(), [(1, 1)]);
    assert_eq!(rig.follow(Some(&one), &both).1, 2);
    assert_eq!(rig.follow(Some(&one), &[]).1, 0);
    assert_eq!(rig.ended(), [(1, 2)]);
    assert!(rig.shadows.tee.is_none() && rig.shadows.lost.is_empty());
}

#[test]
fn what_cannot_be_started_is_said_and_the_others_run() {
    let mut rig = Rig::new();
    let (one, two, three) = (rig.version(1), rig.version(2), rig.version(3));
    let wanted = [(sees("dark", 2, "share = 50"), two), (sees("dim", 3, "share = 50"), three)];
    let shadowing = &rig.shadowing;
    let fails = |spec: ShadowSpec| match &*spec.sees.name {
        "dark" => Err(io::Error::from(io::ErrorKind::WouldBlock)),
        _ => shadowing.start(spec),
    };
    rig.shadows.follow(Some(&one), &wanted, shadowing, fails);
    assert_eq!(rig.shadows.tee.as_ref().map(|tee| tee.shadows().len()), Some(1));
    let [line] = &rig.shadows.lost[..] else { panic!("{:?}", rig.shadows.lost) };
    assert!(line.starts_with("shadow \"dark\" of version 2 does not run: "), "{line}");
    assert!(rig.shadows.retry_at.is_some());
    // Tried again, it runs, and the other one goes on.
    let other = rig.shadows.tee.as_ref().map(|tee| tee.shadows()[0].clone()).expect("one runs");
    let (running, started) = rig.follow(Some(&one), &wanted);
    assert!(started == 1 && running.len() == 2 && Arc::ptr_eq(&running[1], &other));
    assert!(rig.shadows.lost.is_empty() && rig.shadows.retry_at.is_none());
}
