//! Which versions have settled: judged over several looks, without a clock or a file.
//!
//! A version that is being copied must not be loaded half. These are the rules; the first three are
//! of one look ([`Registry::scan`](crate::Registry::scan)), the others take several ([`Settling`]).
//!
//! 1. A tombstone in its folder withdraws a version, whatever else is there.
//! 2. Without its model file, without a file that its manifest lists, or with a manifest of no bytes
//!    (as a copy over an older one begins), a version is unsettled, and says which file it is.
//! 3. Without a manifest that lists its files (`[files]`), what a copy leaves that is not finished
//!    ([`Traces::unfinished`](crate::Traces)) keeps it unsettled: the file which that would have become
//!    may be missing, or be an older one.
//! 4. With such a manifest it is complete at once, for reading it holds every file against its digest.
//!    Yet while there are unfinished files it waits until they have been as they are for ten times
//!    the settle time; after that they count as left behind and are named in a warning.
//! 5. Without one it is complete once nothing in its folder has changed for the settle time.
//!
//! A change is another [`Stamp`]. That includes times of change, which no tool can set, so that files
//! copied with their old times of writing count as new. How long something is unchanged is measured
//! from the first look that saw it so, by the monotonic clock: clocks that are set, and time stamps
//! from the future, shorten nothing. Only in the very first look may time stamps that are older than
//! the settle time by the wall clock stand in for that, so that a start does not wait.
//!
//! A version that is gone in one look and there in the next begins anew. A scan that fails says
//! nothing and changes nothing here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::{ModelName, VersionNumber};

use crate::listing::{FolderState, Scan, VersionListing};
use crate::problem::Problem;
use crate::stamp::Stamp;

/// For how many settle times unfinished files have to be as they are to count as left behind.
const STALE: u32 = 10;

/// What was seen of each version so far.
#[derive(Clone, Debug, Default)]
pub struct Settling {
    versions: BTreeMap<(ModelName, VersionNumber), Seen>,
    looked: bool,
}

/// What was seen of one version.
#[derive(Clone, Debug)]
struct Seen {
    folder: Quiet,
    unfinished: Option<Quiet>,
}

/// Something that is as it is.
#[derive(Clone, Debug)]
struct Quiet {
    stamp: Stamp,
    /// The first look that saw it so.
    since: Instant,
    /// How long it had been so before, by its time stamps.
    before: Duration,
}

/// A look at the registry.
#[derive(Clone, Copy)]
struct Look {
    now: Instant,
    /// The wall clock, where time stamps may be held against it.
    wall: Option<SystemTime>,
    settle: Duration,
}

impl Settling {
    /// Marks the versions of `scan` that have not settled as unsettled, and says when to look again
    /// for the first of them to have; nothing where none is waited for.
    ///
    /// `now` and `wall` are the clocks' times of the scan, `settle` for how long a version has to be
    /// unchanged.
    pub fn settle(
        &mut self,
        scan: &mut Scan,
        now: Instant,
        wall: SystemTime,
        settle: Duration,
    ) -> Option<Instant> {
        let look = Look { now, wall: (!self.looked).then_some(wall), settle };
        let mut before = std::mem::take(&mut self.versions);
        self.looked = true;
        let mut next: Option<Instant> = None;
        for model in &mut scan.models {
            for version in &mut model.versions {
                let key = (model.name.clone(), version.number);
                let seen = Seen::of(version, before.remove(&key), &look);
                match seen.wait(&model.name, version, &look) {
                    Wait::Done => {}
                    Wait::Stale(warning) => model.warnings.push(warning),
                    Wait::Until(at, reason) => {
                        version.folder = FolderState::Unsettled { reason: reason.to_string() };
                        next = next.into_iter().chain(at).min();
                    }
                }
                self.versions.insert(key, seen);
            }
        }
        next
    }
}

/// What is still to be waited for.
enum Wait {
    /// Nothing.
    Done,
    /// Nothing any more.
    Stale(Problem),
    /// This moment, which may be further off than the clock goes, and why.
    Until(Option<Instant>, Problem),
}

impl Seen {
    fn of(version: &VersionListing, earlier: Option<Self>, look: &Look) -> Self {
        let (folder, unfinished) = match earlier {
            Some(earlier) => (Some(earlier.folder), earlier.unfinished),
            None => (None, None),
        };
        let traces = &version.traces;
        Self {
            folder: look.go_on(folder, version.stamp, traces.newest),
            unfinished: traces.unfinished.as_ref().map(|u| look.go_on(unfinished, u.stamp, u.newest)),
        }
    }

    fn wait(&self, model: &ModelName, version: &VersionListing, look: &Look) -> Wait {
        if version.folder != FolderState::Complete {
            return Wait::Done; // it is withdrawn, or lacks something that only a change can bring
        }
        let settle = look.settle;
        if !version.traces.proven {
            let what = format!("has not been unchanged for {settle:?} yet");
            let remedy = "wait until its copy is complete, or list its files in manifest.toml";
            return match look.left(&self.folder, settle) {
                Some(at) => {
                    let file = format!("{model}/{}", version.number);
                    Wait::Until(at, Problem::new(&file, what, remedy))
                }
                None => Wait::Done,
            };
        }
        let (Some(quiet), Some(unfinished)) = (&self.unfinished, &version.traces.unfinished) else {
            return Wait::Done;
        };
        let stale = settle.saturating_mul(STALE);
        match look.left(quiet, stale) {
            Some(at) => {
                let what =
                    format!("belongs to an unfinished copy, and has changed within the last {stale:?}");
                Wait::Until(at, Problem::new(&unfinished.file, what, "finish the copy, or remove it"))
            }
            None => {
                let what = "is what an unfinished copy or an editor leaves";
                Wait::Stale(Problem::new(&unfinished.file, what, "remove it"))
            }
        }
    }
}

impl Look {
    /// What is known of something after this look.
    fn go_on(&self, earlier: Option<Quiet>, stamp: Stamp, newest: Option<SystemTime>) -> Quiet {
        match earlier {
            Some(quiet) if quiet.stamp == stamp => quiet,
            _ => {
                // A time stamp from the future gives no age.
                let age = self.wall.zip(newest).and_then(|(wall, newest)| wall.duration_since(newest).ok());
                let before = age.filter(|&age| age >= self.settle).unwrap_or_default();
                Quiet { stamp, since: self.now, before }
            }
        }
    }

    /// The moment from which something will have been as it is for `wait`; nothing where it has.
    fn left(&self, quiet: &Quiet, wait: Duration) -> Option<Option<Instant>> {
        let so_far = self.now.saturating_duration_since(quiet.since).saturating_add(quiet.before);
        let left = wait.saturating_sub(so_far);
        (!left.is_zero()).then(|| self.now.checked_add(left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::card::Card;
    use crate::listing::{ModelListing, Traces, Unfinished};

    const SETTLE: Duration = Duration::from_secs(2);
    /// A day whose wall clock is far from both ends of time.
    const DAY: Duration = Duration::from_secs(86_400);

    /// A version's folder, in milliseconds of a test's own time.
    #[derive(Clone, Debug)]
    struct Folder {
        stamp: u64,
        changed: u64,
        proven: bool,
        unfinished: Option<(u64, u64)>,
    }

    impl Folder {
        fn listing(&self, wall: impl Fn(u64) -> SystemTime) -> VersionListing {
            VersionListing {
                number: VersionNumber::new(3).expect("above zero"),
                stamp: Stamp::new(self.stamp),
                bytes: 0,
                folder: FolderState::Complete,
                traces: Traces {
                    proven: self.proven,
                    newest: Some(wall(self.changed)),
                    unfinished: self.unfinished.map(|(stamp, changed)| Unfinished {
                        file: "iris/3/.model.onnx.Ab3dEf".into(),
                        stamp: Stamp::new(stamp),
                        newest: Some(wall(changed)),
                    }),
                },
            }
        }
    }

    fn scan(version: Option<VersionListing>) -> Scan {
        let model = ModelListing {
            name: ModelName::new("iris").expect("a name"),
            card: Card::default(),
            config: None,
            schema: None,
            versions: version.into_iter().collect(),
            tombstone: false,
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        Scan { models: vec![model], problems: Vec::new() }
    }

    /// Looks at folders as a test's own time goes by.
    struct Rig {
        settling: Settling,
        start: Instant,
        /// By how many milliseconds the wall clock is ahead of the time stamps.
        ahead: i64,
    }

    impl Rig {
        fn new() -> Self {
            Self { settling: Settling::default(), start: Instant::now(), ahead: 0 }
        }

        fn look(&mut self, folder: Option<&Folder>, ms: u64) -> (Scan, Option<u64>) {
            let wall = |ms| SystemTime::UNIX_EPOCH + DAY + Duration::from_millis(ms);
            let mut scan = scan(folder.map(|folder| folder.listing(wall)));
            let at = self.start + Duration::from_millis(ms);
            let clock = wall(ms.saturating_add_signed(self.ahead));
            let next = self.settling.settle(&mut scan, at, clock, SETTLE);
            (scan, next.map(|next| u64::try_from((next - self.start).as_millis()).expect("short")))
        }

        /// Whether the folder is complete, and when to look again.
        fn complete(&mut self, folder: &Folder, ms: u64) -> (bool, Option<u64>) {
            let (scan, next) = self.look(Some(folder), ms);
            (scan.models[0].versions[0].folder == FolderState::Complete, next)
        }
    }

    fn bare(stamp: u64, changed: u64) -> Folder {
        Folder { stamp, changed, proven: false, unfinished: None }
    }

    fn proven(unfinished: Option<(u64, u64)>) -> Folder {
        Folder { stamp: 1, changed: 0, proven: true, unfinished }
    }

    #[test]
    fn a_start_over_a_settled_registry_does_not_wait() {
        assert_eq!(Rig::new().complete(&bare(1, 0), 2000), (true, None));
        assert_eq!(Rig::new().complete(&bare(1, 1), 2000), (false, Some(4000)));
        assert_eq!(Rig::new().complete(&proven(None), 0), (true, None));
        assert_eq!(Rig::new().complete(&proven(Some((1, 0))), 20_000), (true, None));
    }

    #[test]
    fn a_time_stamp_from_the_future_shortens_nothing() {
        let mut rig = Rig::new();
        rig.ahead = -60_000;
        assert_eq!(rig.complete(&bare(1, 70_000), 70_000), (false, Some(72_000)));
        assert_eq!(rig.complete(&bare(1, 70_000), 72_000), (true, None));
    }

    #[test]
    fn time_stamps_count_in_the_first_look_alone() {
        let mut rig = Rig::new();
        rig.look(None, 100_000);
        assert_eq!(rig.complete(&bare(1, 0), 100_001), (false, Some(102_001)));
        // Nor is the wall clock asked later, however it is set.
        rig.ahead = 1_000_000;
        assert_eq!(rig.complete(&bare(2, 0), 101_000), (false, Some(103_000)));
        assert_eq!(rig.complete(&bare(2, 0), 103_000), (true, None));
    }

    #[test]
    fn a_change_begins_the_wait_anew() {
        let mut rig = Rig::new();
        assert_eq!(rig.complete(&bare(1, 0), 0), (false, Some(2000)));
        assert_eq!(rig.complete(&bare(1, 0), 1999), (false, Some(2000)));
        assert_eq!(rig.complete(&bare(2, 1999), 2000), (false, Some(4000)));
        assert_eq!(rig.complete(&bare(2, 1999), 4000), (true, None));
        // One that serves is overwritten in place.
        assert_eq!(rig.complete(&bare(3, 5000), 5000), (false, Some(7000)));
        // It goes, and another comes under its name.
        rig.look(None, 6000);
        assert_eq!(rig.complete(&bare(3, 5000), 7000), (false, Some(9000)));
    }

    #[test]
    fn unfinished_files_hold_a_version_back_until_they_are_stale() {
        let mut rig = Rig::new();
        assert_eq!(rig.complete(&proven(Some((1, 0))), 0), (false, Some(20_000)));
        assert_eq!(rig.complete(&proven(Some((2, 3000))), 3000), (false, Some(23_000)));
        assert_eq!(rig.complete(&proven(None), 4000), (true, None));
        assert_eq!(rig.complete(&proven(Some((3, 5000))), 5000), (false, Some(25_000)));
        let (scan, next) = rig.look(Some(&proven(Some((3, 5000)))), 25_000);
        assert_eq!((scan.models[0].complete().len(), next), (1, None));
        assert_eq!(
            scan.models[0].warnings[0].to_string(),
            "iris/3/.model.onnx.Ab3dEf: is what an unfinished copy or an editor leaves; remove it"
        );
    }

    #[test]
    fn the_reason_names_the_version_and_stays_the_same() {
        let mut rig = Rig::new();
        let mut reason = |ms| match &rig.look(Some(&bare(1, 0)), ms).0.models[0].versions[0].folder {
            FolderState::Unsettled { reason } => reason.clone(),
            other => panic!("{other:?}"),
        };
        let first = reason(0);
        assert_eq!(
            first,
            "iris/3: has not been unchanged for 2s yet; wait until its copy is complete, or list its files in \
             manifest.toml"
        );
        assert_eq!(reason(1500), first);
    }

    #[test]
    fn what_is_lacking_or_withdrawn_is_left_as_it_is_and_waits_for_no_time() {
        let mut rig = Rig::new();
        for state in [FolderState::Tombstone, FolderState::Unsettled { reason: "no model".into() }] {
            let wall = |ms| SystemTime::UNIX_EPOCH + DAY + Duration::from_millis(ms);
            let version = VersionListing { folder: state.clone(), ..bare(1, 0).listing(wall) };
            let mut scan = scan(Some(version));
            assert_eq!(rig.settling.settle(&mut scan, rig.start, wall(0), SETTLE), None);
            assert_eq!(scan.models[0].versions[0].folder, state);
        }
    }

    #[test]
    fn times_past_the_end_of_the_clock_are_never_reached() {
        let mut rig = Rig::new();
        let wall = |_| SystemTime::UNIX_EPOCH;
        let mut scan = scan(Some(bare(1, 0).listing(wall)));
        let next = rig.settling.settle(&mut scan, rig.start, wall(0), Duration::MAX);
        assert_eq!((next, scan.models[0].complete().len()), (None, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait,
        Write,
        Vanish,
        Manifest(bool),
        Unfinished(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Wait),
            2 => Just(Step::Write),
            1 => Just(Step::Vanish),
            1 => any::<bool>().prop_map(Step::Manifest),
            1 => any::<bool>().prop_map(Step::Unfinished),
        ]
    }

    proptest! {
        #[test]
        fn nothing_that_still_changes_is_complete_and_all_that_is_quiet_becomes_so(
            aged in 0..30_000u64,
            steps in proptest::collection::vec((step(), 0..4000u64, any::<bool>()), 1..60),
        ) {
            let settle = u64::try_from(SETTLE.as_millis()).expect("short");
            let mut rig = Rig::new();
            let mut folder = Some(bare(0, 0));
            let (mut now, mut stamps) = (aged, 0);
            for (step, after, looks) in steps {
                now += after;
                stamps += 1;
                let mut there = folder.take().unwrap_or_else(|| bare(stamps, now));
                match step {
                    Step::Wait => {}
                    Step::Write => (there.stamp, there.changed) = (stamps, now),
                    Step::Manifest(proven) => {
                        (there.stamp, there.changed, there.proven) = (stamps, now, proven);
                    }
                    Step::Unfinished(any) => {
                        (there.stamp, there.changed) = (stamps, now);
                        there.unfinished = any.then_some((stamps, now));
                    }
                    Step::Vanish => {
                        rig.look(None, now);
                        continue;
                    }
                }
                if looks {
                    let (complete, next) = rig.complete(&there, now);
                    let quiet = match (there.proven, there.unfinished) {
                        (false, _) => now - there.changed >= settle,
                        (true, Some((_, changed))) => now - changed >= settle * u64::from(STALE),
                        (true, None) => true,
                    };
                    prop_assert!(quiet || !complete, "{there:?} at {now}");
                    prop_assert!(complete != next.is_some() && next.is_none_or(|next| next > now));
                }
                folder = Some(there);
            }
            if let Some(there) = folder {
                let (complete, next) = rig.complete(&there, now);
                if let Some(next) = next {
                    prop_assert!(!rig.complete(&there, next - 1).0);
                    prop_assert_eq!(rig.complete(&there, next), (true, None));
                } else {
                    prop_assert!(complete);
                }
            }
        }
    }
}
