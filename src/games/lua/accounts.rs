//! Who pays for what: nothing a player does, and nothing the host does for itself, is a script's fault or costs others
//! their turn.

use std::sync::Arc;

use super::testing::{Played, id, raw, script};
use super::{Allowance, Birth, LuaGame};
use crate::engine::modes::Mode;
use crate::games::Game;
use crate::games::stage::Stage;
use crate::ids::MatchId;

/// Instructions are no limit: what is looked at is processor time.
fn timed(cpu_us: u64) -> Allowance {
    Allowance {
        instructions: u64::MAX >> 8,
        instructions_turn: u64::MAX >> 8,
        cpu_us,
        strikes: u32::MAX,
        ..Allowance::default()
    }
}

#[test]
fn looks_at_a_match_that_waits_do_not_close_it() {
    let text = "function join(id, state) for i = 1, 100000 do end return state end
        function get_state(id, state) while true do end end";
    let mut m = Played::of(script(&[("match.lua", text)], timed(100_000)), 1);
    m.join(1, None).unwrap();
    for _ in 0..8 {
        assert_eq!(m.view(Some(1)), "");
    }
    assert_eq!(m.join(2, None), Ok(()));
    // One that ticked and is paused now, as well.
    m.ticks(1);
    m.view(Some(1));
    m.game.be_still();
    // Joins that find too little are refused, and not for good.
    std::iter::repeat_with(|| m.join(3, None)).take(1_000_000).find(Result::is_ok);
    assert_eq!(m.players.len(), 3);
}

#[test]
fn looks_at_a_match_that_waits_have_an_account_each() {
    let text = "function get_state(id, state) for i = 1, 20000 do end return {seen = true} end";
    let tight =
        Allowance { instructions: 50_000, instructions_turn: 50_000, cpu_us: 10_000_000, ..Allowance::default() };
    let mut m = Played::of(script(&[("match.lua", text)], tight), 1);
    m.join(1, None).unwrap();
    for _ in 0..20 {
        assert_eq!(m.view(Some(1)), r#"{"seen":true}"#);
    }
    m.ticks(1);
    let seen: Vec<_> = (0..4).map(|_| m.view(Some(1)).len()).collect();
    assert_eq!(seen, [13, 13, 0, 0], "in a turn they share one");
    m.game.be_still();
    assert_eq!(m.view(Some(1)), r#"{"seen":true}"#);
}

#[test]
fn the_stage_says_when_nothing_ticks() {
    let text = "function get_state(id, state) for i = 1, 20000 do end return {seen = true} end";
    let tight =
        Allowance { instructions: 50_000, instructions_turn: 50_000, cpu_us: 10_000_000, ..Allowance::default() };
    let game = LuaGame::new(script(&[("match.lua", text)], tight), &raw("{}"), Birth::trial(1, 0)).unwrap();
    let mode = Arc::new(Mode { game: "lua:match.lua".into(), ..Mode::default() });
    let mut stage = Stage::new(MatchId::from_u128(1), "t".into(), mode, Box::new(game), 1).unwrap();
    let looks = |stage: &mut Stage| (0..4).filter(|_| stage.view(Some(id(1)), &mut Vec::new())).count();
    for n in [1, 2] {
        stage.join(id(n), false, None, 0, 0).unwrap();
    }
    assert_eq!(looks(&mut stage), 4, "it waits");
    assert!(stage.start(0));
    stage.run_tick(0, 0);
    assert_eq!(looks(&mut stage), 2, "it ticks");
    assert!(stage.pause(0));
    assert_eq!(looks(&mut stage), 4, "it is paused");
    assert!(stage.resume(0));
    stage.run_tick(0, 0);
    assert_eq!(looks(&mut stage), 2, "it goes on");
}

/// A leave takes most of what a match has: one that finds less waits for all of it, and nobody is let in before it.
#[test]
fn a_leave_waits_for_all_it_may_need_and_is_told_before_anybody_joins() {
    let text = "function init() return {here = {}} end
        function join(id, state) state.here[id] = true return state end
        function leave(id, state) local t = os.clock for i = 1, 40000 do t = i end state.here[id] = nil return state end";
    let mut m = Played::of(script(&[("match.lua", text)], timed(16_000)), 1);
    for n in 1..=6 {
        let began = std::time::Instant::now();
        while m.join(n, None).is_err() {
            assert!(began.elapsed().as_secs() < 20);
        }
    }
    for n in 2..=6 {
        m.leave(n);
    }
    let mut came_back = m.join(2, None);
    let began = std::time::Instant::now();
    while came_back.is_err() && began.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        came_back = m.join(2, None);
    }
    assert_eq!(came_back, Ok(()));
    let mut here = String::new();
    while here.is_empty() && began.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        here = m.view(None);
    }
    assert!(here.matches("true").count() == 2, "{here}: the first, and who came back");
}

#[test]
fn what_happens_once_is_told_when_there_is_time_again_and_in_order() {
    let text = "function init() return {said = '', ticks = 0} end
        local function say(state, what) state.said = state.said .. what .. ' ' return state end
        function tick(state) state.ticks = state.ticks + 1 say(state, 'tick') if state.ticks == 1 then while true do end end end
        function leave(id, state) return say(state, 'leave') end
        function vote_resolved(template, result, state) return say(state, template .. result.winner) end
        function vote_vetoed(template, by, state) return say(state, 'veto' .. template) end
        function phases() return {{name = 'a', start = 50}} end
        function on_phase_started(name, state) return say(state, 'phase') end";
    let mut m = Played::of(script(&[("match.lua", text)], timed(60_000)), 1);
    m.join(1, None).unwrap();
    m.ticks(1);
    let result = raw(r#"{"winner":"x"}"#);
    m.with(|game, cx| game.vote_resolved(cx, "t", &result));
    m.leave(1);
    m.with(|game, cx| game.vote_vetoed(cx, "u", id(1)));
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"said":"tick tx leave vetou phase tick ","ticks":2}"#);
}

#[test]
fn a_large_state_is_not_copied_at_a_join_and_costs_its_script_nothing() {
    let text = "function init() local t = {} for i = 1, 20000 do t[i] = i end return {t = t, n = 0} end
        function join(id, state, ctx) state.n = state.n + 1 if ctx.no then return nil, 'no' end return state end
        function get_state(id, state) return {n = state.n} end";
    let mut m = Played::of(script(&[("match.lua", text)], Allowance { cpu_us: 8_000, ..Allowance::default() }), 1);
    for n in 1..=8 {
        assert_eq!(m.join(n, None), Ok(()), "{n}");
    }
    assert_eq!(m.join(9, Some(r#"{"no":true}"#)), Err("no".into()));
    assert_eq!(m.view(Some(1)), r#"{"n":9}"#, "too large to be put back");
    assert_eq!(m.told(), [""; 0]);
}

#[test]
fn a_long_file_of_many_items_has_the_memory_of_a_match_to_be_compiled() {
    let item = |n: usize| {
        format!("{{ id = {n}, name = 'item {n}', power = {}, cost = {}, tags = {{ 'a', 'b' }} }},\n", n % 90, n * 25)
    };
    let items: String = (0..2_000).map(item).collect();
    let text = format!(
        "items = {{ {items} }}\nfunction get_state(id, state) return {{ n = #items, last = items[2000].cost }} end"
    );
    assert!(text.len() > 120_000);
    let loads = Allowance { cpu_load_us: 10_000_000, memory_bytes: 4 << 20, ..Allowance::default() };
    let mut m = Played::of(script(&[("match.lua", &text)], loads), 1);
    assert_eq!(m.view(Some(1)), r#"{"last":49975,"n":2000}"#);
}

/// Nothing interrupts a compilation, so one that would not end in time is not begun, wherever the file is asked for.
#[test]
fn a_file_is_not_compiled_where_there_is_no_time_for_it() {
    let large = format!("{}\nreturn 1", "-- a comment\n".repeat(15_000));
    let begin = |text: &str, cpu_load_us| {
        let allowance = Allowance { cpu_load_us, ..Allowance::default() };
        LuaGame::new(script(&[("match.lua", text), ("large.lua", &large)], allowance), &raw("{}"), Birth::trial(1, 0))
            .err()
            .map(|error| error.to_string())
    };
    for text in [large.as_str(), "require('large')"] {
        // Two hundred kilobytes may take nine milliseconds; these do not take one.
        assert_eq!(begin(text, 10_000_000), None);
        let told = begin(text, 8_000).expect("there is no time for the worst");
        assert!(told.contains("over its budget of processor time"), "{told}");
    }
}

#[test]
fn loading_has_an_allowance_of_its_own_and_leaves_the_purse_full() {
    let text = "local n = 0 for i = 1, 200000 do n = n + i end
        bots = {script = 'bots.lua'}
        function init() for i = 1, 200000 do n = n + i end return {} end
        function phases() return {{name = 'a'}} end
        function on_phase_started(name, state) state.phase = name return state end";
    let files = [("match.lua", text), ("bots.lua", "for i = 1, 200000 do end names = {'A'} function think() end")];
    let begin = |cpu_load_us| {
        let allowance = Allowance { cpu_us: 8_000, cpu_load_us, ..Allowance::default() };
        LuaGame::new(script(&files, allowance), &raw("{}"), Birth::trial(1, 0))
    };
    assert_eq!(begin(2_000_000).unwrap().bot_names(), ["A"]);
    let told = begin(2_000).err().unwrap().to_string();
    assert!(told.ends_with("over its budget of processor time"), "{told}");
    let mut m =
        Played::of(script(&files, Allowance { cpu_us: 8_000, cpu_load_us: 2_000_000, ..Allowance::default() }), 1);
    m.ticks(1);
    assert_eq!((m.view(None), m.told()), (r#"{"phase":"a"}"#.into(), vec![]));
}

#[test]
fn what_the_host_complains_of_ends_no_match() {
    // A tick that is over its budget now and then, and a player who sends what is left out.
    let text = "function init() return {n = 0} end
        function handle_input(id, input, state) end
        function tick(state) state.n = state.n + 1 if state.n % 3 > 0 then while true do end end end";
    let tight = Allowance { instructions: 20_000, cpu_us: 10_000_000, ..Allowance::default() };
    let mut m = Played::of(script(&[("match.lua", text)], tight), 1);
    m.join(1, None).unwrap();
    let large = format!("[{}[]]", "[],".repeat(20_000));
    for _ in 0..6 {
        m.ticks(1);
        (0..4).for_each(|_| m.input(1, &large));
    }
    let told = m.told();
    assert!(told.iter().any(|line| line.contains("an input was left out")), "{told:#?}");
    assert!(!told.iter().any(|line| line.starts_with("finish")), "{told:#?}");
}

#[test]
fn players_inputs_have_half_of_a_turn_and_end_no_match() {
    let text = "function init() return {inputs = 0, ticks = 0} end
        function handle_input(id, input, state) state.inputs = state.inputs + 1 for i = 1, 20000 do end return state end
        function tick(state) state.ticks = state.ticks + 1 for i = 1, 20000 do end return state end";
    let tight = Allowance { instructions_turn: 200_000, cpu_us: 10_000_000, ..Allowance::default() };
    let mut m = Played::of(script(&[("match.lua", text)], tight), 1);
    m.join(1, None).unwrap();
    for _ in 0..8 {
        (0..100).for_each(|_| m.input(1, "{}"));
        m.ticks(1);
    }
    // The fifth of each tick finds less than it needs; that it began shows, as its state is the script's own.
    assert_eq!(m.view(None), r#"{"inputs":40,"ticks":8}"#);
    let told = m.told();
    let first =
        "fault handle_input match.lua:? inputs of one tick were over their half of its budget together: 96 left out";
    assert_eq!(told[0], first);
    assert_eq!(told.len(), 3, "three in ten seconds: {told:#?}");
}

#[test]
fn a_match_that_asked_for_too_much_can_still_end_and_close() {
    let text = "function init() return {said = {}} end
        function join(id, state) for i = 1, 600 do game.send(id, {}) end game.match.set_joinable(false) return state end
        function tick(state)
          for i = 1, 600 do game.broadcast('x', {}) end
          state.set = game.storage.set('c', 'k', 1).error
          state.got = game.storage.get('c', 'k').error
          state.closed = game.match.set_joinable(false)
          state.cancelled = game.vote.cancel('019abcde-0000-7000-8000-000000000000')
          state.removed = game.bots.remove('A')
          state.ended = game.match.finish({done = true})
        end";
    // What is counted is what was asked for, however busy the machine.
    let unhurried = Allowance { cpu_us: 10_000_000, ..Allowance::default() };
    let mut m = Played::of(script(&[("match.lua", text)], unhurried), 7);
    m.with(|game, cx| game.bot_added(cx, id(9), "A"));
    for n in [1, 2] {
        m.join(n, None).unwrap();
        let told = m.told();
        let sent = told.iter().filter(|line| line.starts_with("send")).count();
        assert_eq!((sent, told.last().unwrap().as_str()), (512, "joinable false"), "each join is one of its own");
    }
    m.ticks(1);
    let told = m.told();
    assert_eq!(
        told[512..],
        ["joinable false", "cancel 019abcde-0000-7000-8000-000000000000", "unbot 9", r#"finish {"done":true}"#]
    );
    let seen = m.view(None);
    let many = "too much was asked for in one tick";
    assert!(seen.contains(&format!(r#""got":"{many}""#)) && seen.contains(&format!(r#""set":"{many}""#)), "{seen}");
    m.ticks(1);
    m.game.be_still();
    m.with(|game, cx| game.loaded(cx, None, "c", "k", None));
    let many = "for i = 1, 1000 do local r = game.match.set_joinable(true) if type(r) == 'table' then game.log('info', i) return end end";
    let mut m = Played::new(&format!("function tick(state) {many} end"));
    m.ticks(1);
    assert_eq!(m.told().last().unwrap(), "log info: 65", "but not without end");
}

#[test]
fn a_reload_that_lacked_memory_tries_again_and_one_that_hangs_ends_no_match() {
    let sources = |text: &str| Arc::new(super::Sources::from_texts([("match.lua", text)]).unwrap());
    let old = "function init() return {n = 0, t = {}} end
        function tick(s) s.n = s.n + 1 if s.n == 4 then s.t = {} end return s end
        function get_state(id, s) return {n = s.n} end";
    let fills = "function join(id, s) for i = 1, 200 do s.t[#s.t + 1] = ('x'):rep(1000) .. i .. #s.t end return s end";
    let script = super::Script::new(
        "match.lua",
        sources(&format!("{old} {fills}")),
        Allowance { cpu_us: 10_000_000, cpu_load_us: 10_000_000, ..Allowance::default() },
    );
    let mut m = Played::of(script.clone(), 1);
    for n in 1..=5 {
        assert_eq!(m.join(n, None), Ok(()), "{:?}", m.told());
    }
    m.ticks(1);
    let shows = "function get_state(id, s) return {n = s.n} end";
    let needs =
        "local t = {} for i = 1, 1200 do t[i] = ('y'):rep(1000) .. i end function tick(s) s.n = s.n + 100 return s end";
    assert_eq!(script.replace(sources(&format!("{needs} {fills} {shows}"))), Ok(true));
    m.ticks(4);
    let told = m.told();
    assert!(told[0].starts_with("fault reload") && told[0].ends_with("over its budget of memory"), "{told:#?}");
    assert_eq!(told.last().unwrap(), "log reloaded match.lua", "{told:#?}");
    assert_eq!(m.view(Some(1)), r#"{"n":104}"#);
    // As often as it is saved.
    let trap = "if loaded then while true do end end loaded = true function tick(s) s.n = s.n + 1 return s end";
    assert_eq!(script.replace(sources(trap)), Ok(true));
    m.ticks(1);
    for n in 0..8 {
        assert_eq!(script.replace(sources(&format!("{trap} x = {n}"))), Ok(true));
        m.ticks(2);
    }
    let told = m.told();
    assert!(told.iter().any(|line| line.starts_with("fault reload")), "{told:#?}");
    assert!(!told.iter().any(|line| line.starts_with("finish")), "{told:#?}");
}

#[test]
fn players_inputs_leave_the_tick_half_of_the_processor_time() {
    let text = "function init() return {ticks = 0} end
        function handle_input(id, input, state) while true do end end
        function tick(state) state.ticks = state.ticks + 1 return state end";
    let mut m = Played::of(script(&[("match.lua", text)], timed(60_000)), 1);
    m.join(1, None).unwrap();
    for _ in 0..6 {
        (0..32).for_each(|_| m.input(1, "{}"));
        m.ticks(1);
    }
    assert_eq!(m.view(None), r#"{"ticks":6}"#);
}
