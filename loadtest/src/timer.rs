//! A timer that is exact to some microseconds.
//!
//! The runtime's own rounds up to whole milliseconds: at 3000 requests a second it would send three
//! at a time, and the wait would count as latency of the server.

use std::io::Error;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer of the system, on the runtime of the thread that made it.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    /// A timer that is not set.
    pub(crate) fn new() -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // SAFETY: the descriptor is open, and is owned by the registration until that is dropped.
        #[allow(unsafe_code)]
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { fd })
    }

    /// Waits this long.
    pub(crate) async fn wait(&mut self, time: Duration) -> std::io::Result<()> {
        if time.is_zero() {
            // Zero would take the timer back.
            return Ok(());
        }
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let value = Itimerspec { it_interval: never, it_value: once };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &value)?;
        loop {
            let mut ready = self.fd.readable().await?;
            let read = ready.try_io(|fd| rustix::io::read(fd, &mut [0; 8]).map_err(Error::from));
            if let Ok(read) = read {
                return read.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_waits_as_long_as_it_is_told_again_and_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut timer = Timer::new().expect("a timer");
            for micros in [0, 1, 300, 700, 300] {
                let (from, time) = (Instant::now(), Duration::from_micros(micros));
                timer.wait(time).await.expect("it fires");
                assert!(from.elapsed() >= time, "{:?} of {time:?}", from.elapsed());
            }
        });
    }
}
