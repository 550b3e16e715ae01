//! The response cache of a version: answers that are kept, so that an equal request is answered without a run.
//!
//! **What is equal.** A session is given [`RunInputs`](pointsman_core::RunInputs) and nothing else, so nothing else can
//! change what it answers: the inputs in the order of the signature, each with its datatype, shape and bytes or left
//! out, and the outputs that are wanted, in the order wanted. That is the key. Bytes decide: NaN is equal to the same
//! NaN, and 0.0 is another input than -0.0. What a request has beside that (its id, the names and the order in which
//! inputs came, JSON or binary, its parameters) is no part of it; the version is none either, for the cache is a
//! part of the version. It is empty when the version begins to serve, and the last worker to leave empties it, so that
//! nothing of it is freed on the thread of a request. Models that draw random numbers get no cache at all
//! (`gateway/registry/src/onnx/random.rs`).
//!
//! **Finding.** Answers are found by a digest of the key, and given only where the keys are equal, byte by byte. The
//! digest is SipHash-1-3 of 128 bits under a key that is random in each process, so that no caller can make two inputs
//! with the same one; if two had, the one that comes second would not be found, and never the wrong answer be given.
//! (64 B take 30 ns, 3 KiB 0.9 µs, 600 KiB 144 µs on an EPYC of 2.45 GHz. BLAKE3, keyed, takes 97 ns, 2.8 µs and
//! 146 µs; to compare the keys takes a tenth of it at most.)
//!
//! **One flight.** Requests that are equal to one that waits or runs join it ([`Flight`]): they take no place in the
//! queue, and wait under their own deadlines for the same answer. The run is nobody's own: it goes on while anybody
//! waits for it, so one that leaves or expires takes nothing from the others, and it ends when the last one leaves.
//! Where it gives no answer (it fails, or the deadline of the first one passed in the queue), whoever joined is run
//! alone, past the cache: so nobody waits in vain twice, and an error is never another request's. No more may wait so
//! than in the queue.
//!
//! **What is kept.** Answers of runs, errors never, in memory of their own: a kept tensor holds neither the body of the
//! request nor the outputs of others that it was run with. Keys and answers together, with what it takes to keep them,
//! are bounded in bytes; what does not fit goes, that which is asked for least first (`quick_cache`, a variant of
//! S3-FIFO). An entry of more than an eighth of the bound, or 8 MiB, is not kept, and a request that is larger by
//! itself is not even looked for. Beside the bound there are the digests of what went lately, at most a hundredth of it.

pub(crate) mod digest;
mod flight;
mod kept;
mod key;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use parking_lot::Mutex;
use pointsman_core::{RunOutputs, Tensor};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder};

pub(crate) use flight::Flight;
use kept::{Evictions, Kept, Weigher};
pub(crate) use key::Key;

use crate::lead::Lead;
use crate::line::JoinError;
use crate::metrics::CacheMetrics;
use crate::queue::Ticket;
use crate::record::Counting;

/// The part of the bound that one entry may take: one in so many.
const ENTRIES_MIN: usize = 8;
/// The most bytes of one entry, however large the bound: they are hashed and copied on the thread of a request.
const ENTRY_BYTES_MAX: usize = 8 << 20;
/// Parts of the cache with a lock of their own. Each holds its part of the bound, so that there must not be more than
/// half as many as entries of the largest size.
const SHARDS: usize = 4;
/// What an entry takes on average, for the room that the digests of those that went get.
const ENTRY_BYTES_ESTIMATED: usize = 4 << 10;
/// Below so many entries the parts would be made fewer.
const ENTRIES_ESTIMATED_MIN: usize = 32 * SHARDS;

/// Gives the digest of a key.
type Digest = fn(&[Option<Tensor>], &[usize]) -> u128;

/// The cache of one version.
pub struct ResponseCache {
    kept: Cache<u128, Arc<Kept>, Weigher, DefaultHashBuilder, Evictions>,
    /// Requests that wait or run, by the digests of their keys.
    flights: Mutex<HashMap<u128, Flying>>,
    /// Requests that wait for the run of another.
    waiting: AtomicUsize,
    waiting_max: usize,
    entry_bytes_max: usize,
    digest: Digest,
    metrics: CacheMetrics,
    record: Counting,
}

/// A run that is under way, and may be joined.
struct Flying {
    key: Arc<Key>,
    flight: WeakShared<Flight>,
}

/// What is found for a request.
pub(crate) enum Found {
    /// An answer that was kept.
    Kept(RunOutputs),
    /// The run of an equal request.
    Joined(Shared<Flight>, Waiting),
    /// Nothing: it is in the queue now, and others may join it. With it may come the lead.
    Submitted(Shared<Flight>, Option<Lead>),
    /// The run of another request with the same digest. It has to be run by itself.
    Collided,
}

/// A request that waits for the run of another.
pub(crate) struct Waiting(Arc<ResponseCache>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ResponseCache {
    /// An empty cache of `bytes_max` bytes, for whose runs `waiting_max` requests may wait. Nothing where the library
    /// refuses its options, which it does not: all of them are given.
    pub(crate) fn new(
        bytes_max: usize,
        waiting_max: usize,
        metrics: CacheMetrics,
        record: Counting,
    ) -> Option<Arc<Self>> {
        Self::with_digest(bytes_max, waiting_max, metrics, record, digest::digest)
    }

    fn with_digest(
        bytes_max: usize,
        waiting_max: usize,
        metrics: CacheMetrics,
        record: Counting,
        digest: Digest,
    ) -> Option<Arc<Self>> {
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            // Every part gets a whole number of bytes, so that together they have no more than the bound.
            .weight_capacity((bytes_max / SHARDS * SHARDS) as u64)
            .estimated_items_capacity((bytes_max / ENTRY_BYTES_ESTIMATED).max(ENTRIES_ESTIMATED_MIN))
            .build()
            .ok()?;
        Some(Arc::new(Self {
            kept: Cache::with_options(options, Weigher, DefaultHashBuilder::default(), Evictions),
            flights: Mutex::default(),
            waiting: AtomicUsize::new(0),
            waiting_max,
            entry_bytes_max: (bytes_max / ENTRIES_MIN).min(ENTRY_BYTES_MAX),
            digest,
            metrics,
            record,
        }))
    }

    /// The key of a request; nothing where it is too large for an entry.
    pub(crate) fn key(&self, inputs: &[Option<Tensor>], outputs: &[usize]) -> Option<Key> {
        if key::bytes(inputs, outputs) > self.entry_bytes_max {
            return None;
        }
        Some(Key::new((self.digest)(inputs, outputs), inputs.to_vec(), outputs.to_vec()))
    }

    /// Looks for an answer, and for a run that gives it. Where there is neither, the request is submitted, in such a way
    /// that others may join it.
    ///
    /// # Errors
    /// Those of `submit`, and [`JoinError::Full`] where too many wait for runs of others.
    pub(crate) fn find(
        self: &Arc<Self>,
        key: Key,
        submit: impl FnOnce(Vec<Option<Tensor>>) -> Result<(Ticket, Option<Lead>), JoinError>,
    ) -> Result<Found, JoinError> {
        if let Some(outputs) = self.answer(&key) {
            return Ok(Found::Kept(outputs));
        }
        let mut flights = self.flights.lock();
        if let Some(flying) = flights.get(&key.digest) {
            if *flying.key != key {
                return Ok(Found::Collided);
            }
            // Taken before the flight: one that nobody else holds must not be dropped under the lock.
            let waiting = self.wait()?;
            // The last one who waited may have left a moment ago.
            if let Some(flight) = flying.flight.upgrade() {
                return Ok(Found::Joined(flight, waiting));
            }
        }
        // A run that ended meanwhile has left its answer before it left.
        if let Some(outputs) = self.answer(&key) {
            return Ok(Found::Kept(outputs));
        }
        let (ticket, lead) = submit(key.inputs.clone())?;
        let (digest, key) = (key.digest, Arc::new(key));
        let flight = Flight::new(self.clone(), key.clone(), ticket).shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(digest, Flying { key, flight: weak });
        }
        Ok(Found::Submitted(flight, lead))
    }

    /// The answer that was kept for this key.
    fn answer(&self, key: &Key) -> Option<RunOutputs> {
        let kept = self.kept.get(&key.digest)?;
        (kept.key == *key).then(|| kept.outputs.clone())
    }

    /// One more that waits for the run of another.
    fn wait(self: &Arc<Self>) -> Result<Waiting, JoinError> {
        let more = |waiting| (waiting < self.waiting_max).then_some(waiting + 1);
        match self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Waiting(self.clone())),
            Err(_) => Err(JoinError::Full),
        }
    }

    /// Keeps the answer of a run.
    fn keep(&self, key: &Key, outputs: &[Tensor]) {
        let bytes = kept::bytes(key, outputs);
        if bytes > self.entry_bytes_max {
            return;
        }
        let kept = Arc::new(Kept::copy(key, outputs, bytes));
        // What goes for it is freed when nobody waits for a lock any more.
        let mut evicted = Vec::new();
        self.kept.insert_with_lifecycle(key.digest, kept, &mut evicted);
        self.metrics.evictions.inc_by(evicted.len() as u64);
    }

    /// Lets no more requests join a run.
    fn left(&self, key: &Arc<Key>) {
        let mut flights = self.flights.lock();
        if flights.get(&key.digest).is_some_and(|flying| Arc::ptr_eq(&flying.key, key)) {
            flights.remove(&key.digest);
        }
    }

    /// A request was answered without a run of its own, and it took this long to look.
    pub(crate) fn hit(&self, took: Duration) {
        self.metrics.hits.inc();
        self.record.record().statistics().hit(took);
    }

    /// A request has to be run, and it took this long to look.
    pub(crate) fn missed(&self, took: Duration) {
        self.metrics.misses.inc();
        self.record.record().statistics().missed(took);
    }

    /// A request was not looked for.
    pub(crate) fn bypassed(&self) {
        self.metrics.bypasses.inc();
    }

    /// Lets everything go that is kept.
    pub(crate) fn clear(&self) {
        self.kept.clear();
    }

    /// Answers that are kept.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.kept.len()
    }

    /// Bytes of them and of their keys.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.kept.weight()
    }

    /// Requests that wait for the run of another.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache").field("entries", &self.entries()).finish_non_exhaustive()
    }
}
