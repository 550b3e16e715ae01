//! The thread of the control path.

use std::sync::mpsc;
use std::thread;

use pointsman_control::{Defaults, Reconciler, WorkerDefaults};
use pointsman_core::SessionOptions;
use pointsman_predict::{Metrics, Publisher};
use pointsman_registry::{DirectoryRegistry, Problem};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::engines::Engines;

/// The reconciler on a thread of its own: loading never takes an I/O thread. Dropped, it withdraws
/// every version, as soon as no load keeps the thread busy.
pub(super) struct Control {
    _stop: mpsc::Sender<()>,
}

/// How the first pass ended: with what was found and is no model.
pub(super) type FirstPass = oneshot::Receiver<Result<Vec<Problem>, String>>;

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
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = serving.workers.unwrap_or(cores);
        let defaults = Defaults {
            engine: serving.engine,
            workers: WorkerDefaults { workers, queue_max: serving.queue_max },
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
        let builder = thread::Builder::new().name("pointsman-control".into());
        builder.spawn(run).map_err(|e| format!("cannot start the control thread: {e}"))?;
        Ok((Self { _stop: stop }, first_pass))
    }
}
