//! The four listeners.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::config::{Config, Listen};
use crate::control::Control;
use crate::gateway::Gateway;
use crate::http::{Grpc, Http};
use crate::io_threads::IoThreads;
use crate::listen::{Listener, serve};
use crate::metrics::Metrics;
use crate::reload::Reload;

/// All of them, bound.
pub(super) struct Listeners {
    http: Listener,
    grpc: Listener,
    metrics: Listener,
    admin: Listener,
}

/// The addresses that were bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    pub(super) grpc: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) admin: SocketAddr,
}

impl Addresses {
    pub(super) fn json(&self) -> Value {
        json!({
            "http": self.http.to_string(),
            "grpc": self.grpc.to_string(),
            "metrics": self.metrics.to_string(),
            "admin": self.admin.to_string(),
            "pid": std::process::id(),
        })
    }
}

impl Listeners {
    /// Binds all or none.
    pub(super) fn bind(listen: &Listen) -> Result<Self, String> {
        Ok(Self {
            http: Listener::bind("--http", listen.http)?,
            grpc: Listener::bind("--grpc", listen.grpc)?,
            metrics: Listener::bind("--metrics", listen.metrics)?,
            admin: Listener::bind("--admin", listen.admin)?,
        })
    }

    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            http: self.http.address(),
            grpc: self.grpc.address(),
            metrics: self.metrics.address(),
            admin: self.admin.address(),
        }
    }

    /// Starts serving; the tasks end once the phase is closing and every connection has ended.
    pub(super) fn serve(
        self,
        config: &Config,
        gateway: &Arc<Gateway>,
        control: &Control,
        reload: &Arc<Reload>,
        instruments: Registry,
        threads: &Arc<IoThreads>,
    ) -> JoinSet<()> {
        let limits = || config.connections.clone();
        let phase = || gateway.phase.clone();
        let body_timeout = config.connections.body_timeout;
        let grpc = Grpc::new(gateway, None, body_timeout);
        let http = Http::new(gateway.clone(), grpc.clone(), None, body_timeout);
        let admin = {
            let grpc = Grpc::new(gateway, Some(control.clone()), body_timeout);
            let http = Http::new(gateway.clone(), grpc, Some(control.clone()), body_timeout);
            Admin::new(gateway.clone(), control.clone(), reload.clone(), http, body_timeout)
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(self.http, http, limits(), phase(), Some(threads.clone())));
        tasks.spawn(serve(self.grpc, grpc, limits(), phase(), Some(threads.clone())));
        tasks.spawn(serve(self.metrics, Metrics::new(instruments, gateway.clone()), limits(), phase(), None));
        tasks.spawn(serve(self.admin, admin, limits(), phase(), None));
        tasks
    }
}
