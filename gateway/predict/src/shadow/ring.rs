//! What waits for a shadow: bounded by number and by bytes, and without a lock.
//!
//! The thread that takes out may be held up at any place for as long as others have work. Threads of requests never
//! wait for it: the places of the queue are reserved before they are used, and one thread alone takes out, in order, so
//! that a place which is reserved is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use pointsman_core::{LoadTenth, ShadowDrop};

use crate::exchange::Exchange;

/// Exchanges that wait, and the one that runs.
#[derive(Debug)]
pub(crate) struct Ring {
    queue: ArrayQueue<Offered>,
    /// Exchanges, and bytes of them, from their offer until they are done with.
    held: AtomicUsize,
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// One that waits.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) load: LoadTenth,
    pub(crate) offered_at: Instant,
    pub(crate) bytes: usize,
}

impl Ring {
    pub(crate) fn new(waiting_max: usize, bytes_max: usize) -> Self {
        let queue = ArrayQueue::new(waiting_max.max(1));
        Self { queue, held: AtomicUsize::default(), bytes: AtomicUsize::default(), bytes_max }
    }

    /// Takes an exchange in.
    ///
    /// # Errors
    /// Where there are too many, or they have too many bytes.
    pub(crate) fn push(&self, offered: Offered) -> Result<(), ShadowDrop> {
        let bytes = offered.bytes;
        if !reserve(&self.held, 1, self.queue.capacity()) {
            return Err(ShadowDrop::Full);
        }
        if !reserve(&self.bytes, bytes, self.bytes_max) {
            self.held.fetch_sub(1, Ordering::AcqRel);
            return Err(ShadowDrop::Bytes);
        }
        let pushed = self.queue.push(offered);
        if pushed.is_err() {
            self.release(bytes);
            return Err(ShadowDrop::Full);
        }
        Ok(())
    }

    /// Takes the first one out. It holds its place until it is [released](Ring::release).
    pub(crate) fn pop(&self) -> Option<Offered> {
        self.queue.pop()
    }

    /// One is done with.
    pub(crate) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.held.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many there are, and their bytes.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.held.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire))
    }
}

/// Takes so much of a budget, where it is left.
fn reserve(taken: &AtomicUsize, more: usize, max: usize) -> bool {
    let fits = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= max);
    taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
}

#[cfg(test)]
mod tests {
    use pointsman_core::{RequestId, StageTimes};

    use super::*;

    fn offered(bytes: usize) -> Offered {
        let (outputs, times) = (Ok(Vec::new()), StageTimes::default());
        let exchange = Exchange { id: RequestId::generate(), inputs: Vec::new(), outputs, times };
        let (load, offered_at) = (LoadTenth::default(), Instant::now());
        Offered { exchange: Arc::new(exchange), load, offered_at, bytes }
    }

    #[test]
    fn at_the_limit_it_takes_in_and_past_it_it_does_not() {
        let ring = Ring::new(3, 100);
        assert_eq!(ring.push(offered(101)), Err(ShadowDrop::Bytes));
        assert_eq!([60, 40].map(|bytes| ring.push(offered(bytes))), [Ok(()), Ok(())]);
        assert_eq!(ring.push(offered(1)), Err(ShadowDrop::Bytes));
        assert_eq!((ring.push(offered(0)), ring.push(offered(0))), (Ok(()), Err(ShadowDrop::Full)));
        assert_eq!(ring.held(), (3, 100));
        // What is taken out is held until it is done with.
        let first = ring.pop().expect("it waits");
        assert_eq!(ring.push(offered(0)), Err(ShadowDrop::Full));
        ring.release(first.bytes);
        assert_eq!((ring.push(offered(60)), ring.held()), (Ok(()), (3, 100)));
    }

    #[test]
    fn many_threads_lose_nothing_and_the_budgets_come_out_even() {
        let ring = Ring::new(16, 1000);
        let taken = AtomicUsize::default();
        let (pushed, refused) = (AtomicUsize::default(), AtomicUsize::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let counted = if ring.push(offered(70)).is_ok() { &pushed } else { &refused };
                        counted.fetch_add(1, Ordering::Relaxed);
                        let (held, bytes) = ring.held();
                        assert!(held <= 16 && bytes <= 1000);
                    }
                });
            }
            scope.spawn(|| {
                while pushed.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed) < 8_000 {
                    if let Some(offered) = ring.pop() {
                        taken.fetch_add(1, Ordering::Relaxed);
                        ring.release(offered.bytes);
                    }
                }
            });
        });
        while let Some(offered) = ring.pop() {
            taken.fetch_add(1, Ordering::Relaxed);
            ring.release(offered.bytes);
        }
        assert_eq!(taken.into_inner(), pushed.into_inner());
        assert_eq!(ring.held(), (0, 0));
    }
}
