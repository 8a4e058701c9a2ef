//! What one callback may cost: instructions, processor time, and memory it keeps. Every entry into a script begins a
//! fresh allowance, and when it is spent the script is stopped wherever it is. The callbacks of one tick (inputs, the
//! tick, the views after it) draw on an account that they share, so that many of them cannot do together what one may
//! not: a neighbour's tick waits for that account at most.
//!
//! Three things make a plain instruction hook insufficient, and each has its answer here:
//!
//! - `pcall` swallows the hook's error: once spent, the hook fires at *every* instruction, and the sandbox's `pcall`
//!   asks [`Meter::check`] before it returns anything;
//! - loops inside C functions run no instruction: the sandbox has none left that is not bounded, and the ones written
//!   in Rust pay by [`Meter::charge`];
//! - single instructions can be slow (joining megabytes, collecting a full heap): processor time is looked at
//!   whenever the hook fires. It decides only about scripts that are far out of line; instructions, which replay the
//!   same everywhere, decide about the rest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, VmState};

/// What scripts of one game may cost. The defaults suit a game of a few players at 10 to 30 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Instructions one callback may run. Over: the callback is stopped.
    pub instructions: u64,
    /// Instructions that loading a file and `init` may run, each.
    pub instructions_load: u64,
    /// Instructions that the callbacks of one tick may run together. Over: the rest of them do not run.
    pub instructions_turn: u64,
    /// Processor microseconds that one callback, and the callbacks of one tick together, may take (ten times as long
    /// for loading and `init`). Over: as above.
    pub cpu_us: u64,
    /// Bytes the whole machine of one match may hold. Over: "not enough memory", and the callback is stopped.
    pub memory_bytes: usize,
    /// Bytes by which one callback may grow what is kept (loading and `init` may use all of `memory_bytes`): no
    /// single string or table of a surprise can be larger, so no single instruction can take long.
    pub growth_bytes: usize,
    /// Callbacks of one name stopped in a row, or ticks that ran out in a row, after which the match ends.
    pub strikes: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            instructions: 500_000,
            instructions_load: 5_000_000,
            instructions_turn: 2_000_000,
            cpu_us: 25_000,
            memory_bytes: 8 << 20,
            growth_bytes: 512 << 10,
            strikes: 5,
        }
    }
}

/// Which allowance an entry into a script gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Running a file's body, and `init`.
    Load,
    /// What happens between ticks: players who come and go, votes that close.
    Callback,
    /// What a tick does, at the account of its turn.
    Turn,
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    Instructions,
    Cpu,
    Memory,
}

impl Spent {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Spent::Instructions => "over its budget of instructions",
            Spent::Cpu => "over its budget of processor time",
            Spent::Memory => "over its budget of memory",
        }
    }
}

/// Instructions between two looks at the meter: few enough that slow single instructions cannot add up to a late
/// tick, many enough to cost a healthy script a few per cent.
const HOOK_EVERY: u32 = 100;

/// How long an entry may run by the wall clock, which never shows less than the processor's, before that one is asked.
const UNASKED: Duration = Duration::from_millis(1);

/// The running account of one machine.
pub(super) struct Meter {
    allowance: Allowance,
    left: Cell<i64>,
    cpu_us: Cell<u64>,
    /// Set when the hook fires and the entry has run for [`UNASKED`]: most are over before, and the processor's clock,
    /// ten times as dear as the wall's, is not asked at all.
    cpu_until_us: Cell<Option<u64>>,
    spent: Cell<Option<Spent>>,
    /// `file:line` where it ran out, when that was inside a script.
    place: RefCell<Option<String>>,
    every_instruction: Cell<bool>,
    /// What the turn has left.
    turn_left: Cell<u64>,
    turn_cpu_us: Cell<u64>,
    /// The entry that runs: what it was given, and when it began by the wall clock.
    entered: Cell<(Entry, u64, Instant)>,
    /// It was given less than its own allowance, because its turn had no more.
    short: Cell<bool>,
}

impl Meter {
    /// A meter that watches `lua`. Until the first [`Meter::begin`] everything is allowed.
    pub(super) fn watch(lua: &Lua, allowance: Allowance) -> mlua::Result<Rc<Self>> {
        let meter = Rc::new(Self {
            allowance,
            left: Cell::new(i64::MAX),
            cpu_us: Cell::new(u64::MAX),
            cpu_until_us: Cell::new(None),
            spent: Cell::new(None),
            place: RefCell::default(),
            every_instruction: Cell::new(false),
            turn_left: Cell::new(allowance.instructions_turn),
            turn_cpu_us: Cell::new(allowance.cpu_us),
            entered: Cell::new((Entry::Load, 0, Instant::now())),
            short: Cell::new(false),
        });
        meter.hook(lua, HOOK_EVERY)?;
        Ok(meter)
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// A new turn: its callbacks have a full account.
    pub(super) fn new_turn(&self) {
        self.turn_left.set(self.allowance.instructions_turn);
        self.turn_cpu_us.set(self.allowance.cpu_us);
    }

    /// Whether this turn's account is empty.
    pub(super) fn turn_is_over(&self) -> bool {
        self.turn_left.get() == 0 || self.turn_cpu_us.get() == 0
    }

    /// Whether the entry was stopped because others of its turn had used what it needed.
    pub(super) fn ran_short(&self) -> bool {
        self.short.get() && matches!(self.spent.get(), Some(Spent::Instructions | Spent::Cpu))
    }

    /// A fresh allowance.
    pub(super) fn begin(self: &Rc<Self>, lua: &Lua, entry: Entry) {
        let (instructions, cpu_us, memory) = match entry {
            Entry::Load => (self.allowance.instructions_load, self.allowance.cpu_us * 10, self.allowance.memory_bytes),
            Entry::Callback | Entry::Turn => {
                let grown = (lua.used_memory() + self.allowance.growth_bytes).min(self.allowance.memory_bytes);
                match entry {
                    Entry::Turn => {
                        (self.allowance.instructions.min(self.turn_left.get()), self.turn_cpu_us.get(), grown)
                    }
                    _ => (self.allowance.instructions, self.allowance.cpu_us, grown),
                }
            }
        };
        let turn = entry == Entry::Turn;
        self.short.set(turn && (instructions < self.allowance.instructions || cpu_us < self.allowance.cpu_us / 2));
        self.entered.set((entry, instructions, Instant::now()));
        self.left.set(i64::try_from(instructions).unwrap_or(i64::MAX));
        self.cpu_us.set(cpu_us);
        self.cpu_until_us.set(None);
        if self.spent.take().is_some() {
            self.place.take();
        }
        if self.every_instruction.replace(false) {
            // Setting a hook fails only when memory is short, and then the finer one stays: slower, still safe.
            let _ = self.hook(lua, HOOK_EVERY);
        }
        let _ = lua.set_memory_limit(memory);
    }

    /// Between two entries there is no limit: what the host does then is bounded by the size of an input, and telling
    /// about a full machine must not itself fail.
    pub(super) fn end(&self, lua: &Lua) {
        let _ = lua.set_memory_limit(0);
        let (Entry::Turn, given, began) = self.entered.get() else { return };
        let used = given.saturating_sub(self.left());
        self.turn_left.set(self.turn_left.get().saturating_sub(used));
        let had_us = self.turn_cpu_us.get();
        let used_us = match self.cpu_until_us.get() {
            // The hook has asked the processor's clock: what is left is known.
            Some(until_us) => had_us.saturating_sub(until_us.saturating_sub(cpu_now_us())),
            // A short one. The wall clock costs a tenth of the processor's, and also runs while neighbours do: so much
            // it may say, and no more.
            None => (began.elapsed().as_micros() as u64).min(had_us / 8),
        };
        self.turn_cpu_us.set(had_us.saturating_sub(used_us));
    }

    /// What ran out during the current entry.
    pub(super) fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    /// Where it ran out, as `file:line`, if that was inside a script.
    pub(super) fn place(&self) -> Option<String> {
        self.place.borrow().clone()
    }

    /// Fails once the allowance is spent: what the sandbox's `pcall` asks before it returns.
    pub(super) fn check(&self) -> mlua::Result<()> {
        match self.spent.get() {
            None => Ok(()),
            Some(spent) => Err(mlua::Error::runtime(spent.as_str())),
        }
    }

    /// Work done outside of the machine, in instructions' worth.
    pub(super) fn charge(&self, lua: &Lua, units: u64) -> mlua::Result<()> {
        self.check()?;
        let left = self.left.get().saturating_sub_unsigned(units);
        self.left.set(left);
        if left < 0 { self.stop(lua, Spent::Instructions) } else { Ok(()) }
    }

    /// How many units are left to charge.
    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.left.get()).unwrap_or(0)
    }

    /// Whether the entry's processor time is over, for loops that no hook reaches.
    pub(super) fn late(&self) -> bool {
        match self.cpu_until_us.get() {
            Some(until_us) => cpu_now_us() > until_us,
            None => {
                self.cpu_until_us.set(Some(cpu_now_us().saturating_add(self.cpu_us.get())));
                false
            }
        }
    }

    /// Marks the allowance spent and makes every further instruction fail.
    pub(super) fn stop(&self, lua: &Lua, why: Spent) -> mlua::Result<()> {
        if self.spent.get().is_none() {
            self.spent.set(Some(why));
        }
        if !self.every_instruction.replace(true) {
            lua.set_hook(HookTriggers::new().every_nth_instruction(1), move |_, _| {
                Err(mlua::Error::runtime(why.as_str()))
            })?;
        }
        Err(mlua::Error::runtime(why.as_str()))
    }

    fn hook(self: &Rc<Self>, lua: &Lua, every: u32) -> mlua::Result<()> {
        let meter = Rc::downgrade(self);
        lua.set_hook(HookTriggers::new().every_nth_instruction(every), move |lua, at| {
            let Some(meter) = meter.upgrade() else { return Ok(VmState::Continue) };
            let mut looked = meter.charge(lua, u64::from(every));
            if looked.is_ok() {
                match meter.cpu_until_us.get() {
                    None if meter.entered.get().2.elapsed() < UNASKED => {}
                    None => meter.cpu_until_us.set(Some(cpu_now_us().saturating_add(meter.cpu_us.get()))),
                    Some(until_us) if cpu_now_us() > until_us => looked = meter.stop(lua, Spent::Cpu),
                    Some(_) => {}
                }
            }
            if looked.is_err() {
                let source = at.source().short_src.unwrap_or_default().into_owned();
                let line = at.current_line().filter(|_| source.ends_with(".lua"));
                *meter.place.borrow_mut() = line.map(|line| format!("{source}:{line}"));
            }
            looked.map(|()| VmState::Continue)
        })
    }
}

/// Processor microseconds of this thread: unlike the wall clock it stands still while a neighbour runs, so a busy
/// machine does not make a healthy script guilty.
#[cfg(unix)]
fn cpu_now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// Where threads have no clock of their own the wall clock has to do.
#[cfg(not(unix))]
fn cpu_now_us() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}
