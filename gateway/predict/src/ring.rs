//! What threads of requests leave for one other thread: bounded by number and by bytes, and without a lock.
//!
//! The thread that takes out may be held up at any place for as long as others have work. Threads of requests never
//! wait for it: the places of the queue are reserved before they are used, and one thread alone takes out, in order, so
//! that a place which is reserved is free.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;

/// What waits, and what was taken out and is not done with.
#[derive(Debug)]
pub struct Ring<T> {
    queue: ArrayQueue<T>,
    /// How many, and bytes of them, from their offer until they are done with.
    held: AtomicUsize,
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// Why a ring takes nothing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFull {
    /// As many wait as may.
    Count,
    /// Those that wait hold as many bytes as they may.
    Bytes,
}

impl<T> Ring<T> {
    /// One with room for so many, and for so many bytes of them.
    #[must_use]
    pub fn new(waiting_max: usize, bytes_max: usize) -> Self {
        let queue = ArrayQueue::new(waiting_max.max(1));
        Self { queue, held: AtomicUsize::default(), bytes: AtomicUsize::default(), bytes_max }
    }

    /// Takes something in that holds so many bytes. Never waits.
    ///
    /// # Errors
    /// Where there are too many, or they have too many bytes.
    pub fn push(&self, offered: T, bytes: usize) -> Result<(), RingFull> {
        if !reserve(&self.held, 1, self.queue.capacity()) {
            return Err(RingFull::Count);
        }
        if !reserve(&self.bytes, bytes, self.bytes_max) {
            self.held.fetch_sub(1, Ordering::AcqRel);
            return Err(RingFull::Bytes);
        }
        let pushed = self.queue.push(offered);
        if pushed.is_err() {
            self.release(bytes);
            return Err(RingFull::Count);
        }
        Ok(())
    }

    /// Takes the first one out. It holds its place until it is [released](Ring::release).
    #[must_use]
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// One is done with.
    pub fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.held.fetch_sub(1, Ordering::AcqRel);
    }

    /// How many there are, and their bytes.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
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
    use super::*;

    #[test]
    fn at_the_limit_it_takes_in_and_past_it_it_does_not() {
        let ring = Ring::new(3, 100);
        assert_eq!(ring.push("x", 101), Err(RingFull::Bytes));
        assert_eq!([60, 40].map(|bytes| ring.push("x", bytes)), [Ok(()), Ok(())]);
        assert_eq!(ring.push("x", 1), Err(RingFull::Bytes));
        assert_eq!((ring.push("x", 0), ring.push("x", 0)), (Ok(()), Err(RingFull::Count)));
        assert_eq!(ring.held(), (3, 100));
        // What is taken out is held until it is done with.
        assert_eq!(ring.pop(), Some("x"));
        assert_eq!(ring.push("x", 0), Err(RingFull::Count));
        ring.release(60);
        assert_eq!((ring.push("x", 60), ring.held()), (Ok(()), (3, 100)));
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
                        let counted = if ring.push("x", 70).is_ok() { &pushed } else { &refused };
                        counted.fetch_add(1, Ordering::Relaxed);
                        let (held, bytes) = ring.held();
                        assert!(held <= 16 && bytes <= 1000);
                    }
                });
            }
            scope.spawn(|| {
                while pushed.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed) < 8_000 {
                    if ring.pop().is_some() {
                        taken.fetch_add(1, Ordering::Relaxed);
                        ring.release(70);
                    }
                }
            });
        });
        while ring.pop().is_some() {
            taken.fetch_add(1, Ordering::Relaxed);
            ring.release(70);
        }
        assert_eq!(taken.into_inner(), pushed.into_inner());
        assert_eq!(ring.held(), (0, 0));
    }
}
