//! The timer of one connection, made for deadlines that are nearly always put off before they come.
//!
//! hyper waits for the headers of each request with a deadline of its own. To tell the runtime of every one costs a
//! lock and a system call a request. So the runtime's timer is set once, and when it goes off it is set again to the
//! deadline that counts by then: once in a header timeout instead of once in a request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use parking_lot::Mutex;

/// The runtime's timer, pinned.
type Running = Pin<Box<tokio::time::Sleep>>;

/// A timer whose sleeps take over where an earlier one left off.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionTimer {
    /// That of a sleep which was dropped: it still runs.
    spare: Arc<Mutex<Option<Running>>>,
}

struct LazySleep {
    deadline: Instant,
    /// It goes off at the deadline or earlier. Nothing once it is handed back.
    running: Option<Running>,
    spare: Arc<Mutex<Option<Running>>>,
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let mut running = self.spare.lock().take();
        if let Some(running) = running.as_mut().filter(|running| running.deadline() > deadline.into()) {
            running.as_mut().reset(deadline.into());
        }
        let running = running.unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        Box::pin(LazySleep { deadline, running: Some(running), spare: self.spare.clone() })
    }
}

impl Sleep for LazySleep {}

impl Future for LazySleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let Some(running) = self.running.as_mut() else { return Poll::Ready(()) };
        loop {
            ready!(running.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            running.as_mut().reset(deadline.into());
        }
    }
}

impl Drop for LazySleep {
    fn drop(&mut self) {
        *self.spare.lock() = self.running.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_sleep_ends_at_its_deadline_whatever_was_before_it() {
        let timer = ConnectionTimer::default();
        let start = Instant::now();
        // Put off, brought forward, and one beside another.
        drop(timer.sleep(20 * MS));
        timer.sleep(60 * MS).await;
        assert!(start.elapsed() >= 60 * MS);
        drop(timer.sleep(3600 * 1000 * MS));
        let start = Instant::now();
        let (one, other) = (timer.sleep(10 * MS), timer.sleep(30 * MS));
        one.await;
        assert!(start.elapsed() >= 10 * MS);
        other.await;
        assert!(start.elapsed() >= 30 * MS && start.elapsed() < 3000 * MS);
    }

    #[tokio::test]
    async fn deadlines_that_are_put_off_set_no_timer() {
        let timer = ConnectionTimer::default();
        let set_for = || timer.spare.lock().as_ref().map(|running| running.deadline());
        drop(timer.sleep(1000 * MS));
        let first = set_for();
        for _ in 0..10 {
            drop(timer.sleep(2000 * MS));
        }
        assert!(first.is_some() && set_for() == first);
    }
}
