//! An alarm for an open loop: tokio's own wheel is a millisecond coarse, and a load that is itself late by that much
//! would measure itself. On Linux a timerfd, elsewhere the wheel.

use std::time::Instant;

#[cfg(target_os = "linux")]
mod inner {
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    pub(super) struct Inner(AsyncFd<OwnedFd>);

    impl Inner {
        pub(super) fn new() -> std::io::Result<Self> {
            let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            // The newer constructor is unsafe, which this crate forbids; an `OwnedFd` keeps the promise it asks for.
            #[expect(deprecated)]
            Ok(Self(AsyncFd::new(fd)?))
        }

        pub(super) async fn until(&self, at: Instant) -> std::io::Result<()> {
            let wait = at.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                return Ok(());
            }
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos() as _ };
            let spec = Itimerspec { it_interval: zero, it_value: value };
            timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
            loop {
                let mut ready = self.0.readable().await?;
                let mut count = [0u8; 8];
                if let Ok(read) = ready.try_io(|fd| rustix::io::read(fd.get_ref(), &mut count).map_err(Into::into)) {
                    return read.map(drop);
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod inner {
    use std::time::Instant;

    pub(super) struct Inner;

    impl Inner {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn until(&self, at: Instant) -> std::io::Result<()> {
            tokio::time::sleep_until(at.into()).await;
            Ok(())
        }
    }
}

/// Wakes one task at one moment after another.
pub struct Alarm(inner::Inner);

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// When the system has no timer left.
    pub fn new() -> std::io::Result<Self> {
        inner::Inner::new().map(Self)
    }

    /// Waits until `at`; not at all when that has passed.
    ///
    /// # Errors
    /// When the system's timer fails.
    pub async fn until(&self, at: Instant) -> std::io::Result<()> {
        self.0.until(at).await
    }
}
