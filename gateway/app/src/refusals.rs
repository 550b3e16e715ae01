//! How fast requests are refused.
//!
//! A refusal costs little, but a caller that comes back at once gets thousands of them in a second, and threads that read
//! requests come before those that run models (`serving.niceness`): two such callers leave a tenth of a core for what was
//! accepted. So refusals have a rate. Where more are due, each waits for its moment, and its caller with it; who comes
//! back at once then comes back as often as the gateway can afford.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pointsman_core::{Code, PredictError};

/// So much of the rate may be used at once, where nothing was refused before.
const BURST: Duration = Duration::from_millis(100);
/// The longest that a refusal waits.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// The most refusals that wait. Each takes some kilobytes; those beyond are answered at once.
const HELD_MAX: usize = 8192;

/// The rate at which requests are refused for the load, and those refusals that wait.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// Nanoseconds between two.
    interval: u64,
    began: Instant,
    /// When the last one is due that was let through, in nanoseconds since the beginning: the theoretical arrival time of
    /// the generic cell rate algorithm (ITU-T I.371, annex A).
    due: AtomicU64,
    held: AtomicUsize,
}

/// One that waits.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    /// One more, where there is room.
    fn new(held: &'a AtomicUsize) -> Option<Self> {
        let more = |held: usize| (held < HELD_MAX).then_some(held + 1);
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(held))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Refusals {
    /// At most so many in a second at once.
    pub(crate) fn new(per_second: usize) -> Self {
        let interval = nanos(Duration::from_secs(1)) / (per_second as u64).max(1);
        Self { interval, began: Instant::now(), due: AtomicU64::new(0), held: AtomicUsize::new(0) }
    }

    /// How many wait.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Waits before this error is answered, where it is one of load and more of them were answered than may be.
    pub(crate) async fn pause(&self, error: &PredictError) {
        if !matches!(error.code(), Code::QueueFull | Code::Overloaded | Code::CallerLimit) {
            return;
        }
        let pause = self.pause_at(self.began.elapsed());
        if pause.is_zero() {
            return;
        }
        if let Some(_held) = Held::new(&self.held) {
            tokio::time::sleep(pause).await;
        }
    }

    /// How long one waits that is due now, by the time since the beginning.
    fn pause_at(&self, now: Duration) -> Duration {
        let now = nanos(now);
        let latest = now + nanos(BURST + PAUSE_MAX);
        let next = |due: u64| (due.max(now) + self.interval).min(latest);
        let updated = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| Some(next(due)));
        let ahead = Duration::from_nanos(updated.map_or(now, next) - now);
        ahead.saturating_sub(BURST).min(PAUSE_MAX)
    }
}

/// At most what 64 bits hold: some hundred years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How often so many callers are refused in ten seconds who come back at once, each request taking `cost`.
    fn refused(refusals: &Refusals, callers: u32, cost: Duration) -> u32 {
        let mut next: Vec<Duration> =
            (0..callers).map(|caller| Duration::from_nanos(caller.into())).collect();
        let mut count = 0;
        while let Some(first) = next.iter_mut().min().filter(|first| **first < 10 * SECOND) {
            *first += cost + refusals.pause_at(*first);
            count += 1;
        }
        count
    }

    #[test]
    fn callers_that_come_back_at_once_are_refused_at_the_rate() {
        let cost = Duration::from_micros(80);
        for callers in [1, 2, 8, 64] {
            let count = refused(&Refusals::new(1000), callers, cost);
            assert!((9_900..=10_200).contains(&count), "{callers} callers: {count}");
            // Without a rate, as the control.
            assert!(refused(&Refusals::new(usize::MAX), callers, cost) >= 100_000);
        }
        // No one waits for longer than a tenth of a second.
        let count = refused(&Refusals::new(1000), 400, cost);
        assert!((39_000..=41_000).contains(&count), "{count}");
    }

    #[test]
    fn below_the_rate_and_in_a_burst_nobody_waits() {
        let refusals = Refusals::new(1000);
        assert!((0..5000_u32).all(|at| refusals.pause_at(at * SECOND / 900).is_zero()));
        let later = 60 * SECOND;
        let at_once = (0..1000).take_while(|_| refusals.pause_at(later).is_zero()).count();
        assert_eq!(at_once, 100, "a tenth of a second of the rate");
        assert!(!refusals.pause_at(later).is_zero());
        assert!(refusals.pause_at(later + SECOND).is_zero(), "nothing is owed for longer");
    }

    #[tokio::test]
    async fn only_refusals_for_the_load_wait_and_no_more_than_may() {
        let refusals = Refusals::new(1);
        let load = PredictError::MemoryLow;
        let paused = refusals.pause(&load).now_or_never();
        assert_eq!(paused, None, "it waits");
        assert_eq!(refusals.held(), 0, "one that was given up does not");
        assert_eq!(refusals.pause(&PredictError::NotFound).now_or_never(), Some(()));
        let one_beside = async {
            tokio::task::yield_now().await;
            assert_eq!(refusals.held(), 1);
            refusals.held.fetch_add(HELD_MAX - 1, Ordering::Relaxed);
            assert_eq!(
                refusals.pause(&load).now_or_never(),
                Some(()),
                "what is beyond the most is answered at once"
            );
            refusals.held.fetch_sub(HELD_MAX - 1, Ordering::Relaxed);
        };
        let began = Instant::now();
        futures_util::join!(refusals.pause(&load), one_beside);
        assert!(began.elapsed() >= PAUSE_MAX);
        assert_eq!(refusals.held(), 0);
    }
}
