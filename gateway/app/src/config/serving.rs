//! The section `[serving]`: how models are run where their cards do not say.

use pointsman_core::{EngineChoice, Nonfinite, QueueDelay};

use super::reader::Section;
use super::setting::Readiness;

/// How models are run where their cards do not say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Serving {
    /// Which engine.
    pub(crate) engine: EngineChoice,
    /// Cores that the runs of all versions share; nothing for all there are.
    pub(crate) cores: Option<usize>,
    /// Worker threads of a version; nothing for one per core.
    pub(crate) workers: Option<usize>,
    /// Threads that one run may use.
    pub(crate) intra_op_threads: usize,
    /// Whether those of them that have nothing to do spin.
    pub(crate) spinning: bool,
    /// By how much workers are nicer than the threads that serve connections.
    pub(crate) niceness: u32,
    /// Requests that may wait for a version.
    pub(crate) queue_max: usize,
    /// How long they may, where ever more come.
    pub(crate) queue_delay: QueueDelay,
    /// Whether runs that are short enough happen on the threads of requests.
    pub(crate) inline: bool,
    /// How NaN and infinities leave as JSON.
    pub(crate) nonfinite: Nonfinite,
    /// When the gateway says that it is ready.
    pub(crate) readiness: Readiness,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            engine: EngineChoice::Auto,
            cores: None,
            workers: None,
            intra_op_threads: 1,
            spinning: false,
            niceness: 10,
            queue_max: 1024,
            queue_delay: QueueDelay::Auto,
            inline: true,
            nonfinite: Nonfinite::Token,
            readiness: Readiness::Any,
        }
    }
}

impl Serving {
    /// How many cores the runs of all versions share.
    pub(crate) fn cores(&self) -> usize {
        self.cores.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.set("engine", &mut self.engine);
        section.set_optional_within("cores", &mut self.cores, 1..=1024);
        section.set_optional_within("workers", &mut self.workers, 1..=1024);
        section.set_within("intra_op_threads", &mut self.intra_op_threads, 1..=256);
        section.set("spinning", &mut self.spinning);
        section.set_within("niceness", &mut self.niceness, 0..=19);
        section.set_within("queue_max", &mut self.queue_max, 1..=1_000_000);
        section.set("queue_delay", &mut self.queue_delay);
        section.set("inline", &mut self.inline);
        section.set("nonfinite", &mut self.nonfinite);
        section.set("readiness", &mut self.readiness);
    }
}
