//! One ticker per match arbiter: a single absolute timer wakes it for the next deadline of any of its matches.
//!
//! tokio's timer wheel is a millisecond coarse whatever the rate; a timerfd armed with absolute monotonic deadlines is
//! late by tens of microseconds and never drifts. Elsewhere than on Linux the wheel has to do.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use actix::prelude::*;

use super::clock::Clock;
use crate::engine::matches::schedule::TickSchedule;
use crate::ids::MatchId;

/// "Your deadline has come": told to a match, which finds out from its own clock how many ticks it owes.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Tick;

/// A match wants to be told; answered by [`Enrolled`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enroll {
    /// Which match.
    pub match_id: MatchId,
    /// At what rate, 1 to 128 Hz.
    pub hz: u32,
    /// Where to tell it.
    pub tick: Recipient<Tick>,
    /// Where to say when tick 0 is due.
    pub enrolled: Recipient<Enrolled>,
}

/// A match is enrolled: its tick 0 is due at `t0_us`.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Enrolled {
    /// Monotonic microseconds.
    pub t0_us: u64,
}

/// A match wants to be told no more.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Retire(
    /// Which match.
    pub MatchId,
);

struct Board {
    schedule: TickSchedule<MatchId>,
    matches: HashMap<MatchId, Recipient<Tick>>,
}

impl Board {
    /// Tells every match whose deadline has come, and forgets those that died.
    fn tell_due(&mut self, now_us: u64) {
        let Self { schedule, matches } = self;
        let mut dead = Vec::new();
        schedule.take_due(now_us, |match_id, _| match matches.get(&match_id) {
            // `do_send` on purpose: ticker and match share a thread, so at most one tick waits per deadline, and a
            // match that is stuck keeps the ticker from running too.
            Some(tick) if tick.connected() => tick.do_send(Tick),
            _ => dead.push(match_id),
        });
        for match_id in dead {
            schedule.remove(match_id);
            matches.remove(&match_id);
        }
    }
}

/// Tells the matches of its arbiter when their ticks are due.
pub struct Ticker {
    clock: Clock,
    board: Rc<RefCell<Board>>,
    alarm: Rc<alarm::Alarm>,
}

impl Ticker {
    /// A ticker for the arbiter it will be started in.
    pub fn new(clock: Clock) -> std::io::Result<Self> {
        let board = Board { schedule: TickSchedule::new(clock.now_us()), matches: HashMap::new() };
        Ok(Self { clock, board: Rc::new(RefCell::new(board)), alarm: Rc::new(alarm::Alarm::new()?) })
    }

    fn rearm(&self) {
        if let Some(next_us) = self.board.borrow_mut().schedule.next_us() {
            self.alarm.set(next_us);
        }
    }
}

impl Actor for Ticker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (clock, board, alarm) = (self.clock, self.board.clone(), self.alarm.clone());
        ctx.spawn(actix::fut::wrap_future(async move {
            loop {
                alarm.rings().await;
                let mut board = board.borrow_mut();
                board.tell_due(clock.now_us());
                if let Some(next_us) = board.schedule.next_us() {
                    alarm.set(next_us);
                }
            }
        }));
    }
}

impl Handler<Enroll> for Ticker {
    type Result = ();

    fn handle(&mut self, enroll: Enroll, _: &mut Self::Context) {
        let t0_us = {
            let mut board = self.board.borrow_mut();
            board.matches.insert(enroll.match_id, enroll.tick);
            board.schedule.add(enroll.match_id, enroll.hz, self.clock.now_us())
        };
        // Same thread, once per match: nothing to bound.
        enroll.enrolled.do_send(Enrolled { t0_us });
        self.rearm();
    }
}

impl Handler<Retire> for Ticker {
    type Result = ();

    fn handle(&mut self, Retire(match_id): Retire, _: &mut Self::Context) {
        let mut board = self.board.borrow_mut();
        board.schedule.remove(match_id);
        board.matches.remove(&match_id);
    }
}

#[cfg(target_os = "linux")]
mod alarm {
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    /// An alarm set to an absolute monotonic moment.
    pub struct Alarm {
        fd: AsyncFd<OwnedFd>,
    }

    impl Alarm {
        /// An alarm that is not set. Must be called on the arbiter that will wait for it.
        pub fn new() -> std::io::Result<Self> {
            let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            // The newer constructor is unsafe, which this crate forbids; an `OwnedFd` keeps the promise it asks for.
            #[expect(deprecated)]
            Ok(Self { fd: AsyncFd::new(fd)? })
        }

        /// Rings at `at_us` monotonic microseconds, at once when that has passed; replaces what was set before.
        pub fn set(&self, at_us: u64) {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            // An all-zero value would disarm the timer.
            let at_us = at_us.max(1);
            let at = Timespec { tv_sec: (at_us / 1_000_000) as _, tv_nsec: (at_us % 1_000_000 * 1_000) as _ };
            let spec = Itimerspec { it_interval: zero, it_value: at };
            if let Err(error) = timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &spec) {
                tracing::error!(%error, at_us, "the tick timer could not be set");
            }
        }

        /// Waits until it rings.
        pub async fn rings(&self) {
            loop {
                let Ok(mut ready) = self.fd.readable().await else { return };
                let mut count = [0u8; 8];
                if ready.try_io(|fd| rustix::io::read(fd.get_ref(), &mut count).map_err(Into::into)).is_ok() {
                    // It rings once for each time it is set: looking again would be a system call per tick for nothing.
                    ready.clear_ready();
                    return;
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod alarm {
    use std::cell::Cell;
    use std::time::Duration;

    /// An alarm on tokio's wheel: a millisecond coarse.
    pub struct Alarm {
        at_us: Cell<Option<u64>>,
        changed: tokio::sync::Notify,
    }

    impl Alarm {
        /// An alarm that is not set.
        pub fn new() -> std::io::Result<Self> {
            Ok(Self { at_us: Cell::new(None), changed: tokio::sync::Notify::new() })
        }

        /// Rings at `at_us` monotonic microseconds; replaces what was set before.
        pub fn set(&self, at_us: u64) {
            self.at_us.set(Some(at_us));
            self.changed.notify_one();
        }

        /// Waits until it rings.
        pub async fn rings(&self) {
            loop {
                let Some(at_us) = self.at_us.get() else {
                    self.changed.notified().await;
                    continue;
                };
                let wait = Duration::from_micros(at_us.saturating_sub(super::Clock.now_us()));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {
                        self.at_us.set(None);
                        return;
                    }
                    () = self.changed.notified() => {}
                }
            }
        }
    }
}
