//! What the gateway does to the bytes of a request and of an answer.
//!
//! `cargo bench -p pointsman-wire` runs all; a word behind `--` names those that are run: `v2`, `v1`, `grpc`,
//! `candidates` (the JSON codec beside libraries), `path`.

mod bodies;
mod codecs;
mod json;
mod paths;

use std::time::Duration;

use criterion::Criterion;

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // Two minutes for all of them.
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(500));
    let mut criterion = criterion.measurement_time(Duration::from_secs(2)).configure_from_args();
    codecs::v2(&mut criterion);
    codecs::v1(&mut criterion);
    codecs::grpc(&mut criterion);
    json::candidates(&mut criterion);
    paths::paths(&mut criterion);
    criterion.final_summary();
}
