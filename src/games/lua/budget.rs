//! What one callback may cost: instructions, processor time, and memory it keeps. Every entry into a script begins a
//! fresh allowance, and when it is spent the script is stopped wherever it is.
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

use mlua::{HookTriggers, Lua, VmState};

/// What scripts of one game may cost. The defaults suit a game of a few players at 10 to 30 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Instructions one callback may run. Over: the callback is stopped.
    pub instructions: u64,
    /// Instructions that loading a file and `init` may run, each.
    pub instructions_load: u64,
    /// Processor microseconds one callback may take (ten times as long for loading and `init`). Over: as above.
    pub cpu_us: u64,
    /// Bytes the whole machine of one match may hold. Over: "not enough memory", and the callback is stopped.
    pub memory_bytes: usize,
    /// Bytes by which one callback may grow what is kept (loading and `init` may use all of `memory_bytes`): no
    /// single string or table of a surprise can be larger, so no single instruction can take long.
    pub growth_bytes: usize,
    /// Callbacks of one name stopped in a row, after which the match ends.
    pub strikes: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            instructions: 500_000,
            instructions_load: 5_000_000,
            cpu_us: 25_000,
            memory_bytes: 8 << 20,
            growth_bytes: 2 << 20,
            strikes: 5,
        }
    }
}

/// Which allowance an entry into a script gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Running a file's body, and `init`.
    Load,
    /// Everything that happens while the match plays.
    Callback,
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
const HOOK_EVERY: u32 = 500;

/// The running account of one machine.
pub(super) struct Meter {
    allowance: Allowance,
    left: Cell<i64>,
    cpu_us: Cell<u64>,
    /// Set when the hook first fires: most callbacks are over before, and need not ask the clock at all.
    cpu_until_us: Cell<Option<u64>>,
    spent: Cell<Option<Spent>>,
    /// `file:line` where it ran out, when that was inside a script.
    place: RefCell<Option<String>>,
    every_instruction: Cell<bool>,
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
        });
        meter.hook(lua, HOOK_EVERY)?;
        Ok(meter)
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// A fresh allowance.
    pub(super) fn begin(self: &Rc<Self>, lua: &Lua, entry: Entry) {
        let (instructions, cpu_us, memory) = match entry {
            Entry::Load => (self.allowance.instructions_load, self.allowance.cpu_us * 10, self.allowance.memory_bytes),
            Entry::Callback => {
                let grown = lua.used_memory() + self.allowance.growth_bytes;
                (self.allowance.instructions, self.allowance.cpu_us, grown.min(self.allowance.memory_bytes))
            }
        };
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
                let now_us = cpu_now_us();
                match meter.cpu_until_us.get() {
                    None => meter.cpu_until_us.set(Some(now_us.saturating_add(meter.cpu_us.get()))),
                    Some(until_us) if now_us > until_us => looked = meter.stop(lua, Spent::Cpu),
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
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}
