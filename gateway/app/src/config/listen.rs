//! The section `[listen]`: where callers and operators come in.

use std::net::{Ipv4Addr, SocketAddr};

use super::reader::Section;

/// The four listeners.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listen {
    /// REST, and gRPC by content type.
    pub(crate) http: SocketAddr,
    /// gRPC alone.
    pub(crate) grpc: SocketAddr,
    /// `/metrics`.
    pub(crate) metrics: SocketAddr,
    /// Control.
    pub(crate) admin: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { http: loopback(8000), grpc: loopback(8001), metrics: loopback(8002), admin: loopback(8003) }
    }
}

impl Listen {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.set("http", &mut self.http);
        section.set("grpc", &mut self.grpc);
        section.set("metrics", &mut self.metrics);
        section.set("admin", &mut self.admin);
        if !self.admin.ip().is_loopback() {
            section.problem("admin", not_loopback(self.admin));
        }
    }
}

/// Why an address is none for the admin listener.
pub(crate) fn not_loopback(address: SocketAddr) -> String {
    format!(
        "{address} is no loopback address, and whoever reaches the admin listener decides what serves: give \
         127.0.0.1 or [::1], and come from elsewhere through a tunnel (ssh -L, kubectl port-forward)"
    )
}
