//! Waiting for a state, with a bound.

use std::time::{Duration, Instant};

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
///
/// # Panics
/// Where there is none within half a minute; `what` says what was waited for.
pub fn wait_for<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, state)
}

/// As [`wait_for`], for a state that takes longer where the machine is busy.
///
/// # Panics
/// Where there is no answer within `patience`; `what` says what was waited for.
pub fn wait_within<T>(patience: Duration, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(reached) = state() {
            return reached;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        // How often is asked, not how long is waited.
        std::thread::sleep(Duration::from_millis(5));
    }
}
