//! A server that is loaded: one that runs elsewhere, or a gateway that is started for it.

use std::collections::BTreeMap;

use tempfile::TempDir;

use crate::call::Endpoint;
use crate::gateway::{Gateway, Start};
use crate::scenario::{GatewayTable, Scenario};

/// A server, and how it is called.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    /// What it is, for who reads.
    pub(crate) about: String,
    child: Option<Child>,
}

/// A gateway that ends with the target, and the folder that it writes to.
#[derive(Debug)]
struct Child {
    gateway: Gateway,
    _scratch: TempDir,
}

impl Target {
    /// The server that a scenario names, or the gateway that it describes, once that is ready.
    ///
    /// # Errors
    /// Where an address is none, or the gateway does not start.
    pub(crate) fn start(scenario: &Scenario) -> Result<Self, String> {
        match (&scenario.url, &scenario.grpc, &scenario.gateway) {
            (None, None, Some(table)) => Self::child(table),
            (None, None, None) => Err("nothing says what to load: name a server with --url".into()),
            (url, grpc, _) => Self::at(url.as_deref(), grpc.as_deref()),
        }
    }

    /// The server at these addresses.
    pub(crate) fn at(url: Option<&str>, grpc: Option<&str>) -> Result<Self, String> {
        let http = url.map(|url| Endpoint::at(url, false)).transpose()?;
        let grpc = grpc.map(|grpc| Endpoint::at(grpc, true)).transpose()?;
        let first =
            http.as_ref().or(grpc.as_ref()).ok_or("nothing says what to load: name a server with --url")?;
        let endpoint = Endpoint {
            http: http.as_ref().and_then(|endpoint| endpoint.http),
            grpc: grpc.as_ref().and_then(|endpoint| endpoint.grpc),
            host: first.host.clone(),
        };
        Ok(Self { about: format!("http://{}", endpoint.host), endpoint, child: None })
    }

    fn child(table: &GatewayTable) -> Result<Self, String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let state = scratch.path().join("state");
        let start = Start {
            binary: &table.binary,
            core: table.core,
            registry: &table.registry,
            config: table.config.as_deref(),
            state: Some(&state),
            scratch: scratch.path(),
            variables: &[],
        };
        let gateway = start.start()?;
        let mut about = format!("{} over {}", table.binary.display(), table.registry.display());
        if let Some(config) = &table.config {
            about.push_str(&format!(", {}", config.display()));
        }
        if let Some(core) = table.core {
            about.push_str(&format!(", on core {core}"));
        }
        Ok(Self { endpoint: gateway.endpoint(), about, child: Some(Child { gateway, _scratch: scratch }) })
    }

    /// The gateway, where it was started here.
    pub(crate) fn gateway(&self) -> Option<&Gateway> {
        self.child.as_ref().map(|child| &child.gateway)
    }

    /// Why it can answer no more, where that is known.
    pub(crate) fn broken(&mut self) -> Option<String> {
        let gateway = &mut self.child.as_mut()?.gateway;
        (!gateway.server.is_running()).then(|| format!("the gateway ended:\n{}", gateway.end_of_log()))
    }
}

/// Targets by name, for who reads.
pub(crate) fn named(targets: &[(&str, &Target)]) -> BTreeMap<String, String> {
    targets.iter().map(|(name, target)| ((*name).to_owned(), target.about.clone())).collect()
}
