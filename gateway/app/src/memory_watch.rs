//! Refuses requests before the system ends the process for want of memory.
//!
//! A thread looks a few times a second at what is left of each bound: the system's memory, the limits of the process's
//! control groups, and `limits.memory_max`. Where hardly anything is left no request is let in, and what allocators
//! keep of freed memory is given back; those that are under way go on, and health and metrics answer.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use pointsman_control::memory::{Bounds, Room, resident};
use pointsman_predict::Admission;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::engines::Engines;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(250);
/// The used part of a bound from which on requests are refused, as Envoy's overload manager stops accepting.
const REFUSE_FROM: f64 = 0.95;
/// The used part below which they are let in again.
const LET_IN_BELOW: f64 = 0.92;
/// Looks between two times that memory is given back.
const LOOKS_PER_RELEASE: u32 = 4;

/// What looks at memory, and who is told.
pub(crate) struct MemoryWatch {
    bounds: Bounds,
    /// The most that the process may have in memory, where that is said.
    memory_max: Option<usize>,
    admission: Arc<Admission>,
    engines: Arc<Engines>,
    used: Gauge<f64, AtomicU64>,
}

impl MemoryWatch {
    pub(crate) fn new(
        memory_max: Option<usize>,
        admission: Arc<Admission>,
        engines: Arc<Engines>,
        instruments: &mut Registry,
    ) -> Self {
        let used = Gauge::<f64, AtomicU64>::default();
        instruments.register(
            "pointsman_memory_used_ratio",
            "The used part of the tightest bound on memory: the system's, a control group's or limits.memory_max",
            used.clone(),
        );
        Self { bounds: Bounds::find(), memory_max, admission, engines, used }
    }

    /// Watches on a thread of its own for as long as the process lives.
    ///
    /// # Errors
    /// The system's, where it has no more threads.
    pub(crate) fn start(self) -> std::io::Result<()> {
        let watch = move || {
            let mut looks = 0_u32;
            loop {
                looks = if self.look(looks) { looks.wrapping_add(1) } else { 0 };
                thread::sleep(INTERVAL);
            }
        };
        thread::Builder::new().name("pointsman-memory".into()).spawn(watch).map(drop)
    }

    /// Looks once, the `looks`-th time in a row that memory is low; whether it is.
    fn look(&self, looks: u32) -> bool {
        let own = self.memory_max.zip(resident()).map(|(max, resident)| {
            let limit = max as u64;
            Room { limit, left: limit.saturating_sub(resident) }
        });
        let used = self.bounds.rooms().chain(own).map(Room::used).fold(0.0, f64::max);
        self.used.set(used);
        let was_low = self.admission.is_memory_low();
        let is_low = is_low(was_low, used);
        self.admission.set_memory_low(is_low);
        if is_low != was_low {
            let what = if is_low { "memory is low: requests are refused" } else { "there is memory again" };
            tracing::warn!(used_percent = (used * 100.0).round(), "{what}");
        }
        if is_low && looks.is_multiple_of(LOOKS_PER_RELEASE) {
            self.engines.available().iter().for_each(|engine| engine.release_memory());
        }
        is_low
    }
}

/// Whether requests are refused, when that part of a bound is used.
fn is_low(was_low: bool, used: f64) -> bool {
    used >= if was_low { LET_IN_BELOW } else { REFUSE_FROM }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_near_the_bound_and_lets_in_well_below_it() {
        let mut low = false;
        let course = [0.5, 0.94, 0.95, 0.94, 0.92, 0.91, 0.94].map(|used| {
            low = is_low(low, used);
            low
        });
        assert_eq!(course, [false, false, true, true, true, false, false]);
    }
}
