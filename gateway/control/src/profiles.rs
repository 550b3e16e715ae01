//! How long runs took, by what was run and where: measured once, and kept in the state directory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_core::SizeTime;
use procfs::{CpuInfo, Current};

/// The most profiles that are kept; past it those that were used longest ago go first.
pub(crate) const PROFILES_MAX: usize = 1000;

/// The profiles that are known. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<String, Known>,
    uses: u64,
    /// Those that are not written yet.
    unwritten: Vec<String>,
}

#[derive(Debug)]
struct Known {
    sizes: Vec<SizeTime>,
    used: u64,
}

/// What a profile is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// SHA-256 over the files that are run.
    pub(crate) digest: &'a str,
    pub(crate) engine: &'a str,
    pub(crate) engine_version: &'a str,
    pub(crate) intra_op_threads: usize,
    /// The numbers of rows that were to be measured; slow runs leave no time for all of them.
    pub(crate) rows: &'a [u64],
}

impl Subject<'_> {
    /// The key, with this host in it: on another one runs take another time.
    fn key(&self) -> String {
        let Self { digest, engine, engine_version, intra_op_threads, rows } = self;
        format!("{digest} {engine} {engine_version} threads={intra_op_threads} rows={rows:?} {}", host())
    }
}

/// The processor, and how much of it there is.
fn host() -> String {
    let processor = CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{} x {cores}", processor.unwrap_or_else(|| std::env::consts::ARCH.into()))
}

impl Profiles {
    /// Those that were written.
    pub(crate) fn of(written: impl IntoIterator<Item = (String, Vec<SizeTime>)>) -> Self {
        let known = written.into_iter().map(|(key, sizes)| (key, Known { sizes, used: 0 })).collect();
        let state = State { known, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// What was measured of it.
    pub(crate) fn known(&self, subject: Subject<'_>) -> Option<Vec<SizeTime>> {
        let mut state = self.state();
        state.uses += 1;
        let used = state.uses;
        let known = state.known.get_mut(&subject.key())?;
        known.used = used;
        Some(known.sizes.clone())
    }

    /// Remembers what was measured.
    pub(crate) fn remember(&self, subject: Subject<'_>, sizes: &[SizeTime]) {
        let key = subject.key();
        let mut state = self.state();
        state.uses += 1;
        let known = Known { sizes: sizes.to_vec(), used: state.uses };
        state.known.insert(key.clone(), known);
        state.unwritten.push(key);
        while state.known.len() > PROFILES_MAX {
            let oldest = state.known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| key.clone());
            oldest.map(|oldest| state.known.remove(&oldest));
        }
    }

    /// Takes those out that are to be written.
    pub(crate) fn take_unwritten(&self) -> Vec<(String, Vec<SizeTime>)> {
        let mut state = self.state();
        let unwritten = std::mem::take(&mut state.unwritten);
        let sizes = |key: String| state.known.get(&key).map(|known| (key.clone(), known.sizes.clone()));
        unwritten.into_iter().filter_map(sizes).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_core::RunTime;

    use super::*;

    fn subject(digest: &str) -> Subject<'_> {
        Subject {
            digest,
            engine: "onnxruntime",
            engine_version: "1.31.1",
            intra_op_threads: 1,
            rows: &[1, 2, 4],
        }
    }

    fn size(rows: u64) -> SizeTime {
        let time = Duration::from_micros(rows);
        SizeTime { rows, run_time: RunTime { median: time, spread: time, runs: 9 }, slowest: time }
    }

    #[test]
    fn a_profile_is_known_by_what_was_to_be_run_and_where() {
        let profiles = Profiles::default();
        profiles.remember(subject("a"), &[size(1), size(2)]);
        // There was no time for four rows, and there would be none again.
        assert_eq!(profiles.known(subject("a")), Some(vec![size(1), size(2)]));
        assert_eq!(profiles.known(subject("b")), None);
        assert_eq!(profiles.known(Subject { intra_op_threads: 2, ..subject("a") }), None);
        assert_eq!(profiles.known(Subject { rows: &[1], ..subject("a") }), None);
        // What was written comes back.
        let written = profiles.take_unwritten();
        assert!(profiles.take_unwritten().is_empty());
        assert_eq!(Profiles::of(written).known(subject("a")), Some(vec![size(1), size(2)]));
    }

    #[test]
    fn those_used_longest_ago_go_first() {
        let profiles = Profiles::default();
        let digests: Vec<String> = (0..=PROFILES_MAX).map(|n| n.to_string()).collect();
        for digest in &digests {
            profiles.remember(subject(digest), &[size(1)]);
            assert!(profiles.known(subject("0")).is_some());
        }
        assert_eq!(profiles.known(subject("1")), None);
        assert_eq!(profiles.state().known.len(), PROFILES_MAX);
    }
}
