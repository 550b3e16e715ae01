//! The priority of threads that must not get in the way of those that serve.

/// How far the priority of the calling thread is lowered: Linux keeps it for each thread. It then gets
/// about a tenth of what a serving thread gets where both want a core, so that a load still ends on a
/// machine that is busy all the time.
const NICE: i32 = 10;

/// Lowers the priority of the calling thread, and of threads that it starts.
pub(crate) fn lower() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICE) {
        tracing::warn!("the priority of a loading thread cannot be lowered: {error}");
    }
}
