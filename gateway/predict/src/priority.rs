//! The priority of threads that must not get in the way of those that serve.

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// Gives the calling thread, and threads that it starts, what the serving ones leave of the processors.
///
/// A thread of a merely lower nice value keeps its core for some milliseconds when a serving one wakes;
/// one of the idle class gives way at once. The price is that a load takes long on a machine without any
/// idle time.
///
/// Whoever was woken on this core before the change waits for the next tick of the scheduler all the same (4 ms
/// at 250 Hz), as a change of class preempts nobody: so the thread also yields.
pub fn lower() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        tracing::warn!("the priority of a thread in the background cannot be lowered: {error:?}");
    }
    std::thread::yield_now();
}

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
