//! Waking up when it is time. The runtime's own timers count milliseconds, which is
//! longer than many an answer takes: the kernel's are exact.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// An alarm of one client.
pub(crate) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// Not set yet.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[allow(
            deprecated,
            reason = "unsound for types that hand their descriptor away; `OwnedFd` keeps it to its end"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self(timer))
    }

    /// Waits until then, or not at all when it has passed.
    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec::try_from(left).map_err(io::Error::other)?,
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0_u8; 8])?));
            if let Ok(read) = read {
                return read.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn it_wakes_up_in_time_as_often_as_it_is_set() {
        let timer = Timer::new().unwrap();
        for millis in [3, 1, 0] {
            let due = Instant::now() + Duration::from_millis(millis);
            timer.until(due).await.unwrap();
            assert!(Instant::now() >= due);
        }
        let past = Instant::now();
        timer.until(past).await.unwrap();
        assert!(past.elapsed() < Duration::from_secs(1));
    }
}
