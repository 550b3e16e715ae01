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
