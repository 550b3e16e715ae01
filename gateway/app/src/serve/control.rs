//! The thread of the control path.

use std::sync::mpsc;
use std::thread;

use pointsman_control::{Loader, Reconciler};
use pointsman_predict::{Metrics, Publisher};
use pointsman_registry::Problem;
use tokio::sync::oneshot;

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
        loader: Loader,
        metrics: Metrics,
        publisher: Publisher,
    ) -> Result<(Self, FirstPass), String> {
        let mut reconciler = Reconciler::new(loader, metrics, publisher);
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
