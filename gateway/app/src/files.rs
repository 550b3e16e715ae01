//! A registry as it lies there, with what it takes to check it: for the commands that work on files.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pointsman_control::loader::LoadJob;
use pointsman_control::{Loader, Profiles};
use pointsman_registry::{DirectoryRegistry, Limits, ModelListing, Registry, Scan, Settling, VersionListing};

use crate::config::Config;
use crate::engines::Engines;

/// A registry, and who checks its versions.
pub(crate) struct Files {
    pub(crate) scan: Scan,
    pub(crate) loader: Loader,
}

impl Files {
    /// Looks at the registry and for engines, and says on standard error why one is not there.
    ///
    /// # Errors
    /// A line on what keeps the registry from being read.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        let registry =
            DirectoryRegistry::open(&config.models, Limits::default()).map_err(|e| e.to_string())?;
        let mut scan = registry.scan().map_err(|e| e.to_string())?;
        // What is there is taken as it is, without waiting whether it changes.
        Settling::default().settle(&mut scan, Instant::now(), SystemTime::now(), Duration::ZERO);
        let engines = Engines::find(config.onnxruntime_library.clone());
        for note in engines.notes() {
            eprintln!("note: {note}");
        }
        let mut loader = crate::loader::loader(config, Arc::new(registry), &engines);
        // One session shows what all of them would.
        loader.workers.workers = 1;
        Ok(Self { scan, loader })
    }

    /// What it takes to bring a version up.
    pub(crate) fn job(&self, model: &ModelListing, version: &VersionListing) -> LoadJob {
        let mut settings = model.settings();
        settings.workers = Some(self.loader.workers.workers);
        LoadJob {
            model: model.name.clone(),
            number: version.number,
            settings,
            bytes: version.bytes,
            beside: None,
            profiles: Profiles::default(),
            quarantined: None,
        }
    }
}
