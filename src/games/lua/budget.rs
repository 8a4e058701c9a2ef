//! What one callback may cost: instructions, processor time, and memory it keeps. Every entry into a script begins a
//! fresh allowance, and when it is spent the script is stopped wherever it is. The callbacks of one tick (inputs, the
//! tick, the views after it) draw on an account that they share, so that many of them cannot do together what one may
//! not; processor time is one purse for everything a match does ([`Purse`]). A neighbour's tick waits for that at most.
//!
//! Three things make a plain instruction hook insufficient, and each has its answer here:
//!
//! - `pcall` swallows the hook's error: once spent, the hook fires at *every* instruction, and the sandbox's `pcall`
//!   asks [`Meter::check`] before it returns anything;
//! - loops inside C functions run no instruction: the sandbox has none left that is not bounded, and the ones written
//!   in Rust pay by [`Meter::charge`];
//! - single instructions can be slow (joining long strings, reading one as a number, collecting a full heap). None
//!   takes longer than the memory it works on is large, so the hook fires the sooner the more the machine holds
//!   ([`interval`]), and memory itself grows by small steps. Processor time is looked at whenever the hook fires, and
//!   ends the script at half of what it may take: the other half is for what happens before the hook can fire.
//!
//! Processor time decides only about scripts that are far out of line; instructions, which replay the same
//! everywhere, decide about the rest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{HookTriggers, Lua, VmState};

use super::heap::{Heap, Memory};
use super::purse::{Purse, purse_us};
use super::report::{Place, place_on_stack};
use crate::limits::Scripts;
use crate::limits::scripts::{JUDGE_CPU_US, SCRIPT_GROSS_TIMES, SCRIPT_STEP_BYTES_MAX};

/// What scripts of one game may cost: [`Scripts`] in the units that are counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Instructions one callback may run. Over: the callback is stopped.
    pub instructions: u64,
    /// Instructions that loading a file and `init` may run, each.
    pub instructions_load: u64,
    /// Instructions that the callbacks of one tick may run together. Over: the rest of them do not run.
    pub instructions_turn: u64,
    /// Processor microseconds by which a match that plays may make its neighbours late: one callback, a reload, or the
    /// callbacks of one tick together. A script is stopped at half of them, so that the step it is at may end. Over:
    /// as above.
    pub cpu_us: u64,
    /// Processor microseconds that making a match may take: bodies, modules, `init` and bots together. Over: there is
    /// no match.
    pub cpu_load_us: u64,
    /// Processor microseconds that one judgement of a message may take, and all of them in a tenth of a second. Over: it is
    /// not said.
    pub cpu_judge_us: u64,
    /// Bytes the whole machine of one match may hold. Over: "not enough memory", and the callback is stopped.
    pub memory_bytes: usize,
    /// Bytes by which the machine may grow between two looks at the meter: no single string or table of a surprise can be
    /// larger, so no single instruction can take long.
    pub growth_bytes: usize,
    /// Bytes by which one callback may make it grow, except for loading and `init`. Over: as for its memory.
    pub callback_bytes: usize,
    /// Callbacks of one name stopped in a row, or ticks that ran out in a row, after which the match ends.
    pub strikes: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::from(&Scripts::default())
    }
}

impl From<&Scripts> for Allowance {
    fn from(scripts: &Scripts) -> Self {
        let memory_bytes = scripts.memory_kib as usize * 1_024;
        Self {
            instructions: scripts.instructions,
            instructions_load: 4 * scripts.instructions,
            instructions_turn: 2 * scripts.instructions,
            cpu_us: u64::from(scripts.cpu_ms) * 1_000,
            cpu_load_us: u64::from(scripts.load_cpu_ms) * 1_000,
            cpu_judge_us: JUDGE_CPU_US.min(u64::from(scripts.cpu_ms) * 1_000),
            memory_bytes,
            growth_bytes: (memory_bytes / 4).min(SCRIPT_STEP_BYTES_MAX),
            callback_bytes: memory_bytes / 4,
            strikes: scripts.strikes,
        }
    }
}

impl Allowance {
    /// The same where nobody is kept waiting: instructions and memory alone decide, which repeat themselves. Only what is
    /// far beyond anything that could be played is stopped by the clock all the same.
    pub(super) fn unhurried(self) -> Self {
        let more = |us: u64| us.saturating_mul(UNHURRIED);
        Self {
            cpu_us: more(self.cpu_us),
            cpu_load_us: more(self.cpu_load_us),
            cpu_judge_us: more(self.cpu_judge_us),
            ..self
        }
    }
}

/// So many times the processor time has a script that keeps nobody waiting: enough for a build that was not optimised,
/// little enough that nobody waits for one that could never be played.
const UNHURRIED: u64 = 16;

/// Which allowance an entry into a script gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// Running a file's body, and `init`.
    Load,
    /// What happens between ticks: players who come and go, votes that close.
    Callback,
    /// What players say in a tick: at the account of its turn, of which they leave the tick half.
    Input,
    /// What a tick does, at the account of its turn.
    Turn,
    /// What the host does for itself, bounded by its own rules and at nobody's account.
    Own,
    /// What the host does for itself with what the script made: at nobody's account, but in so many microseconds.
    Lent(u64),
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    Instructions,
    Cpu,
    Memory,
    /// A table of numbers that collide was to grow: see [`Memory`].
    Chains,
}

impl Spent {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Spent::Instructions => "over its budget of instructions",
            Spent::Cpu => "over its budget of processor time",
            Spent::Memory => "over its budget of memory",
            Spent::Chains => {
                "thousands of numbers that collide, as keys of one table, are over its budget of processor time"
            }
        }
    }
}

/// Instructions between two looks at the meter in a machine that holds little: few enough that slow single
/// instructions cannot add up to a late tick, many enough to cost a healthy script little.
const HOOK_EVERY: u32 = 16;

/// The part of what an entry may grow by, above which every look remembers where it was: what a script that runs out of
/// memory passes on its way, and others do not.
const PLACES_FROM: usize = 4;

/// Growth since the last look that makes one remember where it was all the same: a string that doubles and doubles passes
/// by all the rest between two looks.
const PLACE_GROWN_BYTES: usize = 16 << 10;

/// Instructions between two looks at what the host does for itself: none ends it.
const OWN_EVERY: u32 = 1 << 20;

/// Bytes in use above which the hook fires sooner: the more a machine holds, the longer may one instruction take.
const SMALL_BYTES: usize = 128 << 10;

/// Instructions between two looks, for a machine of this size.
fn interval(used_bytes: usize) -> u32 {
    // Few different values, so that a heap that breathes does not set the hook over and over.
    match used_bytes.div_ceil(SMALL_BYTES) {
        0 | 1 => HOOK_EVERY,
        2..=4 => HOOK_EVERY / 2,
        5..=8 => HOOK_EVERY / 4,
        _ => HOOK_EVERY / 8,
    }
}

/// How long an entry may run by the wall clock, which never shows less than the processor's, before that one is asked.
const UNASKED: Duration = Duration::from_millis(1);

/// What the densest files that are taken need to be compiled; others a third of it.
const COMPILE_NS_PER_BYTE: u64 = 45;

/// Microseconds of scripts between two looks for chains in large tables: so long as they are made in it, they may be.
const SEARCH_AFTER_US: i64 = 2_000;

/// How many times what such a look takes scripts run before the next.
const SEARCH_TIMES: i64 = 10;

/// Work outside of the machine, in instructions' worth, that is worth a look at the clock of its own.
pub(super) const LARGE_CHARGE: u64 = 250;

/// The running account of one machine.
pub(super) struct Meter {
    allowance: Allowance,
    left: Cell<i64>,
    spent: Cell<Option<Spent>>,
    /// Microseconds of scripts since large tables were looked at for chains, less those of the current entry at that time;
    /// and how many have to pass.
    unsearched_us: Cell<i64>,
    search_after_us: Cell<i64>,
    /// What was paid since the clock was looked at.
    unlooked: Cell<u64>,
    memory: Rc<Memory>,
    /// Where it ran out.
    place: RefCell<Option<Place>>,
    /// Instructions between two looks, as the hook is set.
    every: Cell<u32>,
    /// Bytes in use above which every look remembers where it was: when memory runs out nobody is left to ask.
    places_from: Cell<usize>,
    /// Bytes in use at the last look.
    seen_bytes: Cell<usize>,
    /// Where the last look above that, or after much growth, was.
    last_place: RefCell<Option<Place>>,
    /// Bytes of a machine that holds nothing of a script yet, and the most the current entry may come to hold.
    bare_bytes: Cell<usize>,
    bytes_max: Cell<usize>,
    /// What the turn has left, and what of it inputs may still use.
    turn_left: Cell<u64>,
    inputs_left: Cell<u64>,
    /// The match does not tick: what comes is part of no turn.
    still: Cell<bool>,
    /// Many callbacks come at once and share what there is.
    in_row: Cell<bool>,
    purse: Purse,
    /// What inputs, and what views have to leave in the purse.
    inputs_keep_us: Cell<u64>,
    views_keep_us: Cell<u64>,
    /// Microseconds that loading has left; none once the match plays.
    load_left_us: Cell<Option<u64>>,
    /// The match's own time.
    match_us: Cell<u64>,
    /// What the processor's clock showed when the purse was last right.
    booked_cpu_us: Cell<u64>,
    /// Set when the hook fires and the entry has run for [`UNASKED`]: most are over before, and the processor's clock,
    /// ten times as dear as the wall's, is not asked at all.
    cpu_until_us: Cell<Option<u64>>,
    /// The entry that runs: what it was given, and when it began by the wall clock.
    entered: Cell<Entered>,
    /// It was given less than its own allowance, because its turn or the purse had no more.
    short: Cell<bool>,
    /// Entries so far.
    entries: Cell<u64>,
    /// What the last entry took beyond all measure, in processor microseconds.
    gross_us: Cell<Option<u64>>,
}

#[derive(Clone, Copy)]
struct Entered {
    entry: Entry,
    instructions: u64,
    cpu_us: u64,
    began: Instant,
}

impl Meter {
    /// A meter that watches `lua`. Until the first [`Meter::begin`] everything is allowed.
    pub(super) fn watch(lua: &Heap, allowance: Allowance) -> mlua::Result<Rc<Self>> {
        let entered = Entered { entry: Entry::Load, instructions: 0, cpu_us: u64::MAX / 2, began: Instant::now() };
        let meter = Rc::new(Self {
            allowance,
            left: Cell::new(i64::MAX),
            spent: Cell::new(None),
            unsearched_us: Cell::new(0),
            search_after_us: Cell::new(SEARCH_AFTER_US),
            unlooked: Cell::new(0),
            memory: Rc::clone(lua.memory()),
            place: RefCell::default(),
            every: Cell::new(HOOK_EVERY),
            places_from: Cell::new(usize::MAX),
            seen_bytes: Cell::new(0),
            last_place: RefCell::default(),
            bare_bytes: Cell::new(0),
            bytes_max: Cell::new(0),
            turn_left: Cell::new(allowance.instructions_turn),
            inputs_left: Cell::new(allowance.instructions_turn / 2),
            still: Cell::new(true),
            in_row: Cell::new(false),
            inputs_keep_us: Cell::new(0),
            views_keep_us: Cell::new(0),
            load_left_us: Cell::new(Some(allowance.cpu_load_us)),
            purse: Purse::new(purse_us(allowance)),
            match_us: Cell::new(0),
            booked_cpu_us: Cell::new(0),
            cpu_until_us: Cell::new(None),
            entered: Cell::new(entered),
            short: Cell::new(false),
            entries: Cell::new(0),
            gross_us: Cell::new(None),
        });
        meter.hook(lua, HOOK_EVERY)?;
        Ok(meter)
    }

    pub(super) fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// The machine holds nothing of a script yet: what it holds more from here on is the script's.
    pub(super) fn bare(&self) {
        self.bare_bytes.set(self.memory.used());
    }

    /// The match was made: from here on it draws on its purse, which is full.
    pub(super) fn loaded(&self) {
        self.load_left_us.set(None);
        self.purse.refill();
    }

    /// The match is made anew, with what making it may take; or (`false`) it is.
    pub(super) fn load_again(&self, loads: bool) {
        self.load_left_us.set(loads.then_some(self.allowance.cpu_load_us));
    }

    /// A new turn at this time of the match: its callbacks have a full account.
    pub(super) fn new_turn(&self, match_us: u64) {
        self.match_us.set(match_us);
        self.purse.fill(Instant::now(), match_us);
        self.new_account();
        self.inputs_keep_us.set(self.purse.left_us() / 2);
        self.views_keep_us.set(0);
        self.still.set(false);
    }

    fn new_account(&self) {
        self.turn_left.set(self.allowance.instructions_turn);
        self.inputs_left.set(self.allowance.instructions_turn / 2);
        self.booked_cpu_us.set(cpu_now_us());
    }

    /// Until it is said that the row is over, nothing fills the purse: together they cost no more than it holds.
    pub(super) fn in_row(&self, in_row: bool) {
        self.in_row.set(in_row);
    }

    /// The match does not tick until the next turn, because it waits for players or is paused.
    pub(super) fn be_still(&self) {
        self.still.set(true);
    }

    pub(super) fn is_still(&self) -> bool {
        self.still.get()
    }

    /// Somebody wants to look: in a match that does not tick, looks have an account of their own each, and half of the
    /// purse is not theirs.
    pub(super) fn look_in(&self) {
        if self.is_still() {
            self.purse.fill(Instant::now(), self.match_us.get());
            self.new_account();
            self.views_keep_us.set(self.purse.full_us as u64 / 2);
        }
    }

    /// Processor microseconds there are for such an entry.
    fn cpu_left_us(&self, entry: Entry) -> u64 {
        let keep_us = match entry {
            Entry::Load => {
                if let Some(left_us) = self.load_left_us.get() {
                    return left_us;
                }
                0
            }
            Entry::Own => return u64::MAX / 2,
            Entry::Input => self.inputs_keep_us.get(),
            Entry::Turn => self.views_keep_us.get(),
            Entry::Lent(us) => return us,
            Entry::Callback => 0,
        };
        self.purse.left_us().saturating_sub(keep_us)
    }

    /// What comes between ticks finds in the purse what has come back since; within one, the clock of a busy machine
    /// must not make a turn longer, so it fills when the turn begins.
    pub(super) fn fill(&self, entry: Entry) {
        if entry == Entry::Callback && !self.in_row.get() {
            self.purse.fill(Instant::now(), self.match_us.get());
        }
    }

    /// Whether there is nothing left for such an entry.
    pub(super) fn is_over(&self, entry: Entry) -> bool {
        self.fill(entry);
        let instructions_over = match entry {
            Entry::Turn => self.turn_left.get() == 0,
            Entry::Input => self.turn_left.get() == 0 || self.inputs_left.get() == 0,
            Entry::Load | Entry::Callback | Entry::Own | Entry::Lent(_) => false,
        };
        instructions_over || self.cpu_left_us(entry) == 0
    }

    /// Whether the purse is filled to so many quarters: one will do for what must not be stopped half way because others
    /// had used it up.
    pub(super) fn has_quarters(&self, quarters: u64) -> bool {
        self.purse.left_us() >= self.purse.full_us as u64 * quarters / 4
    }

    /// Whether the entry was stopped because others had used what it needed.
    pub(super) fn ran_short(&self) -> bool {
        self.short.get() && matches!(self.spent.get(), Some(Spent::Instructions | Spent::Cpu))
    }

    /// Whether the purse holds all that a callback may have, less what some quick ones take.
    pub(super) fn is_as_good_as_full(&self) -> bool {
        self.purse.left_us() >= self.purse.full_us as u64 * 15 / 16
    }

    /// A fresh allowance.
    pub(super) fn begin(self: &Rc<Self>, lua: &Lua, entry: Entry) {
        self.entries.set(self.entries.get() + 1);
        self.gross_us.set(None);
        self.memory.forgive();
        let began = Instant::now();
        let used = self.memory.used();
        let grown = (used + self.allowance.callback_bytes).min(self.allowance.memory_bytes);
        let (instructions, bytes_max) = match entry {
            Entry::Load => (self.allowance.instructions_load, self.allowance.memory_bytes),
            Entry::Callback => (self.allowance.instructions, grown),
            Entry::Turn => (self.allowance.instructions.min(self.turn_left.get()), grown),
            Entry::Input => {
                let left = self.turn_left.get().min(self.inputs_left.get());
                (self.allowance.instructions.min(left), grown)
            }
            Entry::Own | Entry::Lent(_) => (u64::MAX >> 8, used + self.allowance.growth_bytes),
        };
        self.fill(entry);
        if !matches!(entry, Entry::Turn | Entry::Input) {
            // A turn did so when it began.
            self.booked_cpu_us.set(cpu_now_us());
        }
        let cpu_us = self.cpu_left_us(entry);
        let want_instructions = match entry {
            Entry::Turn => self.allowance.instructions,
            // Where a callback may do more than all inputs together, one that did as much had what there is.
            Entry::Input => self.allowance.instructions.min(self.allowance.instructions_turn / 2),
            Entry::Load | Entry::Callback | Entry::Own | Entry::Lent(_) => instructions,
        };
        let drained = self.load_left_us.get().is_none() && (cpu_us as i64) < self.purse.full_us / 2;
        self.short.set(instructions < want_instructions || drained);
        self.entered.set(Entered { entry, instructions, cpu_us, began });
        self.left.set(i64::try_from(instructions).unwrap_or(i64::MAX));
        self.bytes_max.set(bytes_max);
        self.places_from.set(used + self.allowance.growth_bytes / PLACES_FROM);
        self.seen_bytes.set(used);
        self.last_place.take();
        self.cpu_until_us.set(None);
        if self.spent.take().is_some() {
            self.place.take();
        }
        self.look(lua);
    }

    /// Between two entries there is no limit: what the host does then is bounded by the size of an input, and telling
    /// about a full machine must not itself fail.
    pub(super) fn end(&self) {
        self.unlimit();
        let entered = self.entered.get();
        if matches!(entered.entry, Entry::Turn | Entry::Input) {
            let used = entered.instructions.saturating_sub(self.left());
            self.turn_left.set(self.turn_left.get().saturating_sub(used));
            if entered.entry == Entry::Input {
                self.inputs_left.set(self.inputs_left.get().saturating_sub(used));
            }
        }
        let passed = entered.began.elapsed();
        let passed_us = passed.as_micros() as u64;
        let used_us = match self.cpu_until_us.get() {
            None if passed < UNASKED => {
                // The wall clock costs a tenth of the processor's, and also runs while neighbours do: so much it may say.
                self.booked_cpu_us.set(self.booked_cpu_us.get() + passed_us);
                passed_us
            }
            asked => {
                let now_us = cpu_now_us();
                let since = asked.map_or(self.booked_cpu_us.get(), |until_us| until_us.saturating_sub(entered.cpu_us));
                self.booked_cpu_us.set(now_us);
                now_us.saturating_sub(since).min(passed_us)
            }
        };
        self.unsearched_us.set(self.unsearched_us.get().saturating_add(used_us as i64));
        let gross = entered.entry != Entry::Load && used_us > SCRIPT_GROSS_TIMES * self.allowance.cpu_us;
        self.gross_us.set(gross.then_some(used_us));
        match (entered.entry, self.load_left_us.get()) {
            (Entry::Own | Entry::Lent(_), _) => {}
            (Entry::Load, Some(left_us)) => self.load_left_us.set(Some(left_us.saturating_sub(used_us))),
            _ => self.purse.spend(used_us),
        }
    }

    /// Which entry into the script this is.
    pub(super) fn entry(&self) -> u64 {
        self.entries.get()
    }

    /// The processor microseconds of the last entry, where no honest script takes so long.
    pub(super) fn gross_us(&self) -> Option<u64> {
        self.gross_us.get()
    }

    /// Work of the host's own that the script is the reason of.
    pub(super) fn bill(&self, took: Duration) {
        self.purse.spend(took.as_micros() as u64);
    }

    /// Microseconds that the purse has.
    pub(super) fn purse_us(&self) -> u64 {
        self.purse.left_us()
    }

    /// Runs `work`, which compiles a file of so many bytes, with all the memory that this entry may come to: no single
    /// piece of it is large. Nothing interrupts it, so it is not begun where there is no time for what it may take.
    pub(super) fn compiles<T>(
        self: &Rc<Self>,
        lua: &Lua,
        bytes: usize,
        work: impl FnOnce() -> mlua::Result<T>,
    ) -> mlua::Result<T> {
        let ran_us = cpu_now_us().saturating_sub(self.booked_cpu_us.get());
        if ran_us + bytes as u64 * COMPILE_NS_PER_BYTE / 1_000 > self.entered.get().cpu_us {
            self.stop(lua, Spent::Cpu)?;
        }
        let limit = self.bytes_max.get();
        self.memory.limit(limit);
        let done = work();
        self.seen_bytes.set(self.memory.used());
        self.look(lua);
        done
    }

    /// What came in from outside is not growth of the script's.
    pub(super) fn came_in(self: &Rc<Self>, lua: &Lua) {
        let grown = self.memory.used() + self.allowance.callback_bytes;
        self.bytes_max.set(self.bytes_max.get().max(grown));
        self.look(lua);
    }

    /// What ran out during the current entry.
    pub(super) fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    /// The line of the script at which it ran out, or that called what ran out.
    pub(super) fn place(&self) -> Option<Place> {
        self.place.borrow().clone().or_else(|| self.last_place.borrow().clone())
    }

    /// Fails once the allowance is spent: what the sandbox's `pcall` asks before it returns.
    pub(super) fn check(&self) -> mlua::Result<()> {
        match self.spent.get() {
            None => Ok(()),
            Some(spent) => Err(mlua::Error::runtime(spent.as_str())),
        }
    }

    /// Work done outside of the machine, in instructions' worth.
    pub(super) fn charge(self: &Rc<Self>, lua: &Lua, units: u64) -> mlua::Result<()> {
        let paid = self.pay(units);
        match self.spent.get() {
            Some(spent) => return self.stop(lua, spent),
            None if units >= LARGE_CHARGE => self.look(lua),
            None => {}
        }
        paid
    }

    /// As [`Meter::charge`], for work that has no machine at hand: a script that is over runs on until the hook fires.
    pub(super) fn pay(&self, units: u64) -> mlua::Result<()> {
        self.check()?;
        let left = self.left.get().saturating_sub_unsigned(units);
        self.left.set(left);
        if left < 0 {
            self.spent.set(Some(Spent::Instructions));
        }
        // Many small payments are a large one.
        let unlooked = self.unlooked.get() + units;
        self.unlooked.set(if unlooked >= LARGE_CHARGE { 0 } else { unlooked });
        if unlooked >= LARGE_CHARGE { self.in_time() } else { self.check() }
    }

    /// Fails where the entry's processor time is over, for work whose size nobody can tell.
    pub(super) fn in_time(&self) -> mlua::Result<()> {
        if self.spent.get().is_none() && self.late() {
            self.spent.set(Some(Spent::Cpu));
        }
        self.check()
    }

    /// Looks for numbers that collide in large tables, once scripts ran for long enough since the last time: in the worst
    /// case a tenth of the time goes there.
    fn search_chains(&self) {
        let ran_us = self.entered.get().began.elapsed().as_micros() as i64;
        if self.unsearched_us.get() + ran_us < self.search_after_us.get() {
            return;
        }
        let began = Instant::now();
        self.memory.search_chains();
        let took_us = began.elapsed().as_micros() as i64;
        self.search_after_us.set((took_us * SEARCH_TIMES).clamp(SEARCH_AFTER_US, 4 * SEARCH_AFTER_US));
        self.unsearched_us.set(-ran_us - took_us);
    }

    /// How many units are left to charge.
    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.left.get()).unwrap_or(0)
    }

    /// Whether the entry's processor time is over, for loops that no hook reaches.
    pub(super) fn late(&self) -> bool {
        let entered = self.entered.get();
        let until_us = match self.cpu_until_us.get() {
            Some(until_us) => until_us,
            None => {
                let passed = entered.began.elapsed();
                if passed < UNASKED {
                    return false;
                }
                // It began at the earliest where the purse was last right, and cannot have used more than has passed.
                let began_us = self.booked_cpu_us.get().max(cpu_now_us().saturating_sub(passed.as_micros() as u64));
                let until_us = began_us.saturating_add(entered.cpu_us);
                self.cpu_until_us.set(Some(until_us));
                until_us
            }
        };
        cpu_now_us() > until_us
    }

    /// What it was, where the machine found no memory.
    pub(super) fn lacked(&self) -> Spent {
        if self.memory.has_refused() { Spent::Chains } else { Spent::Memory }
    }

    /// Marks the allowance spent and makes every further instruction fail.
    pub(super) fn stop(&self, lua: &Lua, why: Spent) -> mlua::Result<()> {
        if self.spent.get().is_none() {
            self.spent.set(Some(why));
        }
        // Where it ran out, not what else was on the way out.
        if self.place.borrow().is_none() {
            *self.place.borrow_mut() = place_on_stack(lua);
        }
        if self.every.replace(0) != 0 {
            lua.set_global_hook(HookTriggers::new().every_nth_instruction(1), move |_, _| {
                Err(mlua::Error::runtime(why.as_str()))
            })?;
        }
        Err(mlua::Error::runtime(why.as_str()))
    }

    /// Sets the hook and the limit to what the machine holds now.
    pub(super) fn look(self: &Rc<Self>, lua: &Lua) {
        let used = self.memory.used();
        let every = match self.entered.get().entry {
            Entry::Own => OWN_EVERY,
            _ => interval(used.saturating_sub(self.bare_bytes.get())),
        };
        if self.every.get() != every {
            self.every.set(every);
            // Setting a global hook needs none of the machine's memory and does not fail.
            let _ = self.hook(lua, every);
        }
        let limit = (used + self.allowance.growth_bytes).min(self.bytes_max.get());
        self.memory.limit(limit);
    }

    /// No limit until the next look.
    pub(super) fn unlimit(&self) {
        self.memory.limit(0);
    }

    fn hook(self: &Rc<Self>, lua: &Lua, every: u32) -> mlua::Result<()> {
        let meter = Rc::downgrade(self);
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(every), move |lua, _| {
            let Some(meter) = meter.upgrade() else { return Ok(VmState::Continue) };
            if meter.memory.has_large() {
                meter.search_chains();
            }
            let mut looked = meter.pay(u64::from(every));
            if looked.is_ok() && (meter.late() || meter.memory.has_refused()) {
                meter.spent.set(Some(if meter.memory.has_refused() { Spent::Chains } else { Spent::Cpu }));
                looked = meter.check();
            }
            match meter.spent.get() {
                None => meter.look(lua),
                Some(spent) => looked = meter.stop(lua, spent),
            }
            let used = meter.memory.used();
            let grown = used.saturating_sub(meter.seen_bytes.replace(used));
            if used > meter.places_from.get() || grown > PLACE_GROWN_BYTES {
                *meter.last_place.borrow_mut() = place_on_stack(lua);
            }
            looked.map(|()| VmState::Continue)
        })
    }
}

/// Processor microseconds of this thread: unlike the wall clock it stands still while a neighbour runs, so a busy
/// machine does not make a healthy script guilty.
#[cfg(unix)]
pub(super) fn cpu_now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// Where threads have no clock of their own the wall clock has to do.
#[cfg(not(unix))]
pub(super) fn cpu_now_us() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_a_machine_holds_the_sooner_the_hook_fires() {
        let allowance = Allowance::default();
        for used in (0..=allowance.memory_bytes).step_by(4_096) {
            // The largest string there may be at the next look, and how often it may be read until then.
            let string = (used + allowance.growth_bytes).min(allowance.memory_bytes);
            let bytes = string as u64 * u64::from(interval(used));
            assert!(bytes <= 10 << 20, "{used} bytes: {bytes} are read between two looks");
        }
        assert_eq!([interval(0), interval(256 << 10), interval(1 << 20), interval(2 << 20)], [16, 8, 4, 2]);
    }
}
