//! The memory of one machine: how much of it there may be, and no table that takes long to grow.
//!
//! Lua keeps a number in the hash part of a table at the remainder of a division by the size of that part less one. A
//! script can choose thousands of numbers that share one remainder; the table keeps them as one chain, and as it grows it
//! goes along the new chain once for each of them. Eight thousand take more than 100 ms, in one step that no hook
//! interrupts, and before it nothing about them is slow: they need not share anything at the size the table had. So the
//! allocator looks. A table that grows asks for its new nodes while the old ones are whole, and where those would make
//! chains too long there are none ([`Memory::collides`]). A chain that comes to be in a table which need not grow is
//! looked for while the script runs ([`Memory::search_chains`]). Either ends the match.
//!
//! Strings do not need this: their places depend on a seed of the machine's, which no script sees. Nor do tables and
//! functions as keys: they go by where they lie, and what a match may hold has not enough places that collide.
//!
//! This is the crate's one file with `unsafe`. It puts an allocator before the library's own, which still does all the
//! allocating, and reads the nodes of Lua 5.4 (`lobject.h`, `ltable.c`) where they lie. The tests below fail if a later
//! Lua keeps them otherwise.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ops::Deref;
use std::rc::Rc;

use mlua::{Lua, LuaOptions, StdLib, ffi};

use crate::limits::scripts::{SCRIPT_CHAIN_MAX, SCRIPT_CHAIN_STEPS_MAX};

/// A machine with its memory watched.
pub(super) struct Heap {
    lua: Lua,
    memory: Rc<Memory>,
    state: *mut ffi::lua_State,
}

impl Heap {
    /// A fresh machine with these libraries.
    pub(super) fn new(libs: StdLib) -> mlua::Result<Self> {
        let lua = Lua::new_with(libs, LuaOptions::default())?;
        // With a limit of the library's own, however high, it takes care everywhere that memory may run out.
        lua.set_memory_limit(isize::MAX as usize)?;
        let mut heap = Self { lua, memory: Rc::default(), state: std::ptr::null_mut() };
        let Self { lua, memory, state } = &mut heap;
        // SAFETY: what is called here neither raises an error nor leaves anything on the stack of `lua`, whose state this is.
        unsafe {
            lua.exec_raw::<()>((), |raw| {
                let mut data = std::ptr::null_mut();
                let inner = ffi::lua_getallocf(raw, &mut data);
                memory.inner.set(Some((inner, data)));
                let kib = ffi::lua_gc(raw, ffi::LUA_GCCOUNT, 0) as usize;
                memory.used.set((kib << 10) + ffi::lua_gc(raw, ffi::LUA_GCCOUNTB, 0) as usize);
                ffi::lua_setallocf(raw, allocate, Rc::as_ptr(memory) as *mut c_void);
                *state = raw;
            })?;
        }
        Ok(heap)
    }

    pub(super) fn memory(&self) -> &Rc<Memory> {
        &self.memory
    }
}

impl Deref for Heap {
    type Target = Lua;

    fn deref(&self) -> &Lua {
        &self.lua
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let Some((inner, data)) = self.memory.inner.get() else { return };
        if !self.state.is_null() {
            // SAFETY: `lua` lives, so its state does; the pair is what it began with, which its blocks were made by, and
            // by which the library knows its own at the end. Nothing of `memory` is used by Lua from here on.
            unsafe { ffi::lua_setallocf(self.state, inner, data) };
        }
    }
}

/// What one machine holds.
#[derive(Default)]
pub(super) struct Memory {
    used: Cell<usize>,
    /// Bytes; 0 for none.
    limit: Cell<usize>,
    /// The library's own allocator, and what it is given.
    inner: Cell<Option<(ffi::lua_Alloc, *mut c_void)>>,
    /// Where the nodes of large tables lie, and how many there are.
    large: RefCell<Vec<Nodes>>,
    /// Keys at every place of the table that would be, while they are counted.
    counts: RefCell<Vec<u16>>,
    refused: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Nodes {
    at: *const Node,
    count: usize,
}

/// `Node` of `lobject.h`: a value and its kind, the key's kind, the way along its chain, and the key.
#[repr(C)]
struct Node {
    value: u64,
    value_kind: u8,
    key_kind: u8,
    next: i32,
    key: u64,
}

const _: () = assert!(size_of::<Node>() == 24);

/// What is nil of whatever kind, has zeros there.
const KIND_MASK: u8 = 0x0f;
const INTEGER: u8 = 3;
const FLOAT: u8 = 3 | 1 << 4;

/// Nodes from which on a table is looked at: twice as many as may be one chain.
const LARGE_NODES: usize = 2 * SCRIPT_CHAIN_MAX as usize;

impl Memory {
    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used.get()
    }

    /// No more than so many bytes; 0 for as many as there are. Less than what is in use takes nothing away.
    pub(super) fn limit(&self, bytes: usize) {
        self.limit.set(bytes);
    }

    /// Whether a table was not to grow, for what it holds.
    pub(super) fn has_refused(&self) -> bool {
        self.refused.get()
    }

    /// That is over and done with.
    pub(super) fn forgive(&self) {
        self.refused.set(false);
    }

    /// What is in use once `freed` bytes have become `wanted` ones; none where that is too much.
    fn after(&self, freed: usize, wanted: usize) -> Option<usize> {
        let (limit, used) = (self.limit.get(), self.used.get().saturating_sub(freed).saturating_add(wanted));
        (wanted <= freed || limit == 0 || used <= limit).then_some(used)
    }

    /// Whether a table of these nodes, of which a large one that there is may become one, goes along chains for too long.
    fn collides(&self, count: usize) -> bool {
        let mut counts = self.counts.borrow_mut();
        self.large.borrow().iter().any(|nodes| {
            // SAFETY: the block was handed out with zeros for this many nodes, was not given back since, and nobody writes
            // to it while this runs: Lua waits for its answer.
            let nodes = unsafe { std::slice::from_raw_parts(nodes.at, nodes.count) };
            are_full(nodes) && steps(nodes, count, &mut counts) > SCRIPT_CHAIN_STEPS_MAX
        })
    }

    /// Whether there is any table of many nodes.
    pub(super) fn has_large(&self) -> bool {
        !self.large.borrow().is_empty()
    }

    /// Looks at all large tables for numbers that share a place: a chain may also come to be in a table that does not grow,
    /// one number at a time, and makes every other look at that table slow.
    pub(super) fn search_chains(&self) {
        let mut counts = self.counts.borrow_mut();
        let found = self.large.borrow().iter().any(|nodes| {
            // SAFETY: as above.
            let slice = unsafe { std::slice::from_raw_parts(nodes.at, nodes.count) };
            are_nodes(slice) && longest(slice, &mut counts) > SCRIPT_CHAIN_MAX
        });
        if found {
            self.refused.set(true);
        }
    }

    fn forget(&self, block: *const c_void) {
        self.large.borrow_mut().retain(|nodes| !std::ptr::addr_eq(nodes.at, block));
    }
}

/// How many nodes a new block of so many bytes may be for, where they are many.
fn large_nodes(bytes: usize) -> Option<usize> {
    let count = bytes / size_of::<Node>();
    (count >= LARGE_NODES && count.is_power_of_two() && bytes.is_multiple_of(size_of::<Node>())).then_some(count)
}

/// Whether what lies there is not the array part of a table, which may be as large: of that every other node would have
/// the empty bytes behind a value's kind where a key's kind is. In a hash part with a chain in it keys lie everywhere, as
/// Lua gives out its free nodes one after the other.
fn are_nodes(nodes: &[Node]) -> bool {
    nodes.iter().step_by(2).any(|node| node.key_kind != 0)
}

/// Whether that is all of a hash part and no place in it is free: else its table need not grow.
fn are_full(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| node.key_kind != 0)
}

/// Integers up to which no table is judged by as it grows. So few share a place that they are no matter in a table of
/// their number; and as many may be meant for its array part, or belong to another table than the one that grows.
const SMALL: std::ops::RangeInclusive<u64> = 1..=1 << 20;

/// Steps along chains that it takes to put the numbers of `nodes` into a hash part of `count`: each passes all that are
/// at its place already.
fn steps(nodes: &[Node], count: usize, counts: &mut Vec<u16>) -> u64 {
    let mut steps = 0;
    let is_live = |node: &&Node| node.value_kind & KIND_MASK != 0;
    let live = nodes.iter().filter(is_live).filter(|node| node.key_kind != INTEGER || !SMALL.contains(&node.key));
    let mut judged = 0;
    at_their_places(live, count, counts, |there| {
        judged += 1;
        steps += u64::from(there);
    });
    // More than would lie there: it is another table that grows.
    if judged > count { 0 } else { steps }
}

/// Numbers of the longest chain in the hash part that these nodes are; those without a value are still links of it.
fn longest(nodes: &[Node], counts: &mut Vec<u16>) -> u16 {
    let mut longest = 0;
    at_their_places(nodes.iter(), nodes.len(), counts, |there| longest = longest.max(there + 1));
    longest
}

/// Puts the numbers among some nodes to their places in a hash part of `count`, and tells of each how many were there
/// before it.
fn at_their_places<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    count: usize,
    counts: &mut Vec<u16>,
    mut tell: impl FnMut(u16),
) {
    let size = (count - 1) | 1;
    counts.clear();
    counts.resize(size, 0);
    for node in nodes {
        let hash = match node.key_kind {
            INTEGER => node.key,
            FLOAT => u64::from(hash_of_float(f64::from_bits(node.key))),
            _ => continue,
        };
        // A division of half the width takes half the time.
        let place = match u32::try_from(hash) {
            Ok(hash) => (hash % size as u32) as usize,
            Err(_) => (hash % size as u64) as usize,
        };
        let there = &mut counts[place];
        tell(*there);
        *there = there.saturating_add(1).min(u16::MAX - 1);
    }
}

/// `l_hashfloat` of `ltable.c`: mantissa times 2^31, plus exponent.
pub(super) fn hash_of_float(n: f64) -> u32 {
    let (mantissa, exponent) = frexp(n);
    let scaled = mantissa * 2_147_483_648.0;
    if !scaled.is_finite() {
        return 0;
    }
    let sum = (exponent as u32).wrapping_add(scaled as i64 as u32);
    if sum <= i32::MAX as u32 { sum } else { !sum }
}

/// `n` as a number of [0.5, 1) times a power of two, as C has it.
fn frexp(n: f64) -> (f64, i32) {
    if n == 0.0 || !n.is_finite() {
        return (n, 0);
    }
    // Those too small for a full mantissa are made larger first.
    let (n, less) = if n.is_normal() { (n, 0) } else { (n * (1_u64 << 54) as f64, 54) };
    let bits = n.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1_022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1_022 << 52), exponent - less)
}

/// Lua's way to its memory (`lua_Alloc`): `old` bytes at `block`, or a kind of object where there is none, become `new`.
///
/// # Safety
/// `data` is the [`Memory`] that [`Heap::new`] set, which lives until another allocator is set; the rest is as Lua calls it.
unsafe extern "C" fn allocate(data: *mut c_void, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
    // SAFETY: see above; all of it is cells, and nothing of it is borrowed for longer than one statement.
    let memory = unsafe { &*data.cast::<Memory>() };
    let Some((inner, inner_data)) = memory.inner.get() else { return std::ptr::null_mut() };
    let freed = if block.is_null() { 0 } else { old };
    let Some(used) = memory.after(freed, new) else { return std::ptr::null_mut() };
    // Arrays of nodes are never resized in place, and are of no kind of object.
    let large = if block.is_null() && old == 0 { large_nodes(new) } else { None };
    if large.is_some_and(|count| count > LARGE_NODES && memory.collides(count)) {
        memory.refused.set(true);
        return std::ptr::null_mut();
    }
    // SAFETY: the pair is what the machine began with; the block is one of its own.
    let given = unsafe { inner(inner_data, block, old, new) };
    if given.is_null() && new > 0 {
        return given;
    }
    memory.used.set(used);
    if freed >= LARGE_NODES * size_of::<Node>() {
        memory.forget(block);
    }
    if let Some(count) = large {
        // SAFETY: `new` bytes were given. Zeros, because nodes without a key do not have all of theirs set.
        unsafe { given.cast::<u8>().write_bytes(0, new) };
        memory.large.borrow_mut().push(Nodes { at: given.cast(), count });
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap() -> Heap {
        Heap::new(StdLib::MATH | StdLib::TABLE | StdLib::STRING).unwrap()
    }

    /// Whether the last of so many keys found room.
    fn fills(heap: &Heap, keys: &str, count: u32) -> bool {
        let text = format!("local t = {{}} for i = 1, {count} do t[{keys}] = i end return true");
        match heap.load(text).eval::<bool>() {
            Ok(filled) => filled,
            Err(mlua::Error::MemoryError(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_table_of_numbers_that_collide_does_not_grow() {
        for keys in [
            // Apart from each other while the table is smaller, and together once it has 8,192 places.
            "i * 8191",
            "-i * 8191",
            "(1 << 40) + i * 8191",
            "math.mininteger + i * 8191",
            // The same at 16,384.
            "i * 16383",
            // Mantissas the same way: the hash of a float is its mantissa times 2^31, and its exponent.
            "1 + i * 8191 * 2.0^-30",
            "-1 - i * 8191 * 2.0^-30",
        ] {
            let heap = heap();
            assert!(!fills(&heap, keys, 10_000), "{keys}");
            assert!(heap.memory().has_refused(), "{keys}");
            assert!(fills(&heap, "i", 1_000), "{keys}: the machine is whole");
        }
    }

    #[test]
    fn honest_tables_grow() {
        for keys in [
            "i",
            "-i",
            "i * 2",
            "i * 1000",
            "i << 16",
            "i << 32",
            "i << 48",
            "(i // 200) * 65536 + i % 200",
            "(i // 128) * 16384 + i % 128",
            "(i // 128) * 8192 + i % 128",
            "i * 0.1",
            "i + 0.5",
            "1 / i",
            "2.0 ^ (i % 1000) + i / 7",
            "i * 1e300",
            "'key' .. i",
            "i % 200 .. ',' .. i // 200",
        ] {
            let heap = heap();
            // As many as a table may come to hold: one step may not add more than half a MiB.
            assert!(fills(&heap, keys, 16_384), "{keys}");
            assert!(!heap.memory().has_refused(), "{keys}");
        }
    }

    /// The array part of a table that was made in one go may be as large as some nodes, and is none.
    #[test]
    fn lists_are_no_nodes() {
        let heap = heap();
        for items in [768, 1_536, 3_072, 6_144, 12_288] {
            for id in [769_i64, 801, 771, 0x1303, 0x0303_0303_0303] {
                let list = heap.create_sequence_from((0..items).map(|_| id)).unwrap();
                heap.memory().search_chains();
                assert!(fills(&heap, "i * 1000", 4_000) && !heap.memory().has_refused(), "{items} of {id}");
                assert_eq!(list.raw_len(), items);
            }
        }
    }

    #[test]
    fn a_chain_is_found_in_a_table_that_does_not_grow() {
        for (fill, chain) in [("i", "i * 16383"), ("-i", "-i * 16383"), ("i * 3.5", "0.5 + i * 2.0^-53")] {
            let heap = heap();
            let text = format!("T = {{}} for i = 1, 8193 do T[{fill}] = i end");
            heap.load(text).exec().unwrap();
            heap.memory().search_chains();
            assert!(!heap.memory().has_refused(), "{fill}");
            heap.load(format!("for i = 1, 3000 do T[{chain}] = i end")).exec().unwrap();
            heap.memory().search_chains();
            // Positive ones in order lie in the array part, whose table has few nodes: it was refused as it grew.
            assert!(heap.memory().has_refused() || fill == "i", "{chain}");
        }
    }

    /// Milliseconds at 30 Hz have few remainders by 1,023; a table of names that grows to as many nodes has none of them.
    #[test]
    fn a_table_is_not_judged_by_the_keys_of_another() {
        for (keys, count) in [
            ("i * 33", 8_200),
            ("i * 33", 8_192),
            ("1700000000000 + i * 33", 9_000),
            ("1700000000000 + i * 33", 8_192),
            ("i * 315", 6_000),
            ("i % 23 | i // 23 % 23 << 10 | i // 529 << 20", 12_167),
            ("i % 23 | i // 23 % 23 << 10 | i // 529 << 20", 8_192),
            ("i % 24 | i // 24 % 24 << 12 | i // 576 << 24", 13_824),
        ] {
            let heap = heap();
            heap.load(format!("A = {{}} for i = 1, {count} do A[{keys}] = i end")).exec().unwrap();
            heap.load("B = {} for i = 1, 9000 do B['name' .. i] = i end").exec().unwrap();
            heap.memory().search_chains();
            assert!(!heap.memory().has_refused(), "{keys}");
        }
        let heap = heap();
        heap.load(
            "C = {} for i = 1, 8200 do C[(1 << 40) + i * 1365] = i end D = {} for i = 1, 3000 do D['n' .. i] = i end",
        )
        .exec()
        .unwrap();
        assert!(!heap.memory().has_refused());
    }

    /// What this counts is what Lua does: the same keys, at the same places.
    #[test]
    fn floats_have_the_place_that_lua_gives_them() {
        for (n, expected) in [
            (0.5, (1 << 30)),
            (1.5, (3 << 29) + 1),
            (-1.5, !(0_u32.wrapping_sub(3 << 29).wrapping_add(1))),
            (f64::INFINITY, 0),
            (f64::from_bits(1), (1 << 30) - 1073),
        ] {
            let expected = if expected > i32::MAX as u32 { !expected } else { expected };
            assert_eq!(hash_of_float(n), expected, "{n}");
        }
        for (n, mantissa, exponent) in [(1.0, 0.5, 1), (-3.0, -0.75, 2), (f64::MIN_POSITIVE / 8.0, 0.5, -1024)] {
            assert_eq!(frexp(n), (mantissa, exponent), "{n}");
        }
    }

    #[test]
    fn what_is_in_use_is_what_lua_says_and_no_more_than_the_limit() {
        let heap = heap();
        heap.load("t = {} for i = 1, 5000 do t[-i] = ('x'):rep(i % 90) end").exec().unwrap();
        let said: f64 = heap.load("return collectgarbage('count') * 1024").eval().unwrap();
        assert!((said as usize).abs_diff(heap.memory().used()) < 4_096, "{said}");
        heap.memory().limit(heap.memory().used() + 100_000);
        let full = heap.load("u = {} for i = 1, 1e9 do u[i] = {} end").exec();
        assert!(matches!(full, Err(mlua::Error::MemoryError(_))), "{full:?}");
        heap.memory().limit(0);
        heap.load("t, u = nil, nil").exec().unwrap();
        heap.gc_collect().unwrap();
        assert!(heap.memory().used() < 100_000 && heap.memory().large.borrow().is_empty());
    }

    /// The library frees its own when the machine goes, by its own allocator, whoever goes last.
    #[test]
    fn a_machine_that_outlives_its_heap_has_its_memory() {
        let heap = heap();
        let lua = heap.lua.clone();
        let memory = Rc::clone(heap.memory());
        drop(heap);
        assert_eq!(Rc::strong_count(&memory), 1);
        assert_eq!(lua.load("local t = {} for i = 1, 5000 do t[-i] = i end return #t").eval::<i64>().unwrap(), 0);
        assert!(lua.used_memory() > 0);
    }
}
