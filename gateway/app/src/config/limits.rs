//! The section `[limits]`: bounds of requests, of what is in flight, and of connections.

use std::time::Duration;

use pointsman_core::ByteSize;
use pointsman_predict::AdmissionLimits;
use pointsman_wire::limits::Limits;

use super::reader::Section;

/// Bounds of connections.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connections {
    /// Open connections on one listener.
    pub(crate) connections_max: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub(crate) streams_max: u32,
    /// Bytes that an HTTP/2 client may send ahead on one stream.
    pub(crate) stream_window: ByteSize,
    /// How long a client may take over its headers.
    pub(crate) header_timeout: Duration,
    /// How long a client may take over its body.
    pub(crate) body_timeout: Duration,
    /// How long a client may take none of its answer.
    pub(crate) write_timeout: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            streams_max: 256,
            stream_window: ByteSize(256 << 10),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// Reads all of them.
pub(super) fn read(
    section: &mut Section<'_>,
    limits: &mut Limits,
    admission: &mut AdmissionLimits,
    connections: &mut Connections,
) {
    section.set_bytes("body_bytes_max", &mut limits.body_bytes_max);
    section.set_within("tensors_max", &mut limits.tensors_max, 1..=65_536);
    section.set_within("parameters_max", &mut limits.parameters_max, 1..=65_536);
    section.set_bytes("text_bytes_max", &mut limits.text_bytes_max);
    section.set_within("requests_in_flight_max", &mut admission.requests_max, 1..=10_000_000);
    section.set_bytes("bytes_in_flight_max", &mut admission.bytes_max);
    section.set_within("requests_per_model_max", &mut admission.requests_per_model_max, 1..=10_000_000);
    section.set_bytes("bytes_per_model_max", &mut admission.bytes_per_model_max);
    section.set_optional_within(
        "requests_per_caller_max",
        &mut admission.requests_per_caller_max,
        1..=1_000_000,
    );
    section.set_within("connections_max", &mut connections.connections_max, 1..=1_000_000);
    section.set_within("streams_max", &mut connections.streams_max, 1..=100_000);
    section.set_within(
        "stream_window",
        &mut connections.stream_window,
        ByteSize(64 << 10)..=ByteSize(64 << 20),
    );
    section.set("header_timeout", &mut connections.header_timeout);
    section.set("body_timeout", &mut connections.body_timeout);
    section.set("write_timeout", &mut connections.write_timeout);
}
