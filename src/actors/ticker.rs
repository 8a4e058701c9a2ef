//! One ticker per match arbiter: a single absolute timer wakes it for the next deadline of any of its matches.
//!
//! tokio's timer wheel is a millisecond coarse whatever the rate; a timerfd armed with absolute monotonic deadlines is
//! late by tens of microseconds and never drifts. Elsewhere than on Linux the wheel has to do.
//!
//! Matches whose ticks take long come last: one at a time, and between any two of them the timer is looked at, so that a
//! neighbour waits for one of them at most, however many there are. Making a match takes its turn among them, and so does
//! what such a match does between its ticks.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use actix::prelude::*;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::clock::Clock;
use crate::engine::matches::schedule::TickSchedule;
use crate::ids::MatchId;
use crate::limits::SLOW_TICK_US;

/// "Your deadline has come": told to a match, which finds out from its own clock how many ticks it owes.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub struct Tick;

/// The same, to a match that takes long: its turn is over when this is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SlowTick(
    /// The turn.
    pub OwnedSemaphorePermit,
);

/// How long a match takes, as its ticker goes by, and its place in the line of those that take long. Match and ticker
/// share a thread.
#[derive(Debug, Clone)]
pub struct Pace(Arc<PaceOf>);

#[derive(Debug)]
struct PaceOf {
    /// The longest of late, in microseconds.
    us: AtomicU32,
    /// A slow tick is on its way to the match, and the turn with it.
    called: AtomicBool,
    calls: Notify,
    turns: Arc<Semaphore>,
}

impl Pace {
    /// Slow, until some ticks have shown otherwise; `turns` is the thread's.
    pub fn new(turns: Arc<Semaphore>) -> Self {
        let us = AtomicU32::new(SLOW_TICK_US + SLOW_TICK_US / 16);
        Self(Arc::new(PaceOf { us, called: AtomicBool::new(false), calls: Notify::new(), turns }))
    }

    /// A tick took so many microseconds. What is slow is remembered for many quick ones after it: matches that agree
    /// on when to be slow would be as late for their neighbours together as all of them take.
    pub fn took(&self, us: u64) {
        let before = self.0.us.load(Ordering::Relaxed);
        let now = u32::try_from(us).unwrap_or(u32::MAX).max(before - before.div_ceil(64));
        self.0.us.store(now, Ordering::Relaxed);
    }

    /// Something between ticks took so many microseconds; only ticks show that it is quick again.
    pub fn rose_to(&self, us: u64) {
        self.0.us.fetch_max(u32::try_from(us).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Whether it has to wait for its turn.
    pub fn is_slow(&self) -> bool {
        self.0.us.load(Ordering::Relaxed) >= SLOW_TICK_US
    }

    /// Waits for the turn, and until the thread has looked at its timer. Nothing comes back where the turn is on its way
    /// to the match already, with its tick: whoever waited for another behind that one would wait for ever.
    pub fn turn(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + 'static {
        let pace = self.0.clone();
        async move {
            if pace.called.load(Ordering::Relaxed) {
                return None;
            }
            let turn = tokio::select! {
                biased;
                () = pace.calls.notified() => return None,
                turn = pace.turns.clone().acquire_owned() => turn.ok(),
            };
            tokio::task::yield_now().await;
            turn
        }
    }

    fn call(&self) {
        self.0.called.store(true, Ordering::Relaxed);
        self.0.calls.notify_waiters();
    }

    /// The slow tick has come.
    pub fn came(&self) {
        self.0.called.store(false, Ordering::Relaxed);
    }
}

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
    /// And where, while it is slow.
    pub slow: Recipient<SlowTick>,
    /// Whether it is.
    pub pace: Pace,
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

struct Row {
    tick: Recipient<Tick>,
    slow: Recipient<SlowTick>,
    pace: Pace,
    /// It is due, and waits for its turn.
    waits: bool,
}

struct Board {
    schedule: TickSchedule<MatchId>,
    matches: HashMap<MatchId, Row>,
    /// Slow matches that are due, each once.
    waiting: VecDeque<MatchId>,
}

impl Board {
    /// Tells every match whose deadline has come, lines up the slow ones, and forgets those that died.
    fn tell_due(&mut self, now_us: u64) {
        let Self { schedule, matches, waiting } = self;
        let mut dead = Vec::new();
        schedule.take_due(now_us, |match_id, _| match matches.get_mut(&match_id) {
            Some(row) if row.tick.connected() => {
                if row.waits {
                    // It finds out from its own clock how many ticks it owes.
                } else if row.pace.is_slow() {
                    row.waits = true;
                    waiting.push_back(match_id);
                } else {
                    // `do_send` on purpose: ticker and match share a thread, so at most one tick waits per deadline, and
                    // a match that is stuck keeps the ticker from running too.
                    row.tick.do_send(Tick);
                }
            }
            _ => dead.push(match_id),
        });
        for match_id in dead {
            schedule.remove(match_id);
            matches.remove(&match_id);
        }
    }

    /// Tells the slow match that has waited longest.
    fn tell_next(&mut self, turn: OwnedSemaphorePermit) {
        if let Some(row) = self.waiting.pop_front().and_then(|match_id| self.matches.get_mut(&match_id)) {
            row.waits = false;
            row.pace.call();
            row.slow.do_send(SlowTick(turn));
        }
    }
}

/// Tells the matches of its arbiter when their ticks are due.
pub struct Ticker {
    clock: Clock,
    board: Rc<RefCell<Board>>,
    alarm: Rc<alarm::Alarm>,
    /// Whose turn it is to take long.
    turns: Arc<Semaphore>,
}

impl Ticker {
    /// A ticker for the arbiter it will be started in; `turns` has one for all that takes long there.
    pub fn new(clock: Clock, turns: Arc<Semaphore>) -> std::io::Result<Self> {
        let schedule = TickSchedule::new(clock.now_us());
        let board = Board { schedule, matches: HashMap::new(), waiting: VecDeque::new() };
        Ok(Self { clock, board: Rc::new(RefCell::new(board)), alarm: Rc::new(alarm::Alarm::new()?), turns })
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
        let lined_up = Rc::new(Notify::new());
        let tell = lined_up.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            loop {
                alarm.rings().await;
                let mut board = board.borrow_mut();
                board.tell_due(clock.now_us());
                if !board.waiting.is_empty() {
                    tell.notify_one();
                }
                if let Some(next_us) = board.schedule.next_us() {
                    alarm.set(next_us);
                }
            }
        }));
        let (board, turns) = (self.board.clone(), self.turns.clone());
        ctx.spawn(actix::fut::wrap_future(async move {
            loop {
                lined_up.notified().await;
                while !board.borrow().waiting.is_empty() {
                    // Never closed.
                    let Ok(turn) = turns.clone().acquire_owned().await else { return };
                    // The thread looks at its timer before it comes back here.
                    tokio::task::yield_now().await;
                    board.borrow_mut().tell_next(turn);
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
            let row = Row { tick: enroll.tick, slow: enroll.slow, pace: enroll.pace, waits: false };
            board.matches.insert(enroll.match_id, row);
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
