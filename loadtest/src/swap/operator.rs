//! Who changes the default version: by a call of the admin listener, or by the registry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::By;
use super::registry::{ALIAS, SwapRegistry};
use crate::admin::Admin;

/// How long one swap may take.
const SWAP_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the gateway is asked whether a version that was dropped in serves.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Makes swaps, one after the other.
#[derive(Debug)]
pub(super) struct Operator {
    by: By,
    admin: Admin,
    model: String,
    registry: SwapRegistry,
    /// Version folders that stay where new ones are dropped in.
    kept: u64,
    /// How many swaps were made.
    made: u64,
}

impl Operator {
    /// An operator of a gateway that serves the registry.
    pub(super) fn new(
        by: By,
        admin: SocketAddr,
        model: &str,
        registry: SwapRegistry,
        kept: u64,
    ) -> Result<Self, String> {
        Ok(Self { by, admin: Admin::new(admin)?, model: model.into(), registry, kept, made: 0 })
    }

    /// How many versions take turns.
    pub(super) fn sources(&self) -> u64 {
        self.registry.sources()
    }

    /// The version that the next swap makes the default one.
    pub(super) fn next(&self) -> u64 {
        match self.by {
            By::Promote | By::Alias => self.made % self.sources() + 1,
            By::Drop => self.sources() + self.made + 1,
        }
    }

    /// Makes it so, and returns when the gateway has said that it is.
    ///
    /// # Errors
    /// What it said instead, or that it said nothing within [`SWAP_TIMEOUT`].
    pub(super) fn swap(&mut self) -> Result<(), String> {
        let to = self.next();
        self.made += 1;
        match self.by {
            By::Promote => self.call("promote", &json!({"version": to})),
            By::Alias => self.call("alias", &json!({"alias": ALIAS, "version": to})),
            By::Drop => {
                self.registry.add(to)?;
                self.wait_for_default(to)
            }
        }
    }

    /// Tidies up after a swap, outside its window.
    pub(super) fn tidy(&self) -> Result<(), String> {
        let latest = self.sources() + self.made;
        match (self.by, latest.checked_sub(self.kept)) {
            (By::Drop, Some(oldest)) if oldest > 0 => self.registry.remove(oldest),
            _ => Ok(()),
        }
    }

    /// The version that answers requests that name none.
    pub(super) fn default_version(&self) -> Result<u64, String> {
        let models = self.admin.get("/models")?;
        let listed = models["models"].as_array().into_iter().flatten();
        let model = listed.into_iter().find(|model| model["name"] == self.model.as_str());
        let default = model.and_then(|model| model["default"].as_u64());
        default.ok_or_else(|| format!("GET /models names no default version of {}", self.model))
    }

    fn call(&self, action: &str, body: &Value) -> Result<(), String> {
        let path = format!("/models/{}/{action}", self.model);
        let outcome = self.admin.post(&path, body)?;
        if outcome["outcome"] == "done" {
            Ok(())
        } else {
            Err(format!("POST {path} {body} was answered {outcome}"))
        }
    }

    fn wait_for_default(&self, version: u64) -> Result<(), String> {
        let until = Instant::now() + SWAP_TIMEOUT;
        loop {
            let default = self.default_version()?;
            if default == version {
                return Ok(());
            }
            if Instant::now() > until {
                let model = &self.model;
                return Err(format!("{model} still serves {default}, not {version}, after {SWAP_TIMEOUT:?}"));
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }
}
