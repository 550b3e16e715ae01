//! How versions are brought up, as the configuration says.

use std::sync::Arc;

use pointsman_control::loader::Trial;
use pointsman_control::{Loader, WorkerDefaults};
use pointsman_core::SessionOptions;
use pointsman_registry::Registry;

use crate::config::Config;
use crate::engines::Engines;
use crate::trial::ChildTrial;

/// The loader of `serve` and `check`.
#[must_use]
pub(crate) fn loader(config: &Config, registry: Arc<dyn Registry>, engines: &Engines) -> Loader {
    let serving = &config.serving;
    Loader {
        registry,
        engines: pointsman_control::Engines::new(engines.available().to_vec()),
        engine: serving.engine,
        session: SessionOptions { intra_op_threads: serving.intra_op_threads, spinning: serving.spinning },
        workers: WorkerDefaults {
            workers: serving.workers.unwrap_or_else(|| serving.cores()),
            queue_max: serving.queue_max,
            queue_delay: serving.queue_delay,
            inline: serving.inline && serving.intra_op_threads == 1,
            niceness: serving.niceness,
        },
        monitoring: None,
        gates: config.gates.clone(),
        trial: ChildTrial::new(config).map(|trial| Arc::new(trial) as Arc<dyn Trial>),
    }
}
