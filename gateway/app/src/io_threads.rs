//! The threads that serve connections: one for each core, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, the one that had fewest. A runtime that moves tasks between
//! threads wakes a second thread for a request that the first is about to answer, which costs more than most requests
//! do. What would keep a thread for long happens elsewhere: runs on workers, large documents [`aside`].

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use pointsman_core::PredictError;
use pointsman_predict::Cores;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Bytes of a document from which on it is read and written [`aside`]: that takes milliseconds.
const LARGE: usize = 256 << 10;

/// Threads beside each of them on which large documents are read and written.
const ASIDE_MAX: usize = 2;

/// The threads. Dropped, they end, and with them what they still serve.
pub(crate) struct IoThreads {
    threads: Vec<IoThread>,
}

struct IoThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Counts a connection of a thread.
struct Counted(Arc<AtomicUsize>);

impl IoThreads {
    /// Starts so many threads.
    ///
    /// # Errors
    /// The system's, where it has no more.
    pub(crate) fn start(count: usize, cores: &Arc<Cores>) -> std::io::Result<Self> {
        let threads = (0..count.max(1)).map(|core| IoThread::start(core, cores)).collect::<Result<_, _>>()?;
        Ok(Self { threads })
    }

    /// Serves a connection on the thread that has fewest, as a task of `connections`.
    pub(crate) fn serve<F>(&self, connections: &mut JoinSet<()>, connection: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let fewest = self.threads.iter().min_by_key(|thread| thread.connections.load(Ordering::Relaxed));
        let Some(thread) = fewest else { return };
        thread.connections.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(thread.connections.clone());
        let served = async move {
            connection.await;
            drop(counted);
        };
        connections.spawn_on(served, &thread.runtime);
    }
}

impl IoThread {
    fn start(core: usize, cores: &Arc<Cores>) -> std::io::Result<Self> {
        let beside = cores.clone();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(ASIDE_MAX)
            .thread_name("pointsman-aside")
            // Where this one stays, those beside it need not.
            .on_thread_start(move || beside.roam())
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let cores = cores.clone();
        let serve = move || {
            cores.serves_connections(core);
            // An error means the same: nobody needs the thread any more.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("pointsman-io".into()).spawn(serve)?;
        Ok(Self { runtime: handle, connections: Arc::default(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of a thread that is gone concerns nobody.
            let _ = thread.join();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does what a document of so many bytes takes: here, or on another thread where it is large.
///
/// # Errors
/// [`PredictError::ShuttingDown`] where the threads are ending.
pub(crate) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PredictError> {
    if bytes < LARGE {
        return Ok(work());
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(PredictError::ShuttingDown),
    }
}

#[cfg(test)]
mod tests {
    use std::thread::current;

    use tokio::sync::oneshot::channel;

    use super::*;

    #[tokio::test]
    async fn connections_go_where_fewest_are() {
        let threads = IoThreads::start(2, &Cores::new(2)).expect("threads");
        let mut connections = JoinSet::new();
        let mut open = |threads: &IoThreads| {
            let (told, tells) = channel();
            let (end, ended) = channel::<()>();
            threads.serve(&mut connections, async move {
                told.send(current().id()).expect("somebody listens");
                let _ = ended.await;
            });
            (tells, end)
        };
        let (first, end_first) = open(&threads);
        let (second, _end_second) = open(&threads);
        let (first, second) = (first.await.expect("it runs"), second.await.expect("it runs"));
        assert_ne!(first, second);
        drop(end_first);
        while threads.threads.iter().all(|thread| thread.connections.load(Ordering::Relaxed) > 0) {
            tokio::task::yield_now().await;
        }
        let (third, _end_third) = open(&threads);
        assert_eq!(third.await.expect("it runs"), first);
    }

    #[tokio::test]
    async fn what_is_large_happens_on_another_thread() {
        let here = current().id();
        assert_eq!(aside(LARGE - 1, || current().id()).await, Ok(here));
        assert_ne!(aside(LARGE, || current().id()).await, Ok(here));
    }

    #[tokio::test]
    async fn what_is_served_ends_with_the_threads() {
        let threads = IoThreads::start(1, &Cores::new(1)).expect("threads");
        let mut connections = JoinSet::new();
        threads.serve(&mut connections, std::future::pending());
        drop(threads);
        assert!(connections.join_next().await.expect("one").is_err_and(|error| error.is_cancelled()));
    }
}
