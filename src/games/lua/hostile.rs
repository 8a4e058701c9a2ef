//! Scripts that mean harm. Each runs on a thread of its own with a deadline far above what it may take, so that a
//! script that gets through fails its test instead of hanging it.

use std::sync::mpsc;
use std::time::Duration;

use super::testing::{Played, id, raw, script};
use super::{Allowance, Birth, LuaGame};
use crate::games::{Effect, Game};

/// Long beyond what any of these may take on a slow, busy machine with the debug build.
const DEADLINE: Duration = Duration::from_secs(20);

/// Little enough that a debug build gets through it quickly.
fn tight() -> Allowance {
    Allowance { instructions: 50_000, instructions_load: 200_000, cpu_us: 200_000, ..Allowance::default() }
}

/// Runs `work` on a thread with the deadline.
fn guarded<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || done.send(work())).unwrap();
    match wait.recv_timeout(DEADLINE) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running: {what}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what} panicked: {:?}", thread.join().err()),
    }
}

/// What the first tick of a script with this body in `tick` was told about.
fn first_fault(body: &str) -> String {
    let text = format!("function tick(state)\n{body}\nend");
    guarded(body, move || {
        let mut m = Played::of(script(&[("match.lua", &text)], tight()), 1);
        m.ticks(1);
        m.told().join(" | ")
    })
}

#[test]
fn endless_and_swallowing_scripts_are_stopped() {
    for body in [
        "while true do end",
        "for i = 1, math.huge do end",
        "repeat until false",
        "goto a ::a:: goto a",
        "local function spin() while true do end end while true do pcall(spin) end",
        "local function spin() while true do end end while true do pcall(pcall, pcall, spin) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "xpcall(function() error('x') end, function() while true do end end)",
        "local mt = {} mt.__close = function() while true do end end
         while true do pcall(function() for k in next, {1}, nil, setmetatable({}, mt) do while true do end end end) end",
        "local mt = {} mt.__close = function() while true do end end
         local function four() return next, {1}, nil, setmetatable({}, mt) end
         for k in four() do for k in four() do while true do end end end",
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do pcall(function() return t[1] end) end",
        "setmetatable(_G, {__index = function(t, k) while true do end end}) return nothing_like_it",
        "local t = setmetatable({}, {__lt = function() while true do end end}) return t < t",
        "string.format('%s', setmetatable({}, {__tostring = function() while true do end end}))",
        "tostring(setmetatable({}, {__tostring = function() while true do end end}))",
        "for k in pairs(setmetatable({}, {__pairs = function() return function() return 1 end end})) do end",
        "for i in ipairs(setmetatable({}, {__index = function() return 1 end})) do end",
        "table.sort({3, 2, 1}, function() while true do end end)",
        "('x'):rep(1000):gsub('.', function() while true do end end)",
        "local s = ('a'):rep(1000) for w in s:gmatch('') do while true do end end",
        "getmetatable('').__index = function() while true do end end return ('x'):foo()",
        "error(setmetatable({}, {__tostring = function() while true do end end}))",
        "while true do pcall(error, setmetatable({}, {__tostring = function() while true do end end})) end",
    ] {
        let told = first_fault(body);
        let stopped = told.contains("over its budget of") || body.starts_with("error(");
        assert!(stopped && told.starts_with("fault tick match.lua:"), "{body}\n{told}");
    }
}

#[test]
fn loops_inside_the_library_are_paid_for() {
    for body in [
        "('a'):rep(60):find(('a-'):rep(20) .. 'b')",
        "('a'):rep(60):match(('a*'):rep(20) .. 'b')",
        "('a'):rep(60):gsub(('a?'):rep(30) .. ('a'):rep(60) .. 'b', '')",
        "for _ in ('a'):rep(200):gmatch(('a-'):rep(20) .. 'b') do end",
        "local s = ('a'):rep(400000) while true do s:find(('a'):rep(200000) .. 'b', 1, true) end",
        "local s = ('a'):rep(1000000) while true do s:gsub('a', 'b') end",
        "table.move({}, 1, 1 << 60, 2)",
        "table.remove(setmetatable({}, {__len = function() return 1 << 60 end}), 1)",
        "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 'x')",
        "table.concat(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return '' end}))",
        "table.sort(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return 1 end, __newindex = function() end}))",
        "while true do pcall(string.rep, 'x', 1 << 20) end",
        "while true do pcall(string.rep, 'x', 1 << 40) end",
        "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1000) end while true do table.concat(t) end",
        "local t = {} for i = 1, 1000 do t['k' .. i] = i end while true do for k in pairs(t) do end end",
        "local t = {} for i = 1, 1000 do t['k' .. i] = i end local k while true do k = next(t, k) end",
    ] {
        let told = first_fault(body);
        assert!(told.contains("over its budget of"), "{body}\n{told}");
    }
    for (body, error) in [
        ("table.unpack({}, 1, 1 << 40)", "too many results to unpack"),
        ("table.unpack(setmetatable({}, {__len = function() return 1 << 60 end}))", "too many results to unpack"),
        ("('x'):rep(1 << 40)", "resulting string too large"),
        ("('x'):rep(1 << 62, 'yy')", "resulting string too large"),
        ("('%99999d'):format(1)", "invalid conversion"),
        ("('a'):rep(300):find(('(a)'):rep(40))", "too many captures"),
        ("setmetatable({}, {__gc = function() end})", "__gc and __mode are not available"),
        ("string.dump(tick)", "attempt to call a nil value"),
        ("load('return 1')", "attempt to call a nil value"),
        ("collectgarbage('stop')", "attempt to call a nil value"),
    ] {
        let told = first_fault(body);
        assert!(told.contains(error), "{body}\n{told}");
    }
}

#[test]
fn bombs_run_out_of_memory_and_nothing_else_does() {
    for body in [
        "local t = {} for i = 1, 1e9 do t[i] = {i, i, i, i} end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = {i} end end) end",
        "local function deep(n) return 1 + deep(n + 1) end deep(1)",
        "local function deep(...) return 1 + deep(1, ...) end while true do pcall(deep) end",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. k] end return t.xx",
        "return ('x'):rep(2000000) .. ('y'):rep(2000000)",
    ] {
        let told = first_fault(body);
        let bounded = ["over its budget of", "stack overflow", "not enough memory"].iter().any(|w| told.contains(w));
        assert!(bounded, "{body}\n{told}");
    }
    // The machine is whole afterwards: the next tick plays on.
    let played = guarded("after a bomb", || {
        let text = "function init() return {n = 0} end
            function tick(state) state.n = state.n + 1 if state.n == 1 then local s = 'x' while true do s = s .. s end end return state end";
        let mut m = Played::of(script(&[("match.lua", text)], tight()), 1);
        m.ticks(3);
        (m.view(None), m.game.memory_bytes())
    });
    assert_eq!(played.0, r#"{"n":3}"#);
    assert!(played.1 < 4 << 20, "{} bytes", played.1);
}

#[test]
fn every_callback_is_metered_and_the_match_ends_after_so_many_in_a_row() {
    let text = |name: &str| {
        let spin = format!("function {name}(...) while true do end end");
        format!("state_strategy = 'shared'\nfunction tick(s) end\n{spin}")
    };
    for name in [
        "join",
        "leave",
        "handle_input",
        "tick",
        "get_state",
        "vote_requested",
        "vote_resolved",
        "vote_vetoed",
        "on_phase_started",
        "think",
        "snapshot",
        "restore",
    ] {
        let phases = "\nfunction phases() return {{name = 'a', duration = 100}} end";
        let text = text(name) + if name == "on_phase_started" { phases } else { "" };
        let told = guarded(name, move || {
            let mut m = Played::of(script(&[("match.lua", &text)], tight()), 1);
            let result = raw("{}");
            for _ in 0..7 {
                let _ = m.join(1, None);
                m.with(|game, cx| game.bot_added(cx, id(9)));
                m.input(1, "{}");
                m.ticks(1);
                m.view(None);
                m.with(|game, cx| {
                    game.vote_requested(cx);
                    game.vote_resolved(cx, "t", &result);
                    game.vote_vetoed(cx, "t", id(1));
                });
                m.game.snapshot();
                m.game.restore(b"{}");
                m.leave(1);
            }
            m.with(|game, cx| game.hand_over(cx));
            m.effects
        });
        let faults = told.iter().filter(|e| matches!(e, Effect::ScriptFault(f) if f.callback == name && f.over_budget));
        assert!(faults.count() >= 1, "{name}: {told:?}");
        if name != "on_phase_started" {
            let end = |e: &Effect| if let Effect::Finish(result) = e { Some(result.get().to_owned()) } else { None };
            assert_eq!(
                told.iter().filter_map(end).collect::<Vec<_>>(),
                [format!(r#"{{"status":"script_failed","callback":"{name}"}}"#)],
                "{name}"
            );
        }
    }
    let begun = guarded("init", || {
        let script = script(&[("match.lua", "function init() while true do end end")], tight());
        LuaGame::new(script, &raw("{}"), Birth { seed: 1, unix_us: 0 }).err().map(|e| e.to_string())
    });
    assert_eq!(begun.as_deref(), Some("match.lua:1: over its budget of instructions"));
}

#[test]
fn views_and_messages_are_bounded() {
    for (body, said) in [
        ("state.s = ('x'):rep(200000) return state", "over 131072 bytes"),
        ("state.s = state return state", "in a circle"),
        ("local t = {} for i = 1, 40 do t = {t, t} end state.t = t return state", "nested more than 32 deep"),
        ("local t = {} for i = 1, 30 do t = {t, t} end state.t = t return state", "over 131072 bytes"),
        ("local t = {} for i = 1, 30 do t = {t, t, x = t} end state.t = t return state", "over 131072 bytes"),
    ] {
        let text = format!("function tick(state) {body} end");
        let told = guarded(body, move || {
            let mut m = Played::of(script(&[("match.lua", &text)], tight()), 1);
            m.ticks(1);
            assert_eq!(m.view(None), "", "nothing half-written is sent");
            m.told().join(" | ")
        });
        assert!(told.contains(said), "{body}\n{told}");
    }
    let told = first_fault("for i = 1, 2000 do game.broadcast('x', {}) end");
    assert_eq!(told.matches("broadcast x").count(), super::host::EFFECTS_MAX);
    let told = first_fault("for i = 1, 100 do game.log('info', 'x') end");
    assert_eq!(told.matches("log info").count(), 30);
}
