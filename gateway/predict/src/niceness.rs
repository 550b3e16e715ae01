//! How much a thread stands back behind others.

/// Makes the calling thread, and threads that it starts, stand back behind those that serve connections: 0 to 19,
/// as `nice(2)` has it.
///
/// A run of some milliseconds and a request that has just come want the same core. The scheduler lets whoever was
/// woken go first only while that one has had less than its share of late, and else waits for its next tick (4 ms at
/// 250 Hz): so requests of other models, refusals and health answers wait out the run. To a nicer thread they owe less.
#[cfg(target_os = "linux")]
pub fn stand_back(niceness: u32) {
    use rustix::process::{getpriority_process, setpriority_process};

    if niceness == 0 {
        return;
    }
    // On Linux the priority is the thread's. The whole process may have been started with one.
    let own = getpriority_process(None).unwrap_or(0);
    if let Err(error) = setpriority_process(None, own.saturating_add_unsigned(niceness).min(19)) {
        tracing::warn!("a thread cannot be made nicer by {niceness}: {error}");
    }
}

/// Elsewhere the priority is that of the whole process.
#[cfg(not(target_os = "linux"))]
pub fn stand_back(_niceness: u32) {}
