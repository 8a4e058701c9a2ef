//! Every callback and every call of `game`, from a script's point of view.

use super::testing::{Played, id, raw, script};
use super::{Allowance, Birth, LuaGame, Script, Sources};
use crate::games::{Audience, Game, OpenVote};
use std::sync::Arc;

const ARENA: &str = r#"
match_size = 2
function init(config)
  return { players = {}, ticks = 0, rounds = config.rounds }
end
function join(id, state, ctx)
  if ctx.code == "no" then return nil, "wrong_code" end
  if ctx.code == "spoil" then state.players = nil; state.ticks = 99; return nil end
  state.players[id] = { x = 0, y = 0.5 }
  return state
end
function leave(id, state) state.players[id] = nil return state end
function handle_input(id, input, state)
  local p = state.players[id]
  p.x = p.x + (input.move_x or 0)
  return state
end
function tick(state, dt, index)
  state.ticks = state.ticks + 1
  state.last = dt * 10 + index
  if state.ticks == 3 then state._finished, state._result = true, { winner = "nobody" } end
  return state
end
function get_state(id, state)
  return { me = state.players[id], ticks = state.ticks, rounds = state.rounds }
end
"#;

#[test]
fn a_match_of_the_public_kind_plays() {
    let mut m = Played::new(ARENA);
    assert_eq!(m.game.audience(), Audience::PerPlayer);
    m.join(1, None).unwrap();
    m.join(2, Some(r#"{"code":"yes"}"#)).unwrap();
    assert_eq!(m.join(3, Some(r#"{"code":"no"}"#)), Err("wrong_code".into()));
    assert_eq!(m.join(3, Some(r#"{"code":"spoil"}"#)), Err(String::new()));
    m.input(1, r#"{"move_x":2}"#);
    m.ticks(1);
    assert_eq!(m.view(Some(1)), r#"{"me":{"x":2,"y":0.5},"rounds":3,"ticks":1}"#, "a refusal left no trace");
    m.leave(2);
    assert_eq!(m.view(Some(2)), r#"{"rounds":3,"ticks":1}"#);
    m.ticks(1);
    assert_eq!(m.told(), [""; 0]);
    m.ticks(1);
    assert_eq!(m.told(), [r#"finish {"winner":"nobody"}"#]);
    m.ticks(5);
    assert_eq!(m.view(Some(1)), r#"{"me":{"x":2,"y":0.5},"rounds":3,"ticks":3}"#, "nothing ticks after the end");
}

#[test]
fn a_refusals_reason_is_any_plain_text_and_its_author_hears_of_any_other() {
    let mut m = Played::new(
        "function join(id, state, ctx) return nil, REASONS[ctx.n] end REASONS = {\n'zu sp\u{e4}t', ('\u{e4}'):rep(40), 'x' .. ('\u{e4}'):rep(40), '', false,\n'tab\\there', 'a\u{202e}b', 'a\\xffb', {}, 5}",
    );
    let passed = ["zu sp\u{e4}t", &"\u{e4}".repeat(32), &format!("x{}", "\u{e4}".repeat(31)), ""];
    for (n, reason) in (1..).zip(passed) {
        assert_eq!(m.join(3, Some(&format!(r#"{{"n":{n}}}"#))), Err(reason.into()));
    }
    assert_eq!(m.join(3, None), Err(String::new()));
    assert_eq!(m.told(), [""; 0], "a refusal needs no reason");
    let wrong =
        |what: &str| format!("fault join match.lua:1 join refused for a reason {what}; the player is told none");
    let forbidden = "with control or bidi characters, expected plain text";
    let expected = [
        (6, forbidden),
        (7, forbidden),
        (8, "that is not UTF-8"),
        (9, "that is a table, expected a text"),
        (10, "that is an integer, expected a text"),
        (5, "that is a boolean, expected a text"),
    ];
    for (n, what) in expected {
        // One at a time: the log has no more than a few of a kind in ten seconds.
        m.ticks(110);
        assert_eq!(m.join(3, Some(&format!(r#"{{"n":{n}}}"#))), Err(String::new()));
        assert_eq!(m.told(), [wrong(what)]);
    }
}

#[test]
fn the_data_of_a_notification_is_what_is_too_long() {
    let long = "local r = game.notify(P, 'a', 'b', {('x'):rep(2048)}) \
                assert(r.error == \"a notification's data is over 2048 bytes\", r.error)";
    assert_eq!(asked(long), [""; 0]);
}

#[test]
fn the_other_forms_are_accepted_too() {
    let mut m = Played::new(
        r#"
        state_strategy = "shared"
        function game.init() return { n = 0 } end
        function game.tick(state)
          state.n = state.n + 1
          if state.n == 2 then return { finished = true, result = { n = state.n } } end
        end
        function game.vote_requested(state)
          if state.n == 1 then return { template = "map", options = { "forest", "desert" }, window_ms = 5000 } end
        end
        "#,
    );
    m.join(1, None).unwrap();
    assert_eq!(m.game.audience(), Audience::Shared);
    assert_eq!(m.view(None), r#"{"n":0}"#);
    m.ticks(1);
    let vote = m.with(|game, cx| game.vote_requested(cx)).unwrap();
    assert_eq!(
        vote.get(),
        r#"{"options":[{"id":"forest","label":"forest"},{"id":"desert","label":"desert"}],"template":"map","window_ms":5000}"#
    );
    m.ticks(1);
    assert_eq!(m.told(), [r#"finish {"n":2}"#]);
    assert_eq!(m.view(None), r#"{"n":2}"#, "the result is not the state");
    assert_eq!(Played::new("function tick() end").view(None), "{}", "an empty state is an object");
}

#[test]
fn votes_reach_the_script() {
    let mut m = Played::new(
        r#"
        function init() return { heard = {} } end
        function vote_resolved(template, result, state)
          state.heard[#state.heard + 1] = template .. "=" .. result.winner
          return state
        end
        function vote_vetoed(template, by, state)
          state.heard[#state.heard + 1] = template .. " by " .. by
          return state
        end
        function tick(state) state.open = game.vote.list() return state end
        "#,
    );
    let result = raw(r#"{"winner":"b","counts":{"a":1,"b":2}}"#);
    m.with(|game, cx| game.vote_resolved(cx, "map", &result));
    m.with(|game, cx| game.vote_vetoed(cx, "map", id(1)));
    m.game.open_votes(&[OpenVote { id: "v1".parse().unwrap(), template: "map".into() }]);
    m.ticks(1);
    assert_eq!(
        m.view(None),
        r#"{"heard":["map=b","map by 00000000-0000-0000-0000-000000000001"],"open":[{"template":"map","vote_id":"v1"}]}"#
    );
}

/// Runs `body` in one tick and gives back what it asked for.
fn asked(body: &str) -> Vec<String> {
    let mut m = Played::new(&format!("function tick(state)\nlocal P = '{}'\n{body}\nend", id(1)));
    m.join(1, None).unwrap();
    m.ticks(1);
    m.told()
}

#[test]
fn every_call_of_game_becomes_its_effect() {
    for (body, expected) in [
        ("game.broadcast('boom', {x = 1})", "broadcast boom {\"x\":1}"),
        ("game.broadcast('final', {})", "broadcast final {}"),
        ("game.broadcast('final', game.object())", "broadcast final {}"),
        ("game.send(P, 'hello')", "send 1 lua \"hello\""),
        ("game.log('warn', 'careful\\n', {n = 1})", "log warn: careful  {\"n\":1}"),
        ("game.log('info', {a = 1})", "log info: {\"a\":1}"),
        ("print('a', 1, nil, true)", "log info: a\t1\tnil\ttrue"),
        ("game.match.set_joinable(false)", "joinable false"),
        ("game.match.finish({winner = P})", "finish {\"winner\":\"00000000-0000-0000-0000-000000000001\"}"),
        ("game.match.backfill(2)", "backfill 2"),
        ("game.match.kick(P, 'asleep')", "kick 1 asleep"),
        ("game.bots.add('Spark')", "bot Spark"),
        (
            "game.notify(P, 'gift', 'For you', {n = 1})",
            "notify 1 {\"type\":\"gift\",\"subject\":\"For you\",\"content\":{\"n\":1}}",
        ),
        (
            "assert(#game.notify_many({P, P}, 'a', 'b').ok == 1)",
            "notify 1 {\"type\":\"a\",\"subject\":\"b\",\"content\":{}}",
        ),
        ("game.chat.send('room:red', P, 'hi')", "chat room:red hi"),
        ("assert(game.chat.set_room('red', {P}).ok)", "room red 1"),
        ("game.chat.set_room('red', {})", "room red "),
        (
            "game.chat.send('match:' .. game.match.id(), P, 'e\u{301}')",
            "chat match:00000000-0000-0000-0000-000000000001 \u{e9}",
        ),
        (
            "game.vote.open({vote_id = 'v', template = 't', options = {'a', 'b'}})",
            "vote {\"options\":[{\"id\":\"a\",\"label\":\"a\"},{\"id\":\"b\",\"label\":\"b\"}],\"template\":\"t\",\"vote_id\":\"v\"}",
        ),
        ("game.vote.cancel('v1')", "cancel v1"),
        ("assert(game.storage.get('c', 'k').error == 'loading')", "load  c/k"),
        ("game.storage.set('c', 'k', {v = 1}) assert(game.storage.get('c', 'k').ok.v == 1)", "store  c/k {\"v\":1}"),
        ("assert(game.storage.player_get(P, 'c', 'k').error == 'loading')", "load 1 c/k"),
        ("game.storage.player_set(P, 'c', 'k', 5)", "store 1 c/k 5"),
    ] {
        let mut told = asked(body);
        for line in &mut told {
            *line = line.replace('\t', " ");
        }
        assert_eq!(told, [expected.replace('\t', " ")], "{body}");
    }
}

#[test]
fn a_script_knows_its_own_match_from_the_start() {
    let mut m = Played::new(
        "body = game.match.id()
         function init(config) return { body = body, config = config.match_id, rounds = config.rounds } end
         function phases(config) told = config.match_id return {} end
         function get_state(id, state) state.told, state.called = told, game.match.id() return state end",
    );
    let id = "00000000-0000-0000-0000-000000000001";
    let expected = format!(r#"{{"body":"{id}","called":"{id}","config":"{id}","rounds":3,"told":"{id}"}}"#);
    assert_eq!(m.view(Some(1)), expected);
}

#[test]
fn wrong_arguments_answer_an_error_where_they_are_given() {
    for body in [
        "game.broadcast()",
        "game.broadcast('finished', {})",
        "game.broadcast('a b', {})",
        "game.broadcast(('x'):rep(65), {})",
        "game.broadcast('big', ('x'):rep(70000))",
        "game.send('nobody', 1)",
        "game.send(P)",
        "game.log('loud', 'x')",
        "game.match.set_joinable(1)",
        "game.match.backfill(0)",
        "game.match.kick(7)",
        "game.match.kick(P, 'b\u{202e}ye')",
        "game.match.kick(P, 'b\\aye')",
        "game.bots.add('a b')",
        "game.bots.remove()",
        "game.notify(P, 1, 2)",
        "game.notify(P, '', 'b')",
        "game.notify(P, ('x'):rep(65), 'b')",
        "game.notify(P, 'a', ('x'):rep(2001))",
        "game.notify_many({P}, '', 'b')",
        "game.notify_many(P, 'a', 'b')",
        "game.chat.send('c', P, '')",
        "game.vote.open('x')",
        "game.vote.open({vote_id = 'a b'})",
        "game.vote.cancel('')",
        "game.storage.get('c')",
        "game.storage.set('c', ('k'):rep(200), 1)",
        "game.spatial.query_radius(1, 2, 3)",
        "game.spatial.nearest({}, 1, 2)",
        "game.spatial.in_range({}, {}, 1)",
        "game.spatial.distance(1, 2)",
        "game.leaderboard.submit('b', P, 1)",
        "game.economy.balance(P)",
        "game.zone.spawn('x', 1, 2)",
        "game.object(5)",
        "game.notify('nobody', 'a', 'b')",
        "game.notify_many({'nobody'}, 'a', 'b')",
        "game.chat.send('c', 5, 'x')",
        "game.chat.send('lobby', P, ' ')",
        "game.chat.send('lobby', P, 'x\u{202e}y')",
        "game.chat.send('lobby', P, 'two\\nlines')",
        "game.chat.send('lobby', P, ('x'):rep(2001))",
        "game.chat.send('match:x', P, 'hi')",
        "game.chat.set_room('a b', {P})",
        "game.chat.set_room('room:red', {P})",
        "game.chat.set_room('red', P)",
        "game.chat.set_room('red', {'nobody'})",
        "game.chat.set_room('red', (function() local t = {} for i = 1, 1001 do t[i] = P end return t end)())",
        "game.chat.send('room:a b', P, 'hi')",
        "game.chat.send('dm:' .. P .. ':' .. P, P, 'hi')",
        "game.chat.send('', P, 'hi')",
        "game.match.finish((function() local t = {} t.t = t return t end)())",
        "game.match.backfill('two')",
        "game.match.set_joinable()",
        "game.bots.add()",
        "game.random('x')",
        "game.random(2, 1)",
        "game.vote.open({template = 't', options = (function() local t = {} t.t = t return {t} end)()})",
        "game.storage.player_get(5, 'c', 'k')",
        "game.storage.player_set('nobody', 'c', 'k', 1)",
        "game.storage.set('', 'k', 1)",
        "game.storage.set('c', 'k', ('x'):rep(70000))",
    ] {
        let answer = format!("local r = {body} assert(type(r) == 'table' and type(r.error) == 'string', 'no error')");
        assert_eq!(asked(&answer), [""; 0], "{body}");
    }
}

#[test]
fn the_rest_of_game_answers_at_once() {
    for body in [
        "assert(#game.id() == 36 and game.id() ~= game.id())",
        "local n = game.random(3) assert(n >= 1 and n <= 3) assert(game.random() < 1)",
        "assert(math.random(5, 5) == 5 and math.random(2.9) <= 2)",
        "assert(not pcall(math.random, 2, 1))",
        "assert(os.time() == 1700000000 and os.clock() == 0.0 and os.difftime(5, 3) == 2.0)",
        "assert(os.date('%Y-%m-%d') == '2023-11-14' and os.date('!*t', 0).year == 1970)",
        "assert(os.time({year = 2000, month = 3, day = 1, hour = 0}) == 951868800)",
        "assert(os.execute == nil and io == nil and load == nil and coroutine == nil and debug == nil and dofile == nil)",
        "assert(require('x') == nil, 'unreachable')",
        "local e = { a = {x=0,y=0,type='orc'}, b = {x=3,y=4,type='elf'}, c = {x=30,y=40}, d = 'odd' }
         local r = game.spatial.query_radius(e, 0, 0, 5) assert(#r == 2 and r[1].id == 'a' and r[2].distance == 5)
         r = game.spatial.query_radius(e, 0, 0, 100, {type = {'elf'}}) assert(#r == 1 and r[1].entity == e.b)
         r = game.spatial.query_radius(e, 0, 0, 100, {exclude = 'a', sort = 'farthest', max_results = 1}) assert(#r == 1 and r[1].id == 'c')
         r = game.spatial.nearest(e, 29, 40, 2) assert(#r == 2 and r[1].id == 'c' and r[2].id == 'b')
         assert(game.spatial.in_range(e.a, e.b, 5) and not game.spatial.in_range(e.a, e.c, 5))
         assert(game.spatial.distance(e.a, e.b) == 5)
         for _, n in ipairs({0, -1, -0.5, math.mininteger, -math.huge}) do assert(#game.spatial.nearest(e, 0, 0, n) == 0) end
         for _, n in ipairs({3, 3.5, math.maxinteger, math.huge}) do assert(#game.spatial.nearest(e, 0, 0, n) == 3) end",
    ] {
        let told = asked(body);
        if body.contains("unreachable") {
            assert!(told[0].starts_with("fault tick match.lua:3 module 'x' not found"), "{told:?}");
        } else {
            assert_eq!(told, [""; 0], "{body}");
        }
    }
}

#[test]
fn the_library_means_what_luas_does() {
    for body in [
        "local t = {3,1,2} table.sort(t) assert(table.concat(t, ',') == '1,2,3')",
        "local t = {} for i = 1, 100 do t[i] = (i * 37) % 101 end table.sort(t, function(a, b) return a > b end)
         for i = 2, 100 do assert(t[i - 1] > t[i]) end",
        "local t = {} for i = 1, 20 do t[i] = {k = i % 3, i = i} end table.sort(t, function(a, b) return a.k < b.k end)
         for i = 2, 20 do assert(t[i-1].k < t[i].k or t[i-1].i < t[i].i, 'stable') end",
        "table.sort({1,2,3,4,5,6,7,8,9,10,11,12}, function() return true end)",
        "local t = {1,2} table.insert(t, 3) table.insert(t, 1, 0) assert(table.concat(t) == '0123')",
        "assert(not pcall(table.insert, {}, 5, 1) and not pcall(table.insert, {}, 1, 1, 1))",
        "local t = {1,2,3} assert(table.remove(t, 1) == 1 and table.remove(t) == 3 and #t == 1 and table.remove({}) == nil)",
        "local t = table.move({1,2,3}, 1, 3, 2) assert(table.concat(t, '') == '1123')",
        "assert(select('#', table.unpack({1,nil,3}, 1, 3)) == 3 and table.unpack({5}) == 5)",
        "assert(('hello world'):find('o w') == 5 and ('a.b'):find('.', 1, true) == 2 and ('abc'):find('c', -1) == 3)",
        "local a, b, c = ('key=val'):find('(%w+)=(%w+)') assert(a == 1 and b == 7 and c == 'key')",
        "assert(('x'):find('y') == nil and ('abc'):find('', 10) == nil and ('abc'):find('', 4) == 4)",
        "assert(('2024-01'):match('(%d+)-(%d+)') == '2024' and ('abc'):match('()b()') == 2)",
        "local n = 0 for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do n = n + v end assert(n == 3)",
        "local s = '' for a, b in ('a=1, b=2'):gmatch('()=()') do s = s .. a .. b .. ' ' end assert(s == '23 78 ')",
        "local s = '' for w in ('abc'):gmatch('', 2) do s = s .. '-' end assert(s == '---' and not pcall(string.gmatch, 'a'))",
        "local next = ('ab'):gmatch('.') assert(next() == 'a' and next() == 'b' and next() == nil and next() == nil)",
        "local s = '' for w in ('one two'):gmatch('%a+') do s = s .. '<' .. w .. '>' end assert(s == '<one><two>')",
        "assert(('abc'):gsub('', '-') == '-a-b-c-' and select(2, ('aaa'):gsub('a', 'b', 2)) == 2)",
        "assert(('hello'):gsub('l', {l = 'L'}) == 'heLLo' and ('hi'):gsub('%w', function(c) return c .. c end) == 'hhii')",
        "assert(('abc'):gsub('%w', '%0%0') == 'aabbcc' and ('abc def'):gsub('(%w+) (%w+)', '%2 %1') == 'def abc')",
        "assert(not pcall(string.gsub, 'x', 'x', '%9') and not pcall(string.gsub, 'x', '(', 'y'))",
        "assert(('ab'):rep(3, '-') == 'ab-ab-ab' and ('x'):rep(0) == '' and ('x'):rep(-1) == '')",
        "assert(('%5.1f|%s|%d'):format(1.25, 'x', 3) == '  1.2|x|3' and ('%s'):format({}):match('^table: %d+$'))",
        "assert(tostring(nil) == 'nil' and tostring(1.5) == '1.5' and tostring({}) ~= tostring({}))",
        "local t = setmetatable({}, {__tostring = function() return 'me' end}) assert(tostring(t) == 'me' and ('%s'):format(t) == 'me')",
        "assert(not tostring(print):find('0x') and not tostring({}):find('0x') and not pcall(string.format, '%p', {}))",
        "assert(not pcall(string.format, '%20p', {}) and not pcall(string.format, '%d%-9p', 1, 'x') and ('100%%p'):format() == '100%p')",
        "local n = 0 for k in next, {[math.maxinteger] = 1, [2^63] = 2} do n = n + 1 end assert(n == 2)",
        "local s = '' for k in pairs({b = 1, a = 2, c = 3, [2] = 4, [1] = 5, [true] = 6}) do s = s .. tostring(k) end assert(s == '12abctrue')",
        "local s = '' for k in pairs({z = 1, a = 2}) do s = s .. k end assert(s == 'az')",
        "local t = {a=1,b=2,c=3} for k in pairs(t) do t[k] = nil end assert(next(t) == nil)",
        "local t, s, k, v = {c=1,a=2,b=3}, '' k, v = next(t) while k do s = s .. k .. v k, v = next(t, k) end assert(s == 'a2b3c1')",
        "local s = 0 for i, v in pairs({10, 20, 30}) do s = s + i * v end assert(s == 140)",
        "local ok, e = pcall(error, {code = 1}) assert(not ok and e.code == 1)",
        "local ok, e = pcall(function() error('boom') end) assert(e == 'match.lua:3: boom', e)",
        "local ok, e = pcall(string.rep) assert(not ok and type(e) == 'string' and not e:find('stack'))",
        "local ok, e = xpcall(function() error('x', 0) end, function(m) return m .. '!' end) assert(not ok and e == 'x!')",
        "assert(select('#', xpcall(function(...) return ... end, print, 1, 2)) == 3)",
        "local t = setmetatable({}, {__index = function(_, k) return k * 2 end}) assert(t[4] == 8)",
        "assert(table.concat(setmetatable({}, {__index = function(_, i) return i end, __len = function() return 3 end}), ' ') == '1 2 3')",
        "for k, v in pairs(setmetatable({}, {__pairs = function() return function(_, k) if not k then return 1, 2 end end end})) do assert(v == 2) end",
        "math.randomseed(1) local a = math.random() math.randomseed(1) assert(a ~= math.random(), 'the seed is the match own')",
        "assert(math.type(3 // 1) == 'integer' and utf8.char(228) == 'ä' and utf8.len('ä') == 1)",
    ] {
        assert_eq!(asked(body), [""; 0], "{body}");
    }
}

#[test]
fn a_script_knows_its_bots_and_their_names() {
    let mut m = Played::new("function tick(state) state.bots = game.bots.list() return state end");
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"bots":[]}"#);
    m.with(|game, cx| game.bot_added(cx, id(9), "Spark"));
    m.with(|game, cx| game.bot_added(cx, id(8), ""));
    m.ticks(1);
    let (spark, substitute) = (id(9), id(8));
    assert_eq!(m.view(None), format!(r#"{{"bots":[{{"id":"{spark}","name":"Spark"}},{{"id":"{substitute}"}}]}}"#));
}

#[test]
fn stored_values_arrive_later_and_stay() {
    let mut m = Played::new(
        "function tick(state) local r = game.storage.get('c', 'k') state.r = r.ok or r.error return state end",
    );
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"r":"loading"}"#);
    let value = raw(r#"{"n":1}"#);
    m.with(|game, cx| game.loaded(cx, None, "c", "k", Some(&value)));
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"r":{"n":1}}"#);
    assert_eq!(m.told(), ["load  c/k"]);
}

#[test]
fn bots_think_with_what_players_see() {
    let files = [
        (
            "match.lua",
            r#"
            bots = { script = "bots/chaser.lua" }
            function init() return { players = {} } end
            function join(id, state) state.players[id] = { x = 0 } return state end
            function handle_input(id, input, state) state.players[id].x = state.players[id].x + input.step return state end
            function get_state(id, state) return { me = state.players[id] } end
            "#,
        ),
        (
            "bots/chaser.lua",
            "names = {'A'} local far = require('far') function think(id, state) assert(game == nil) return { step = far + state.me.x } end",
        ),
        ("bots/far.lua", "return 2"),
    ];
    let mut m = Played::of(script(&files, Allowance::default()), 1);
    m.join(9, None).unwrap();
    m.with(|game, cx| game.bot_added(cx, id(9), "A"));
    m.ticks(2);
    assert_eq!(m.told(), [""; 0]);
    assert_eq!(m.view(Some(9)), r#"{"me":{"x":6}}"#);
    m.leave(9);
    m.ticks(1);
    assert_eq!(m.told(), [""; 0]);
}

#[test]
fn bots_without_a_script_chase_shoot_and_wander_where_a_game_has_places() {
    let arena = |globals: &str| {
        format!(
            "{globals}
             function init() return {{ players = {{}}, phase = 'playing', boon_offers = {{ {{ id = 'fire' }} }} }} end
             function join(id, state) state.players[id] = {{ x = 0, y = 0, hp = 1 }} return state end
             function handle_input(id, input, state)
               if type(input.place) == 'table' then
                 local p = input.place
                 state.players[id], state.phase = {{ x = p.x, y = p.y, hp = p.hp }}, p.phase
               else
                 state.last = input
               end
               return state
             end
             function get_state(id, state) return state end"
        )
    };
    let mut m = Played::new(&arena("bots = {}"));
    m.join(1, None).unwrap();
    m.join(9, None).unwrap();
    m.with(|game, cx| game.bot_added(cx, id(9), "A"));
    let mut sees = |place: &str| {
        m.input(1, &format!("{{\"place\":{place}}}"));
        m.ticks(1);
        assert_eq!(m.told(), [""; 0], "{place}");
        let seen: serde_json::Value = serde_json::from_str(&m.view(Some(1))).unwrap();
        seen["last"].clone()
    };
    let near = sees(r#"{"x":100,"y":-100,"hp":5}"#);
    assert_eq!(
        (&near["right"], &near["left"], &near["up"], &near["down"]),
        (&true.into(), &false.into(), &true.into(), &false.into())
    );
    assert_eq!(near["shoot"], true, "{near}");
    assert!((90.0..=110.0).contains(&near["aim_x"].as_f64().unwrap()), "{near}");
    assert_eq!(sees(r#"{"x":-300,"y":0,"hp":5}"#)["shoot"], false);
    let nobody = sees(r#"{"x":100,"y":0,"hp":0}"#);
    assert_eq!((&nobody["shoot"], nobody.get("aim_x")), (&false.into(), None), "{nobody}");
    let boon = sees(r#"{"x":0,"y":0,"hp":1,"phase":"boon_pick"}"#);
    assert_eq!(boon, serde_json::json!({"type": "boon_pick", "boon_id": "fire"}));

    // A game of another kind, and one that has not asked for bots, hears nothing of theirs.
    for text in [arena(""), arena("bots = {}").replace("x = 0, y = 0", "cards = 3")] {
        let mut m = Played::new(&text);
        m.join(9, None).unwrap();
        m.with(|game, cx| game.bot_added(cx, id(9), "A"));
        m.ticks(2);
        assert!(!m.view(Some(9)).contains("last"), "{}", m.view(Some(9)));
    }
}

#[test]
fn phases_run_and_end_the_match() {
    let mut m = Played::new(
        r#"
        function phases() return { { name = "warm", duration = 200 }, { name = "play", duration = 100 } } end
        function on_phase_started(name, state) state.now = name return state end
        function on_phase_ended(name, state) game.broadcast("over", { phase = name }) return state end
        function tick(state) end
        "#,
    );
    m.ticks(2);
    assert_eq!(m.view(None), r#"{"now":"warm"}"#);
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"now":"play"}"#);
    m.ticks(1);
    assert_eq!(
        m.told(),
        [
            r#"broadcast over {"phase":"warm"}"#,
            r#"broadcast over {"phase":"play"}"#,
            r#"finish {"status":"phases_complete"}"#
        ]
    );
}

#[test]
fn spectators_snapshots_and_restores() {
    let mut m = Played::new(
        r#"
        function init() return { n = 1, secret = "s" } end
        function get_state(id, state) return { n = state.n } end
        function spectate(state) return { watching = state.n } end
        function snapshot(state) return { n = state.n } end
        function restore(data) return { n = data.n * 10, secret = "again" } end
        "#,
    );
    assert_eq!(m.view(None), r#"{"watching":1}"#);
    let snapshot = m.game.snapshot().unwrap();
    assert_eq!(snapshot, br#"{"n":1}"#);
    assert!(m.game.restore(&snapshot) && !m.game.restore(b"{"));
    assert_eq!(m.view(Some(1)), r#"{"n":10}"#);
    let mut without = Played::new("function get_state(id, s) return s end");
    assert_eq!((without.view(None).as_str(), without.game.snapshot()), ("", None));
}

#[test]
fn errors_are_told_with_their_place_and_the_match_plays_on() {
    let mut m = Played::new(
        "function init() return {n = 0} end\nfunction tick(state)\n  state.n = state.n + 1\n  local x = nil + 1\nend\nfunction join() return 5 end\nfunction handle_input(id, i, s) return 'odd' end",
    );
    assert_eq!(m.join(1, None), Err(String::new()));
    m.input(1, "{}");
    m.ticks(150);
    let told = m.told();
    assert_eq!(
        told[0],
        "fault join match.lua:6 join returned an integer, and the player is refused: expected the state, or nil and a reason to refuse"
    );
    assert_eq!(told[1], "fault handle_input match.lua:7 handle_input returned a string, expected the state");
    assert_eq!(told[2], "fault tick match.lua:4 attempt to perform arithmetic on a nil value");
    assert_eq!(told.len(), 1 + 1 + 6, "three in ten seconds, in fifteen seconds: {told:?}");
    assert_eq!(m.view(None), r#"{"n":150}"#);
}

#[test]
fn what_a_save_leaves_out_is_gone_from_matches_that_play() {
    let sources = |text: &str| Arc::new(Sources::from_texts([("match.lua", text)]).unwrap());
    let old = "state_strategy = 'shared'
        function init() later = function() end return {n = 0, left = 0} end
        function tick(s) s.n = s.n + 1 return s end
        function leave(id, s) s.left = s.left + 1 return s end
        function get_state(s) return s end";
    let script = Script::new("match.lua", sources(old), Allowance::default());
    let mut m = Played::of(script.clone(), 1);
    m.ticks(2);
    m.with(|game, cx| game.leave(cx, id(2)));
    assert_eq!(m.view(None), r#"{"left":1,"n":2}"#);
    let new = "function tick(s) s.n = s.n + 100 return s end
        function get_state(id, s) return {id = id, n = s.n, left = s.left, later = type(later)} end";
    assert_eq!(script.replace(sources(new)), Ok(true));
    m.ticks(3);
    m.with(|game, cx| game.leave(cx, id(3)));
    // Each player has a view of their own, nobody counts those who leave, and what it was given while it played stays.
    assert_eq!(m.view(Some(1)), format!(r#"{{"id":"{}","later":"function","left":1,"n":302}}"#, id(1)));
}

#[test]
fn bit32_is_as_in_lua_5_2() {
    for (call, value) in [
        ("band(0xFF, 0x0F)", "15"),
        ("band()", "4294967295"),
        ("bor(1, 2, 4)", "7"),
        ("bxor(5, 1)", "4"),
        ("bnot(0)", "4294967295"),
        ("bnot(-1)", "0"),
        ("btest(5, 2)", "false"),
        ("btest(5, 4)", "true"),
        ("lshift(1, 31)", "2147483648"),
        ("lshift(1, 32)", "0"),
        ("lshift(16, -4)", "1"),
        ("rshift(0x80000000, 31)", "1"),
        ("rshift(1, -4)", "16"),
        ("rshift(1, 32)", "0"),
        ("arshift(0x80000000, 31)", "4294967295"),
        ("arshift(0x80000000, 4)", "4160749568"),
        ("arshift(0x40000000, 4)", "67108864"),
        ("arshift(1, -4)", "16"),
        ("lrotate(0x80000001, 1)", "3"),
        ("lrotate(0x80000001, 33)", "3"),
        ("rrotate(3, 1)", "2147483649"),
        ("extract(0xABCD, 4, 8)", "188"),
        ("extract(0x80000000, 31)", "1"),
        ("replace(0, 0xFF, 4, 8)", "4080"),
        ("replace(0xFFFF, 0, 4, 8)", "61455"),
        ("band(-1.0, 2^32 + 3)", "3"),
        ("band('0x10', 0xFF)", "16"),
    ] {
        let text = format!("function tick(s) s.v = tostring(bit32.{call}) return s end");
        let mut m = Played::new(&text);
        m.ticks(1);
        assert_eq!(m.view(None), format!(r#"{{"v":"{value}"}}"#), "{call}: {:?}", m.told());
    }
    for wrong in ["band({})", "lshift(1)", "extract(1, 32)", "extract(1, 0, 33)", "band(0/0)"] {
        let mut m = Played::new(&format!("function tick(s)\n bit32.{wrong} return s end"));
        m.ticks(1);
        assert!(m.told()[0].starts_with("fault tick match.lua:2 "), "{wrong}: {:?}", m.told());
    }
}

#[test]
fn marks_for_other_readers_of_a_file_are_passed_over() {
    for before in ["\u{feff}", "#!/usr/bin/env lua\n", "\u{feff}#!/usr/bin/env lua\r\n"] {
        let mut m = Played::new(&format!("{before}function tick(state)\n  error('here')\nend"));
        m.ticks(1);
        let line = 2 + before.matches('\n').count();
        assert_eq!(m.told(), [format!("fault tick match.lua:{line} here")], "{before:?}");
    }
    let alone = std::panic::catch_unwind(|| Played::new("#!only"));
    assert!(alone.is_ok(), "nothing is left, and nothing is wrong with it");
}

#[test]
fn a_script_that_cannot_begin_says_why() {
    let begin = |text: &str| {
        let script = script(&[("match.lua", text)], Allowance::default());
        LuaGame::new(script, &raw("{}"), Birth::trial(1, 0)).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(begin("x = = 1"), "match.lua:1: unexpected symbol near '='");
    assert_eq!(begin("error('no')"), "match.lua:1: no");
    assert_eq!(begin("function init() return 5 end"), "match.lua:1: init returned an integer, expected the state");
    assert_eq!(begin("\x1bLua"), "match.lua: attempt to load a binary chunk (mode is 't')");
    assert_eq!(begin("x = game.broadcast('a', {}).error assert(x:find('while the file loads'))"), "");
}

#[test]
fn a_reload_keeps_the_state_and_a_bad_one_changes_nothing() {
    let text = |step: &str| {
        format!(
            "local mod = require('mod')\nfunction init() return {{n = 0}} end\nfunction tick(s) s.n = s.n + {step} s.mod = mod return s end"
        )
    };
    let sources = |step: &str, module: &str| {
        Arc::new(Sources::from_texts([("match.lua", text(step).as_str()), ("mod.lua", module)]).unwrap())
    };
    let script = Script::new("match.lua", sources("1", "return 'a'"), Allowance::default());
    let mut m = Played::of(script.clone(), 1);
    m.ticks(2);
    assert_eq!(script.replace(sources("10", "return 'b'")), Ok(true));
    assert_eq!(script.replace(sources("10", "return 'b'")), Ok(false), "nothing changed");
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"mod":"b","n":12}"#);
    let bad = script.replace(sources("+", "return 'c'")).unwrap_err();
    assert!(bad.to_string().starts_with("match.lua:3: "), "{bad:?}");
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"mod":"b","n":22}"#);
    assert_eq!(m.told(), ["log reloaded match.lua"]);
    // A body that loads by itself and fails in this match: its globals are put back too.
    let trap = "n = (n or 0) + 1\nif n > 1 then tick = nil error('twice') end\nfunction tick(s) s.n = 0 return s end";
    let trap = Arc::new(Sources::from_texts([("match.lua", trap)]).unwrap());
    assert_eq!(script.replace(trap), Ok(true));
    m.ticks(1);
    assert_eq!(script.replace(sources("1", "error('no')")).unwrap_err().to_string(), "mod.lua:1: no");
}

/// Everything of a script that could differ from one run to the next, in one view.
const RESTLESS: &str = r#"
function init()
  local t = { bag = {}, log = "" }
  for i = 1, 40 do t.bag["key" .. i] = i end
  return t
end
function join(id, state) state.bag[id] = math.random(100) return state end
function handle_input(id, input, state)
  for k, v in pairs(input) do state.log = state.log .. k .. "=" .. tostring(v) .. ";" end
  state.bag[id] = state.bag[id] + math.random(6)
  return state
end
function tick(state)
  local order, things = {}, {}
  for k in pairs(state.bag) do order[#order + 1] = k end
  for i, k in ipairs(order) do things[i] = { k = k, v = state.bag[k] % 3 } end
  table.sort(things, function(a, b) return a.v < b.v end)
  local sorted = {}
  for i, thing in ipairs(things) do sorted[i] = thing.k end
  state.bag["new" .. #order] = math.random()
  state.bag[order[math.random(#order)]] = nil
  for _, id in ipairs({ next(state.bag) }) do state.first = tostring(id) end
  state.order, state.sorted = table.concat(order, " "), table.concat(sorted, " ")
  state.name, state.f, state.now, state.id = tostring({}), tostring(print), os.date() .. os.clock(), game.id()
  return state
end
"#;

/// One match from its record: a seed and what was said at which tick.
fn replay(seed: u64, record: &[(u64, u128, &str)]) -> String {
    let mut m = Played::of(script(&[("match.lua", RESTLESS)], Allowance::default()), seed);
    let mut frames = String::new();
    m.join(1, None).unwrap();
    m.join(2, None).unwrap();
    for tick in 0..30 {
        for (_, player, input) in record.iter().filter(|(at, ..)| *at == tick) {
            m.input(*player, input);
        }
        m.ticks(1);
        frames.push_str(&m.view(None));
    }
    assert_eq!(m.told(), [""; 0]);
    frames
}

#[test]
fn a_recorded_match_replays_to_the_same_frames() {
    const RECORD: &[(u64, u128, &str)] =
        &[(3, 1, r#"{"b":1,"a":2,"c":{"d":1}}"#), (3, 2, "{}"), (9, 2, r#"{"z":0.5,"y":true}"#)];
    let first = replay(5, RECORD);
    // Every machine seeds its hashes from addresses; threads differ in theirs.
    let others: Vec<_> = (0..4).map(|_| std::thread::spawn(|| replay(5, RECORD))).collect();
    for other in others {
        assert_eq!(other.join().unwrap(), first);
    }
    assert_ne!(replay(6, RECORD), first, "another seed is another match");
    assert_ne!(replay(5, &RECORD[1..]), first, "other inputs are another match");
    assert!(!first.contains("0x"), "no addresses");
}

/// The texts of this folder's tests.
const TESTS: &[&str] = &[include_str!("tests.rs"), include_str!("hostile.rs"), include_str!("filter.rs")];

#[test]
fn every_callback_and_every_call_is_played_by_a_test() {
    let tests = TESTS.concat();
    for name in super::calls::CALLBACKS {
        let played = [format!("function {name}("), format!("function game.{name}(")];
        assert!(played.iter().any(|text| tests.contains(text)), "no test defines {name}");
    }
    let calls = super::api::CALLS.iter().map(|(space, name, ..)| match space.is_empty() {
        true => format!("game.{name}("),
        false => format!("game.{space}.{name}("),
    });
    let spatial = ["query_radius", "nearest", "in_range", "distance"].map(|name| format!("game.spatial.{name}("));
    for call in calls.chain(spatial) {
        assert!(tests.contains(&call), "no test calls {call}..)");
    }
}

#[test]
fn every_callback_may_fail_and_the_match_goes_on() {
    // As many ways to fail as callbacks: each raises, and nothing of the others is lost.
    let names =
        ["join", "leave", "handle_input", "tick", "get_state", "vote_requested", "vote_resolved", "vote_vetoed"];
    let more = ["on_phase_started", "on_phase_ended", "spectate", "think", "snapshot", "restore"];
    for name in names.into_iter().chain(more) {
        let text = format!(
            "function init() return {{ n = 0 }} end
             function phases() return {{ {{ name = 'a', duration = 100 }}, {{ name = 'b' }} }} end
             function get_state(id, state) return state end
             function tick(state) state.n = state.n + 1 end
             function {name}() error('on purpose') end"
        );
        let mut m = Played::new(&text);
        let joined = m.join(1, None);
        assert_eq!(joined.is_err(), name == "join", "{name}");
        if name == "join" {
            m.players.push(id(1));
        }
        m.with(|game, cx| game.bot_added(cx, id(9), "A"));
        m.input(1, "{}");
        m.ticks(3);
        m.view(None);
        let seen = m.view(Some(1));
        m.votes_and_snapshot();
        m.leave(1);
        m.ticks(1);
        let told = m.told();
        assert!(
            told.iter().any(|line| line.starts_with(&format!("fault {name} match.lua:5 on purpose"))),
            "{name}: {told:?}"
        );
        let ticked = !["tick", "get_state"].contains(&name);
        assert_eq!(
            seen,
            if ticked {
                r#"{"n":3}"#
            } else if name == "tick" {
                r#"{"n":0}"#
            } else {
                ""
            },
            "{name}"
        );
        assert!(!told.iter().any(|line| line.starts_with("finish")), "{name}: an error is no end: {told:?}");
    }
    let begin = |text: &str| {
        let script = script(&[("match.lua", text)], Allowance::default());
        LuaGame::new(script, &raw("{}"), Birth::trial(1, 0)).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(begin("function init() error('on purpose') end"), Err("match.lua:1: on purpose".into()));
    assert_eq!(begin("function phases() error('on purpose') end function tick() end"), Ok(()));
}
