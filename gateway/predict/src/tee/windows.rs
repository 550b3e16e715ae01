//! Random times at which no shadow runs, so that what shadows cost can be measured against their absence.

use std::hash::Hasher;
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

/// When shadows run: a function of the time and of a seed.
///
/// Time is cut into windows of one length; each is off with the same probability, whatever the others are. So load that
/// comes and goes is spread over both alike, and neither the primary's callers nor the shadow can foresee which it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    seed: u64,
    /// When the first one begins.
    from: Instant,
    length: Duration,
    off_share: f64,
    /// For how long after the end of one in which shadows ran what they began is still under way.
    settling: Duration,
}

/// What holds at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Shadows run.
    On,
    /// None begins to run, and one that has begun may still run.
    Settling,
    /// None runs.
    Off,
}

/// Windows that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "windows of {length:?} of which a share of {off_share} is off: they must be longer than the {settling:?} that runs may take, and the share from 0 to 1"
)]
pub struct WindowsError {
    length: Duration,
    off_share: f64,
    settling: Duration,
}

impl Windows {
    /// How long a window is, where nobody says otherwise.
    pub const LENGTH: Duration = Duration::from_secs(5);
    /// Which share of them is off.
    pub const OFF_SHARE: f64 = 0.1;

    /// Windows of one length from a time on, of which a share is off. Runs take at most as long as `settling`.
    ///
    /// # Errors
    /// Where a window is not longer than runs, or the share is no share.
    pub fn new(
        seed: u64,
        from: Instant,
        length: Duration,
        off_share: f64,
        settling: Duration,
    ) -> Result<Self, WindowsError> {
        if length > settling && (0.0..=1.0).contains(&off_share) {
            Ok(Self { seed, from, length, off_share, settling })
        } else {
            Err(WindowsError { length, off_share, settling })
        }
    }

    /// What holds at a time.
    pub(crate) fn phase(&self, now: Instant) -> Phase {
        let elapsed = now.saturating_duration_since(self.from).as_nanos();
        let length = self.length.as_nanos().max(1);
        let (window, within) = ((elapsed / length) as u64, elapsed % length);
        if !self.is_off(window) {
            return Phase::On;
        }
        let was_off = window.checked_sub(1).is_none_or(|before| self.is_off(before));
        if was_off || within >= self.settling.as_nanos() { Phase::Off } else { Phase::Settling }
    }

    fn is_off(&self, window: u64) -> bool {
        let mut hasher = SipHasher13::new_with_keys(self.seed, 0);
        hasher.write_u64(window);
        // The 53 bits that a double has.
        let point = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
        point < self.off_share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn windows(seed: u64, off_share: f64) -> Windows {
        Windows::new(seed, Instant::now(), Windows::LENGTH, off_share, SECOND).expect("windows")
    }

    impl Windows {
        fn after(&self, elapsed: Duration) -> Phase {
            self.phase(self.from + elapsed)
        }
    }

    #[test]
    fn about_a_tenth_of_the_time_is_off_and_it_is_the_same_each_time() {
        let phases = |seed| -> Vec<Phase> {
            (0..100_000).map(|s| windows(seed, Windows::OFF_SHARE).after(SECOND * s)).collect()
        };
        let found = phases(7);
        let off = found.iter().filter(|phase| **phase != Phase::On).count();
        assert!((9_000..11_000).contains(&off), "{off}");
        assert_eq!(found, phases(7));
        assert_ne!(found, phases(8));
    }

    #[test]
    fn what_shadows_began_settles_before_a_window_counts_as_off() {
        let windows = windows(3, 0.3);
        let first = (1..1000).find(|w| windows.is_off(*w) && !windows.is_off(*w - 1)).expect("one of many");
        let at = |nanos: u64| windows.after(Windows::LENGTH * first as u32 + Duration::from_nanos(nanos));
        let nanos = [0, 999_999_999, 1_000_000_000, 4_999_999_999];
        assert_eq!(nanos.map(at), [Phase::Settling, Phase::Settling, Phase::Off, Phase::Off]);
        let later = (1..1000).find(|w| windows.is_off(*w) && windows.is_off(*w - 1)).expect("one of many");
        assert_eq!(windows.after(Windows::LENGTH * later as u32), Phase::Off);
    }

    #[test]
    fn never_and_always_are_shares_too_and_others_are_refused() {
        assert!((0..1000).all(|s| windows(1, 0.0).after(SECOND * s) == Phase::On));
        assert!((0..1000).all(|s| windows(1, 1.0).after(SECOND * s) == Phase::Off));
        for (length, share) in [(SECOND, 0.1), (Windows::LENGTH, 1.1), (Windows::LENGTH, f64::NAN)] {
            let error =
                Windows::new(0, Instant::now(), length, share, SECOND).expect_err("refused").to_string();
            assert!(error.contains("longer than the 1s"), "{error}");
        }
    }
}
