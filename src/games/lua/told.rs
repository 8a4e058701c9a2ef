//! What the author of a script is told, and where: a place for everything that was stopped, and the same words in
//! every process.

use super::Allowance;
use super::testing::{Played, id, script};
use crate::games::Game;

/// What the first tick of a script with this body in `tick`, on line 2, was told about.
fn first_tick(body: &str) -> Vec<String> {
    let allowance = Allowance { instructions: 100_000, cpu_us: 10_000_000, ..Allowance::default() };
    let text = format!("function tick(state)\n{body}\nend");
    let mut m = Played::of(script(&[("match.lua", &text)], allowance), 1);
    m.ticks(1);
    m.told()
}

#[test]
fn keys_that_read_the_same_are_a_fault_and_never_twice_on_the_wire() {
    for (keys, same) in [
        ("[1] = 'a', ['1'] = 'b', [3] = 'x'", "1"),
        ("[1] = 'a', ['1'] = 'b', x = 1, y = 2, z = 3", "1"),
        ("[true] = 1, ['true'] = 2", "true"),
        ("[0.1] = 1, ['0.1'] = 2", "0.1"),
        ("['\\xff'] = 1, ['\\xfe'] = 2", "\u{fffd}"),
        ("a = 1, z = 2, ['\\xffx'] = 1, ['\\xfex'] = 2", "\u{fffd}x"),
    ] {
        let text = format!(
            "function tick(state) state.said = game.broadcast('x', {{{keys}}}).error D = {{ d = {{{keys}}} }} return state end
             function get_state(id, state) return id and D or state end
             function spectate(state) return state end"
        );
        let mut m = Played::new(&text);
        m.ticks(1);
        assert_eq!(m.view(Some(1)), "", "{keys}");
        let told = m.told();
        assert_eq!(told, [format!("fault get_state match.lua:2 two keys of one table both read \"{same}\" in JSON")]);
        assert!(m.view(None).contains("two keys of one table both read"), "{keys}");
    }
    let mut m = Played::new("function tick(s) s.d = {[1] = 'a', ['2'] = 'b', [true] = 1, [0.5] = 2} return s end");
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"d":{"0.5":2,"1":"a","2":"b","true":1}}"#);
}

#[test]
fn whatever_runs_out_is_told_with_the_line_it_was_at() {
    for body in [
        "local t = {} for i = 1, 1e9 do t[i] = {i, i, i, i} end",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "local x = {} for i = 1, 200000 do x = {x} end state.x = x",
        "local function deep(...) return 1 + deep(1, ...) end deep(1)",
        "local t = setmetatable({}, {__index = function() return 'x' end, __len = function() return 1000000 end}) table.concat(t)",
        "table.sort(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return 1 end}))",
        "local t = {} for i = 1, 1000 do t[i] = i end while true do table.sort(t) end",
        "local s = ('a'):rep(400000) while true do pcall(string.upper, s) end",
        "local s = ('a'):rep(400000) while true do s:gsub('a', 'b') end",
        "local t = {} for i = 1, 1000 do t['k' .. i] = i end while true do for k in pairs(t) do end end",
        "local t = {} for i = 1, 1000 do t[i] = {x = i, y = i} end while true do game.spatial.nearest(t, 0, 0, 5) end",
        "local t, r = {}, {} for i = 1, 1000 do t['k' .. i] = print end for i = 1, 4000 do r[i] = t end game.broadcast('x', r)",
        "table.move({}, 1, 1 << 60, 2)",
        "while true do tostring({}) end",
        "local mt mt = {__concat = function(a, b) return setmetatable({}, mt) end} local x = setmetatable({}, mt) while true do x = x .. 'y' .. x end",
    ] {
        let told = first_tick(body);
        assert!(told[0].starts_with("fault tick match.lua:2 over its budget of"), "{body}\n{told:?}");
    }
}

#[test]
fn errors_that_are_no_text_show_no_address() {
    for (body, said) in [
        ("error({code = 5})", "(a table)"),
        ("assert(false, {})", "(a table)"),
        ("error(print)", "(a function)"),
        ("error(setmetatable({}, {__name = 'Sword'}))", "(a Sword)"),
        ("error('at 0x7f00')", "at 0x7f00"),
    ] {
        assert_eq!(first_tick(body), [format!("fault tick match.lua:2 {said}")], "{body}");
    }
}

#[test]
fn what_vote_requested_returns_wrongly_is_told() {
    for (returned, said) in [
        ("5", "vote_requested returned an integer, expected a vote's configuration or nil"),
        ("'map'", "vote_requested returned a string, expected a vote's configuration or nil"),
        ("true", "vote_requested returned a boolean, expected a vote's configuration or nil"),
    ] {
        let mut m = Played::new(&format!("function vote_requested(state) return {returned} end"));
        assert!(m.with(Game::vote_requested).is_none());
        assert_eq!(m.told(), [format!("fault vote_requested match.lua:1 {said}")]);
    }
    for nothing in ["nil", "false"] {
        let mut m = Played::new(&format!("function vote_requested(state) return {nothing} end"));
        m.with(Game::vote_requested);
        assert_eq!(m.told(), [""; 0], "{nothing}");
    }
}

#[test]
fn a_vote_that_cannot_be_is_refused_where_it_is_asked_for() {
    for (config, why) in [
        ("{template = 't', options = {'a', 'b'}, method = 'luck'}", "method"),
        ("{template = 't', options = {'a', 'a'}}", "options"),
        ("{template = 't', options = {'a', 'b'}, window_ms = 'long'}", "window_ms"),
        ("{template = 't', options = {'a', 'b'}, colour = 'red'}", "colour"),
    ] {
        let told = first_tick(&format!("local r = game.vote.open({config}) game.broadcast('r', r.error or 'opened')"));
        assert!(told.len() == 2 && told[0].starts_with("broadcast r ") && told[0].contains(why), "{config}: {told:?}");
        assert!(
            told[1].starts_with("fault game.vote.open match.lua:2 ") && told[1].contains(why),
            "{config}: {told:?}"
        );
    }
}

#[test]
fn a_bot_that_changes_what_it_sees_changes_nothing() {
    for get_state in
        ["", "function get_state(id, state) return state end", "function get_state(id, state) return {all = state} end"]
    {
        let text = format!(
            "bots = {{ script = 'bot.lua' }}
             function init() return {{ n = 0, deep = {{ er = {{ x = 1 }} }} }} end
             {get_state}
             function spectate(state) return state end
             function handle_input(id, input, state) state.thought = input.seen return state end"
        );
        let bot = "function think(id, s)
            s = s.all or s
            s.hacked = true s.deep.er.x = 7 s.deep.more = {} s.n = nil
            return { seen = s.deep.er.x }
          end";
        let mut m = Played::of(script(&[("match.lua", &text), ("bot.lua", bot)], Allowance::default()), 1);
        m.join(9, None).unwrap();
        m.with(|game, cx| game.bot_added(cx, id(9), "A"));
        m.ticks(2);
        assert_eq!(m.view(None), r#"{"deep":{"er":{"x":1}},"n":0,"thought":7}"#, "{get_state}");
        assert_eq!(m.told(), [""; 0]);
    }
}

#[test]
fn a_function_of_the_library_has_one_name_in_every_process() {
    let text = "floor, first, myatan = math.floor, select, math.atan
        function tick(state)
          state.said = {}
          for i, f in ipairs({math.floor, select, math.atan, string.len, rawlen}) do
            state.said[i] = select(2, pcall(f))
          end
          return state
        end";
    // A machine's own seed decides where in a table a name is found first.
    for _ in 0..24 {
        let mut m = Played::new(text);
        m.ticks(1);
        let seen = m.view(None);
        let names = ["floor", "select", "atan", "len", "rawlen"];
        assert!(names.iter().all(|name| seen.contains(&format!("{name}'"))) && !seen.contains("'first'"), "{seen}");
        assert!(!seen.contains("myatan"), "{seen}");
    }
    let twice = first_tick(
        "local seen = {}
         for _, lib in ipairs({_G, string, table, math, utf8, os}) do
           for name, f in pairs(lib) do
             if type(f) == 'function' then
               if seen[f] then error(seen[f] .. ' is ' .. name) end
               seen[f] = name
             end
           end
         end",
    );
    assert_eq!(twice, [""; 0]);
}
