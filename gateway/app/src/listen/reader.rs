//! Whether the client of an HTTP/2 connection takes its answers.
//!
//! It grants each stream a window, and may grant none: then nothing is written, and no write waits for long
//! ([`super::stall`]). What is answered would be held, with its place in flight, for as long as the client likes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;

/// The least time between two looks, however short the limit is.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// The answers of one connection that are under way: since when each waits for the client, where it does.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    waiting_since: Mutex<Slab<Option<Instant>>>,
}

/// Who reads one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    readers: Arc<Readers>,
    place: usize,
}

impl Readers {
    /// The reader of an answer that is there to be read.
    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        let place = self.waiting_since.lock().insert(Some(Instant::now()));
        Reader { readers: self.clone(), place }
    }

    /// Waits until the client has taken nothing of some answer for `limit`: for a quarter longer at most,
    /// or [`LOOK_MIN`].
    pub(super) async fn stall(&self, limit: Duration) {
        loop {
            tokio::time::sleep((limit / 4).max(LOOK_MIN)).await;
            let waiting_since = self.waiting_since.lock();
            if waiting_since.iter().any(|(_, since)| since.is_some_and(|since| since.elapsed() >= limit)) {
                return;
            }
        }
    }
}

impl Reader {
    /// A part of the answer is there to be read.
    pub(crate) fn is_to_read(&self) {
        self.readers.waiting_since.lock()[self.place] = Some(Instant::now());
    }

    /// The next part of the answer is still to be made.
    pub(crate) fn is_waited_for(&self) {
        self.readers.waiting_since.lock()[self.place] = None;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.waiting_since.lock().remove(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn whoever_takes_nothing_is_given_up() {
        let readers = Arc::new(Readers::default());
        let (gone, _reader) = (readers.reader(), readers.reader());
        drop(gone);
        tokio::time::timeout(PATIENCE, readers.stall(LIMIT)).await.expect("it is seen");
    }

    #[tokio::test]
    async fn without_any_time_it_looks_now_and_then() {
        let readers = Readers::default();
        // A loop that never gave way would not let the time be looked at.
        assert!(tokio::time::timeout(LIMIT, readers.stall(Duration::ZERO)).await.is_err());
    }

    #[tokio::test]
    async fn whoever_waits_for_the_gateway_is_not() {
        let readers = Arc::new(Readers::default());
        let reader = readers.reader();
        reader.is_waited_for();
        assert!(tokio::time::timeout(3 * LIMIT, readers.stall(LIMIT)).await.is_err());
        reader.is_to_read();
        tokio::time::timeout(PATIENCE, readers.stall(LIMIT)).await.expect("it is seen");
    }
}
