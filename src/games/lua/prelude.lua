-- The library scripts see where Lua's own would loop without instructions, differ between runs, or open a door.
-- What is written in Lua is metered like any script, so it needs no bounds of its own.
local host = ...

local type, select, error, next, rawget, rawset, rawequal = type, select, error, next, rawget, rawset, rawequal
local rawgetmetatable, rawsetmetatable, rawpcall, rawtostring = getmetatable, setmetatable, pcall, tostring
local unpack, pack, find, gmatch, format, sqrt, floor = table.unpack, table.pack, string.find, string.gmatch, string.format, math.sqrt, math.floor
local check, out_of_memory, error_text, charge = host.check, host.out_of_memory, host.error_text, host.charge
local real_metatable, set_real_metatable, object = host.metatable, host.set_metatable, game.object
local MARK = real_metatable(object())

-- Where Lua looks for the name of a function that it has to say something about: every one of its own once, under one
-- name. Its usual place for that, the globals and the libraries, is the script's to add to, and of a function that stands
-- there twice the order of a table, which differs from process to process, would choose the name. What is removed or
-- written anew below needs none; a name that two libraries have says which.
local loaded, known, homes = {}, {}, {}
local libraries = { [""] = _G, ["string."] = string, ["table."] = table, ["math."] = math, ["utf8."] = utf8 }
local gone = " collectgarbage dofile load loadfile warn print pairs xpcall dump find match gmatch gsub rep concat insert remove"
  .. " move sort random randomseed "

for _, library in next, libraries do
  for name in next, library do homes[name] = (homes[name] or 0) + 1 end
end
for prefix, library in next, libraries do
  for name, f in next, library do
    if type(f) == "function" then
      if homes[name] > 1 then name = prefix .. name end
      if not known[f] or name < known[f] then known[f] = name end
    end
  end
end
for f, name in next, known do
  if not find(gone, " " .. name .. " ", 1, true) then loaded[name] = f end
end
-- Nothing has two names for the script either.
for prefix, library in next, libraries do
  for name, f in next, library do
    if known[f] and known[f] ~= name and known[f] ~= prefix .. name then
      library[name] = function(...) return f(...) end
    end
  end
end

-- What walks a string byte by byte inside one call pays for it; short ones are not worth asking.
local function pay(bytes)
  if bytes > 256 then charge(bytes // 4) end
end

local function paid(f)
  return function(s, ...)
    if type(s) == "string" then pay(#s) end
    return f(s, ...)
  end
end

-- What takes any number of arguments, each of which may be a long string to be read as a number, pays for all of them
-- where they are more than a few.
local function weighed(f, few)
  return function(...)
    local n = select("#", ...)
    if n > few then
      local bytes = n * 16
      for i = 1, n do
        local arg = (select(i, ...))
        if type(arg) == "string" then bytes = bytes + #arg end
        if bytes > 65536 then charge(bytes // 4) bytes = 0 end
      end
      pay(bytes)
    end
    return f(...)
  end
end

local removed = { "collectgarbage", "dofile", "load", "loadfile", "loadstring", "warn", "coroutine", "debug", "io", "package" }
for i = 1, #removed do _G[removed[i]] = nil end
string.dump = nil

-- pcall returns nothing once the budget is spent, and says errors of the host as text.
local function after(ok, err, ...)
  check()
  if not ok then
    if err == "not enough memory" then out_of_memory() end
    if type(err) == "userdata" then err = error_text(err) end
  end
  return ok, err, ...
end

function pcall(...) return after(rawpcall(...)) end
local pcall = pcall

-- The handler runs after unwinding, where hooks reach it.
local function handled(handler, ok, ...)
  if ok then return true, ... end
  return false, select(2, pcall(handler, ...))
end

function xpcall(f, handler, ...) return handled(handler, pcall(f, ...)) end

local function is_table(t, fname)
  if type(t) ~= "table" then
    error("bad argument #1 to '" .. fname .. "' (table expected, got " .. type(t) .. ")", 3)
  end
end

-- Metatables. Two things in them would make one step of the machine, which nothing interrupts, longer than any tick:
-- __mode, as the collector goes along a chain of weak tables again and again, and a __call that is no function, as Lua
-- moves all arguments at every link of a chain of them. setmetatable refuses both. So that neither comes later,
--
-- - what serves as a metatable has a real one of the host's, its guard, which sees every new key;
-- - what has a __call, which could be overwritten unseen, is never a real metatable: tables get its shadow instead, one
--   of the host's with the same events.
--
-- Scripts see neither: getmetatable shows what they set. What stands for what is written in guards and shadows
-- themselves, under keys that no script has; a weak table that knew it would be a link of such a chain itself.
local SEEN = {} -- In both: the metatable that the script set; false for none.
local REAL = {} -- In a guard of one table alone: what others really get for it, the table itself or its shadow.
local AGE = {} -- Of when the events in here are.

local NO_COLLECTOR = "__gc and __mode are not available: what a collector does nobody can replay"
local NO_CHAIN = "__call must be a function"

-- What Lua asks a metatable for; true for what is copied as it is.
local EVENTS = { __index = false, __newindex = false, __call = false, __gc = false, __mode = false }
local operators = "len concat eq lt le add sub mul div idiv mod pow unm band bor bxor bnot shl shr"
for name in gmatch(operators .. " tostring name close", "%l+") do EVENTS["__" .. name] = true end

-- Grows when copies of events may have grown old.
local age = 0

-- The guard of most: of tables that are real metatables and have none that a script set.
local GUARD = { [SEEN] = false }

-- Whether it is that one. An == would ask the other, which may be a script's, and give it away.
local SHARED = { [GUARD] = true }

-- What tables really get for this one; nothing where it serves as a metatable of none yet.
local function served(mt)
  local guard = rawgetmetatable(mt)
  if SHARED[guard] then return mt end
  return type(guard) == "table" and rawget(guard, REAL) or nil
end

-- Writes into a table what is no business of its metatable's, or says why not.
local function put(t, k, v)
  local real = EVENTS[k] ~= nil and served(t)
  if real then
    local shadowed = not rawequal(real, t)
    if v ~= nil then
      if k == "__gc" or k == "__mode" then return NO_COLLECTOR end
      if k == "__call" and not shadowed then return "__call must be there before the metatable is set" end
      if k == "__call" and type(v) ~= "function" then return NO_CHAIN end
    end
    if shadowed then real[k] = v end
    -- These two are never old: see below.
    if k ~= "__index" and k ~= "__newindex" then age = age + 1 end
  end
  rawset(t, k, v)
end

function GUARD.__newindex(t, k, v)
  local user = rawgetmetatable(t)[SEEN]
  local to = user and rawget(user, "__newindex")
  if type(to) == "function" then return to(t, k, v) end
  if to then
    to[k] = v
    return
  end
  local why = put(t, k, v)
  if why then error(why, 2) end
end

-- The __index of a guard whose table has a metatable without one: it may yet come.
local function late_index(t, k)
  local from = rawget(rawgetmetatable(t)[SEEN], "__index")
  if type(from) == "function" then return from(t, k) end
  if from ~= nil then return from[k] end
end

-- Gives a guard or a shadow the events of `mt` as they are now. Of those that were there before, only an __index or a
-- __newindex is likely to have been replaced; others wait until some metatable has a new one.
local function follow(copy, mt, index)
  local of_its_own = rawget(mt, "__index")
  if of_its_own ~= nil then index = of_its_own end
  copy.__index = index
  if copy[AGE] == age then return end
  for k in next, copy do
    if EVENTS[k] and rawget(mt, k) == nil then copy[k] = nil end
  end
  for k, v in next, mt do
    if EVENTS[k] then copy[k] = v end
  end
  local call = rawget(mt, "__call")
  if call == nil or type(call) == "function" then copy.__call = call end
  copy[AGE] = age
end

local function follow_as_shadow(shadow, mt)
  follow(shadow, mt)
  shadow.__newindex = rawget(mt, "__newindex")
end

-- The guard of a table for which others really get `real`, and which has `user` as its metatable, or none.
local function guard_of(t, real, user)
  if not user and rawequal(real, t) then return GUARD end
  local guard = { [SEEN] = user or false, [REAL] = real, __newindex = GUARD.__newindex }
  if user then follow(guard, user, late_index) end
  return guard
end

local function renewed(real, mt, guard)
  local user = guard[SEEN]
  if user then follow(guard, user, late_index) end
  if not rawequal(real, mt) then follow_as_shadow(real, mt) end
  return real
end

-- What tables are really to get for `mt`, which is guarded from here on.
local function serve(mt, guard)
  local real = guard ~= nil and served(mt)
  if real then return renewed(real, mt, guard) end
  local call = rawget(mt, "__call")
  if rawget(mt, "__gc") ~= nil or rawget(mt, "__mode") ~= nil then error(NO_COLLECTOR, 3) end
  real = mt
  if call ~= nil then
    if type(call) ~= "function" then error(NO_CHAIN, 3) end
    real = { [SEEN] = mt }
    follow_as_shadow(real, mt)
  end
  if guard == nil then
    rawsetmetatable(mt, guard_of(mt, real))
  else
    -- It may be protected, which hides it here and would keep the guard away.
    local user = real_metatable(mt)
    if rawequal(user, MARK) then error("what game.object marked cannot be a metatable", 3) end
    set_real_metatable(mt, guard_of(mt, real, rawget(user, SEEN) or user))
  end
  return real
end

function setmetatable(t, mt)
  local guard = rawgetmetatable(mt)
  -- How objects are made, of classes or with a metatable of their own: all of the below, in a few steps.
  if rawgetmetatable(t) == nil then
    if SHARED[guard] then return rawsetmetatable(t, mt) end
    if guard == nil and type(mt) == "table" and type(t) == "table" and t ~= mt and rawget(mt, "__call") == nil
      and rawget(mt, "__gc") == nil and rawget(mt, "__mode") == nil then
      rawsetmetatable(mt, GUARD)
      return rawsetmetatable(t, mt)
    end
    local real = type(guard) == "table" and rawget(guard, REAL)
    if real then return rawsetmetatable(t, renewed(real, mt, guard)) end
  end
  is_table(t, "setmetatable")
  if mt ~= nil and type(mt) ~= "table" then error("bad argument #2 to 'setmetatable' (nil or table expected)", 2) end
  local real = mt and serve(mt, guard)
  -- Only now, as a table may be its own metatable.
  local own, old = served(t), rawgetmetatable(t)
  local user = type(old) == "table" and rawget(old, SEEN)
  if user and rawget(user, "__metatable") ~= nil then error("cannot change a protected metatable", 2) end
  if own then real = guard_of(t, own, mt) end
  return rawsetmetatable(t, real)
end

function getmetatable(v)
  local mt = rawgetmetatable(v)
  if type(mt) ~= "table" then return mt end
  local user = rawget(mt, SEEN)
  if user == nil then return mt end
  if not user then return nil end
  local shown = rawget(user, "__metatable")
  if shown ~= nil then return shown end
  return user
end
local getmetatable = getmetatable

function _G.rawset(t, k, v)
  is_table(t, "rawset")
  local why = put(t, k, v)
  if why then error(why, 2) end
  return t
end

-- Of all strings.
rawsetmetatable(rawgetmetatable(""), GUARD)

-- It would take the guard away.
function game.object(t)
  if served(t) then return { error = "object requires ([table]), and none that is a metatable" } end
  return object(t)
end

-- tostring without addresses: things are numbered as they are first named.
local named, names = rawsetmetatable({}, { __mode = "k" }), 0

local function name(kind, v)
  local n = named[v]
  if not n then
    names = names + 1
    n = names
    named[v] = n
  end
  return format("%s: %08d", kind, n)
end

function tostring(v)
  local kind = type(v)
  if kind == "table" then
    local mt = getmetatable(v)
    if type(mt) == "table" then
      local f = rawget(mt, "__tostring")
      if f then
        local s = f(v)
        if type(s) ~= "string" then error("'__tostring' must return a string", 2) end
        return s
      end
      local n = rawget(mt, "__name")
      if type(n) == "string" then kind = n end
    end
    return name(kind, v)
  elseif kind == "function" then
    return name(kind, v)
  elseif kind == "userdata" then
    return error_text(v)
  end
  return rawtostring(v)
end
local tostring = tostring

for _, name in next, { "upper", "lower", "reverse", "byte", "packsize", "unpack", "sub" } do
  string[name] = paid(string[name])
end

-- No string has a zero byte: to compare two full of them takes longer than anything else that one instruction can do.
local function without_zeros(f, fname)
  return function(...)
    local s = f(...)
    if find(s, "\0", 1, true) then error("'" .. fname .. "' would make a zero byte, which is not available", 2) end
    return s
  end
end

string.char = without_zeros(weighed(string.char, 0), "char")
string.pack = without_zeros(weighed(string.pack, 0), "pack")
utf8.char = without_zeros(weighed(utf8.char, 0), "char")
-- Lua's own, which begins its set with a zero byte.
utf8.charpattern = "[\1-\x7F\xC2-\xFD][\x80-\xBF]*"
math.max, math.min = weighed(math.max, 2), weighed(math.min, 2)
for _, name in next, { "len", "codepoint", "offset", "codes" } do utf8[name] = paid(utf8[name]) end
tonumber = paid(tonumber)

-- string.format with the same tostring, and without %p.
function string.format(f, ...)
  if type(f) ~= "string" then return format(f, ...) end
  if find(f, "%", 1, true) then
    for conversion in gmatch(f, "%%[-+ #0-9.]*(.?)") do
      if conversion == "p" then error("bad argument #1 to 'format' (%p is not available)", 2) end
    end
  end
  local n = select("#", ...)
  -- One conversion of a number may write hundreds of digits, %q four bytes for one.
  if n > 100 then error("too many arguments to 'format' (100 at most)", 2) end
  local plain, bytes = true, #f
  for i = 1, n do
    local arg = (select(i, ...))
    local kind = type(arg)
    if kind == "string" then
      bytes = bytes + #arg
    elseif kind == "table" or kind == "function" or kind == "userdata" then
      plain = false
    end
  end
  if bytes > 16384 and find(f, "%q", 1, true) then error("strings too long for '%q' (16384 bytes at most)", 2) end
  pay(bytes + 64 * n)
  local s
  if plain then
    s = format(f, ...)
  else
    local args = pack(...)
    for i = 1, n do
      local kind = type(args[i])
      if kind == "table" or kind == "function" or kind == "userdata" then args[i] = tostring(args[i]) end
    end
    s = format(f, unpack(args, 1, n))
  end
  if find(f, "c", 1, true) and find(s, "\0", 1, true) then
    error("'%c' would make a zero byte, which is not available", 2)
  end
  return s
end

string.find, string.match = host.find, host.match

local gmatch_start, gmatch_step = host.gmatch_start, host.gmatch_step

function string.gmatch(...)
  local s, p, at = gmatch_start(...)
  local last
  local function found(ends, ...)
    at, last = ends, ends
    return ...
  end
  return function()
    if at then
      return found(gmatch_step(s, p, at, last))
    end
  end
end
string.gsub, string.rep = host.gsub, host.rep

-- pairs and next in a defined order: numbers, then strings by their bytes, then booleans; anything else last, as it
-- comes. Lua's own order depends on addresses.
local order, after_key = host.order, host.after_key

local function walk(t, keys)
  local i = 0
  return function()
    while true do
      i = i + 1
      local k = keys[i]
      if k == nil then return nil end
      local v = rawget(t, k)
      if v ~= nil then return k, v end
    end
  end, t, nil
end

local function nothing() end

function pairs(t)
  local mt = getmetatable(t)
  if type(mt) == "table" then
    local f = rawget(mt, "__pairs")
    if f then
      local a, b, c = f(t)
      return a, b, c
    end
  end
  if type(t) ~= "table" then error("bad argument #1 to 'for iterator' (table expected, got " .. type(t) .. ")", 2) end
  local k1 = next(t)
  if k1 == nil then return nothing, t, nil end
  local k2 = next(t, k1)
  if k2 == nil then return walk(t, { k1 }) end
  if next(t, k2) == nil and type(k1) == "string" and type(k2) == "string" then
    if k2 < k1 then k1, k2 = k2, k1 end
    return walk(t, { k1, k2 })
  end
  local n = 0
  for k in next, t do
    n = n + 1
    if k ~= n then return walk(t, order(t)) end
  end
  -- Not Lua's own next, which goes through any other table in an order of its own.
  return function(t, k)
    for i = (k or 0) + 1, n do
      local v = rawget(t, i)
      if v ~= nil then return i, v end
    end
  end, t, nil
end
local pairs = pairs

function _G.next(t, k)
  if type(t) ~= "table" then error("bad argument #1 to 'next' (table expected, got " .. type(t) .. ")", 2) end
  if k == nil then
    local first = next(t)
    if first == nil then return nil end
    if next(t, first) == nil then return first, rawget(t, first) end
  end
  k = after_key(t, k)
  if k == nil then return nil end
  return k, rawget(t, k)
end

local function whole(v, n, fname)
  if type(v) == "string" then v = tonumber(v) end
  local i = type(v) == "number" and math.tointeger(v)
  if not i then
    error("bad argument #" .. n .. " to '" .. fname .. "' (whole number expected, got " .. type(v) .. ")", 3)
  end
  return i
end

function table.insert(t, pos, ...)
  is_table(t, "insert")
  local given = select("#", ...)
  local at = #t + 1
  if given == 0 then
    t[at] = pos
  elseif given == 1 then
    pos = whole(pos, 2, "insert")
    if pos < 1 or pos > at then error("bad argument #2 to 'insert' (position out of bounds)", 2) end
    for i = at, pos + 1, -1 do t[i] = t[i - 1] end
    t[pos] = (...)
  else
    error("wrong number of arguments to 'insert'", 2)
  end
end

function table.remove(t, pos)
  is_table(t, "remove")
  local size = #t
  if pos == nil then
    pos = size
  else
    pos = whole(pos, 2, "remove")
    if size + 1 ~= pos and (pos < 1 or pos > size + 1) and not (size == 0 and pos == 0) then
      error("bad argument #2 to 'remove' (position out of bounds)", 2)
    end
  end
  local v = t[pos]
  for i = pos, size - 1 do t[i] = t[i + 1] end
  if pos <= size then t[size] = nil else t[pos] = nil end
  return v
end

function table.move(a, f, e, t, b)
  is_table(a, "move")
  f, e, t, b = whole(f, 2, "move"), whole(e, 3, "move"), whole(t, 4, "move"), b or a
  if e >= f then
    if f <= 0 and e >= math.maxinteger + f then error("bad argument #3 to 'move' (too many elements to move)", 2) end
    if t > math.maxinteger - (e - f) then error("bad argument #4 to 'move' (destination wrap around)", 2) end
    if t > e or t <= f or a ~= b then
      for i = 0, e - f do b[t + i] = a[f + i] end
    else
      for i = e - f, 0, -1 do b[t + i] = a[f + i] end
    end
  end
  return b
end

-- What is at i to j of a table whose metatable may have something to say about it, in one without.
local function plain(t, i, j)
  local copy = {}
  for k = i, j do copy[k - i + 1] = t[k] end
  return copy, 1, j - i + 1
end

function table.unpack(t, i, j)
  i = i == nil and 1 or whole(i, 2, "unpack")
  j = j == nil and #t or whole(j, 3, "unpack")
  if j < i then return end
  if j - i < 0 or j - i >= 4096 then error("too many results to unpack (4096 at most)", 2) end
  -- Four thousand times along a chain of two thousand tables would be one step.
  -- Nor is one where the way to each of them is long, as their numbers collide with others.
  if j - i >= 64 or rawgetmetatable(t) ~= nil then t, i, j = plain(t, i, j) end
  return unpack(t, i, j)
end

-- As in Lua 5.1, which public scripts are written for.
function _G.unpack(...) return table.unpack(...) end

local concat = host.concat
function table.concat(t, sep, i, j)
  is_table(t, "concat")
  i = i == nil and 1 or whole(i, 3, "concat")
  j = j == nil and #t or whole(j, 4, "concat")
  if rawgetmetatable(t) ~= nil then t, i, j = plain(t, i, j) end
  return concat(t, sep, i, j)
end

-- A merge sort: stable, the same on every run, and no comparator can lead it astray.
local function less(a, b) return a < b end

function table.sort(t, lt)
  is_table(t, "sort")
  if lt == nil then lt = less elseif type(lt) ~= "function" then
    error("bad argument #2 to 'sort' (function expected, got " .. type(lt) .. ")", 2)
  end
  local n = #t
  for lo = 1, n, 8 do
    local hi = lo + 7
    if hi > n then hi = n end
    for i = lo + 1, hi do
      local v, j = t[i], i - 1
      while j >= lo and lt(v, t[j]) do
        t[j + 1] = t[j]
        j = j - 1
      end
      t[j + 1] = v
    end
  end
  local from, to, width = t, {}, 8
  while width < n do
    for lo = 1, n, 2 * width do
      local mid, hi = lo + width, lo + 2 * width
      if mid > n + 1 then mid = n + 1 end
      if hi > n + 1 then hi = n + 1 end
      local i, j = lo, mid
      for k = lo, hi - 1 do
        if i < mid and (j >= hi or not lt(from[j], from[i])) then
          to[k] = from[i]
          i = i + 1
        else
          to[k] = from[j]
          j = j + 1
        end
      end
    end
    from, to, width = to, from, width * 2
  end
  if from ~= t then for i = 1, n do t[i] = from[i] end end
end

math.random, math.randomseed = host.random, function() end

-- The library of Lua 5.2, by the operators that came after it.
local MASK = 0xFFFFFFFF
bit32 = {}

local function bits(fname, ...)
  local n = select("#", ...)
  local all = pack(...)
  for i = 1, n do
    local v = all[i]
    if type(v) == "string" then v = tonumber(v) end
    if type(v) ~= "number" or v ~= v or v - v ~= 0 then
      error("bad argument #" .. i .. " to '" .. fname .. "' (number expected, got " .. type(all[i]) .. ")", 3)
    end
    all[i] = math.tointeger(v // 1 % 4294967296) & MASK
  end
  return all
end

local function folded(fname, begin, step)
  bit32[fname] = function(...)
    local all, value = bits(fname, ...), begin
    for i = 1, all.n do value = step(value, all[i]) end
    return value
  end
end

folded("band", MASK, function(a, b) return a & b end)
folded("bor", 0, function(a, b) return a | b end)
folded("bxor", 0, function(a, b) return a ~ b end)
function bit32.bnot(x) return ~bits("bnot", x)[1] & MASK end
function bit32.btest(...) return bit32.band(...) ~= 0 end

local function shifted(x, by)
  if by <= -32 or by >= 32 then return 0 end
  return (by >= 0 and x << by or x >> -by) & MASK
end

function bit32.lshift(x, by) return shifted(bits("lshift", x)[1], whole(by, 2, "lshift")) end
function bit32.rshift(x, by) return shifted(bits("rshift", x)[1], -whole(by, 2, "rshift")) end

function bit32.arshift(x, by)
  x, by = bits("arshift", x)[1], whole(by, 2, "arshift")
  if by <= 0 or x & 0x80000000 == 0 then return shifted(x, -by) end
  if by >= 32 then return MASK end
  return (x >> by | ~(MASK >> by)) & MASK
end

function bit32.lrotate(x, by)
  x, by = bits("lrotate", x)[1], whole(by, 2, "lrotate") % 32
  return (x << by | x >> (32 - by)) & MASK
end

function bit32.rrotate(x, by) return bit32.lrotate(x, -whole(by, 2, "rrotate")) end

local function field(fname, at, width)
  at, width = whole(at, 2, fname), width == nil and 1 or whole(width, 3, fname)
  if at < 0 or width < 1 or at + width > 32 then error("trying to access non-existent bits", 3) end
  return at, (1 << width) - 1
end

function bit32.extract(x, at, width)
  local at, mask = field("extract", at, width)
  return bits("extract", x)[1] >> at & mask
end

function bit32.replace(x, v, at, width)
  local at, mask = field("replace", at, width)
  local both = bits("replace", x, v)
  return both[1] & ~(mask << at) | (both[2] & mask) << at
end

os = {
  clock = host.clock,
  time = host.time,
  date = host.date,
  difftime = function(a, b) return (a or 0) - (b or 0) + 0.0 end,
}

function print(...)
  local parts = pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  game.log("info", table.concat(parts, "\t", 1, parts.n))
end

-- require, for one directory: modules are cached by their path, which a reload forgets.
local locate, compile, entry = host.locate, host.compile, host.entry
-- Which modules are being read, and since which entry: one that ran out of its budget has no time to say that it is over.
local modules, reading = {}, {}

local function requirer(base, env)
  return function(module)
    local key = locate(base, module)
    local known = modules[key]
    if known ~= nil then return known end
    if reading[key] == entry() then error("module '" .. module .. "' requires itself", 2) end
    local chunk = compile(key, module, env)
    reading[key] = entry()
    local ok, value = rawpcall(chunk, module)
    reading[key] = nil
    if not ok then error(value, 0) end
    if value == nil then value = true end
    modules[key] = value
    return value
  end
end

-- game.spatial, over tables of things that have an x and a y.
local spatial = {}
local OPTS = "[, {type=, exclude=, max_results=, sort=}]"

local function members(v)
  if v == nil then return nil end
  if type(v) ~= "table" then return { [v] = true } end
  local set = {}
  for _, item in ipairs(v) do set[item] = true end
  return set
end

local function distance(a, b)
  local dx, dy = a.x - b.x, a.y - b.y
  return sqrt(dx * dx + dy * dy)
end

local function placed(e) return type(e) == "table" and type(e.x) == "number" and type(e.y) == "number" end

local function search(entities, x, y, radius, opts)
  opts = type(opts) == "table" and opts or {}
  local kinds, exclude, hits = members(opts.type), members(opts.exclude), {}
  for id, e in pairs(entities) do
    if placed(e) and not (exclude and exclude[id]) and not (kinds and not kinds[e.type]) then
      local dx, dy = e.x - x, e.y - y
      local d = sqrt(dx * dx + dy * dy)
      if d <= radius then hits[#hits + 1] = { id = id, entity = e, distance = d } end
    end
  end
  if opts.sort == "nearest" then
    table.sort(hits, function(a, b) return a.distance < b.distance end)
  elseif opts.sort == "farthest" then
    table.sort(hits, function(a, b) return a.distance > b.distance end)
  end
  if type(opts.max_results) == "number" then
    local most = floor(opts.max_results)
    for i = #hits, 1, -1 do
      if i <= most then break end
      hits[i] = nil
    end
  end
  return hits
end

function spatial.query_radius(entities, x, y, radius, opts)
  if type(entities) ~= "table" or type(x) ~= "number" or type(y) ~= "number" or type(radius) ~= "number" then
    return { error = "query_radius requires (entities, x, y, radius" .. OPTS .. ")" }
  end
  return search(entities, x, y, radius, opts)
end

function spatial.nearest(entities, x, y, n, opts)
  if type(entities) ~= "table" or type(x) ~= "number" or type(y) ~= "number" or type(n) ~= "number" then
    return { error = "nearest requires (entities, x, y, n" .. OPTS .. ")" }
  end
  opts = type(opts) == "table" and opts or {}
  return search(entities, x, y, math.huge,
    { type = opts.type, exclude = opts.exclude, sort = "nearest", max_results = n })
end

-- Of the public interface, over the zones of a world, which there are none of here.
function spatial.query_rect() return { error = "not available on this server" } end

function spatial.in_range(a, b, range)
  if not placed(a) or not placed(b) or type(range) ~= "number" then
    return { error = "in_range requires (entity_a, entity_b, range)" }
  end
  return distance(a, b) <= range
end

function spatial.distance(a, b)
  if not placed(a) or not placed(b) then return { error = "distance requires (entity_a, entity_b)" } end
  return distance(a, b)
end

-- What the host itself asks of the machine.
local own = { spatial = spatial, loaded = loaded }

function own.require_for(base, env) return requirer(base, env) end

function own.forget_modules()
  -- What is read again writes over events where they are.
  age = age + 1
  local old = modules
  modules = {}
  return old
end

function own.recall_modules(old) modules = old end

-- Every table reachable from the state with what was in it, so that a refused join leaves no trace. Nothing where
-- that is more than a thousand entries: nobody waits for a large state to be copied at every join.
function own.remember(root)
  local seen, log, queue, entries = {}, {}, { root }, 0
  seen[root] = true
  local at = 1
  while queue[at] do
    local t, copy = queue[at], {}
    for k, v in next, t do
      entries = entries + 1
      if entries > 1000 then return nil end
      copy[k] = v
      if type(v) == "table" and not seen[v] then
        seen[v] = true
        queue[#queue + 1] = v
      end
    end
    log[at] = copy
    at = at + 1
  end
  return { queue, log }
end

-- The same once more, table by table: whoever is given it changes nothing of the first.
function own.copy(value)
  if type(value) ~= "table" then return value end
  local copies, queue = { [value] = {} }, { value }
  local at = 1
  while queue[at] do
    local t = queue[at]
    local copy = copies[t]
    for k, v in next, t do
      if type(v) == "table" then
        local known = copies[v]
        if not known then
          known = {}
          copies[v] = known
          queue[#queue + 1] = v
        end
        v = known
      end
      copy[k] = v
    end
    local mt = getmetatable(t)
    -- What protects one is none itself.
    if type(mt) == "table" then rawsetmetatable(copy, served(mt)) end
    at = at + 1
  end
  return copies[value]
end

function own.undo(journal)
  local tables, log = journal[1], journal[2]
  for i = 1, #tables do
    local t, copy = tables[i], log[i]
    -- What has become a metatable since does not take everything.
    local set = served(t) and put or rawset
    for k in next, t do
      if rawget(copy, k) == nil then set(t, k, nil) end
    end
    for k, v in next, copy do set(t, k, v) end
  end
end

function own.put(t, k, v) put(t, k, v) end

return own
