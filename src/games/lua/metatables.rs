//! Metatables mean what Lua's do, for those who write classes with them; and no way leads to a weak table or to a chain
//! of `__call`s, for those who mean harm.

use std::sync::Arc;

use super::testing::{Played, id, script};
use super::{Allowance, Script, Sources};
use crate::games::Game;

/// What a script with this body in `tick`, from line 2 on, was told about in one tick.
fn told(body: &str) -> Vec<String> {
    let mut m = Played::of(script(&[("match.lua", &format!("function tick(state)\n{body}\nend"))], ample()), 1);
    m.ticks(1);
    m.told()
}

/// As ample as a debug build needs.
fn ample() -> Allowance {
    Allowance { cpu_us: 10_000_000, cpu_load_us: 10_000_000, ..Allowance::default() }
}

fn holds(body: &str) {
    assert_eq!(told(body), [""; 0], "{body}");
}

#[test]
fn getmetatable_shows_what_was_set() {
    for body in [
        "local mt, t = {}, {} assert(setmetatable(t, mt) == t and getmetatable(t) == mt and getmetatable(mt) == nil)",
        "local mt = {} setmetatable(setmetatable({}, mt), nil) assert(getmetatable(mt) == nil and next(mt) == nil)",
        "local mt = {__call = print} assert(getmetatable(setmetatable({}, mt)) == mt and getmetatable(mt) == nil)",
        "local u, mt = {}, {} setmetatable(mt, u) setmetatable({}, mt) assert(getmetatable(mt) == u and getmetatable(u) == nil)",
        "local u, mt = {}, {} setmetatable({}, mt) setmetatable(mt, u) assert(getmetatable(mt) == u) setmetatable(mt, nil) assert(getmetatable(mt) == nil)",
        "local u, mt = {__call = print}, {__call = print} setmetatable({}, mt) setmetatable(mt, u) assert(getmetatable(mt) == u)",
        "local t = {} setmetatable(t, t) assert(getmetatable(t) == t) setmetatable(t, nil) assert(getmetatable(t) == nil)",
        "local t = setmetatable({}, {__metatable = 'mine'}) assert(getmetatable(t) == 'mine')",
        "local t = setmetatable({}, {__metatable = 'mine', __call = print}) assert(getmetatable(t) == 'mine')",
        "local mt, t = {}, {} setmetatable(t, mt) mt.__metatable = 'late' assert(getmetatable(t) == 'late')",
        "local mt, t = {__call = print}, {} setmetatable(t, mt) mt.__metatable = false assert(getmetatable(t) == false)",
        "local mt = setmetatable({}, {__metatable = 'mine'}) setmetatable({}, mt) assert(getmetatable(mt) == 'mine')",
        "local lock = {} local mt = setmetatable({}, {__metatable = lock}) setmetatable({}, mt) assert(getmetatable(mt) == lock)",
        "assert(getmetatable('').__index == string and getmetatable(getmetatable('')) == nil)",
        "assert(getmetatable(1) == nil and getmetatable(nil) == nil and getmetatable(print) == nil and getmetatable({}) == nil)",
        "assert(getmetatable(game.object()) == false)",
        // What is in a metatable is what the script wrote.
        "local mt = setmetatable({a = 1, __call = print}, {b = 2}) setmetatable({}, mt) local n = 0 for k in pairs(mt) do n = n + 1 end assert(n == 2)",
    ] {
        holds(body);
    }
}

#[test]
fn protected_metatables_stay() {
    for set in [
        "local t = setmetatable({}, {__metatable = false})",
        "local t = setmetatable({}, {__metatable = {}})",
        "local t = setmetatable({}, {__metatable = 1, __call = print})",
        "local mt, t = {}, {} setmetatable(t, mt) mt.__metatable = 1",
        "local mt, t = {__call = print}, {} setmetatable(t, mt) rawset(mt, '__metatable', 1)",
        "local t = setmetatable({}, {__metatable = 1}) setmetatable({}, t)",
        "local t = {} setmetatable({}, t) setmetatable(t, {__metatable = 1})",
        "local t = setmetatable({__call = print}, {__metatable = 1}) setmetatable({}, t)",
        "local t = game.object()",
    ] {
        for mt in ["{}", "nil", "t", "{__call = print}"] {
            let set = format!("{set} local before = getmetatable(t) assert(before ~= nil)");
            let again =
                format!("local ok, e = pcall(setmetatable, t, {mt}) assert(not ok and getmetatable(t) == before)");
            holds(&format!("{set} {again}"));
        }
    }
    // A class that nobody may look behind still makes objects.
    holds(
        "local Base = {hello = function() return 'hello' end}
         local Class = setmetatable({}, {__index = Base, __metatable = false, __newindex = function() error('sealed') end})
         rawset(Class, '__index', Class)
         local o = setmetatable({}, Class)
         assert(o.hello() == 'hello' and not pcall(function() Class.x = 1 end) and getmetatable(Class) == false)",
    );
}

#[test]
fn events_that_come_late_are_heard() {
    for body in [
        // As in Programming in Lua: the __index is written after the metatable is set, at every object.
        "local Account = {balance = 0}
         function Account:new(o) o = o or {} setmetatable(o, self) self.__index = self return o end
         function Account:deposit(v) self.balance = self.balance + v end
         local Special = Account:new() local s = Special:new({limit = 10})
         s:deposit(5) assert(s.balance == 5 and Special.balance == 0)
         function Special:deposit(v) self.balance = self.balance + 2 * v end
         function Account:withdraw(v) self.balance = self.balance - v end
         s:deposit(5) s:withdraw(1) assert(s.balance == 14)",
        "local mt, t = {}, {} setmetatable(t, mt)
         mt.__index = function(_, k) return k .. '!' end mt.__tostring = function() return 'me' end mt.__len = function() return 7 end
         function mt.__add() return 'sum' end function mt.__eq() return true end function mt.__lt() return true end
         function mt.__concat() return 'both' end mt.__name = 'Thing' function mt.__pairs() return function(_, k) if not k then return 1 end end end
         assert(t.x == 'x!' and tostring(t) == 'me' and #t == 7 and t + 1 == 'sum' and t < {} and t .. '' == 'both')
         assert(t == setmetatable({}, mt)) for k in pairs(t) do assert(k == 1) end",
        // The same where it can be called.
        "local mt, t = {__call = function(self, a) return a end}, {} setmetatable(t, mt)
         mt.__index = function(_, k) return k .. '!' end mt.__tostring = function() return 'me' end mt.__len = function() return 7 end
         function mt.__add() return 'sum' end function mt.__eq() return true end function mt.__lt() return true end
         function mt.__concat() return 'both' end function mt.__pairs() return function(_, k) if not k then return 1 end end end
         assert(t.x == 'x!' and tostring(t) == 'me' and #t == 7 and t + 1 == 'sum' and t < {} and t .. '' == 'both' and t(3) == 3)
         assert(t == setmetatable({}, mt)) for k in pairs(t) do assert(k == 1) end
         local said mt.__newindex = function(_, k) said = k end t.y = 1 assert(said == 'y' and rawget(t, 'y') == nil)",
        // Of the parent, when there are objects of the child already.
        "local Base, Derived = {}, {} setmetatable(Derived, Base) Derived.__index = Derived local o = setmetatable({}, Derived)
         Base.__index = Base function Base.hello() return 'hello' end assert(o.hello() == 'hello')
         Base.__index = function(_, k) return k end setmetatable({}, Derived) assert(o.bye == 'bye')
         Base.__newindex = function(t, k, v) rawset(t, k, v * 2) end Derived.n = 2 assert(o.n == 4)
         Base.__unm = function() return 'minus' end setmetatable({}, Derived) assert(-Derived == 'minus')",
        "local t = {} setmetatable(t, t) t.__index = function(_, k) return k end assert(t.x == 'x')
         t.__newindex = function(t, k, v) rawset(t, k, v + 1) end t.n = 1 assert(t.n == 2)",
        // What was there is written over.
        "local mt = {__index = {x = 1}, __call = function() return 1 end} local t = setmetatable({}, mt)
         mt.__index = {x = 2} mt.__newindex = function() end local u = setmetatable({}, mt)
         t.y = 1 assert(t.x == 2 and u.x == 2 and t.y == nil) mt.__index, mt.__newindex = nil, nil
         setmetatable({}, mt) t.y = 1 assert(t.x == nil and t.y == 1)
         mt.__call = nil mt.__call = function() return 2 end assert(t() == 2)",
        "local mt = {__call = function() return 1 end} local t = setmetatable({}, mt) rawset(mt, '__call', nil) assert(not pcall(t))",
        // New keys go where the metatable's own __newindex says.
        "local store = {} local mt = setmetatable({}, {__newindex = store}) setmetatable({}, mt) mt.x = 1 assert(store.x == 1 and rawget(mt, 'x') == nil)",
        "local mt = setmetatable({}, {}) setmetatable({}, mt) local ok, e = pcall(function() mt[nil] = 1 end) assert(not ok and e:find('index is nil'))",
        "local t = {} setmetatable({}, t) table.insert(t, 'a') t[2] = 'b' assert(#t == 2 and rawset(t, 'c', 1) == t and t.c == 1)",
    ] {
        holds(body);
    }
}

#[test]
fn the_usual_class_libraries_work() {
    // A table that copies what begins with two underscores, and is the metatable of its children and its objects.
    holds(
        "local Object = {} Object.__index = Object
         function Object:new() end
         function Object:extend()
           local cls = {}
           for k, v in pairs(self) do if k:find('__') == 1 then cls[k] = v end end
           cls.__index = cls cls.super = self setmetatable(cls, self) return cls
         end
         function Object:is(T) local mt = getmetatable(self) while mt do if mt == T then return true end mt = getmetatable(mt) end return false end
         function Object:__tostring() return 'Object' end
         function Object:__call(...) local obj = setmetatable({}, self) obj:new(...) return obj end
         local Point = Object:extend() function Point:new(x, y) self.x, self.y = x or 0, y or 0 end
         function Point:__tostring() return 'Point' end function Point.__add(a, b) return Point(a.x + b.x, a.y + b.y) end
         local Rect = Point:extend() function Rect:new(x, y, w) Rect.super.new(self, x, y) self.w = w or 0 end
         local p, r = Point(1, 2), Rect(3, 4, 5)
         assert((p + p).x == 2 and tostring(p) == 'Point' and r.w == 5 and r.y == 4 and tostring(Object) ~= '')
         assert(r:is(Rect) and r:is(Point) and r:is(Object) and p:is(Point) and not p:is(Rect))
         function Point:length() return self.x + self.y end function Object:late() return 'late' end
         assert(p:length() == 3 and r:length() == 7 and r:late() == 'late')
         function Rect:__len() return self.w end assert(#Rect(0, 0, 9) == 9)",
    );
    // A dictionary for objects beside the class, and a class whose new entries are methods of all that come of it.
    holds(
        "local function index_of(f) if f == nil then return nil end return f end
         local function propagate(c, name, f)
           f = name == '__index' and index_of(f) or f c.dict[name] = f
           for _, sub in ipairs(c.subs) do if rawget(sub.declared, name) == nil then propagate(sub, name, f) end end
         end
         local function declare(c, name, f) c.declared[name] = f if f == nil and c.super then f = c.super.dict[name] end propagate(c, name, f) end
         local function class(name, super)
           local dict = {} dict.__index = dict
           local c = {name = name, super = super, static = {}, dict = dict, declared = {}, subs = {}}
           if super then
             setmetatable(c.static, {__index = function(_, k) local r = rawget(dict, k) if r == nil then return super.static[k] end return r end})
             for k, v in pairs(super.dict) do if k ~= '__index' then dict[k] = v end end super.subs[#super.subs + 1] = c
           else setmetatable(c.static, {__index = function(_, k) return rawget(dict, k) end}) end
           setmetatable(c, {__index = c.static, __tostring = function(c) return 'class ' .. c.name end,
             __call = function(c, ...) return c:new(...) end, __newindex = declare})
           if not super then
             c.static.allocate = function(self) return setmetatable({class = self}, self.dict) end
             c.static.new = function(self, ...) local o = self:allocate() o:initialize(...) return o end
             c.static.subclass = function(self, name) return class(name, self) end
             c.declared.initialize = function() end dict.initialize = c.declared.initialize
             dict.__tostring = function(self) return 'instance of ' .. tostring(self.class) end
           end
           return c
         end
         local Animal = class('Animal') function Animal:initialize(n) self.n = n end function Animal:speak() return self.n end
         local Dog = Animal:subclass('Dog') function Dog:speak() return 'dog ' .. Animal.speak(self) end
         local d, a = Dog('rex'), Animal:new('tom')
         assert(d:speak() == 'dog rex' and a:speak() == 'tom' and tostring(Dog) == 'class Dog' and tostring(d) == 'instance of class Dog')
         function Animal:later() return 'later' end Animal.__len = function() return 3 end Dog.__eq = function() return true end
         assert(d:later() == 'later' and #a == 3 and #d == 3 and Dog('a') == Dog('b') and Animal('a') ~= Animal('b'))",
    );
    // A class that is called to make objects, has its methods in itself and its parent behind a metatable of its own.
    holds(
        "local function class(name, parent)
           local c = {name = name} c.__index = c
           return setmetatable(c, {__index = parent, __name = name, __tostring = function() return name end,
             __call = function(c, ...) local o = setmetatable({}, c) if o.init then o:init(...) end return o end})
         end
         local Shape = class('Shape') function Shape:init(n) self.n = n end
         local Round = class('Round', Shape) local Disc = class('Disc', Round)
         local d = Disc(3) assert(d.n == 3 and tostring(Disc) == 'Disc' and getmetatable(d) == Disc)
         function Shape:area() return self.n * 2 end function Disc:__unm() return -self.n end
         function Round.__call(self, x) return self.n + x end
         assert(d:area() == 6 and -d == -3 and Round(1)(2) == 3)",
    )
}

#[test]
fn what_stands_between_is_never_handed_to_a_script() {
    // Whoever asks whether two tables are equal asks their metatables.
    let spy = "local seen, mine = {}, {}
        local function own(t) mine[#mine + 1] = t return t end
        local function note(...) for i = 1, select('#', ...) do local v = select(i, ...) if type(v) == 'table' then seen[#seen + 1] = v end end end
        local function events(t)
          for _, name in ipairs({'eq', 'lt', 'le', 'len', 'unm', 'concat', 'add', 'index', 'newindex', 'tostring', 'pairs', 'close'}) do
            t['__' .. name] = function(...) note(...) end
          end
          return own(t)
        end";
    let check = "for _, s in ipairs(seen) do
          local known = rawequal(s, _G)
          for _, m in ipairs(mine) do known = known or rawequal(s, m) end
          assert(known, 'a table of the host')
        end";
    for body in [
        "local t = own(setmetatable({}, events({}))) setmetatable({}, t) setmetatable(t, nil) setmetatable(t, t)",
        "local lock = own(setmetatable({}, events({}))) local t = own(setmetatable({}, own({__metatable = lock}))) setmetatable({}, t) getmetatable(t) pcall(setmetatable, t, nil) rawset(t, '__index', 1)",
        "local lock = own(setmetatable({}, events({}))) local t = own(setmetatable({}, own({__metatable = lock, __call = print}))) setmetatable({}, t) getmetatable(t) rawset(t, '__sub', print)",
        "local u = events({__call = print}) local t = own(setmetatable({__call = print}, u)) local o = own(setmetatable({}, t)) t.__add = print rawset(t, '__call', print) setmetatable(t, u) setmetatable(o, t) setmetatable(o, nil) pcall(tostring, t)",
        "local u = own(setmetatable({}, events({}))) events(u) local t = own(setmetatable({}, u)) setmetatable({}, t) t.x = 1 t.__unm = print rawset(t, '__sub', print)",
        "local t = events({}) setmetatable(t, t) setmetatable(t, t) setmetatable({}, t) t.__sub = print game.object(t) local _ = t.nothing",
        "local t = events({__call = print}) setmetatable(t, t) setmetatable({}, t) t.__sub = print game.object(t) local _ = t.nothing setmetatable(t, nil)",
        "local t = own(game.object()) pcall(setmetatable, own({}), t) local u = own(setmetatable({}, events({}))) game.object(u)",
        "local t = own(setmetatable({}, events({}))) table.sort(own({1, 2})) table.unpack(t, 1, 2) pcall(table.concat, t) pcall(next, t)",
    ] {
        holds(&format!("{spy}\n{body}\n{check}"));
    }
}

#[test]
fn a_call_is_there_before_or_not_at_all() {
    for body in [
        "local t = setmetatable({}, {__call = function(self, ...) return select('#', ...) end}) assert(t(1, 2) == 2 and select(2, pcall(t, 1)) == 1)",
        "local C = {} C.__index = C C.__call = function(self, n) return self.n + n end
         local o = setmetatable({n = 1}, C) function C:method() return self.n end assert(o(2) == 3 and o:method() == 1)
         for i, v in setmetatable({}, {__call = function(_, s, i) i = (i or 0) + 1 if i < 3 then return i, i end end}) do assert(i == v) end",
        "table.sort({3, 1, 2}, function(a, b) return a < b end) assert(not pcall(table.sort, {2, 1}, setmetatable({}, {__call = print})))",
        "local s = setmetatable({}, {__call = function() return 1 end}) local u = {} setmetatable(u, {__index = s}) assert(u.x == nil)",
    ] {
        holds(body);
    }
    for (body, why) in [
        ("local t = {} t.__call = t setmetatable(t, t)", "__call must be a function"),
        ("setmetatable({}, {__call = setmetatable({}, {__call = print})})", "__call must be a function"),
        ("local mt = {} setmetatable({}, mt) mt.__call = print", "__call must be there before the metatable is set"),
        ("local mt = {} setmetatable({}, mt) mt.__call = mt", "__call must be there before the metatable is set"),
        (
            "local mt = {} setmetatable({}, mt) rawset(mt, '__call', mt)",
            "__call must be there before the metatable is set",
        ),
        ("local mt = {__call = print} setmetatable({}, mt) rawset(mt, '__call', mt)", "__call must be a function"),
        (
            "local mt = {__call = print} setmetatable({}, mt) mt.__call = nil mt.__call = mt",
            "__call must be a function",
        ),
        ("getmetatable('').__call = 'x'", "__call must be there before the metatable is set"),
        ("setmetatable({}, {__mode = 'k'})", "__gc and __mode are not available"),
        ("setmetatable({}, {__call = print, __mode = 'k'})", "__gc and __mode are not available"),
        ("local mt = {} setmetatable({}, mt) mt.__mode = 'v'", "__gc and __mode are not available"),
        ("local mt = {__call = print} setmetatable({}, mt) mt.__mode = 'v'", "__gc and __mode are not available"),
        ("local mt = {} setmetatable({}, mt) rawset(mt, '__mode', 'k')", "__gc and __mode are not available"),
        ("local mt = {} setmetatable({}, mt) mt.__gc = print", "__gc and __mode are not available"),
        ("setmetatable(game.object(), nil)", "cannot change a protected metatable"),
        ("setmetatable({}, game.object())", "what game.object marked cannot be a metatable"),
        ("setmetatable({}, 5)", "bad argument #2 to 'setmetatable' (nil or table expected)"),
        ("setmetatable(5, {})", "bad argument #1 to 'setmetatable' (table expected, got number)"),
        ("rawset(nil, 'x', 1)", "bad argument #1 to 'rawset' (table expected, got nil)"),
        ("local mt = setmetatable({}, {}) setmetatable({}, mt) mt[0/0] = 1", "index is NaN"),
    ] {
        let told = told(body);
        assert!(
            told.len() == 1 && told[0].starts_with("fault tick match.lua:2 ") && told[0].contains(why),
            "{body}\n{told:?}"
        );
    }
}

/// Ways to write a key into a table that tables have as their metatable already: `mt` is it, `k` the key, `v` the value.
const WAYS: &[&str] = &[
    "mt[k] = v",
    "rawset(mt, k, v)",
    "setmetatable(mt, nil) mt[k] = v",
    "setmetatable(mt, {}) mt[k] = v",
    "setmetatable(mt, mt) mt[k] = v",
    "setmetatable(mt, {__newindex = rawset}) mt[k] = v",
    "setmetatable(mt, {__newindex = function(t, k, v) rawset(t, k, v) end}) mt[k] = v",
    "setmetatable(setmetatable({}, {__newindex = mt}), {__newindex = mt})[k] = v",
    "setmetatable(mt, {__call = print, __newindex = function(t, k, v) rawset(t, k, v) end}) mt[k] = v",
    "local u = {__newindex = function() end} setmetatable(mt, u) u.__newindex = nil mt[k] = v",
    "setmetatable(mt, {__metatable = false}) setmetatable({}, mt) mt[k] = v",
    "game.object(mt) mt[k] = v",
    "game.object(mt) rawset(mt, k, v)",
    "mt[1] = v table.move(mt, 1, 1, 2, setmetatable({}, {__newindex = function(_, _, v) mt[k] = v end}))",
    "setmetatable({}, {__index = function(_, k) mt[k] = v end})[k] = nil local _ = setmetatable({}, {__index = function(_, k) mt[k] = v end})[k]",
    "string.gsub('x', 'x', function() mt[k] = v end)",
    "for name in pairs({[k] = true}) do mt[name] = v end",
    "local u = {} u.__index, u.__newindex = mt, mt setmetatable({}, u)[k] = v",
    "local e = setmetatable({}, {__newindex = mt}) local f = function(_ENV) __mode = v __call = v end f(e)",
    "local f = function(_ENV) __mode = v __call = v end f(mt)",
];

#[test]
fn no_way_leads_to_a_weak_table() {
    for way in WAYS {
        // A table that was weak has lost what nothing else holds, once the memory was gone over.
        let text = format!(
            "local k, v = '__mode', 'k'
             for _, mt in ipairs({{ {{}}, {{__call = print}}, setmetatable({{}}, {{}}), setmetatable({{}}, {{__call = print}}) }}) do
               local t = setmetatable({{}}, mt)
               pcall(function() {way} end)
               pcall(function() for i = 1, 1 do setmetatable(t, mt) end end)
               assert(rawget(mt, '__mode') == nil, 'written')
               KEPT = KEPT or {{}} KEPT[#KEPT + 1] = t t[{{}}] = 1
             end
             function tick(state) for i, t in ipairs(KEPT) do assert(next(t), 'weak') end return state end"
        );
        let mut m = Played::of(script(&[("match.lua", &text)], ample()), 1);
        m.game.machine.lua.gc_collect().unwrap();
        m.ticks(1);
        let told = m.told();
        assert!(told.iter().all(|line| line.contains("has no defined order")), "{way}: {told:?}");
    }
}

#[test]
fn no_way_leads_to_a_chain_of_calls() {
    for way in WAYS {
        // Natively, a table that is its own __call is asked until nothing more fits on the stack.
        let body = format!(
            "local k = '__call'
             for _, mt in ipairs({{ {{}}, {{__call = function() return 'mine' end}}, setmetatable({{}}, {{}}) }}) do
               local v = setmetatable({{}}, mt)
               pcall(function() {way} end)
               pcall(function() mt.__call = v end)
               pcall(setmetatable, v, mt)
               local ok, said = pcall(v)
               assert(ok and said == 'mine' or not ok and said:find('attempt to call a table value', 1, true), said)
             end"
        );
        holds(&body);
    }
}

#[test]
fn a_refused_join_makes_no_metatable_weak() {
    for (key, value) in [("__mode", "'k'"), ("__call", "{}"), ("__gc", "print")] {
        let text = format!(
            "function init() return {{ mt = {{ {key} = {value} }} }} end
             function join(id, state) local mt = state.mt mt.{key} = nil T = setmetatable({{}}, mt) T[{{}}] = 1 mt.x = 1 return nil end
             function tick(state)
               state.there, state.x, state.kept = rawget(state.mt, '{key}') ~= nil, state.mt.x, next(T) ~= nil
               return state
             end
             function get_state(id, state) return {{ there = state.there, x = state.x, kept = state.kept }} end"
        );
        let mut m = Played::of(script(&[("match.lua", &text)], ample()), 1);
        assert!(m.join(1, None).is_err());
        m.game.machine.lua.gc_collect().unwrap();
        m.ticks(1);
        assert_eq!(m.view(Some(1)), r#"{"kept":true,"there":false}"#, "{key}");
    }
}

#[test]
fn a_reload_that_fails_makes_no_metatable_weak() {
    let sources = |text: &str| Arc::new(Sources::from_texts([("match.lua", text)]).unwrap());
    for key in ["__mode", "__call"] {
        for table in ["_G", "game"] {
            let old = format!(
                "rawset({table}, '{key}', 'k') T = T or {{}}
                 function tick(s) s.there, s.kept = rawget({table}, '{key}') ~= nil, next(T) ~= nil return s end
                 function get_state(id, s) return {{ there = s.there, kept = s.kept }} end"
            );
            let trap = format!(
                "local again = T
                 if again then
                   rawset({table}, '{key}', nil) setmetatable(again, {table}) again[{{}}] = 1
                   error('no good')
                 end
                 function tick(s) return s end"
            );
            let script = Script::new("match.lua", sources(&old), ample());
            let mut m = Played::of(script.clone(), 1);
            m.ticks(1);
            assert_eq!(script.replace(sources(&trap)), Ok(true));
            m.ticks(1);
            m.game.machine.lua.gc_collect().unwrap();
            m.ticks(1);
            assert_eq!(m.view(Some(1)), r#"{"kept":true,"there":false}"#, "{table} {key}: {:?}", m.told());
        }
    }
}

#[test]
fn bots_see_objects_and_no_way_round() {
    let text = "bots = { script = 'bot.lua' }
        local Unit = setmetatable({}, {__index = {base = function() return 1 end}, __call = function(c) return setmetatable({}, c) end})
        Unit.__index = Unit Unit.__call = function() return 4 end function Unit:own() return 2 end
        local Plain = {} Plain.__index = Plain function Plain:plain() return 8 end
        function init() return { unit = Unit(), class = Unit, plain = setmetatable({}, Plain), locked = setmetatable({}, {__metatable = {}}) } end
        function handle_input(id, input, state) state.sum = input.sum state.weak = input.weak return state end
        function get_state(id, state) return id and state end
        function spectate(state) return { sum = state.sum, weak = state.weak } end";
    let bot = "function think(id, s)
        local weak = 0
        for _, t in pairs({s.unit, s.plain, s.class, s.locked}) do
          local mt = getmetatable(t)
          if type(mt) == 'table' then
            pcall(rawset, mt, '__mode', 'k') pcall(function() mt.__mode = 'k' end)
            setmetatable(t, nil) setmetatable(t, mt)
            if rawget(mt, '__mode') then weak = weak + 1 end
          end
        end
        return { sum = s.unit:base() + s.unit:own() + s.unit() + s.plain:plain() + s.class.base(), weak = weak }
      end";
    let mut m = Played::of(script(&[("match.lua", text), ("bot.lua", bot)], ample()), 1);
    m.join(9, None).unwrap();
    m.with(|game, cx| game.bot_added(cx, id(9), "A"));
    m.ticks(3);
    assert_eq!(m.told(), [""; 0]);
    assert_eq!(m.view(None), r#"{"sum":16,"weak":0}"#);
}

#[test]
fn what_is_read_again_is_heard() {
    let sources = |text: String| Arc::new(Sources::from_texts([("match.lua", text.as_str())]).unwrap());
    let text = |n: u32| {
        sources(format!(
            "Point = Point or {{}} Point.__index = Point
             function Point.__call() return {n} end function Point.__len() return {n} end
             function tick(s) local p = setmetatable({{}}, Point) s.call, s.len = p(), #p return s end"
        ))
    };
    let script = Script::new("match.lua", text(1), ample());
    let mut m = Played::of(script.clone(), 1);
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"call":1,"len":1}"#);
    assert_eq!(script.replace(text(2)), Ok(true));
    m.ticks(1);
    assert_eq!(m.view(None), r#"{"call":2,"len":2}"#);
}

#[test]
fn marked_tables_are_written_as_objects_and_others_as_they_are() {
    for (value, json) in [
        ("game.object()", "{}"),
        ("game.object(game.object())", "{}"),
        ("setmetatable({}, {})", "[]"),
        ("game.object(setmetatable({}, {}))", "{}"),
        ("game.object(setmetatable({}, {__call = print}))", "{}"),
        ("(function() local mt = {} setmetatable({}, mt) return mt end)()", "[]"),
        (
            "game.object((function() local mt = {} setmetatable({}, mt) return mt end)())",
            r#"{"error":"object requires ([table]), and none that is a metatable"}"#,
        ),
    ] {
        let mut m = Played::new(&format!("function tick(s) s.v = {value} return s end"));
        m.ticks(1);
        assert_eq!(m.view(None), format!(r#"{{"v":{json}}}"#), "{value}");
    }
}
