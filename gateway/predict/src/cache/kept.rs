//! An answer that is kept.

use std::sync::Arc;

use pointsman_core::{RunOutputs, Tensor};
use quick_cache::{Lifecycle, Weighter};

use super::key::{Key, tensors_bytes};

/// What an entry takes beside its tensors: itself, its places in the tables of the cache, and the room that tables
/// grow into.
const ENTRY_BYTES: usize = size_of::<Kept>() + 192;

/// An answer with the key that it belongs to, both in memory of their own.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) outputs: RunOutputs,
    bytes: usize,
}

impl Kept {
    /// Copies an answer that takes `bytes`.
    pub(super) fn copy(key: &Key, outputs: &[Tensor], bytes: usize) -> Self {
        Self { key: key.detached(), outputs: outputs.iter().map(Tensor::detached).collect(), bytes }
    }
}

/// What it takes to keep this answer.
pub(super) fn bytes(key: &Key, outputs: &[Tensor]) -> usize {
    key.bytes().saturating_add(tensors_bytes(outputs)).saturating_add(ENTRY_BYTES)
}

/// Says what an entry counts.
#[derive(Clone)]
pub(super) struct Weigher;

impl Weighter<u128, Arc<Kept>> for Weigher {
    fn weight(&self, _: &u128, kept: &Arc<Kept>) -> u64 {
        kept.bytes as u64
    }
}

/// Collects what goes, so that it is counted and freed after the locks.
#[derive(Clone)]
pub(super) struct Evictions;

impl Lifecycle<u128, Arc<Kept>> for Evictions {
    type RequestState = Vec<Arc<Kept>>;

    fn on_evict(&self, evicted: &mut Self::RequestState, _: u128, kept: Arc<Kept>) {
        evicted.push(kept);
    }
}
