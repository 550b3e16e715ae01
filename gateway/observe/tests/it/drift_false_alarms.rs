//! How often streams without drift alarm: at most as often as allowed. `cargo bench -p pointsman-observe --bench
//! drift_false_alarms` looks at many more.

use crate::no_drift::{study, target};

#[test]
fn streams_without_drift_alarm_at_most_as_often_as_allowed() {
    for (rows, training, windows, seed) in [(100, 100, 30, 1), (100, 2000, 10, 2), (1000, 1000, 5, 3)] {
        // The most that a look may be wrong with: 1.25 %.
        let found = study(rows, training, windows, rows as u64, seed);
        let target = target(rows, rows as u64);
        let expected = target * f64::from(windows);
        let bound = expected + 3.0 * (expected * (1.0 - target)).sqrt();
        assert!(f64::from(found.significant) <= bound.max(1.0), "{found:?} (seed {seed})");
        assert!(found.alarms <= found.significant, "{found:?}");
        // Constants and tests of each column by itself alarm in nearly every window.
        assert!(f64::from(found.evidently) >= 0.8 * f64::from(windows), "{found:?} (seed {seed})");
    }
}
