//! Who is told what becomes of a version's workers.

/// Is told by the worker threads of one version what becomes of it. Its functions must not wait: a
/// worker that is held up answers nobody.
pub trait Supervisor: Send + Sync {
    /// The version keeps crashing: five times within a minute a session panicked or could not be
    /// replaced, and five times more since it was last said. `crashes` is the number since the start.
    fn crashing(&self, crashes: u32);

    /// A worker answers nobody any more, and is about to free its session on the calling thread, which ends
    /// with that.
    fn retiring(&self);

    /// The last worker has ended, and its session and the model are freed. Called once for each start, on the
    /// thread of that worker.
    fn gone(&self);
}

/// Nobody is told.
impl Supervisor for () {
    fn crashing(&self, _: u32) {}

    fn retiring(&self) {}

    fn gone(&self) {}
}
