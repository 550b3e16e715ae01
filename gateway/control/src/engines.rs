//! The engines to choose from.

use std::sync::Arc;

use pointsman_core::{Engine, EngineChoice};

/// The engines of this process, the preferred one first.
#[derive(Clone)]
pub struct Engines {
    available: Vec<Arc<dyn Engine>>,
}

impl Engines {
    /// These engines, the preferred one first.
    #[must_use]
    pub fn new(available: Vec<Arc<dyn Engine>>) -> Self {
        Self { available }
    }

    /// All of them.
    #[must_use]
    pub fn available(&self) -> &[Arc<dyn Engine>] {
        &self.available
    }

    /// The engine for a choice.
    ///
    /// # Errors
    /// A line that names the engine and the remedy.
    pub fn choose(&self, choice: EngineChoice) -> Result<&Arc<dyn Engine>, String> {
        let wanted = |engine: &&Arc<dyn Engine>| match choice {
            // Echo answers with its inputs: it serves only where it is asked for by name.
            EngineChoice::Auto => engine.name() != EngineChoice::Echo.name(),
            other => engine.name() == other.name(),
        };
        self.available.iter().find(wanted).ok_or_else(|| {
            format!("engine \"{choice}\" is not available; `pointsman engines` says why and what to do")
        })
    }

    /// Gives memory that freed sessions left behind back to the system.
    pub fn release_memory(&self) {
        for engine in &self.available {
            engine.release_memory();
        }
    }
}
