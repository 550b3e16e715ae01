//! The thread of the control path.

use std::sync::mpsc;
use std::thread;

use pointsman_control::{Defaults, Reconciler, WorkerDefaults};
use pointsman_core::SessionOptions;
use pointsman_predict::{Metrics, Publisher};
use pointsman_registry::DirectoryRegistry;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::engines::Engines;

/// The reconciler on a thread of its own: loading never takes an I/O thread.
pub(super) struct Control {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// How the first pass ended.
pub(super) type FirstPass = oneshot::Receiver<Result<(), String>>;

impl Control {
    /// Starts the thread, and with it the first pass over the registry.
    pub(super) fn start(
        config: &Config,
        registry: DirectoryRegistry,
        engines: &Engines,
        metrics: Metrics,
        publisher: Publisher,
    ) -> Result<(Self, FirstPass), String> {
        let serving = &config.serving;
        let defaults = Defaults {
            engine: serving.engine,
            workers: WorkerDefaults { workers: serving.workers, queue_max: serving.queue_max },
            session: SessionOptions { intra_op_threads: serving.intra_op_threads },
        };
        let engines = pointsman_control::Engines::new(engines.available().to_vec());
        let mut reconciler = Reconciler::new(Box::new(registry), engines, defaults, metrics, publisher);
        let (stop, stopped) = mpsc::channel();
        let (ended, first_pass) = oneshot::channel();
        let run = move || {
            // Nobody is told where the gateway was asked to stop meanwhile.
            let _ = ended.send(reconciler.pass().map_err(|e| e.to_string()));
            let _ = stopped.recv();
            reconciler.withdraw_all();
        };
        let thread = thread::Builder::new()
            .name("pointsman-control".into())
            .spawn(run)
            .map_err(|e| format!("cannot start the control thread: {e}"))?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, first_pass))
    }

    /// Publishes that nothing serves, unless a load keeps the thread busy.
    pub(super) fn withdraw(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take().filter(thread::JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}
